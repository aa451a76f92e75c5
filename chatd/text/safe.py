"""Text from others made fit for a terminal: harmless, of a known width, and wrapped.

Whatever a peer wrote passes through ``clean`` once before it is shown, in every face:
no control character, no escape sequence and no direction override gets through, and
emoji take one form on which terminals agree. ``display`` is narrower still: a full
screen counts cells per code point where terminals count clusters, and in the display
form both counts are the same. The original text is what is stored and sent.

Of the vowel signs of Indic and other scripts, terminals count some into the letter
before, others not. In the display form, a code point of one cell that is not assigned
stands for each of them; ``client.terminal.combining_output`` draws the sign itself in
its place.
"""

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache

import wcwidth

MAX_MARKS = 6
"""How many combining characters one base may carry; the rest is dropped."""

TAB_CELLS = 4

_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_DOTTED_CIRCLE = "\N{DOTTED CIRCLE}"
_ZWJ = "\N{ZERO WIDTH JOINER}"
_ZWNJ = "\N{ZERO WIDTH NON-JOINER}"
_LRM = "\N{LEFT-TO-RIGHT MARK}"
_VIRAMA = 9  # the canonical combining class of viramas
_STAND_INS = 0x40000  # into planes that have no characters, from the first two
_NO_LETTER = -1

# Nothing to mend, and of one width whoever counts: nearly every text, so it is looked
# at first. Latin, Greek, Cyrillic, letters of Hebrew and
# Arabic, punctuation, single emoji, kana, ideographs, Hangul.
_is_plain = re.compile(
    "[\n -~\xa0-\xac\xae-\u02ff\u0370-\u0377\u037a-\u037f\u0384-\u0482\u048a-\u052f"
    "\u05d0-\u05ea\u0620-\u064a\u0660-\u066f\u0671-\u06d3"
    "\u1e00-\u1eff\u2010-\u2027\u202f-\u205f\u20a0-\u20bf\u2190-\u23ff\u2500-\u25ff"
    "\u2600-\u27bf\U0001f300-\U0001f3fa\U0001f400-\U0001f64f\U0001f900-\U0001f9ff"
    "\u3000-\u3029\u3041-\u3096\u30a0-\u30ff\u3400-\u9fff\uac00-\ud7a3\uff01-\uff9f]*"
).fullmatch
_may_have_stand_ins = re.compile("[\U00040300-\U0005ffff]").search
_line_ends = re.compile("\r\n|[\r\v\f\x85\u2028\u2029]")
_flags = re.compile("[\U0001f1e6-\U0001f1ff]{1,2}")
_dropped = re.compile(
    "["
    "\u034f"  # joins graphemes, shows nothing
    "\u17b4\u17b5"  # vowels that are not written
    "\u180b-\u180f\ufe00-\ufe0f"  # variation selectors
    "\u2065\ufff0-\ufff8\U000e0000-\U000e0fff"  # never shown; tags, more selectors
    "\u20e3"  # the frame of a keycap; the digit stays
    "\U0001f3fb-\U0001f3ff"  # skin tones
    "]+"
)
# Shows nothing although it counts as a letter.
_FILLERS = frozenset("\u115f\u1160\u3164\uffa0")
# The few format characters that writing needs: those of Arabic and Hebrew …
_DIRECTIONS = frozenset("\u200e\u200f\u061c")
# … and signs that are visible, and span the digits behind them.
_SIGNS = frozenset(
    "\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2"
    "\U000110bd\U000110cd"
)


def clean(text: str, *, is_multiline: bool = False) -> str:
    r"""Return ``text`` so that it can be printed: it holds nothing that acts.

    Control characters become visible pictures, line ends become ``\n`` (or a blank
    where there may be only one line), tabs become blanks, invisible characters go,
    flags become ``[JP]``.
    """
    if _is_plain(text):
        return text if is_multiline else text.replace("\n", " ")
    text = _line_ends.sub("\n", text)
    if not is_multiline:
        text = text.replace("\n", " ")
    text = text.replace("\t", " " * TAB_CELLS)
    if text.isascii():
        return "".join(map(_visible, text))
    text = _flags.sub(_spell_flag, _dropped.sub("", text))
    return "".join(_mend(text))


