"""One connection over a stream: its frames are requests, or the bytes of one file."""

import asyncio
import logging

from chatd.listeners.gate import Caller
from chatd.listeners.native.data import DataConnection
from chatd.listeners.native.outbox import Flusher, Outbox
from chatd.listeners.native.peer import Site
from chatd.listeners.native.requests import DRAIN_SECONDS, Requests
from chatd.protocol.errors import BadFrameError, FrameError
from chatd.protocol.frames import MAX_BODY_BEFORE_LOGIN, FrameDecoder
from chatd.protocol.messages import Closing, Data

READ_BYTES = 65_536

_log = logging.getLogger(__name__)


class Connection:
    """One client connection; a guest of the gate (``gate.Guest``).

    Args:
        site: What serves it.
        reader: Its input.
        writer: Its output.
        flusher: Joins the writes of one turn of the loop.
        caller: Who has connected.
        number: Its number, for the log.

    Attributes:
        data: The transfer, once a ticket was redeemed instead of a login.
    """

    __slots__ = (
        "_decoder",
        "_number",
        "_outbox",
        "_reader",
        "_requests",
        "_site",
        "_writer",
        "data",
        "opened_at",
        "task",
    )

    def __init__(
        self,
        site: Site,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        flusher: Flusher,
        caller: Caller,
        number: int,
    ) -> None:
        self.data: DataConnection | None = None
        self.task: asyncio.Task[None] | None = asyncio.current_task()
        self.opened_at = site.service.clock.monotonic()
        self._site = site
        self._number = number
        self._reader = reader
        self._writer = writer
        self._decoder = FrameDecoder(MAX_BODY_BEFORE_LOGIN)
        self._outbox = Outbox(writer, flusher, site.gate.limits.outbox)
        self._requests = Requests(site, self._outbox, caller, number, self._begin_data)

    def __repr__(self) -> str:
        return repr(self.data or self._requests)

    # For the gate ---------------------------------------------------------------------

    @property
    def is_authenticated(self) -> bool:
        """Whether it has logged in, or redeemed a ticket."""
        return self._requests.session is not None or self.data is not None

    def belongs_to(self, user: str, login: str | None) -> bool:
        """Return whether it is a user's, and of one login if that is given.

        It is not known which login asked for a ticket: it may be of any of the user's.
        """
        if self.data is not None:
            return self.data.user == user
        return self._requests.belongs_to(user, login)

    def idle_seconds(self, now: float) -> float:
        """Return for how long nothing came, or no byte of the file moved."""
        if self.data is not None:
            return self.data.idle_seconds(now)
        return self._requests.idle_seconds(now)

    def close_soon(self, closing: Closing) -> None:
        """Close once accepted requests are answered; called from any task."""
        requests = self._requests
        if self.data is not None:
            self.data.close_soon(closing)
        elif requests.closing is None:
            requests.closing = closing
            # In the middle of a request, `_serve` sees `closing` afterwards.
            if requests.is_waiting and self.task is not None:
                self.task.cancel()

    # Running --------------------------------------------------------------------------

    async def run(self) -> None:
        """Serve the connection until either side ends it."""
        requests = self._requests
        try:
            self._outbox.push(requests.hello())
            try:
                await self._serve()
                if self.data is not None:
                    self._outbox.end()
                    await self.data.run()
            except asyncio.CancelledError:
                if requests.closing is None:
                    raise
                if self.task is not None:
                    self.task.uncancel()
            if requests.closing is not None:
                await self._hang_up(requests.closing)
        except OSError as error:
            # Also when the peer has gone before our last frame.
            _log.debug("%r broke: %s", self, error)
        finally:
            requests.log_out()
            await self._let_go()

    async def _serve(self) -> None:
        decoder, requests = self._decoder, self._requests
        while requests.closing is None:
            if self._outbox.is_full:
                await requests.pause(self._outbox.drained())
            requests.is_waiting = True
            data = await self._reader.read(READ_BYTES)
            requests.is_waiting = False
            if not data:
                # The client may have closed only its side, and wait for replies.
                await requests.finish()
                return
            requests.heard()
            try:
                await self._take(decoder.feed(data))
                if self.data is not None:
                    return
                if decoder.is_broken and requests.closing is None:
                    decoder.feed(b"")
            except FrameError as error:
                await requests.settle()
                requests.refuse(None, BadFrameError(str(error)))
                requests.closing = Closing(code="bad_frame", reason=str(error))

    async def _take(self, bodies: list[bytes]) -> None:
        requests, decoder = self._requests, self._decoder
        taken = await requests.take(bodies)
        if requests.session is not None:
            decoder.max_body_bytes = requests.limits.frame
        if self.data is not None:
            # What else was read is not a message, but bytes sent too early.
            is_last = taken == len(bodies) and not decoder.buffered_bytes
            self.data.is_early = not is_last or decoder.is_broken

    def _begin_data(self, request: Data) -> None:
        self.data = DataConnection(
            self._site.service.files, request, self._reader, self._writer, self._number
        )

    # The end --------------------------------------------------------------------------

    async def _hang_up(self, closing: Closing) -> None:
        await self._requests.finish()
        self._outbox.push(closing)
        # What is still fanned out to it must not reach a transport that has ended.
        self._outbox.end()
        # If the socket closed with input unread, the peer might lose `closing`.
        try:
            async with asyncio.timeout(DRAIN_SECONDS):
                if self._writer.can_write_eof():
                    self._writer.write_eof()
                else:
                    self._writer.close()
                    await self._writer.wait_closed()
                    return
                while await self._reader.read(READ_BYTES):
                    continue
        except TimeoutError:
            # The peer neither reads nor hangs up: nothing more will get through.
            self._writer.transport.abort()

    async def _let_go(self) -> None:
        # A peer that does not read what is queued must not keep the socket for ever.
        self._writer.close()
        try:
            async with asyncio.timeout(DRAIN_SECONDS):
                await self._writer.wait_closed()
        except (OSError, TimeoutError) as error:
            _log.debug("%r was cut off: %s", self, error)
        finally:
            self._writer.transport.abort()
