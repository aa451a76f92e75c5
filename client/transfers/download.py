"""Download jobs: fetch into a partial file, which gets its name when complete."""

import asyncio
import contextlib
import os
import shutil
from pathlib import Path

import msgspec

from chatd.protocol.messages import Download, DownloadReply
from client.errors import ConnectError, NotConnectedError, PeerError, TransferError
from client.net.address import ServerAddress
from client.text.files import size_text
from client.transfers.adoption import same_download
from client.transfers.context import TransferContext
from client.transfers.data_connection import open_data
from client.transfers.download_connection import DownloadConnection
from client.transfers.file_names import safe_name
from client.transfers.job import Job, Tell
from client.transfers.partial_file import PartialFile, remove
from client.transfers.records import TransferRecord


class DownloadJob(Job):
    """The download of a file.

    Args:
        context: What all jobs share.
        record: As it is in the journal.
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
        self._partial: PartialFile | None = None
        self._was_restarted = False

    def is_same(self, record: TransferRecord) -> bool:
        """Whether it is adopted, under way, and the same download as ``record``."""
        if not self.is_adopted or self.is_ending or self.transfer.is_over:
            return False
        return same_download(self.record, record)

    def is_answer_to(self, file: str, target: tuple[Path, str]) -> bool:
        """Whether it is adopted, and has saved ``file`` under ``target`` already."""
        record = self.record
        is_done = self.is_adopted and self.transfer.state == "done"
        return (
            is_done and record.file == file and (record.folder, record.name) == target
        )

    def _shown_path(self) -> Path | None:
        record = self.record
        if record.path is not None or record.folder is None:
            return record.path
        return record.folder / record.name

    async def _prepare(self) -> None:
        if self.record.path is not None:
            # It already had its final name when the earlier process ended.
            await self._finish(self.record.path)

    async def _attempt(self) -> None:
        partial = self._partial or await self._open()
        if not partial.is_complete or not partial.size:
            await self._fetch(partial)
        self._is_outcome_certain = True
        if not partial.has(self.record.sha256 or ""):
            self._is_outcome_certain = False
            await self._begin_anew(partial)
        assert self.record.folder is not None
        path = await self.context.call(
            partial.finish, self.record.folder, self.record.name
        )
        await self._finish(path)

    async def _open(self) -> PartialFile:
        """Open the partial file, and hash what is in it."""
        assert self.record.partial is not None
        partial = self._partial = PartialFile(self.record.partial, self.record.size)
        await self.context.call(partial.open)
        if not partial.is_absorbed:
            self.progress.begin(0)
            self.show(state="checking", moved=0)
            await self.context.worker.run(self._absorb(partial))
            self.show(state="waiting", moved=partial.offset)
        return partial

    async def _fetch(self, partial: PartialFile) -> None:
        record = self.record
        assert record.file is not None
        reply = await self.context.channel.request(
            Download(file=record.file, offset=partial.offset)
        )
        if not isinstance(reply, DownloadReply):
            raise PeerError("the server answers a download with something else")
        if (reply.size, reply.sha256) != (record.size, record.sha256):
            raise TransferError(
                "the server has another file than the message says: ask its sender",
                "damaged",
            )
        address = self.context.channel.data_address()
        if address is None:
            raise NotConnectedError("the connection broke")
        await self.context.worker.run(self._receive(address, reply.ticket, partial))

    async def _begin_anew(self, partial: PartialFile) -> None:
        """Start over from the first byte once, if an earlier part may be damaged.

        Raises:
            ConnectError: The file is to be fetched again.
            TransferError: It was fetched again already, or came in one part.
        """
        if self._was_restarted or not partial.was_resumed:
            raise TransferError(
                "what the server sent is not what its message says (the SHA-256 is "
                "another): ask the sender to send the file again",
                "damaged",
            )
        self._was_restarted = True
        await self.context.call(partial.restart)
        raise ConnectError("what came earlier is damaged: once again from the start")

    async def _finish(self, path: Path) -> None:
        self._is_outcome_certain = True
        self._close_files()
        with contextlib.suppress(TransferError):
            await self._keep(msgspec.structs.replace(self.record, path=path))
        if self.record.partial is not None:
            await asyncio.to_thread(remove, self.record.partial)
        await self._done(path=path)

    async def _discard(self) -> None:
        if self.record.partial is not None:
            await asyncio.to_thread(remove, self.record.partial)
        await self.context.write(lambda journal: journal.remove(self.record))

    def _close_files(self) -> None:
        partial, self._partial = self._partial, None
        if partial is not None:
            partial.close()

    # In the worker --------------------------------------------------------------------

    async def _absorb(self, partial: PartialFile) -> None:
        while not partial.is_absorbed:
            self.progress.add(await self.context.worker.disk(partial.absorb))
        await self.context.worker.disk(partial.rewind)

    async def _receive(
        self, address: ServerAddress, ticket: str, partial: PartialFile
    ) -> None:
        context = self.context
        await context.worker.disk(_check_space, partial)
        async with open_data(
            DownloadConnection,
            address,
            ticket,
            partial.size,
            context.worker,
            context.patience,
        ) as data:
            if data.offset != partial.offset:
                await context.worker.disk(partial.restart)
                raise PeerError("the server goes on somewhere else")
            if data.offset:
                partial.was_resumed = True
            self._begin_moving(data.offset)
            await data.receive((partial.write, partial.hash), self.progress)


def _check_space(partial: PartialFile) -> None:
    """Refuse a file that does not fit, before it has filled the disk.

    Raises:
        TransferError: There is less free space than is missing.
    """
    folder = partial.path.parent
    missing = partial.size - partial.offset
    try:
        free = shutil.disk_usage(folder).free
    except OSError:
        return  # writing will fail if there is no space
    if free < missing:
        raise TransferError(
            f"there is no room in {folder}: {size_text(missing)} are to come, and "
            f"{size_text(free)} are free. Make some, or choose another folder, and try "
            "again",
            "storage_full",
        )


def intended(
    name: str, folder: Path | None, path: Path | None, default: Path
) -> tuple[Path, str]:
    """Return the folder and the name that are asked for, whether taken or not."""
    if path is not None:
        path = Path(os.path.abspath(path))
        return path.parent, path.name
    return Path(os.path.abspath(folder or default)), safe_name(name)


def choose_target(
    name: str, folder: Path | None, path: Path | None, default: Path
) -> tuple[Path, str]:
    """Return the folder and the name that a file is to be saved under; this blocks.

    Args:
        name: The sender's name for it.
        folder: The folder that is asked for; None is the default.
        path: The exact path that is asked for instead.
        default: Made if it does not exist.

    Raises:
        TransferError: It cannot be saved there.
    """
    if path is not None:
        path = Path(os.path.abspath(path))
        if os.path.lexists(path):
            raise TransferError(
                f"there is {path} already, and nothing is replaced: choose another "
                "name, or move it away",
                "exists",
            )
        folder, name = path.parent, path.name
    else:
        name = safe_name(name)
        if folder is None:
            folder = default
            with contextlib.suppress(OSError):
                folder.mkdir(parents=True, exist_ok=True)
    folder = Path(os.path.abspath(folder))
    if not folder.is_dir():
        raise TransferError(
            f"there is no folder {folder}: make it, or choose another", "no_such_file"
        )
    if not os.access(folder, os.W_OK | os.X_OK):
        raise TransferError(
            f"you may not write into {folder}: choose another folder", "unwritable"
        )
    return folder, name
