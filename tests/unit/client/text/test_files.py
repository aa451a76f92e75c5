"""Files and transfers as text, and progress that fits the width."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prompt_toolkit.utils import get_cwidth

from chatd.text.safe import width
from client.text.files import (
    file_rows,
    file_text,
    outcome_text,
    path_text,
    progress_line,
    progress_rows,
    progress_text,
    rate_text,
    size_text,
    span_text,
    transfer_text,
    type_of,
)
from tests.fakes.link import info, item, transfer

ANY_TEXT = st.text(st.characters(exclude_categories=[]), max_size=100)


@pytest.mark.parametrize(
    ("size", "said"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (999, "999 bytes"),
        (1_000, "1.0 kB"),
        (9_949, "9.9 kB"),
        (9_950, "10 kB"),
        (999_499, "999 kB"),
        (999_500, "1.0 MB"),
        (734_003_200, "734 MB"),
        (1_234_567_890, "1.2 GB"),
        (2**53, "9.0 PB"),
    ],
)
def test_sizes_are_short_and_decimal(size: int, said: str) -> None:
    assert size_text(size) == said


@given(st.floats(0, 1e15))
def test_a_rate_takes_at_most_eight_cells(rate: float) -> None:
    assert len(rate_text(rate)) <= 8


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.4, "0 s"),
        (59.4, "59 s"),
        (60, "1 min"),
        (3_599, "59 min"),
        (3_600, "1 h"),
        (4_800, "1 h 20 min"),
        (2 * 86_400 + 3 * 3_600, "2 d 3 h"),
    ],
)
def test_spans_have_at_most_two_units(seconds: float, said: str) -> None:
    assert span_text(seconds) == said


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("core.tar", "application/x-tar"),
        ("core.tar.gz", "application/gzip"),
        ("notes.TXT", "text/plain"),
        ("data:text/html,x", ""),
        ("README", ""),
    ],
)
def test_the_type_is_what_the_name_speaks_of(name: str, kind: str) -> None:
    assert type_of(name) == kind


def test_a_file_is_name_size_and_type() -> None:
    assert file_text(info()) == "core.tar  734 MB  application/x-tar"
    assert file_text(info("README", 1)) == "README  1 byte"


def test_the_home_of_a_path_is_a_tilde(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/alice")
    assert path_text(Path("/home/alice/Downloads/a.txt")) == "~/Downloads/a.txt"
    assert path_text(Path("/home/alicia/a.txt")) == "/home/alicia/a.txt"


def test_files_are_listed_in_columns_and_fit_into_eighty() -> None:
    items = [item(118), item(7, "long " * 40 + "name.tar", sender="carol")]
    rows = file_rows(items, ["2 hours ago", "12 minutes ago"])
    assert rows[0].split() == [
        "118",
        "core.tar",
        "734",
        "MB",
        "bob",
        "2",
        "hours",
        "ago",
    ]
    assert rows[1].startswith("  7  long long")
    assert "….tar " in rows[1]
    assert rows[0].index("734 MB") == rows[1].index("734 MB")
    assert max(map(width, rows)) <= 76


# Progress -----------------------------------------------------------------------------

MOVING: dict[str, Any] = {"moved": 455_000_000, "rate": 12e6}


def test_progress_shows_bar_percent_rate_and_time_left() -> None:
    assert progress_text(transfer(**MOVING), 80) == (
        "core.tar to #ops  [==============>          ]   61 %   12 MB/s  23 s left"
    )
    assert progress_text(transfer(**MOVING), 50) == (
        "core.tar to #ops   61 %   12 MB/s  23 s left"
    )
    assert progress_text(transfer(**MOVING), 40) == (
        "core.tar   61 %   12 MB/s  23 s left"
    )
    assert progress_text(transfer(**MOVING), 36) == "core.tar to #ops   61 %"


def test_progress_without_a_rate_makes_no_promise() -> None:
    line = progress_text(transfer(moved=1), 80)
    assert line.endswith("0 %")
    assert "left" not in line


def test_what_waits_says_why_and_what_is_read_says_so() -> None:
    waiting = transfer(state="waiting", reason="the server is away")
    assert progress_text(waiting, 80) == "core.tar to #ops  waits: the server is away"
    assert progress_text(transfer(state="checking"), 80).endswith("0 %  being read")


def test_what_was_stopped_half_way_says_how_much_is_through() -> None:
    stopped = {**MOVING, "state": "waiting", "reason": "no connection just now"}
    waiting = transfer(**stopped)
    said = "core.tar to #ops  61 %, waits: no connection just now"
    assert progress_text(waiting, 80) == transfer_text(waiting) == said


def test_what_another_program_goes_on_with_is_not_said_to_be_cancelled() -> None:
    taken = transfer(state="cancelled", code="taken")
    assert transfer_text(taken) == "core.tar: another chat of yours goes on with it"


def test_of_what_has_no_known_end_it_is_said_how_much_was_read() -> None:
    piped = transfer("db.sql", state="checking", size=12_000_000, moved=12_000_000)
    assert progress_text(piped, 80) == "db.sql to #ops  12 MB read so far"
    assert transfer_text(piped) == "db.sql to #ops  12 MB read so far"


def test_what_is_about_to_go_on_looks_like_what_moves() -> None:
    assert progress_text(transfer(state="waiting"), 80).endswith("]    0 %")


def test_a_long_name_is_cut_so_that_its_ending_is_seen() -> None:
    line = progress_text(transfer("a very " * 20 + "long.tar", **MOVING), 80)
    assert "….tar to #ops  [" in line


@pytest.mark.parametrize(("moved", "filled"), [(0, 0), (99, 99), (100, 100)])
def test_only_what_is_complete_is_a_hundred_percent(moved: int, filled: int) -> None:
    assert f"{filled:>3} %" in progress_text(transfer(size=100, moved=moved), 80)


def test_an_empty_file_is_complete() -> None:
    assert "100 %" in progress_text(transfer(size=0), 80)


@given(
    ANY_TEXT,
    ANY_TEXT,
    st.sampled_from(["waiting", "checking", "moving"]),
    st.integers(0, 2**53),
    st.integers(0, 2**53),
    st.floats(0, 1e12),
    st.integers(1, 200),
)
def test_progress_always_fits_whoever_counts(
    name: str, why: str, state: str, size: int, moved: int, rate: float, columns: int
) -> None:
    moving = transfer(
        name, state=state, reason=why, size=size, moved=min(size, moved), rate=rate
    )
    line = progress_line(moving, columns)
    assert "\n" not in line
    assert width(line) == get_cwidth(line) < max(2, columns)


def test_what_goes_to_a_terminal_as_it_is_has_the_signs_themselves() -> None:
    assert "तस्वीर.png" in progress_text(transfer("तस्वीर.png"), 80)


def test_at_most_three_are_shown_those_that_move_first() -> None:
    states = ["waiting", "done", "moving", "waiting", "moving", "waiting"]
    under_way = [
        transfer(f"f{n}", state=state, reason="offline")
        for n, state in enumerate(states)
    ]
    rows = progress_rows(under_way, 80)
    assert [row.split()[0] for row in rows] == ["f2", "f4", "f0", "and"]
    assert rows[-1] == "and 2 more: /transfers"
    assert progress_rows([transfer(state="done")], 80) == []


def test_what_moves_is_shown_in_columns() -> None:
    rows = progress_rows([transfer("a.tar"), transfer("a longer name.tar")], 80)
    assert rows[0].index("[") == rows[1].index("[")
    assert len(rows[0]) == len(rows[1])


def test_a_transfer_in_a_list_is_told_in_words() -> None:
    assert transfer_text(transfer(**MOVING)) == (
        "core.tar to #ops  61 % of 734 MB, 12 MB/s, 23 s left"
    )
    coming = transfer(direction="down", chat="@bob", state="waiting", reason="no turn")
    assert transfer_text(coming) == "core.tar from @bob  waits: no turn"


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ({"state": "done"}, "core.tar was sent to #ops"),
        (
            {"state": "done", "direction": "down", "path": Path("/srv/core.tar")},
            "saved to /srv/core.tar",
        ),
        ({"state": "cancelled"}, "core.tar to #ops was cancelled"),
        (
            {"state": "failed", "reason": "you are muted"},
            "core.tar was not sent to #ops: you are muted",
        ),
        (
            {"state": "failed", "direction": "down", "reason": "it is gone"},
            "core.tar was not fetched: it is gone",
        ),
    ],
)
def test_what_became_of_a_transfer_is_one_sentence(
    members: dict[str, Any], said: str
) -> None:
    assert outcome_text(transfer(**members)) == said
