"""A cache of the timeline's rows: each item as a block, rendered once and kept.

A block is rendered again only if something that shows in it has changed: the entry
itself, the sender of what is above it, what it replies to, how far the other user has
read. So a key press renders none, and a new message one or two.
"""

from collections.abc import Mapping
from typing import NamedTuple

from client.model.chat import Chat
from client.model.entries import Entry, OutboxItem, Transfer
from client.text.styles import Line
from client.text.times import format_time, local
from client.ui.messages.rows import (
    EntryContext,
    day_row,
    entry_rows,
    gap_row,
    item_rows,
    new_row,
    notice_rows,
    transfer_rows,
)
from client.ui.messages.rowstyle import RowStyle
from client.ui.timeline.items import HEAD, Item, Items, Key, Notice
from client.ui.timeline.viewport import Block

MAX_KEPT = 1_000

GROUP_MS = 10 * 60_000
"""Messages of one sender are in one group if at most this time is between two."""

_MAX_SOUGHT = 500


class _Facts(NamedTuple):
    """All that the rows of a block depend on, except the style.

    A cached block is valid while its facts are equal.

    Attributes:
        item: The item; None is the head.
        above: The item right above it.
        before: The last entry or outbox item above it, whatever is in between; a day
            separator is shown if its day is another.
        head: The rows of the head.
        has_gap: Whether entries are missing above it.
        new_count: The count of the unread marker above it, None if there is none.
        quoted: The entry that it replies to.
        is_read: Whether it shows that it was read.
        transfer: The download of its file.
        is_unfolded: Whether all of it is shown.
    """

    item: Item
    above: Item
    before: Entry | OutboxItem | None
    head: tuple[Line, ...] = ()
    has_gap: bool = False
    new_count: int | None = None
    quoted: Entry | None = None
    is_read: bool = False
    transfer: Transfer | None = None
    is_unfolded: bool = False


