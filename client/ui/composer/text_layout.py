"""A line of what one types as rows of a screen, wherever it is wrapped; pure.

A long line is looked at in parts, each of which is remembered: what a key costs does
not grow with what was typed before it.
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
"""Parts end at the first blank behind so many code points, and here at the latest."""


class _Part(Struct, frozen=True):
    """A part of a line: where it begins, in the text and as it is shown."""

    source: int
    at: int
    shown: str
    places: Places


class TextLayout(Struct, frozen=True):
    """One line, wrapped.

    Attributes:
        shown: The line as it is shown, without a break.
        starts: Where in it rows begin; the first is 0.
        is_full: Whether the last row has no cell left, for the cursor behind it.
    """

    shown: str
    starts: Sequence[int]
    is_full: bool
    parts: tuple[_Part, ...] = ()

    @property
    def count(self) -> int:
        """How many rows it takes; one that is full is followed by an empty one."""
        return len(self.starts) + self.is_full

    def row(self, index: int) -> tuple[int, str]:
        """Return where a row begins in what is shown, and what is in it."""
        if index >= len(self.starts):
            return len(self.shown), ""
        begin = self.starts[index]
        is_last = index + 1 == len(self.starts)
        end = len(self.shown) if is_last else self.starts[index + 1]
        return begin, self.shown[begin:end]

    def to_shown(self, column: int) -> int:
        """Return where in what is shown a code point of the line stands."""
        if not self.parts:
            return column
        part = self.parts[bisect_right(self.parts, column, key=_source) - 1]
        return part.at + part.places[min(column - part.source, len(part.places) - 1)]

    def to_column(self, shown: int) -> int:
        """Return which code point of the line is shown there."""
        if not self.parts:
            return min(shown, len(self.shown))
        part = self.parts[bisect_right(self.parts, shown, key=_at) - 1]
        return part.source + max(0, bisect_right(part.places, shown - part.at) - 1)

    def row_of(self, column: int) -> tuple[int, int]:
        """Return in which row, and where in it, the cursor before a code point is."""
        shown = self.to_shown(column)
        if self.is_full and shown == len(self.shown):
            return len(self.starts), 0
        row = bisect_right(self.starts, shown) - 1
        return row, shown - self.starts[row]


@lru_cache(maxsize=64)
def typed_rows(line: str, width: int) -> TextLayout:
    """Return one line of a text as rows of so many cells, at least 2."""
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
    """Yield a line in parts, cut where nothing joins.

    The cuts follow what is written, so that one that is changed moves no other.
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
    """Return where new rows begin, and the column behind the last character."""
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
