"""Requests about files: upload, cancel, download, list (bytes: see ``transfers``)."""

import asyncio
import secrets
import unicodedata
from contextlib import AbstractAsyncContextManager, suppress

import msgspec

from chatd.core.chats import Chats, Clock
from chatd.core.files.quota import FileLimits, FileQuota
from chatd.core.files.sealing import Sealer, file_info
from chatd.core.files.sweep import Sweeper
from chatd.core.files.transfers import Cut, DownloadTransfer, Transfers, UploadTransfer
from chatd.core.hub import Hub
from chatd.core.people import Directory
from chatd.core.sessions import Session
from chatd.core.signals import Signals, UserEnded
from chatd.protocol.entries import Entry, decode_members
from chatd.protocol.errors import (
    BadNameError,
    BadRequestError,
    KeyReusedError,
    NoSuchMessageError,
    NotAllowedError,
    TooLargeError,
    TooManyError,
)
from chatd.protocol.messages import (
    DownloadReply,
    FileInfo,
    FileItem,
    FilesPage,
    Stored,
    Upload,
    UploadReply,
)
from chatd.protocol.names import canonical_address
from chatd.store.base import Store
from chatd.store.blobs import Blobs
from chatd.store.commands import BeginFile, FindKey, OpenDirect
from chatd.store.values import ChatInfo, FileRecord

MAX_NAME_BYTES = 255
# The most unfinished uploads of one user.
MAX_BEGUN = 100
# Bytes of a page's items, far enough below the 1 MiB of a frame for the rest.
MAX_PAGE_BYTES = 1_000_000


class Files:
    """Applies the rules for files; the entry point to this folder.

    Args:
        hub: The connected users and live chats.
        store: Holds the records of files.
        blobs: Holds the contents of files.
        directory: Knows which accounts exist.
        chats: The rules for who may write where, and how often.
        clock: Source of the time.
        limits: The configured limits.
    """

    def __init__(
        self,
        hub: Hub,
        store: Store,
        blobs: Blobs,
        directory: Directory,
        signals: Signals,
        chats: Chats,
        clock: Clock,
        limits: FileLimits,
    ) -> None:
        self._store = store
        self._blobs = blobs
        self._chats = chats
        self._clock = clock
        self._space = FileQuota(store, blobs, limits)
        self._sweeper = Sweeper(
            store, blobs, clock.now_ms, lambda: self._transfers.uploads()
        )
        self._sealer = Sealer(store, blobs, directory, clock, self._sweeper)
        self._transfers = Transfers(
            hub, store, blobs, clock, self._space, self._sweeper, self._sealer
        )
        # So that two concurrent requests are not both granted the last free space.
        self._admission = asyncio.Lock()
        self.reconfigure(limits)
        signals.subscribe(UserEnded, lambda ended: self._transfers.end_user(ended.user))

    def reconfigure(self, limits: FileLimits) -> None:
        """Apply new limits; uploads that have begun go on."""
        self._space.limits = limits
        self._sweeper.expire_days = limits.expire_days

    def start(self) -> None:
        """Start to remove expired files and leftovers every hour."""
        self._sweeper.start()

    async def close(self) -> None:
        """Stop the background tasks; store and blobs stay open."""
        await self._sweeper.close()
        await self._sealer.close()

    def holding_removals(self) -> AbstractAsyncContextManager[None]:
        """Keep every content that a record has, or had on entry, until exit."""
        return self._sweeper.holding_removals()

    async def sweep(self) -> int:
        """Remove expired files and leftovers; return how many contents and uploads.

        Raises:
            TemporaryError: The store or the disk does not answer.
        """
        return await self._sweeper.sweep()

    def redeem(self, ticket: str, cut: Cut) -> UploadTransfer | DownloadTransfer:
        """Begin the transfer that a ticket permits; see ``Transfers.redeem``."""
        return self._transfers.redeem(ticket, cut)

    # Uploads ------------------------------------------------------------------------

    async def upload(self, session: Session, request: Upload) -> UploadReply | Stored:
        """Begin an upload, or resume the one that has the key.

        Returns:
            A ticket for the bytes still to come, or what was stored with the key.

        Raises:
            KeyReusedError: The key belongs to a different message or file.
            ChatError: The user may not write to the chat, or the file does not fit.
        """
        user, address = session.user, canonical_address(request.chat)
        is_first = address.startswith("@") and address not in session.online.seats
        if is_first:
            # No earlier upload can have the key, so all is checked before the chat is
            # created.
            self._chats.check_user(address)
            self._check_request(session, request)
            info = await self._store.execute(OpenDirect(user, address[1:]))
        else:
            info = await self._chats.find(session, address)
        wanted = self._record(user, info, request)
        known = await self._find_known(wanted)
        if isinstance(known, Stored):
            return known
        self._chats.check_rights(session, address, info)
        if known is None:
            if not is_first:
                self._check_request(session, request)
            known = await self._admit(wanted)
            if isinstance(known, Stored):
                return known
        offset = await self._offset(known)
        ticket = self._transfers.tickets.issue(
            user, known, is_upload=True, offset=offset
        )
        return UploadReply(file=known.id, offset=offset, ticket=ticket)

    async def cancel_upload(self, session: Session, file: str) -> None:
        """End an unfinished upload and remove what was received of it.

        Raises:
            NoSuchMessageError: It is not the user's, or it is complete.
        """
        record = await self._store.find_file(file)
        if record is None or record.owner != session.user or record.is_stored:
            raise _no_such_upload()
        self._transfers.tickets.void_file(session.user, file)
        moving = self._transfers.upload_of(file)
        if moving is not None:
            moving.cut(NotAllowedError("the upload was cancelled"))
            await moving.closed.wait()
        await self._sealer.settled(file)
        if not await self._sealer.drop(record):
            raise _no_such_upload()

    def _check_request(self, session: Session, request: Upload) -> None:
        """Check all that needs no store, and count it as a message of the user."""
        self._space.check_size(request.size)
        check_file_name(request.name)
        most = self._chats.max_text_bytes
        if len(request.text.encode()) > most:
            raise TooLargeError(f"a caption has at most {most} bytes")
        self._chats.take_rate(session)

    def _record(self, user: str, info: ChatInfo, request: Upload) -> FileRecord:
        return FileRecord(
            id=secrets.token_urlsafe(16),
            chat=info.id,
            owner=user,
            key=request.key,
            name=request.name,
            size=request.size,
            sha256=request.sha256,
            time_ms=self._clock.now_ms(),
            text=request.text,
        )

    async def _find_known(self, wanted: FileRecord) -> FileRecord | Stored | None:
        """Return the stored file or the begun upload that has the key already."""
        entry = await self._store.execute(
            FindKey(wanted.chat, wanted.owner, wanted.key)
        )
        if entry is not None:
            return _stored_as(entry, wanted)
        # At a cap of 0, this returns a begun upload but never begins one.
        with suppress(TooManyError):
            return _same(await self._store.execute(BeginFile(wanted, 0)), wanted)
        return None

    async def _admit(self, wanted: FileRecord) -> FileRecord | Stored:
        async with self._admission:
            await self._space.check_quota(wanted.owner, wanted.size)
            promised = self._transfers.promised()
            await self._space.check_disk(wanted.size, promised)
            # Another connection may have begun an upload with the same key meanwhile.
            return _same(
                await self._store.execute(BeginFile(wanted, MAX_BEGUN)), wanted
            )

    async def _offset(self, record: FileRecord) -> int:
        moving = self._transfers.upload_of(record.id)
        if moving is not None:
            return moving.offset
        return await self._blobs.received(record.id)

    # Downloads ----------------------------------------------------------------------

    async def download(self, session: Session, file: str, offset: int) -> DownloadReply:
        """Issue a ticket for a download from an offset on.

        Raises:
            NoSuchMessageError: There is no such file that the user may see.
            BadRequestError: The offset is beyond the end of the file.
        """
        record = await self._transfers.find_visible(session.user, file)
        if offset > record.size:
            raise BadRequestError(
                f"the member 'offset' is over the file's {record.size} bytes"
            )
        ticket = self._transfers.tickets.issue(
            session.user, record, is_upload=False, offset=offset
        )
        return DownloadReply(
            name=record.name, size=record.size, sha256=record.sha256, ticket=ticket
        )

    async def list_files(
        self, session: Session, chat: str, before: int | None, limit: int
    ) -> FilesPage:
        """Return a page of a chat's stored files, newest first, below a seq.

        Raises:
            ChatError: The user does not have the chat.
        """
        seat = await self._chats.seat(session, chat)
        records = await self._store.files_of(
            seat.live.id, before, limit + 1, seat.first
        )
        items: list[FileItem] = []
        size = 0
        for record in records[:limit]:
            item = FileItem(
                seq=record.seq,
                from_=record.owner,
                time=record.time_ms,
                file=file_info(record),
                text=record.text,
            )
            size += len(msgspec.json.encode(item)) + 1
            if size > MAX_PAGE_BYTES and items:
                break
            items.append(item)
        more = len(items) < len(records)
        return FilesPage(chat=seat.address, files=items, more=more)


