"""The format of log lines (chatd.settings.logs)."""

import json
import logging
import re
import sys

import pytest

from chatd.settings.logs import JsonFormatter, TextFormatter


def record(message: str, *arguments: object) -> logging.LogRecord:
    return logging.LogRecord(
        "chatd.core", logging.INFO, "file", 1, message, arguments, None
    )


@pytest.fixture
def failure() -> logging.LogRecord:
    failed = record("failed")
    try:
        raise ZeroDivisionError("no\x1b[2J")
    except ZeroDivisionError:
        failed.exc_info = sys.exc_info()
    return failed


def test_a_line_has_time_level_area_and_message() -> None:
    line = TextFormatter().format(record("user %s came", "alice"))
    stamp, rest = line[:23], line[23:]
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}", stamp)
    assert rest == " INFO    core: user alice came"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\nb", r"a\nb"),
        ("\x1b[31m", r"\x1b[31m"),
        ("\x9b\u2028\u202e\u2066", r"\x9b\u2028\u202e\u2066"),
        ("ärzte 東京 👍", "ärzte 東京 👍"),
    ],
)
def test_what_others_chose_cannot_break_a_line(text: str, shown: str) -> None:
    assert TextFormatter().format(record("%s", text)).endswith(f": {shown}")


def test_a_traceback_is_indented_and_harmless(failure: logging.LogRecord) -> None:
    first, *others = TextFormatter().format(failure).splitlines()
    assert first.endswith("failed")
    assert others[-1] == r"    ZeroDivisionError: no\x1b[2J"


def test_json_is_one_line_with_the_traceback_as_a_member(
    failure: logging.LogRecord,
) -> None:
    line = JsonFormatter().format(failure)
    assert "\n" not in line
    members = json.loads(line)
    assert (members["level"], members["area"]) == ("info", "core")
    assert "ZeroDivisionError" in members["traceback"]
