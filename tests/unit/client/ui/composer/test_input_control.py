"""The input control: which rows of the text are visible, and where the cursor is."""

import pytest
from prompt_toolkit.application import Application
from prompt_toolkit.application.current import set_app
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.completion import Completion
from prompt_toolkit.data_structures import Point
from prompt_toolkit.document import Document
from prompt_toolkit.formatted_text import fragment_list_to_text
from prompt_toolkit.input import DummyInput
from prompt_toolkit.layout import Layout, Window
from prompt_toolkit.mouse_events import MouseButton, MouseEvent, MouseEventType
from prompt_toolkit.output import DummyOutput

from client.ui.composer import input_control
from client.ui.composer.input_control import InputControl
from client.ui.composer.text_layout import TextLayout, layout_line

LINES = "\n".join(f"line {number}" for number in range(1, 21))


class ControlStage:
    """A control of so many columns and rows, and what it shows."""

    def __init__(self, text: str = "", width: int = 20, height: int = 3) -> None:
        self.buffer = Buffer(document=Document(text))
        self.control = InputControl(self.buffer, lambda: "message to #ops")
        self.width, self.height = width, height
        self.app: Application[None] = Application(
            Layout(Window(self.control)), input=DummyInput(), output=DummyOutput()
        )

    @property
    def rows(self) -> list[str]:
        content = self.control.create_content(self.width, self.height)
        lines = (content.get_line(number) for number in range(content.line_count))
        return [fragment_list_to_text(line).rstrip() for line in lines]

    @property
    def cursor(self) -> tuple[int, int]:
        at = self.control.create_content(self.width, self.height).cursor_position
        return at.y, at.x

    @property
    def preferred(self) -> int | None:
        return self.control.preferred_height(self.width, 8, True, None)

    def selected(self) -> list[str]:
        content = self.control.create_content(self.width, self.height)
        return [
            fragment[1]
            for number in range(content.line_count)
            for fragment in content.get_line(number)
            if "selected" in fragment[0] and fragment[1]
        ]

    def mouse(
        self, kind: MouseEventType, x: int, y: int, button: MouseButton
    ) -> object:
        event = MouseEvent(Point(x, y), kind, button, frozenset())
        with set_app(self.app):
            return self.control.mouse_handler(event)


def test_a_hint_stands_where_nothing_is_typed() -> None:
    sheet = ControlStage()
    assert (sheet.rows, sheet.cursor) == (["message to #ops"], (0, 0))
    sheet.width = 10
    assert sheet.rows == ["message…"]
    sheet.buffer.insert_text("x")
    assert sheet.rows == ["x"]


def test_it_wants_as_many_rows_as_there_are_and_there_is_room_for() -> None:
    assert ControlStage().preferred == 1
    assert ControlStage("one\ntwo").preferred == 2
    assert ControlStage("x" * 19).preferred == 1
    assert ControlStage("x" * 20).preferred == 2
    assert ControlStage(LINES).preferred == 8
    assert ControlStage("日" * 1_000).preferred == 8


def test_the_end_is_seen_first_and_what_is_seen_moves_no_more_than_it_must() -> None:
    sheet = ControlStage(LINES)
    assert sheet.rows == ["line 18", "line 19", "line 20"]
    sheet.buffer.cursor_up()
    sheet.buffer.cursor_up()
    assert (sheet.rows[0], sheet.cursor) == ("line 18", (0, 7))
    sheet.buffer.cursor_up()
    assert (sheet.rows[0], sheet.cursor) == ("line 17", (0, 7))
    sheet.buffer.cursor_down()
    assert (sheet.rows[0], sheet.cursor) == ("line 17", (1, 7))
    sheet.buffer.cursor_position = 0
    assert sheet.rows == ["line 1", "line 2", "line 3"]


def test_inside_of_a_long_line_it_goes_by_rows() -> None:
    sheet = ControlStage("".join(f"{number:<20}" for number in range(100)) + "end")
    assert (sheet.rows, sheet.cursor) == (["98", "99", "end"], (2, 3))
    sheet.buffer.cursor_position -= 60
    assert (sheet.rows, sheet.cursor) == (["97", "98", "99"], (0, 3))
    sheet.buffer.cursor_position = 0
    assert (sheet.rows, sheet.cursor) == (["0", "1", "2"], (0, 0))


