"""A fake server with files, which cuts, corrupts and refuses transfers on demand.

It is ``tests.fakes.server`` with data connections. What the daemon really does with
files is tested against the daemon; this is for what the daemon should never do, or
cannot be made to do at a certain byte.
"""

import asyncio
import contextlib
import hashlib
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from chatd.protocol.errors import (
    ChatError,
    NoSuchMessageError,
    NotAllowedError,
)
from chatd.protocol.frames import PREFIX_BYTES
from chatd.protocol.messages import (
    CancelUpload,
    Data,
    DataReply,
    Download,
    DownloadReply,
    FileInfo,
    Hello,
    Limits,
    Ok,
    Request,
    Stored,
    Upload,
    UploadReply,
    parse_request,
)
from client.errors import UnknownKeyError
from client.model.changes import Change, TransferChanged
from client.model.entries import Transfer
from client.net.address import parse_server_address
from client.net.connect import connect
from client.net.session import Timing
from client.storage.paths import Paths
from client.storage.pins import PinStore
from client.transfers.journal import Journal
from tests import PATIENCE
from tests.fakes.server import FakeConnection, FakeServer

PIECE = 65_536
PASSWORD = "correct horse"
QUICK = Timing(connect=5, ping=0.05, dead=2, backoff_first=0.02, backoff_max=0.1)


class Watch:
    """Collects a link's changes about files, and waits for them."""

    def __init__(self) -> None:
        self.seen: list[Transfer] = []
        self._moved = asyncio.Event()

    def on_change(self, change: Change) -> None:
        if isinstance(change, TransferChanged):
            self.seen.append(change.transfer)
        self._moved.set()

    def states(self, id_: int) -> list[str]:
        """Return the states of a transfer in order, without repetitions."""
        states = [each.state for each in self.seen if each.id == id_]
        return [state for state, _ in itertools.groupby(states)]

    async def until(self, is_so: Callable[[Transfer], bool]) -> Transfer:
        """Wait until a reported transfer fulfils a condition, and return it."""
        at = 0
        async with asyncio.timeout(PATIENCE):
            while True:
                while at < len(self.seen):
                    at += 1
                    if is_so(self.seen[at - 1]):
                        return self.seen[at - 1]
                self._moved.clear()
                await self._moved.wait()


@dataclass
class FakeUpload:
    """What was received under one key."""

    id: str
    request: Upload
    data: bytearray = field(default_factory=bytearray)
    seq: int = 0


@dataclass
class Trouble:
    """What happens to one data connection.

    Args:
        cut_after: So many bytes pass, then it is cut.
        stall_after: So many bytes pass, then none does.
        error: Sent instead of the reply to the ticket.
        late_error: Of an upload: sent when ``cut_after`` bytes have arrived.
        is_wrong: Of a download: other bytes are sent than those of the file.
        is_unanswered: Of an upload: cut when all bytes have arrived and are stored.
    """

    cut_after: int | None = None
    stall_after: int | None = None
    error: ChatError | None = None
    late_error: ChatError | None = None
    is_wrong: bool = False
    is_unanswered: bool = False


