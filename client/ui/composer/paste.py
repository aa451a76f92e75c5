"""What a paste may become: text to go on writing, a code block, or a file.

A short paste is text at once. One of more lines, or of more bytes, is asked about: it
never sends itself, and never floods a room.
"""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from msgspec import Struct

from chatd.text.safe import display
from client.storage.deferred_file import storable
from client.text.entries import excerpt
from client.text.files import size_text

MAX_LINES = 5
MAX_BYTES = 2_000
"""More lines or bytes than this are asked about."""

MAX_MESSAGE_BYTES = 16_384
"""The largest text, where the server has not said yet what it takes."""

MIN_BURST_LINES = 3
MIN_BURST_KEYS = 60
"""So many lines behind Enter, or keys around it, in one read: nobody types like that.

Sixty keys take five seconds to type; links that stall for so long are rare.
"""

BURST_SECONDS = 0.5
"""A burst of keys is over after so long a pause."""

_PREVIEW_CELLS = 56
_BACKTICKS = re.compile("`+")

Way = Literal["message", "code", "file", "cancel"]


class Option(Struct, frozen=True):
    """One way, and how it is offered."""

    way: Way
    key: str
    text: str


_OPTIONS = (
    Option("message", "m", "one message, to go on writing"),
    Option("code", "c", "a code block, to go on writing"),
    Option("file", "f", "a file, sent at once"),
    Option("cancel", "n", "nothing: leave it"),
)


def normalise(data: str) -> str:
    r"""Return a paste with ``\n`` as the end of its lines, and nothing unsendable."""
    return storable(data.replace("\r\n", "\n").replace("\r", "\n"))


def size_of(text: str) -> int:
    """Return how many bytes a text takes on its way."""
    return len(storable(text).encode())


def needs_choice(text: str) -> bool:
    """Whether a paste is so long that it should be asked what to do with it."""
    return _lines(text) > MAX_LINES or size_of(text) > MAX_BYTES


def as_text(text: str) -> str:
    """Return a paste as it goes into the composer: a last end of line is left out."""
    return text.rstrip("\n") if text.strip("\n") else ""


def as_code(text: str, before: str = "", after: str = "") -> str:
    """Return a paste as a code block, with a fence that is in none of its lines.

    Args:
        text: The paste.
        before: What stands before the cursor; the block begins on a line of its own.
        after: What stands behind it.
    """
    longest = max((len(run) for run in _BACKTICKS.findall(text)), default=0)
    fence = "`" * max(3, longest + 1)
    head = "" if not before or before.endswith("\n") else "\n"
    tail = "" if not after or after.startswith("\n") else "\n"
    return f"{head}{fence}\n{as_text(text)}\n{fence}{tail}"


def options_for(
    text: str, before: str, after: str, max_bytes: int, max_file: int | None
) -> tuple[Option, ...]:
    """Return what a paste may become, the safest first.

    Args:
        text: The paste.
        before: What stands before the cursor.
        after: What stands behind it.
        max_bytes: Of a message.
        max_file: The size of the largest file in bytes; None where there are none.
    """
    room = max_bytes - size_of(before) - size_of(after)
    possible = {
        "message": size_of(as_text(text)) <= room,
        "code": size_of(as_code(text, before, after)) <= room,
        "file": max_file is not None and size_of(text) <= max_file,
        "cancel": True,
    }
    found = [option for option in _OPTIONS if possible[option.way]]
    if found[0].way == "file":
        # What is chosen first must not send anything: Enter may be on its way already.
        found.reverse()
    return tuple(found)


def describe(text: str) -> str:
    """Return how long a paste is: ``10,000 lines, 589 kB``."""
    count = _lines(text)
    lines = "1 line" if count == 1 else f"{count:,} lines"
    return f"{lines}, {size_text(size_of(text))}"


def preview(text: str) -> str:
    """Return the beginning of a paste on one line, fit for a full screen."""
    return display(excerpt(text.lstrip()[: _PREVIEW_CELLS * 4], _PREVIEW_CELLS))


def file_name(now: datetime) -> str:
    """Return the name of a file made of a paste."""
    return f"paste-{now:%Y-%m-%d-%H%M%S}.txt"


def is_burst(keys: Sequence[str], before: int = 0) -> bool:
    """Whether keys that came together with an Enter, and behind it, are a paste.

    Terminals and multiplexers that do not bracket a paste send it as keys. A person
    whose link was slow for a moment may have typed a line or two ahead, no more. An
    Enter with nothing behind it sends, as in every program.

    Args:
        keys: Those behind it, as prompt_toolkit names them.
        before: How many characters came before it in the same read.
    """
    if keys.count("c-m") >= MIN_BURST_LINES:
        return True
    return bool(keys) and before + len(keys) >= MIN_BURST_KEYS


def _lines(text: str) -> int:
    return as_text(text).count("\n") + 1
