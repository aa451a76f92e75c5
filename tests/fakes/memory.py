"""A second listener: whole messages handed over in this process, without any socket.

It is what a new listener takes: a wire that encodes in its own way, and a connection
that hands bodies to ``Requests`` and is a guest of the gate.
"""

import asyncio
import itertools
import struct
from collections.abc import Callable

from chatd.core.feed import Delivery
from chatd.listeners.gate import Caller
from chatd.listeners.native.bodies import delivery_bodies
from chatd.listeners.native.peer import Site
from chatd.listeners.native.requests import Requests
from chatd.protocol.entries import encode_head
from chatd.protocol.messages import Closing, ServerMessage, encode_message
from chatd.system.tasks import Tasks
from tests.fakes.raw_client import Address

Message = bytes | None
"""An encoded message; None is the end."""


class MemoryListener:
    """Takes connections from this process.

    Args:
        site: What all connections share.

        files: Where to bring tickets for files.
    """

    def __init__(self, site: Site, files: Address) -> None:
        self.files = files
        self._site = site
        self._numbers = itertools.count(1)
        self._tasks = Tasks()

    def dial(self) -> tuple[asyncio.StreamReader, "MemoryWriter"]:
        """Connect; return what a client reads from and writes to: frames, as usual."""
        reader = asyncio.StreamReader()

        def deliver(message: Message) -> None:
            if message is None:
                reader.feed_eof()
            else:
                reader.feed_data(struct.pack(">I", len(message)) + message)

        connection = MemoryConnection(
            self._site, MemoryWire(deliver), next(self._numbers)
        )
        self._tasks.spawn(self._serve(connection))
        return reader, MemoryWriter(connection.inbox.put_nowait)

    async def _serve(self, connection: "MemoryConnection") -> None:
        gate = self._site.gate
        refusal = gate.enter(None)
        connection.task = asyncio.current_task()
        if refusal is not None:
            connection.close_soon(refusal)
        gate.guests.add(connection)
        try:
            await connection.run()
        finally:
            gate.guests.discard(connection)
            gate.leave(None)


class MemoryWire:
    """Hands each message over as it is; it is never full."""

    is_full = False

    def __init__(self, deliver: Callable[[Message], None]) -> None:
        self._deliver = deliver
        self._is_ended = False

    async def drained(self) -> None:
        """Return at once."""

    def write_bodies(self, bodies: list[bytes]) -> None:
        """Hand over encoded messages."""
        if not self._is_ended:
            for body in bodies:
                self._deliver(body)

    def push(self, message: ServerMessage) -> None:
        """Hand over a message."""
        self.write_bodies([encode_message(message)])

    def deliver(self, address: str, delivery: Delivery) -> None:
        """Hand over entries of a chat, encoded once for all who address it alike."""
        bodies = delivery.encoded.get(("bodies", address))
        if bodies is None:
            head = encode_head(address)
            bodies = [head + body for body in delivery_bodies(delivery)]
            delivery.encoded["bodies", address] = bodies
        self.write_bodies(bodies)

    def end(self) -> None:
        """Say that nothing more comes."""
        if not self._is_ended:
            self._is_ended = True
            self._deliver(None)


class MemoryConnection:
    """One client; ``inbox`` has what it sends."""

    def __init__(self, site: Site, wire: MemoryWire, number: int) -> None:
        self.inbox: asyncio.Queue[Message] = asyncio.Queue()
        self.task: asyncio.Task[None] | None = None
        self.opened_at = site.service.clock.monotonic()
        self._wire = wire
        self._requests = Requests(site, wire, Caller(None, True, None), number)

    @property
    def is_authenticated(self) -> bool:
        """Whether it has logged in."""
        return self._requests.session is not None

    def belongs_to(self, user: str, login: str | None) -> bool:
        """Return whether it is a user's, and of one login if that is given."""
        return self._requests.belongs_to(user, login)

    def idle_seconds(self, now: float) -> float:
        """Return for how long nothing came."""
        return self._requests.idle_seconds(now)

    def close_soon(self, closing: Closing) -> None:
        """Close once accepted requests are answered."""
        if self._requests.closing is None:
            self._requests.closing = closing
            if self._requests.is_waiting and self.task is not None:
                self.task.cancel()

    async def run(self) -> None:
        """Serve until either side ends it."""
        requests = self._requests
        self._wire.push(requests.hello())
        try:
            await self._serve()
            await requests.finish()
        except asyncio.CancelledError:
            if requests.closing is None:
                raise
            assert self.task is not None
            self.task.uncancel()
            await requests.finish()
        finally:
            requests.log_out()
            if requests.closing is not None:
                self._wire.push(requests.closing)
            self._wire.end()

    async def _serve(self) -> None:
        requests = self._requests
        while requests.closing is None:
            requests.is_waiting = True
            messages = [await self.inbox.get()]
            requests.is_waiting = False
            while not self.inbox.empty():
                messages.append(self.inbox.get_nowait())
            requests.heard()
            await requests.take([each for each in messages if each is not None])
            if None in messages:
                return


class MemoryWriter:
    """The client's end: takes frames, and hands over what is in them."""

    def __init__(self, send: Callable[[Message], None]) -> None:
        self._send = send
        self._buffer = bytearray()
        self._is_closed = False
        self.transport = self

    def write(self, data: bytes) -> None:
        """Send frames; a part of one waits for the rest."""
        buffer = self._buffer
        buffer += data
        while len(buffer) >= 4:
            end = 4 + int.from_bytes(buffer[:4], "big")
            if len(buffer) < end:
                break
            body = bytes(buffer[4:end])
            del buffer[:end]
            if not self._is_closed:
                self._send(body)

    def close(self) -> None:
        """Hang up."""
        if not self._is_closed:
            self._is_closed = True
            self._send(None)

    abort = write_eof = close

    async def drain(self) -> None:
        """Return at once: what is written is there."""

    async def wait_closed(self) -> None:
        """Return at once."""
