"""Sending a file: read it once to know its hash, then again to send it."""

import asyncio
import hashlib
from pathlib import Path
from typing import BinaryIO

import msgspec

from chatd.protocol.errors import StorageFullError
from chatd.protocol.messages import Limits, Stored, Upload, UploadReply
from client.address import ServerAddress
from client.errors import NotConnectedError, PeerError, TransferError
from client.formatting_files import size_text
from client.transfers.claims import same_upload
from client.transfers.data import open_data
from client.transfers.desk import Desk
from client.transfers.job import Job, Tell
from client.transfers.journal import TakenError
from client.transfers.outgoing import Outgoing
from client.transfers.partial import remove
from client.transfers.rows import Row
from client.transfers.source import PIECE_BYTES, Source, Stamp
from client.transfers.spool import Spool

# So much is hashed by one call of a thread.
_CHECK_PIECES = 16


class UploadJob(Job):
    """A file that is sent, as the journal names it.

    Args:
        desk: What is shared.
        row: As it is in the journal; without a hash the file is read first.
        tell: See ``Job``.
        is_adopted: See ``Job``.
    """

    def __init__(
        self, desk: Desk, row: Row, tell: Tell, *, is_adopted: bool = False
    ) -> None:
        super().__init__(desk, row, tell, is_adopted=is_adopted)
        self._is_to_check = row.sha256 is None

    def is_left(self, row: Row) -> bool:
        """Whether a killed process has left it here, and it is now asked for again."""
        is_left = self.is_adopted and not self.transfer.is_over
        return is_left and same_upload(self.row, row)

    async def go_on(self, row: Row) -> bool:
        """Go on with it as the same file, once it is known that it is the same.

        Returns:
            False if it came to its end before, or another process has it.
        """
        left = self.row
        if not await self.desk.write(lambda journal: journal.ask_again(left)):
            return False
        self.is_adopted = False
        if self.is_ending:
            await self.settled()
        else:
            await self.stop()
        if not self.transfer.is_over:
            self.look_again(row)
            self.start()
        return True

    def look_again(self, row: Row) -> None:
        """Have it read once more, to see that it is the file that was begun."""
        self._is_to_check = True
        self.row = msgspec.structs.replace(self.row, inode=row.inode)

    def _shown_path(self) -> Path | None:
        return None if self.row.is_spool else self.row.path

    async def _prepare(self) -> None:
        if not self._is_to_check:
            return
        desk = self.desk
        async with desk.checks.hold(self.row.id):
            self.progress.begin(0)
            self.show(state="checking", moved=0)
            sha256 = await desk.worker.run(self._digest())
        self.show(state="waiting", moved=0)
        if sha256 != self.row.sha256:
            await self._renew(sha256)
        self._is_to_check = False

    async def _renew(self, sha256: str) -> None:
        """Note the hash; what was sent of another content is of no use."""
        row = self.row
        if await self._is_taken():
            raise TakenError
        if row.file is not None:
            await self.desk.cancel_upload(await self._leave(row))
        if row.sha256 is not None:
            key = await self.desk.write(lambda journal: journal.new_key())
            row = msgspec.structs.replace(row, key=key)
        await self._keep(msgspec.structs.replace(row, sha256=sha256, file=None))

    async def _leave(self, row: Row) -> Row:
        """Write down, for itself, that the server is to be told of the end."""
        left = msgspec.structs.replace(row, key="", path=None, is_cancelled=True)
        return await self.desk.write(lambda journal: journal.add(left))

    async def _attempt(self) -> None:
        row = self.row
        assert row.sha256 is not None
        reply = await self.desk.channel.request(
            Upload(
                chat=row.chat,
                name=row.name,
                size=row.size,
                sha256=row.sha256,
                key=row.key,
                text=row.text,
            )
        )
        if isinstance(reply, UploadReply):
            if reply.file != row.file:
                await self._keep(msgspec.structs.replace(row, file=reply.file))
            address = self.desk.channel.data_address()
            if address is None:
                raise NotConnectedError("the connection broke")
            reply = await self.desk.worker.run(self._send(address, reply.ticket))
        if not isinstance(reply, Stored):
            raise PeerError("the server answers an upload with something else")
        self._is_decided = True
        await self._done(seq=reply.seq)
        if row.is_spool and row.path is not None:
            await asyncio.to_thread(remove, row.path)

    async def _put_away(self) -> None:
        row = self.row
        if row.file is None:
            await self.desk.write(lambda journal: journal.remove(row))
        else:
            await self._keep(msgspec.structs.replace(row, is_cancelled=True))
        if row.is_spool and row.path is not None:
            await asyncio.to_thread(remove, row.path)
        if row.file is not None:
            await self.desk.cancel_upload(self.row)

    def _let_go(self) -> None:
        pass

    def _is_final(self, error: Exception) -> bool:
        # Room is not made by waiting; who has asked is to know.
        return isinstance(error, StorageFullError) or super()._is_final(error)

    # In the worker --------------------------------------------------------------------

    @property
    def _source(self) -> Source:
        row = self.row
        assert row.path is not None
        return Source(row.path, Stamp(row.size, row.mtime_ns, row.inode))

    async def _digest(self) -> str:
        """Read the file, and return its SHA-256."""
        source, sha256 = self._source, hashlib.sha256()

        def read() -> None:
            for _ in range(_CHECK_PIECES):
                data = source.read(self.progress.moved, PIECE_BYTES)
                sha256.update(data)
                self.progress.add(len(data))

        try:
            await self.desk.worker.disk(source.open)
            while self.progress.moved < self.row.size:
                await self.desk.worker.disk(read)
        finally:
            source.close()
        return sha256.hexdigest()

    async def _send(self, address: ServerAddress, ticket: str) -> Stored:
        desk, source, row = self.desk, self._source, self.row
        try:
            await desk.worker.disk(source.open)
            async with open_data(
                Outgoing, address, ticket, row.size, desk.worker, desk.patience
            ) as data:
                self._begin_moving(data.offset)
                return await data.send(source.read, self.progress)
        finally:
            source.close()


