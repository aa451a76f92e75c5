"""An upload's connection: one piece is read while another one is sent."""

import asyncio
import contextlib
from collections.abc import Callable
from functools import partial

from chatd.protocol.messages import ServerMessage, Stored
from client.errors import PeerError
from client.net.connection import Connection
from client.transfers.data_connection import TICK_SECONDS, DataConnection, Timeouts
from client.transfers.progress import Progress
from client.transfers.source import PIECE_BYTES
from client.transfers.worker_thread import Worker

# Bytes read at once: so many that handing them from thread to thread costs little.
READ_BYTES = 4 * PIECE_BYTES
# Bytes that may wait to be sent, so that the network never waits for the disk.
WRITE_BUFFER_BYTES = 2 * PIECE_BYTES

Read = Callable[[int, int], bytes]


class UploadConnection(DataConnection):
    """The data connection of an upload."""

    def __init__(
        self, connection: Connection, worker: Worker, patience: Timeouts
    ) -> None:
        super().__init__(connection, worker, patience)
        self._can_send = asyncio.Event()
        self._can_send.set()

    async def send(self, read: Read, progress: Progress) -> Stored:
        """Send the file from ``offset`` on, and return the server's reply.

        Args:
            read: Called in a disk thread with an offset and a number of bytes.
            progress: Counts the bytes that have left this program.

        Raises:
            ChatError: The server refused.
            ConnectError: The connection broke, or no byte moved for too long.
            TransferError: ``read`` raised it.
        """
        self._transport.set_write_buffer_limits(WRITE_BUFFER_BYTES)
        await self._watch(self._pump(read, progress), progress)
        reply = await self._next_message(self._patience.verify(self.size))
        if not isinstance(reply, Stored):
            raise PeerError("the server answers a file with something else")
        return reply

    async def _pump(self, read: Read, progress: Progress) -> None:
        """Write the bytes until all have left, or the server replied or hung up."""
        at = self.offset
        ahead = self._worker.disk_nowait(partial(read, at, READ_BYTES))
        try:
            while at < self.size and not self._is_answered:
                data = await asyncio.shield(ahead)
                if self._transport.is_closing():
                    break
                at += len(data)
                if at < self.size:
                    ahead = self._worker.disk_nowait(partial(read, at, READ_BYTES))
                self._transport.write(data)
                while self._count(at, progress) and not self._can_send.is_set():
                    await _tick(self._can_send)
            while self._count(at, progress) and not self._is_answered:
                self._wake.clear()
                await _tick(self._wake)
        finally:
            await asyncio.wait([ahead])
            ahead.exception()  # nothing else retrieves it

    def _count(self, at: int, progress: Progress) -> bool:
        """Update the counter; return whether bytes still wait in this program."""
        waiting = self._transport.get_write_buffer_size()
        # With TLS the buffer also counts its overhead, a few bytes more.
        gained = at - self.offset - waiting
        progress.add(max(0, gained - progress.gained))
        return waiting > 0

    @property
    def _is_answered(self) -> bool:
        return bool(self._messages) or self._end is not None

    def _take_message(self, message: ServerMessage) -> None:
        super()._take_message(message)
        self._can_send.set()

    # What the transport calls ---------------------------------------------------------

    def connection_lost(self, exc: Exception | None) -> None:
        """Record the end of the connection."""
        super().connection_lost(exc)
        self._can_send.set()

    def pause_writing(self) -> None:
        """Pause writing: the transport's buffer is full."""
        self._can_send.clear()

    def resume_writing(self) -> None:
        """Resume writing: the transport's buffer has space."""
        self._can_send.set()


async def _tick(event: asyncio.Event) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(TICK_SECONDS):
            await event.wait()
