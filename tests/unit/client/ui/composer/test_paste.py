"""The choices for a long paste (text, code block, file), without a terminal."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.ui.composer.paste import (
    as_code,
    as_text,
    describe,
    file_name,
    is_burst,
    needs_choice,
    normalise,
    options_for,
    preview,
)


@pytest.mark.parametrize(
    ("text", "is_long"),
    [
        ("one line", False),
        ("1\n2\n3\n4\n5", False),
        ("1\n2\n3\n4\n5\n", False),
        ("1\n2\n3\n4\n5\n6", True),
        ("x" * 2_000, False),
        ("x" * 2_001, True),
        ("é" * 1_001, True),
        ("\n" * 9, False),
    ],
)
def test_more_than_five_lines_or_two_kilobytes_are_asked_about(
    text: str, is_long: bool
) -> None:
    assert needs_choice(text) is is_long


def test_line_ends_become_one_kind_and_what_cannot_be_sent_is_replaced() -> None:
    assert normalise("a\r\nb\rc\udce9") == "a\nb\nc�"


def test_a_line_end_at_the_end_is_left_out_of_a_text() -> None:
    assert as_text("one\ntwo\n\n") == "one\ntwo"
    assert as_text("\n\n") == ""


@pytest.mark.parametrize(
    ("text", "before", "after", "block"),
    [
        ("a\nb\n", "", "", "```\na\nb\n```"),
        ("a", "see", "", "\n```\na\n```"),
        ("a", "see\n", "bye", "```\na\n```\n"),
        ("a", "", "\nbye", "```\na\n```"),
        ("```\na\n```", "", "", "````\n```\na\n```\n````"),
        ("`x` and `````", "", "", "``````\n`x` and `````\n``````"),
    ],
)
def test_a_code_block_has_a_fence_that_is_not_in_it_and_lines_of_its_own(
    text: str, before: str, after: str, block: str
) -> None:
    assert as_code(text, before, after) == block


@given(st.text("`a\n "), st.text("a\n"), st.text("a\n"))
def test_the_fence_never_occurs_in_the_code(text: str, before: str, after: str) -> None:
    block = as_code(text, before, after).strip("\n")
    fence = block.split("\n")[0]
    assert set(fence) == {"`"}
    assert block.count(fence) == 2


def ways(text: str, before: str = "", max_file: int | None = 10_000_000) -> list[str]:
    return [option.way for option in options_for(text, before, "", 16_384, max_file)]


def test_a_paste_that_fits_may_become_anything() -> None:
    assert ways("1\n" * 9) == ["message", "code", "file", "cancel"]


def test_what_does_not_fit_into_a_message_with_the_rest_is_a_file_or_nothing() -> None:
    assert ways("x" * 16_384) == ["message", "file", "cancel"]
    assert ways("x" * 16_384, before="y") == ["cancel", "file"]
    assert ways("x" * 16_385) == ["cancel", "file"]


def test_nothing_is_sent_by_what_is_chosen_first() -> None:
    for text in ("1\n" * 9, "x" * 16_384, "x" * 20_000):
        assert ways(text)[0] != "file"


def test_a_file_is_offered_only_where_the_server_takes_it() -> None:
    assert ways("1\n" * 9, max_file=None) == ["message", "code", "cancel"]
    assert ways("x" * 20_000, max_file=19_999) == ["cancel"]


def test_a_paste_is_described_in_lines_and_bytes() -> None:
    assert describe("x" * 58 + "\n") == "1 line, 59 bytes"
    assert describe(("x" * 58 + "\n") * 10_000) == "10,000 lines, 590 kB"


def test_the_preview_is_one_harmless_line() -> None:
    assert preview("\n\n  evil\x1b[2J\nsecond") == "evil␛[2J second"
    assert preview("x" * 100_000) == "x" * 55 + "…"


def test_a_file_is_named_after_its_time() -> None:
    now = datetime(2026, 1, 15, 9, 32, 5, tzinfo=UTC)
    assert file_name(now) == "paste-2026-01-15-093205.txt"


@pytest.mark.parametrize(
    ("keys", "is_paste"),
    [
        ([], False),
        (["c-m", "c-m"], False),
        (["a", "c-m", "b", "c-m", "c", "c-m"], True),
        (["a"] * 59, False),
        (["a"] * 60, True),
    ],
)
def test_nobody_types_three_lines_or_sixty_keys_at_once(
    keys: list[str], is_paste: bool
) -> None:
    assert is_burst(keys) is is_paste


def test_what_came_before_in_the_same_read_counts_if_something_follows() -> None:
    assert is_burst(["a"] * 20, 40)
    assert not is_burst(["a"] * 20, 39)
    assert not is_burst([], 1_000)
