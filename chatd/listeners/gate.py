"""The gate, one per daemon: who may connect, and who has to go.

Listeners announce every connection from accept on (``enter``, ``leave``), and add what
serves it to the ``guests``. The gate refuses what is over the limits, ends guests that
are silent or do not log in, those of a user whose account has ended, and all of them
when the daemon stops.
"""

import asyncio
import random
from collections import Counter
from typing import NamedTuple, Protocol

from chatd.accounts.throttle import network_of
from chatd.core.limits import RateLimit
from chatd.core.service import SystemClock
from chatd.core.signals import Signals, UserEnded
from chatd.protocol.messages import Closing
from chatd.settings.config import LimitSettings
from chatd.system.tasks import Tasks

WATCH_SECONDS = 1.0
# How long connections may take to end once they were cancelled.
CANCEL_SECONDS = 0.5
# Clients are asked to come back at a random time within this, not all at once.
RETURN_MS = (500, 5_000)


class Caller(NamedTuple):
    """Who has connected.

    Attributes:
        address: The network address; None on a Unix socket.
        is_private: Whether a secret may be sent in the clear.
        plus_binding: What binds SCRAM to the TLS connection (RFC 5929), if anything
            does: from the certificate that the client was shown.
    """

    address: str | None
    is_private: bool
    plus_binding: bytes | None


_ENDED = {
    "disabled": "the account was disabled",
    "revoked": "this login was ended",
    "deleted": "the account was deleted",
}


class Guest(Protocol):
    """A connection that is served, as the gate sees it.

    Attributes:
        task: Runs it; ends soon after ``close_soon``.
        opened_at: When it began, by the monotonic clock, in seconds.
        is_authenticated: Whether it has logged in, or has shown a ticket instead.
    """

    task: asyncio.Task[None] | None
    opened_at: float

    @property
    def is_authenticated(self) -> bool:
        """See above."""

    async def run(self) -> None:
        """Serve the connection until either side ends it."""

    def belongs_to(self, user: str, login: str | None) -> bool:
        """Return whether it is a user's, and may be of one login if that is given."""

    def idle_seconds(self, now: float) -> float:
        """Return for how long nothing came although it was being read."""

    def close_soon(self, closing: Closing) -> None:
        """Close once accepted requests are answered; called from any task."""


class Gate:
    """Admits connections and ends them.

    Args:
        limits: The configured limits.
        clock: Source of the time.
        signals: Where it is published that a user has ended.

    Attributes:
        limits: Those that count now.
        connections: How many there are, from accept on.
        guests: Those that are served.
        stopping: The farewell, once the daemon stops.
    """

    def __init__(
        self, limits: LimitSettings, clock: SystemClock, signals: Signals
    ) -> None:
        signals.subscribe(UserEnded, self._close_user)
        self.limits = limits
        self.guests: set[Guest] = set()
        self.stopping: Closing | None = None
        self._clock = clock
        self.connections = 0
        self._per_network: Counter[str] = Counter()
        self._registrations = RateLimit(0, 1, "registrations from your address")
        self._tasks = Tasks()
        self.reconfigure(limits)

    def reconfigure(self, limits: LimitSettings) -> None:
        """Apply new limits; those of a connection count for new ones."""
        self.limits = limits
        per_second = limits.registrations_per_hour / 3_600
        self._registrations.reconfigure(per_second, limits.registrations_per_hour)

    def open(self) -> None:
        """Begin to watch over guests, until ``close``."""
        self._tasks.spawn(self._watch())

    async def close(self, closing: Closing, seconds: float) -> None:
        """Close all connections.

        Args:
            closing: What to push to clients; each gets its own time to come back.
            seconds: How long clients have to read what is queued for them.
        """
        self.stopping = closing
        await self._tasks.close()
        tasks = [guest.task for guest in self.guests if guest.task is not None]
        for guest in list(self.guests):
            guest.close_soon(_farewell(closing))
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=seconds)
            for task in late:
                task.cancel()
            if late:
                _, late = await asyncio.wait(late, timeout=CANCEL_SECONDS)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    def enter(self, address: str | None) -> Closing | None:
        """Count a connection until ``leave``; return why it is refused, if it is."""
        refusal = self._refusal(address)
        self.connections += 1
        if address is not None:
            self._per_network[network_of(address)] += 1
        return refusal

    def leave(self, address: str | None) -> None:
        """Count a connection that was entered no longer."""
        self.connections -= 1
        if address is not None:
            network = network_of(address)
            self._per_network[network] -= 1
            if not self._per_network[network]:
                del self._per_network[network]

    def _close_user(self, ended: UserEnded) -> None:
        reason = _ENDED.get(ended.code, "this login was ended")
        for guest in list(self.guests):
            if guest.belongs_to(ended.user, ended.login):
                guest.close_soon(Closing(code=ended.code, reason=reason))

    def take_registration(self, address: str | None) -> None:
        """Count a registration against the rate limit of its address.

        Raises:
            RateLimitedError: There were too many from that address.
        """
        network = network_of(address) if address is not None else "local"
        self._registrations.take(network, self._clock.monotonic())

    def _refusal(self, address: str | None) -> Closing | None:
        if self.stopping is not None:
            return _farewell(self.stopping)
        reason = None
        if self.connections >= self.limits.connections:
            reason = "the server has too many connections; try again later"
        elif address is not None and self._is_crowded(network_of(address)):
            reason = "there are too many connections from your address"
        if reason is None:
            return None
        return Closing(code="too_many", reason=reason, retry_after=RETURN_MS[1])

    def _is_crowded(self, network: str) -> bool:
        bound = self.limits.connections_per_address
        return bool(bound) and self._per_network[network] >= bound

    async def _watch(self) -> None:
        """Close guests that do not log in in time, or are silent for too long."""
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            now = self._clock.monotonic()
            idle, login = self.limits.idle_seconds, self.limits.login_seconds
            for guest in list(self.guests):
                if not guest.is_authenticated:
                    if now - guest.opened_at >= login:
                        reason = f"no login within {login:g} s"
                        guest.close_soon(Closing(code="login_timeout", reason=reason))
                elif guest.idle_seconds(now) >= idle:
                    reason = f"nothing was sent for {idle:g} s"
                    guest.close_soon(Closing(code="idle", reason=reason))


def _farewell(closing: Closing) -> Closing:
    return Closing(
        code=closing.code,
        reason=closing.reason,
        retry_after=random.randint(*RETURN_MS),  # noqa: S311 - only spreads load
    )
