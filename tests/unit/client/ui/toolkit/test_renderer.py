"""The renderer: the terminal shows the same picture, but only changes are sent."""

import io
from collections.abc import Iterator
from contextlib import ExitStack

import pyte
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prompt_toolkit.application import Application
from prompt_toolkit.application.current import set_app
from prompt_toolkit.data_structures import Point, Size
from prompt_toolkit.filters import Condition
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.layout import HSplit, Layout, UIContent, UIControl, Window
from prompt_toolkit.output import ColorDepth
from prompt_toolkit.styles import Style

from client.terminal.hyperlinks import ESCAPE_STYLE, HyperlinkOutput
from client.text.styles import Line
from client.ui.toolkit.renderer import RowRenderer, use_row_renderer
from client.ui.toolkit.rows_control import RowsControl
from client.ui.toolkit.screen_layout import RowsWindow

COLUMNS, ROWS = 12, 4
STYLES = ["", "class:red", "class:back", "class:under", "bold"]
LOOKS = {"red": "ansired", "back": "bg:ansiblue", "under": "underline"}
GO_AND_COME = "\x1b[?25l\x1b[0m", "\x1b[0m\x1b[?12l\x1b[?25h"
"""Each frame begins and ends with these."""


class Rows(UIControl):
    """Shows rows as they are."""

    def __init__(self) -> None:
        self.rows: list[Line] = []
        self.cursor = Point(0, 0)

    def create_content(self, width: int, height: int) -> UIContent:
        return UIContent(
            lambda number: list(self.rows[number]) if number < len(self.rows) else [],
            line_count=ROWS,
            cursor_position=self.cursor,
        )


class Terminal:
    """A terminal on which frames of rows are shown.

    Attributes:
        sent: What was sent for the last frame.
        has_mouse: Whether mouse support is enabled.
        style: The looks of the style classes.
    """

    def __init__(self, keys: ExitStack, *, is_usual: bool = False) -> None:
        self.control = Rows()
        self.size = Size(rows=ROWS, columns=COLUMNS)
        self.sent = ""
        self.has_mouse = False
        self._written = io.StringIO()
        self._pyte = pyte.Screen(COLUMNS, ROWS)
        self._stream = pyte.Stream(self._pyte)
        self.app: Application[None] = Application(
            Layout(Window(self.control)),
            full_screen=True,
            input=keys.enter_context(create_pipe_input()),
            output=HyperlinkOutput(self._written, lambda: self.size, enable_cpr=False),
            style=Style.from_dict(LOOKS),
            color_depth=ColorDepth.DEPTH_8_BIT,
            mouse_support=Condition(lambda: self.has_mouse),
        )
        if not is_usual:
            use_row_renderer(self.app)

    @property
    def renderer(self) -> RowRenderer:
        renderer = self.app.renderer
        assert isinstance(renderer, RowRenderer)
        return renderer

    def show(self, *rows: Line | str, cursor: tuple[int, int] = (0, 0)) -> str:
        """Show a frame; return what was sent for it."""
        self.control.rows = [[("", r)] if isinstance(r, str) else r for r in rows]
        self.control.cursor = Point(*cursor)
        return self.paint()

    def paint(self) -> str:
        """Show the same rows once more; return what was sent."""
        self._written.seek(0)
        self._written.truncate()
        with set_app(self.app):
            self.app.render_counter += 1
            self.app.renderer.render(self.app, self.app.layout)
        self.sent = self._written.getvalue()
        self._stream.feed(self.sent)
        return self.sent

    def begin(self) -> None:
        """Forget everything that was shown."""
        self.app.renderer.reset()
        self._pyte.reset()

    @property
    def picture(self) -> list[list[tuple[str, str, str, bool, bool]]]:
        """The screen, cell by cell; for blanks only what is visible of them."""
        return [
            [
                (c.data, "" if c.data == " " else c.fg, c.bg, c.bold, c.underscore)
                if c.data != " "
                else (" ", "", c.bg, False, c.underscore)
                for c in (self._pyte.buffer[y][x] for x in range(COLUMNS))
            ]
            for y in range(ROWS)
        ]

    @property
    def rows(self) -> list[str]:
        return [row.rstrip() for row in self._pyte.display]

    @property
    def cursor(self) -> tuple[int, int]:
        return self._pyte.cursor.x, self._pyte.cursor.y


@pytest.fixture(scope="module")
def pair() -> Iterator[tuple[Terminal, Terminal]]:
    """A terminal with our renderer and one with the usual; reset for each example."""
    with ExitStack() as keys:
        yield Terminal(keys), Terminal(keys, is_usual=True)


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    with ExitStack() as keys:
        yield Terminal(keys)


texts = st.text(alphabet="ab 漢あ ", max_size=5)
parts = st.tuples(st.sampled_from(STYLES), texts)
lines = st.lists(parts, max_size=4).map(lambda line: clipped(list(line)))
cursors = st.tuples(st.integers(0, COLUMNS - 1), st.integers(0, ROWS - 1))
frames = st.tuples(st.lists(lines, max_size=ROWS), cursors)


def clipped(line: Line) -> Line:
    """Return as much of a line as fits the columns."""
    clip: Line = []
    room = COLUMNS - 1
    for style, text in line:
        part = ""
        for letter in text:
            room -= 2 if ord(letter) > 0x2FFF else 1
            if room < 0:
                return [*clip, (style, part)]
            part += letter
        clip.append((style, part))
    return clip


