"""Hyperlinks for the terminal (OSC 8): each cell of a link, and none beside it."""

import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prompt_toolkit.data_structures import Size

from client.terminal.hyperlinks import (
    ESCAPE_STYLE,
    MAX_TARGET,
    HyperlinkOutput,
    has_hyperlinks,
    split_line,
    target_of,
    to_line,
)
from client.text.styles import Line, plain
from client.text.wrapping import Piece

URL = "https://a.b/c"
OPEN = "\x1b]8;id={};{}\x1b\\"
CLOSE = "\x1b]8;;\x1b\\"


class Terminal:
    """An output, and what was written to it."""

    def __init__(self) -> None:
        self.stream = io.StringIO()
        size = Size(rows=24, columns=80)
        self.output = HyperlinkOutput(self.stream, lambda: size, enable_cpr=False)

    def paint(self, line: Line) -> None:
        """Write as the renderer does: escapes raw, cells one by one."""
        for style, text in line:
            if style == ESCAPE_STYLE:
                self.output.write_raw(text)
            else:
                for char in text:
                    self.output.write(char)

    @property
    def links(self) -> list[tuple[str, str]]:
        """Return the texts that are linked on the terminal, each with its target."""
        self.output.flush()
        found = []
        target = ""
        for part in re.split(
            "(\x1b\\]8;[^;]*;[^\x1b]*\x1b\\\\)", self.stream.getvalue()
        ):
            if part.startswith("\x1b]8;"):
                target = part.split(";", 2)[2].removesuffix("\x1b\\")
            elif part:
                found.append((part, target))
        return found


def linked(text: str, url: str = URL) -> Line:
    return to_line([Piece("class:link", text, url)], is_linked=True)


def test_a_link_is_opened_before_it_and_closed_behind_it() -> None:
    terminal = Terminal()
    terminal.paint([("", "see "), *linked(URL), ("", " now")])
    assert terminal.links == [("see ", ""), (URL, URL), (" now", "")]
    assert terminal.stream.getvalue().count("\x1b]8;") == 2


def test_a_part_of_a_link_that_is_painted_alone_is_a_link() -> None:
    terminal = Terminal()
    terminal.paint(linked(URL)[8:12])
    assert terminal.links == [(URL[4:6], URL)]


def test_no_link_stays_open_when_the_frame_is_over_or_something_is_erased() -> None:
    terminal = Terminal()
    terminal.paint(linked("a"))
    terminal.output.erase_end_of_line()
    terminal.paint(linked("b"))
    assert terminal.links[-1][1] == URL
    assert terminal.stream.getvalue().endswith(CLOSE)
    assert CLOSE + "\x1b[K" in terminal.stream.getvalue()


def test_what_lies_over_a_link_is_no_link() -> None:
    terminal = Terminal()
    terminal.output.write_raw(linked("a")[0][1])
    terminal.output.write("X")
    assert terminal.links == [("X", "")]


def test_of_two_links_on_a_cell_the_upper_one_counts() -> None:
    terminal = Terminal()
    one, other = linked("a")[0][1], linked("a", "https://x.y")[0][1]
    terminal.output.write_raw(one + other)
    terminal.output.write("a")
    assert terminal.links == [("a", "https://x.y")]


def test_cells_of_another_target_are_painted_anew() -> None:
    assert linked("a")[1][0] != linked("a", "https://x.y")[1][0]
    assert linked("a")[1][0].startswith("class:link.")


def test_without_a_terminal_for_it_there_is_only_the_style() -> None:
    row = [Piece("class:link", URL, URL)]
    assert to_line(row, is_linked=False) == [("class:link", URL)]


@given(st.text())
def test_a_target_can_do_no_harm_and_is_not_too_long(text: str) -> None:
    target = target_of(f"https://{text}")
    assert re.fullmatch("[!-~]*", target)
    assert len(target) <= MAX_TARGET


@given(st.text(st.characters(categories=["L", "N"]), max_size=20))
def test_escapes_take_no_cells(text: str) -> None:
    line = linked(text)
    assert plain([part for part in line if part[0] != ESCAPE_STYLE]) == text


@given(st.integers(0, 12))
def test_a_line_is_split_between_cells(size: int) -> None:
    line = [("a", "漢字"), *linked("abc"), ("b", "de")]
    before, after = split_line(line, size)
    assert plain([*before, *after]) == plain(line)


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"TERM": "xterm-256color"}, False),
        ({"TERM": "xterm-kitty"}, True),
        ({"TERM": "xterm-256color", "VTE_VERSION": "7200"}, True),
        ({"TERM": "xterm-256color", "VTE_VERSION": "4205"}, False),
        ({"TERM": "xterm-256color", "VTE_VERSION": "new"}, False),
        ({"TERM": "foot"}, True),
        ({"TERM": "xterm-256color", "WT_SESSION": "x"}, True),
        ({"TMUX": "x", "TERM_PROGRAM_VERSION": "3.4"}, True),
        ({"TMUX": "x", "TERM_PROGRAM_VERSION": "3.3a", "VTE_VERSION": "7200"}, False),
        ({"TMUX": "x"}, False),
        ({"STY": "x", "VTE_VERSION": "7200"}, False),
    ],
)
def test_only_terminals_that_are_known_for_it_get_links(
    environment: dict[str, str], expected: bool
) -> None:
    assert has_hyperlinks(environment) is expected
