"""Sweeps files: removes what has expired, and contents and uploads without a record."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

from chatd.protocol.errors import TemporaryError
from chatd.store.blobs import Blobs, UploadWriter
from chatd.store.commands import ExpireFiles
from chatd.store.file_store import FileStore
from chatd.store.values import FileRecord
from chatd.system.tasks import Tasks

SWEEP_SECONDS = 3_600.0
MS_PER_DAY = 86_400_000
# An unfinished upload is removed this long after it was begun.
MAX_UPLOAD_DAYS = 1
# Records removed in one transaction, so that no send waits long for it.
BITE = 1_000

_log = logging.getLogger(__name__)


def _none() -> Iterable[FileRecord]:
    return ()


class Sweeper:
    """Keeps the contents and the records of files in step.

    It needs no connected users, so the command line also uses it without a daemon.

    Args:
        store: Holds the records of files.
        blobs: Holds the contents of files.
        now_ms: Returns the wall clock's milliseconds.
        moving: Returns the uploads that are running now, or may at once, however old.
    """

    def __init__(
        self,
        store: FileStore,
        blobs: Blobs,
        now_ms: Callable[[], int],
        moving: Callable[[], Iterable[FileRecord]] = _none,
    ) -> None:
        self._store = store
        self._blobs = blobs
        self._now_ms = now_ms
        self._moving = moving
        self.expire_days = 0.0
        self._holds = 0
        # Contents that were not removed because of `holding_removals`.
        self._deferred: set[str] = set()
        # An upload that starts must not be taken for a leftover: its record is made
        # before its first byte, but perhaps after the sweep has read the records.
        self._incoming = asyncio.Lock()
        self._tasks = Tasks()

    def start(self) -> None:
        """Sweep now, then every hour without listing all contents, until ``close``."""
        self._tasks.spawn(self._run())

    async def close(self) -> None:
        """Stop sweeping; what is left over is swept at the next start."""
        await self._tasks.close()

    async def receive(self, upload: str) -> UploadWriter:
        """Open an upload that has a record for writing, new or resumed."""
        async with self._incoming:
            return await self._blobs.receive(upload)

    @contextlib.asynccontextmanager
    async def holding_removals(self) -> AsyncIterator[None]:
        """Keep every content that a record has, or had on entry, until exit.

        Contents that lose their record meanwhile are removed by a later sweep.
        """
        self._holds += 1
        try:
            yield
        finally:
            self._holds -= 1

    async def sweep(self) -> int:
        """Remove expired files and leftovers; return how many contents and uploads.

        If there are no records at all, all contents are kept: it is more likely that
        the records were lost.

        Raises:
            TemporaryError: The store or the disk does not answer.
        """
        return await self._sweep_often() + await self._sweep_contents()

    async def remove_if_unused(self, sha256: str, *, is_locked: bool = False) -> bool:
        """Remove a content that no stored file has; return whether it was removed.

        Args:
            sha256: The content's SHA-256.
            is_locked: Whether the caller holds its lock.
        """
        async with contextlib.AsyncExitStack() as stack:
            if not is_locked:
                await stack.enter_async_context(self._blobs.lock(sha256))
            if await self._store.is_content_used(sha256):
                return False
            # No await may come between this and the removal: then a hold that begins
            # later also reads the records later, and they do not have this content.
            if self._holds:
                self._deferred.add(sha256)
                return False
            return await self._blobs.remove(sha256)

    async def _run(self) -> None:
        await self._logged(self.sweep)
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            await self._logged(self._sweep_often)

    @staticmethod
    async def _logged(sweep: Callable[[], Awaitable[int]]) -> None:
        try:
            count = await sweep()
        except TemporaryError as error:
            _log.warning("old files could not be removed: %s", error)
        except Exception:  # noqa: BLE001 - it is tried again in an hour
            _log.exception("old files could not be removed")
        else:
            if count:
                _log.info("%d expired or left over files were removed", count)

    async def _sweep_often(self) -> int:
        count = await self._expire()
        for sha256 in list(self._deferred):
            self._deferred.discard(sha256)
            count += await self.remove_if_unused(sha256)
        async with self._incoming:
            known = {record.id for record in await self._store.begun_files()}
            return count + await self._blobs.sweep_uploads(known)

    async def _expire(self) -> int:
        count = 0
        while True:
            now_ms = self._now_ms()
            # A running upload is kept, and with it all that were begun after it.
            moving = [file.time_ms for file in self._moving()]
            begun_before = min([now_ms - MAX_UPLOAD_DAYS * MS_PER_DAY, *moving])
            stored_before = 0
            if self.expire_days:
                stored_before = now_ms - int(self.expire_days * MS_PER_DAY)
            gone = await self._store.execute(
                ExpireFiles(begun_before, stored_before, BITE)
            )
            for record in gone:
                if record.is_stored:
                    count += await self.remove_if_unused(record.sha256)
                else:
                    await self._blobs.discard(record.id)
                    count += 1
            if len(gone) < BITE:
                return count

    async def _sweep_contents(self) -> int:
        # In this order: what is stored after the contents were listed is not in the
        # list, and each one is checked again under its lock.
        there = await self._blobs.list_contents()
        known = set(await self._store.contents())
        # These may be contents already, if the daemon was killed while sealing them.
        begun = {record.sha256 for record in await self._store.begun_files()}
        count = 0
        if not known and not begun.issuperset(there):
            # Perhaps the database was lost, and will be restored from a backup.
            _log.warning(
                "the database knows none of the %d contents of files that are there:"
                " they are kept; restore the database, or remove them by hand",
                len(there),
            )
            return count
        for sha256 in there:
            if sha256 not in known | begun:
                count += await self.remove_if_unused(sha256)
        return count