def display(text: str, *, is_multiline: bool = False) -> str:
    """Return ``clean(text)`` in a form whose width does not depend on who counts.

    ``cells(display(s)) == width(display(s))`` holds for every ``s``. It is for outputs
    that draw what stands for vowel signs (``client.terminal.combining_output``).
    """
    return settle(clean(text, is_multiline=is_multiline))


def settle(text: str) -> str:
    """Return clean text in the display form."""
    if _is_plain(text) or not any(map(_is_disputed, set(text))):
        return text
    return "".join(_settled(text))


def width(text: str) -> int:
    """Return how many cells clean text takes on a terminal; of lines, the widest."""
    if text.isascii() and "\n" not in text:
        return len(text)
    return max(map(wcwidth.width, text.split("\n")))


def cells(text: str) -> int:
    """Return the sum of the widths of the code points, as a full screen counts."""
    return sum(map(_cells, text))


def is_agreed(text: str) -> bool:
    """Whether clean text, on one line, has one width whoever counts."""
    return bool(_is_plain(text)) or cells(text) == width(text)


def clusters(text: str) -> Iterator[str]:
    """Yield the characters of a text in the display form, as people see them."""
    whole = ""
    for cluster in wcwidth.iter_graphemes(text):
        if whole and not is_stand_in(cluster[0]):
            yield whole
            whole = ""
        whole += cluster
    if whole:
        yield whole


@lru_cache(maxsize=4_096)
def is_mark(char: str) -> bool:
    """Whether a character needs another one before it."""
    if char in _SIGNS or char == "\n":
        return False
    return wcwidth.wcwidth(char) == 0 or is_stand_in(char)


@lru_cache(maxsize=4_096)
def is_open(text: str) -> bool:
    """Whether terminals count what follows, even if it is wide, into the last cell."""
    return wcwidth.width(text + "漢") != wcwidth.width(text) + 2


@lru_cache(maxsize=4_096)
def is_stand_in(char: str) -> bool:
    """Whether a code point stands for a sign of which it is disputed what it takes."""
    code = ord(char) - _STAND_INS
    return 0x300 <= code < 0x20000 and _is_spacing(chr(code))


def has_stand_ins(text: str) -> bool:
    """Whether something in a text stands for a sign."""
    return _may_have_stand_ins(text) is not None and any(map(is_stand_in, text))


def signs_of(text: str) -> str:
    """Return text of the display form with the signs that others stand for."""
    return "".join(chr(ord(c) - _STAND_INS) if is_stand_in(c) else c for c in text)


def fit(text: str, size: int) -> str:
    """Return clean text cut or padded to exactly ``size`` cells."""
    if width(text) > size:
        text = wcwidth.clip(text, 0, size - 1).rstrip() + "…" if size else ""
    return pad(text, size)


def pad(text: str, size: int) -> str:
    """Return clean text with blanks behind it, at least ``size`` cells wide."""
    # In a loop, as a blank after an incomplete Indic cluster may count for nothing.
    while (missing := size - width(text)) > 0:
        text += " " * missing
    return text


def anchored(text: str) -> str:
    """Return clean text so that what follows it keeps its place, also beside Hebrew."""
    is_rtl = any(unicodedata.bidirectional(char) in ("R", "AL") for char in text)
    return f"{text}{_LRM}" if is_rtl else text


