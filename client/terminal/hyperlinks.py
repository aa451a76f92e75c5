"""Terminal hyperlinks (OSC 8), for prompt_toolkit, which does not support them.

prompt_toolkit paints only the cells that changed, so a link cannot be opened before its
first cell and closed behind its last: either of the two may not be painted. Therefore
each cell of a link carries its target (as a ``[ZeroWidthEscape]``, which takes no
cells), and ``HyperlinkOutput`` opens and closes links while it writes the cells. The
class of style of a cell names the target as well, so that a cell whose target changes
is painted anew.

https://gist.github.com/egmontkob/eb114294efbcd5adb1944c9f3cb5feda describes OSC 8.
"""

import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import quote

from chatd.text.safe import clusters, has_stand_ins
from client.terminal.combining_output import CombiningOutput
from client.text.styles import Line
from client.text.wrapping import Piece, cells, clip

MAX_TARGET = 2_000
"""Bytes of a target; not all terminals support longer ones."""

ESCAPE_STYLE = "[ZeroWidthEscape]"

_CELL = re.compile("\x1b]8;cell=([0-9a-f]+);([!-~]*)\x1b\\\\")
# Unreserved, reserved, and the percent sign of what is encoded already.
_SAFE = "-._~:/?#[]@!$&'()*+,;=%"
_STYLES = 4_096
# Set by terminals that support OSC 8; the others are known by TERM.
_SIGNS = (
    "KITTY_WINDOW_ID",
    "WEZTERM_PANE",
    "ALACRITTY_WINDOW_ID",
    "KONSOLE_VERSION",
    "WT_SESSION",
    "GHOSTTY_RESOURCES_DIR",
    "ITERM_SESSION_ID",
)
_TERMS = ("xterm-kitty", "xterm-ghostty", "alacritty", "foot", "wezterm", "contour")
_MIN_VTE = 5_000  # 0.50
_MIN_TMUX = (3, 4)


def to_line(row: Iterable[Piece], is_linked: bool) -> Line:
    """Return a row as a line of styled text.

    Args:
        row: Pieces, some with links.
        is_linked: Whether the output is a ``HyperlinkOutput`` and may open them.
    """
    line: Line = []
    for piece in tagged(row):
        target = target_of(piece.link) if is_linked and piece.link else ""
        if target:
            line += _linked_cells(piece, target)
        else:
            # The no-break space has done its work, and would be underlined.
            line.append((piece.style, piece.text.replace("\xa0", " ")))
    return line


def tagged(row: Iterable[Piece]) -> Iterator[Piece]:
    """Yield the pieces of a row, with each letter that has vowel signs on its own.

    A sign may be drawn within the cell of its letter, so neither may be painted without
    the other: both get a class of style made of both, so that if one changes, both do.
    """
    for piece in row:
        if not has_stand_ins(piece.text):
            yield piece
            continue
        for cluster in clusters(piece.text):
            number = zlib.crc32(cluster.encode()) % _STYLES
            tag = f" class:sign.s{number}" if has_stand_ins(cluster) else ""
            style = f"{piece.style}{tag}".lstrip()
            yield piece._replace(style=style, text=cluster)


def split_line(line: Line, size: int) -> tuple[Line, Line]:
    """Return the first ``size`` cells of a line, and the rest of it."""
    before: Line = []
    for number, (style, text) in enumerate(line):
        if style == ESCAPE_STYLE:
            before.append((style, text))
            continue
        if cells(text) > size:
            part = clip([Piece(style, text)], size)[0].text
            return [*before, (style, part)], [
                (style, text[len(part) :]),
                *line[number + 1 :],
            ]
        before.append((style, text))
        size -= cells(text)
        if not size:
            return before, line[number + 1 :]
    return before, []


def target_of(link: str) -> str:
    """Return a link as a target in printable ASCII, or "" if it cannot be one."""
    target = quote(link, safe=_SAFE)
    return target if len(target) <= MAX_TARGET else ""


def has_hyperlinks(environment: Mapping[str, str]) -> bool:
    """Whether the terminal is known to support OSC 8."""
    if environment.get("STY"):
        return False  # screen does not pass it on
    if environment.get("TMUX"):
        version = environment.get("TERM_PROGRAM_VERSION", "")
        found = re.match(r"(\d+)\.(\d+)", version)
        return found is not None and (int(found[1]), int(found[2])) >= _MIN_TMUX
    vte = environment.get("VTE_VERSION", "")
    if vte.isascii() and vte.isdigit() and int(vte) >= _MIN_VTE:
        return True
    term = environment.get("TERM", "")
    return term.startswith(_TERMS) or any(environment.get(sign) for sign in _SIGNS)


class HyperlinkOutput(CombiningOutput):
    """A terminal output that opens and closes the links of the painted cells."""

    # The expected text of the next cell, and its target; and the target that is open.
    _next: tuple[str, str] | None = None
    _open = ""

    def write_raw(self, data: str) -> None:
        """Write an escape sequence; hold back that of a link until its cell."""
        if data.startswith("\x1b]8;cell="):
            # Of several layers, the uppermost was painted last.
            found = _CELL.findall(data)[-1]
            self._next = (chr(int(found[0], 16)), found[1])
        else:
            super().write_raw(data)

    def write(self, data: str) -> None:
        """Write text, as a link if it belongs to one."""
        following, self._next = self._next, None
        # Something else may lie over the cell that has the link.
        is_it = following is not None and data.startswith(following[0])
        self._switch(following[1] if following and is_it else "")
        super().write(data)

    def erase_end_of_line(self) -> None:
        """Erase the rest of the line, with no link open."""
        self._switch("")
        super().erase_end_of_line()

    def erase_down(self) -> None:
        """Erase the rest of the screen, with no link open."""
        self._switch("")
        super().erase_down()

    def erase_screen(self) -> None:
        """Erase the screen, with no link open."""
        self._switch("")
        super().erase_screen()

    def flush(self) -> None:
        """Close the open link, and write everything to the terminal."""
        self._switch("")
        super().flush()

    def _switch(self, target: str) -> None:
        if target == self._open:
            return
        self._open = target
        # With the same id, the parts on several rows are one link.
        name = f"id={zlib.crc32(target.encode()):x}" if target else ""
        super().write_raw(f"\x1b]8;{name};{target}\x1b\\")


def _linked_cells(piece: Piece, target: str) -> Line:
    number = zlib.crc32(target.encode()) % _STYLES
    style = piece.style.replace("class:link", f"class:link.t{number}")
    line: Line = []
    for char in piece.text:
        if cells(char):
            line.append((ESCAPE_STYLE, f"\x1b]8;cell={ord(char):x};{target}\x1b\\"))
        line.append((style, char))
    return line
