"""The interface of a server under load, whatever its protocol: ours or the yardstick.

A login is a generator: it yields what to send and is sent what arrived, so that the
same one serves one blocking connection and many at once.
"""

import socket
import ssl
from abc import ABC, abstractmethod
from collections.abc import Generator, Sequence

from tests.bench.load import Connection, Poller, Supply
from tests.bench.process import BenchError, ServerProcess

TEXT = b"x" * 100
LoginSteps = Generator[bytes, bytes, None]

# The read size of one login step; whatever arrives is small.
_STEP_BYTES = 65_536
_STEP_SECONDS = 20.0


class Target(ABC):
    """A running server, and the byte strings of its protocol that are counted.

    Attributes:
        name: What the table calls it.
        delivery: Occurs once in every message that is delivered.
        confirmation: Occurs once in every confirmation to a sender, if it has any.
        refusal: Occurs in every refusal of a send.
        pong: Occurs once in the answer to ``ping``.
        echoes: Whether senders are sent their own messages too.
        max_connections: How many it can serve at once.
        logins_at_once: How many may be connecting at the same time.
    """

    name: str
    delivery: bytes
    confirmation: bytes | None
    refusal: bytes | None
    pong: bytes
    ping: bytes
    echoes: bool
    max_connections: int
    logins_at_once: int

    def __init__(self, process: ServerProcess, port: int, is_tls: bool) -> None:
        self.process = process
        self.port = port
        self.is_tls = is_tls
        self._tls = _tls_context() if is_tls else None

    @property
    def label(self) -> str:
        """The name, and whether it is TLS."""
        return f"{self.name} TLS" if self.is_tls else self.name

    @abstractmethod
    def login(self, number: int) -> LoginSteps:
        """Return the steps that log in the user with a number."""

    @abstractmethod
    def supply(self, address: bytes, count: int) -> Supply:
        """Return a sender's next ``count`` messages of ``TEXT`` to an address."""

    @abstractmethod
    def address(self, number: int) -> bytes:
        """Return the address for messages to the user with a number."""

    @abstractmethod
    def make_room(self, members: Sequence[Connection]) -> bytes:
        """Make a room of all of these and return its address."""

    def connect(self, handshake: bool = True) -> socket.socket:
        """Return a new blocking socket; with ``handshake`` TLS is ready too."""
        sock = socket.create_connection(("127.0.0.1", self.port), _STEP_SECONDS)
        # Else the kernel holds small writes back until earlier ones are acknowledged.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._tls is None:
            return sock
        return self._tls.wrap_socket(sock, do_handshake_on_connect=handshake)

    def log_in(self, number: int) -> Connection:
        """Return a connection of the user with a number, logged in."""
        sock = self.connect()
        run_steps(sock, self.login(number))
        return Connection(sock)

    def settle(self, connections: Sequence[Connection]) -> None:
        """Wait, by a ping on each connection, until everything has arrived."""
        for connection in connections:
            connection.watch_also(self.pong)
        poller = Poller(connections)
        for connection in connections:
            connection.write(self.ping)
        poller.until(
            lambda: all(connection.counts[-1] for connection in connections), "pongs"
        )
        poller.close()
        for connection in connections:
            connection.unwatch_last()


def run_steps(sock: socket.socket, steps: LoginSteps) -> None:
    """Run the steps of a login on a blocking socket.

    Raises:
        BenchError: The server hung up, or did not do what the steps expect.
    """
    wanted = next(steps)
    while True:
        if wanted:
            sock.sendall(wanted)
        data = sock.recv(_STEP_BYTES)
        if not data:
            raise BenchError("the server hung up during a login")
        try:
            wanted = steps.send(data)
        except StopIteration:
            return


def wait_for(needle: bytes, first: bytes = b"") -> LoginSteps:
    """Send ``first``, then read until a needle has arrived."""
    seen = yield first
    while needle not in seen:
        seen += yield b""


def close_all(connections: Sequence[Connection]) -> None:
    """Close connections."""
    for connection in connections:
        connection.close()


def _tls_context() -> ssl.SSLContext:
    # The certificate is self-signed and the peer a child of ours: nothing to verify.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
