"""Sending a file: read it once to know its hash, then again to send it."""

import asyncio
import hashlib
from pathlib import Path
from typing import BinaryIO

import msgspec

from chatd.protocol.errors import StorageFullError
from chatd.protocol.messages import Limits, Stored, Upload, UploadReply
from client.errors import NotConnectedError, PeerError, TransferError
from client.net.address import ServerAddress
from client.text.files import size_text
from client.transfers.adoption import same_upload
from client.transfers.context import TransferContext
from client.transfers.data_connection import open_data
from client.transfers.job import Job, Tell
from client.transfers.journal import TakenError
from client.transfers.partial_file import remove
from client.transfers.records import TransferRecord
from client.transfers.source import PIECE_BYTES, Source, Stamp
from client.transfers.stream_copy import StreamCopy
from client.transfers.upload_connection import UploadConnection

# So much is hashed by one call of a thread.
_CHECK_PIECES = 16


class UploadJob(Job):
    """A file that is sent, as the journal names it.

    Args:
        context: What is shared.
        record: As it is in the journal; without a hash the file is read first.
        tell: See ``Job``.
        is_adopted: See ``Job``.
    """

    def __init__(
        self,
        context: TransferContext,
        record: TransferRecord,
        tell: Tell,
        *,
        is_adopted: bool = False,
    ) -> None:
        super().__init__(context, record, tell, is_adopted=is_adopted)
        self._is_to_check = record.sha256 is None

    def is_left(self, record: TransferRecord) -> bool:
        """Whether a killed process has left it here, and it is now asked for again."""
        is_left = self.is_adopted and not self.transfer.is_over
        return is_left and same_upload(self.record, record)

    async def go_on(self, record: TransferRecord) -> bool:
        """Go on with it as the same file, once it is known that it is the same.

        Returns:
            False if it came to its end before, or another process has it.
        """
        left = self.record
        if not await self.context.write(lambda journal: journal.ask_again(left)):
            return False
        self.is_adopted = False
        if self.is_ending:
            await self.settled()
        else:
            await self.stop()
        if not self.transfer.is_over:
            self.look_again(record)
            self.start()
        return True

    def look_again(self, record: TransferRecord) -> None:
        """Have it read once more, to see that it is the file that was begun."""
        self._is_to_check = True
        self.record = msgspec.structs.replace(self.record, inode=record.inode)

    def _shown_path(self) -> Path | None:
        return None if self.record.is_spool else self.record.path

    async def _prepare(self) -> None:
        if not self._is_to_check:
            return
        context = self.context
        async with context.checks.hold(self.record.id):
            self.progress.begin(0)
            self.show(state="checking", moved=0)
            sha256 = await context.worker.run(self._digest())
        self.show(state="waiting", moved=0)
        if sha256 != self.record.sha256:
            await self._renew(sha256)
        self._is_to_check = False

    async def _renew(self, sha256: str) -> None:
        """Note the hash; what was sent of another content is of no use."""
        record = self.record
        if await self._is_taken():
            raise TakenError
        if record.file is not None:
            await self.context.cancel_upload(await self._leave(record))
        if record.sha256 is not None:
            key = await self.context.write(lambda journal: journal.new_key())
            record = msgspec.structs.replace(record, key=key)
        await self._keep(msgspec.structs.replace(record, sha256=sha256, file=None))

    async def _leave(self, record: TransferRecord) -> TransferRecord:
        """Write down, for itself, that the server is to be told of the end."""
        left = msgspec.structs.replace(record, key="", path=None, is_cancelled=True)
        return await self.context.write(lambda journal: journal.add(left))

    async def _attempt(self) -> None:
        record = self.record
        assert record.sha256 is not None
        reply = await self.context.channel.request(
            Upload(
                chat=record.chat,
                name=record.name,
                size=record.size,
                sha256=record.sha256,
                key=record.key,
                text=record.text,
            )
        )
        if isinstance(reply, UploadReply):
            if reply.file != record.file:
                await self._keep(msgspec.structs.replace(record, file=reply.file))
            address = self.context.channel.data_address()
            if address is None:
                raise NotConnectedError("the connection broke")
            reply = await self.context.worker.run(self._send(address, reply.ticket))
        if not isinstance(reply, Stored):
            raise PeerError("the server answers an upload with something else")
        self._is_decided = True
        await self._done(seq=reply.seq)
        if record.is_spool and record.path is not None:
            await asyncio.to_thread(remove, record.path)

    async def _put_away(self) -> None:
        record = self.record
        if record.file is None:
            await self.context.write(lambda journal: journal.remove(record))
        else:
            await self._keep(msgspec.structs.replace(record, is_cancelled=True))
        if record.is_spool and record.path is not None:
            await asyncio.to_thread(remove, record.path)
        if record.file is not None:
            await self.context.cancel_upload(self.record)

    def _let_go(self) -> None:
        pass

    def _is_final(self, error: Exception) -> bool:
        # Room is not made by waiting; who has asked is to know.
        return isinstance(error, StorageFullError) or super()._is_final(error)

    # In the worker --------------------------------------------------------------------

    @property
    def _source(self) -> Source:
        record = self.record
        assert record.path is not None
        return Source(record.path, Stamp(record.size, record.mtime_ns, record.inode))

    async def _digest(self) -> str:
        """Read the file, and return its SHA-256."""
        source, sha256 = self._source, hashlib.sha256()

        def read() -> None:
            for _ in range(_CHECK_PIECES):
                data = source.read(self.progress.moved, PIECE_BYTES)
                sha256.update(data)
                self.progress.add(len(data))

        try:
            await self.context.worker.disk(source.open)
            while self.progress.moved < self.record.size:
                await self.context.worker.disk(read)
        finally:
            source.close()
        return sha256.hexdigest()

    async def _send(self, address: ServerAddress, ticket: str) -> Stored:
        context, source, record = self.context, self._source, self.record
        try:
            await context.worker.disk(source.open)
            async with open_data(
                UploadConnection,
                address,
                ticket,
                record.size,
                context.worker,
                context.patience,
            ) as data:
                self._begin_moving(data.offset)
                return await data.send(source.read, self.progress)
        finally:
            source.close()


class SpoolJob(UploadJob):
    """A stream that is copied to a private file first, which is then sent.

    Args:
        context: What is shared.
        record: As it is in the journal, with the path of the copy.
        tell: See ``Job``.
        stream: What is copied.
    """

    def __init__(
        self,
        context: TransferContext,
        record: TransferRecord,
        tell: Tell,
        stream: BinaryIO,
    ) -> None:
        assert record.path is not None
        super().__init__(context, record, tell)
        self._stream_copy = StreamCopy(stream, record.path)
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
        stamp, sha256 = await self.context.worker.run(self._copy())
        record = msgspec.structs.replace(
            self.record,
            size=stamp.size,
            mtime_ns=stamp.mtime_ns,
            inode=stamp.inode,
            sha256=sha256,
        )
        await self._keep(record)
        self._is_copied = True
        self.show(state="waiting", size=stamp.size, moved=0)
        self.wake()

    def _let_go(self) -> None:
        self._stream_copy.close()

    async def _copy(self) -> tuple[Stamp, str]:
        copy, disk = self._stream_copy, self.context.worker.disk
        await disk(copy.open)
        while await disk(copy.copy):
            self.progress.moved = copy.size
            check_size(copy.size, self.context.channel.limits)
        self.progress.moved = copy.size
        check_size(copy.size, self.context.channel.limits)
        return await disk(copy.finish)


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
