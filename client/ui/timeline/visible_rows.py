"""Visible rows of the timeline: how they are drawn, and what position they imply."""

from collections.abc import Sequence
from typing import NamedTuple

from client.model.chat import Chat
from client.terminal.hyperlinks import ESCAPE_STYLE
from client.text.styles import Line
from client.text.wrapping import cells
from client.ui.messages.rows import named_row
from client.ui.messages.rowstyle import RowStyle
from client.ui.timeline.items import Key, NearGap, is_entry
from client.ui.timeline.viewport import Placed


class VisibleRow(NamedTuple):
    """A visible row.

    Attributes:
        placed: The row and its block.
        line: The row as it is drawn: unchanged, or with a sign, a style or a name.
    """

    placed: Placed
    line: Line


def see(placed: Placed) -> VisibleRow:
    """Return a row unchanged."""
    return VisibleRow(placed, placed.line)


def see_chosen(placed: Placed, sign: str, style: RowStyle) -> VisibleRow:
    """Return a row of a message that is selected (``>``) or marked (``*``)."""
    if placed.number < placed.block.start:
        return see(placed)
    name = "class:select" if sign == ">" else "class:marked"
    line = see_target(placed, style, sign).line
    shown = sum(cells(text) for part, text in line if part != ESCAPE_STYLE)
    line = [*line, ("", " " * max(0, style.limit - shown))]
    return VisibleRow(
        placed,
        [
            (part if part == ESCAPE_STYLE else f"{part} {name}".lstrip(), text)
            for part, text in line
        ],
    )


def see_target(placed: Placed, style: RowStyle, sign: str = ">") -> VisibleRow:
    """Return a row of a message that is pointed at: its first row has the sign."""
    if placed.number != placed.block.start or style.is_bare:
        return see(placed)
    (first_style, text), *others = placed.line
    return VisibleRow(placed, [(first_style, sign + text[1:]), *others])


def name_sender(seen: VisibleRow, style: RowStyle) -> VisibleRow:
    """Return the highest visible row, with the name if the row with it is above."""
    block, number = seen.placed.block, seen.placed.number
    is_named = number == block.start and block.is_named
    if not block.sender or number < block.start or is_named:
        return seen
    return seen._replace(line=named_row(seen.line, block.sender, style))


def newest_whole(rows: Sequence[VisibleRow]) -> int | None:
    """Return the seq of the newest entry that is visible to its end."""
    ends = (seen.placed for seen in reversed(rows) if seen.placed.is_last)
    return next((placed.key[0] for placed in ends if is_entry(placed.key)), None)


def middle_of(
    rows: Sequence[VisibleRow], target: int | None, is_at_bottom: bool
) -> int | None:
    """Return the seq of the reading position, None if no entry is visible.

    Args:
        rows: The visible rows.
        target: The seq of what is pointed at; it is returned if it is visible.
        is_at_bottom: Whether all is read; then the position is after the newest.
    """
    seqs = [seen.placed.key[0] for seen in rows if is_entry(seen.placed.key)]
    if not seqs:
        return None
    if target in seqs:
        return target
    return seqs[-1] + 1 if is_at_bottom else seqs[len(seqs) // 2]


def near_gap(
    rows: Sequence[VisibleRow], chat: Chat, kept: Key | None, ahead: int
) -> NearGap | None:
    """Return the gap between visible entries, or else the next one below or above.

    Args:
        rows: The visible rows.
        chat: The chat that they belong to.
        kept: The block that stays in place; the gap is filled from its side first.
        ahead: How many entries below and above the visible ones are checked too.
    """
    entries = chat.entries
    keys = [seen.placed.key for seen in rows if is_entry(seen.placed.key)]
    if not keys:
        return None
    first, last = chat.index(keys[0][0]), chat.index(keys[-1][0])
    inside = range(min(last, len(entries) - 1), first - 1, -1)
    below = range(last + 1, min(last + 1 + ahead, len(entries)))
    above = range(first - 1, max(-1, first - 1 - ahead), -1)
    for index in (*inside, *below, *above):
        if index and chat.begins_after_gap(index):
            seq = entries[index].seq
            is_read_down = kept is not None and kept < (seq, 0)
            is_from_above = index > last or (is_read_down and index >= first)
            return NearGap(chat.address, entries[index - 1].seq, seq, is_from_above)
    return None
