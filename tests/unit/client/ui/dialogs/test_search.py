"""Search results in one line each, with the match marked."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatd.text.safe import cells, width
from client.text.entries import Look
from client.text.styles import Line, plain
from client.ui.dialogs.search import result_row
from tests.fakes.link import entry, info

LOOK = Look(columns=54)


def row(text: str, wanted: str, **members: Any) -> Line:
    return result_row(entry(text, **members), wanted, LOOK)


def said(line: Line) -> str:
    """Return the text of a result, with the marked part in brackets."""
    _, _, before, found, after = line
    return f"{before[1]}[{found[1]}]{after[1]}".strip()


def test_a_short_message_is_shown_from_its_beginning() -> None:
    line = row("the Disk is full", "disk")
    assert said(line) == "the [Disk] is full"
    assert plain(line).split()[2] == "bob"


@pytest.mark.parametrize("count", [20, 2_000])
def test_of_a_long_message_that_part_is_shown(count: int) -> None:
    line = row(f"{'hay ' * count}needle {'hay ' * count}", "needle")
    assert said(line).startswith("…")
    assert "hay [needle] hay" in said(line)
    assert plain(line).index("needle") < LOOK.columns - len("needle")


def test_a_message_of_several_lines_is_one_line() -> None:
    assert said(row("one\n\ttwo\nthree", "two")) == "one [two] three"


def test_a_file_is_shown_by_its_name_and_what_is_said_of_it() -> None:
    file = info("core.tar", 1)
    assert said(row("", "core", kind="file", file=file)) == "[core].tar"
    assert said(row("look", "look", kind="file", file=file)) == "core.tar [look]"


@given(st.text(min_size=1), st.text(), st.text())
def test_whatever_is_found_is_one_line_whose_width_is_known(
    wanted: str, before: str, after: str
) -> None:
    line = row(before + wanted + after, wanted.strip().casefold() or "x")
    text = plain(line)
    assert not any(char in "\n\r\t\x1b\x9b" for char in text)
    assert cells(text) == width(text)
