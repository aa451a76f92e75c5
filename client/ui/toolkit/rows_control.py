"""A prompt_toolkit control that shows rows, and asks only for the visible ones."""

from collections.abc import Callable

from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.layout.controls import UIContent, UIControl
from prompt_toolkit.mouse_events import MouseEvent, MouseEventType

from client.text.styles import Line

GetRows = Callable[[int, int], list[Line]]
"""Returns the rows for a width and a height, in cells and lines."""


class RowsControl(UIControl):
    """Shows the rows that a function returns; it is called once for each frame.

    Args:
        get_rows: Returns the visible rows; those beyond the height are cut off.
        on_click: Called with the number of a row that was clicked, counted from 0.
        on_wheel: Called with -1 or 1 for each step of the wheel up or down.
    """

    def __init__(
        self,
        get_rows: GetRows,
        *,
        on_click: Callable[[int], None] | None = None,
        on_wheel: Callable[[int], None] | None = None,
    ) -> None:
        self._get_rows = get_rows
        self._on_click = on_click
        self._on_wheel = on_wheel

    def rows(self, width: int, height: int) -> list[Line]:
        """Return the visible rows, at most ``height``."""
        return self._get_rows(width, height)[:height]

    def create_content(self, width: int, height: int) -> UIContent:
        """Return the visible rows, for a plain ``Window``."""
        rows = self.rows(width, height)

        def get_line(number: int) -> StyleAndTextTuples:
            return list(rows[number]) if number < len(rows) else []

        return UIContent(get_line, line_count=max(1, len(rows)), show_cursor=False)

    def is_focusable(self) -> bool:
        """Return False: it never has the focus."""
        return False

    def mouse_handler(self, mouse_event: MouseEvent) -> None:
        """Handle a mouse event of a plain ``Window``."""
        self.act(mouse_event.event_type, mouse_event.position.y)

    def act(self, event: MouseEventType, row: int) -> None:
        """Handle a mouse event on a row, counted from 0."""
        match event:
            case MouseEventType.MOUSE_UP if self._on_click is not None:
                self._on_click(row)
            case MouseEventType.SCROLL_UP if self._on_wheel is not None:
                self._on_wheel(-1)
            case MouseEventType.SCROLL_DOWN if self._on_wheel is not None:
                self._on_wheel(1)
            case _:
                pass
