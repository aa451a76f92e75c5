"""Threads of their own for everything that may wait for the disk."""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from chatd.protocol.errors import ChatError, ServerStoppingError
from chatd.store.disk.files import read_error, write_error

P = ParamSpec("P")
T = TypeVar("T")

# A few syncs at once must not hold up those who only read.
THREADS = 8

_log = logging.getLogger(__name__)


class Threads:
    """Runs functions in threads; what was asked for is done, also if it is cancelled.

    ``is_stopping`` is for long functions: they should end soon once it is True.
    """

    def __init__(self) -> None:
        self.is_stopping = False
        self._executor = ThreadPoolExecutor(THREADS, "files")

    async def close(self) -> None:
        """Wait for what has begun, and end the threads."""
        self.is_stopping = True
        await asyncio.to_thread(self._executor.shutdown)

    async def read(
        self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run a function that reads.

        Raises:
            UnavailableError: The disk says that it cannot be read.
        """
        try:
            return await self._run(function, *args, **kwargs)
        except OSError as error:
            raise read_error(error) from error

    async def write(
        self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run a function that writes.

        Raises:
            StorageFullError: The disk has no room.
            UnavailableError: The disk says anything else.
        """
        try:
            return await self._run(function, *args, **kwargs)
        except OSError as error:
            raise write_error(error) from error

    def run_soon(
        self, function: Callable[P, object], *args: P.args, **kwargs: P.kwargs
    ) -> None:
        """Run a function without waiting for it; what it raises is logged."""
        try:
            future = self._executor.submit(function, *args, **kwargs)
        except RuntimeError:
            function(*args, **kwargs)  # Nobody is held up any more.
        else:
            future.add_done_callback(_log_failure)

    async def _run(
        self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        try:
            future = self._executor.submit(function, *args, **kwargs)
        except RuntimeError:
            raise ServerStoppingError("the server is stopping") from None
        work = asyncio.wrap_future(future)
        done = asyncio.shield(work)
        try:
            return await done
        except asyncio.CancelledError:
            # It may fail, or have failed just now, with nobody left to be told.
            work.add_done_callback(_drop)
            done.add_done_callback(_drop)
            raise


def _drop(done: "asyncio.Future[T]") -> None:
    error = None if done.cancelled() else done.exception()
    if error is not None and not isinstance(error, ChatError):
        _log.warning("work on a file that nobody waits for failed: %s", error)


def _log_failure(future: "Future[object]") -> None:
    error = future.exception()
    if error is not None:
        _log.warning("letting go of a file failed: %s", error)
