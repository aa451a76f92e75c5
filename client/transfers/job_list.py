"""The list of this process's transfer jobs, and the reports of their progress."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, TypeVar

from chatd.system.tasks import Drain, Tasks
from client.errors import TransferError
from client.model.changes import Change, TransferChanged
from client.transfers.data_connection import TICK_SECONDS
from client.transfers.job import Job

J = TypeVar("J", bound=Job)

# How many ended transfers are kept, so that a bot may run for years.
MAX_OVER = 1_000
# How long ``close`` waits for tasks that clean up, in seconds.
SETTLE_SECONDS = 0.5


class JobList:
    """All jobs, oldest first.

    Args:
        emit: Called with each change.
    """

    def __init__(self, emit: Callable[[list[Change]], None]) -> None:
        self._emit = emit
        self._jobs: dict[int, Job] = {}
        self._ticker = Drain(self._tick)
        self._is_closed = False

    @property
    def jobs(self) -> list[Job]:
        """All jobs, oldest first."""
        return list(self._jobs.values())

    def find(self, id_: int) -> Job:
        """Return a job by its id.

        Raises:
            TransferError: There is none.
        """
        job = self._jobs.get(id_)
        if job is None:
            raise TransferError(
                "there is no such file on its way here", "no_such_transfer"
            )
        return job

    def of(self, kind: type[J]) -> list[J]:
        """Return the jobs of one kind."""
        return [job for job in self._jobs.values() if isinstance(job, kind)]

    def start(self, job: Job) -> None:
        """Add a job and start it; of ended ones, drop all but the latest."""
        over = [n for n, other in self._jobs.items() if other.transfer.is_over]
        for number in over[:-MAX_OVER]:
            del self._jobs[number]
        self._jobs[job.record.id] = job
        self.tell(job)
        job.start()

    def tell(self, job: Job) -> None:
        """Report what a job shows now."""
        self._emit([TransferChanged(transfer=job.transfer)])
        if job.is_busy and not self._is_closed:
            self._ticker.wake()

    def wake(self) -> None:
        """Resume all that wait for news of a job."""
        for job in self._jobs.values():
            job.wake()

    async def close(self, others: Tasks) -> None:
        """Give jobs that are ending a moment to end, and stop the others.

        Args:
            others: Other tasks that get the same moment.
        """
        self._is_closed = True
        await self._ticker.close()
        ending = [job.settled() for job in self.jobs if job.is_ending]
        await asyncio.gather(others.close(SETTLE_SECONDS), wait_briefly(ending))
        await wait_briefly(job.stop() for job in self.jobs)

    async def _tick(self) -> None:
        """Show the progress of all busy jobs, a few times a second."""
        loop = asyncio.get_running_loop()
        while busy := [job for job in self._jobs.values() if job.is_busy]:
            for job in busy:
                job.sample(loop.time())
            await asyncio.sleep(TICK_SECONDS)


async def wait_briefly(works: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Wait a moment for ``works`` to end, then cancel those that have not."""
    tasks = Tasks()
    for work in works:
        tasks.spawn(work)
    await tasks.close(SETTLE_SECONDS)
