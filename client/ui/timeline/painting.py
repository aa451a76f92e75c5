"""Painting of the timeline: cached cells, and scrolling by the terminal itself.

prompt_toolkit copies each character of each window in each frame, and sends what then
differs from the frame before. In a timeline nearly nothing is new: rows are turned into
cells once, and where all of them have moved up or down, the terminal scrolls them (by a
scroll region, which every terminal has), so that neither side has much to do.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from prompt_toolkit.application import get_app
from prompt_toolkit.cache import FastDictCache
from prompt_toolkit.layout import Window
from prompt_toolkit.layout.mouse_handlers import MouseHandlers
from prompt_toolkit.layout.screen import Char, Screen, WritePosition
from prompt_toolkit.mouse_events import MouseEvent
from prompt_toolkit.output.vt100 import Vt100_Output

from client.terminal.hyperlinks import ESCAPE_STYLE
from client.text.styles import Line
from client.ui.toolkit.renderer import RowRenderer

if TYPE_CHECKING:
    from prompt_toolkit.key_binding.key_bindings import NotImplementedOrNone

    from client.ui.timeline.timeline import Timeline
    from client.ui.timeline.visible_rows import VisibleRow

_CHARS: FastDictCache[tuple[str, str], Char] = FastDictCache(Char, size=100_000)
_EMPTY = Char("", "")


class _Cells(NamedTuple):
    """A row as cells by column, with the escape sequences before some of them."""

    x: int
    style: str
    chars: dict[int, Char]
    escapes: dict[int, str]


class TimelineWindow(Window):
    """The window of a timeline; use it as any other ``Window``.

    Args:
        timeline: The timeline that it shows.
        scrolls_terminal: Whether the terminal may be told to scroll.
    """

    def __init__(self, timeline: "Timeline", *, scrolls_terminal: bool = True) -> None:
        super().__init__(timeline, always_hide_cursor=True)
        self._timeline = timeline
        self._scrolls_terminal = scrolls_terminal
        self._rows: Sequence[VisibleRow | None] = ()
        self._place: tuple[int, int, int, int] = (0, 0, 0, 0)
        self._screen: Screen | None = None

    def write_to_screen(
        self,
        screen: Screen,
        mouse_handlers: MouseHandlers,
        write_position: WritePosition,
        parent_style: str,
        erase_bg: bool,
        z_index: int | None,
    ) -> None:
        """Draw the visible rows of the timeline."""
        at = write_position
        if at.width < 1 or at.height < 1:
            return
        place = (at.xpos, at.ypos, at.width, at.height)
        rows = self._timeline.seen(at.width, at.height)
        if self._scrolls_terminal and place == self._place:
            self._scroll_terminal(rows)
        self._rows, self._place, self._screen = rows, place, screen
        style = f"{parent_style} {self.style}".strip()
        for y, row in enumerate(rows, at.ypos):
            if row is not None:
                cells = _cells_of(row, at.xpos, style)
                screen.data_buffer[y].update(cells.chars)
                if cells.escapes:
                    screen.zero_width_escapes[y].update(cells.escapes)
        screen.visible_windows_to_write_positions[self] = at
        if get_app().renderer.mouse_support():
            self._watch_mouse(mouse_handlers, at)

    def _watch_mouse(self, handlers: MouseHandlers, at: WritePosition) -> None:
        def handle(event: MouseEvent) -> "NotImplementedOrNone":
            if self not in get_app().layout.walk_through_modal_area():
                return NotImplemented
            x, y = event.position.x - at.xpos, event.position.y - at.ypos
            return self._timeline.clicked(event.event_type, x, y)

        handlers.set_mouse_handler_for_range(
            at.xpos, at.xpos + at.width, at.ypos, at.ypos + at.height, handle
        )

    def _scroll_terminal(self, rows: "Sequence[VisibleRow | None]") -> None:
        """Let the terminal scroll the rows that have moved, if most of them have."""
        app = get_app()
        renderer = app.renderer
        # Only if the terminal still shows the frame that was drawn here last.
        is_ours = renderer.last_rendered_screen is self._screen is not None
        if not (is_ours and isinstance(app.output, Vt100_Output)):
            return
        if not isinstance(renderer, RowRenderer):
            return
        count = find_shift(_places(self._rows), _places(rows))
        if count:
            _, top, _, height = self._place
            renderer.scroll(top, top + height, count)


def find_shift(old: Sequence[object], new: Sequence[object]) -> int:
    """Return by how many rows all has moved up (or, if negative, down); 0 for none.

    At least half of the rows must still be there; None stands for an empty row.
    """
    height = len(old)
    if height != len(new) or height < 2 or new[0] == old[0]:
        return 0
    for count in range(1, height // 2 + 1):
        if new[0] is not None and new[0] == old[count]:
            pairs = zip(new, old[count:], strict=False)
            return count if sum(a == b for a, b in pairs) * 2 >= height else 0
        if old[0] is not None and old[0] == new[count]:
            pairs = zip(old, new[count:], strict=False)
            return -count if sum(a == b for a, b in pairs) * 2 >= height else 0
    return 0


def _places(rows: "Sequence[VisibleRow | None]") -> list[object]:
    return [row.placed if row is not None else None for row in rows]


def _cells_of(row: "VisibleRow", x: int, style: str) -> _Cells:
    if row.line is not row.placed.line:
        return _cells(row.line, x, style)
    kept: _Cells | None = row.placed.block.painted.get(row.placed.number)
    if kept is None or kept.x != x or kept.style != style:
        kept = _cells(row.line, x, style)
        row.placed.block.painted[row.placed.number] = kept
    return kept


def _cells(line: Line, x: int, style: str) -> _Cells:
    chars: dict[int, Char] = {}
    escapes: dict[int, str] = {}
    start, last = x, x
    for part_style, text in line:
        if part_style == ESCAPE_STYLE:
            escapes[x] = text
            continue
        full_style = f"{style} {part_style}" if style else part_style
        for letter in text:
            char = _CHARS[letter, full_style]
            if char.width:
                chars[x] = char
                # The second cell of a wide character is empty.
                chars.update((x + n, _EMPTY) for n in range(1, char.width))
                last = x
                x += char.width
            elif last in chars:
                # A character of no width goes into the cell before it.
                chars[last] = _CHARS[chars[last].char + letter, chars[last].style]
    return _Cells(start, style, chars, escapes)
