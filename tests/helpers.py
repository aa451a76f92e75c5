"""A raw client of the native protocol, and small things that many tests need.

The client shares no code with the daemon or with our own client: it frames, encodes and
checks for itself, so that an error in one of them cannot hide itself.
"""

import asyncio
import contextlib
import hashlib
import itertools
import json
import os
import secrets
import ssl
import struct
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any, Self

import pytest
from scramp import ScramClient

Json = dict[str, Any]
Address = tuple[str, int] | str
"""Host and port, or the path of a Unix socket."""

PATIENCE = 20.0
"""How many seconds an event may take that always comes."""

PASSWORD = "correct horse"


class RefusedError(Exception):
    """A request was answered with ``error``."""

    def __init__(self, answer: Json) -> None:
        super().__init__(f"{answer['code']}: {answer['reason']}")
        self.code: str = answer["code"]
        self.answer = answer


def frame(body: bytes | Json) -> bytes:
    """Return a body, or a message to be encoded, with its length in front."""
    if isinstance(body, dict):
        body = json.dumps(body).encode()
    return struct.pack(">I", len(body)) + body


def blind_tls() -> ssl.SSLContext:
    """Return a client's context that accepts any certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class RawClient:
    """One connection, spoken to in frames and dictionaries; made by ``connect``.

    Attributes:
        inbox: What has arrived and was not asked for yet, oldest first.
        history: All that has arrived, oldest first.
        is_ended: Whether the server has ended the stream.
        user: Who is logged in, by the server's word.
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
        address: Address,
        tls: ssl.SSLContext | None = None,
        *,
        is_reading: bool = True,
    ) -> Self:
        """Connect; without ``is_reading`` nothing is read until ``start_reading``."""
        if isinstance(address, str):
            streams = await asyncio.open_unix_connection(address)
        else:
            streams = await asyncio.open_connection(*address, ssl=tls)
        client = cls(*streams)
        if is_reading:
            client.start_reading()
        return client

    def start_reading(self) -> None:
        """Take in whatever the server sends, from now on."""
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
        """Send a message; ``None`` leaves a member out."""
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
            TimeoutError: It did not come.
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
        """Wait for the next message of a type that has these members."""
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
        """Log in by SCRAM (-PLUS with a channel binding); the server proves itself."""
        mechanism = "SCRAM-SHA-256" + ("-PLUS" if channel_binding else "")
        scram = ScramClient([mechanism], user, password, channel_binding)
        challenge = await self.ask(
            "auth", mechanism=mechanism, data=scram.get_client_first(), **members
        )
        assert challenge["type"] == "challenge"
        scram.set_server_first(challenge["data"])
        # The mechanism has been said: protocol README, section 4.
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
        """Return a whole chat by history, oldest first; checks its chain."""
        found: list[Json] = []
        while True:
            after = found[-1]["seq"] if found else 0
            answer = await self.ask("history", chat=chat, after=after, limit=page)
            for message in answer["messages"]:
                assert not found or message["prev"] == found[-1]["seq"]
                found.append(message)
            if not answer.get("more"):
                return found


