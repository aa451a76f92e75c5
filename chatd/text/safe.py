"""Sanitizes untrusted text for a terminal, measures it in cells, and wraps it.

Text from a peer passes through ``clean`` once before it is shown, in every frontend:
no control character, no escape sequence and no direction override gets through, and
emoji take one form on which terminals agree. ``display`` is stricter still: the full
screen counts cells per code point where terminals count grapheme clusters, and in the
display form both counts are the same. The original text is what is stored and sent.

Terminals count some vowel signs of Indic and other scripts as part of the letter
before, and others not. In the display form, an unassigned code point of one cell stands
in for each of them; ``client.terminal.combining_output`` draws the sign itself in its
place.
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
_STAND_INS = 0x40000  # offset from the first two planes to planes without characters
_NO_LETTER = -1

# Text that needs no cleaning and has one width however it is counted. Nearly every text
# is like that, so it is checked first. Latin, Greek, Cyrillic, letters of Hebrew and
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
# Invisible, although they are letters by category.
_FILLERS = frozenset("\u115f\u1160\u3164\uffa0")
# The few format characters that writing needs: those of Arabic and Hebrew …
_DIRECTIONS = frozenset("\u200e\u200f\u061c")
# … and visible signs, which span the digits after them.
_SIGNS = frozenset(
    "\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2"
    "\U000110bd\U000110cd"
)


def clean(text: str, *, is_multiline: bool = False) -> str:
    r"""Return ``text`` made safe to print: nothing in it can control a terminal.

    Control characters become visible pictures, line ends become ``\n`` (a space unless
    ``is_multiline``), tabs become spaces, invisible characters are removed, flags
    become ``[JP]``.
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
    """Return ``clean(text)`` in a form that has one width however it is counted.

    ``cells(display(s)) == width(display(s))`` holds for every ``s``. It is for outputs
    that draw vowel signs for their stand-ins (``client.terminal.combining_output``).
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
    """Return the sum of the widths of the code points, as the full screen counts."""
    return sum(map(_cells, text))


def is_agreed(text: str) -> bool:
    """Whether clean text of one line has one width however it is counted."""
    return bool(_is_plain(text)) or cells(text) == width(text)


def clusters(text: str) -> Iterator[str]:
    """Yield the grapheme clusters of display-form text, with their stand-ins."""
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
    """Whether a character combines with the one before it."""
    if char in _SIGNS or char == "\n":
        return False
    return wcwidth.wcwidth(char) == 0 or is_stand_in(char)


@lru_cache(maxsize=4_096)
def is_open(text: str) -> bool:
    """Whether terminals merge what follows, even if it is wide, into the last cell."""
    return wcwidth.width(text + "漢") != wcwidth.width(text) + 2


@lru_cache(maxsize=4_096)
def is_stand_in(char: str) -> bool:
    """Whether a code point stands in for a sign on whose width terminals disagree."""
    code = ord(char) - _STAND_INS
    return 0x300 <= code < 0x20000 and _is_spacing(chr(code))


def has_stand_ins(text: str) -> bool:
    """Whether a text has stand-ins for signs."""
    return _may_have_stand_ins(text) is not None and any(map(is_stand_in, text))


def signs_of(text: str) -> str:
    """Return display-form text with the signs in place of their stand-ins."""
    return "".join(chr(ord(c) - _STAND_INS) if is_stand_in(c) else c for c in text)


def fit(text: str, size: int) -> str:
    """Return clean text cut or padded to exactly ``size`` cells."""
    if width(text) > size:
        text = wcwidth.clip(text, 0, size - 1).rstrip() + "…" if size else ""
    return pad(text, size)


def pad(text: str, size: int) -> str:
    """Return clean text padded on the right to at least ``size`` cells."""
    # In a loop, as a space after an incomplete Indic cluster may add no width.
    while (missing := size - width(text)) > 0:
        text += " " * missing
    return text


def anchored(text: str) -> str:
    """Return clean text that does not reorder what follows it, even if it is Hebrew."""
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
    free_marks = _NO_LETTER  # how many more marks the letter before may carry
    previous = "\n"
    for index, char in enumerate(text):
        shown = _look(char)
        if char == _ZWJ:
            # Kept beside a virama only: elsewhere, it just joins emoji into one.
            around = previous + text[index + 1 : index + 2]
            if free_marks < 2 or not any(map(_is_virama, around)):
                continue
            free_marks -= 1
        elif not shown:
            continue
        elif shown in _DIRECTIONS:
            if previous in _DIRECTIONS:
                continue
            free_marks = _NO_LETTER
        elif not is_mark(shown):
            # On a space, a mark would seem to change what is before the text.
            free_marks = _NO_LETTER if shown in " \n\u3000" else MAX_MARKS
        elif shown == _ZWNJ:
            if free_marks == _NO_LETTER or previous == _ZWNJ:
                continue
        elif free_marks == 0:
            continue
        else:
            if free_marks == _NO_LETTER:
                yield _DOTTED_CIRCLE
                free_marks = MAX_MARKS
            free_marks -= 1
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
    """Whether a mark stands beside its letter and takes cells of its own there."""
    if wcwidth.wcwidth(char) != 0:
        return False
    # Marks newer than Python's tables are recognized by what they do to a letter.
    return unicodedata.category(char) == "Mc" or wcwidth.width(f"x{char}") > 1


@lru_cache(maxsize=4_096)
def _is_disputed(char: str) -> bool:
    return not char.isascii() and (_is_spacing(char) or is_open(f"x{char}"))


_is_part = lru_cache(maxsize=4_096)(is_agreed)


def _settled(text: str) -> Iterator[str]:
    """Yield clean text in parts that have one width, also together."""
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
            # A conjunct of many letters: a non-joiner splits it into visible letters.
            yield part + _ZWNJ
            part = char
    yield part
