"""Tasks that have an owner, which ends them, and whose failures are not lost."""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec, Self, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Tasks:
    """The tasks of one owner, or of a context, whose end ends them.

    A task that fails is reported to the loop's exception handler, which logs it, unless
    the owner awaits it.
    """

    def __init__(self) -> None:
        self._awaited: set[asyncio.Task[Any]] = set()
        self._tasks: set[asyncio.Task[Any]] = set()

    def __len__(self) -> int:
        """Return how many are running."""
        # One that is done stays here until its callback is called.
        return sum(not task.done() for task in self._tasks)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Start a task that nobody waits for."""
        _ = self.start(work)

    def start(
        self, work: Coroutine[Any, Any, T], *, is_awaited: bool = False
    ) -> "asyncio.Task[T]":
        """Start a task and return it.

        Args:
            work: What it runs.
            is_awaited: Whether the owner sees to its failure.
        """
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        if is_awaited:
            self._awaited.add(task)
        task.add_done_callback(self._done)
        return task

    async def carry_out(self, work: Coroutine[Any, Any, T]) -> T:
        """Await work that goes on if the caller is cancelled."""
        return await asyncio.shield(self.start(work, is_awaited=True))

    async def settled(self) -> None:
        """Wait until those that run now have ended; cancelling this ends none."""
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def close(self, seconds: float = 0.0) -> None:
        """End all tasks.

        Args:
            seconds: How long they may take to end by themselves; then they are
                cancelled.
        """
        tasks = list(self._tasks)
        if tasks and seconds:
            await asyncio.wait(tasks, timeout=seconds)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _done(self, task: "asyncio.Task[Any]") -> None:
        self._tasks.discard(task)
        is_awaited = task in self._awaited
        self._awaited.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None and not is_awaited:
            said = {"message": "a task failed", "exception": error, "task": task}
            task.get_loop().call_exception_handler(said)


async def race(*works: Coroutine[Any, Any, None]) -> None:
    """Run work at once until one of it ends; raise what it raised, cancel the rest."""
    async with Tasks() as tasks:
        running = [tasks.start(work, is_awaited=True) for work in works]
        done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
        for task in running:
            if task in done:
                task.result()


async def to_thread(
    stop: Callable[[], object], work: Callable[P, T], *args: P.args, **kwargs: P.kwargs
) -> T:
    """Run a function in a thread, and wait for its end also when cancelled.

    Args:
        stop: Called when this is cancelled: the function should end soon.
        work: The function.
        args: Its arguments.
        kwargs: Likewise.
    """
    task = asyncio.ensure_future(asyncio.to_thread(work, *args, **kwargs))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        stop()
        await asyncio.gather(task, return_exceptions=True)
        raise


class Drain:
    """Work that is done again whenever it is due, by one task at a time.

    Args:
        work: Does what there is to do now; called again if ``wake`` was meanwhile.
        gather_seconds: How long after ``wake`` it begins, as more may come.
    """

    def __init__(
        self, work: Callable[[], Coroutine[Any, Any, None]], gather_seconds: float = 0.0
    ) -> None:
        self._work = work
        self._gather_seconds = gather_seconds
        self._hurry = asyncio.Event()
        self._tasks = Tasks()
        self._is_due = False
        self._is_running = False

    @property
    def is_idle(self) -> bool:
        """Whether nothing is being done, nor due."""
        # A task that is cancelled before its first step leaves the flag set.
        return not (self._is_running and self._tasks)

    def wake(self) -> None:
        """Have the work done."""
        self._is_due = True
        if self.is_idle:
            self._is_running = True
            self._tasks.spawn(self._run())

    async def idle(self) -> None:
        """Do at once what is due, and wait for it; cancelling this ends no work."""
        self._hurry.set()
        try:
            while not self.is_idle:
                await self._tasks.settled()
        finally:
            self._hurry.clear()

    async def close(self, seconds: float = 0.0) -> None:
        """Cancel what has not ended in so many seconds; what is due is dropped."""
        await self._tasks.close(seconds)

    async def _run(self) -> None:
        try:
            while self._is_due:
                if self._gather_seconds:
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(self._gather_seconds):
                            await self._hurry.wait()
                self._is_due = False
                await self._work()
        except Exception:
            # This task reports it; another one does what is due.
            self._is_running = False
            if self._is_due:
                self.wake()
            raise
        except asyncio.CancelledError:
            self._is_running = False
            raise
        self._is_running = False
