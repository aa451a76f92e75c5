"""The control that shows the composer's text; only visible rows are laid out.

The control of prompt_toolkit measures and wraps whole lines for every key. Here the
scroll position is kept as a row of a line, and rows are made from there on.
"""

from collections.abc import Callable, Iterator

from msgspec import Struct
from prompt_toolkit.application.current import get_app
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.data_structures import Point
from prompt_toolkit.document import Document
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.key_binding import KeyBindingsBase
from prompt_toolkit.layout import BufferControl, UIContent
from prompt_toolkit.layout.controls import GetLinePrefixCallable
from prompt_toolkit.mouse_events import MouseButton, MouseEvent, MouseEventType

from chatd.text.safe import display, fit
from client.terminal.hyperlinks import tagged
from client.text.wrapping import Piece
from client.ui.composer.text_layout import layout_line

_MIN_WIDTH = 2

Place = tuple[int, int]
"""A row: the number of its line in the text, and its number within that line."""


class _Layout(Struct, frozen=True):
    """The content that was made last, and what it was made of."""

    document: Document
    size: tuple[int, int]
    hint: str
    places: tuple[Place, ...]
    content: UIContent


class InputControl(BufferControl):
    """Shows the text of a buffer, wrapped, with the cursor in it.

    Args:
        buffer: The text that is typed.
        hint: Returns the placeholder that is shown while nothing is typed.
        key_bindings: The keys of text input.
    """

    def __init__(
        self,
        buffer: Buffer,
        hint: Callable[[], str],
        key_bindings: KeyBindingsBase | None = None,
    ) -> None:
        super().__init__(buffer, key_bindings=key_bindings, focus_on_click=True)
        self._hint = hint
        self._top: Place = (0, 0)
        self._layout: _Layout | None = None

    def preferred_height(
        self,
        width: int,
        max_available_height: int,
        wrap_lines: bool,
        get_line_prefix: GetLinePrefixCallable | None,
    ) -> int:
        """Return how many rows the text has, at most ``max_available_height``."""
        rows = 0
        for line in self.buffer.document.lines:
            rows += layout_line(line, max(_MIN_WIDTH, width)).count
            if rows >= max_available_height:
                return max_available_height
        return rows

    def create_content(
        self, width: int, height: int, preview_search: bool = False
    ) -> UIContent:
        """Return the visible rows, at most ``height``."""
        document, hint = self.buffer.document, self._hint()
        size = max(_MIN_WIDTH, width), max(1, height)
        layout = self._layout
        if (
            layout is None
            or layout.document is not document
            or (layout.size, layout.hint) != (size, hint)
        ):
            layout = self._layout = self._make(document, size, hint)
        layout.content.menu_position = self._menu_position(layout)
        return layout.content

    def mouse_handler(self, mouse_event: MouseEvent) -> object:
        """Handle a mouse event: a click moves the cursor, dragging selects text."""
        if get_app().layout.current_control is not self or self._layout is None:
            return super().mouse_handler(mouse_event)
        buffer, kind = self.buffer, mouse_event.event_type
        index = self._index_at(self._layout, mouse_event.position)
        if kind == MouseEventType.MOUSE_DOWN:
            buffer.exit_selection()
            buffer.cursor_position = index
        elif kind == MouseEventType.MOUSE_MOVE:
            is_drag = mouse_event.button != MouseButton.NONE
            if is_drag and index != buffer.cursor_position:
                if buffer.selection_state is None:
                    buffer.start_selection()
                buffer.cursor_position = index
        elif kind != MouseEventType.MOUSE_UP:
            return NotImplemented
        return None

    # Inside ---------------------------------------------------------------------------

    def _make(self, document: Document, size: tuple[int, int], hint: str) -> _Layout:
        width, height = size
        lines = document.lines
        line = document.cursor_position_row
        row, column = layout_line(lines[line], width).row_of(
            document.cursor_position_col
        )
        places = self._places(lines, width, height, (line, row))
        self._top = places[0]
        if document.text:
            rows = [_fragments(document, place, width) for place in places]
        else:
            shown = fit(display(hint), width - 1).rstrip()
            rows = [[("class:composer.hint", shown), ("", " ")]]
        content = UIContent(
            rows.__getitem__, len(rows), Point(column, places.index((line, row)))
        )
        return _Layout(document, size, hint, tuple(places), content)

    def _places(
        self, lines: list[str], width: int, height: int, cursor: Place
    ) -> list[Place]:
        """Return the visible rows: from the row that was at the top, if that can be.

        The cursor is always among them.
        """
        last = len(lines) - 1
        top = min(self._top, (last, 0)) if self._top[0] > last else self._top
        top = (top[0], min(top[1], layout_line(lines[top[0]], width).count - 1))
        top = min(top, cursor)
        places = _take(_forward(lines, width, top), height)
        if cursor not in places:
            places = _take(_backward(lines, width, cursor), height)[::-1]
        if len(places) < height:
            # The text has become shorter: fill the height with rows before these.
            missing = height - len(places)
            before = _take(_backward(lines, width, places[0]), missing + 1)[1:]
            places = [*reversed(before), *places]
        return places

    def _menu_position(self, layout: _Layout) -> Point | None:
        """Return the place of the completion menu: where the word begins."""
        state = self.buffer.complete_state
        if state is None or get_app().layout.current_control is not self:
            return None
        index = min(
            self.buffer.cursor_position, state.original_document.cursor_position
        )
        line, column = layout.document.translate_index_to_position(index)
        row, at = layout_line(layout.document.lines[line], layout.size[0]).row_of(
            column
        )
        if (line, row) not in layout.places:
            return None
        return Point(at, layout.places.index((line, row)))

    def _index_at(self, layout: _Layout, position: Point) -> int:
        line, row = layout.places[min(position.y, len(layout.places) - 1)]
        rows = layout_line(layout.document.lines[line], layout.size[0])
        begin, text = rows.row(row)
        column = rows.to_column(begin + min(position.x, len(text)))
        return layout.document.translate_row_col_to_index(line, column)


def _forward(lines: list[str], width: int, place: Place) -> Iterator[Place]:
    line, row = place
    while line < len(lines):
        for each in range(row, layout_line(lines[line], width).count):
            yield line, each
        line, row = line + 1, 0


def _backward(lines: list[str], width: int, place: Place) -> Iterator[Place]:
    line, row = place
    while True:
        for each in range(row, -1, -1):
            yield line, each
        line -= 1
        if line < 0:
            return
        row = layout_line(lines[line], width).count - 1


def _take(places: Iterator[Place], count: int) -> list[Place]:
    return [place for place, _ in zip(places, range(count), strict=False)]


def _fragments(document: Document, place: Place, width: int) -> StyleAndTextTuples:
    """Return one row; the last of a line has a space after it, for the cursor."""
    line, row = place
    rows = layout_line(document.lines[line], width)
    begin, text = rows.row(row)
    tail: StyleAndTextTuples = [("", " ")] if row == rows.count - 1 else []
    chosen = document.selection_range_at_line(line)
    pieces = [Piece("", text)]
    if chosen is not None:
        if not document.lines[line]:
            return [("class:selected", " ")]
        first, last = (
            min(max(rows.to_shown(column) - begin, 0), len(text)) for column in chosen
        )
        pieces = [
            Piece("", text[:first]),
            Piece("class:selected", text[first:last]),
            Piece("", text[last:]),
        ]
    return [*((piece.style, piece.text) for piece in tagged(pieces)), *tail]
