"""Upload jobs: read a file once to hash it, then again to send it."""

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
from client.transfers.journal import TakenOverError
from client.transfers.partial_file import remove
from client.transfers.records import TransferRecord
from client.transfers.source import PIECE_BYTES, Source, Stamp
from client.transfers.stream_copy import StreamCopy
from client.transfers.upload_connection import UploadConnection

# How many pieces one call in a disk thread hashes.
_CHECK_PIECES = 16


class UploadJob(Job):
    """The upload of a file.

    Args:
        context: What all jobs share.
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
        """Whether it is adopted, unfinished, and the same upload as ``record``."""
        is_left = self.is_adopted and not self.transfer.is_over
        return is_left and same_upload(self.record, record)

    async def go_on(self, record: TransferRecord) -> bool:
        """Resume an adopted upload for a caller that requests the same file.

        The file is hashed again, as it may have changed since it was begun.

        Returns:
            False if it ended before, or another process has taken it over.
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
        """Have the file hashed again, to verify that it is the one that was begun."""
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
        """Record the hash; cancel what was sent of another content.

        A key stands for one content, so the new content gets a new key.
        """
        record = self.record
        if await self._is_taken():
            raise TakenOverError
        if record.file is not None:
            await self.context.cancel_upload(await self._leave(record))
        if record.sha256 is not None:
            key = await self.context.write(lambda journal: journal.new_key())
            record = msgspec.structs.replace(record, key=key)
        await self._keep(msgspec.structs.replace(record, sha256=sha256, file=None))

    async def _leave(self, record: TransferRecord) -> TransferRecord:
        """Insert a record of its own for telling the server of the cancellation."""
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
        self._is_outcome_certain = True
        await self._done(seq=reply.seq)
        if record.is_spool and record.path is not None:
            await asyncio.to_thread(remove, record.path)

    async def _discard(self) -> None:
        record = self.record
        if record.file is None:
            await self.context.write(lambda journal: journal.remove(record))
        else:
            await self._keep(msgspec.structs.replace(record, is_cancelled=True))
        if record.is_spool and record.path is not None:
            await asyncio.to_thread(remove, record.path)
        if record.file is not None:
            await self.context.cancel_upload(self.record)

    def _close_files(self) -> None:
        pass

    def _is_final(self, error: Exception) -> bool:
        # Waiting makes no space, and the user should know.
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


class StreamUploadJob(UploadJob):
    """The upload of a stream, by way of a private copy.

    Args:
        context: What all jobs share.
        record: As it is in the journal, with the path of the copy.
        tell: See ``Job``.
        stream: The stream to copy.
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
        """Whether the stream is still copied; a kill loses it until that is done."""
        return not self._is_copied and not self.transfer.is_over

    async def copied(self) -> None:
        """Wait until the stream is copied, or the transfer is over."""
        while self.is_copying:
            await self.news()

    def sample(self, now: float) -> None:
        """Show its progress; while it is copied, its size is what was copied so far."""
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

    def _close_files(self) -> None:
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
    """Refuse a file that the server would refuse, as far as its limits are known.

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
