"""A small file that follows what is in memory: soon, off the loop, and at the end."""

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
"""Changes are gathered for so long; what a crash may lose."""


def storable(text: str) -> str:
    """Return a text with what UTF-8 cannot hold (halves of surrogates) replaced."""
    return _SURROGATE.sub("\N{REPLACEMENT CHARACTER}", text)


class DeferredFile(Generic[T]):
    """A JSON file, written at most every second by a thread of its own.

    Other processes may change the same file: each edit is made to what is there then.

    Args:
        path: Where it is; None keeps nothing.
        type_: What it holds.
        what: What that is to people, in the plural, as in ``drafts``.
        say: Told, in a sentence, when it cannot be read or written.
        delay: In seconds.
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
        """Return what the file holds; if it is damaged, nothing, and it is left alone.

        What is changed is kept in memory alone then, until somebody mends the file.
        """
        try:
            return self._file.read()
        except (LinkError, OSError) as error:
            self._say(f"{self._what} are not kept: {error}")
            self._is_kept = False
            return self._type()

    def edit(self, key: str, edit: Callable[[T], None]) -> None:
        """Have an edit made soon; one of the same key that was not made yet is dropped.

        Needs a running event loop.
        """
        if not self._is_kept:
            return
        self._edits.pop(key, None)
        self._edits[key] = edit
        self._wait()

    def close(self) -> None:
        """Make all edits now; blocks for as long as the disk takes."""
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
            return  # closed meanwhile, which has seen to what is left
        error = done.exception()
        if error is None:
            self._is_trouble_told = False
            if self._edits:
                self._wait()
        elif isinstance(error, LinkError | OSError):
            # They are made together with the next.
            self._edits = {**writing, **self._edits}
            self._tell(error)
        else:
            raise error

    def _tell(self, error: BaseException) -> None:
        if not self._is_trouble_told:
            self._is_trouble_told = True
            self._say(f"{self._what} cannot be kept: {error}")