# The picture --------------------------------------------------------------------------


@given(st.lists(frames, min_size=2, max_size=6))
def test_any_frame_after_any_other_looks_like_one_drawn_from_nothing(
    pair: tuple[Terminal, Terminal], shown: list[tuple[list[Line], tuple[int, int]]]
) -> None:
    terminal, anew = pair
    terminal.begin()
    for rows, cursor in shown:
        terminal.show(*rows, cursor=cursor)
        anew.begin()
        anew.show(*rows, cursor=cursor)
        assert terminal.picture == anew.picture
        assert terminal.cursor == anew.cursor


@given(st.lists(frames, min_size=3, max_size=3), st.integers(-3, 3).filter(bool))
def test_rows_that_the_terminal_moved_are_known_where_they_are(
    pair: tuple[Terminal, Terminal],
    shown: list[tuple[list[Line], tuple[int, int]]],
    count: int,
) -> None:
    terminal, anew = pair
    terminal.begin()
    for rows, cursor in shown:
        terminal.renderer.scroll(0, ROWS - 1, count)
        terminal.show(*rows, cursor=cursor)
        anew.begin()
        anew.show(*rows, cursor=cursor)
        assert terminal.picture == anew.picture
        assert terminal.cursor == anew.cursor


def test_moved_rows_are_shown_also_if_nothing_else_is_new(terminal: Terminal) -> None:
    terminal.show("one", "two", "three", "last")
    terminal.renderer.scroll(0, 3, 1)
    terminal.show("two", "three", "", "last")
    assert terminal.rows == ["two", "three", "", "last"]
    assert "two" not in terminal.sent
    assert terminal.sent.endswith("\x1b[?25h")


# Bytes sent ---------------------------------------------------------------------------


def test_a_frame_like_the_one_before_sends_nothing(terminal: Terminal) -> None:
    terminal.show("one", [("class:back", "two")], "漢字")
    assert terminal.paint() == ""


def test_of_rows_only_the_cells_that_changed_are_sent(terminal: Terminal) -> None:
    terminal.show("one", "two", "three")
    begin, end = GO_AND_COME
    assert terminal.show("one", "tXo", "three") == (
        f"{begin}\x1b[2;2H\x1b[0mX\x1b[1;1H{end}"
    )


def test_a_row_that_is_shorter_now_is_erased_to_its_end(terminal: Terminal) -> None:
    terminal.show("one", "two three")
    terminal.show("one", "two")
    assert terminal.rows == ["one", "two", "", ""]
    assert "\x1b[K" in terminal.sent
    assert "\x1b[K" not in terminal.show("one", "twoo")


def test_a_cursor_that_moves_alone_is_all_that_is_sent(terminal: Terminal) -> None:
    terminal.show("one", "two")
    begin, end = GO_AND_COME
    sent = terminal.show("one", "two", cursor=(2, 1))
    assert sent == f"{begin}\x1b[2;3H{end}"


def test_a_link_is_sent_with_the_first_of_its_cells_that_changed(
    terminal: Terminal,
) -> None:
    link = f"\x1b]8;cell={ord('b'):x};https://b.example\x1b\\"
    terminal.show("a-")
    terminal.show([("", "a"), (ESCAPE_STYLE, link), ("class:under", "b")])
    assert "\x1b]8;id=" in terminal.sent
    assert ";https://b.example\x1b\\" in terminal.sent
    assert "\x1b]8;;\x1b\\" in terminal.sent


# Unusual frames -----------------------------------------------------------------------


def test_after_a_change_of_size_all_is_sent(terminal: Terminal) -> None:
    terminal.show("one", "two")
    terminal.size = Size(rows=ROWS, columns=COLUMNS - 1)
    assert "one" in terminal.paint()
    assert terminal.paint() == ""


def test_after_a_change_of_style_all_is_sent(terminal: Terminal) -> None:
    terminal.show([("class:red", "one")])
    terminal.renderer.style = Style.from_dict({"red": "ansigreen"})
    assert "\x1b[0;32mone" in terminal.paint()


def test_the_mouse_is_turned_on_and_off(terminal: Terminal) -> None:
    terminal.show("one")
    terminal.has_mouse = True
    assert "\x1b[?1000h" in terminal.paint()
    terminal.has_mouse = False
    assert "\x1b[?1000l" in terminal.paint()
    assert terminal.paint() == ""


def test_after_the_screen_was_reset_all_is_sent(terminal: Terminal) -> None:
    terminal.show("one")
    terminal.renderer.reset(leave_alternate_screen=False)
    assert "one" in terminal.paint()


# Panels -------------------------------------------------------------------------------


def test_a_blank_where_no_line_may_break_looks_like_any_other(
    terminal: Terminal,
) -> None:
    panel = RowsWindow(RowsControl(lambda *_: [[("", "a\N{NO-BREAK SPACE}b")]]))
    shown = Window(terminal.control, height=1)
    terminal.app.layout = Layout(HSplit([panel, shown]), focused_element=shown)
    terminal.paint()
    first = next(row for row in terminal.picture if row[0][0] == "a")
    assert first[1] == (" ", "", "default", False, False)
    assert first[2][0] == "b"
