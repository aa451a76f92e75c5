"""The items of a chat's timeline, in order: the head, entries with notices, the tail.

Each item has a key, which stays valid while entries come and go around it. The tail is
what is not in the log yet. Each step is a search in sorted lists, never a walk through
the chat.
"""

import sys
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from datetime import date
from typing import NamedTuple

from client.model.chat import Chat
from client.model.entries import Entry, Gap, OutboxItem, Transfer
from client.text.styles import Line
from client.text.times import local

Key = tuple[int, int]
"""Of an entry, its seq and 0; of a notice, the seq before it and a positive number.

Of the tail, ``_TAIL`` and the index in it. So keys sort in the order of the timeline.
"""

HEAD: Key = (-1, 0)
"""The key of the head, above the oldest entry; it always exists."""

_TAIL = sys.maxsize


class Notice(NamedTuple):
    """A message of the program itself, and its place in the timeline."""

    key: Key
    lines: tuple[Line, ...]


class NearGap(Gap, frozen=True):
    """A gap that is in or near the visible rows.

    Attributes:
        is_from_above: Whether the user reads towards it from above, so that its oldest
            entries are loaded first; else its newest.
    """

    is_from_above: bool = False


TailItem = OutboxItem | Transfer
"""What has no entry in the log yet."""

Item = Entry | Notice | TailItem | None


class Items:
    """The order of a chat's timeline, as the chat is now.

    Args:
        chat: The chat, None if none is open or nothing is known of it.
        notices: Sorted by key.
        tail: What is below all entries.

    Attributes:
        chat: The chat.
        tail: What is below all entries.
    """

    def __init__(
        self,
        chat: Chat | None = None,
        notices: Sequence[Notice] = (),
        tail: Sequence[TailItem] = (),
    ) -> None:
        self.chat = chat
        self.tail = tail
        self._notices = notices
        # Where the last search ended; the next is mostly for a neighbour.
        self._near = 0

    @property
    def entries(self) -> Sequence[Entry]:
        """The loaded entries of the chat."""
        return self.chat.entries if self.chat is not None else ()

    @property
    def first(self) -> Key:
        """The key of the highest item."""
        return HEAD

    @property
    def last(self) -> Key:
        """The key of the lowest item."""
        if self.tail:
            return (_TAIL, len(self.tail) - 1)
        return self._before_tail()

    def before(self, key: Key) -> Key | None:
        """Return the key of the item right above; None above the head."""
        seq, number = key
        if key <= HEAD:
            return None
        if seq == _TAIL:
            return (_TAIL, number - 1) if number else self._before_tail()
        entries = self.entries
        found = HEAD
        index = self._behind(seq) if number else self.index(seq)
        if index:
            found = (entries[index - 1].seq, 0)
        if self._notices:
            place = bisect_left(self._notices, key, key=_key_of)
            if place > self._hidden():
                found = max(found, self._notices[place - 1].key)
        return found

    def after(self, key: Key) -> Key | None:
        """Return the key of the item right below; None below the last."""
        seq, number = key
        if seq == _TAIL:
            return (_TAIL, number + 1) if number + 1 < len(self.tail) else None
        entries = self.entries
        following: list[Key] = []
        index = self._behind(seq)
        if index < len(entries):
            following.append((entries[index].seq, 0))
        if self._notices:
            place = max(bisect_right(self._notices, key, key=_key_of), self._hidden())
            if place < len(self._notices):
                following.append(self._notices[place].key)
        if self.tail:
            following.append((_TAIL, 0))
        return min(following, default=None)

    def index(self, seq: int) -> int:
        """Return the index in ``entries`` where the seq is, or would be."""
        entries, near = self.entries, self._near
        for index in (near, near - 1, near + 1):
            if 0 <= index < len(entries) and entries[index].seq == seq:
                self._near = index
                return index
        if self.chat is not None:
            self._near = self.chat.index(seq)
        return self._near

    def nearest(self, key: Key) -> Key:
        """Return the key if its item exists, else the next key, or else the last."""
        if key == HEAD or self.item(key) is not None:
            return key
        return self.after(key) or self.last

    def item(self, key: Key) -> Item:
        """Return the item with that key; None for the head, and if there is none."""
        seq, number = key
        if seq == _TAIL:
            return self.tail[number] if number < len(self.tail) else None
        if not number:
            entries, index = self.entries, self.index(seq)
            is_there = index < len(entries) and entries[index].seq == seq
            return entries[index] if is_there else None
        place = bisect_left(self._notices, key, key=_key_of)
        if self._hidden() <= place < len(self._notices):
            notice = self._notices[place]
            return notice if notice.key == key else None
        return None

    def _behind(self, seq: int) -> int:
        """Return the index in ``entries`` of the first entry after the seq."""
        entries, index = self.entries, self.index(seq)
        return index + (index < len(entries) and entries[index].seq == seq)

    def _hidden(self) -> int:
        """Return how many notices, the first ones, are above the oldest loaded entry.

        They are hidden until what is above it is loaded.
        """
        if not self._notices or not self.entries or self._is_from_beginning():
            return 0
        oldest = (self.entries[0].seq, 0)
        return bisect_left(self._notices, oldest, key=_key_of)

    def _is_from_beginning(self) -> bool:
        return self.chat is None or not self.chat.begins_after_gap(0)

    def _before_tail(self) -> Key:
        found = (self.entries[-1].seq, 0) if self.entries else HEAD
        if len(self._notices) > self._hidden():
            found = max(found, self._notices[-1].key)
        return found


def tail_of(chat: Chat | None, transfers: Iterable[Transfer]) -> list[TailItem]:
    """Return what is not in the log yet: the outbox, then uploads.

    Args:
        chat: The chat, None if nothing is known of it.
        transfers: The transfers of this chat.
    """
    tail: list[TailItem] = list(chat.outbox) if chat is not None else []
    newest = chat.newest.seq if chat is not None and chat.newest is not None else 0
    for transfer in transfers:
        # An upload that is done stays until its entry is here.
        is_coming = transfer.state == "done" and (transfer.seq or 0) > newest
        if transfer.direction == "up" and (not transfer.is_over or is_coming):
            tail.append(transfer)
    return tail


def index_of_day(entries: Sequence[Entry], day: date) -> int:
    """Return the index of the first entry of a day, or after it."""
    return bisect_left(entries, day, key=day_of)


def day_of(entry: Entry) -> date:
    """Return the day of an entry, in local time."""
    return local(entry.time_ms).date()


def is_entry(key: Key) -> bool:
    """Whether a key is that of an entry."""
    return key[1] == 0 and 0 <= key[0] < _TAIL


def _key_of(notice: Notice) -> Key:
    return notice.key
