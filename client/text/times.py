"""Formatting and parsing of times and time spans; the server counts milliseconds."""

import re
import time
from datetime import datetime

from chatd.text.safe import clean

DEFAULT_TIME_FORMAT = "%H:%M"
MAX_TIME_FORMAT = 40

_SPAN = re.compile(
    "".join(rf"(?:(\d{{1,9}}){unit})?" for unit in "wdhms"), re.ASCII
).fullmatch
_UNITS = (604_800, 86_400, 3_600, 60, 1)


class BadTimeError(ValueError):
    """A time, span or format that cannot be used; its text is for the user."""


def local(time_ms: int) -> datetime:
    """Return a time of the server in the local zone; 1970 if it is out of range."""
    try:
        return datetime.fromtimestamp(time_ms / 1000).astimezone()
    except (OverflowError, OSError, ValueError):
        return datetime.fromtimestamp(0).astimezone()


def format_time(time_ms: int, form: str = DEFAULT_TIME_FORMAT) -> str:
    """Return a time in a format of strftime, clean."""
    return clean(local(time_ms).strftime(form))


def format_day(time_ms: int) -> str:
    """Return the day of a time in words: ``Monday, 30 November 2026``."""
    day = local(time_ms)
    return f"{day:%A}, {day.day} {day:%B %Y}"


def format_ago(time_ms: int, now_ms: int) -> str:
    """Return roughly how long ago a time was: ``2 days ago``."""
    seconds = max(0, now_ms - time_ms) // 1000
    for unit, name in zip(_UNITS, ("week", "day", "hour", "minute"), strict=False):
        if seconds >= unit:
            count = seconds // unit
            return f"{count} {name}{'s' if count > 1 else ''} ago"
    return "just now"


def check_time_format(form: str) -> str:
    """Return a format of strftime, if it can be used.

    Raises:
        BadTimeError: It is empty, too long, or shows nothing of the time.
    """
    if not 0 < len(form) <= MAX_TIME_FORMAT:
        raise BadTimeError(f"a time format has 1 to {MAX_TIME_FORMAT} characters")
    try:
        shown = {format_time(ms, form) for ms in (0, 45_296_789_000)}
    except ValueError as error:
        raise BadTimeError(f"{form!r} is not a time format: try %H:%M") from error
    if len(shown) == 1:
        raise BadTimeError(f"{form!r} shows no time: try %H:%M or %H:%M:%S")
    return form


def parse_span(text: str) -> int:
    """Return the seconds of a span: ``90s``, ``10m``, ``2h``, ``1d`` or ``1h30m``.

    Raises:
        BadTimeError: It is not a span.
    """
    found = _SPAN(text.strip().lower())
    if not text.strip() or found is None:
        raise BadTimeError(
            f"{text!r} is not a span of time: write 90s, 10m, 2h, 3d or 1h30m"
        )
    return sum(int(n or 0) * u for n, u in zip(found.groups(), _UNITS, strict=True))


def parse_since(text: str, now: float | None = None) -> int:
    """Return the time (ms) that ``10m`` (ago) or ``2026-11-21 14:00`` means.

    Raises:
        BadTimeError: It is neither.
    """
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        now = time.time() if now is None else now
        return int((now - parse_span(text)) * 1000)
    try:
        return int(moment.timestamp() * 1000)
    except (OverflowError, OSError, ValueError) as error:
        raise BadTimeError(f"no message is as old as {text.strip()}") from error
