"""A dialog over the chat: an input line, and a list that follows what is typed.

The chat switcher, search results, file transfers, days and the help all use it, with
different lists.
"""

from collections.abc import Callable, Sequence
from typing import Any

from msgspec import Struct
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.document import Document
from prompt_toolkit.layout import (
    BufferControl,
    Dimension,
    HSplit,
    VSplit,
    Window,
)
from prompt_toolkit.layout.containers import AnyContainer
from prompt_toolkit.widgets import Frame

from chatd.text.safe import fit, width
from client.text.styles import Line
from client.ui.toolkit.rows_control import RowsControl

MAX_CELLS = 76
MAX_ROWS = 24


class Item(Struct, frozen=True):
    """One line of a list.

    Attributes:
        row: The line as it is shown; its text must be clean.
        value: The value passed to ``on_open``; None for a line that cannot be opened.
    """

    row: Line
    value: Any = None


Find = Callable[[str], Sequence[Item]]
"""Returns the items for what is typed."""


class ListBox:
    """A dialog with a list below an input line.

    Args:
        title: The title of the dialog.
        hint: A few words on which keys do what.
        find: Returns the items of the list for what is typed.
        on_open: Called with the value of a line that is opened by Enter or a click.
        empty: The text shown if nothing is found.
        unasked: The text shown if nothing is found while nothing is typed.
        is_live: Whether the list depends on the model.

    Attributes:
        title: The title of the dialog.
        is_live: Whether to ``refresh`` it when the model has changed.
        buffer: The input line.
        items: The items of the list now.
        index: The index of the selected line, which keys act on.
        container: The dialog, for the layout.
    """

    def __init__(
        self,
        title: str,
        hint: str,
        find: Find,
        on_open: Callable[[Any], None],
        *,
        empty: str = "nothing fits",
        unasked: str = "",
        is_live: bool = False,
    ) -> None:
        self.title = title
        self.is_live = is_live
        self._hint = hint
        self._find = find
        self._on_open = on_open
        self._empty = empty
        self._unasked = unasked or empty
        self._height = 1
        self.buffer = Buffer(multiline=False)
        self.buffer.on_text_changed += self._typed
        self.items: Sequence[Item] = []
        self.index = 0
        self._control = BufferControl(self.buffer)
        self._list = RowsControl(
            self._rows, on_click=self._clicked, on_wheel=lambda step: self.move(step)
        )
        self.refresh()
        self.container = self._make_container()

    @property
    def focus(self) -> BufferControl:
        """The control to focus while the dialog is open."""
        return self._control

    @property
    def chosen(self) -> Item | None:
        """The selected line, None if the list is empty."""
        return self.items[self.index] if self.items else None

    def refresh(self) -> None:
        """Fill the list again; the selected line stays so if it is still there."""
        before = self.chosen.value if self.chosen is not None else None
        self.items = self._find(self.buffer.text)
        if before is not None:
            self.choose(before)
        self.index = max(0, min(self.index, len(self.items) - 1))

    def choose(self, value: Any) -> None:
        """Select the line with a value, if it is in the list."""
        values = [item.value for item in self.items]
        if value in values:
            self.index = values.index(value)

    def move(self, step: int) -> None:
        """Select the line ``step`` further down (up if negative), within the list."""
        self.index = max(0, min(self.index + step, len(self.items) - 1))

    def page(self, pages: int) -> None:
        """Select the line whole pages further down (up if negative)."""
        self.move(pages * max(1, self._height - 1))

    def open(self) -> None:
        """Pass the value of the selected line to ``on_open``, if it has one."""
        if self.chosen is not None and self.chosen.value is not None:
            self._on_open(self.chosen.value)

    def _typed(self, buffer: Buffer) -> None:
        if "\n" in buffer.text:  # it was pasted
            line = buffer.text.replace("\n", " ")
            buffer.document = Document(line, buffer.cursor_position)
            return
        self.index = 0
        self.items = self._find(self.buffer.text)

    def _clicked(self, row: int) -> None:
        index = self._start(self._height) + row
        if index < len(self.items):
            self.index = index
            self.open()

    def _start(self, height: int) -> int:
        last = max(0, len(self.items) - height)
        return min(max(0, self.index - height // 2), last)

    def _rows(self, cells: int, height: int) -> list[Line]:
        self._height = height
        if not self.items:
            said = self._empty if self.buffer.text.strip() else self._unasked
            return [[("class:overlay.hint", fit(f"  {said}", cells))]]
        start = self._start(height)
        shown = self.items[start : start + height]
        return [
            _item_row(item, start + number == self.index, cells)
            for number, item in enumerate(shown)
        ]

    def _make_container(self) -> AnyContainer:
        typing = VSplit(
            [
                Window(
                    RowsControl(lambda _, __: [[("class:prompt", "> ")]]),
                    width=2,
                    height=1,
                ),
                Window(self._control, height=1, style="class:overlay"),
            ]
        )
        hint = Window(
            RowsControl(
                lambda cells, _: [[("class:overlay.hint", _cut(self._hint, cells))]]
            ),
            height=1,
        )
        body = HSplit(
            [
                typing,
                Window(
                    self._list, height=Dimension(min=1, preferred=MAX_ROWS, weight=1)
                ),
                hint,
            ],
            style="class:overlay",
        )
        return Frame(body, title=self.title, style="class:overlay")


def _item_row(item: Item, is_chosen: bool, cells: int) -> Line:
    mark = "> " if is_chosen and item.value is not None else "  "
    row: Line = [("", mark)]
    space = cells - len(mark)
    for style, text in item.row:
        if space <= 0:
            break
        shown = text if width(text) <= space else fit(text, space)
        row.append((style, shown))
        space -= width(shown)
    row.append(("", " " * max(0, space)))
    if is_chosen and item.value is not None:
        row = [(f"{style} class:overlay.current".strip(), text) for style, text in row]
    return row


def _cut(text: str, cells: int) -> str:
    return text if width(text) <= cells else fit(text, cells)