def check_file_name(name: str) -> None:
    """Check a file name that others will see, and may save the file under.

    Raises:
        BadNameError: It breaks a rule; the reason says which.
    """
    try:
        size = len(name.encode())
    except UnicodeEncodeError as error:
        raise BadNameError("a file's name must be Unicode text") from error
    if not 1 <= size <= MAX_NAME_BYTES:
        raise BadNameError(f"a file's name has 1 to {MAX_NAME_BYTES} bytes")
    if name in (".", "..") or not name.strip():
        raise BadNameError("a file's name must not be only dots or spaces")
    if "/" in name or "\\" in name:
        raise BadNameError("a file's name must have no slashes: leave out the folder")
    if any(unicodedata.category(char).startswith("C") for char in name):
        raise BadNameError("a file's name must have no invisible characters")


def _stored_as(entry: Entry, wanted: FileRecord) -> Stored:
    members = decode_members(entry.tail)
    if entry.kind == "file":
        info = msgspec.convert(members.get("file"), FileInfo)
        found = (info.name, info.size, info.sha256, members.get("text", ""))
        if found == _content(wanted):
            return Stored(file=info.id, seq=entry.seq)
    raise _key_reused()


def _same(found: FileRecord, wanted: FileRecord) -> FileRecord | Stored:
    if _content(found) != _content(wanted):
        raise _key_reused()
    return Stored(file=found.id, seq=found.seq) if found.is_stored else found


def _content(record: FileRecord) -> tuple[str, int, str, object]:
    return record.name, record.size, record.sha256, record.text


def _key_reused() -> KeyReusedError:
    return KeyReusedError("that key has served a different message")


def _no_such_upload() -> NoSuchMessageError:
    return NoSuchMessageError("there is no unfinished upload of yours with that id")
