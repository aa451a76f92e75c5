"""File transfers of a link, as frontends and bots use them: ``link.transfers``.

Every transfer is in the journal before the call that begins it returns, and goes on by
itself from then on: across cut connections, restarts of the server, and kills of this
program, whose next start takes over what was left.
"""

import asyncio
import secrets
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from chatd.protocol.messages import FileInfo
from chatd.protocol.names import parse_address
from chatd.system.tasks import Tasks
from client.errors import LinkError, TransferError
from client.model.changes import Change
from client.model.entries import Transfer
from client.net.session import Timing
from client.storage.paths import Paths
from client.transfers.context import Channel, TransferContext
from client.transfers.download import DownloadJob, choose_target, intended
from client.transfers.file_names import safe_name
from client.transfers.job_list import JobList, wait_briefly
from client.transfers.journal import Journal
from client.transfers.partial_file import partial_path
from client.transfers.private_folder import passing_folder
from client.transfers.records import TransferRecord
from client.transfers.recovery import take_over
from client.transfers.source import look_at
from client.transfers.upload import (
    StreamUploadJob,
    UploadJob,
    check_caption,
    check_size,
)


class Transfers:
    """The transfers of one link; made and closed by it.

    Args:
        channel: The link.
        emit: Called with each change.
        notice: Called with a sentence when something is wrong with the client's own
            files.
        timing: The link's.
        paths: Where the journal is; None keeps it in memory.
        server: The address, as ``paths`` names it.
        user: The canonical name.
    """

    def __init__(
        self,
        channel: Channel,
        emit: Callable[[list[Change]], None],
        notice: Callable[[str], None],
        timing: Timing,
        paths: Paths | None,
        server: str,
        user: str,
    ) -> None:
        self._notice = notice
        self._paths = paths
        self._path = paths.transfers(server, user) if paths else None
        self._copies_folder = (
            paths.spool(server, user)
            if paths
            else Path(tempfile.gettempdir(), f"chat-{secrets.token_hex(12)}")
        )
        self._context = TransferContext(channel, timing, notice)
        self._jobs = JobList(emit)
        self._opening = asyncio.Lock()
        self._tasks = Tasks()
        self._gone: Exception | None = None
        self._is_closed = False

    # For frontends and bots -----------------------------------------------------------

    @property
    def items(self) -> list[Transfer]:
        """All transfers of this process, oldest first; of ended ones the last 1,000."""
        return [job.transfer for job in self._jobs.jobs]

    @property
    def stall_seconds(self) -> float:
        """How long no byte may move before a connection is given up."""
        return self._context.stall_seconds

    @stall_seconds.setter
    def stall_seconds(self, seconds: float) -> None:
        self._context.stall_seconds = seconds

    async def send_file(
        self, chat: str, path: str | Path, *, name: str | None = None, text: str = ""
    ) -> Transfer:
        """Send a file; when this returns it is in the journal, and goes on by itself.

        A file that a killed process was sending to the same chat is resumed.

        Args:
            chat: The address to send it to.
            path: A regular file. It must not change until it is sent.
            name: The name for the recipients, made safe; None is the file's own.
            text: A caption.

        Raises:
            BadNameError: ``chat`` is not the address of a chat.
            TransferError: It is not a regular file, cannot be read, or is too large, or
                the journal could not be written.
        """
        chat = _parse_chat(chat)
        check_caption(text, self._context.channel.limits)
        found, stamp = await self._context.call(look_at, path)
        check_size(stamp.size, self._context.channel.limits)
        record = TransferRecord(
            direction="up",
            chat=chat,
            name=safe_name(found.name if name is None else name),
            path=found,
            text=text,
            size=stamp.size,
            mtime_ns=stamp.mtime_ns,
            inode=stamp.inode,
        )
        await self._open()
        for job in self._jobs.of(UploadJob):
            if job.is_left(record) and await job.go_on(record):
                return job.transfer
        return await self._begin(record, UploadJob)

    async def send_stream(
        self, chat: str, file: BinaryIO, name: str, *, text: str = ""
    ) -> Transfer:
        """Copy a stream to a private file, then send that; see ``send_file``.

        This returns when the stream has ended. Cancelling it before that cancels the
        transfer.

        Args:
            chat: The address to send it to.
            file: Read to its end, in another thread; not closed.
            name: The name for the recipients, made safe.
            text: A caption.

        Raises:
            BadNameError: ``chat`` is not the address of a chat.
            TransferError: It cannot be read or copied, or is too large, or it was
                cancelled.
        """
        chat = _parse_chat(chat)
        check_caption(text, self._context.channel.limits)
        check_size(0, self._context.channel.limits)
        await self._open()
        record = TransferRecord(
            direction="up",
            chat=chat,
            name=safe_name(name),
            path=self._copies_folder / secrets.token_hex(12),
            text=text,
            is_spool=True,
        )
        record = await self._context.write(lambda journal: journal.add(record))
        job = StreamUploadJob(self._context, record, self._jobs.tell, file)
        self._jobs.start(job)
        try:
            await job.copied()
        except asyncio.CancelledError:
            job.cancel()
            # The caller may close the stream once this returns.
            await wait_briefly([job.settled()])
            raise
        return _checked(job.transfer)

    async def get_file(
        self,
        chat: str,
        seq: int,
        info: FileInfo,
        *,
        folder: Path | None = None,
        path: Path | None = None,
        is_kept: bool = True,
    ) -> Transfer:
        """Fetch a file; when this returns it is in the journal, and goes on by itself.

        Nothing is ever replaced: if the name is taken by then, the next free one is
        used, ``name (1).txt``. Where it was saved is in ``Transfer.path`` at the end.

        Args:
            chat: The chat that it was sent to.
            seq: Of its entry.
            info: From its entry.
            folder: Where to save it under its own name, made safe; None is the
                download folder, which is made if it does not exist.
            path: Where to save it under exactly this name instead.
            is_kept: Whether it goes on after a kill; if not, it is not in the journal.

        Raises:
            TransferError: It cannot be saved there, or the journal could not be
                written.
        """
        default = (self._paths or Paths.from_environment()).downloads
        await self._open()
        for done in self._jobs.of(DownloadJob):
            # An adopted download may have finished before it was requested again.
            if done.is_answer_to(info.id, intended(info.name, folder, path, default)):
                done.is_adopted = False
                return done.transfer
        where, name = await self._context.call(
            choose_target, info.name, folder, path, default
        )
        record = TransferRecord(
            direction="down",
            chat=chat,
            name=name,
            seq=seq,
            file=info.id,
            size=max(0, info.size),
            sha256=info.sha256.lower(),
            folder=where,
            partial=partial_path(where, name),
        )
        for job in self._jobs.of(DownloadJob):
            if job.is_same(record):
                job.is_adopted = False
                return job.transfer
        return await self._begin(record, DownloadJob, is_kept=is_kept)

    def cancel(self, id: int) -> Transfer:
        """Cancel a transfer, and remove what there is of it, also on the server.

        If its last byte has been sent it may still complete; a transfer that is over
        stays as it is.

        Raises:
            TransferError: There is no transfer with that id here.
        """
        job = self._jobs.find(id)
        job.cancel()
        return job.transfer

    async def wait(self, id: int) -> Transfer:
        """Wait until a transfer is over, and return it.

        Raises:
            TransferError: It failed, was cancelled, or there is none with that id.
            ChatError: The link was stopped: the server refused the login.
            LinkError: The link was stopped for another reason, or closed. The transfer
                is resumed at the next start.
        """
        job = self._jobs.find(id)
        while not job.transfer.is_over:
            if self._gone is not None:
                raise self._gone
            await job.news()
        return _checked(job.transfer)

    # Called by the link ---------------------------------------------------------------

    def handle_login(self) -> None:
        """Resume: there is a connection."""
        self._context.online.set()
        self._context.login.set()
        self._tasks.spawn(self._resume())

    def handle_logout(self) -> None:
        """Wait: there is no connection."""
        self._context.online.clear()

    def handle_stop(self, error: Exception | None) -> None:
        """Make ``wait`` raise ``error``, as the link was stopped; None: it was not."""
        self._gone = error
        if error is not None:
            self._jobs.wake()

    async def close(self) -> None:
        """End the thread and close the files; unfinished transfers resume next time."""
        if self._is_closed:
            return
        self._is_closed = True
        for job in self._jobs.of(StreamUploadJob):
            if job.is_copying:
                job.cancel()
        await self._jobs.close(self._tasks)
        await self._context.worker.close()
        if self._context.journal is not None:
            await asyncio.to_thread(self._context.journal.close)
        if self._paths is None:
            await asyncio.to_thread(
                shutil.rmtree, self._copies_folder, ignore_errors=True
            )

    # Inside ---------------------------------------------------------------------------

    async def _begin(
        self,
        record: TransferRecord,
        kind: type[UploadJob] | type[DownloadJob],
        is_kept: bool = True,
    ) -> Transfer:
        """Write a transfer to the journal and start it, even if this is cancelled.

        If an ended process left the same transfer, that one is resumed instead.
        """

        def write_down(journal: Journal) -> TransferRecord:
            left = journal.take(record) if is_kept else None
            return left or journal.add(record, is_kept=is_kept)

        async def begin() -> Transfer:
            found = await self._context.write(write_down)
            job = kind(self._context, found, self._jobs.tell)
            if isinstance(job, UploadJob):
                job.look_again(record)
            self._jobs.start(job)
            return job.transfer

        return await self._tasks.carry_out(begin())

    async def _resume(self) -> None:
        """Resume at a login what earlier processes left."""
        try:
            if self._path is not None and await asyncio.to_thread(self._path.exists):
                await self._open()
            await self._context.tell_cancelled()
        except LinkError as error:
            self._notice(str(error))

    async def _open(self) -> None:
        """Open the journal, if it is not open yet, and start the transfers in it.

        Raises:
            JournalError: It cannot be used.
            TransferError: The link is closed.
        """
        async with self._opening:
            if self._is_closed:
                raise TransferError("the link is closed", "internal")
            if self._context.journal is not None:
                return
            notices: list[str] = []
            passing = passing_folder(self._paths) if self._paths else None
            journal = await asyncio.to_thread(
                take_over, self._path, self._copies_folder, notices.append, passing
            )
            self._context.journal = journal
        for notice in notices:
            self._notice(notice)
        for record in journal.adopted:
            if record.is_cancelled:
                self._tasks.spawn(self._context.cancel_upload(record))
            elif record.direction == "up":
                self._jobs.start(
                    UploadJob(self._context, record, self._jobs.tell, is_adopted=True)
                )
            else:
                self._jobs.start(
                    DownloadJob(self._context, record, self._jobs.tell, is_adopted=True)
                )


def _parse_chat(chat: str) -> str:
    _, name = parse_address(chat)
    return chat[0] + name


def _checked(transfer: Transfer) -> Transfer:
    """Return a transfer, unless it has ended without success.

    Raises:
        TransferError: It failed, or was cancelled.
    """
    if transfer.state in ("failed", "cancelled"):
        raise TransferError(
            transfer.reason or "it failed", transfer.code or "internal", transfer
        )
    return transfer
