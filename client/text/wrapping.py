"""Wrapping of styled text into rows whose width all terminals agree on.

Text comes in the display form (``chatd.text.safe.display``). Cells are counted by code
point, as the full screen does; each row is checked to be as wide by clusters, as some
terminals count. No cluster is broken, and a link only if it is wider than a row.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import groupby
from typing import NamedTuple

from chatd.text import safe as texts
from chatd.text.safe import clusters, is_agreed, is_open, settle


class Piece(NamedTuple):
    """A part of a row.

    Attributes:
        style: A style of prompt_toolkit.
        text: In the display form, without line ends.
        link: The whole link of which it is a part, which is kept on one row if
            possible; "" if it is none.
    """

    style: str
    text: str
    link: str = ""


Row = list[Piece]

# Scripts that are written without blanks, which break between any two characters …
_IDEOGRAPHS = re.compile(
    "[\u3000\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
).match
# … but for these, which do not begin a row.
_CLOSING = frozenset("、。，．：；！？）」』】》…ー々")
_ZWNJ = "\N{ZERO WIDTH NON-JOINER}"
_TAIL = 32  # more code points than are counted together
_WORDS = re.compile(" +|[^ ]+").finditer
_MIN_BROKEN_CELLS = 8
"""A word that must be broken begins on a row with at least so many free cells."""


def cells(text: str) -> int:
    """Return how many cells a clean text without line ends takes."""
    return len(text) if text.isascii() else _counted(text)


# Each row is counted several times on its way.
_counted = lru_cache(maxsize=4_096)(texts.cells)


def wrap_pieces(
    pieces: Sequence[Piece], size: int, first: int | None = None
) -> Iterator[Row]:
    """Yield the rows of one line of text, broken between words.

    Blanks at which a row is broken are left out; all else is kept, in order.

    Args:
        pieces: The line.
        size: Cells of a row, at least 1.
        first: Cells of the first row, where that differs.
    """
    text = "".join(piece.text for piece in pieces)
    first = size if first is None else first
    if cells(text) <= first:
        yield mend(pieces)
        return
    ends = _Wrapper(size, first)
    for start, end, is_link in _sections(pieces):
        if is_link:
            ends.add_link(start, text[start:end])
        else:
            ends.add_text(start, text[start:end])
    yield from map(mend, _slices(pieces, ends.finish()))


def cut_pieces(
    pieces: Sequence[Piece], size: int, first: int | None = None
) -> Iterator[Row]:
    """Yield the rows of one line of code, broken wherever a row is full."""
    text = "".join(piece.text for piece in pieces)
    ends = _Wrapper(size, size if first is None else first)
    ends.break_word(0, text)
    yield from map(mend, _slices(pieces, ends.finish()))


def clip(pieces: Iterable[Piece], size: int) -> Row:
    """Return as much of a row as fits into ``size`` cells."""
    row: Row = []
    for piece in pieces:
        taken = cells(piece.text)
        if taken <= size:
            row.append(piece)
            size -= taken
            continue
        text = ""
        for cluster in clusters(piece.text):
            size -= cells(cluster)
            if size < 0:
                break
            text += cluster
        return [*row, piece._replace(text=text)]
    return row


def mend(pieces: Sequence[Piece]) -> Row:
    """Return a row whose width is the same by code points and by clusters.

    Text that was cut, or lost a mark in between, may have another width beside its new
    neighbours. Then a zero-width non-joiner separates them; if that does not help, all
    beyond ASCII becomes ``?``. The row never gets wider.
    """
    if _is_agreed(pieces):
        return list(pieces)
    row: Row = []
    before = ""
    for piece in pieces:
        text = settle(piece.text)
        if is_open(before[-_TAIL:]):
            text = f"{_ZWNJ}{text}"
        row.append(piece._replace(text=text))
        before += text
    if not _is_agreed(row):
        row = [piece._replace(text=_signs(piece.text)) for piece in row]
    return row


def _is_agreed(pieces: Iterable[Piece]) -> bool:
    return is_agreed("".join([piece.text for piece in pieces]))


def _signs(text: str) -> str:
    return "".join(char if char.isascii() else "?" * cells(char) for char in text)


def _sections(pieces: Iterable[Piece]) -> Iterator[tuple[int, int, bool]]:
    """Yield where links and the text between them begin and end."""
    start = 0
    for link, group in groupby(pieces, lambda piece: piece.link):
        end = start + sum(len(piece.text) for piece in group)
        yield start, end, bool(link)
        start = end


def _slices(pieces: Sequence[Piece], spans: Iterable[tuple[int, int]]) -> Iterator[Row]:
    """Yield the parts of a line; the spans are in order and do not overlap."""
    index = begin = 0
    for start, end in spans:
        row: Row = []
        while index < len(pieces):
            piece = pieces[index]
            text = piece.text[max(0, start - begin) : max(0, end - begin)]
            if text:
                row.append(piece if text == piece.text else piece._replace(text=text))
            if begin + len(piece.text) > end:
                break
            begin += len(piece.text)
            index += 1
        yield row


class _Wrapper:
    """Finds where the rows of one line begin and end, from left to right."""

    def __init__(self, size: int, first: int) -> None:
        self._spans: list[tuple[int, int]] = []
        self._size = size
        self._limit = first  # of the row that is being filled
        self._start = self._end = 0  # of that row, so far
        self._used = 0  # its cells
        self._blanks = 0  # behind it, taken only if a word follows
        self._has_word = False

    def finish(self) -> list[tuple[int, int]]:
        """Return the rows; one without a word only if the line has no word."""
        if self._has_word or not self._spans:
            self._spans.append((self._start, self._end))
        return self._spans

    def add_text(self, start: int, text: str) -> None:
        for found in _WORDS(text):
            place, word = start + found.start(), found[0]
            if word[0] == " ":
                self._add_blanks(place, len(word))
            elif word.isascii():
                self._add_word(place, word, len(word))
            else:
                for part_start, part in _parts(word):
                    self._add_word(place + part_start, part, cells(part))

    def add_link(self, start: int, link: str) -> None:
        taken = cells(link)
        if taken > self._free:
            self._break(start)
        self._add_word(start, link, taken)

    def break_word(self, start: int, word: str) -> None:
        """Add a word in parts, each as much as fits on a row."""
        if not word.isascii():
            self._break_clusters(start, word)
            return
        done = 0
        while done < len(word):
            if self._free <= 0 and self._has_word:
                self._break(start + done)
            taken = min(max(1, self._free), len(word) - done)
            self._append(start + done, taken, taken)
            done += taken

    def _break_clusters(self, start: int, word: str) -> None:
        for cluster in clusters(word):
            # A cluster of many letters may be wider than any row.
            whole = cells(cluster) <= self._limit
            for part in (cluster,) if whole else cluster:
                taken = cells(part)
                if taken > self._free and self._has_word:
                    self._break(start)
                self._append(start, len(part), taken)
                start += len(part)

    @property
    def _free(self) -> int:
        return self._limit - self._used - self._blanks

    def _add_word(self, start: int, word: str, taken: int) -> None:
        is_too_long = taken > self._size
        if taken > self._free and not (is_too_long and self._free >= _MIN_BROKEN_CELLS):
            self._break(start)
        if taken > self._free:
            self.break_word(start, word)
        else:
            self._append(start, len(word), taken)

    def _add_blanks(self, start: int, count: int) -> None:
        if self._has_word:
            self._blanks += count
        elif not self._spans:
            # The indentation of the line, cut to half a row.
            self._used = min(count, self._limit // 2)
            self._end = start + count
            self._start = self._end - self._used

    def _append(self, start: int, length: int, taken: int) -> None:
        if not self._has_word and not self._used:
            self._start = start
        self._used += self._blanks + taken
        self._blanks = 0
        self._end = start + length
        self._has_word = True

    def _break(self, start: int) -> None:
        """Begin a new row; drop an empty one, unless it is the first, behind a head."""
        if self._has_word:
            self._spans.append((self._start, self._end))
        elif not self._spans and self._limit < self._size:
            self._spans.append((self._start, self._start))
        self._start = self._end = start
        self._used = self._blanks = 0
        self._has_word = False
        self._limit = self._size


def _parts(word: str) -> Iterator[tuple[int, str]]:
    """Yield the parts between which a word may be broken, and where they begin."""
    start = end = 0
    may_break = False
    for cluster in clusters(word):
        is_ideograph = _IDEOGRAPHS(cluster) is not None
        if (may_break or is_ideograph) and end > start and cluster not in _CLOSING:
            yield start, word[start:end]
            start = end
        end += len(cluster)
        may_break = is_ideograph or cluster in _CLOSING
    yield start, word[start:]
