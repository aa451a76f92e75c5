"""The requests of one client: bodies in, replies out in order; no transport.

One task takes the bodies, and carries out one request after the other. Sends are the
exception: they are handed to the store without waiting, and each is answered when its
commit is done. Other replies wait until the sends before them are answered, so they
come in the order of the requests; but a page of history, and what a ``sync`` asks for,
can be read while nothing can be written, and waits for no send.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from chatd.accounts.throttle import network_of
from chatd.core.chats import Sending
from chatd.core.service import LoginState
from chatd.core.sessions import Session
from chatd.listeners.gate import Caller
from chatd.listeners.native.bodies import sent_bodies
from chatd.listeners.native.dispatch import dispatch
from chatd.listeners.native.handshake import Handshake, LoggedIn
from chatd.listeners.native.peer import Site, Wire
from chatd.protocol.errors import ChatError, NotAllowedError, UnavailableError
from chatd.protocol.messages import (
    NO_REPLY,
    Auth,
    Closing,
    Data,
    Error,
    Hello,
    InvalidBodyError,
    Limits,
    Ready,
    Register,
    Request,
    Send,
    ServerMessage,
    parse_request,
)
from chatd.store.jobs import Append

DRAIN_SECONDS = 1.0
# Invalid bodies: this many are allowed at once, and one more each so many seconds.
MAX_BAD_BODIES = 100
BAD_BODY_SECONDS = 1.0

_log = logging.getLogger(__name__)


class Requests:
    """The requests of one client, and its session.

    Args:
        site: What serves them.
        wire: Where replies and pushes go.
        caller: Who has connected.
        number: The connection's number, for the log.
        begin_data: Turns the connection into one for the bytes of a file; raises
            ChatError. None if the transport cannot.

    Attributes:
        session: What the client may do, once it has logged in.
        closing: Why the connection is to be closed, once it is.
        is_over: Whether what comes is for ``begin_data``, not for this.
        is_waiting: Whether the task waits, so that cancelling it breaks nothing off.
        limits: Those that count for this client.
    """

    __slots__ = (
        "_bad_bodies",
        "_bad_since",
        "_begin_data",
        "_handshake",
        "_heard_at",
        "_is_reading",
        "_login",
        "_number",
        "_settled",
        "_unanswered",
        "_wire",
        "closing",
        "is_over",
        "is_waiting",
        "limits",
        "session",
        "site",
    )

    def __init__(
        self,
        site: Site,
        wire: Wire,
        caller: Caller,
        number: int,
        begin_data: Callable[[Data], None] | None = None,
    ) -> None:
        self.site = site
        self.session: Session | None = None
        self.closing: Closing | None = None
        self.is_over = False
        self.is_waiting = False
        self._wire = wire
        self._number = number
        self._begin_data = begin_data
        self._handshake: Handshake | None = Handshake(site.accounts, site.gate, caller)
        # The id of the token that the client logged in with or was given.
        self._login: str | None = None
        self.limits = site.gate.limits
        self._heard_at = site.service.clock.monotonic()
        # The idle clock stops while the server itself is not reading.
        self._is_reading = True
        self._unanswered = 0
        self._settled: asyncio.Future[None] | None = None
        self._bad_bodies = 0.0
        self._bad_since = 0.0

    def __repr__(self) -> str:
        return f"#{self._number}" + (f" {self.session.user}" if self.session else "")

    def hello(self) -> Hello:
        """Return the message with which the server begins."""
        site = self.site
        assert self._handshake is not None
        return Hello(
            protocol=1,
            server=site.version,
            name=site.name,
            auth=self._handshake.mechanisms(),
            registration=site.accounts.registration,
            time=site.service.clock.now_ms(),
            motd=site.motd or None,
        )

    def belongs_to(self, user: str, login: str | None) -> bool:
        """Return whether it is a user's, and of one login if that is given."""
        handshake = self._handshake
        if handshake is not None:
            return handshake.user == user and login in (None, handshake.login)
        assert self.session is not None
        return self.session.user == user and login in (None, self._login)

    def idle_seconds(self, now: float) -> float:
        """Return for how long the client was silent while it was listened to."""
        return now - self._heard_at if self._is_reading else 0.0

    def heard(self) -> None:
        """Count that something came from the client."""
        self._heard_at = self.site.service.clock.monotonic()

    async def pause(self, waiting: Coroutine[Any, Any, None]) -> None:
        """Wait while nothing is read from the client."""
        self._is_reading = False
        self.is_waiting = True
        try:
            await waiting
        finally:
            self.is_waiting = False
            self._is_reading = True
            self.heard()

    async def take(self, bodies: list[bytes]) -> int:
        """Handle bodies that came together; return how many were taken.

        Fewer are only where the connection is to be closed, or is for a file from here.
        Sends are not waited for.
        """
        service = self.site.service
        send_nowait = service.chats.send_nowait
        now_ms = service.clock.now_ms()
        on_sent = self._on_sent
        in_flight = self.limits.in_flight
        for number, body in enumerate(bodies, 1):
            try:
                request = parse_request(body)
            except InvalidBodyError as error:
                await self.settle()
                self.refuse(error.re, error.error)
                self._count_bad_body()
            else:
                session = self.session
                if type(request) is Send and session is not None:
                    if self._unanswered >= in_flight:
                        await self.pause(self._wait_for_capacity(in_flight))
                    self._unanswered += 1
                    if send_nowait(session, request, now_ms, on_sent):
                        continue
                    self._unanswered -= 1
                if self._wire.is_full:
                    # The requests of one read can ask for more than may be queued.
                    await self.pause(self._wire.drained())
                await self._handle(request)
            if self.closing is not None or self.is_over:
                return number
        return len(bodies)

    async def finish(self) -> None:
        """Answer what was accepted, as far as that takes no time to speak of."""
        try:
            async with asyncio.timeout(DRAIN_SECONDS):
                await self.settle()
        except TimeoutError:
            _log.debug("%r: sends were unanswered when it was closed", self)

    def log_out(self) -> None:
        """End the session, if there is one; the connection has ended."""
        if self.session is not None:
            self.site.service.logout(self.session)

    # For the handlers (peer.Peer) -----------------------------------------------------

    async def settle(self) -> None:
        """Wait until all sends are answered."""
        await self._wait_for_capacity(1)

    def push(self, message: ServerMessage) -> None:
        """Queue a message."""
        self._wire.push(message)

    def write_body(self, body: bytes) -> None:
        """Queue an encoded message."""
        self._wire.write_bodies([body])

    async def log_in(self, request: Auth | Register) -> ServerMessage | None:
        """Register, or take a step of a login; return the reply that is due, if any.

        Raises:
            ChatError: It was refused.
        """
        handshake = self._handshake
        assert handshake is not None
        outcome = await handshake.handle(request)
        if not isinstance(outcome, LoggedIn):
            return outcome
        await self._begin_session(handshake, outcome, request.id)
        return None

    async def send(self, session: Session, request: Send) -> None:
        """Send a message that ``send_nowait`` could not; answered when it is stored.

        Raises:
            ChatError: It was refused.
        """
        self._unanswered += 1
        try:
            await self.site.service.chats.send(session, request, self._on_sent)
        except BaseException:
            self._unanswered -= 1
            raise

    def begin_data(self, request: Data) -> None:
        """Leave the connection to the bytes of a file.

        Raises:
            ChatError: It was refused.
        """
        if self._begin_data is None:
            raise NotAllowedError("files need a connection of another kind")
        self._begin_data(request)
        self.is_over = True

    # Inside ---------------------------------------------------------------------------

    async def _begin_session(
        self, handshake: Handshake, login: LoggedIn, re: int | None
    ) -> None:
        service, address = self.site.service, handshake.caller.address

        def answer(session: Session, state: LoginState) -> None:
            self.session = session
            self._login = handshake.login
            self._handshake = self._begin_data = None
            limits = Limits(
                frame=self.limits.frame,
                text=state.text,
                in_flight=self.limits.in_flight,
                upload=state.upload,
            )
            self.push(
                Ready(
                    re=re,
                    user=login.user,
                    role=state.role,
                    log=state.log,
                    limits=limits,
                    chats=state.chats,
                    more=state.more,
                    invites=state.invites,
                    data=login.data,
                    token=login.token,
                )
            )

        await service.login(
            login.user,
            self.site.accounts.role(login.user) or "member",
            self._wire,
            login.sync,
            network_of(address) if address is not None else "",
            answer,
        )
        _log.info("%r logged in from %s", self, address or "a local socket")

    async def _handle(self, request: Request) -> None:
        try:
            reply = await dispatch(self, self.session, request)
        except ChatError as error:
            if type(request) not in NO_REPLY or request.id is not None:
                await self.settle()
                self.refuse(request.id, error)
        except ConnectionError:
            raise
        except Exception:  # noqa: BLE001 - a bug here must not end the connection
            _log.exception("%r: a request of type %s failed", self, type(request))
            await self.settle()
            self.refuse(request.id, UnavailableError("the server failed; try again"))
        else:
            if reply is not None:
                reply.re = request.id
                await self.settle()
                self.push(reply)

    def _on_sent(self, sendings: list[Append]) -> None:
        self._unanswered -= len(sendings)
        stored: list[Sending] = []
        for sending in sendings:
            assert type(sending) is Sending
            if sending.error is None and not sending.is_first:
                stored.append(sending)
                continue
            self.site.service.chats.settle(sending)
            if sending.error is None:
                stored.append(sending)
            else:
                if stored:
                    self._wire.write_bodies(sent_bodies(stored))
                    stored = []
                self.refuse(sending.request_id, sending.error)
        if stored:
            self._wire.write_bodies(sent_bodies(stored))
        settled = self._settled
        if settled is not None:
            self._settled = None
            if not settled.done():
                settled.set_result(None)

    def refuse(self, re: int | None, error: ChatError) -> None:
        """Answer a request with a refusal."""
        self.push(
            Error(
                re=re,
                code=error.code,
                reason=error.reason,
                retry_after=error.retry_after_ms,
            )
        )

    async def _wait_for_capacity(self, bound: int) -> None:
        while self._unanswered >= bound:
            # A future that was cancelled with its waiter cannot be awaited again.
            if self._settled is None or self._settled.done():
                self._settled = asyncio.get_running_loop().create_future()
            await self._settled

    def _count_bad_body(self) -> None:
        now = self.site.service.clock.monotonic()
        passed = now - self._bad_since
        self._bad_bodies = max(0.0, self._bad_bodies - passed / BAD_BODY_SECONDS) + 1
        self._bad_since = now
        if self._bad_bodies > MAX_BAD_BODIES:
            self.closing = Closing(
                code="too_many_errors", reason="too many of your messages were invalid"
            )
