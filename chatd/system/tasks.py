"""Tasks that have an owner, which ends them, and whose failures are not lost."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class Tasks:
    """The tasks of one owner.

    A task that fails is reported to the loop's exception handler, which logs it, unless
    the owner awaits it.
    """

    def __init__(self) -> None:
        self._awaited: set[asyncio.Task[Any]] = set()
        self._tasks: set[asyncio.Task[Any]] = set()

    def __bool__(self) -> bool:
        """Return whether any is running."""
        return bool(self._tasks)

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
