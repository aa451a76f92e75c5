"""The layout of the full screen at any size, and a window that draws rows quickly."""

from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from prompt_toolkit.application import get_app
from prompt_toolkit.layout import Container, Window
from prompt_toolkit.layout.mouse_handlers import MouseHandlers
from prompt_toolkit.layout.screen import Char, Screen, WritePosition
from prompt_toolkit.mouse_events import MouseEvent
from prompt_toolkit.styles import BaseStyle

from chatd.text.safe import cells as count_cells
from client.ui.toolkit.manual_layout import Draw, ManualLayout
from client.ui.toolkit.rows_control import RowsControl

if TYPE_CHECKING:
    from prompt_toolkit.key_binding.key_bindings import NotImplementedOrNone

MIN_TIMELINE = 3
"""How many rows of the timeline stay visible, however much is typed."""

_BORDER = Char("│", "class:border")


class Widths(NamedTuple):
    """The widths of the panels in cells; 0 for one that is not shown.

    Attributes:
        chats: The chat list, on the left.
        people: The member list, on the right.
    """

    chats: int
    people: int


class Parts(NamedTuple):
    """The parts of the screen.

    Attributes:
        header: The top row.
        chats: The chat list, on the left.
        timeline: Takes the space that the others leave.
        people: The member list, on the right.
        status: The row above the composer.
        composer: Has its preferred height, as far as there is space.
        rest: Never visible; has the focus while there is no input.
    """

    header: Container
    chats: Container
    timeline: Container
    people: Container
    status: Container
    composer: Container
    rest: Window


class ScreenLayout(ManualLayout):
    """The layout of everything but dialogs, for each size of the terminal.

    Args:
        parts: The parts of the screen.
        is_bare: Returns whether only the timeline is shown.
        is_asking: Returns whether the composer asks a question, and needs its height.
        widths: Returns the widths of the panels.
    """

    def __init__(
        self,
        parts: Parts,
        is_bare: Callable[[], bool],
        is_asking: Callable[[], bool],
        widths: Callable[[], Widths],
    ) -> None:
        super().__init__(parts)
        self._parts = parts
        self._is_bare = is_bare
        self._is_asking = is_asking
        self._widths = widths

    def place(self, screen: Screen, at: WritePosition, draw: Draw) -> None:
        """Draw the parts that fit."""
        parts = self._parts
        if self._is_bare():
            draw(parts.timeline, 0, 0, at.width, at.height)
            return
        heights = divide(at.height, self._wanted(at), self._is_asking())
        top, bottom = heights.header, heights.header + heights.timeline
        draw(parts.header, 0, 0, at.width, heights.header)
        left, right = self._widths()
        edge = at.width - right
        draw(parts.chats, 0, top, left, heights.timeline)
        draw(parts.people, edge, top, right, heights.timeline)
        for y in range(at.ypos + top, at.ypos + bottom):
            if left:
                screen.data_buffer[y][at.xpos + left] = _BORDER
            if right:
                screen.data_buffer[y][at.xpos + edge - 1] = _BORDER
        begin, end = left + bool(left), edge - bool(right)
        draw(parts.timeline, begin, top, end - begin, heights.timeline)
        draw(parts.status, 0, bottom, at.width, heights.status)
        y = bottom + heights.status
        draw(parts.composer, 0, y, at.width, at.height - y)

    def _wanted(self, at: WritePosition) -> int:
        composer = self._parts.composer
        return composer.preferred_height(at.width, at.height).preferred


class Heights(NamedTuple):
    """The heights of the parts, in rows."""

    header: int
    timeline: int
    status: int
    composer: int


def divide(rows: int, wanted: int, is_asking: bool = False) -> Heights:
    """Return how rows are divided; the header gives way first, then the status line.

    Args:
        rows: How many there are.
        wanted: The preferred height of the composer; it may get fewer.
        is_asking: Whether the composer comes before the timeline too.
    """
    least = 0 if is_asking else MIN_TIMELINE + 2
    composer = min(rows, max(1, min(wanted, rows - least)))
    left = rows - composer
    status = int(left >= 2)
    header = int(left >= 3)
    return Heights(header, left - status - header, status, composer)


class RowsWindow(Window):
    """A window that draws the rows of a control; rows drawn before are cached.

    Args:
        control: Returns the rows.
        style: The style of the whole window.
    """

    def __init__(self, control: RowsControl, style: str = "") -> None:
        super().__init__(control, style=style, always_hide_cursor=True)
        self._rows = control

    def write_to_screen(
        self,
        screen: Screen,
        mouse_handlers: MouseHandlers,
        write_position: WritePosition,
        parent_style: str,
        erase_bg: bool,
        z_index: int | None,
    ) -> None:
        """Draw the rows, and spaces below them."""
        app, at = get_app(), write_position
        style = f"{parent_style} {self.style}".strip()
        rows = self._rows.rows(at.width, at.height)
        for y in range(at.height):
            row = tuple(rows[y]) if y < len(rows) else ()
            chars = _chars(row, at.xpos, at.width, style, app.renderer.style)
            if chars:
                screen.data_buffer[at.ypos + y].update(chars)
        screen.visible_windows_to_write_positions[self] = at
        if app.renderer.mouse_support():
            self._watch_mouse(mouse_handlers, at)

    def _watch_mouse(self, handlers: MouseHandlers, at: WritePosition) -> None:
        def handle(event: MouseEvent) -> "NotImplementedOrNone":
            if self not in get_app().layout.walk_through_modal_area():
                return NotImplemented
            self._rows.act(event.event_type, event.position.y - at.ypos)
            return None

        handlers.set_mouse_handler_for_range(
            at.xpos, at.xpos + at.width, at.ypos, at.ypos + at.height, handle
        )


@lru_cache(maxsize=2_000)
def _chars(
    row: tuple[tuple[str, str], ...], x: int, width: int, style: str, sheet: BaseStyle
) -> dict[int, Char]:
    """Return the cells of a row by column, without spaces that are invisible."""
    chars: dict[int, Char] = {}
    end = x + width
    last = x
    for part_style, text in [*row, ("", " " * width)]:
        full_style = f"{style} {part_style}".strip()
        has_blanks = _shows_blanks(full_style, sheet)
        # A no-break space looks like any other.
        for letter in text.replace("\xa0", " "):
            size = count_cells(letter)
            if x + size > end:
                break
            if not size:
                # A combining character goes into the cell of its base.
                if last in chars:
                    before = chars[last]
                    chars[last] = Char(before.char + letter, before.style)
                continue
            if letter != " " or has_blanks:
                chars[x] = Char(letter, full_style)
                chars.update((x + n, Char("", "")) for n in range(1, size))
            last = x
            x += size
    return chars


@lru_cache(maxsize=500)
def _shows_blanks(style: str, sheet: BaseStyle) -> bool:
    """Whether a space of this style looks different from an empty cell."""
    attrs = sheet.get_attrs_for_style_str(style)
    return bool(attrs.bgcolor or attrs.underline or attrs.reverse or attrs.strike)
