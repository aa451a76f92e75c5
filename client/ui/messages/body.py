"""Renders the text of a message as rows: its markup, wrapped, folded if very long."""

import math
import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import chain, islice, pairwise

from chatd.text.safe import clean, display, settle
from client.model.chat import mention_of
from client.text.styles import colour_of
from client.text.wrapping import Piece, Row, cells, cut_pieces, wrap_pieces
from client.ui.messages.highlight import highlight
from client.ui.messages.markup import CodeBlock, Paragraph, Quote, Span, Spans, parse
from client.ui.messages.rowstyle import RowStyle

MENTION = "class:mention"
"""The style of a text that mentions the user."""

MAX_ROWS = 20
"""A message of more rows is folded."""

SHOWN_ROWS = 10
"""How many rows a folded message shows, before one that says how many are hidden."""

_words = re.compile(" +|[^ ]+").findall
_BAR = "│ "
_BAR_CELLS = 2
# At first only about this many rows of text are wrapped; if they exceed ``MAX_ROWS``,
# the rest is just estimated, so that the work does not grow with a folded text.
_ROWS_READ = 24


def body_rows(
    text: str,
    style: RowStyle,
    *,
    base: str = "",
    lead: Sequence[Piece] = (),
    first: int | None = None,
    before: Sequence[Row] = (),
    is_unfolded: bool = False,
) -> list[Row]:
    """Return the rows of a message's text.

    Args:
        text: The text, as it came from the server.
        style: The style of the rows.
        base: The style classes of all of the text.
        lead: Pieces right before the text, on its first line.
        first: The cells of the very first row, if that is narrower.
        before: Rows of the same message above the text; folded together with it.
        is_unfolded: Whether to return all rows, however many.
    """
    size = style.text_size
    if before:
        first = None
    if is_unfolded:
        return [*before, *text_rows(text, style, base, lead, first)]
    part = text[: max(1_000, _ROWS_READ * size)]
    while True:
        rows = chain(before, text_rows(part, style, base, lead, first))
        found = list(islice(rows, MAX_ROWS + 1))
        if len(found) > MAX_ROWS:
            hidden = max(1, len(before) + _count(text, part, size) - SHOWN_ROWS)
            return fold(found, hidden, style)
        if len(part) == len(text):
            return found
        part = text[: 4 * len(part)]


def fold(rows: Sequence[Row], hidden: int, style: RowStyle) -> list[Row]:
    """Return the first rows, and one that says how many more there are."""
    lines = "1 more line" if hidden == 1 else f"{hidden:,} more lines"
    said = Piece("class:folded", f"… {lines} ({style.fold_hint})")
    return [*rows[:SHOWN_ROWS], *wrap_pieces([said], style.text_size)]


def text_rows(
    text: str,
    style: RowStyle,
    base: str = "",
    lead: Sequence[Piece] = (),
    first: int | None = None,
) -> Iterator[Row]:
    """Yield the rows of a text, one after the other; see ``body_rows``."""
    text = clean(text, is_multiline=True).rstrip("\n ")
    if style.is_bare:
        for line in text.split("\n"):
            words = [_word(word) for word in _words(line)]
            yield from wrap_pieces(words, style.text_size)
        return
    blocks = parse(text)
    if lead and not isinstance(blocks[0], Paragraph):
        yield from wrap_pieces(lead, style.text_size, first)
        lead, first = (), None
    for block in blocks:
        match block:
            case CodeBlock():
                rows = _code_rows(block, style.text_size, first)
            case Quote():
                rows = _quote_rows(block, style, base, first)
            case _:
                rows = _paragraph_rows(block, style, base, lead, first)
        yield from rows
        lead, first = (), None


def _paragraph_rows(
    block: Paragraph,
    style: RowStyle,
    base: str,
    lead: Sequence[Piece],
    first: int | None,
) -> Iterator[Row]:
    for line in block.lines:
        pieces = [*lead, *_pieces(line, style, base)]
        yield from wrap_pieces(pieces, style.text_size, first)
        lead, first = (), None


def _quote_rows(
    block: Quote, style: RowStyle, base: str, first: int | None
) -> Iterator[Row]:
    base = f"{base} class:quote".lstrip()
    bar = Piece("class:quote", _BAR)
    size = max(1, style.text_size - _BAR_CELLS)
    first = None if first is None else max(1, first - _BAR_CELLS)
    for line in block.lines:
        for row in wrap_pieces(_pieces(line, style, base), size, first):
            yield [bar, *row]
        first = None


def _code_rows(block: CodeBlock, size: int, first: int | None) -> Iterator[Row]:
    bar = Piece("class:code.bar", _BAR)
    size = max(1, size - _BAR_CELLS)
    first = None if first is None else max(1, first - _BAR_CELLS)
    # A block without lines still shows as one empty row.
    lines = tuple(map(settle, block.lines)) or ("",)
    for line in highlight(lines, block.language):
        for row in cut_pieces(line, size, first):
            yield [bar, *row]
        first = None


def _pieces(spans: Spans, style: RowStyle, base: str) -> list[Piece]:
    pieces = [_piece(span, style, base) for span in spans]
    if style.me and base == MENTION:
        pieces = mark(pieces, mention_of(display(style.me)), "class:at.me")
    if style.highlight:
        pieces = mark(pieces, _pattern(style.highlight), "class:match")
    return pieces


def _word(word: str) -> Piece:
    return Piece("", settle(word), word if "://" in word else "")


def _piece(span: Span, style: RowStyle, base: str) -> Piece:
    text, classes = settle(span.text), [base] if base else []
    if span.is_bold:
        classes.append("class:strong")
    if span.is_italic:
        classes.append("class:emphasis")
    match span.kind:
        case "link":
            return Piece(" ".join([*classes, "class:link"]), text, span.text)
        case "code":
            classes.append("class:code")
        case "mention":
            classes += ["class:at", colour_of(span.text[1:].lower())]
        case "emoji":
            text = display(style.emoji(text[1:-1].lower()) or "") or text
        case _:
            pass
    return Piece(" ".join(classes), text)


def mark(pieces: Sequence[Piece], pattern: re.Pattern[str], style: str) -> list[Piece]:
    """Return the pieces of a line, with a further style where a pattern matches."""
    text = "".join(piece.text for piece in pieces)
    # Offsets at which the style is turned on and off, alternately.
    turns = [turn for found in pattern.finditer(text) for turn in found.span()]
    if not turns:
        return list(pieces)
    marked: list[Piece] = []
    begin = 0
    for piece in pieces:
        end = begin + len(piece.text)
        first = bisect_right(turns, begin)
        last = bisect_left(turns, end)
        places = [begin, *turns[first:last], end]
        for number, (a, b) in enumerate(pairwise(places), first):
            if a < b:
                classes = f"{piece.style} {style}".lstrip()
                part = piece._replace(text=text[a:b])
                marked.append(part._replace(style=classes) if number % 2 else part)
        begin = end
    return marked


@lru_cache(maxsize=16)
def _pattern(word: str) -> re.Pattern[str]:
    return re.compile(re.escape(display(word)), re.IGNORECASE)


def _count(text: str, part: str, size: int) -> int:
    """Estimate how many rows a text has, without wrapping it.

    The cells per code point are measured on ``part``, the beginning of the text.
    """
    per_char = cells(part) / max(1, len(part)) / size
    return sum(max(1, math.ceil(len(line) * per_char)) for line in text.split("\n"))
