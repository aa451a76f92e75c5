"""A transfer job, on the frontend's event loop: retried until it succeeds or cannot.

A job asks the server for a ticket, lets the worker move the bytes, and keeps the
journal. What both directions share is here: whose turn it is, when to try again, and
how it ends.

The state that is shown is ``waiting`` (for the connection, a turn or the next attempt),
``checking`` (a file is hashed, or a stream copied) or ``moving``, in any order, and
then for good ``done``, ``failed`` or ``cancelled``. The outcome may be decided before
it is shown, while files are renamed or removed: from then on it cannot be cancelled.
A cancelled job is shown as such at once, and cleans up in its task afterwards.
``stop`` ends the task only, without cleaning up: the transfer can be resumed.
"""

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import msgspec

from chatd.protocol.errors import ChatError, TooManyError
from chatd.system.tasks import Tasks
from client.errors import LinkError, NotConnectedError, ServerKeyError
from client.model.entries import Transfer
from client.net.retry import backoff_seconds, is_passing
from client.transfers.context import TransferContext
from client.transfers.journal import JournalError, TakenOverError
from client.transfers.progress import Progress, RateMeter
from client.transfers.records import TransferRecord

logger = logging.getLogger(__name__)

OFFLINE = "no connection just now"
QUEUED = "other files come first"


Tell = Callable[["Job"], None]


class Job(ABC):
    """A transfer that this process works on.

    Args:
        context: What all jobs share.
        record: As it is in the journal.
        tell: Called whenever what is shown has changed.
        is_adopted: Whether an ended process began it, and it has not been requested
            again in this process.

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
        self._tasks = Tasks()
        self._task: asyncio.Task[None] | None = None
        self._has_begun = False
        self._is_cancelled = False
        self._is_outcome_certain = False

    @property
    def is_busy(self) -> bool:
        """Whether its byte counter advances."""
        return self.transfer.state in ("checking", "moving")

    @property
    def is_ending(self) -> bool:
        """Whether its outcome is certain, but its task has not cleaned up yet."""
        is_certain = self._is_outcome_certain or self.transfer.is_over
        return is_certain and self._task is not None

    def start(self) -> None:
        """Start a task that works on it until it is over."""
        self._loop = asyncio.get_running_loop()
        self._has_begun = False
        self._task = self._tasks.start(self._run())

    async def stop(self) -> None:
        """Stop work on it; this process or another one can resume it."""
        task = self._task
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    def cancel(self) -> None:
        """Cancel it for good; what there is of it is removed in the background.

        This has no effect once the outcome is certain.
        """
        if self.transfer.is_over or self._is_outcome_certain:
            return
        self._is_cancelled = True
        self._end("cancelled", code="cancelled", reason="it was cancelled")
        # A task cancelled before its first step would never run, and remove nothing.
        if self._task is not None and self._has_begun:
            self._task.cancel()

    async def news(self) -> None:
        """Wait for ``wake``: it is over, its stream is copied, or the link stopped."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.add(waiter)
        try:
            await waiter
        finally:
            self._waiters.discard(waiter)

    def wake(self) -> None:
        """Resume all that wait in ``news``."""
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def settled(self) -> None:
        """Wait until its task has ended and cleaned up."""
        if self._task is not None:
            await asyncio.wait([self._task])

    def show(self, **changes: Any) -> None:
        """Change what is shown, and report it if it differs; never once it is over."""
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
        """Show its progress and rate."""
        moved = self.progress.moved
        rate = self._meter.add(now, moved)
        self.show(moved=min(moved, self.transfer.size), rate=rate)

    # For the two directions -----------------------------------------------------------

    @abstractmethod
    def _shown_path(self) -> Path | None:
        """Return the path to show to the user."""

    @abstractmethod
    async def _prepare(self) -> None:
        """Do what needs no connection."""

    @abstractmethod
    async def _attempt(self) -> None:
        """Move the missing bytes, and finish."""

    @abstractmethod
    async def _discard(self) -> None:
        """Remove what is left of it, as it failed or was cancelled."""

    @abstractmethod
    def _close_files(self) -> None:
        """Close what is open; the worker no longer uses it."""

    def _is_final(self, error: Exception) -> bool:
        """Whether trying again cannot help."""
        if isinstance(error, TooManyError):
            return error.retry_after_ms is None
        return not (is_passing(error) or isinstance(error, ServerKeyError))

    async def _done(self, **changes: Any) -> None:
        """Remove it from the journal, and show that it is done."""
        record = self.record
        try:
            await self.context.write(
                lambda journal: journal.remove(record, is_sent=True)
            )
        except JournalError as error:
            self.context.notice(f"{self.record.name} may come again: {error}")
        self._end("done", moved=self.transfer.size, **changes)

    async def _keep(self, record: TransferRecord) -> None:
        """Replace its record, in the journal first."""
        await self.context.write(lambda journal: journal.update(record))
        self.record = record

    async def _is_taken(self) -> bool:
        """Whether another process has taken it over, as it was requested there."""
        record = self.record
        try:
            return self.is_adopted and not await self.context.write(
                lambda j: j.owns(record)
            )
        except JournalError:
            return False

    def _begin_moving(self, offset: int) -> None:
        """Record that bytes move from ``offset`` on; called in the worker."""
        self.progress.begin(offset)
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._moving)

    def _moving(self) -> None:
        # By now it may be over, or in another state.
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
                raise  # the link is closed, or ``stop`` was called
            await self._clean_up()
        except (ChatError, LinkError) as error:
            if await self._is_taken():
                self._end("cancelled", code="taken", reason=str(TakenOverError()))
            else:
                await self._fail(getattr(error, "code", "internal"), str(error))
        except Exception as error:
            # A bug must show as a failure, not as a transfer that hangs.
            logger.exception("a transfer failed with an unexpected error")
            await self._fail("internal", f"{type(error).__name__}: {error}")
        finally:
            self._close_files()
            self._task = None

    async def _fail(self, code: str, reason: str) -> None:
        self._is_outcome_certain = True
        await self._clean_up()
        self._end("failed", code=code, reason=reason)

    async def _clean_up(self) -> None:
        self._close_files()
        try:
            if not await self._is_taken():
                await self._discard()
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
                raise TakenOverError
            self.show(state="waiting", reason=None)
            await self._attempt()

    async def _pause(self, error: Exception, failures: int) -> None:
        """Wait before the next attempt; after a lost connection, until a login at most.

        A refusal is waited out in full, as a new login does not change it.
        """
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
