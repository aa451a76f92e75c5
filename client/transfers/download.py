"""Fetching a file: into a partial file, which gets its name when it is whole."""

import asyncio
import contextlib
import os
import shutil
from pathlib import Path

import msgspec

from chatd.protocol.messages import Download, DownloadReply
from client.address import ServerAddress
from client.errors import ConnectError, NotConnectedError, PeerError, TransferError
from client.formatting_files import size_text
from client.transfers.claims import same_download
from client.transfers.data import open_data
from client.transfers.desk import Desk
from client.transfers.incoming import Incoming
from client.transfers.job import Job, Tell
from client.transfers.names import safe_name
from client.transfers.partial import Partial, remove
from client.transfers.rows import Row


class DownloadJob(Job):
    """A file that is fetched, as the journal names it.

    Args:
        desk: What is shared.
        row: As it is in the journal.
        tell: See ``Job``.
        is_adopted: See ``Job``.
    """

    def __init__(
        self, desk: Desk, row: Row, tell: Tell, *, is_adopted: bool = False
    ) -> None:
        super().__init__(desk, row, tell, is_adopted=is_adopted)
        self._partial: Partial | None = None
        self._was_restarted = False

    def is_same(self, row: Row) -> bool:
        """Whether it is what was begun here, and is now asked for again."""
        if not self.is_adopted or self.is_ending or self.transfer.is_over:
            return False
        return same_download(self.row, row)

    def is_answer_to(self, file: str, target: tuple[Path, str]) -> bool:
        """Whether it was saved already, for a process that was killed, as is asked."""
        row = self.row
        is_done = self.is_adopted and self.transfer.state == "done"
        return is_done and row.file == file and (row.folder, row.name) == target

    def _shown_path(self) -> Path | None:
        row = self.row
        if row.path is not None or row.folder is None:
            return row.path
        return row.folder / row.name

    async def _prepare(self) -> None:
        if self.row.path is not None:
            # It had its name already when the process ended.
            await self._finish(self.row.path)

    async def _attempt(self) -> None:
        partial = self._partial or await self._open()
        if not partial.is_complete or not partial.size:
            await self._fetch(partial)
        self._is_decided = True
        if not partial.has(self.row.sha256 or ""):
            self._is_decided = False
            await self._begin_anew(partial)
        assert self.row.folder is not None
        path = await self.desk.call(partial.finish, self.row.folder, self.row.name)
        await self._finish(path)

    async def _open(self) -> Partial:
        """Open the partial file, and hash what is in it."""
        assert self.row.partial is not None
        partial = self._partial = Partial(self.row.partial, self.row.size)
        await self.desk.call(partial.open)
        if not partial.is_absorbed:
            self.progress.begin(0)
            self.show(state="checking", moved=0)
            await self.desk.worker.run(self._absorb(partial))
            self.show(state="waiting", moved=partial.offset)
        return partial

    async def _fetch(self, partial: Partial) -> None:
        row = self.row
        assert row.file is not None
        reply = await self.desk.channel.request(
            Download(file=row.file, offset=partial.offset)
        )
        if not isinstance(reply, DownloadReply):
            raise PeerError("the server answers a download with something else")
        if (reply.size, reply.sha256) != (row.size, row.sha256):
            raise TransferError(
                "the server has another file than the message says: ask its sender",
                "damaged",
            )
        address = self.desk.channel.data_address()
        if address is None:
            raise NotConnectedError("the connection broke")
        await self.desk.worker.run(self._receive(address, reply.ticket, partial))

    async def _begin_anew(self, partial: Partial) -> None:
        """Try once again from the first byte, if what is wrong may be an old piece.

        Raises:
            ConnectError: It is to be tried again.
            TransferError: It was tried already.
        """
        if self._was_restarted or not partial.was_resumed:
            raise TransferError(
                "what the server sent is not what its message says (the SHA-256 is "
                "another): ask the sender to send the file again",
                "damaged",
            )
        self._was_restarted = True
        await self.desk.call(partial.restart)
        raise ConnectError("what came earlier is damaged: once again from the start")

    async def _finish(self, path: Path) -> None:
        self._is_decided = True
        self._let_go()
        with contextlib.suppress(TransferError):
            await self._keep(msgspec.structs.replace(self.row, path=path))
        if self.row.partial is not None:
            await asyncio.to_thread(remove, self.row.partial)
        await self._done(path=path)

    async def _put_away(self) -> None:
        if self.row.partial is not None:
            await asyncio.to_thread(remove, self.row.partial)
        await self.desk.write(lambda journal: journal.remove(self.row))

    def _let_go(self) -> None:
        partial, self._partial = self._partial, None
        if partial is not None:
            partial.close()

    # In the worker --------------------------------------------------------------------

    async def _absorb(self, partial: Partial) -> None:
        while not partial.is_absorbed:
            self.progress.add(await self.desk.worker.disk(partial.absorb))
        await self.desk.worker.disk(partial.rewind)

    async def _receive(
        self, address: ServerAddress, ticket: str, partial: Partial
    ) -> None:
        desk = self.desk
        await desk.worker.disk(_check_room, partial)
        async with open_data(
            Incoming, address, ticket, partial.size, desk.worker, desk.patience
        ) as data:
            if data.offset != partial.offset:
                await desk.worker.disk(partial.restart)
                raise PeerError("the server goes on somewhere else")
            if data.offset:
                partial.was_resumed = True
            self._begin_moving(data.offset)
            await data.receive((partial.write, partial.hash), self.progress)


def _check_room(partial: Partial) -> None:
    """Refuse what does not fit, before it has filled the disk.

    Raises:
        TransferError: There is less room than is missing.
    """
    folder = partial.path.parent
    missing = partial.size - partial.offset
    try:
        free = shutil.disk_usage(folder).free
    except OSError:
        return  # writing will tell
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
    """Return the folder and the name that are meant, whatever is there."""
    if path is not None:
        path = Path(os.path.abspath(path))
        return path.parent, path.name
    return Path(os.path.abspath(folder or default)), safe_name(name)


def choose_target(
    name: str, folder: Path | None, path: Path | None, default: Path
) -> tuple[Path, str]:
    """Return the folder and the name that a file is to be saved under; this blocks.

    Args:
        name: As its sender called it.
        folder: Where it is wanted; None is the default.
        path: Exactly where it is wanted instead.
        default: Made if it is not there.

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
