"""Parser for Markdown-lite: bold, italic, code, quotes, links, mentions, shortcodes.

It knows nothing of the screen. A block begins at the beginning of a line; a span ends
on the line on which it begins. Marks that are not closed, or not where a mark can be,
are ordinary text: but for marks with a meaning, every character is kept, in order. The
work is linear in the length of the text, whatever it contains.

    **bold**  *italic*  _italic_  `code`  https://…  @name  :shortcode:
    > a quote
    ```python
    a block of code
    ```
"""

import re
import unicodedata
from collections import deque
from collections.abc import Iterator
from typing import Literal

import wcwidth
from msgspec import Struct

MAX_MARKS = 300
"""A line with more marks is a drawing, or hostile; it is shown as it is."""

SpanKind = Literal["text", "code", "link", "mention", "emoji"]


class Span(Struct, frozen=True, gc=False):
    """A part of a line that is of one kind.

    Attributes:
        text: The text without its marks; of an emoji, the ``:shortcode:``.
        kind: The kind.
        is_bold: Whether it is bold.
        is_italic: Whether it is italic.
    """

    text: str
    kind: SpanKind = "text"
    is_bold: bool = False
    is_italic: bool = False


Spans = tuple[Span, ...]


class Paragraph(Struct, frozen=True):
    """Lines of text, broken as in the message."""

    lines: tuple[Spans, ...]


class Quote(Struct, frozen=True):
    """Quoted lines, without the ``>``."""

    lines: tuple[Spans, ...]


class CodeBlock(Struct, frozen=True):
    """Lines of code.

    Attributes:
        language: The language named at its fence, in lower case, or "".
        lines: The lines between the fences; nothing in them is markup.
    """

    language: str
    lines: tuple[str, ...]


Block = Paragraph | Quote | CodeBlock

_FENCE = re.compile(r" {0,3}(`{3,}|~{3,}) *([\w+#.-]{0,32}) *").fullmatch
_QUOTE = re.compile(r">(?: |$)").match
_TOKEN = re.compile(
    r"(?P<ticks>`+)"
    r"|(?<![a-zA-Z0-9_])(?P<link>(?:https?|ftp|chat)://[^\s<>\"`、。，；！？」』）】》]+)"
    r"|(?<![a-zA-Z0-9_.@/+-])(?P<mention>@[^\W_][^\s\x00-,/:-@\[-^`{-\x7f]*)"
    r"|(?<![\w:])(?P<emoji>:[a-z0-9_+-]{1,50}:)(?![\w:])"
    r"|(?P<delimiter>\*+|_+)",
    re.IGNORECASE,
)
_DELIMITERS = ("*", "**", "***", "_")
# Nearly every line has none of these, and needs no parsing.
_HAS_MARKS = re.compile(r"[`*_@]|://|:[a-z0-9_+-]+:", re.IGNORECASE).search
# Scripts without spaces between words: Thai, Lao, Tibetan, Burmese, Khmer.
_NEEDS_NO_BLANKS = re.compile("[\u0e00-\u109f\u1780-\u17ff]").match
_CLOSERS = {")": "(", "]": "[", "}": "{"}
_LINK_END = ".,;:!?'*_~…"


def parse(text: str) -> list[Block]:
    """Return the blocks of a text.

    Args:
        text: Clean text (``chatd.text.safe``), with its line ends.
    """
    blocks: list[Block] = []
    lines = deque(text.split("\n"))
    while lines:
        fence = _FENCE(lines[0])
        if fence and len(lines) > 1:
            lines.popleft()
            blocks.append(_take_code(lines, fence[1], fence[2]))
        elif _QUOTE(lines[0]):
            quoted = _take_quote(lines)
            blocks.append(Quote(tuple(parse_line(line) for line in quoted)))
        else:
            plain = _take_paragraph(lines)
            blocks.append(Paragraph(tuple(parse_line(line) for line in plain)))
    return blocks


def parse_line(line: str) -> Spans:
    """Return the spans of one line; a line of more than ``MAX_MARKS`` is plain text."""
    if not _HAS_MARKS(line) or sum(map(line.count, "*_`")) > MAX_MARKS:
        return (Span(line),) if line else ()
    return _Reader(line).read()


def links(text: str) -> list[str]:
    """Return the links of a clean text, in order."""
    return [
        span.text
        for block in parse(text)
        if not isinstance(block, CodeBlock)
        for line in block.lines
        for span in line
        if span.kind == "link"
    ]


def _take_code(lines: deque[str], mark: str, language: str) -> CodeBlock:
    taken: list[str] = []
    while lines:
        line = lines.popleft()
        fence = _FENCE(line)
        if fence and not fence[2] and fence[1].startswith(mark):
            break
        taken.append(line)
    return CodeBlock(language.lower(), tuple(taken))


def _take_quote(lines: deque[str]) -> list[str]:
    taken: list[str] = []
    while lines and _QUOTE(lines[0]):
        taken.append(lines.popleft()[2:])
    return taken


