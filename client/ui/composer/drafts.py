"""Drafts: the text that is typed and not sent in each chat, kept across restarts."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from msgspec import Struct, field

from client.storage.deferred_file import DELAY_SECONDS, DeferredFile, storable

MAX_DRAFTS = 500
MAX_DRAFT = 1_000_000
"""Longer drafts, in characters, stay in memory alone."""


class _Drafts(Struct):
    # By address, the last changed one at the end.
    chats: dict[str, str] = field(default_factory=dict)


class Drafts:
    """The drafts of one user at one server.

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
        self._file = DeferredFile(path, _Drafts, "drafts", say, delay)
        self._texts = self._file.read().chats

    def get(self, chat: str) -> str:
        """Return the draft of a chat, "" if there is none."""
        return self._texts.get(chat, "")

    def put(self, chat: str, text: str) -> None:
        """Keep a draft, which is written to disk after the delay; a blank one drops it.

        A draft that is too long for the disk removes the one that is there.
        """
        if not text.strip():
            text = ""
        if text == self.get(chat):
            return
        if text:
            self._texts[chat] = text
        else:
            del self._texts[chat]
        kept = text if len(text) <= MAX_DRAFT else ""
        self._file.edit(chat, partial(_put, chat, kept))

    def close(self) -> None:
        """Write what is not on disk yet; blocks for as long as that takes."""
        self._file.close()


def _put(chat: str, text: str, drafts: _Drafts) -> None:
    drafts.chats.pop(chat, None)
    if text:
        drafts.chats[chat] = storable(text)
    while len(drafts.chats) > MAX_DRAFTS:
        del drafts.chats[next(iter(drafts.chats))]
