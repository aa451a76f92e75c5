"""One chat as the client holds it: a window on its log, with its gaps known.

The chain of ``prev`` says what is missing, so that nothing else has to be kept: an
entry whose predecessor is neither held nor below ``first`` begins after a gap.
"""

import re
import unicodedata
from bisect import bisect_left, insort
from collections.abc import Iterable
from functools import cache, lru_cache

from chatd.protocol.messages import ChatRecord, MemberInfo
from client.model.entries import Entry, Gap, OutboxItem

TYPING_SECONDS = 6.0

_FIRST_MARK, _PAST_MARKS = 0x300, 0x1E950
"""Between these are all combining marks, but for the variation selectors."""


class Chat:
    """A chat, direct or room, from the point of view of its user.

    Only the model changes it; all others only read.

    Attributes:
        address: ``@user`` or ``#room``.
        last: The highest seq that is known to exist.
        read: The user's own cursor.
        first: The lowest seq that the user may see.
        unread: Messages by others after the cursor; 1,000 may mean more.
        read_at_server: The user's own cursor as the server sent it at the login.
        peer_read: In a direct chat, how far the other user has read.
        held: The newest seq that this device has, in memory or in its cache; what the
            server is told when syncing. None if there is nothing.
        entries: What is in memory, by seq.
        outbox: The user's items that are not (or not yet) entries, oldest first.
        members: The members by name, where they were fetched; else None.
        arrivals: Who joined (True) or left since the members were requested.
    """

    def __init__(self, record: ChatRecord) -> None:
        self.address = record.chat
        self.last = record.last
        self.read = record.read
        self.first = record.first
        self.unread = record.unread
        self.topic = record.topic or ""
        self.role = record.role
        self.visibility = record.visibility
        self.peer_read = record.peer_read
        self.read_at_server = record.read
        self.held: int | None = None
        self.entries: list[Entry] = []
        self.outbox: list[OutboxItem] = []
        self.members: dict[str, MemberInfo] | None = None
        self.arrivals: dict[str, bool] = {}
        self._me = ""
        # Messages up to here are in `unread` already, if they are unread.
        self._counted = record.last
        self._mentions: set[int] = set()
        self._typing: dict[str, float] = {}
        # Entries whose predecessor the server could not give.
        self._severed: set[int] = set()
        self._allowance = 0

    @property
    def is_direct(self) -> bool:
        """Whether it is a chat with one user, as opposed to a room."""
        return self.address.startswith("@")

    @property
    def name(self) -> str:
        """The other user's, or the room's name."""
        return self.address[1:]

    @property
    def is_local(self) -> bool:
        """Whether only the outbox has it: the server does not know of it yet."""
        return self.last == 0 and self.role is None and bool(self.outbox)

    @property
    def newest(self) -> Entry | None:
        """The newest entry in memory."""
        return self.entries[-1] if self.entries else None

    @property
    def mentions(self) -> int:
        """How many of the unread entries received mention the user by name."""
        return len(self._mentions)

    @property
    def record(self) -> ChatRecord:
        """The chat as the server would describe it, for the cache."""
        return ChatRecord(
            chat=self.address,
            last=self.last,
            read=self.read,
            first=self.first,
            unread=self.unread,
            topic=self.topic,
            role=self.role,
            visibility=self.visibility,
            peer_read=self.peer_read,
        )

    def entry(self, seq: int) -> Entry | None:
        """Return the entry of that seq, if it is in memory."""
        index = self.index(seq)
        if index < len(self.entries) and self.entries[index].seq == seq:
            return self.entries[index]
        return None

    def index(self, seq: int) -> int:
        """Return where in ``entries`` the seq is, or would be."""
        return bisect_left(self.entries, seq, key=_seq_of)

    def first_unread(self) -> Entry | None:
        """Return the oldest unread message by others that is in memory."""
        me = self._me
        for entry in self.entries[self.index(self.read + 1) :]:
            if entry.is_message and entry.sender != me:
                return entry
        return None

    def typing(self, now: float) -> list[str]:
        """Return the users who are typing; ``now`` is as for ``Model.apply``."""
        return sorted(u for u, at in self._typing.items() if now - at < TYPING_SECONDS)

    # Gaps -----------------------------------------------------------------------------

    def begins_after_gap(self, index: int) -> bool:
        """Whether entries are missing right before ``entries[index]``."""
        entry = self.entries[index]
        if entry.prev < self.first or entry.prev == 0 or entry.seq in self._severed:
            return False
        return index == 0 or self.entries[index - 1].seq != entry.prev

    def gaps(self) -> list[Gap]:
        """Return the gaps between the entries in memory, oldest first."""
        return [
            Gap(self.address, self.entries[i - 1].seq, self.entries[i].seq)
            for i in range(1, len(self.entries))
            if self.begins_after_gap(i)
        ]

    def older(self) -> Gap | None:
        """Return the gap before the oldest entry in memory, None at the beginning."""
        if not self.entries:
            return Gap(self.address, 0, self.last + 1) if self.last else None
        if self.begins_after_gap(0):
            return Gap(self.address, max(0, self.first - 1), self.entries[0].seq)
        return None

    def newer(self) -> Gap | None:
        """Return the gap after the newest entry in memory, None if that is the last."""
        newest = self.entries[-1].seq if self.entries else 0
        if newest < self.last:
            return Gap(self.address, newest, self.last + 1)
        return None

    # For the model --------------------------------------------------------------------

    def set_me(self, user: str) -> None:
        """Set whose chat it is: the user's own entries are never unread."""
        self._me = user

    def drop_sent(self, entry: Entry) -> None:
        """Drop the item of the outbox that has become this entry of the user."""
        for index, item in enumerate(self.outbox):
            if item.seq == entry.seq or item.key == entry.key:
                del self.outbox[index]
                return

    def update(self, record: ChatRecord) -> None:
        """Apply the server's record; its ``unread`` counts all up to its ``last``."""
        self.last = max(record.last, 0)
        self.first = record.first
        self.topic = record.topic or ""
        self.role = record.role
        self.visibility = record.visibility
        self.peer_read = record.peer_read
        self.unread = record.unread
        self._counted = record.last
        self.read_at_server = record.read
        ahead = self.read
        self.read = min(record.read, record.last)
        self.advance(min(ahead, record.last))
        self._mentions = {seq for seq in self._mentions if seq > self.read}

    def insert(self, entries: Iterable[Entry]) -> tuple[list[Entry], list[Entry]]:
        """Add entries in any order; return those added and those updated, by seq."""
        added: list[Entry] = []
        updated: list[Entry] = []
        for entry in entries:
            held = self.entry(entry.seq)
            if held is None:
                self._add(entry)
                added.append(entry)
            elif entry.rev > held.rev:
                self.entries[self.index(entry.seq)] = entry
                updated.append(entry)
        added.sort(key=_seq_of)
        return added, updated

    def replace(self, entry: Entry) -> None:
        """Put a newer version of a held entry in its place."""
        self.entries[self.index(entry.seq)] = entry

    def count(self, entry: Entry, mentions_me: bool) -> None:
        """Count an entry that was just added, if it is unread."""
        if entry.seq <= self.read or not entry.is_message or entry.sender == self._me:
            return
        if entry.seq > self._counted and self.unread < 1_000:
            self.unread += 1
        if mentions_me:
            self._mentions.add(entry.seq)

    def advance(self, seq: int) -> bool:
        """Move the user's own cursor forward; return whether it moved."""
        seq = min(seq, self.last)
        if seq <= self.read:
            return False
        passed = self._messages_between(self.read, seq)
        self.read = seq
        self._mentions = {mention for mention in self._mentions if mention > seq}
        if self._holds_all_after(seq):
            self.unread = min(1_000, self._messages_between(seq, self.last))
            self._counted = self.last
        else:
            self.unread = max(0, self.unread - passed)
        return True

    def recount(self) -> bool:
        """Recount ``unread`` if all of it is in memory; return whether it changed.

        The server's count may be older than what was read here meanwhile.
        """
        if not self._holds_all_after(self.read):
            return False
        before, self.unread = self.unread, 0
        if self.last > self.read:
            self.unread = min(1_000, self._messages_between(self.read, self.last))
        self._counted = self.last
        return self.unread != before

    def set_typing(self, user: str, now: float) -> None:
        """Note that a user is typing."""
        self._typing[user] = now

    def stop_typing(self, user: str) -> None:
        """Note that a user has sent what they were typing."""
        self._typing.pop(user, None)

    def sever(self, seq: int) -> None:
        """Note that the server has nothing between this entry and the one before.

        Else it would count as a gap, and be requested again and again.
        """
        self._severed.add(seq)

    def allow(self, count: int) -> None:
        """Let ``count`` more entries stay in memory, until ``trim`` resets that."""
        self._allowance += count

    def trim(self, max_entries: int, is_reset: bool = False) -> None:
        """Drop the oldest entries from memory until the bound is kept."""
        if is_reset:
            self._allowance = 0
        surplus = len(self.entries) - max_entries - self._allowance
        if surplus > 0:
            # They would be counted again if they were loaded again.
            self._counted = max(self._counted, self.entries[surplus - 1].seq)
            self._severed -= {entry.seq for entry in self.entries[:surplus]}
            del self.entries[:surplus]

    def _add(self, entry: Entry) -> None:
        if not self.entries or entry.seq > self.entries[-1].seq:
            self.entries.append(entry)
        else:
            insort(self.entries, entry, key=_seq_of)
        self.last = max(self.last, entry.seq)
        self.held = max(self.held or 0, entry.seq)

    def _messages_between(self, after: int, upto: int) -> int:
        entries = self.entries[self.index(after + 1) : self.index(upto + 1)]
        return sum(1 for e in entries if e.is_message and e.sender != self._me)

    def _holds_all_after(self, seq: int) -> bool:
        if seq >= self.last:
            return True
        index = self.index(seq + 1)
        if index >= len(self.entries) or self.entries[-1].seq < self.last:
            return False
        # The entry after the cursor must follow it directly; its predecessor may be
        # one that was trimmed, at or below the cursor.
        if self.entries[index].prev > seq:
            return False
        return not any(
            self.begins_after_gap(i) for i in range(index + 1, len(self.entries))
        )


@lru_cache(maxsize=8)
def mention_of(user: str) -> re.Pattern[str]:
    """Return a pattern that finds the user's name, with or without ``@``, as a word."""
    word = r"\w" if user.isascii() else rf"\w\u200c\u200d{_marks()}"
    return re.compile(
        rf"(?<![{word}.@-])@?{re.escape(user)}(?![{word}-])", re.IGNORECASE
    )


@cache
def _marks() -> str:
    """Return all combining marks: parts of words, but not for ``re``."""
    return "".join(
        chr(n)
        for n in range(_FIRST_MARK, _PAST_MARKS)
        if unicodedata.category(chr(n))[0] == "M"
    )


def _seq_of(entry: Entry) -> int:
    return entry.seq
