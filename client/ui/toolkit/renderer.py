"""A renderer that sends a frame to the terminal row by row; unchanged rows are cheap.

prompt_toolkit compares each cell of both frames to find out what has changed; here
whole rows are compared first, and nearly all are equal. What is not an ordinary frame
(the first one, another size or style, the mouse turned on, the end) is left to it.
"""

from collections.abc import Mapping
from typing import Any

from prompt_toolkit.application import Application
from prompt_toolkit.layout import Layout
from prompt_toolkit.layout.mouse_handlers import MouseHandlers
from prompt_toolkit.layout.screen import Char, Screen, Transparent, WritePosition
from prompt_toolkit.renderer import Renderer

Row = Mapping[int, Char]

_BLANK = Char(" ", Transparent)
_EMPTY: Row = {}
_NONE: Mapping[int, str] = {}


class RowRenderer(Renderer):
    """A renderer of full screens that compares rows before it compares cells."""

    # The terminal's cursor position while a frame is sent, and its current style.
    _x = 0
    _y = 0
    _style: str | None = None
    _has_scrolled = False

    def scroll(self, top: int, bottom: int, count: int) -> None:
        """Let the terminal scroll some rows before the frame being drawn is sent.

        The last frame is changed likewise, so only what then still differs is sent.

        Args:
            top: The first of the rows, counted from 0.
            bottom: The row after the last.
            count: By how many rows they move up; if negative, down.
        """
        screen = self._last_screen
        if screen is None:
            return
        self._has_scrolled = True
        self.output.hide_cursor()
        self.output.write_raw(scroll_region(top, bottom, count))
        self.output.cursor_goto(self._cursor_pos.y + 1, self._cursor_pos.x + 1)
        rows = screen.data_buffer
        moved = {y - count: rows.pop(y) for y in range(top, bottom) if y in rows}
        rows.update((y, row) for y, row in moved.items() if top <= y < bottom)

    def render(
        self, app: Application[Any], layout: Layout, is_done: bool = False
    ) -> None:
        """Draw the layout, and send the terminal what differs from the last frame."""
        size = self.output.get_size()
        before = self._last_screen
        if is_done or before is None or not self._is_ordinary(app):
            super().render(app, layout, is_done)
            self._drop_blanks()
            return
        screen, handlers = Screen(), MouseHandlers()
        screen.show_cursor = False  # until a part of the layout shows it
        layout.container.write_to_screen(
            screen,
            handlers,
            WritePosition(0, 0, size.columns, size.rows),
            parent_style="",
            erase_bg=False,
            z_index=None,
        )
        screen.draw_all_floats()
        self._send(app, before, screen)
        self._last_screen = screen
        self.mouse_handlers = handlers
        app.layout.visible_windows = screen.visible_windows

    def _drop_blanks(self) -> None:
        """Remove the blank cells that prompt_toolkit adds when it compares rows.

        Its screens are default dicts, so each look-up of a missing cell inserts one;
        rows that look alike would not be equal.
        """
        if self._last_screen is None:
            return
        for row in self._last_screen.data_buffer.values():
            for x in [x for x, char in row.items() if char == _BLANK]:
                del row[x]

    def _is_ordinary(self, app: Application[Any]) -> bool:
        """Whether only cells can differ from the frame before."""
        return (
            self._in_alternate_screen
            and self._last_size == self.output.get_size()
            and self._mouse_support_enabled == self.mouse_support()
            and self._attrs_for_style is not None
            and self._last_style_hash == self.style.invalidation_hash()
            and self._last_transformation_hash
            == app.style_transformation.invalidation_hash()
            and self._last_color_depth == app.color_depth
            and self._last_cursor_shape == app.cursor.get_cursor_shape(app)
            and not app.exit_style
        )

    def _send(self, app: Application[Any], before: Screen, screen: Screen) -> None:
        output, last = self.output, self._cursor_pos
        cursor = screen.get_cursor_position(app.layout.current_window)
        old, new = before.data_buffer, screen.data_buffer
        assert self._last_size is not None
        changed = [
            y
            for y in range(self._last_size.rows)
            if new.get(y, _EMPTY) != old.get(y, _EMPTY)
        ]
        is_same = cursor == last and screen.show_cursor == before.show_cursor
        if is_same and not changed and not self._has_scrolled:
            return
        self._has_scrolled = False
        output.hide_cursor()
        self._x, self._y, self._style = last.x, last.y, None
        output.reset_attributes()
        for y in changed:
            escapes = screen.zero_width_escapes.get(y, _NONE)
            self._send_row(y, old.get(y, _EMPTY), new.get(y, _EMPTY), escapes)
        self._move(cursor.x, cursor.y)
        output.reset_attributes()
        if screen.show_cursor:
            output.show_cursor()
        output.flush()
        self._cursor_pos, self._last_style = cursor, None

    def _send_row(self, y: int, old: Row, new: Row, escapes: Mapping[int, str]) -> None:
        output = self.output
        columns = [x for x, char in new.items() if old.get(x) is not char]
        columns += [x for x in old if x not in new]
        columns.sort()
        end, old_end = self._end_of(new), self._end_of(old)
        for x in columns:
            if x >= end:
                break
            char = new.get(x, _BLANK)
            # The second cell of a wide character is sent with the first.
            if char.char and self._differ(char, old.get(x, _BLANK)):
                self._move(x, y)
                if x in escapes:
                    output.write_raw(escapes[x])
                self._put(char)
        if end < old_end:
            self._move(end, y)
            output.reset_attributes()
            self._style = None
            output.erase_end_of_line()

    def _differ(self, char: Char, was: Char) -> bool:
        """Whether two cells look different."""
        assert self._style_string_has_style is not None
        if char.char == was.char == " ":
            has_style = self._style_string_has_style
            if not has_style[char.style] and not has_style[was.style]:
                return False
        return char != was

    def _end_of(self, row: Row) -> int:
        """Return the column after the last cell that does not look empty."""
        assert self._style_string_has_style is not None
        has_style = self._style_string_has_style
        for x in sorted(row, reverse=True):
            if row[x].char != " " or has_style[row[x].style]:
                break
        else:
            return 0
        assert self._last_size is not None
        return min(self._last_size.columns, x + 1)

    def _move(self, x: int, y: int) -> None:
        """Move the cursor to a column and a row, both counted from 0."""
        if y == self._y and x > self._x:
            self.output.cursor_forward(x - self._x)
        elif (x, y) != (self._x, self._y):
            self.output.cursor_goto(y + 1, x + 1)
        self._x, self._y = x, y

    def _put(self, char: Char) -> None:
        if char.style != self._style:
            assert self._attrs_for_style is not None
            attrs = self._attrs_for_style[char.style]
            if self._style is None or attrs != self._attrs_for_style[self._style]:
                assert self._last_color_depth is not None
                self.output.set_attributes(attrs, self._last_color_depth)
            self._style = char.style
        self.output.write(char.char)
        self._x += char.width or 1


def scroll_region(top: int, bottom: int, count: int) -> str:
    """Return the escape sequences that scroll some rows; see ``RowRenderer.scroll``."""
    if count > 0:
        move = f"\x1b[{bottom};1H" + "\n" * count
    else:
        move = f"\x1b[{top + 1};1H" + "\x1bM" * -count
    return f"\x1b[{top + 1};{bottom}r{move}\x1b[r"


def use_row_renderer(app: Application[Any]) -> None:
    """Make a full-screen application, not running yet, use a ``RowRenderer``."""
    usual = app.renderer
    app.renderer = RowRenderer(
        usual.style,
        usual.output,
        full_screen=usual.full_screen,
        mouse_support=usual.mouse_support,
        cpr_not_supported_callback=usual.cpr_not_supported_callback,
    )
