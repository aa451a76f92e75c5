"""A thread pool for password hashing, so that PBKDF2 does not block the event loop."""

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor

from chatd.accounts.scram import Verifier, derive_verifier
from chatd.protocol.errors import RateLimitedError, ServerStoppingError

# About 15 s of work for one core: beyond that, a refusal is better than the wait.
MAX_QUEUED_ITERATIONS = 60_000_000
BUSY_RETRY_MS = 2_000


class HashPool:
    """A few threads for PBKDF2, with a queue bounded by the work that waits in it.

    hashlib releases the interpreter lock while it hashes, so the threads are one fewer
    than the cores: one is left for the event loop.

    Args:
        max_queued_iterations: Iterations that may wait or run; one more job is accepted
            as long as they are fewer.
    """

    def __init__(self, max_queued_iterations: int = MAX_QUEUED_ITERATIONS) -> None:
        workers = max(1, (os.cpu_count() or 1) - 1)
        self._executor = ThreadPoolExecutor(workers, thread_name_prefix="hash")
        self._max_queued = max_queued_iterations
        self._queued = 0
        self._closed = False

    async def derive(
        self, password: str, iterations: int, salt: bytes | None = None
    ) -> Verifier:
        """Return ``derive_verifier`` of the same arguments; cancelling is safe.

        Raises:
            RateLimitedError: Too much work is waiting already.
            ServerStoppingError: The pool was closed before this job's turn came.
        """
        if self._queued >= self._max_queued:
            raise RateLimitedError(
                "the server is busy checking passwords: try again in a moment",
                BUSY_RETRY_MS,
            )
        if self._is_closed():
            raise ServerStoppingError("the server is stopping")
        self._queued += iterations
        try:
            return await asyncio.get_running_loop().run_in_executor(
                self._executor, derive_verifier, password, iterations, salt
            )
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if self._is_closed() and task is not None and not task.cancelling():
                raise ServerStoppingError("the server is stopping") from None
            raise
        finally:
            self._queued -= iterations

    async def close(self) -> None:
        """Wait for the jobs that run, and drop those that wait."""
        self._closed = True
        await asyncio.to_thread(self._executor.shutdown, cancel_futures=True)

    def _is_closed(self) -> bool:
        return self._closed
