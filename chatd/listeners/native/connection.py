"""One connection of the native protocol: reads frames and answers them in order.

The task that runs a connection is its only reader, and handles one request after the
other. Sends are the exception: they are handed to the store without waiting, and each
is answered when its commit is done. Every other reply waits until the sends before it
are answered, so replies come in the order of the requests.
"""

import asyncio
import logging
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

from chatd.accounts.throttle import network_of
from chatd.core.chats import Sending
from chatd.core.feed import Delivery
from chatd.core.sessions import Session
from chatd.listeners.native.data import DataConnection
from chatd.listeners.native.dispatch import HANDLERS
from chatd.listeners.native.handshake import Handshake
from chatd.listeners.native.outbox import Outbox, encode_delivery, encode_sent
from chatd.protocol.errors import (
    BadFrameError,
    ChatError,
    FrameError,
    NotAuthenticatedError,
    UnavailableError,
)
from chatd.protocol.frames import MAX_BODY_BEFORE_LOGIN, FrameDecoder
from chatd.protocol.messages import (
    NO_REPLY,
    Auth,
    Closing,
    Data,
    Error,
    Hello,
    InvalidBodyError,
    Ping,
    Pong,
    Ready,
    Register,
    Request,
    Send,
    ServerMessage,
    encode_message,
    parse_request,
)
from chatd.store.values import Append

if TYPE_CHECKING:
    from chatd.listeners.native.listener import NativeListener

READ_BYTES = 65_536
DRAIN_SECONDS = 1.0
# Invalid bodies: this many are allowed at once, and one more each so many seconds.
MAX_BAD_BODIES = 100
BAD_BODY_SECONDS = 1.0

_log = logging.getLogger(__name__)


