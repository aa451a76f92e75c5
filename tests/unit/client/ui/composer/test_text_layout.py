"""Layout of one input line as rows of a screen."""

import pytest
import wcwidth
from hypothesis import given
from hypothesis import strategies as st

from chatd.text.safe import cells, width
from client.ui.composer import text_layout as module
from client.ui.composer.graphemes import shown_form
from client.ui.composer.text_layout import TextLayout, layout_line

PIECES = (
    "a",
    " ",
    "日",
    "é",
    "e\u0301",
    "👩‍👩‍👧",
    "🇯🇵",
    "❤️",
    "ש",
    "م",
    "क्षि",
    "\t",
    "\x1b",
    "\u0600",
    "\u200d",
    "word ",
)
LINES = st.lists(st.sampled_from(PIECES), max_size=300).map("".join)
WIDTHS = st.integers(min_value=2, max_value=40)


def texts(rows: TextLayout) -> list[str]:
    return [rows.row(index)[1] for index in range(rows.count)]


@given(LINES, WIDTHS)
def test_rows_are_the_line_and_none_is_too_wide(line: str, size: int) -> None:
    rows = layout_line(line, size)
    assert "".join(texts(rows)) == rows.shown
    assert all(cells(text) <= size for text in texts(rows))
    assert cells(rows.shown) == width(rows.shown)


@given(LINES, WIDTHS)
def test_the_cursor_stands_somewhere_before_each_character(
    line: str, size: int
) -> None:
    rows = layout_line(line, size)
    places = [rows.row_of(column) for column in range(len(line) + 1)]
    assert places == sorted(places)
    for column, (row, at) in enumerate(places):
        assert row < rows.count
        assert cells(texts(rows)[row][:at]) < size
        shown = rows.row(row)[0] + at
        assert shown == rows.to_shown(column)
        assert rows.row_of(rows.to_column(shown)) == (row, at)


@given(LINES, WIDTHS)
def test_a_long_line_is_shown_as_if_it_were_looked_at_as_a_whole(
    line: str, size: int
) -> None:
    assert layout_line(line, size).shown == layout_line(line + " ", size).shown[:-1]
    parts = list(module._parts_of(line))
    assert "".join(parts) == line
    clusters = [c for part in parts for c in wcwidth.iter_graphemes(part)]
    assert clusters == list(wcwidth.iter_graphemes(line))


def test_a_row_that_is_full_is_followed_by_one_for_the_cursor() -> None:
    assert texts(layout_line("abcd", 4)) == ["abcd", ""]
    assert layout_line("abcd", 4).row_of(4) == (1, 0)
    assert texts(layout_line("日本", 4)) == ["日本", ""]
    assert layout_line("日本", 4).row_of(2) == (1, 0)
    assert texts(layout_line("", 4)) == [""]


def test_what_does_not_fit_any_more_goes_to_the_next_row() -> None:
    assert texts(layout_line("abc日d", 4)) == ["abc", "日d"]
    assert texts(layout_line("a👩‍👩‍👧b", 6)) == ["a👩👩", "👧b"]


def test_a_key_in_a_long_line_costs_what_it_changes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looked_at: list[str] = []

    def counted(text: str) -> tuple[str, tuple[int, ...]]:
        looked_at.append(text)
        return shown_form(text)

    monkeypatch.setattr(module, "shown_form", counted)
    line = "lörem ipsum " * 1_400
    layout_line(line, 118)
    for at in (0, 8_000, len(line)):
        looked_at.clear()
        layout_line(f"{line[:at]}!{line[at:]}", 118)
        assert sum(map(len, looked_at)) < 1_000
