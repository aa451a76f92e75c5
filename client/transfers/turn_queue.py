"""An ordered semaphore: so many turns at once, the rest in the order of their ids."""

import asyncio
import contextlib
import heapq
from collections.abc import AsyncIterator


class TurnQueue:
    """A semaphore whose waiters come in the order of their numbers, lowest first.

    Args:
        count: How many may hold a turn at once.
    """

    def __init__(self, count: int) -> None:
        self._free = count
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        self._entries = 0

    @property
    def is_full(self) -> bool:
        """Whether the next caller has to wait."""
        return self._free == 0

    @contextlib.asynccontextmanager
    async def hold(self, number: int) -> AsyncIterator[None]:
        """Wait for a turn, and hold it until the end of the block."""
        await self._acquire(number)
        try:
            yield
        finally:
            self._release()

    async def _acquire(self, number: int) -> None:
        if self._free:
            self._free -= 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._entries += 1
        heapq.heappush(self._waiting, (number, self._entries, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._release()  # the turn was given at the same moment
            raise

    def _release(self) -> None:
        while self._waiting:
            turn = heapq.heappop(self._waiting)[2]
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1
