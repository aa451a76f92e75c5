"""A JSON file with deferred writes: soon after a change, in a thread, and on close."""

import asyncio
import re
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Generic, TypeVar

import msgspec

from client.errors import LinkError
from client.storage.json_file import JsonFile

_SURROGATE = re.compile("[\ud800-\udfff]")

T = TypeVar("T", bound=msgspec.Struct)

DELAY_SECONDS = 1.0
"""How long changes are gathered; a crash may lose these."""


def storable(text: str) -> str:
    """Return a text with lone surrogates, which UTF-8 cannot hold, replaced."""
    return _SURROGATE.sub("\N{REPLACEMENT CHARACTER}", text)


class DeferredFile(Generic[T]):
    """A JSON file, written at most every second by a thread of its own.

    Other processes may change the same file: each edit is made to what is there then.

    Args:
        path: Where it is; None keeps nothing.
        type_: What it holds.
        what: What users call that, in the plural, as in ``drafts``.
        say: Called with a sentence when it cannot be read or written.
        delay: How long edits are gathered, in seconds.
    """

    def __init__(
        self,
        path: Path | None,
        type_: type[T],
        what: str,
        say: Callable[[str], None],
        delay: float = DELAY_SECONDS,
    ) -> None:
        self._file = JsonFile(path, type_)
        self._type = type_
        self._what = what
        self._say = say
        self._delay = delay
        self._edits: dict[str, Callable[[T], None]] = {}
        self._writing: dict[str, Callable[[T], None]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._thread: ThreadPoolExecutor | None = None
        self._running: Future[None] | None = None
        self._is_kept = path is not None
        self._is_trouble_told = False

    def read(self) -> T:
        """Return what the file holds; an empty value if it cannot be read.

        Such a file is left as it is, for the user to repair: edits are not written.
        """
        try:
            return self._file.read()
        except (LinkError, OSError) as error:
            self._say(f"{self._what} are not kept: {error}")
            self._is_kept = False
            return self._type()

    def edit(self, key: str, edit: Callable[[T], None]) -> None:
        """Make an edit soon; it replaces one of the same key that was not made yet.

        Needs a running event loop.
        """
        if not self._is_kept:
            return
        self._edits.pop(key, None)
        self._edits[key] = edit
        self._wait()

    def close(self) -> None:
        """Write all edits now; blocks for as long as the disk takes."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        edits, self._edits = self._edits, {}
        if self._running is not None and self._running.exception() is not None:
            edits = {**self._writing, **edits}
        if edits:
            try:
                self._write(edits)
            except (LinkError, OSError) as error:
                self._tell(error)
        if self._thread is not None:
            self._thread.shutdown()
            self._thread = None

    def _wait(self) -> None:
        if self._timer is None and self._running is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self._delay, self._begin)

    def _begin(self) -> None:
        self._timer = None
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, f"chat-{self._what}")
        self._writing, self._edits = self._edits, {}
        self._running = self._thread.submit(self._write, self._writing)
        asyncio.wrap_future(self._running).add_done_callback(self._written)

    def _write(self, edits: dict[str, Callable[[T], None]]) -> None:
        def edit(value: T) -> None:
            for each in edits.values():
                each(value)

        self._file.change(edit)

    def _written(self, done: asyncio.Future[None]) -> None:
        writing, self._writing = self._writing, {}
        self._running = None
        if self._thread is None:
            return  # closed meanwhile; ``close`` has written what was left
        error = done.exception()
        if error is None:
            self._is_trouble_told = False
            if self._edits:
                self._wait()
        elif isinstance(error, LinkError | OSError):
            # They are written together with the next ones.
            self._edits = {**writing, **self._edits}
            self._tell(error)
        else:
            raise error

    def _tell(self, error: BaseException) -> None:
        if not self._is_trouble_told:
            self._is_trouble_told = True
            self._say(f"{self._what} cannot be kept: {error}")
