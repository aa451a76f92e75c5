"""The worker thread that moves bytes, with its own event loop and threads for the disk.

Code on the frontend's event loop hands coroutines over with ``Worker.run`` and awaits
them there. Work is never abandoned halfway: a cancelled ``run`` returns when the
coroutine has ended, and a cancelled ``disk`` when the call has returned, so that no
file is closed or removed which a thread still writes.
"""

import asyncio
import concurrent.futures
import functools
import threading
from collections.abc import Callable, Coroutine
from typing import Any, Generic, ParamSpec, TypeVar

from chatd.system.tasks import Tasks
from client.errors import NotConnectedError

P = ParamSpec("P")
T = TypeVar("T")

# Each transfer keeps at most two of them busy, and never for long.
DISK_THREADS = 12
CLOSE_SECONDS = 0.8


class _Job(Generic[T]):
    """A coroutine in the worker, and the future that the frontend's loop awaits."""

    def __init__(self, work: Coroutine[Any, Any, T]) -> None:
        self.work = work
        self.future: concurrent.futures.Future[T] = concurrent.futures.Future()
        self.task: asyncio.Task[T] | None = None

    def start(self, jobs: "set[_Job[Any]]", tasks: Tasks) -> None:
        jobs.add(self)
        self.task = tasks.start(self.work, is_awaited=True)
        self.task.add_done_callback(functools.partial(self._ended, jobs))

    def cancel(self) -> None:
        if self.task is not None:
            self.task.cancel()

    def _ended(self, jobs: "set[_Job[Any]]", task: asyncio.Task[T]) -> None:
        jobs.discard(self)
        error = None if task.cancelled() else task.exception()
        if self.future.done():
            return  # cancelled by ``Worker.close``
        if task.cancelled():
            self.future.set_exception(NotConnectedError("the link was closed"))
        elif error is not None:
            self.future.set_exception(error)
        else:
            self.future.set_result(task.result())


class Worker:
    """A thread with an event loop; started by the first ``run``, ended by ``close``."""

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pool: concurrent.futures.ThreadPoolExecutor | None = None
        self._jobs: set[_Job[Any]] = set()
        self._tasks = Tasks()
        self._is_closed = False

    async def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in the worker's thread, and return what it returns.

        When this is cancelled the coroutine is too, and has ended before this raises.

        Raises:
            NotConnectedError: The worker is closed.
        """
        if self._is_closed:
            work.close()
            raise NotConnectedError("the link was closed")
        loop = self._start()
        job = _Job(work)
        loop.call_soon_threadsafe(job.start, self._jobs, self._tasks)
        ended = asyncio.wrap_future(job.future)
        try:
            return await asyncio.shield(ended)
        except asyncio.CancelledError:
            if not self._is_closed:
                loop.call_soon_threadsafe(job.cancel)
            await asyncio.wait([ended])
            if not ended.cancelled():
                ended.exception()  # nothing else retrieves it
            raise

    async def disk(
        self, action: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run a call that blocks for a moment in a disk thread; only inside ``run``.

        When this is cancelled it raises after the call has returned.
        """
        future = self.disk_nowait(functools.partial(action, *args, **kwargs))
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            await asyncio.wait([future])
            if not future.cancelled():
                future.exception()  # nothing else retrieves it
            raise

    def disk_nowait(self, action: Callable[[], T]) -> asyncio.Future[T]:
        """Begin a call that blocks; only inside ``run``. Do not cancel the future."""
        assert self._pool is not None
        return asyncio.get_running_loop().run_in_executor(self._pool, action)

    async def close(self) -> None:
        """Cancel what runs and end the thread; abandon what does not end in time."""
        self._is_closed = True
        thread, loop = self._thread, self._loop
        if thread is None or loop is None or self._pool is None:
            return
        loop.call_soon_threadsafe(self._cancel_all)
        await asyncio.to_thread(thread.join, CLOSE_SECONDS)
        self._pool.shutdown(wait=False, cancel_futures=True)
        for job in list(self._jobs):
            job.future.cancel()

    # In the thread --------------------------------------------------------------------

    def _start(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            self._loop = _new_loop()
            self._pool = concurrent.futures.ThreadPoolExecutor(
                DISK_THREADS, thread_name_prefix="chat-disk"
            )
            self._thread = threading.Thread(
                target=self._serve, name="chat-files", daemon=True
            )
            self._thread.start()
        return self._loop

    def _serve(self) -> None:
        assert self._loop is not None
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        finally:
            self._loop.close()

    def _cancel_all(self) -> None:
        assert self._loop is not None
        tasks = [job.task for job in self._jobs if job.task is not None]
        for task in tasks:
            task.cancel()
        ending = self._tasks.start(_all_ended(tasks))
        ending.add_done_callback(lambda _: self._stop())

    def _stop(self) -> None:
        assert self._loop is not None
        # One more turn of the loop, so that the ended jobs set their futures.
        self._loop.call_later(0.0, self._loop.stop)


async def _all_ended(tasks: list[asyncio.Task[Any]]) -> None:
    if tasks:
        await asyncio.wait(tasks)


def _new_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()
