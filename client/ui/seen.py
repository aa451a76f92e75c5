"""Rows as they are drawn where they are seen: chosen, pointed at, or at the top."""

from typing import NamedTuple

from client.colours import Line
from client.ui.hyperlinks import ESCAPE_STYLE
from client.ui.rows import named_row
from client.ui.rowstyle import RowStyle
from client.ui.viewport import Placed
from client.ui.wrapping import cells


class Seen(NamedTuple):
    """A row that is seen.

    Attributes:
        placed: Of what.
        line: As it is drawn: the row itself, or a changed one.
    """

    placed: Placed
    line: Line


def see(placed: Placed) -> Seen:
    """Return a row as it is."""
    return Seen(placed, placed.line)


def see_chosen(placed: Placed, sign: str, style: RowStyle) -> Seen:
    """Return a row of a message that is chosen (``>``) or marked (``*``)."""
    if placed.number < placed.block.start:
        return see(placed)
    name = "class:select" if sign == ">" else "class:marked"
    line = see_target(placed, style, sign).line
    shown = sum(cells(text) for part, text in line if part != ESCAPE_STYLE)
    line = [*line, ("", " " * max(0, style.limit - shown))]
    return Seen(
        placed,
        [
            (part if part == ESCAPE_STYLE else f"{part} {name}".lstrip(), text)
            for part, text in line
        ],
    )


def see_target(placed: Placed, style: RowStyle, sign: str = ">") -> Seen:
    """Return a row of a message that is pointed at, in the first of its cells."""
    if placed.number != placed.block.start or style.is_bare:
        return see(placed)
    (first_style, text), *others = placed.line
    return Seen(placed, [(first_style, sign + text[1:]), *others])


def name_sender(seen: Seen, style: RowStyle) -> Seen:
    """Return the highest row that is seen, with the name if that is above."""
    block, number = seen.placed.block, seen.placed.number
    is_named = number == block.start and block.is_named
    if not block.sender or number < block.start or is_named:
        return seen
    return seen._replace(line=named_row(seen.line, block.sender, style))
