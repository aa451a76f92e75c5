"""Logging to standard error: one readable line, or one JSON object, per event."""

import datetime
import json
import logging
import logging.config
import re
from typing import Literal

Format = Literal["text", "json"]

# Characters that could end a line, move the cursor or change the text's direction.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


def configure_logging(level: str, format_: Format = "text") -> None:
    """Send chatd's log, and warnings of its libraries, to standard error.

    May be called again to change level and format.

    Args:
        level: ``debug``, ``info``, ``warning`` or ``error``.
        format_: Lines for people, or JSON for log collectors.
    """
    formatter = TextFormatter if format_ == "text" else JsonFormatter
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {"line": {"()": formatter}},
            "handlers": {
                "stderr": {"class": "logging.StreamHandler", "formatter": "line"}
            },
            "root": {"level": "WARNING", "handlers": ["stderr"]},
            "loggers": {"chatd": {"level": level.upper()}},
        }
    )


class TextFormatter(logging.Formatter):
    """``2026-01-31 12:00:00.123 INFO    store: …``; a traceback follows, indented."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line; unsafe characters are escaped, so names cannot break it."""
        time = _time_of(record).astimezone().strftime("%Y-%m-%d %H:%M:%S")
        line = (
            f"{time}.{int(record.msecs):03d} {record.levelname:<7}"
            f" {_area_of(record)}: {_escape(record.getMessage())}"
        )
        if record.exc_info:
            trace = self.formatException(record.exc_info)
            line += "".join(f"\n    {_escape(part)}" for part in trace.splitlines())
        return line


class JsonFormatter(logging.Formatter):
    """One JSON object per line: time, level, area, message, and traceback if any."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the object."""
        members = {
            "time": _time_of(record).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "area": _area_of(record),
            "message": record.getMessage(),
        }
        if record.exc_info:
            members["traceback"] = self.formatException(record.exc_info)
        return json.dumps(members)


def _time_of(record: logging.LogRecord) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(record.created, datetime.UTC)


def _area_of(record: logging.LogRecord) -> str:
    return record.name.removeprefix("chatd.")


def _escape(text: str) -> str:
    return _UNSAFE.sub(lambda found: ascii(found.group())[1:-1], text)