class DataLine:
    """A data connection, spoken to by hand; made by ``connect`` or ``begin``.

    Attributes:
        answer: What ``data`` was answered with.
    """

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.reader = reader
        self.writer = writer
        self.answer: Json = {}

    @classmethod
    async def connect(
        cls, address: Address, ticket: str, tls: ssl.SSLContext | None = None
    ) -> Self:
        """Connect and redeem a ticket; ``answer`` may be a refusal.

        Raises:
            EOFError: The server hung up instead.
            ConnectionError: The connection was cut.
        """
        if isinstance(address, str):
            streams = await asyncio.open_unix_connection(address)
        else:
            streams = await asyncio.open_connection(*address, ssl=tls)
        line = cls(*streams)
        try:
            await line.redeem(ticket)
        except BaseException:
            await line.close()
            raise
        return line

    async def redeem(self, ticket: str) -> None:
        """Say what the connection is for, and wait for the answer."""
        assert (await self.message())["type"] == "hello"
        self.send(frame({"type": "data", "id": 1, "ticket": ticket}))
        self.answer = await self.message()
        assert self.answer["re"] == 1

    @classmethod
    async def begin(
        cls, address: Address, ticket: str, tls: ssl.SSLContext | None = None
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
        """Return all that comes until the server ends the stream."""
        async with asyncio.timeout(PATIENCE):
            return await self.reader.read()

    async def ended(self) -> None:
        """Wait until the server ends the stream, by whatever means, without a word."""
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


def sha256_of(data: bytes) -> str:
    """Return the SHA-256 as the protocol writes it."""
    return hashlib.sha256(data).hexdigest()


def upload_of(chat: str, data: bytes, name: str = "a.bin", **members: object) -> Json:
    """Return the members of an ``upload`` of these bytes, by a key of its own."""
    return {
        "chat": chat,
        "name": name,
        "size": len(data),
        "sha256": sha256_of(data),
        "key": secrets.token_urlsafe(16),
        **members,
    }


async def put_file(
    client: RawClient,
    address: Address,
    chat: str,
    data: bytes,
    name: str = "a.bin",
    **members: object,
) -> Json:
    """Upload a whole file and return ``stored``.

    Raises:
        RefusedError: It was refused, before or after the bytes.
    """
    answer = await client.ask("upload", **upload_of(chat, data, name, **members))
    return await send_rest(address, answer["ticket"], data)


async def send_rest(
    address: Address, ticket: str, data: bytes, tls: ssl.SSLContext | None = None
) -> Json:
    """Send what an upload still lacks and return ``stored``.

    Raises:
        RefusedError: It was refused.
    """
    async with await DataLine.begin(address, ticket, tls) as line:
        line.send(data[line.answer["offset"] :])
        answer = await line.message()
        if answer["type"] == "error":
            raise RefusedError(answer)
        assert answer["type"] == "stored"
        return answer


async def ticket_at(client: RawClient, request: Json, wanted: int) -> str:
    """Wait until so much of an upload has come; return a ticket to go on with it."""
    while True:
        answer = await client.ask("upload", **request)
        if answer["offset"] == wanted:
            ticket: str = answer["ticket"]
            return ticket


async def get_file(
    client: RawClient,
    address: Address,
    file: str,
    offset: int = 0,
    tls: ssl.SSLContext | None = None,
) -> bytes:
    """Download a file from an offset on and return those bytes.

    Raises:
        RefusedError: It was refused.
    """
    answer = await client.ask("download", file=file, offset=offset)
    async with await DataLine.begin(address, answer["ticket"], tls) as line:
        assert line.answer["offset"] == offset
        assert line.answer["size"] == answer["size"]
        return await line.rest()


_numbers = itertools.count()


def fresh_name(prefix: str = "u") -> str:
    """Return a user or room name that was not used yet."""
    return f"{prefix}{next(_numbers)}"


def texts(messages: list[Json]) -> list[str]:
    """Return the texts of those messages that are text."""
    return [m["text"] for m in messages if m.get("kind") == "text"]


@contextlib.asynccontextmanager
async def logged_in(
    address: Address, *users: str, **members: Any
) -> AsyncIterator[list[RawClient]]:
    """Register users and log each of them in over a connection of its own."""
    clients: list[RawClient] = []
    try:
        for user in users:
            client = await RawClient.connect(address)
            clients.append(client)
            await client.expect("hello")
            await client.register(user)
            await client.login(user, **members)
        yield clients
    finally:
        for client in clients:
            await client.close()


async def eventually(is_so: Callable[[], bool], what: str) -> None:
    """Wait for something outside of this process that nobody tells about.

    Raises:
        TimeoutError: It did not become true.
    """
    deadline = time.monotonic() + PATIENCE
    while not is_so():
        if time.monotonic() > deadline:
            raise TimeoutError(what)
        await asyncio.sleep(0.02)


@contextlib.contextmanager
def small_disk(folder: Path, mebibytes: int) -> Iterator[Path]:
    """Mount an empty file system of a few megabytes; skips where that is forbidden."""
    folder.mkdir()
    options = f"size={mebibytes}m,mode=0700"
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", os.fspath(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode != 0:
        pytest.skip(f"cannot mount a small disk: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", os.fspath(folder)], check=True)


def fill_up(path: Path) -> None:
    """Write zeros to a file until its disk is full."""
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(b"\0" * 4096) == 4096:
            pass
