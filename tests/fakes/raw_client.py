"""A raw client of the native protocol.

It shares no code with the daemon or with our own client: it frames, encodes and checks
for itself, so that an error in one of them cannot go unnoticed.
"""

import asyncio
import contextlib
import json
import ssl
import struct
from collections.abc import Callable
from typing import Any, Protocol, Self

from scramp import ScramClient

from tests import PATIENCE

Json = dict[str, Any]
Address = tuple[str, int] | str
"""Host and port, or the path of a Unix socket."""


class Listening(Protocol):
    """A listener in this process that takes connections without a network.

    Attributes:
        files: Where to bring tickets for files.
    """

    files: Address

    def dial(self) -> tuple[asyncio.StreamReader, Any]:
        """Connect; return what to read from and a writer."""


Place = Address | Listening

PASSWORD = "correct horse"


class RefusedError(Exception):
    """A request was answered with ``error``."""

    def __init__(self, answer: Json) -> None:
        super().__init__(f"{answer['code']}: {answer['reason']}")
        self.code: str = answer["code"]
        self.answer = answer


def frame(body: bytes | Json) -> bytes:
    """Return a body, or a message that is encoded first, with its length prefix."""
    if isinstance(body, dict):
        body = json.dumps(body).encode()
    return struct.pack(">I", len(body)) + body


