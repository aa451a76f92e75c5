"""One connection to a server: encodes and decodes its frames, and answers pings."""

import asyncio
import contextlib
from collections import deque

import msgspec

from chatd.protocol.errors import FrameError, TooLargeError, error_from_code
from chatd.protocol.frames import (
    MAX_BODY_DEFAULT,
    MAX_BODY_FROM_SERVER,
    FrameDecoder,
    encode_frame,
)
from chatd.protocol.messages import (
    Closing,
    Error,
    Hello,
    InvalidBodyError,
    PingFromServer,
    PongFromClient,
    Request,
    ServerMessage,
    encode_message,
    parse_server_message,
)
from client.errors import ConnectError, PeerError

_READ_BYTES = 1 << 16
_CLOSE_SECONDS = 2.0


class Connection:
    """A connection that has the server's hello; made by ``client.net.connect.connect``.

    Attributes:
        hello: The server's hello.
        certificate: The server's certificate (DER) where the connection is TLS.
        fingerprint: Of the key in the certificate.
        is_private: Whether secrets may be sent: TLS, a Unix socket, or loopback.
        closing: The server's ``closing``, if it sent one before it hung up.
        heard: Set whenever any byte arrives: the server is alive.
        max_body_bytes: The longest body that the server takes.
    """

    hello: Hello

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        certificate: bytes | None = None,
        fingerprint: str | None = None,
        is_private: bool = False,
    ) -> None:
        self.certificate = certificate
        self.fingerprint = fingerprint
        self.is_private = is_private
        self.closing: Closing | None = None
        self.heard = asyncio.Event()
        self.max_body_bytes = MAX_BODY_DEFAULT
        self._reader = reader
        self._writer = writer
        self._decoder = FrameDecoder(MAX_BODY_FROM_SERVER)
        self._pending: deque[ServerMessage] = deque()
        self._last_id = 0

    async def receive(self) -> list[ServerMessage]:
        """Wait for messages and return those that arrived, at least one.

        Pings are answered here. Cancelling loses nothing.

        Raises:
            ConnectError: The server hung up, or the network failed.
            PeerError: What it sends is not the protocol.
        """
        while not self._pending:
            try:
                data = await self._reader.read(_READ_BYTES)
            except OSError as error:
                raise ConnectError(f"the connection broke: {error}") from error
            if not data:
                raise self._hung_up()
            self.heard.set()
            self._take(data)
        found = list(self._pending)
        self._pending.clear()
        return found

    async def hello_from_server(self) -> Hello:
        """Wait for the server's hello and return it.

        Raises:
            PeerError: The first message is something else, or the hello is of another
                version of the protocol.
        """
        found = await self.receive()
        self._pending.extend(found[1:])
        if not isinstance(found[0], Hello):
            raise PeerError("this is not a chat server: it did not say hello")
        if found[0].protocol != 1:
            raise PeerError(
                f"the server speaks version {found[0].protocol} of the protocol, this "
                "program version 1: one of them is to be updated"
            )
        self.hello = found[0]
        return found[0]

    async def ask(self, request: Request) -> ServerMessage:
        """Send a request and wait for its reply; for use before a read loop runs.

        Other messages that come meanwhile are kept for ``receive``.

        Raises:
            ChatError: The server refused.
            ConnectError: The server hung up.
        """
        id_ = self.send(request)
        kept: list[ServerMessage] = []
        reply: ServerMessage | None = None
        while reply is None:
            for message in await self.receive():
                if reply is None and message.re == id_:
                    reply = message
                else:
                    kept.append(message)
        self._pending.extendleft(reversed(kept))
        if isinstance(reply, Error):
            raise error_from_code(reply.code, reply.reason, reply.retry_after)
        return reply

    def next_id(self) -> int:
        """Return an id for a request on this connection."""
        self._last_id += 1
        return self._last_id

    def send(self, request: Request, id_: int | None = None) -> int:
        """Hand a request to the network without waiting; return its id.

        Raises:
            TooLargeError: It would not fit into a frame; nothing was sent.
        """
        id_ = self.next_id() if id_ is None else id_
        self.send_without_id(msgspec.structs.replace(request, id=id_))
        return id_

    def send_without_id(self, request: Request) -> None:
        """Hand a request to the network as it is.

        Raises:
            TooLargeError: It would not fit into a frame; nothing was sent.
        """
        body = encode_message(request)
        if len(body) > self.max_body_bytes:
            raise TooLargeError(
                f"that is too long: {len(body)} bytes, where the server takes "
                f"{self.max_body_bytes}"
            )
        self._writer.write(encode_frame(body))

    async def drain(self) -> None:
        """Wait until the network has taken most of what was sent.

        Raises:
            ConnectError: The connection broke.
        """
        try:
            await self._writer.drain()
        except OSError as error:
            raise ConnectError(f"the connection broke: {error}") from error

    @property
    def transport(self) -> asyncio.Transport:
        """The transport, for a caller that takes the connection over to move a file.

        From then on only ``abort`` may be used here.
        """
        return self._writer.transport  # type: ignore[return-value]

    async def close(self) -> None:
        """Hang up."""
        self._writer.close()
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self._writer.wait_closed()

    def abort(self) -> None:
        """Hang up without waiting for anything."""
        self._writer.transport.abort()

    def _take(self, data: bytes) -> None:
        try:
            for body in self._decoder.feed(data):
                message = parse_server_message(body)
                if message is None:
                    continue  # a type of a later version
                if isinstance(message, PingFromServer):
                    self._pong(message)
                    continue
                if isinstance(message, Closing):
                    self.closing = message
                self._pending.append(message)
        except (FrameError, InvalidBodyError) as error:
            raise PeerError(f"the server sent what is no message: {error}") from error

    def _pong(self, ping: PingFromServer) -> None:
        body = encode_message(PongFromClient(re=ping.id))
        self._writer.write(encode_frame(body))

    def _hung_up(self) -> ConnectError:
        if self.closing is None:
            return ConnectError("the server hung up")
        wait_ms = self.closing.retry_after
        return ConnectError(
            f"the server hung up: {self.closing.reason}",
            None if wait_ms is None else wait_ms / 1_000,
        )
