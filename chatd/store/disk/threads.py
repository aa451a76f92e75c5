"""A thread pool for everything that may block on the disk."""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from chatd.protocol.errors import ChatError, ServerStoppingError
from chatd.store.disk.files import read_error, write_error

P = ParamSpec("P")
T = TypeVar("T")

# A few syncs at once must not hold up reads.
THREADS = 8

_log = logging.getLogger(__name__)


class Threads:
    """Runs functions in threads, to their end even if the caller is cancelled.

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
            UnavailableError: The disk cannot be read.
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
            StorageFullError: The disk is full.
            UnavailableError: The disk reports any other error.
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
            function(*args, **kwargs)  # After ``close``, no one is held up any more.
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
            # It may fail, or have failed just now: log that, as no one awaits it.
            work.add_done_callback(_drop)
            done.add_done_callback(_drop)
            raise


def _drop(done: "asyncio.Future[T]") -> None:
    error = None if done.cancelled() else done.exception()
    if error is not None and not isinstance(error, ChatError):
        _log.warning("work on a file failed after its caller was cancelled: %s", error)


def _log_failure(future: "Future[object]") -> None:
    error = future.exception()
    if error is not None:
        _log.warning("closing a file failed: %s", error)
