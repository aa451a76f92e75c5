"""A download's connection: one buffer is written and hashed while another one fills.

When both are full, reading from the network pauses, so that memory stays bounded.
"""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial

from chatd.protocol.messages import DataReply, ServerMessage
from client.net.connection import Connection
from client.transfers.data_connection import DataConnection, Timeouts
from client.transfers.progress import Progress
from client.transfers.receive_buffers import Piece, RawBuffer
from client.transfers.worker_thread import Worker

Sink = Callable[[memoryview], None]


class DownloadConnection(DataConnection):
    """The data connection of a download."""

    def __init__(
        self, connection: Connection, worker: Worker, patience: Timeouts
    ) -> None:
        super().__init__(connection, worker, patience)
        # From the server's reply on everything is raw; it may come at once.
        self._raw: RawBuffer | None = None
        self._sinks: Sequence[Sink] = ()
        self._writing: asyncio.Future[list[BaseException | None]] | None = None
        self._is_paused = False

    async def receive(self, sinks: Sequence[Sink], progress: Progress) -> None:
        """Receive the bytes from ``offset`` on, until the sinks have all of them.

        Args:
            sinks: Called in disk threads with every piece in order; the sinks work on
                the same pieces at the same time.
            progress: Counts the bytes that the first sink has taken.

        Raises:
            ConnectError: The connection ended before that, or no byte moved for too
                long; the sinks have what came before.
            TransferError: A sink raised it.
        """

        def count(data: memoryview) -> None:
            sinks[0](data)
            progress.add(len(data))

        self._sinks = (count, *sinks[1:])
        self._hand_over()
        try:
            await self._watch(self._all_written(), progress)
        finally:
            # No more writes begin, and the caller cannot close a file that is written.
            self._sinks = ()
            self._transport.abort()
            if self._writing is not None:
                await asyncio.wait([self._writing])

    @property
    def _is_busy(self) -> bool:
        return self._writing is not None

    async def _all_written(self) -> None:
        raw = self._raw
        while raw is not None and (raw.missing or raw.has_pieces or self._is_busy):
            has_more = raw.has_pieces and bool(self._sinks)
            if self._end is not None and not self._is_busy and not has_more:
                raise self._end
            self._wake.clear()
            await self._wake.wait()

    def _hand_over(self) -> None:
        """Write the received pieces in threads; pause reading if these are slower."""
        raw = self._raw
        if raw is None:
            return
        if self._sinks and self._writing is None and raw.has_pieces:
            pieces = raw.take()
            disk = self._worker.disk_nowait
            works = [disk(partial(_pour, sink, pieces)) for sink in self._sinks]
            self._writing = asyncio.gather(*works, return_exceptions=True)
            self._writing.add_done_callback(partial(self._written, raw, pieces))
        self._set_paused(raw.is_full or not raw.missing)

    def _written(
        self,
        raw: RawBuffer,
        pieces: list[Piece],
        done: asyncio.Future[list[BaseException | None]],
    ) -> None:
        self._writing = None
        raw.give_back(pieces)
        for error in done.result():
            if isinstance(error, Exception):
                self._end, self._sinks = error, ()
                self._transport.abort()
        self._hand_over()
        self._wake.set()

    def _set_paused(self, is_paused: bool) -> None:
        if is_paused == self._is_paused or self._transport.is_closing():
            return
        self._is_paused = is_paused
        if is_paused:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    def _take_message(self, message: ServerMessage) -> None:
        super()._take_message(message)
        if isinstance(message, DataReply):
            self._raw = RawBuffer(max(0, message.size - message.offset))

    # What the transport calls ---------------------------------------------------------

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return the buffer for the next bytes."""
        if self._raw is None:
            return super().get_buffer(sizehint)
        return self._raw.free()

    def buffer_updated(self, nbytes: int) -> None:
        """Handle received bytes."""
        if self._raw is None:
            super().buffer_updated(nbytes)
        else:
            self._raw.added(nbytes)
            self._hand_over()


def _pour(sink: Sink, pieces: list[Piece]) -> None:
    for buffer, count in pieces:
        sink(memoryview(buffer)[:count])