def test_no_room_is_left_empty_when_the_text_becomes_shorter() -> None:
    sheet = ControlStage(LINES)
    assert len(sheet.rows) == 3
    sheet.buffer.text = "\n".join(LINES.split("\n")[:18])
    assert sheet.rows == ["line 16", "line 17", "line 18"]
    sheet.buffer.text = "one\ntwo"
    assert sheet.rows == ["one", "two"]


def test_another_width_leaves_the_cursor_in_sight() -> None:
    sheet = ControlStage("abcdefghij" * 20, width=20)
    sheet.buffer.cursor_position = 101
    for width in (20, 7, 50, 2, 33):
        sheet.width = width
        row, column = sheet.cursor
        assert sheet.rows[row][column] == "b"


def test_the_cursor_is_in_the_column_of_what_is_shown() -> None:
    sheet = ControlStage("a👩‍👩‍👧b🇯🇵c")
    assert (sheet.rows, sheet.cursor) == (["a👩👩👧b[JP]c"], (0, 10))
    sheet.buffer.cursor_position = 1
    assert sheet.cursor == (0, 1)


def test_what_is_selected_is_marked_in_each_row() -> None:
    sheet = ControlStage("one\n\n👩‍👩‍👧 two three", width=11)
    sheet.buffer.cursor_position = 1
    sheet.buffer.start_selection()
    sheet.buffer.cursor_position = len(sheet.buffer.text) - 3
    sheet.height = 8
    assert sheet.rows == ["one", "", "👩👩👧 two", "three"]
    assert sheet.selected() == ["ne", " ", "👩👩👧 two ", "th"]


def test_the_menu_is_where_the_word_begins() -> None:
    sheet = ControlStage("hi @bo", height=3)
    with set_app(sheet.app):
        assert sheet.control.create_content(20, 3).menu_position is None
        sheet.buffer._set_completions([Completion("@bob ", start_position=-3)])
        sheet.buffer.go_to_completion(0)
        assert sheet.buffer.text == "hi @bob "
        assert sheet.control.create_content(20, 3).menu_position == Point(6, 0)


def test_a_click_puts_the_cursor_there_and_a_drag_selects() -> None:
    sheet = ControlStage("one 👩‍👩‍👧 two\nthree", width=12)
    sheet.height = 8
    assert sheet.rows == ["one 👩👩👧 t", "wo", "three"]
    sheet.mouse(MouseEventType.MOUSE_DOWN, 1, 1, MouseButton.LEFT)
    assert sheet.buffer.document.text_before_cursor.endswith(" tw")
    sheet.mouse(MouseEventType.MOUSE_MOVE, 2, 2, MouseButton.LEFT)
    assert sheet.selected() == ["o", "th"]
    sheet.mouse(MouseEventType.MOUSE_UP, 2, 2, MouseButton.LEFT)
    assert sheet.selected() == ["o", "th"]
    sheet.mouse(MouseEventType.MOUSE_DOWN, 9, 9, MouseButton.LEFT)
    assert (sheet.selected(), sheet.buffer.document.is_cursor_at_the_end) == ([], True)
    wheel = sheet.mouse(MouseEventType.SCROLL_UP, 0, 0, MouseButton.NONE)
    assert wheel is NotImplemented


def test_only_rows_that_are_seen_are_made(monkeypatch: pytest.MonkeyPatch) -> None:
    sheet = ControlStage("x" * 50 + "\n" + "line\n" * 10_000, height=8)
    asked = 0
    rows_of = layout_line

    def counted(line: str, width: int) -> TextLayout:
        nonlocal asked
        asked += 1
        return rows_of(line, width)

    monkeypatch.setattr(input_control, "layout_line", counted)
    assert len(sheet.rows) == 8
    sheet.buffer.insert_text("y")
    assert sheet.rows[-1] == "y"
    assert sheet.preferred == 8
    assert asked < 100
    before = asked
    assert sheet.cursor == (7, 1)
    assert asked == before
