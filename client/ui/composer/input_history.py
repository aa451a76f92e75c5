"""Input history: the texts entered in each chat, which Ctrl+Up recalls."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from msgspec import Struct, field

from client.storage.deferred_file import DELAY_SECONDS, DeferredFile, storable

MAX_TEXTS = 100
MAX_CHARACTERS = 32_000
"""How much is kept for each chat; the newest text always is."""

MAX_CHATS = 100


class _History(Struct):
    # By address, the last used one at the end.
    chats: dict[str, list[str]] = field(default_factory=dict)


class InputHistory:
    """The texts that one user at one server has entered, oldest first in each chat.

    A user who goes back and forth may edit the recalled texts; the edits last until
    something is entered or another chat is opened. The text that was being written when
    the user went back is added to the history too, so that it cannot get lost.

    Args:
        path: The file; None keeps them in memory alone.
        say: Called with a sentence when the file cannot be read or written.
        delay: How many seconds after a change it is written to disk.
    """

    def __init__(
        self,
        path: Path | None,
        say: Callable[[str], None],
        delay: float = DELAY_SECONDS,
    ) -> None:
        self._file = DeferredFile(path, _History, "typed lines", say, delay)
        self._chats = self._file.read().chats
        self._chat = ""
        self._lines: list[str] | None = None
        self._at = 0
        self._count = 0

    def open(self, chat: str) -> None:
        """Open the history of a chat, at its end."""
        self._chat = chat
        self._lines = None

    def add(self, text: str) -> None:
        """Add a text that was entered in the open chat."""
        self._lines = None
        self._keep(text)

    def back(self, current: str) -> str | None:
        """Return the text before, None at the oldest.

        Args:
            current: The text as it is now, perhaps edited; it is kept at its place.
        """
        is_first = self._lines is None
        text = self._move(current, -1)
        if is_first and text is not None and current.strip():
            self._keep(current)
        return text

    def forward(self, current: str) -> str | None:
        """Return the text after, None at the newest, which is the unsent one.

        Args:
            current: The text as it is now, perhaps edited; it is kept at its place.
        """
        return self._move(current, 1)

    def close(self) -> None:
        """Write what is not on disk yet; blocks for as long as that takes."""
        self._file.close()

    def _keep(self, text: str) -> None:
        _add(self._chat, text, self._chats)
        # A key of its own for each edit, so that none replaces one that still waits.
        self._count += 1
        edit = partial(_add_to_file, self._chat, storable(text))
        self._file.edit(str(self._count), edit)

    def _move(self, current: str, step: int) -> str | None:
        if self._lines is None:
            self._lines = [*self._chats.get(self._chat, ()), current]
            self._at = len(self._lines) - 1
        if not 0 <= self._at + step < len(self._lines):
            return None
        self._lines[self._at] = current
        self._at += step
        return self._lines[self._at]


def _add(chat: str, text: str, chats: dict[str, list[str]]) -> None:
    texts = chats.pop(chat, [])
    if not texts or texts[-1] != text:
        texts.append(text)
    size = 0
    for index in range(len(texts) - 1, -1, -1):
        size += len(texts[index])
        is_over = size > MAX_CHARACTERS or len(texts) - index > MAX_TEXTS
        if is_over and index < len(texts) - 1:
            del texts[: index + 1]
            break
    chats[chat] = texts
    while len(chats) > MAX_CHATS:
        del chats[next(iter(chats))]


def _add_to_file(chat: str, text: str, typed: _History) -> None:
    _add(chat, text, typed.chats)