class FileServer(FakeServer):
    """A fake server with files.

    Attributes:
        uploads: What was received, by key.
        contents: What can be downloaded, by id.
        infos: What messages say of these files.
        upload_refusals: For the next ``upload`` requests; None lets one through.
        download_refusals: Likewise.
        troubles: For the next data connections; None is none.
        is_forgetful: Whether no ticket is valid.
        offsets: Where data connections began, with their direction.
        cancelled: The uploads that the client has cancelled.
        moving: How many data connections there are, and the most that there were.
    """

    def __init__(self, user: str = "alice", password: str = PASSWORD) -> None:
        super().__init__(user, password)
        self.limits = Limits(frame=131_072, text=1_000, in_flight=256, upload=1 << 30)
        self.uploads: dict[str, FakeUpload] = {}
        self.contents: dict[str, bytes] = {}
        self.infos: dict[str, FileInfo] = {}
        self.upload_refusals: list[ChatError | None] = []
        self.download_refusals: list[ChatError | None] = []
        self.troubles: list[Trouble | None] = []
        self.offsets: list[tuple[str, int]] = []
        self.cancelled: list[str] = []
        self.is_forgetful = False
        self.moving = 0
        self.most_moving = 0
        self.data_writers: list[asyncio.StreamWriter] = []
        self._stalled: list[asyncio.Event] = []
        self._ids = itertools.count(1)
        self._upload_ids = itertools.count(1)
        self._tickets: dict[str, FakeUpload | tuple[str, int]] = {}

    def add_file(self, data: bytes, name: str = "a.bin") -> FileInfo:
        """Add a file that can be downloaded."""
        id_ = f"file-{len(self.infos) + 1}"
        self.contents[id_] = data
        self.infos[id_] = FileInfo(
            id=id_, name=name, size=len(data), sha256=hashlib.sha256(data).hexdigest()
        )
        return self.infos[id_]

    @property
    def stored(self) -> list[FakeUpload]:
        """The uploads that are in the log, oldest first."""
        done = [upload for upload in self.uploads.values() if upload.seq]
        return sorted(done, key=lambda upload: upload.seq)

    def new_id(self) -> str:
        return f"upload-{next(self._upload_ids)}"

    def ticket(self, value: FakeUpload | tuple[str, int]) -> str:
        name = f"ticket-{next(self._ids)}"
        self._tickets[name] = value
        return name

    def seal(self, upload: FakeUpload) -> Stored:
        if not upload.seq:
            request = upload.request
            sha256 = hashlib.sha256(upload.data).hexdigest()
            assert sha256 == request.sha256
            entry = self.append(request.chat, self.user, "file", request.text or None)
            upload.seq = entry.seq
        return Stored(file=upload.id, seq=upload.seq)

    def cut_data(self) -> None:
        """Cut all data connections."""
        for stalled in self._stalled:
            stalled.set()
        self._stalled.clear()
        for writer in self.data_writers:
            writer.transport.abort()

    async def stop(self) -> None:
        self.cut_data()
        await super().stop()
        await self.until(lambda: not self.data_writers)

    # Internals ------------------------------------------------------------------------

    async def _accept(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        connection = FileConnection(self, writer)
        self.connections.append(connection)
        connection.push(
            Hello(
                protocol=1,
                server="fake",
                name="Fake",
                auth=self.auth,
                registration="open",
                time=0,
            )
        )
        with contextlib.suppress(OSError, EOFError):
            while True:
                size = int.from_bytes(await reader.readexactly(PREFIX_BYTES), "big")
                request = parse_request(await reader.readexactly(size))
                self.received.append(request)
                if isinstance(request, Data):
                    with self._counted(connection):
                        await self._move(connection, request, reader, writer)
                    break
                if not self.is_silent:
                    connection.handle(request)
                self._moved.set()
        writer.close()
        if connection in self.connections:
            self.connections.remove(connection)
        self._moved.set()

    @contextlib.contextmanager
    def _counted(self, connection: "FileConnection") -> Iterator[None]:
        # Cutting the link leaves the data connections alone.
        self.connections.remove(connection)
        self.data_writers.append(connection.writer)
        self.moving += 1
        self.most_moving = max(self.most_moving, self.moving)
        self._moved.set()
        try:
            yield
        finally:
            self.data_writers.remove(connection.writer)
            self.moving -= 1
            self._moved.set()

    async def _move(
        self,
        connection: "FileConnection",
        request: Data,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        trouble = (self.troubles.pop(0) if self.troubles else None) or Trouble()
        found = self._tickets.pop(request.ticket, None)
        if found is None or self.is_forgetful:
            connection.refuse(request, NotAllowedError("that ticket is not valid"))
        elif trouble.error is not None:
            connection.refuse(request, trouble.error)
        elif isinstance(found, FakeUpload):
            await self._receive(connection, request, found, trouble, reader)
        else:
            await self._send(connection, request, found, trouble, writer)

    async def _receive(
        self,
        connection: "FileConnection",
        request: Data,
        upload: FakeUpload,
        trouble: Trouble,
        reader: asyncio.StreamReader,
    ) -> None:
        size = upload.request.size
        self.offsets.append(("up", len(upload.data)))
        connection.reply(request, DataReply(offset=len(upload.data), size=size))
        passed = 0
        bound = min(
            bound
            for bound in (size, trouble.cut_after, trouble.stall_after)
            if bound is not None
        )
        while len(upload.data) < size and passed < bound:
            data = await reader.read(min(PIECE, bound - passed))
            if not data:
                return
            upload.data += data
            passed += len(data)
            self._moved.set()
        if trouble.late_error is not None:
            connection.refuse(Data(ticket=""), trouble.late_error)
            while await reader.read(PIECE):
                pass
        elif trouble.stall_after is not None:
            await self._stall()
        elif len(upload.data) < size:
            connection.writer.transport.abort()
        else:
            stored = self.seal(upload)
            if trouble.is_unanswered:
                connection.writer.transport.abort()
            else:
                connection.push(stored)

    async def _stall(self) -> None:
        stalled = asyncio.Event()
        self._stalled.append(stalled)
        await stalled.wait()

    async def _send(
        self,
        connection: "FileConnection",
        request: Data,
        found: tuple[str, int],
        trouble: Trouble,
        writer: asyncio.StreamWriter,
    ) -> None:
        data, offset = self.contents[found[0]], found[1]
        self.offsets.append(("down", offset))
        connection.reply(request, DataReply(offset=offset, size=len(data)))
        rest = memoryview(data)[offset:]
        if trouble.is_wrong:
            rest = memoryview(bytes(len(rest)))
        bound = len(rest)
        for limit in (trouble.cut_after, trouble.stall_after):
            bound = bound if limit is None else min(bound, limit)
        for at in range(0, bound, PIECE):
            writer.write(rest[at : min(bound, at + PIECE)])
            await writer.drain()
        if trouble.stall_after is not None:
            await self._stall()


class FileConnection(FakeConnection):
    """One connection of the fake server."""

    server: FileServer

    def _handle(self, request: Request) -> None:
        server = self.server
        match request:
            case Upload():
                refusals = server.upload_refusals
                if (refusal := refusals.pop(0) if refusals else None) is not None:
                    raise refusal
                self._upload(request)
            case CancelUpload():
                found = [u for u in server.uploads.values() if u.id == request.file]
                if not found or found[0].seq:
                    raise NoSuchMessageError("there is no such upload")
                server.cancelled.append(request.file)
                del server.uploads[found[0].request.key]
                self.reply(request, Ok())
            case Download():
                refusals = server.download_refusals
                if (refusal := refusals.pop(0) if refusals else None) is not None:
                    raise refusal
                if request.file not in server.contents:
                    raise NoSuchMessageError("there is no such file, or not any more")
                info = server.infos[request.file]
                self.reply(
                    request,
                    DownloadReply(
                        name=info.name,
                        size=info.size,
                        sha256=info.sha256,
                        ticket=server.ticket((info.id, request.offset)),
                    ),
                )
            case _:
                super()._handle(request)

    def _upload(self, request: Upload) -> None:
        server = self.server
        upload = server.uploads.setdefault(
            request.key, FakeUpload(server.new_id(), request)
        )
        if upload.seq:
            self.reply(request, Stored(file=upload.id, seq=upload.seq))
            return
        self.reply(
            request,
            UploadReply(
                file=upload.id, offset=len(upload.data), ticket=server.ticket(upload)
            ),
        )


def left_over(server: FileServer, paths: Paths) -> list[str]:
    """Return what is left of transfers: rows of the journal, and copies."""
    journal = Journal(paths.transfers(server.address, "alice"))
    rows = [row.name for row in journal.adopted]
    for row in journal.adopted:
        journal.remove(row)
    journal.close()
    spool = paths.spool(server.address, "alice")
    return rows + [path.name for path in spool.glob("*")]


async def trust(server: FileServer, paths: Paths) -> None:
    """Pin the key that the server shows now."""
    with pytest.raises(UnknownKeyError) as caught:
        await connect(parse_server_address(server.address), PinStore(None))
    PinStore(paths.pins).trust(server.address, caught.value.fingerprint)
