"""Text from others made fit for a terminal: harmless, of a known width, and wrapped.

Whatever a peer wrote passes through ``clean`` once before it is shown, in every face:
no control character, no escape sequence and no direction override gets through, and
emoji take one form on which terminals agree. ``display`` is narrower still: a full
screen counts cells per code point where terminals count clusters, and in the display
form both counts are the same. The original text is what is stored and sent.
"""

import re
import unicodedata
from collections.abc import Iterator

import wcwidth

MAX_MARKS = 4
"""How many combining characters one base may carry; the rest is dropped."""

TAB_CELLS = 4

_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_DOTTED_CIRCLE = "\N{DOTTED CIRCLE}"
_ZWJ = "\N{ZERO WIDTH JOINER}"
_VIRAMA = 9  # the canonical combining class of viramas

# Printable and nothing to mend: nearly every text, so it is looked at first.
_is_plain = re.compile(r"[ -~]*").fullmatch
_line_ends = re.compile("\r\n|[\r\v\f\x85\u2028\u2029]")
_flags = re.compile("[\U0001f1e6-\U0001f1ff]{1,2}")
_dropped = re.compile(
    "["
    "\u034f"  # joins graphemes, shows nothing
    "\u180b-\u180f\ufe00-\ufe0f\U000e0100-\U000e01ef"  # variation selectors
    "\u20e3"  # the frame of a keycap; the digit stays
    "\U0001f3fb-\U0001f3ff"  # skin tones
    "\U000e0000-\U000e007f"  # tags, as in the flag of Wales
    "]+"
)
# Shows nothing although it counts as a letter.
_FILLERS = frozenset("\u115f\u1160\u3164\uffa0")
# The few format characters that writing needs: joiner and marks of Arabic and Hebrew …
_KEPT_FORMATS = frozenset("\u200c\u200e\u200f\u061c")
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
        return text
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

    ``cells(display(s)) == width(display(s))`` holds for every ``s``.
    """
    text = clean(text, is_multiline=is_multiline)
    if text.isascii() or _is_agreed(text):
        return text
    clusters = wcwidth.iter_graphemes(text)
    text = "".join(c if _is_agreed(c) else _simplify(c) for c in clusters)
    if _is_agreed(text):
        return text
    # Clusters that agree alone may still join with their new neighbours.
    text = "".join(c[0] for c in wcwidth.iter_graphemes(text))
    return text if _is_agreed(text) else re.sub("[^\n -~]", "?", text)


def width(text: str) -> int:
    """Return how many cells clean text takes on a terminal; of lines, the widest."""
    if text.isascii() and "\n" not in text:
        return len(text)
    return max((wcwidth.width(line) for line in text.split("\n")), default=0)


def cells(text: str) -> int:
    """Return the sum of the widths of the code points, as a full screen counts."""
    return sum(max(0, wcwidth.wcwidth(char)) for char in text)


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
    marks = MAX_MARKS  # nothing to stand on yet
    previous = "\n"
    for char in text:
        category = unicodedata.category(char)
        if category[0] == "M" or char in _KEPT_FORMATS or char == _ZWJ:
            if char == _ZWJ and unicodedata.combining(previous) != _VIRAMA:
                continue  # it only joins emoji into one
            if previous in " \n":
                # It would change the cell before the text.
                yield _DOTTED_CIRCLE
                marks = 0
            marks += 1
            if marks > MAX_MARKS:
                continue
        elif category == "Cf" and char not in _SIGNS:
            continue
        else:
            marks = 0
            if category == "Cs" or char in "\ufffe\uffff":
                char = _REPLACEMENT
            elif char in _FILLERS:
                char = " "
        previous = char
        yield _visible(char)


def _is_agreed(text: str) -> bool:
    return cells(text) == sum(wcwidth.width(line) for line in text.split("\n"))


def _simplify(cluster: str) -> str:
    """Return a cluster without the marks that are counted differently.

    Vowel signs of Indic scripts that stand beside their consonant are one of the cases:
    they become the letter of that vowel, which can be read.
    """
    mended = cluster[0]
    for char in cluster[1:]:
        if _is_agreed(mended + char):
            mended += char
            continue
        name = unicodedata.name(char, "")
        try:
            letter = unicodedata.lookup(name.replace("VOWEL SIGN", "LETTER"))
        except KeyError:
            continue
        if letter != char and _is_agreed(mended + letter):
            mended += letter
    return mended
