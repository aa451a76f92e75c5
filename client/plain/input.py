"""Line input from a terminal, a pipe or a file, without ever blocking the event loop.

A thread reads, since a file cannot be waited for and a terminal made non-blocking would
be so for every process that shares it. It reads on only while the lines are taken, so
memory is bounded whatever is piped in.
"""

import asyncio
import codecs
import contextlib
import os
import queue
import threading
from collections.abc import Callable, Iterator

MAX_LINE_BYTES = 262_144
"""Longer lines are left out; no server takes such a message."""

MAX_WAITING = 16
_CHUNK_BYTES = 65_536


class BadLineError(Exception):
    """A line cannot be used; the text says why."""


class Lines:
    """Splits bytes into lines of text, however they were chunked."""

    def __init__(self) -> None:
        self._rest = bytearray()
        self._is_skipping = False

    def feed(self, data: bytes) -> Iterator[str | BadLineError]:
        """Yield the lines that ``data`` completes, without line ends."""
        for part in data.splitlines(keepends=True):
            is_whole = part.endswith(b"\n")
            if not self._is_skipping:
                self._rest += part
            if len(self._rest) > MAX_LINE_BYTES:
                self._rest.clear()
                self._is_skipping = True
            if is_whole:
                yield self._take()

    def end(self) -> Iterator[str | BadLineError]:
        """Yield what came after the last line end, if anything did."""
        if self._rest or self._is_skipping:
            yield self._take()

    def _take(self) -> str | BadLineError:
        line, self._rest = bytes(self._rest).rstrip(b"\r\n"), bytearray()
        if self._is_skipping:
            self._is_skipping = False
            return BadLineError(f"a line of over {MAX_LINE_BYTES:,} bytes is left out")
        try:
            return codecs.decode(line, "utf-8")
        except UnicodeDecodeError:
            return BadLineError("a line that is not text (UTF-8) is left out")


class LineInput:
    """The lines that come from a file descriptor.

    Args:
        handle: The descriptor; read until its end, and never closed here.
        read: Reads bytes from it, b"" at the end.
    """

    def __init__(
        self, handle: int = 0, read: Callable[[int, int], bytes] = os.read
    ) -> None:
        self._handle = handle
        self._read = read
        # A full queue blocks the thread; None is the end of the input.
        self._queue: queue.Queue[str | BadLineError | None] = queue.Queue(MAX_WAITING)
        self._is_there = asyncio.Event()

    def start(self) -> None:
        """Start to read, in a thread that ends with the input or the program."""
        loop = asyncio.get_running_loop()
        threading.Thread(target=self._work, args=(loop,), daemon=True).start()

    async def next(self) -> str | None:
        """Return the next line, None at the end of the input.

        Raises:
            BadLineError: The line cannot be used; later ones can be read all the same.
        """
        while True:
            try:
                line = self._queue.get_nowait()
            except queue.Empty:
                await self._is_there.wait()
                self._is_there.clear()
                continue
            if isinstance(line, BadLineError):
                raise line
            return line

    def _work(self, loop: asyncio.AbstractEventLoop) -> None:
        lines = Lines()
        # The loop may be closed while this waits for input.
        with contextlib.suppress(RuntimeError):
            while data := self._read_some():
                for line in lines.feed(data):
                    self._put(loop, line)
            for line in lines.end():
                self._put(loop, line)
            self._put(loop, None)

    def _read_some(self) -> bytes:
        try:
            return self._read(self._handle, _CHUNK_BYTES)
        except OSError:
            # The terminal is gone.
            return b""

    def _put(
        self, loop: asyncio.AbstractEventLoop, line: str | BadLineError | None
    ) -> None:
        self._queue.put(line)
        loop.call_soon_threadsafe(self._is_there.set)