class RowCache:
    """Renders blocks, and keeps those that were rendered last, ``MAX_KEPT`` at most.

    Args:
        style: The style of the rows.

    Attributes:
        style: The style of the rows.
        items: The items of the timeline.
        head: The rows above all items.
        new_seq: The entry below the unread marker, None for no marker.
        new_count: The count that the unread marker shows.
        unfolded: The seqs of entries that are shown in full, however long.
        transfers: The downloads, by the seq of the entry of the file.
        formatted: How many blocks were rendered so far.
    """

    def __init__(self, style: RowStyle) -> None:
        self.style = style
        self.items = Items()
        self.head: tuple[Line, ...] = ()
        self.new_seq: int | None = None
        self.new_count = 0
        self.unfolded: set[int] = set()
        self.transfers: Mapping[int, Transfer] = {}
        self.formatted = 0
        self._made: dict[Key, tuple[_Facts, Block]] = {}
        self._read_seq: int | None = None

    def restyle(self, style: RowStyle) -> None:
        """Set the style; if it differs, all blocks are rendered again."""
        if style != self.style:
            self.style = style
            self._made.clear()

    def refresh(self, items: Items) -> None:
        """Set the items; blocks whose facts are unchanged are kept."""
        if items.chat is not self.items.chat:
            self._made.clear()
        self.items = items
        self._read_seq = _newest_read(items.chat, self.style.me)

    def block(self, key: Key) -> Block:
        """Return the block of the item with this key; it has at least one row."""
        facts = self._facts(key)
        made = self._made.get(key)
        if made is not None and made[0] == facts:
            return made[1]
        block = self._make(facts)
        self.formatted += 1
        if len(self._made) >= MAX_KEPT:
            # The oldest fifth; those that are still visible are soon rendered again.
            for old in list(self._made)[: MAX_KEPT // 5]:
                del self._made[old]
        self._made[key] = (facts, block)
        return block

    def _facts(self, key: Key) -> _Facts:
        items = self.items
        if key == HEAD:
            return _Facts(None, None, None, self.head)
        item = items.item(key)
        above = items.item(items.before(key) or HEAD)
        if not isinstance(item, Entry):
            last = items.entries[-1] if items.entries else None
            before = above if isinstance(above, OutboxItem) else last
            return _Facts(item, above, before)
        assert items.chat is not None
        chat, seq = items.chat, item.seq
        index = items.index(seq)
        return _Facts(
            item,
            above,
            chat.entries[index - 1] if index else None,
            has_gap=index > 0 and chat.begins_after_gap(index),
            new_count=self.new_count if seq == self.new_seq else None,
            quoted=chat.entry(item.reply_to) if item.reply_to is not None else None,
            is_read=seq == self._read_seq,
            transfer=self.transfers.get(seq) if item.file is not None else None,
            is_unfolded=seq in self.unfolded,
        )

    def _make(self, facts: _Facts) -> Block:
        style = self.style
        match facts.item:
            case None:
                return Block(list(facts.head) or [[]])
            case Notice(lines=lines):
                rows = [row for line in lines for row in notice_rows(line, style)]
                return Block(rows or [[]])
            case Transfer() as transfer:
                is_continued = isinstance(facts.above, Transfer)
                around = EntryContext(is_continued=is_continued)
                return Block(transfer_rows(transfer, style, around))
            case item:
                return self._make_talk(item, facts)

    def _make_talk(self, item: Entry | OutboxItem, facts: _Facts) -> Block:
        style = self.style
        lines = [] if style.is_bare else _lines_above(item, facts, style)
        is_continued = not lines and _continues(item, facts.above, style.me)
        is_timed = not is_continued or _time(item, style) != _time(facts.above, style)
        around = EntryContext(
            is_continued=is_continued,
            is_timed=is_timed,
            quoted=facts.quoted,
            is_read=facts.is_read,
            transfer=facts.transfer,
            is_unfolded=facts.is_unfolded,
        )
        if isinstance(item, Entry):
            rows = entry_rows(item, style, around)
        else:
            rows = item_rows(item, style, around)
        # If stacked, name and time go away when the sender's messages appear above.
        has_title = style.is_stacked and not style.is_bare and not is_continued
        lead = len(lines) + (1 if has_title and len(rows) > 1 else 0)
        sender = _sender(item, style.me) if _is_said(item) else ""
        return Block(
            lines + rows, len(lines), lead, sender, not is_continued, facts.has_gap
        )


def _lines_above(
    item: Entry | OutboxItem, facts: _Facts, style: RowStyle
) -> list[Line]:
    lines: list[Line] = []
    if facts.has_gap:
        lines.append(gap_row(style))
    time_ms = _time_ms(item)
    if facts.before is None or _day(facts.before) != _day(item):
        lines.append(day_row(time_ms, style))
    if facts.new_count is not None:
        lines.append(new_row(facts.new_count, style))
    return lines


def _continues(item: Entry | OutboxItem, above: Item, me: str) -> bool:
    """Whether an item is in one group with the item above it."""
    if not isinstance(above, Entry | OutboxItem):
        return False
    if not (_is_said(item) and _is_said(above)):
        return False
    between = _time_ms(item) - _time_ms(above)
    return _sender(item, me) == _sender(above, me) and 0 <= between <= GROUP_MS


def _is_said(item: Entry | OutboxItem) -> bool:
    """Whether an item is a message that begins with its sender's name: no action."""
    is_message = item.is_message if isinstance(item, Entry) else True
    return is_message and item.kind != "action"


def _sender(item: Entry | OutboxItem, me: str) -> str:
    return item.sender if isinstance(item, Entry) else me


def _time_ms(item: Entry | OutboxItem) -> int:
    return item.time_ms or (item.created_ms if isinstance(item, OutboxItem) else 0)


def _time(item: Item, style: RowStyle) -> str:
    if not isinstance(item, Entry | OutboxItem):
        return ""
    return format_time(_time_ms(item), style.time_format)


def _day(item: Entry | OutboxItem) -> object:
    return local(_time_ms(item)).date()


def _newest_read(chat: Chat | None, me: str) -> int | None:
    """Return the seq of the newest own message that the other user has read."""
    if chat is None or not chat.peer_read:
        return None
    end = chat.index(chat.peer_read + 1)
    for entry in reversed(chat.entries[max(0, end - _MAX_SOUGHT) : end]):
        if entry.sender == me and entry.is_message:
            return entry.seq
    return None
