"""A data connection: after its first reply, the raw bytes of one file.

The task of the connection runs it. Buffers are bounded: a download is written only as
fast as its peer reads it, an upload read only as fast as it is stored.
"""

import array
import asyncio
import contextlib
import fcntl
import logging
import sys
import termios

from chatd.core.files.rules import Files
from chatd.core.files.transfers import DownloadTransfer, UploadTransfer
from chatd.listeners.native.intake import Intake
from chatd.protocol.errors import BadRequestError, ChatError
from chatd.protocol.frames import encode_frame
from chatd.protocol.messages import (
    Closing,
    Data,
    DataReply,
    Error,
    ServerMessage,
    Stored,
    encode_message,
)

# Bytes read at once from memory, and from the disk. Blocks below 128 KiB come from the
# heap (see ``chatd.server``): the system need not map and clear pages each time.
MEMORY_BYTES = 122_880
DISK_BYTES = 524_288
DISCARD_BYTES = 65_536
# How much of a download is queued to be written: enough never to run dry.
HIGH_WATER = 524_288
LOW_WATER = 262_144
# How long input is read and discarded, so that a peer that still sends gets our last
# message.
REFUSAL_SECONDS = 5.0
FAREWELL_SECONDS = 1.0
# The first and longest intervals at which it is checked whether the peer has received
# the end of a download.
FIRST_LOOK_SECONDS, LAST_LOOK_SECONDS = 0.01, 0.5

_log = logging.getLogger(__name__)


