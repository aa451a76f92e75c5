"""Rules for pastes: a paste becomes text in the composer, a code block, or a file.

A short paste is inserted at once. For one of more lines or bytes the user is asked: it
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
"""For a paste of more lines or bytes than this the user is asked."""

MAX_MESSAGE_BYTES = 16_384
"""The largest text of a message, until the server has sent its limits."""

MIN_BURST_LINES = 3
MIN_BURST_KEYS = 60
"""With so many lines after an Enter, or keys around it, in one read, it is a paste.

Sixty keys take five seconds to type; links that stall for so long are rare.
"""

BURST_SECONDS = 0.5
"""A burst of keys ends after a pause of this length."""

_PREVIEW_CELLS = 56
_BACKTICKS = re.compile("`+")

Way = Literal["message", "code", "file", "cancel"]


class Option(Struct, frozen=True):
    """One way to handle a paste, with its key and its text in the choice prompt."""

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
    """Return the size of a text as it is sent, in bytes."""
    return len(storable(text).encode())


def needs_choice(text: str) -> bool:
    """Whether a paste is so long that the user should be asked what to do with it."""
    return _lines(text) > MAX_LINES or size_of(text) > MAX_BYTES


def as_text(text: str) -> str:
    """Return a paste as it goes into the composer: without line ends at its end."""
    return text.rstrip("\n") if text.strip("\n") else ""


def as_code(text: str, before: str = "", after: str = "") -> str:
    """Return a paste as a code block, with a fence longer than any backticks in it.

    Args:
        text: The paste.
        before: The text before the cursor; the block begins on a line of its own.
        after: The text after it.
    """
    longest = max((len(run) for run in _BACKTICKS.findall(text)), default=0)
    fence = "`" * max(3, longest + 1)
    head = "" if not before or before.endswith("\n") else "\n"
    tail = "" if not after or after.startswith("\n") else "\n"
    return f"{head}{fence}\n{as_text(text)}\n{fence}{tail}"


def options_for(
    text: str, before: str, after: str, max_bytes: int, max_file: int | None
) -> tuple[Option, ...]:
    """Return what a paste may become, the safest option first.

    Args:
        text: The paste.
        before: The text before the cursor.
        after: The text after it.
        max_bytes: The size of the largest message, in bytes.
        max_file: The size of the largest file, in bytes; None if none can be sent.
    """
    space = max_bytes - size_of(before) - size_of(after)
    possible = {
        "message": size_of(as_text(text)) <= space,
        "code": size_of(as_code(text, before, after)) <= space,
        "file": max_file is not None and size_of(text) <= max_file,
        "cancel": True,
    }
    found = [option for option in _OPTIONS if possible[option.way]]
    if found[0].way == "file":
        # The first option must not send anything: an Enter may have been typed already.
        found.reverse()
    return tuple(found)


def describe(text: str) -> str:
    """Return the size of a paste, as in ``10,000 lines, 589 kB``."""
    count = _lines(text)
    lines = "1 line" if count == 1 else f"{count:,} lines"
    return f"{lines}, {size_text(size_of(text))}"


def preview(text: str) -> str:
    """Return the beginning of a paste on one line, in the display form."""
    return display(excerpt(text.lstrip()[: _PREVIEW_CELLS * 4], _PREVIEW_CELLS))


def file_name(now: datetime) -> str:
    """Return the name of a file that contains a paste."""
    return f"paste-{now:%Y-%m-%d-%H%M%S}.txt"


def is_burst(keys: Sequence[str], before: int = 0) -> bool:
    """Whether keys that came together with an Enter, and after it, are a paste.

    Terminals and multiplexers that do not bracket a paste send it as keys. A user
    whose link was slow for a moment may have typed a line or two ahead, no more. An
    Enter with nothing after it sends, as in every program.

    Args:
        keys: Those after it, as prompt_toolkit names them.
        before: How many characters came before it in the same read.
    """
    if keys.count("c-m") >= MIN_BURST_LINES:
        return True
    return bool(keys) and before + len(keys) >= MIN_BURST_KEYS


def _lines(text: str) -> int:
    return as_text(text).count("\n") + 1
