"""The shared context of a link's transfers: the link, worker, journal and turns.

All of it is for the frontend's event loop.
"""

import asyncio
from collections.abc import Callable
from typing import ParamSpec, Protocol, TypeVar

from chatd.protocol.errors import ChatError, TemporaryError
from chatd.protocol.messages import CancelUpload, Limits, Request, ServerMessage
from client.errors import NotConnectedError
from client.net.address import ServerAddress
from client.net.session import Timing
from client.transfers.data_connection import Timeouts
from client.transfers.journal import Journal, JournalError
from client.transfers.records import TransferRecord
from client.transfers.turn_queue import TurnQueue
from client.transfers.worker_thread import Worker

P = ParamSpec("P")
T = TypeVar("T")

MAX_MOVING = 3
"""How many files move at once, in each direction."""


class Channel(Protocol):
    """What transfers need from the link."""

    limits: Limits | None

    def data_address(self) -> ServerAddress | None:
        """Return the address for data connections, None while offline."""

    async def request(self, request: Request) -> ServerMessage:
        """Send a request and return its reply."""


class TransferContext:
    """The shared state of a link's transfers; made once for each link.

    Args:
        channel: The link.
        timing: The link's.
        notice: Called with a sentence when something is wrong with the client's own
            files.

    Attributes:
        worker: Where bytes move.
        online: Set while there is a connection.
        login: Set at each login, to wake jobs that wait before their next attempt.
        journal: None until it is opened.
        stall_seconds: A connection on which no byte moves for so long is given up.
        checks: Turns to read a file before its bytes move: one file at a time.
        moving: Turns to move bytes, by direction.
    """

    def __init__(
        self, channel: Channel, timing: Timing, notice: Callable[[str], None]
    ) -> None:
        self.channel = channel
        self.timing = timing
        self.notice = notice
        self.worker = Worker()
        self.online = asyncio.Event()
        self.login = asyncio.Event()
        self.journal: Journal | None = None
        self.stall_seconds = 20.0
        self.checks = TurnQueue(1)
        self.moving = {"up": TurnQueue(MAX_MOVING), "down": TurnQueue(MAX_MOVING)}
        self._cancelled: dict[int, TransferRecord] = {}

    @property
    def patience(self) -> Timeouts:
        """The timeouts of data connections."""
        return Timeouts(connect=self.timing.connect, stall=self.stall_seconds)

    async def write(self, action: Callable[[Journal], T]) -> T:
        """Run an action on the journal, off the loop; it is done when this returns.

        Raises:
            JournalError: It could not be written.
        """
        journal = self.journal
        if journal is None:
            raise JournalError("the journal of transfers is not open")
        return await asyncio.to_thread(action, journal)

    async def call(
        self, action: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run a call that blocks for a moment in the worker's disk threads."""
        return await self.worker.run(self.worker.disk(action, *args, **kwargs))

    async def cancel_upload(self, record: TransferRecord) -> None:
        """Tell the server that an upload was cancelled; now, or at the next login.

        Args:
            record: In the journal, as cancelled; removed from it afterwards.
        """
        self._cancelled[record.id] = record
        await self._tell_cancelled(record)

    async def tell_cancelled(self) -> None:
        """Tell the server of cancelled uploads that could not be reported before."""
        for record in list(self._cancelled.values()):
            await self._tell_cancelled(record)

    async def _tell_cancelled(self, record: TransferRecord) -> None:
        if record.file is not None:
            try:
                await self.channel.request(CancelUpload(file=record.file))
            except (NotConnectedError, TemporaryError):
                return  # the next login is another chance
            except ChatError:
                pass  # the server does not have it, or not any more
        if self._cancelled.pop(record.id, None) is not None:
            await self.write(lambda journal: journal.remove(record))
