"""Formats of times, dates and durations."""

import pytest

from client.text.times import (
    BadTimeError,
    check_time_format,
    format_ago,
    format_day,
    format_time,
    parse_since,
    parse_span,
)
from tests.fakes.link import NOON_MS


def test_a_time_is_shown_in_the_format_asked_for() -> None:
    assert format_time(NOON_MS) == "12:00"
    assert format_time(NOON_MS, "%H:%M:%S") == "12:00:00"
    assert format_day(NOON_MS) == "Saturday, 21 November 2026"


@pytest.mark.parametrize("time_ms", [-(10**18), 10**18])
def test_a_time_that_cannot_be_is_no_error(time_ms: int) -> None:
    assert format_time(time_ms, "%Y") == "1970"


def test_a_format_cannot_move_the_cursor() -> None:
    assert "\n" not in format_time(NOON_MS, "%H%n%M\x1b[2J")


@pytest.mark.parametrize("form", ["", "hello", "x" * 41])
def test_a_format_that_shows_no_time_is_refused(form: str) -> None:
    with pytest.raises(BadTimeError):
        check_time_format(form)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("10m", 600), ("2h", 7200), ("1h30m", 5400), ("1W2D", 777_600)],
)
def test_spans_are_understood(text: str, seconds: int) -> None:
    assert parse_span(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "10", "m", "10 minutes", "-5m", "5m 3", "9" * 5_000 + "w"]
)
def test_what_is_no_span_is_refused(text: str) -> None:
    with pytest.raises(BadTimeError, match="write"):
        parse_span(text)


def test_since_is_a_span_ago_or_a_moment() -> None:
    assert parse_since("10m", now=1000.0) == 400_000
    assert parse_since("2026-11-21T12:00") == NOON_MS


def test_a_moment_before_all_calendars_is_refused() -> None:
    with pytest.raises(BadTimeError, match="as old as"):
        parse_since("0001-01-01")


def test_how_long_ago_something_was() -> None:
    assert format_ago(0, 59_000) == "just now"
    assert format_ago(0, 61_000) == "1 minute ago"
    assert format_ago(0, 3 * 86_400_000) == "3 days ago"
