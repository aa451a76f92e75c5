"""One transfer, on the face's loop: tried again until it is done or cannot be.

A job asks the server for a ticket, lets the worker move the bytes, and keeps the
journal. What is the same for both directions is here: whose turn it is, when to try
again, and how it ends.
"""

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import msgspec

from chatd.protocol.errors import ChatError, TooManyError
from client.errors import LinkError, NotConnectedError, ServerKeyError
from client.model.entries import Transfer
from client.net.retry import backoff_seconds, is_passing
from client.transfers.context import TransferContext
from client.transfers.journal import JournalError, TakenError
from client.transfers.progress import Progress, RateMeter
from client.transfers.records import TransferRecord

logger = logging.getLogger(__name__)

OFFLINE = "no connection just now"
QUEUED = "other files come first"


Tell = Callable[["Job"], None]


class Job(ABC):
    """A transfer that this process works at.

    Args:
        context: What is shared.
        record: As it is in the journal.
        tell: Told whenever what is shown is different.
        is_adopted: Whether a process that is gone began it, and nobody here has asked
            for it again.

    Attributes:
        transfer: As it is shown.
        progress: What the worker counts.
    """

    def __init__(
        self,
        context: TransferContext,
        record: TransferRecord,
        tell: Tell,
        *,
        is_adopted: bool = False,
    ) -> None:
        self.context = context
        self.record = record
        self._tell = tell
        self.is_adopted = is_adopted
        self.progress = Progress()
        self._waiters: set[asyncio.Future[None]] = set()
        self.transfer = Transfer(
            id=record.id,
            direction=record.direction,
            state="waiting",
            chat=record.chat,
            name=record.name,
            size=record.size,
            path=self._shown_path(),
            seq=record.seq,
        )
        self._meter = RateMeter()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._has_begun = False
        self._is_cancelled = False
        self._is_decided = False

    @property
    def is_busy(self) -> bool:
        """Whether its counter moves."""
        return self.transfer.state in ("checking", "moving")

    @property
    def is_ending(self) -> bool:
        """Whether its end is certain, but something is still to be put away."""
        is_certain = self._is_decided or self.transfer.is_over
        return is_certain and self._task is not None

    def start(self) -> None:
        """Work at it until it is over."""
        self._loop = asyncio.get_running_loop()
        self._has_begun = False
        self._task = asyncio.create_task(self._run(), name=f"transfer {self.record.id}")

    async def stop(self) -> None:
        """Leave it as it is, to be gone on with; by this process or another one."""
        task = self._task
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    def cancel(self) -> None:
        """Give it up for good; what is to be put away is, in the background.

        It has no effect once the end is certain.
        """
        if self.transfer.is_over or self._is_decided:
            return
        self._is_cancelled = True
        self._end("cancelled", code="cancelled", reason="it was cancelled")
        # A task that is cancelled before its first step could put nothing away.
        if self._task is not None and self._has_begun:
            self._task.cancel()

    async def news(self) -> None:
        """Wait until it is over, or something else that is worth waiting for."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.add(waiter)
        try:
            await waiter
        finally:
            self._waiters.discard(waiter)

    def wake(self) -> None:
        """Have those in ``news`` look again."""
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def settled(self) -> None:
        """Wait until all is put away."""
        if self._task is not None:
            await asyncio.wait([self._task])

    def show(self, **changes: Any) -> None:
        """Change what is shown, and tell it if that is something else."""
        if self.transfer.is_over:
            return
        state = changes.get("state", self.transfer.state)
        if state != self.transfer.state:
            self._meter.restart()
            changes = {"rate": 0.0, "reason": None} | changes
        transfer = msgspec.structs.replace(self.transfer, **changes)
        if transfer != self.transfer:
            self.transfer = transfer
            self._tell(self)

    def sample(self, now: float) -> None:
        """Show how far it is."""
        moved = self.progress.moved
        rate = self._meter.add(now, moved)
        self.show(moved=min(moved, self.transfer.size), rate=rate)

    # For the two directions -----------------------------------------------------------

    @abstractmethod
    def _shown_path(self) -> Path | None:
        """Return the path that people are shown."""

    @abstractmethod
    async def _prepare(self) -> None:
        """Do what needs no connection."""

    @abstractmethod
    async def _attempt(self) -> None:
        """Move what is missing, and finish."""

    @abstractmethod
    async def _put_away(self) -> None:
        """Remove what is left of it; it failed or was cancelled."""

    @abstractmethod
    def _let_go(self) -> None:
        """Close what is open; nothing runs in the worker any more."""

    def _is_final(self, error: Exception) -> bool:
        """Whether trying again does not help."""
        if isinstance(error, TooManyError):
            return error.retry_after_ms is None
        return not (is_passing(error) or isinstance(error, ServerKeyError))

    async def _done(self, **changes: Any) -> None:
        """Forget it in the journal, and show that it is done."""
        record = self.record
        try:
            await self.context.write(
                lambda journal: journal.remove(record, is_sent=True)
            )
        except JournalError as error:
            self.context.notice(f"{self.record.name} may come again: {error}")
        self._end("done", moved=self.transfer.size, **changes)

    async def _keep(self, record: TransferRecord) -> None:
        """Write down what is known now."""
        await self.context.write(lambda journal: journal.update(record))
        self.record = record

    async def _is_taken(self) -> bool:
        """Whether another process goes on with it, as somebody asked for it there."""
        record = self.record
        try:
            return self.is_adopted and not await self.context.write(
                lambda j: j.owns(record)
            )
        except JournalError:
            return False

    def _begin_moving(self, offset: int) -> None:
        """Note, in the worker, that bytes move from here on."""
        self.progress.begin(offset)
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._moving)

    def _moving(self) -> None:
        # It may come late.
        if self.transfer.state == "waiting" and not self.transfer.is_over:
            self.show(state="moving", moved=self.progress.moved)

    # Inside ---------------------------------------------------------------------------

    async def _run(self) -> None:
        self._has_begun = True
        try:
            if self._is_cancelled:
                await self._clean_up()
            else:
                await self._work()
        except asyncio.CancelledError:
            if not self._is_cancelled:
                raise  # the link is closed
            await self._clean_up()
        except (ChatError, LinkError) as error:
            if await self._is_taken():
                self._end("cancelled", code="taken", reason=str(TakenError()))
            else:
                await self._fail(getattr(error, "code", "internal"), str(error))
        except Exception as error:
            # A bug of ours must show itself as such, not as a file that hangs.
            logger.exception("a transfer failed by an error of its own")
            await self._fail("internal", f"{type(error).__name__}: {error}")
        finally:
            self._let_go()
            self._task = None

    async def _fail(self, code: str, reason: str) -> None:
        self._is_decided = True
        await self._clean_up()
        self._end("failed", code=code, reason=reason)

    async def _clean_up(self) -> None:
        self._let_go()
        try:
            if not await self._is_taken():
                await self._put_away()
        except (LinkError, OSError) as error:
            self.context.notice(
                f"something of {self.record.name} was left behind: {error}"
            )

    async def _work(self) -> None:
        await self._prepare()
        failures = 0
        while not self.transfer.is_over:
            try:
                await self._wait_for_turn()
                return
            except (ChatError, LinkError, OSError) as error:
                if self._is_final(error):
                    raise
                failures = 0 if self.progress.gained else min(failures + 1, 10)
                await self._pause(error, max(0, failures - 1))

    async def _wait_for_turn(self) -> None:
        context = self.context
        turns = context.moving[self.record.direction]
        self.progress.gained = 0
        if not context.online.is_set():
            self.show(state="waiting", reason=OFFLINE)
            await context.online.wait()
        if turns.is_full:
            self.show(state="waiting", reason=QUEUED)
        async with turns.hold(self.record.id):
            if not context.online.is_set():
                raise NotConnectedError(OFFLINE)
            if await self._is_taken():
                raise TakenError
            self.show(state="waiting", reason=None)
            await self._attempt()

    async def _pause(self, error: Exception, failures: int) -> None:
        """Wait before the next attempt; less long if the link was away and is back."""
        context = self.context
        self.show(state="waiting", reason=str(error))
        has_lost = isinstance(error, LinkError | OSError)
        context.login.clear()
        try:
            async with asyncio.timeout(
                backoff_seconds(error, failures, context.timing)
            ):
                while True:
                    await context.login.wait()
                    if has_lost:
                        return
                    context.login.clear()
        except TimeoutError:
            return

    def _end(
        self, state: Literal["done", "failed", "cancelled"], **changes: Any
    ) -> None:
        self.show(state=state, **changes)
        self.wake()