class DataConnection:
    """A connection from its ``data`` request on; it moves one file and ends.

    Args:
        files: Redeems the ticket.
        request: The request, not answered yet.
        reader: The connection's input; the task that creates this must call ``run``.
        writer: The connection's output; nothing else writes to it from ``run`` on.
        number: The connection's number, for the log.

    Raises:
        NotAllowedError: The ticket is not valid.
        TooManyError: The user or the server has the most transfers allowed.
    """

    def __init__(
        self,
        files: Files,
        request: Data,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        number: int,
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._number = number
        self._re = request.id
        self._task = asyncio.current_task()
        # Whether the client has sent more than the request.
        self.is_early = False
        self._is_answered = False
        # Whether bytes of the file may have been written.
        self._is_raw = False
        # Whether it waits for its peer, so that the idle clock runs.
        self._is_moving = False
        self._is_breakable = True
        self._is_cut = False
        self._refusal: ChatError | None = None
        self._closing: Closing | None = None
        self._seen = (0, 0)
        self._transfer: UploadTransfer | DownloadTransfer = files.redeem(
            request.ticket, self._cut
        )

    def __repr__(self) -> str:
        transfer = self._transfer
        what = "upload" if isinstance(transfer, UploadTransfer) else "download"
        return f"#{self._number} {transfer.user} ({what} of {transfer.record.id})"

    @property
    def user(self) -> str:
        """The user whose ticket it is."""
        return self._transfer.user

    # Called from other tasks --------------------------------------------------------

    def close_soon(self, closing: Closing) -> None:
        """Hang up; what was received of an upload stays."""
        if self._closing is None:
            self._closing = closing
            self._break_off()

    def _cut(self, refusal: ChatError | None) -> None:
        if not self._is_cut:
            self._is_cut = True
            self._refusal = refusal
            self._break_off()

    def _break_off(self) -> None:
        if self._is_breakable and self._task is not None:
            self._is_breakable = False
            self._task.cancel()

    def idle_seconds(self, now: float) -> float:
        """Return for how long no byte has moved.

        It compares with the state at its last call: call it every second or so.
        """
        transfer = self._transfer
        seen = (transfer.offset, self._unsent())
        if seen != self._seen or not self._is_moving:
            self._seen = seen
            transfer.moved_at = now
        return now - transfer.moved_at

    # Running ------------------------------------------------------------------------

    async def run(self) -> None:
        """Move the file and send the outcome; the caller closes the connection.

        Raises:
            OSError: The connection broke.
        """
        transfer = self._transfer
        outcome: Stored | None = None
        started_at = transfer.offset
        try:
            await self._open()
            started_at = transfer.offset
            if isinstance(transfer, DownloadTransfer):
                await self._send(transfer)
            else:
                outcome = await self._receive(transfer)
        except asyncio.CancelledError:
            if self._closing is None and not self._is_cut:
                raise
            assert self._task is not None
            self._task.uncancel()
        except ChatError as error:
            self._refusal = error
        finally:
            self._is_breakable = self._is_moving = False
            await transfer.close()
            self._log_end(started_at, outcome)
        await self._send_outcome(outcome)

    async def _open(self) -> None:
        transfer = self._transfer
        await transfer.open()
        if self.is_early or await self._has_input():
            raise BadRequestError("send nothing after 'data' before it is answered")
        answer = DataReply(re=self._re, offset=transfer.offset, size=transfer.size)
        self._writer.write(encode_frame(encode_message(answer)))
        self._is_answered = True

    async def _has_input(self) -> bool:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0):
                return bool(await self._reader.read(1))
        return False

    def _log_end(self, started_at: int, outcome: Stored | None) -> None:
        transfer = self._transfer
        how = "stored" if outcome is not None else "left"
        if self._refusal is not None:
            how = f"refused ({self._refusal.code})"
        elif transfer.offset == transfer.size and isinstance(
            transfer, DownloadTransfer
        ):
            how = "sent"
        _log.info(
            "%r: bytes %d to %d of %d, %s",
            self,
            started_at,
            transfer.offset,
            transfer.size,
            how,
        )

    # Downloads ----------------------------------------------------------------------

    async def _send(self, dispatch: DownloadTransfer) -> None:
        content, size = dispatch.content, dispatch.size
        assert content is not None
        writer, transport = self._writer, self._writer.transport
        transport.set_write_buffer_limits(HIGH_WATER, LOW_WATER)
        self._is_raw = self._is_moving = True
        while dispatch.offset < size:
            piece = content.read_nowait(dispatch.offset, MEMORY_BYTES)
            if piece is None:
                piece = await content.read(dispatch.offset, DISK_BYTES)
            if transport.is_closing():
                raise ConnectionResetError("the peer has hung up")
            transport.write(piece)
            dispatch.offset += len(piece)
            if transport.get_write_buffer_size() > HIGH_WATER:
                await writer.drain()
            else:
                # Let other tasks run, even if this peer is never the slower side.
                await asyncio.sleep(0)
        await self._deliver()

    async def _deliver(self) -> None:
        """Wait until the peer has received all that was written, or has hung up."""
        self._end_output()
        seconds = FIRST_LOOK_SECONDS
        while self._unsent() and not self._writer.transport.is_closing():
            await asyncio.sleep(seconds)
            seconds = min(2 * seconds, LAST_LOOK_SECONDS)

    def _unsent(self) -> int:
        """Return how many bytes wait here or in the system, as far as is known."""
        waiting = self._writer.transport.get_write_buffer_size()
        connection = self._writer.get_extra_info("socket")
        if sys.platform != "linux" or connection is None or connection.fileno() < 0:
            return waiting
        queued = array.array("i", [0])
        with contextlib.suppress(OSError):
            fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, queued)
        return waiting + queued[0]

    # Uploads ------------------------------------------------------------------------

    async def _receive(self, reception: UploadTransfer) -> Stored | None:
        """Receive and seal the upload; None if the peer hung up before its end."""
        if not reception.record.is_stored:
            intake = Intake(self._writer.transport, reception.size - reception.offset)
            intake.begin()
            try:
                if not await self._take_in(intake, reception):
                    return None
            finally:
                intake.end()
        # From here on it is stored even if the connection is closed.
        self._is_breakable = False
        return await reception.finish()

    async def _take_in(self, intake: Intake, reception: UploadTransfer) -> bool:
        """Write all bytes still to come; False if the peer hung up before the last."""
        self._is_moving = True
        try:
            while reception.offset < reception.size:
                await intake.ready()
                await reception.settle()
                if not self._write(intake, reception):
                    return False
        except asyncio.CancelledError:
            # What was received is kept, whatever ends the transfer.
            with contextlib.suppress(ChatError):
                await reception.settle()
                self._write(intake, reception)
            raise
        self._is_moving = False
        await reception.settle()
        if intake.has_excess:
            self._is_breakable = False
            await reception.drop()
        return True

    @staticmethod
    def _write(intake: Intake, reception: UploadTransfer) -> bool:
        piece = intake.take()
        if piece:
            reception.write(piece)
        return bool(piece)

    # The end ------------------------------------------------------------------------

    async def _send_outcome(self, outcome: Stored | None) -> None:
        transport = self._writer.transport
        last = self._last_messages(outcome)
        is_broken_off = self._is_cut or bool(last)
        if (self._is_raw and is_broken_off) or (self._is_cut and not last):
            # In the middle of a download, the peer would take a message for file bytes.
            transport.abort()
        if self._is_raw or not last or transport.is_closing():
            return
        for message in last:
            transport.write(encode_frame(encode_message(message)))
        seconds = FAREWELL_SECONDS if self._refusal is None else REFUSAL_SECONDS
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                if self._end_output() or outcome is None:
                    await self._discard_input()

    def _last_messages(self, outcome: Stored | None) -> list[ServerMessage]:
        last: list[ServerMessage] = [] if outcome is None else [outcome]
        refusal = self._refusal
        if refusal is not None and outcome is None:
            last.append(
                Error(
                    re=None if self._is_answered else self._re,
                    code=refusal.code,
                    reason=refusal.reason,
                    retry_after=refusal.retry_after_ms,
                )
            )
        if self._closing is not None:
            last.append(self._closing)
        return last

    def _end_output(self) -> bool:
        """End the stream from this side, where that is possible."""
        if self._writer.transport.is_closing() or not self._writer.can_write_eof():
            return False
        self._writer.write_eof()
        return True

    async def _discard_input(self) -> None:
        while await self._reader.read(DISCARD_BYTES):
            continue