class Connection:
    """One client connection; made and owned by the listener."""

    __slots__ = (
        "_bad_bodies",
        "_bad_since",
        "_is_waiting",
        "_closing",
        "_decoder",
        "_outbox",
        "_reader",
        "_settled",
        "_unanswered",
        "_writer",
        "address",
        "candidate",
        "data",
        "handshake",
        "heard_at",
        "is_reading",
        "listener",
        "login",
        "number",
        "opened_at",
        "plus_binding",
        "session",
        "task",
    )

    def __init__(
        self,
        listener: "NativeListener",
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        number: int,
        address: str | None,
    ) -> None:
        self.listener = listener
        self.number = number
        # The peer's network address; None on a Unix socket.
        self.address = address
        self.session: Session | None = None
        # The id of the token that the client logged in with or was given.
        self.login: str | None = None
        # The user whose login is under way, or whose file a data connection moves.
        self.candidate: str | None = None
        self.handshake: Handshake | None = Handshake(self)
        # Set instead of a session once a ticket was redeemed.
        self.data: DataConnection | None = None
        self.opened_at = self.heard_at = listener.service.clock.monotonic()
        # What binds SCRAM to this TLS connection (RFC 5929), if anything does: from the
        # certificate that the client was shown, even if another is loaded later.
        self.plus_binding: bytes | None = None
        if writer.get_extra_info("ssl_object") is not None:
            self.plus_binding = listener.end_point_binding
        self.is_reading = True
        self.task: asyncio.Task[None] | None = None
        self._reader = reader
        self._writer = writer
        self._decoder = FrameDecoder(MAX_BODY_BEFORE_LOGIN)
        self._outbox = Outbox(writer, listener.flusher, listener.limits.outbox)
        self._unanswered = 0
        self._settled: asyncio.Future[None] | None = None
        self._closing: Closing | None = None
        self._is_waiting = False
        self._bad_bodies = 0.0
        self._bad_since = 0.0

    def __repr__(self) -> str:
        if self.data is not None:
            return repr(self.data)
        user = f" {self.session.user}" if self.session is not None else ""
        return f"#{self.number}{user}"

    # For the feed and the hub (core.feed.Sink) --------------------------------------

    @property
    def is_full(self) -> bool:
        """Whether more waits to be sent than ``limits.outbox``."""
        return self._outbox.is_full

    async def drained(self) -> None:
        """Wait until it is not full any more; raises ConnectionError when closed."""
        await self._outbox.drained()

    def deliver(self, address: str, delivery: Delivery) -> None:
        """Queue entries of a chat."""
        self._outbox.write(encode_delivery(address, delivery))

    def push(self, message: ServerMessage) -> None:
        """Queue a message."""
        self._outbox.write_body(encode_message(message))

    def write_body(self, body: bytes) -> None:
        """Queue an encoded body as a frame."""
        self._outbox.write_body(body)

    # Running ------------------------------------------------------------------------

    async def run(self) -> None:
        """Serve the connection until either side ends it."""
        try:
            self.push(self._hello())
            try:
                await self._serve()
                if self.data is not None:
                    self._outbox.end()
                    await self.data.run()
            except asyncio.CancelledError:
                if self._closing is None:
                    raise
                if self.task is not None:
                    self.task.uncancel()
            if self._closing is not None:
                await self._hang_up(self._closing)
        except OSError as error:
            # Also when the peer has gone before our last frame.
            _log.debug("%r broke: %s", self, error)
        finally:
            if self.session is not None:
                self.listener.service.logout(self.session)
            await self._let_go()

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

    def close_soon(self, closing: Closing) -> None:
        """Close once accepted requests are answered; safe to call from other tasks."""
        if self.data is not None:
            self.data.close_soon(closing)
            return
        if self._closing is not None:
            return
        self._closing = closing
        # In the middle of a request, `_serve` sees `_closing` afterwards.
        if self._is_waiting and self.task is not None:
            self.task.cancel()

    @property
    def is_private(self) -> bool:
        """Whether a secret may be sent in the clear on this connection."""
        if self._writer.get_extra_info("ssl_object") is not None:
            return True
        return self.address is None or self.listener.is_loopback(self.address)

    def _hello(self) -> Hello:
        listener = self.listener
        assert self.handshake is not None
        return Hello(
            protocol=1,
            server=listener.version,
            name=listener.name,
            auth=self.handshake.mechanisms(),
            registration=listener.accounts.registration,
            time=listener.service.clock.now_ms(),
            motd=listener.motd or None,
        )

    async def _serve(self) -> None:
        decoder, outbox = self._decoder, self._outbox
        monotonic = self.listener.service.clock.monotonic
        while self._closing is None:
            if outbox.is_full:
                await self._pause(outbox.drained())
            self._is_waiting = True
            data = await self._reader.read(READ_BYTES)
            self._is_waiting = False
            if not data:
                # The client may have closed only its side, and wait for replies.
                async with asyncio.timeout(DRAIN_SECONDS):
                    await self.settle()
                return
            self.heard_at = monotonic()
            try:
                await self._take(decoder.feed(data))
                if self.data is not None:
                    return
                if decoder.is_broken and self._closing is None:
                    decoder.feed(b"")
            except FrameError as error:
                await self.settle()
                self._refuse(None, BadFrameError(str(error)))
                self._closing = Closing(code="bad_frame", reason=str(error))

    async def _take(self, bodies: list[bytes]) -> None:
        """Handle the bodies of one read; sends are not waited for."""
        service = self.listener.service
        send_nowait = service.chats.send_nowait
        now_ms = service.clock.now_ms()
        on_sent = self._on_sent
        in_flight = self.listener.limits.in_flight
        for body in bodies:
            if self._unanswered >= in_flight:
                await self._pause(self._wait_for_capacity(in_flight))
            try:
                request = parse_request(body)
            except InvalidBodyError as error:
                await self.settle()
                self._refuse(error.re, error.error)
                self._count_bad_body()
            else:
                session = self.session
                if type(request) is Send and session is not None:
                    self._unanswered += 1
                    if send_nowait(session, request, now_ms, on_sent):
                        continue
                    self._unanswered -= 1
                if self._outbox.is_full:
                    # The requests of one read can ask for more than may be queued.
                    await self._pause(self._outbox.drained())
                await self._handle(request)
            if self._closing is not None:
                return
            if self.data is not None:
                # What else was read is not a message, but bytes sent too early.
                is_last = body is bodies[-1] and not self._decoder.buffered_bytes
                self.data.is_early = not is_last or self._decoder.is_broken
                return

    async def _pause(self, waiting: Coroutine[Any, Any, None]) -> None:
        # The idle clock stops while the server itself is not reading.
        self.is_reading = False
        self._is_waiting = True
        try:
            await waiting
        finally:
            self._is_waiting = False
            self.is_reading = True
            self.heard_at = self.listener.service.clock.monotonic()

    async def _handle(self, request: Request) -> None:
        try:
            await self._dispatch(self.session, request)
        except ChatError as error:
            if type(request) not in NO_REPLY or request.id is not None:
                await self.settle()
                self._refuse(request.id, error)
        except ConnectionError:
            raise
        except Exception:  # noqa: BLE001 - a bug here must not end the connection
            _log.exception("%r: a request of type %s failed", self, type(request))
            await self.settle()
            self._refuse(request.id, UnavailableError("the server failed; try again"))

    async def _dispatch(self, session: Session | None, request: Request) -> None:
        if type(request) is Send and session is not None:
            self._unanswered += 1
            try:
                await self.listener.service.chats.send(session, request, self._on_sent)
            except BaseException:
                self._unanswered -= 1
                raise
            return
        if type(request) is Ping:
            await self.settle()
            now = self.listener.service.clock.now_ms()
            self.push(Pong(re=request.id, time=now))
            return
        if session is None:
            if self.handshake is not None and isinstance(request, Auth | Register):
                await self.handshake.handle(request)
                return
            if type(request) is Data:
                self._become_data(request)
                return
            raise NotAuthenticatedError("log in before you do that")
        await HANDLERS[type(request)](self, session, request)

    def _become_data(self, request: Data) -> None:
        self.data = DataConnection(
            self.listener.service.files,
            request,
            self._reader,
            self._writer,
            self.number,
        )
        self.candidate = self.data.user
        self.handshake = None

    # Logging in ---------------------------------------------------------------------

    async def log_in(self, user: str, request: Auth, ready: Ready) -> None:
        """Begin the session of an authenticated user, and reply with ``ready``.

        Raises:
            UnavailableError: The store cannot be read for now.
        """
        listener = self.listener

        def answer(session: Session, found: Ready) -> None:
            self.session = session
            self.handshake = None
            self._decoder.max_body_bytes = listener.limits.frame
            found.re, found.data, found.token = ready.re, ready.data, ready.token
            self.push(found)

        session = await listener.service.login(
            user,
            listener.accounts.role(user) or "member",
            self,
            request.sync,
            network_of(self.address) if self.address is not None else "",
            answer,
        )
        _log.info("%r logged in from %s", self, self.address or "a local socket")
        self.session = session

    # Answering ----------------------------------------------------------------------

    async def reply(self, message: ServerMessage) -> None:
        """Queue a reply, after the replies to earlier sends."""
        await self.settle()
        self.push(message)

    def _on_sent(self, sendings: list[Append]) -> None:
        self._unanswered -= len(sendings)
        stored: list[Sending] = []
        for sending in sendings:
            assert type(sending) is Sending
            if sending.error is None and sending.live is None:
                stored.append(sending)
                continue
            self.listener.service.chats.settle(sending)
            if sending.error is None:
                stored.append(sending)
            else:
                if stored:
                    self._outbox.write(encode_sent(stored))
                    stored = []
                self._refuse(sending.request_id, sending.error)
        if stored:
            self._outbox.write(encode_sent(stored))
        settled = self._settled
        if settled is not None:
            self._settled = None
            if not settled.done():
                settled.set_result(None)

    def _refuse(self, re: int | None, error: ChatError) -> None:
        self.push(
            Error(
                re=re,
                code=error.code,
                reason=error.reason,
                retry_after=error.retry_after_ms,
            )
        )

    async def settle(self) -> None:
        """Wait until all sends are answered."""
        await self._wait_for_capacity(1)

    async def _wait_for_capacity(self, bound: int) -> None:
        while self._unanswered >= bound:
            # A future that was cancelled with its waiter cannot be awaited again.
            if self._settled is None or self._settled.done():
                self._settled = asyncio.get_running_loop().create_future()
            await self._settled

    def _count_bad_body(self) -> None:
        now = self.listener.service.clock.monotonic()
        passed = now - self._bad_since
        self._bad_bodies = max(0.0, self._bad_bodies - passed / BAD_BODY_SECONDS) + 1
        self._bad_since = now
        if self._bad_bodies > MAX_BAD_BODIES:
            self._closing = Closing(
                code="too_many_errors", reason="too many of your messages were invalid"
            )

    # Hanging up ---------------------------------------------------------------------

    async def _hang_up(self, closing: Closing) -> None:
        try:
            async with asyncio.timeout(DRAIN_SECONDS):
                await self.settle()
        except TimeoutError:
            _log.debug("%r: sends were unanswered when it was closed", self)
        self.push(closing)
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
