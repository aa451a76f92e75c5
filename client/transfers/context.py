"""What all transfers of a link share: the link, the worker, the journal, and the turns.

All of it is for the face's loop.
"""

import asyncio
from collections.abc import Callable
from typing import ParamSpec, Protocol, TypeVar

from chatd.protocol.errors import ChatError, TemporaryError
from chatd.protocol.messages import CancelUpload, Limits, Request, ServerMessage
from client.errors import NotConnectedError
from client.net.address import ServerAddress
from client.net.session import Timing
from client.transfers.data_connection import Patience
from client.transfers.journal import Journal, JournalError
from client.transfers.records import TransferRecord
from client.transfers.turn_queue import TurnQueue
from client.transfers.worker_thread import Worker

P = ParamSpec("P")
T = TypeVar("T")

MAX_MOVING = 3
"""How many files move at once, in each direction."""


class Channel(Protocol):
    """What transfers need of the link."""

    limits: Limits | None

    def data_address(self) -> ServerAddress | None:
        """Return where data connections go, None while offline."""

    async def request(self, request: Request) -> ServerMessage:
        """Send a request and return its reply."""


class TransferContext:
    """Made once for a link.

    Args:
        channel: The link.
        timing: The link's.
        notice: Told, in a sentence, when something is wrong with our own files.

    Attributes:
        worker: Where bytes move.
        online: Set while there is a connection.
        login: Set by each new one, so that who waits for the network need not.
        journal: None until it is opened.
        stall_seconds: Without a byte, until a connection is given up.
        checks: Whose file is read: one after the other, before its bytes move.
        moving: Whose bytes move, by direction.
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
    def patience(self) -> Patience:
        """How long data connections wait for what."""
        return Patience(connect=self.timing.connect, stall=self.stall_seconds)

    async def write(self, action: Callable[[Journal], T]) -> T:
        """Do something with the journal, off the loop; when this returns it is done.

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
        """Call something that blocks for a moment, in the worker."""
        return await self.worker.run(self.worker.disk(action, *args, **kwargs))

    async def cancel_upload(self, record: TransferRecord) -> None:
        """Have the server told that nothing more comes; now, or at the next login.

        Args:
            record: In the journal as cancelled, where it is forgotten afterwards.
        """
        self._cancelled[record.id] = record
        await self._tell_cancelled(record)

    async def tell_cancelled(self) -> None:
        """Tell the server of what could not be told before."""
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
