"""The position of the prompt after the window became narrower (client.line.resize)."""

import pytest

from client.line.resize import is_reflowing, rows_above


@pytest.mark.parametrize(
    ("lengths", "cursor", "columns", "rows"),
    [
        ([], 10, 80, 0),
        ([], 79, 40, 1),
        ([80], 20, 80, 1),
        ([80], 20, 70, 2),
        ([80, 80], 20, 40, 4),
        ([0, 10], 5, 40, 2),
    ],
)
def test_lines_that_are_broken_anew_take_more_rows(
    lengths: list[int], cursor: int, columns: int, rows: int
) -> None:
    assert rows_above(lengths, cursor, columns) == rows


def test_only_terminals_that_are_known_to_do_it_are_trusted() -> None:
    assert is_reflowing({"TMUX": "/tmp/tmux-0/default,1,0"})
    assert not is_reflowing({"TERM": "xterm", "TMUX": ""})
