"""Transfers of files, independent of the wire: uploads and downloads with a ticket.

``Transfers.redeem`` begins a transfer; the task of its data connection then opens, runs
and closes it. Each upload has one transfer at a time: a newer one cuts the one before
it, and waits until that one is closed.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator

from chatd.core.chats import Clock
from chatd.core.files.quota import FileQuota
from chatd.core.files.sealing import Sealer
from chatd.core.files.sweep import Sweeper
from chatd.core.files.tickets import Ticket, Tickets
from chatd.core.hub import Hub
from chatd.protocol.errors import (
    BadRequestError,
    ChatError,
    NoSuchMessageError,
    NotAllowedError,
    TooManyError,
)
from chatd.protocol.messages import Stored
from chatd.store.base import Store
from chatd.store.blobs import Blobs, Content, UploadWriter
from chatd.store.values import FileRecord
from chatd.system.tasks import Tasks

# The free disk space is checked again after so many bytes of an upload.
DISK_CHECK_BYTES = 64 << 20
# A transfer that has not moved for so long makes way for another of its user: its
# connection may be dead without the system having noticed.
STALLED_SECONDS = 15.0
RETRY_MS = 5_000

# Ends a transfer from outside: with a refusal for its client, or None for no message.
Cut = Callable[[ChatError | None], None]

_log = logging.getLogger(__name__)


class Transfers:
    """The transfers of this process, and the tickets for more.

    Args:
        hub: The connected users, whose rights are known without asking the store.
        store: Holds the records of files.
        blobs: Holds the contents of files.
        clock: Source of the time.
        space: Checks the free space; its limits also bound the number of transfers.
        sweeper: Opens uploads for writing.
        sealer: Seals complete uploads.
    """

    def __init__(
        self,
        hub: Hub,
        store: Store,
        blobs: Blobs,
        clock: Clock,
        space: FileQuota,
        sweeper: Sweeper,
        sealer: Sealer,
    ) -> None:
        self._hub = hub
        self.store = store
        self.blobs = blobs
        self.clock = clock
        self.space = space
        self.sweeper = sweeper
        self.sealer = sealer
        self.tickets = Tickets(clock.monotonic)
        self._active: set[Transfer] = set()
        self._uploads: dict[str, UploadTransfer] = {}

    # Rights -------------------------------------------------------------------------

    async def find_visible(self, user: str, file: str) -> FileRecord:
        """Return a stored file that the user may see.

        Raises:
            NoSuchMessageError: There is none; in the same words whatever the cause.
        """
        record = await self.store.find_file(file)
        if record is not None and record.is_stored:
            first = await self._first(user, record.chat)
            if first is not None and record.seq >= first:
                return record
        raise _no_such_file()

    async def _first(self, user: str, chat: int) -> int | None:
        online, live = self._hub.users.get(user), self._hub.chats.get(chat)
        if online is not None and live is not None:
            seat = online.seats.get(live.address_for(user))
            if seat is not None and seat.live is live:
                return seat.first
        state = await self.store.chat_of(user, chat)
        return None if state is None else state.membership.first

    # Transfers ----------------------------------------------------------------------

    def redeem(self, token: str, cut: Cut) -> "UploadTransfer | DownloadTransfer":
        """Begin the transfer that a ticket permits; the caller must close it.

        Args:
            token: The ticket's token, which is used up by this.
            cut: Called when the transfer has to end; its task must then close it.

        Raises:
            NotAllowedError: The ticket is not valid.
            TooManyError: The user or the server has the most transfers allowed.
        """
        ticket = self.tickets.take(token)
        if ticket is None:
            raise NotAllowedError(
                "that ticket is not valid, or not any more: ask for a new one"
            )
        earlier = self._uploads.get(ticket.file.id) if ticket.is_upload else None
        self._make_way(ticket.user, earlier)
        if not ticket.is_upload:
            dispatch = DownloadTransfer(self, ticket, cut)
            self._active.add(dispatch)
            return dispatch
        reception = UploadTransfer(self, ticket, cut, earlier)
        self._active.add(reception)
        self._uploads[ticket.file.id] = reception
        if earlier is not None:
            earlier.cut(None)
        return reception

    def _make_way(self, user: str, earlier: "UploadTransfer | None") -> None:
        limits = self.space.limits
        others = [each for each in self._active if each is not earlier]
        mine = [each for each in others if each.user == user]
        if len(others) < limits.transfers and len(mine) < limits.user_transfers:
            return
        now = self.clock.monotonic()
        stalled = min(mine, key=lambda each: each.moved_at, default=None)
        if stalled is not None and now - stalled.moved_at >= STALLED_SECONDS:
            stalled.cut(None)
        elif len(mine) >= limits.user_transfers:
            raise TooManyError(
                f"you have {len(mine)} files on their way; wait for one of them",
                RETRY_MS,
            )
        else:
            raise TooManyError(
                "the server moves too many files; wait a little", RETRY_MS
            )

    def forget(self, transfer: "Transfer") -> None:
        """Remove a transfer that is closed."""
        self._active.discard(transfer)
        if self._uploads.get(transfer.record.id) is transfer:
            del self._uploads[transfer.record.id]

    def upload_of(self, file: str) -> "UploadTransfer | None":
        """Return the running transfer of an upload, if there is one."""
        return self._uploads.get(file)

    def uploads(self) -> Iterator[FileRecord]:
        """Yield the uploads that are running, or that a ticket permits to run."""
        yield from (reception.record for reception in self._uploads.values())
        yield from self.tickets.uploads()

    def promised(self, besides: "UploadTransfer | None" = None) -> int:
        """Return how many bytes are still to come of all running uploads."""
        return sum(
            each.size - each.offset
            for each in self._uploads.values()
            if each is not besides
        )

    def end_user(self, user: str) -> None:
        """Void the user's tickets, and cut the user's transfers."""
        self.tickets.void_user(user)
        for transfer in list(self._active):
            if transfer.user == user:
                transfer.cut(None)


class Transfer:
    """One file on its way over one data connection.

    Attributes:
        user: The user who moves it.
        record: The file's record, as of ``open``.
        offset: The offset of the next byte.
        size: The size of the whole file, in bytes.
        cut: Ends the transfer from outside.
        moved_at: When a byte moved last, by the monotonic clock; set by its connection.
        closed: Set once everything is released.
    """

    def __init__(self, transfers: Transfers, ticket: Ticket, cut: Cut) -> None:
        self._transfers = transfers
        self.user = ticket.user
        self.record = ticket.file
        self.offset = ticket.offset
        self.size = ticket.file.size
        self.cut = cut
        self.moved_at = transfers.clock.monotonic()
        self.closed = asyncio.Event()

    def _let_go(self) -> None:
        self._transfers.forget(self)
        self.closed.set()


class DownloadTransfer(Transfer):
    """A download.

    Attributes:
        content: The content to send from ``offset`` on; None until ``open``.
    """

    content: Content | None = None

    async def open(self) -> None:
        """Open the content.

        Raises:
            NoSuchMessageError: The file is gone, or the user may not see it any more.
        """
        transfers = self._transfers
        self.record = await transfers.find_visible(self.user, self.record.id)
        try:
            content = await transfers.blobs.open(self.record.sha256)
        except FileNotFoundError:
            # Removed just now, or lost: only a lost one is logged.
            await transfers.find_visible(self.user, self.record.id)
            _log.error("the content %s is missing: run chatd check", self.record.sha256)
            raise _no_such_file() from None
        self.content = content
        if content.size != self.size:
            _log.error("the content %s is damaged: run chatd check", self.record.sha256)
            raise _no_such_file()

    async def close(self) -> None:
        """Close the content; safe to call twice."""
        if self.content is not None:
            self.content.close()
        self._let_go()


class UploadTransfer(Transfer):
    """An upload: while one piece is written to disk, the caller can read the next."""

    def __init__(
        self,
        transfers: Transfers,
        ticket: Ticket,
        cut: Cut,
        earlier: "UploadTransfer | None",
    ) -> None:
        super().__init__(transfers, ticket, cut)
        self._earlier = earlier
        self._receiving: UploadWriter | None = None
        self._tasks = Tasks()
        self._writing: asyncio.Task[None] | None = None
        self._checked_at = 0

    async def open(self) -> None:
        """Resume the upload where it was left; if it is stored, nothing is to come.

        Raises:
            NotAllowedError: The upload was cancelled, or has expired.
            StorageFullError: There is no space for the rest.
        """
        transfers = self._transfers
        await self._await_earlier()
        await transfers.sealer.settled(self.record.id)
        record = await transfers.store.find_file(self.record.id)
        if record is None:
            raise NotAllowedError("that upload was cancelled, or has expired")
        self.record = record
        if record.is_stored:
            self.offset = self.size
            return
        self._receiving = await transfers.sweeper.receive(record.id)
        self.offset = self._checked_at = self._receiving.offset
        left = self.size - self.offset
        await transfers.space.check_disk(left, transfers.promised(besides=self))

    async def settle(self) -> None:
        """Wait until the last piece is written; check the free space now and then.

        Raises:
            StorageFullError: There is no space any more; what was written stays.
            UnavailableError: It could not be written.
        """
        if self._writing is not None:
            await asyncio.shield(self._writing)
        if self.offset - self._checked_at >= DISK_CHECK_BYTES:
            self._checked_at = self.offset
            await self._transfers.space.check_floor()

    def write(self, data: bytes | memoryview) -> None:
        """Start to write bytes; they must not change until ``settle`` returns.

        Call it only after ``settle``: one piece is written at a time.
        """
        assert self._receiving is not None
        self.offset += len(data)
        # `UploadWriter.write` takes bytes and memoryviews alike.
        writing = self._receiving.write(data)
        self._writing = self._tasks.start(writing, is_awaited=True)

    async def finish(self) -> Stored:
        """Seal the complete upload; cancelling does not stop a seal that has begun.

        Raises:
            TemporaryError: The upload is still there; the client can resume it.
            ChatError: The upload was refused, and nothing is left of it.
        """
        if self.record.is_stored:
            return Stored(file=self.record.id, seq=self.record.seq)
        await self.settle()
        await self._end_receiving()
        seq = await self._transfers.sealer.seal(self.record)
        return Stored(file=self.record.id, seq=seq)

    async def drop(self) -> None:
        """Remove the upload, as more bytes came than were announced.

        Raises:
            BadRequestError: Always, to refuse it.
        """
        await self._end_receiving()
        await self._transfers.sealer.drop(self.record)
        raise BadRequestError(
            f"more than the announced {self.size} bytes came; nothing was stored"
        )

    async def close(self) -> None:
        """Finish writing, and release the upload; safe to call twice."""
        try:
            await self._await_earlier()
            await self._end_receiving()
        except ChatError as error:
            _log.debug("%s could not be closed: %s", self.record.id, error)
        finally:
            self._let_go()

    async def _await_earlier(self) -> None:
        if self._earlier is not None:
            await self._earlier.closed.wait()

    async def _end_receiving(self) -> None:
        receiving, self._receiving = self._receiving, None
        if self._writing is not None:
            await asyncio.wait([self._writing])
            if not self._writing.cancelled() and self._writing.exception():
                _log.debug("the last bytes of %s were not written", self.record.id)
        if receiving is not None:
            await receiving.close()


def _no_such_file() -> NoSuchMessageError:
    return NoSuchMessageError("there is no such file, or not any more")
