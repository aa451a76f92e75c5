"""Seals complete uploads: verifies the content and appends the file to the log."""

import asyncio
import contextlib
import logging

from chatd.core.chats import Clock
from chatd.core.files.sweep import Sweeper
from chatd.core.people import Directory
from chatd.core.sessions import address_for
from chatd.protocol.entries import Draft, encode_tail
from chatd.protocol.errors import (
    BadRequestError,
    ChatError,
    NoSuchUserError,
    NotAMemberError,
    TemporaryError,
)
from chatd.protocol.messages import FileInfo
from chatd.protocol.rights import require
from chatd.store.base import Store
from chatd.store.blobs import Blobs
from chatd.store.commands import DropFile
from chatd.store.values import FileRecord, SealFile
from chatd.system.tasks import Tasks

# How long ``close`` waits for running seals; clients resume the rest later.
CLOSE_SECONDS = 1.0

_log = logging.getLogger(__name__)


def file_info(record: FileRecord) -> FileInfo:
    """Return a file's public data, as clients get it."""
    return FileInfo(
        id=record.id, name=record.name, size=record.size, sha256=record.sha256
    )


class Sealer:
    """Seals uploads, each in a task of its own, so that it survives the connection.

    Args:
        store: Holds the logs and the records of files.
        blobs: Holds the contents of files.
        directory: Knows which accounts exist.
        clock: Source of the time.
        sweeper: Removes contents that turn out to be unused.
    """

    def __init__(
        self,
        store: Store,
        blobs: Blobs,
        directory: Directory,
        clock: Clock,
        sweeper: Sweeper,
    ) -> None:
        self._store = store
        self._blobs = blobs
        self._directory = directory
        self._clock = clock
        self._sweeper = sweeper
        self._tasks = Tasks()
        self._seals: dict[str, asyncio.Task[int]] = {}

    async def close(self) -> None:
        """Wait ``CLOSE_SECONDS`` for running seals, then cancel the rest.

        Their uploads stay and can be resumed.
        """
        await self._tasks.close(CLOSE_SECONDS)

    async def seal(self, record: FileRecord) -> int:
        """Store a complete upload; return the seq of its entry.

        Cancelling is safe: sealing that has begun is carried out all the same.

        Raises:
            TemporaryError: The upload is still there; the client can resume it.
            ChatError: The upload was refused, and nothing is left of it.
        """
        task = self._seals.get(record.id)
        if task is None:
            task = self._tasks.start(self._seal(record), is_awaited=True)
            self._seals[record.id] = task
            task.add_done_callback(lambda done: self._forget(record.id, done))
        return await asyncio.shield(task)

    async def settled(self, file: str) -> None:
        """Wait until no seal of the file is running."""
        task = self._seals.get(file)
        if task is not None:
            await asyncio.wait([task])

    async def drop(self, record: FileRecord) -> bool:
        """Remove an unfinished upload; return False if it is stored, or gone."""
        async with self._blobs.lock(record.sha256):
            return await self._drop(record)

    async def _drop(self, record: FileRecord) -> bool:
        was_there = await self._store.execute(DropFile(record.id))
        if was_there:
            await self._blobs.discard(record.id)
            # It may be a content already, if the daemon was killed while sealing it.
            await self._sweeper.remove_if_unused(record.sha256, is_locked=True)
        return was_there

    def _forget(self, file: str, task: "asyncio.Task[int]") -> None:
        del self._seals[file]
        if not task.cancelled():
            # Read the exception here: no caller of `seal` may be left to receive it.
            error = task.exception()
            if error is not None and not isinstance(error, ChatError):
                _log.error("a file could not be sealed", exc_info=error)

    async def _seal(self, record: FileRecord) -> int:
        async with self._blobs.lock(record.sha256):
            is_sealed = False
            try:
                if not await self._blobs.seal(record.id, record.size, record.sha256):
                    raise BadRequestError(
                        "the file changed while it was sent: send it again"
                    )
                is_sealed = True
                seq = await self._append(record)
            except TemporaryError:
                raise
            except ChatError:
                await self._give_up(record, is_sealed=is_sealed)
                raise
        # The upload is not needed any more; if it cannot be removed, it is swept.
        with contextlib.suppress(TemporaryError):
            await self._blobs.discard(record.id)
        return seq

    async def _append(self, record: FileRecord) -> int:
        await self._check(record)
        now_ms = self._clock.now_ms()
        members: dict[str, object] = {"text": record.text} if record.text else {}
        members["file"] = file_info(record)
        tail = encode_tail(record.owner, "file", now_ms, members)
        draft = Draft(record.owner, "file", now_ms, tail, record.key)
        append = await self._store.append(record.chat, draft, SealFile(record.id))
        return append.seq

    async def _check(self, record: FileRecord) -> None:
        """Raise ChatError if the owner may not write to the chat (any more)."""
        state = await self._store.chat_of(record.owner, record.chat)
        if state is None:
            raise NotAMemberError("you left the chat while the file was sent")
        info = state.membership.chat
        address = address_for(info, record.owner)
        require(state.membership.role, "write", address)
        if info.kind == "direct" and not self._directory.is_user(address[1:]):
            raise NoSuchUserError(f"there is no user '{address[1:]}' any more")

    async def _give_up(self, record: FileRecord, *, is_sealed: bool) -> None:
        try:
            await self._drop(record)
            if is_sealed:
                await self._sweeper.remove_if_unused(record.sha256, is_locked=True)
        except TemporaryError as error:
            _log.warning("a refused upload could not be removed yet: %s", error)
