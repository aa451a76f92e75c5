"""Wraps a line of the composer into rows, and maps cursor positions; pure.

A long line is processed in parts, each of which is cached: the cost of a key does not
grow with what was typed before it.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import pairwise

import wcwidth
from msgspec import Struct

from client.ui.composer.graphemes import Places, shown_form

_PART = 128
_MAX_PART = 384
"""A part ends at the first space after ``_PART`` code points, at most at this many."""


class _Part(Struct, frozen=True):
    """A part of a line.

    Attributes:
        source: Where it begins in the line.
        at: Where it begins in the shown line.
        shown: The part as it is shown.
        places: Offsets in ``shown``, by index in the part.
    """

    source: int
    at: int
    shown: str
    places: Places


class TextLayout(Struct, frozen=True):
    """One line, wrapped.

    Attributes:
        shown: The line as it is shown, without breaks.
        starts: The offsets in ``shown`` at which rows begin; the first is 0.
        is_full: Whether the last row has no cell left for the cursor after it.
        parts: The parts of the line; empty if it is shown as it is.
    """

    shown: str
    starts: Sequence[int]
    is_full: bool
    parts: tuple[_Part, ...] = ()

    @property
    def count(self) -> int:
        """The number of rows; a last row that is full is followed by an empty one."""
        return len(self.starts) + self.is_full

    def row(self, index: int) -> tuple[int, str]:
        """Return the offset in ``shown`` at which a row begins, and its text."""
        if index >= len(self.starts):
            return len(self.shown), ""
        begin = self.starts[index]
        is_last = index + 1 == len(self.starts)
        end = len(self.shown) if is_last else self.starts[index + 1]
        return begin, self.shown[begin:end]

    def to_shown(self, column: int) -> int:
        """Return the offset in ``shown`` of a code point of the line."""
        if not self.parts:
            return column
        part = self.parts[bisect_right(self.parts, column, key=_source) - 1]
        return part.at + part.places[min(column - part.source, len(part.places) - 1)]

    def to_column(self, shown: int) -> int:
        """Return the index in the line of what is at an offset in ``shown``."""
        if not self.parts:
            return min(shown, len(self.shown))
        part = self.parts[bisect_right(self.parts, shown, key=_at) - 1]
        return part.source + max(0, bisect_right(part.places, shown - part.at) - 1)

    def row_of(self, column: int) -> tuple[int, int]:
        """Return the row of the cursor before a code point, and its offset there."""
        shown = self.to_shown(column)
        if self.is_full and shown == len(self.shown):
            return len(self.starts), 0
        row = bisect_right(self.starts, shown) - 1
        return row, shown - self.starts[row]


@lru_cache(maxsize=64)
def layout_line(line: str, width: int) -> TextLayout:
    """Wrap one line of a text into rows of ``width`` cells, which is at least 2."""
    if _is_plain(line):
        starts = range(0, max(1, len(line)), width)
        return TextLayout(line, starts, bool(line) and len(line) % width == 0)
    parts: list[_Part] = []
    rows = [0]
    source = at = column = 0
    for text in _parts_of(line):
        shown, places = _form(text)
        parts.append(_Part(source, at, shown, places))
        breaks, column = _wrap(shown, column, width)
        rows += [at + each for each in breaks]
        source += len(text)
        at += len(shown)
    shown = "".join(part.shown for part in parts)
    return TextLayout(shown, rows, column == width, tuple(parts))


def _parts_of(line: str) -> Iterator[str]:
    """Yield a line in parts, cut only between grapheme clusters.

    The cuts are at spaces if possible, so that an edit in one part leaves the text, and
    so the cached form, of the other parts unchanged.
    """
    cuts = [0]
    while len(line) - cuts[-1] > _MAX_PART:
        begin = cuts[-1]
        cut = line.find(" ", begin + _PART, begin + _MAX_PART)
        cut = cut if cut > 0 else begin + _MAX_PART
        near = line[begin : cut + 1]
        inside = wcwidth.grapheme_boundary_before(near, len(near))
        cuts.append(begin + (inside or len(near)))
    for begin, end in pairwise([*cuts, len(line)]):
        yield line[begin:end]


@lru_cache(maxsize=1_024)
def _form(text: str) -> tuple[str, Places]:
    return shown_form(text)


@lru_cache(maxsize=1_024)
def _wrap(shown: str, column: int, width: int) -> tuple[tuple[int, ...], int]:
    """Return the offsets at which new rows begin, and the column after the last."""
    if _is_plain(shown):
        first = width - column
        behind = column + len(shown)
        rows = max(0, -(-behind // width) - 1)
        return tuple(first + width * n for n in range(rows)), behind - rows * width
    breaks: list[int] = []
    for index, char in enumerate(shown):
        size = max(0, wcwidth.wcwidth(char))
        if column + size > width:
            breaks.append(index)
            column = 0
        column += size
    return tuple(breaks), column


def _is_plain(text: str) -> bool:
    return text.isascii() and text.isprintable()


def _source(part: _Part) -> int:
    return part.source


def _at(part: _Part) -> int:
    return part.at
