"""Contents and uploads as files, behind the interface of ``chatd.store.blobs``."""

import asyncio
import os
import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from weakref import WeakValueDictionary

from chatd.protocol.errors import ServerStoppingError
from chatd.store.base import StoreError
from chatd.store.blobs import Blobs, Content, UploadWriter
from chatd.store.disk.content import DiskContent
from chatd.store.disk.files import (
    Hashed,
    make_folder,
    opened,
    remove_file,
    size_of,
)
from chatd.store.disk.receiving import DiskReceiving, Upload
from chatd.store.disk.threads import Threads
from chatd.system.tasks import Tasks

# How many uploads keep their SHA-256 so far; others are read again to resume.
KEPT_UPLOADS = 64

_SHA256 = re.compile("[0-9a-f]{64}")
_ID = re.compile("[A-Za-z0-9_-]{1,64}")
_INCOMING = re.compile(r"([A-Za-z0-9_-]{1,64})(\.new)?")


class DiskBlobs(Blobs):
    """Stores contents and uploads in one folder, made if there is none.

    A name that is no SHA-256 in lower-case hexadecimal, or an id of other characters
    than ``A-Z a-z 0-9 _ -`` (1 to 64), is a ``ValueError`` everywhere: it could be a
    path.

    Args:
        folder: Where they are kept; no other process may write to it.

    Raises:
        StoreError: The folder cannot be made or used.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._incoming = folder / "incoming"
        try:
            make_folder(folder)
            make_folder(self._incoming)
        except OSError as error:
            raise StoreError(
                f"the folder {folder} for files cannot be made: {error}; see that"
                " nothing else has that name, and that it belongs to this user"
            ) from error
        self._threads = Threads()
        self._openings = Tasks()
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        # The most recently used ones are at the end.
        self._uploads: OrderedDict[str, Upload] = OrderedDict()

    async def close(self) -> None:
        """Finish what has begun, and end the threads."""
        await self._threads.close()
        await self._openings.settled()
        for upload in self._uploads.values():
            upload.end()

    def lock(self, sha256: str) -> AbstractAsyncContextManager[None]:
        """Lock a content: only the holder may make or remove it, or a record of it."""
        # It lives as long as a task holds it or waits for it.
        lock = self._locks.get(sha256)
        if lock is None:
            lock = self._locks[sha256] = asyncio.Lock()
        return lock

    # Uploads ------------------------------------------------------------------------

    async def received(self, upload: str) -> int:
        """Return how many bytes of an upload are stored, 0 if there is none."""
        return await self._threads.read(size_of, self._upload_path(upload)) or 0

    async def receive(self, upload: str) -> UploadWriter:
        """Begin or resume an upload; an earlier writer cannot write any more."""
        receiving = DiskReceiving(self._upload(upload), self._threads)
        await receiving.begin()
        return receiving

    async def seal(self, upload: str, size: int, sha256: str) -> bool:
        """Make a complete upload a content; False if size or SHA-256 is different."""
        return await self._threads.write(
            self._upload(upload).seal, size, sha256, self._content_path(sha256)
        )

    async def discard(self, upload: str) -> None:
        """Remove the bytes of an upload, if there are any."""
        await self._discard(upload)

    async def _discard(self, upload: str) -> bool:
        known = self._upload(upload)
        known.hand_over(None)
        was_there = await self._threads.write(known.discard)
        if not known.is_being_written and self._uploads.get(upload) is known:
            del self._uploads[upload]
        return was_there

    def _upload(self, upload: str) -> Upload:
        known = self._uploads.get(upload)
        if known is None:
            path = self._upload_path(upload)
            known = Upload(path, lambda: self._threads.is_stopping)
            self._forget_uploads()
            self._uploads[upload] = known
        self._uploads.move_to_end(upload)
        return known

    def _forget_uploads(self) -> None:
        idle = [
            id_ for id_, known in self._uploads.items() if not known.is_being_written
        ]
        for id_ in idle[: max(0, len(idle) - KEPT_UPLOADS + 1)]:
            del self._uploads[id_]

    def _upload_path(self, upload: str) -> Path:
        if _ID.fullmatch(upload) is None:
            raise ValueError(f"{upload!r} is no id of an upload")
        return self._incoming / upload

    # Contents -----------------------------------------------------------------------

    async def open(self, sha256: str) -> Content:
        """Open a content."""
        path = self._content_path(sha256)
        opening = self._openings.start(
            self._threads.read(_open_content, path, self._threads), is_awaited=True
        )
        try:
            content = await asyncio.shield(opening)
        except asyncio.CancelledError:
            opening.add_done_callback(_close_content)
            raise
        if content is None:
            raise FileNotFoundError(f"there is no content {sha256}")
        return content

    async def remove(self, sha256: str) -> bool:
        """Remove a content; False if it was not there."""
        return await self._threads.write(remove_file, self._content_path(sha256))

    def _content_path(self, sha256: str) -> Path:
        if _SHA256.fullmatch(sha256) is None:
            raise ValueError(f"{sha256!r} is no SHA-256 in hexadecimal")
        return self._folder / sha256[:2] / sha256

    # Operations ---------------------------------------------------------------------

    async def free_bytes(self) -> int:
        """Return how many bytes the disk has left for this process."""
        status = await self._threads.read(os.statvfs, self._folder)
        return status.f_bavail * status.f_frsize

    async def list_contents(self) -> list[str]:
        """Return the SHA-256 of every content that is there."""
        return await self._threads.read(_list_contents, self._folder)

    async def sweep_uploads(self, known: Collection[str]) -> int:
        """Remove all uploads whose ids are not in ``known``; return how many.

        Those that are being received now stay: they were begun meanwhile.
        """
        there = await self._threads.read(_list_uploads, self._incoming)
        swept = 0
        for upload in there.difference(known):
            held = self._uploads.get(upload)
            if held is None or not held.is_being_written:
                await self._discard(upload)
                swept += 1
        return swept

    async def verify(self, contents: Mapping[str, int]) -> list[str]:
        """Read these contents, given with their sizes; return a sentence per damage.

        Raises:
            ServerStoppingError: ``close`` was called meanwhile.
        """
        is_given_up = threading.Event()

        def is_stopped() -> bool:
            return self._threads.is_stopping or is_given_up.is_set()

        try:
            return await self._threads.read(
                _verify, self._folder, dict(contents), is_stopped
            )
        finally:
            is_given_up.set()


def _open_content(path: Path, threads: Threads) -> DiskContent | None:
    try:
        return DiskContent(path, threads)
    except FileNotFoundError:
        return None


def _close_content(opening: "asyncio.Future[DiskContent | None]") -> None:
    if not opening.cancelled() and opening.exception() is None:
        content = opening.result()
        if content is not None:
            content.close()


def _list_contents(folder: Path) -> list[str]:
    found = []
    for part in sorted(folder.iterdir()):
        if len(part.name) != 2 or not part.is_dir():
            continue
        with os.scandir(part) as entries:
            found += sorted(
                entry.name
                for entry in entries
                if entry.name.startswith(part.name)
                and _SHA256.fullmatch(entry.name)
                and entry.is_file(follow_symlinks=False)
            )
    return found


def _list_uploads(folder: Path) -> set[str]:
    with os.scandir(folder) as entries:
        matches = [
            _INCOMING.fullmatch(entry.name)
            for entry in entries
            if entry.is_file(follow_symlinks=False)
        ]
    return {match[1] for match in matches if match is not None}


def _verify(
    folder: Path, contents: dict[str, int], is_stopped: Callable[[], bool]
) -> list[str]:
    damages = (
        _verify_one(folder, sha256, size, is_stopped)
        for sha256, size in contents.items()
    )
    return [damage for damage in damages if damage is not None]


def _verify_one(
    folder: Path, sha256: str, size: int, is_stopped: Callable[[], bool]
) -> str | None:
    if _SHA256.fullmatch(sha256) is None:
        return f"a file's content is called {sha256!r}, which is no SHA-256"
    path = folder / sha256[:2] / sha256
    hashed = Hashed()
    try:
        with opened(path, os.O_RDONLY) as fd:
            found = os.fstat(fd).st_size
            if found != size:
                return f"the content {sha256} has {found} bytes instead of {size}"
            while hashed.read_piece(fd, size):
                if is_stopped():
                    raise ServerStoppingError("the files were not all read")
    except FileNotFoundError:
        return f"the content {sha256} ({size} bytes) is missing"
    except OSError as error:
        return f"the content {sha256} cannot be read: {error}"
    if hashed.sha256 != sha256:
        return f"the content {sha256} is damaged: its SHA-256 is {hashed.sha256}"
    return None