def wrap(text: str, size: int, *, is_breaking: bool = True) -> list[str]:
    """Return clean text as lines of at most ``size`` cells, if each character fits.

    Args:
        text: May hold line ends, which are kept; an empty text is one empty line.
        size: At least 1.
        is_breaking: Whether words that are longer than a line are broken. A link that
            is left whole can be copied from the terminal in one piece.
    """
    lines: list[str] = []
    for line in text.split("\n"):
        if width(line) <= size:
            lines.append(line)
            continue
        # No cluster is broken, and a wide one needs two cells.
        wrapped = wcwidth.wrap(
            line,
            max(size, 2),
            break_long_words=is_breaking,
            break_on_hyphens=False,
            replace_whitespace=False,
        )
        lines.extend(wrapped or [""])
    return lines


def _visible(char: str) -> str:
    code = ord(char)
    if code == 0x0A or 0x20 <= code < 0x7F or code > 0x9F:
        return char
    if code < 0x20:
        return chr(0x2400 + code)
    return "\N{SYMBOL FOR DELETE}" if code == 0x7F else _REPLACEMENT


def _spell_flag(found: re.Match[str]) -> str:
    return "[" + "".join(chr(ord(c) - 0x1F1E6 + 65) for c in found[0]) + "]"


def _mend(text: str) -> Iterator[str]:
    room = _NO_LETTER  # for more marks on the letter before
    previous = "\n"
    for index, char in enumerate(text):
        shown = _look(char)
        if char == _ZWJ:
            # Elsewhere, it only joins emoji into one.
            around = previous + text[index + 1 : index + 2]
            if room < 2 or not any(map(_is_virama, around)):
                continue
            room -= 1
        elif not shown:
            continue
        elif shown in _DIRECTIONS:
            if previous in _DIRECTIONS:
                continue
            room = _NO_LETTER
        elif not is_mark(shown):
            # On a blank, a mark would seem to change what is before the text.
            room = _NO_LETTER if shown in " \n\u3000" else MAX_MARKS
        elif shown == _ZWNJ:
            if room == _NO_LETTER or previous == _ZWNJ:
                continue
        elif room == 0:
            continue
        else:
            if room == _NO_LETTER:
                yield _DOTTED_CIRCLE
                room = MAX_MARKS
            room -= 1
        previous = shown
        yield shown


@lru_cache(maxsize=4_096)
def _look(char: str) -> str:
    """Return what is shown for a character: mostly itself, "" if it shows nothing."""
    category, code = unicodedata.category(char), ord(char)
    if category == "Cf":
        is_kept = char in _DIRECTIONS or char in _SIGNS or char in (_ZWJ, _ZWNJ)
        return char if is_kept else ""
    if category == "Cs" or code & 0xFFFE == 0xFFFE or 0xFDD0 <= code <= 0xFDEF:
        return _REPLACEMENT
    return " " if char in _FILLERS else _visible(char)


def _is_virama(char: str) -> bool:
    return unicodedata.combining(char) == _VIRAMA and not _is_spacing(char)


@lru_cache(maxsize=4_096)
def _cells(char: str) -> int:
    return max(0, wcwidth.wcwidth(char))


@lru_cache(maxsize=4_096)
def _is_spacing(char: str) -> bool:
    """Whether it is a mark that stands beside its letter and takes cells there."""
    if wcwidth.wcwidth(char) != 0:
        return False
    # Newer ones than Python knows are known by what they do to a letter.
    return unicodedata.category(char) == "Mc" or wcwidth.width(f"x{char}") > 1


@lru_cache(maxsize=4_096)
def _is_disputed(char: str) -> bool:
    return not char.isascii() and (_is_spacing(char) or is_open(f"x{char}"))


_is_part = lru_cache(maxsize=4_096)(is_agreed)


def _settled(text: str) -> Iterator[str]:
    """Yield clean text in parts that have one width whoever counts, also together."""
    part = ""
    for char in text:
        if _is_spacing(char):
            char = chr(ord(char) + _STAND_INS)
        if _cells(char) and not is_open(part):
            yield part
            part = char
        elif _is_part(part + char):
            part += char
        else:
            # Of a conjunct of many letters; each of them can be seen.
            yield part + _ZWNJ
            part = char
    yield part