def _take_paragraph(lines: deque[str]) -> list[str]:
    taken = [lines.popleft()]
    while lines and not _QUOTE(lines[0]) and not _FENCE(lines[0]):
        taken.append(lines.popleft())
    return taken


class _Part:
    """A part of a line while it is parsed.

    A delimiter is text (``turn`` is 0) until it turns out to be one of a pair; then
    ``turn`` is 1 if it opens, -1 if it closes.
    """

    __slots__ = ("kind", "text", "turn")

    def __init__(self, text: str, kind: SpanKind = "text") -> None:
        self.text = text
        self.kind: SpanKind = kind
        self.turn = 0


class _Reader:
    """Parses the spans of one line, in one pass from left to right."""

    def __init__(self, line: str) -> None:
        self._line = line
        self._parts: list[_Part] = []
        # Indices of delimiters that may still be closed: at most one of each kind.
        self._open: dict[str, int] = {}
        self._ticks = _places_of_ticks(line)

    def read(self) -> Spans:
        line, done = self._line, 0
        while found := _TOKEN.search(line, done):
            if found.start() > done:
                self._add(line[done : found.start()])
            done = self._take(found)
        if done < len(line):
            self._add(line[done:])
        return tuple(self._spans())

    def _add(self, text: str, kind: SpanKind = "text") -> None:
        self._parts.append(_Part(text, kind))

    def _take(self, found: re.Match[str]) -> int:
        """Add the part for a token; return the offset at which parsing goes on."""
        start, end = found.span()
        match found.lastgroup:
            case "ticks":
                return self._take_code(start, end)
            case "link":
                link = _trim_link(found[0])
                self._add(link, "text" if link.endswith("://") else "link")
                return start + len(link)
            case "mention":
                name = _trim_name(found[0])
                self._add(name, "mention")
                return start + len(name)
            case "emoji":
                self._add(found[0], "emoji")
            case _:
                self._take_delimiter(start, end)
        return end

    def _take_code(self, start: int, end: int) -> int:
        places = self._ticks[end - start]
        while places and places[0] <= start:
            places.popleft()
        if not places:
            self._add(self._line[start:end])
            return end
        close = places[0]
        code = self._line[end:close]
        if code.startswith(" `") or code.endswith("` "):
            code = code.removeprefix(" ").removesuffix(" ")
        self._add(code, "code")
        return close + end - start

    def _take_delimiter(self, start: int, end: int) -> None:
        text = self._line[start:end]
        here = len(self._parts)
        self._add(text)
        if text not in _DELIMITERS:
            return
        before, after = self._line[start - 1 : start], self._line[end : end + 1]
        opener = self._open.get(text)
        if opener is not None and not before.isspace() and _is_outer(after):
            self._parts[opener].turn = 1
            self._parts[here].turn = -1
            self._open = {k: i for k, i in self._open.items() if i < opener}
        elif _is_outer(before) and _can_begin(after):
            self._open[text] = here

    def _spans(self) -> Iterator[Span]:
        bold = italic = 0
        text = ""
        for part in self._parts:
            if part.turn == 0 and part.kind == "text":
                text += part.text
                continue
            if text:
                yield Span(text, "text", bold > 0, italic > 0)
                text = ""
            if part.turn:
                bold += part.turn * (len(part.text) > 1)
                italic += part.turn * (len(part.text) != 2)
            else:
                yield Span(part.text, part.kind, bold > 0, italic > 0)
        if text:
            yield Span(text, "text", bold > 0, italic > 0)


def _places_of_ticks(line: str) -> dict[int, deque[int]]:
    """Return the offsets of runs of backticks, by their length."""
    places: dict[int, deque[int]] = {}
    for run in re.finditer("`+", line):
        places.setdefault(len(run[0]), deque()).append(run.start())
    return places


def _is_outer(char: str) -> bool:
    """Whether a delimiter may have this character on its outer side.

    Within a word, as in ``snake_case`` or ``2*3*4``, it is no delimiter; scripts that
    are written without spaces need none around it.
    """
    is_letter = char.isalnum() and not _NEEDS_NO_BLANKS(char)
    return not is_letter or wcwidth.wcwidth(char) == 2


def _can_begin(char: str) -> bool:
    """Whether the text inside delimiters may begin with this character."""
    return bool(char) and not char.isspace() and unicodedata.category(char)[0] != "M"


def _trim_name(mention: str) -> str:
    """Return a mention without trailing characters that cannot belong to a name."""
    for end, char in enumerate(mention[1:], 1):
        # Combining marks (vowel signs, points) are part of many names.
        is_mark = unicodedata.category(char)[0] == "M"
        if not (char.isalnum() or char in "_.-" or is_mark):
            mention = mention[:end]
            break
    return mention.rstrip(".-")


def _trim_link(link: str) -> str:
    """Return a link without trailing punctuation of the sentence around it."""
    depths = {
        closer: link.count(opener) - link.count(closer)
        for closer, opener in _CLOSERS.items()
    }
    end = len(link)
    while end:
        char = link[end - 1]
        if char in _CLOSERS and depths[char] < 0:
            depths[char] += 1
        elif char not in _LINK_END:
            break
        end -= 1
    return link[:end]
