"""Keeps a link connected: connect, log in, serve, back off, until a final error.

What happens on a connection is handled by the ``LinkHandler``; here it is decided when
to try again, and when not to.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Literal, Protocol

from msgspec import Struct

from chatd.protocol.errors import ChatError
from chatd.protocol.messages import Hello, Ready, ServerMessage
from client.errors import ConnectError, LinkError, NoLoginError
from client.net.address import ServerAddress
from client.net.authenticator import Authenticator, PasswordNeededError
from client.net.connect import connect
from client.net.connection import Connection
from client.net.login import LOGIN_SECONDS
from client.net.retry import backoff_seconds, is_passing
from client.net.session import Session, Timing
from client.storage.pins import PinStore

logger = logging.getLogger(__name__)

AskPassword = Callable[[str], Awaitable[str | None]]

# With these a server ends a login for good (protocol README, section 2).
_FINAL_CODES = frozenset({"revoked", "disabled"})


class LinkState(Struct, frozen=True, kw_only=True):
    """The state of a link.

    Attributes:
        name: connecting, online, waiting (for the next attempt) or stopped (for good,
            and before the start).
        round_trip_ms: Online: the latest measurement; None before the first.
        seconds: Waiting: how long, from now.
        reason: Waiting and stopped: why, for people.
        error: Waiting and stopped: what happened (ChangedKeyError, AuthFailedError …);
            None before the start and after ``close``.
    """

    name: Literal["connecting", "online", "waiting", "stopped"]
    round_trip_ms: float | None = None
    seconds: float = 0.0
    reason: str = ""
    error: Exception | None = None


class LinkHandler(Protocol):
    """What a reconnector reports to its owner."""

    def handle_state(self, state: LinkState) -> None:
        """Handle a new state."""

    def handle_login(self, ready: Ready) -> None:
        """Handle an accepted login; the session can be used."""

    def handle_message(self, message: ServerMessage) -> None:
        """Handle a push."""

    def handle_batch(self) -> None:
        """Handle the end of a batch: of all messages that arrived at once."""

    def handle_logout(self) -> None:
        """Handle the end of the session."""

    def work(self, session: Session) -> list[Coroutine[Any, Any, None]]:
        """Return the coroutines to run as long as the session."""


class Reconnector:
    """Keeps a link connected.

    Args:
        owner: Handles states, logins and messages.
        address: The server.
        pins: Which keys are trusted.
        authenticator: Logs in.
        timing: Timeouts and intervals.
        ask_password: Called with the reason when a password is needed; without it, or
            if it returns None, the link stops.

    Attributes:
        state: The present state of the link.
        hello: The server's hello on the latest connection.
        session: The present connection, from login to its end.
    """

    def __init__(
        self,
        owner: LinkHandler,
        address: ServerAddress,
        pins: PinStore,
        authenticator: Authenticator,
        timing: Timing,
        ask_password: AskPassword | None,
    ) -> None:
        self._owner = owner
        self._address = address
        self._pins = pins
        self._authenticator = authenticator
        self._timing = timing
        self._ask_password = ask_password
        self._hurry = asyncio.Event()
        self._was_online = False
        self.state = LinkState(name="stopped")
        self.hello: Hello | None = None
        self.session: Session | None = None

    async def run(self) -> None:
        """Keep the link connected, until a final error or until cancelled."""
        failures = 0
        while True:
            self._set(LinkState(name="connecting"))
            self._was_online = False
            try:
                error = await self._attempt()
            except PasswordNeededError as need:
                final = await self._ask(need)
                if final is None:
                    continue
                error = final
            if not is_passing(error):
                self.stop(error)
                return
            failures = 0 if self._was_online else failures
            await self._pause(error, failures)
            failures = min(failures + 1, 10)

    def retry_now(self) -> None:
        """Make the next attempt now."""
        self._hurry.set()

    def stop(self, error: Exception | None) -> None:
        """Report that the link is stopped, and why."""
        reason = "" if error is None else str(error) or type(error).__name__
        self._set(LinkState(name="stopped", reason=reason, error=error))

    async def _attempt(self) -> Exception:
        try:
            connection = await connect(self._address, self._pins, self._timing.connect)
        except (LinkError, OSError) as error:
            return error
        self.hello = connection.hello
        try:
            async with asyncio.timeout(LOGIN_SECONDS):
                ready = await self._authenticator.log_in(connection)
            await self._serve(connection, ready)
        except PasswordNeededError:
            raise
        except TimeoutError:
            return ConnectError("the server does not answer the login")
        except (LinkError, ChatError, OSError) as error:
            return self._explain(connection, error)
        except Exception as error:
            # A bug of ours must show itself as such, not as a link that hangs.
            logger.exception("unexpected error on the link")
            return error
        except asyncio.CancelledError:
            # We hang up, so what was sent last has to reach the server.
            await connection.close()
            raise
        finally:
            # An orderly close would wait for a peer that may be gone.
            connection.abort()
        return ConnectError("the connection ended")

    async def _serve(self, connection: Connection, ready: Ready) -> None:
        connection.max_body_bytes = ready.limits.frame
        session = Session(
            connection,
            on_message=self._owner.handle_message,
            on_batch=self._owner.handle_batch,
            on_round_trip=self._measured,
            timing=self._timing,
            # The other half of what the server allows is the outbox's (see ``Sender``).
            max_requests=max(1, ready.limits.in_flight // 2),
        )
        self.session = session
        self._was_online = True
        try:
            self._owner.handle_login(ready)
            self._set(LinkState(name="online"))
            await session.run(*self._owner.work(session))
        finally:
            self.session = None
            self._owner.handle_logout()

    def _measured(self, round_trip_ms: float) -> None:
        self._set(LinkState(name="online", round_trip_ms=round_trip_ms))

    def _explain(self, connection: Connection, error: Exception) -> Exception:
        closing = connection.closing
        if closing is None or closing.code not in _FINAL_CODES:
            return error
        if closing.code == "revoked":
            self._authenticator.forget()
        return NoLoginError(f"the server ended this login: {closing.reason}")

    async def _ask(self, need: PasswordNeededError) -> Exception | None:
        if self._ask_password is not None:
            password = await self._ask_password(str(need))
            if password is not None:
                self._authenticator.password = password
                return None
        return need.refusal or NoLoginError(str(need))

    async def _pause(self, error: Exception, failures: int) -> None:
        seconds = backoff_seconds(error, failures, self._timing)
        self._set(
            LinkState(name="waiting", seconds=seconds, reason=str(error), error=error)
        )
        self._hurry.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._hurry.wait()
        except TimeoutError:
            return

    def _set(self, state: LinkState) -> None:
        self.state = state
        self._owner.handle_state(state)
