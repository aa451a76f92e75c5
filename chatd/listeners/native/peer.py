"""What the requests of a client need: the site that serves them, and the client."""

from typing import Protocol

from chatd.accounts.accounts import Accounts
from chatd.core.feed import Sink
from chatd.core.service import Service
from chatd.core.sessions import Session
from chatd.listeners.gate import Gate
from chatd.protocol.messages import Auth, Data, Register, Send, ServerMessage


class Site:
    """What all connections of the daemon share.

    Args:
        service: Carries out the requests.
        accounts: The accounts that may log in.
        gate: Admits connections.
        name: The server's display name.
        motd: The message of the day, sent at each connect; may be empty.
        version: The program and its version.
    """

    def __init__(
        self,
        service: Service,
        accounts: Accounts,
        gate: Gate,
        *,
        name: str,
        motd: str,
        version: str,
    ) -> None:
        self.service = service
        self.accounts = accounts
        self.gate = gate
        self.name = name
        self.motd = motd
        self.version = version


class Wire(Sink, Protocol):
    """Where what is sent to a client goes: encoded, and joined, as its transport does.

    After the end of the connection it drops what is written.
    """

    def write_bodies(self, bodies: list[bytes]) -> None:
        """Queue encoded messages."""


class Peer(Protocol):
    """A client, as the handlers of its requests see it.

    Attributes:
        site: What serves it.
    """

    site: Site

    async def settle(self) -> None:
        """Wait until the sends before are answered."""

    def push(self, message: ServerMessage) -> None:
        """Queue a message."""

    def write_body(self, body: bytes) -> None:
        """Queue an encoded message."""

    async def log_in(self, request: Auth | Register) -> ServerMessage | None:
        """Register, or take a step of a login; return the reply that is due, if any."""

    async def send(self, session: Session, request: Send) -> None:
        """Send a message; it is answered when it is stored."""

    def begin_data(self, request: Data) -> None:
        """Turn the connection into one that moves the bytes of a file."""