class SpoolJob(UploadJob):
    """A stream that is copied to a private file first, which is then sent.

    Args:
        desk: What is shared.
        row: As it is in the journal, with the path of the copy.
        tell: See ``Job``.
        stream: What is copied.
    """

    def __init__(self, desk: Desk, row: Row, tell: Tell, stream: BinaryIO) -> None:
        assert row.path is not None
        super().__init__(desk, row, tell)
        self._spool = Spool(stream, row.path)
        self._is_copied = False

    @property
    def is_copying(self) -> bool:
        """Whether it is lost with this process."""
        return not self._is_copied and not self.transfer.is_over

    async def copied(self) -> None:
        """Wait until it goes on by itself, or is over."""
        while self.is_copying:
            await self.news()

    def sample(self, now: float) -> None:
        """Show how far it is; how far it goes is not known yet while it is copied."""
        if self.is_copying:
            self.show(size=self.progress.moved)
        super().sample(now)

    async def _prepare(self) -> None:
        self.progress.begin(0)
        self.show(state="checking")
        stamp, sha256 = await self.desk.worker.run(self._copy())
        row = msgspec.structs.replace(
            self.row,
            size=stamp.size,
            mtime_ns=stamp.mtime_ns,
            inode=stamp.inode,
            sha256=sha256,
        )
        await self._keep(row)
        self._is_copied = True
        self.show(state="waiting", size=stamp.size, moved=0)
        self.wake()

    def _let_go(self) -> None:
        self._spool.close()

    async def _copy(self) -> tuple[Stamp, str]:
        spool, disk = self._spool, self.desk.worker.disk
        await disk(spool.open)
        while await disk(spool.copy):
            self.progress.moved = spool.size
            check_size(spool.size, self.desk.channel.limits)
        self.progress.moved = spool.size
        check_size(spool.size, self.desk.channel.limits)
        return await disk(spool.finish)


def check_size(size: int, limits: Limits | None) -> None:
    """Refuse what the server would refuse, as far as its limits are known.

    Raises:
        TransferError: It is too large, or the server takes no files.
    """
    if limits is None:
        return
    if limits.upload is None:
        raise TransferError("this server does not take files", "not_allowed")
    if size > limits.upload:
        raise TransferError(
            f"the file has {size_text(size)} or more, and this server takes "
            f"{size_text(limits.upload)} at most: send it in parts, or packed",
            "too_large",
        )


def check_caption(text: str, limits: Limits | None) -> None:
    """Refuse a caption that the server would refuse, as far as its limits are known.

    Raises:
        TransferError: It is too long, or no valid text.
    """
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        raise TransferError(
            "the caption is not valid Unicode", "bad_request"
        ) from error
    if limits is not None and size > limits.text:
        raise TransferError(
            f"the caption has {size} bytes, more than the {limits.text} that the "
            "server takes: send it as messages of its own",
            "too_large",
        )
