"""Rows that are seen: how they are drawn there, and what they say about the place."""

from collections.abc import Sequence
from typing import NamedTuple

from client.model.chat import Chat
from client.terminal.hyperlinks import ESCAPE_STYLE
from client.text.styles import Line
from client.text.wrapping import cells
from client.ui.messages.rows import named_row
from client.ui.messages.rowstyle import RowStyle
from client.ui.timeline.items import Key, SeenGap, is_entry
from client.ui.timeline.viewport import Placed


class VisibleRow(NamedTuple):
    """A row that is seen.

    Attributes:
        placed: Of what.
        line: As it is drawn: the row itself, or a changed one.
    """

    placed: Placed
    line: Line


def see(placed: Placed) -> VisibleRow:
    """Return a row as it is."""
    return VisibleRow(placed, placed.line)


def see_chosen(placed: Placed, sign: str, style: RowStyle) -> VisibleRow:
    """Return a row of a message that is chosen (``>``) or marked (``*``)."""
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
    """Return a row of a message that is pointed at, in the first of its cells."""
    if placed.number != placed.block.start or style.is_bare:
        return see(placed)
    (first_style, text), *others = placed.line
    return VisibleRow(placed, [(first_style, sign + text[1:]), *others])


def name_sender(seen: VisibleRow, style: RowStyle) -> VisibleRow:
    """Return the highest row that is seen, with the name if that is above."""
    block, number = seen.placed.block, seen.placed.number
    is_named = number == block.start and block.is_named
    if not block.sender or number < block.start or is_named:
        return seen
    return seen._replace(line=named_row(seen.line, block.sender, style))


def newest_whole(rows: Sequence[VisibleRow]) -> int | None:
    """Return the seq of the newest entry that is seen to its end."""
    ends = (seen.placed for seen in reversed(rows) if seen.placed.is_last)
    return next((placed.key[0] for placed in ends if is_entry(placed.key)), None)


def middle_of(
    rows: Sequence[VisibleRow], target: int | None, is_at_bottom: bool
) -> int | None:
    """Return where somebody reads, None if no entry is seen.

    Args:
        rows: What is seen.
        target: The seq of what is pointed at: that is it, if it is seen.
        is_at_bottom: Whether all of it was read; then it is behind the newest.
    """
    seqs = [seen.placed.key[0] for seen in rows if is_entry(seen.placed.key)]
    if not seqs:
        return None
    if target in seqs:
        return target
    return seqs[-1] + 1 if is_at_bottom else seqs[len(seqs) // 2]


def near_gap(
    rows: Sequence[VisibleRow], chat: Chat, kept: Key | None, ahead: int
) -> SeenGap | None:
    """Return what is missing between entries that are seen, or else next to them.

    Args:
        rows: What is seen.
        chat: Of which.
        kept: What stays in place when it comes; it is wanted from that side first.
        ahead: How many entries below and above are looked at as well.
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
            return SeenGap(chat.address, entries[index - 1].seq, seq, is_from_above)
    return None