def blind_tls() -> ssl.SSLContext:
    """Return a client's TLS context that accepts any certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class RawClient:
    """One connection, driven by frames and dictionaries; made by ``connect``.

    Attributes:
        inbox: What has arrived and was not taken yet, oldest first.
        history: All that has arrived, oldest first.
        is_ended: Whether the server has ended the stream.
        user: Who is logged in, according to the server.
    """

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.reader = reader
        self.writer = writer
        self.inbox: list[Json] = []
        self.history: list[Json] = []
        self.is_ended = False
        self._changed = asyncio.Event()
        self._last_id = 0
        self._task: asyncio.Task[None] | None = None
        self.user = ""

    @classmethod
    async def connect(
        cls,
        address: Place,
        tls: ssl.SSLContext | None = None,
        *,
        is_reading: bool = True,
    ) -> Self:
        """Connect; without ``is_reading`` nothing is read until ``start_reading``."""
        client = cls(*await _open(address, tls))
        if is_reading:
            client.start_reading()
        return client

    def start_reading(self) -> None:
        """Read whatever the server sends, from now on."""
        self._task = asyncio.create_task(self._read())

    async def close(self) -> None:
        """Hang up."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self.writer.close()
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(PATIENCE):
                await self.writer.wait_closed()

    def abort(self) -> None:
        """Cut the connection, as a killed process would."""
        if self._task is not None:
            self._task.cancel()
        self.writer.transport.abort()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    # Sending ------------------------------------------------------------------------

    def send_raw(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.writer.write(data)

    def send(self, type_: str, **members: object) -> None:
        """Send a message; ``None`` omits a field."""
        self.send_raw(frame(self.body(type_, **members)))

    def send_with_id(self, type_: str, **members: object) -> int:
        """Send a request with an id of its own, and return the id."""
        self._last_id += 1
        self.send(type_, id=self._last_id, **members)
        return self._last_id

    @staticmethod
    def body(type_: str, **members: object) -> Json:
        """Return a message; ``from_`` stands for ``from``."""
        found = {key.rstrip("_"): value for key, value in members.items()}
        return {"type": type_} | {k: v for k, v in found.items() if v is not None}

    # Receiving ----------------------------------------------------------------------

    async def take(self, wanted: Callable[[Json], bool], what: str) -> Json:
        """Wait for a message and take it out of the inbox; others stay there.

        Raises:
            ConnectionError: The server hung up before it came.
            TimeoutError: It did not arrive.
        """
        try:
            async with asyncio.timeout(PATIENCE):
                while True:
                    for index, message in enumerate(self.inbox):
                        if wanted(message):
                            return self.inbox.pop(index)
                    if self.is_ended:
                        raise ConnectionError(f"the server hung up before {what}")
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            last = [str(message)[:300] for message in self.history[-5:]]
            raise TimeoutError(f"{what} did not come; the last were {last}") from None

    async def expect(self, type_: str, **members: object) -> Json:
        """Wait for the next message of a type that has these fields."""
        wanted = self.body(type_, **members)
        return await self.take(
            lambda m: all(m.get(k) == v for k, v in wanted.items()), str(wanted)
        )

    async def reply(self, id_: int) -> Json:
        """Wait for the reply to a request."""
        return await self.take(lambda m: m.get("re") == id_, f"the reply to {id_}")

    async def request(self, type_: str, **members: object) -> Json:
        """Send a request and wait for its reply, whatever it is."""
        return await self.reply(self.send_with_id(type_, **members))

    async def ask(self, type_: str, **members: object) -> Json:
        """Send a request and return its reply.

        Raises:
            RefusedError: The reply was an ``error``.
        """
        answer = await self.request(type_, **members)
        if answer["type"] == "error":
            raise RefusedError(answer)
        return answer

    async def refusal(self, type_: str, **members: object) -> str:
        """Send a request that must be refused, and return the code of the refusal."""
        answer = await self.request(type_, **members)
        assert answer["type"] == "error", answer
        assert answer["reason"]
        code: str = answer["code"]
        return code

    async def drain(self) -> list[Json]:
        """Return all that has arrived by the time a ping is answered."""
        await self.ask("ping")
        found, self.inbox[:] = list(self.inbox), []
        return found

    async def ended(self) -> list[Json]:
        """Wait until the server ends the stream; return what the inbox holds."""
        async with asyncio.timeout(PATIENCE):
            while not self.is_ended:
                self._changed.clear()
                await self._changed.wait()
        return self.inbox

    async def _read(self) -> None:
        try:
            while True:
                (length,) = struct.unpack(">I", await self.reader.readexactly(4))
                assert 0 < length <= 1 << 20, f"the server sent {length} bytes"
                body = await self.reader.readexactly(length)
                assert body.startswith(b'{"type":"'), body[:40]
                message = json.loads(body)
                self.inbox.append(message)
                self.history.append(message)
                self._changed.set()
        except (asyncio.IncompleteReadError, OSError):
            pass
        finally:
            self.is_ended = True
            self._changed.set()

    # What most tests begin with -----------------------------------------------------

    async def register(self, user: str, password: str = PASSWORD) -> Json:
        """Make an account."""
        return await self.ask("register", user=user, password=password)

    async def login(
        self, user: str, password: str = PASSWORD, **members: object
    ) -> Json:
        """Log in by PLAIN and return ``ready``."""
        ready = await self.ask(
            "auth", mechanism="PLAIN", user=user, password=password, **members
        )
        self.user = ready["user"]
        return ready

    async def login_by_scram(
        self,
        user: str,
        password: str = PASSWORD,
        channel_binding: tuple[str, bytes] | None = None,
        **members: object,
    ) -> Json:
        """Log in by SCRAM (-PLUS with a channel binding), and verify the server."""
        mechanism = "SCRAM-SHA-256" + ("-PLUS" if channel_binding else "")
        scram = ScramClient([mechanism], user, password, channel_binding)
        challenge = await self.ask(
            "auth", mechanism=mechanism, data=scram.get_client_first(), **members
        )
        assert challenge["type"] == "challenge"
        scram.set_server_first(challenge["data"])
        # The mechanism was named before: protocol README, section 4.
        ready = await self.ask("auth", data=scram.get_client_final())
        scram.set_server_final(ready["data"])
        self.user = ready["user"]
        return ready

    async def say(
        self, chat: str, text: str, key: str | None = None, **members: object
    ) -> Json:
        """Send a text and return ``sent``."""
        return await self.ask("send", chat=chat, text=text, key=key, **members)

    async def log(self, chat: str, page: int = 200) -> list[Json]:
        """Return a whole chat by history, oldest first; check its chain."""
        found: list[Json] = []
        while True:
            after = found[-1]["seq"] if found else 0
            answer = await self.ask("history", chat=chat, after=after, limit=page)
            for message in answer["messages"]:
                assert not found or message["prev"] == found[-1]["seq"]
                found.append(message)
            if not answer.get("more"):
                return found


def stream_of(place: Place) -> Address:
    """Return where to bring tickets: only streams take the bytes of files."""
    return place if isinstance(place, str | tuple) else place.files


async def _open(
    address: Place, tls: ssl.SSLContext | None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if isinstance(address, str):
        return await asyncio.open_unix_connection(address)
    if isinstance(address, tuple):
        return await asyncio.open_connection(*address, ssl=tls)
    return address.dial()


class DataLine:
    """A data connection, driven by hand; made by ``connect`` or ``begin``.

    Attributes:
        answer: The reply to ``data``.
    """

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.reader = reader
        self.writer = writer
        self.answer: Json = {}

    @classmethod
    async def connect(
        cls, address: Place, ticket: str, tls: ssl.SSLContext | None = None
    ) -> Self:
        """Connect and redeem a ticket; ``answer`` may be a refusal.

        Raises:
            EOFError: The server hung up instead.
            ConnectionError: The connection was cut.
        """
        line = cls(*await _open(stream_of(address), tls))
        try:
            await line.redeem(ticket)
        except BaseException:
            await line.close()
            raise
        return line

    async def redeem(self, ticket: str) -> None:
        """Send the ticket, and wait for the reply."""
        assert (await self.message())["type"] == "hello"
        self.send(frame({"type": "data", "id": 1, "ticket": ticket}))
        self.answer = await self.message()
        assert self.answer["re"] == 1

    @classmethod
    async def begin(
        cls, address: Place, ticket: str, tls: ssl.SSLContext | None = None
    ) -> Self:
        """Connect and redeem a ticket.

        Raises:
            RefusedError: It was refused.
        """
        line = await cls.connect(address, ticket, tls)
        if line.answer["type"] == "error":
            await line.close()
            raise RefusedError(line.answer)
        assert line.answer["type"] == "data"
        return line

    def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.writer.write(data)

    async def message(self) -> Json:
        """Return the next frame's message."""
        async with asyncio.timeout(PATIENCE):
            (length,) = struct.unpack(">I", await self.reader.readexactly(4))
            message: Json = json.loads(await self.reader.readexactly(length))
            return message

    async def rest(self) -> bytes:
        """Return everything until the server ends the stream."""
        async with asyncio.timeout(PATIENCE):
            return await self.reader.read()

    async def ended(self) -> None:
        """Wait until the server ends the stream, in any way, and sends nothing."""
        async with asyncio.timeout(PATIENCE):
            with contextlib.suppress(ConnectionError):
                assert await self.reader.read() == b""

    async def close(self) -> None:
        """Hang up."""
        self.writer.close()
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(PATIENCE):
                await self.writer.wait_closed()

    async def abort(self) -> None:
        """Cut the connection, as a killed process would."""
        self.writer.transport.abort()
        await self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
