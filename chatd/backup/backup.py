"""Writes backups while the daemon runs: a tar, and the contents of files beside it.

The order makes the copy consistent. The database is copied first, in one read
transaction, and the user table after it: users are never removed from the table
(deleted ones stay as names), so every user named in the database is in the table.
Contents are copied after the database that refers to them, and none is removed
meanwhile. The tar gets its name when all of that is on stable storage. Nothing has to
be paused.

Uploads that are not complete are left out. ``chatd.backup.archive`` has the format.
"""

import contextlib
import datetime
import errno
import hashlib
import io
import os
import shutil
import tarfile
import tempfile
import threading
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import IO, TypeVar

import msgspec
from msgspec import Struct

from chatd import __version__
from chatd.backup.archive import (
    CONTENTS_LIST,
    FORMAT,
    MANIFEST,
    MEMBERS,
    BackupError,
    FileEntry,
    Manifest,
    explained,
    locked_folder,
)
from chatd.backup.contents import (
    UNFINISHED,
    DamagedContentError,
    NeededContent,
    SharedContents,
    describe_missing,
    encode_contents,
)
from chatd.settings.data_folder import BLOBS_FOLDER, DATABASE_FILE
from chatd.store.base import Store
from chatd.store.open import open_copy
from chatd.system.atomic_file import sync_folder
from chatd.system.tasks import to_thread

__all__ = ["BackupError", "BackupReport", "write_backup"]

T = TypeVar("T")


class BackupReport(Struct, frozen=True):
    """The result of a backup; sizes in bytes.

    Attributes:
        size: That of the tar.
        copied: How many contents of files were copied.
        copied_bytes: Their sizes together.
        kept: How many were there already, from an earlier backup.
        kept_bytes: Their sizes together.
        missing: How many are missing or damaged in the data folder: they are not in
            the backup.
        problems: A sentence for each of the first of those.
    """

    size: int
    copied: int = 0
    copied_bytes: int = 0
    kept: int = 0
    kept_bytes: int = 0
    missing: int = 0
    problems: list[str] = []


async def write_backup(
    data: Path,
    store: Store,
    target: Path,
    holding_removals: Callable[[], AbstractAsyncContextManager[None]],
) -> BackupReport:
    """Write a backup of a data folder in use to a new file and the folder beside it.

    The file gets its name only once it is complete and on stable storage. Cancelling,
    or a failure, removes what was written. Waits for others into the same folder.

    Args:
        data: The data folder.
        store: The store that is open on it.
        target: The tar's path; the contents are in ``blobs`` beside it.
        holding_removals: Returns a context in which no content is removed.

    Raises:
        BackupError: There is something at ``target``, or it cannot be written.
    """
    backup = _Backup(data, target, store.log_id)
    with explained(target, target):
        try:
            await backup.in_thread(backup.begin)
            async with holding_removals():
                await store.backup(backup.work / DATABASE_FILE)
                await backup.in_thread(backup.copy_contents)
            return await backup.in_thread(backup.pack)
        finally:
            await backup.in_thread(backup.end)


class _Backup:
    """A backup being written; all methods but ``in_thread`` block on the disk."""

    def __init__(self, data: Path, target: Path, log_id: str) -> None:
        self._data = data
        self._target = target
        self._log_id = log_id
        self._stop = threading.Event()
        self._stack = contextlib.ExitStack()
        self._is_alone = False
        self._work: Path | None = None
        self._contents: list[NeededContent] = []
        self._shared = SharedContents(target.parent / BLOBS_FOLDER, self._stop.is_set)
        self._report = BackupReport(0)
        self._has_name = False

    @property
    def work(self) -> Path:
        """The working folder: beside the target, as the parts may fit nowhere else."""
        assert self._work is not None
        return self._work

    async def in_thread(self, step: Callable[[], T]) -> T:
        """Run a step in a thread; cancelling stops it, and waits for its end."""
        return await to_thread(self._stop.set, step)

    def begin(self) -> None:
        """Wait for other backups into the folder, and make a folder to work in."""
        folder = self._target.parent
        self._refuse_existing()
        self._refuse_data_folder(folder)
        self._is_alone = self._stack.enter_context(locked_folder(folder, self._stop))
        if self._is_alone:
            self._shared.sweep()
            for left in folder.glob(f".*{UNFINISHED}"):
                shutil.rmtree(left, ignore_errors=True)
        self._refuse_existing()
        prefix = f".{self._target.name}."
        self._work = Path(tempfile.mkdtemp(UNFINISHED, prefix, folder))

    def _refuse_existing(self) -> None:
        if os.path.lexists(self._target):
            raise FileExistsError(errno.EEXIST, "exists", str(self._target))

    def _refuse_data_folder(self, folder: Path) -> None:
        # The contents beside the backup would be the very ones that it is to save.
        for name in ("", BLOBS_FOLDER):
            mine, other = self._data / name, folder / name
            if mine.exists() and other.exists() and mine.samefile(other):
                raise BackupError(
                    f"{self._target} is in the data folder, or shares its files:"
                    " choose another folder for backups"
                )

    def copy_contents(self) -> None:
        """Copy the contents that the copied database refers to."""
        database = open_copy(self.work / DATABASE_FILE)
        copied: list[int] = []
        kept: list[int] = []
        wrong: dict[str, str] = {}
        for sha256, size in database.contents().items():
            content = NeededContent(sha256, size)
            try:
                is_new = self._shared.add(self._data / BLOBS_FOLDER, content)
            except DamagedContentError as error:
                wrong[sha256] = str(error)
                content = content._replace(is_missing=True)
            else:
                (copied if is_new else kept).append(size)
            self._contents.append(content)
        self._shared.sync()
        self._report = BackupReport(
            size=0,
            copied=len(copied),
            copied_bytes=sum(copied),
            kept=len(kept),
            kept_bytes=sum(kept),
            missing=len(wrong),
            problems=describe_missing(wrong, database.name_files(wrong)),
        )

    def pack(self) -> BackupReport:
        """Write the tar and give it its name; return the report."""
        packed = self.work / "backup.tar"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        with open(os.open(packed, flags, 0o600), "wb") as file:
            with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
                self._add_members(tar)
            file.flush()
            os.fsync(file.fileno())
            size = file.tell()
        _give_name(packed, self._target)
        self._has_name = True
        sync_folder(self._target.parent)
        return msgspec.structs.replace(self._report, size=size)

    def _add_members(self, tar: tarfile.TarFile) -> None:
        files = [
            _add(tar, name, path, self._stop.is_set)
            for name in MEMBERS
            if (
                path := (self.work if name == DATABASE_FILE else self._data) / name
            ).exists()
        ]
        files.append(_add_bytes(tar, CONTENTS_LIST, encode_contents(self._contents)))
        now = datetime.datetime.now(datetime.UTC)
        manifest = Manifest(FORMAT, __version__, self._log_id, now, files)
        _add_bytes(tar, MANIFEST, msgspec.json.encode(manifest))

    def end(self) -> None:
        """Remove the working folder, and what an incomplete backup has added."""
        # Another backup may rely on what this one has added, unless it had to wait.
        if self._is_alone and not self._has_name:
            self._shared.undo()
        if self._work is not None:
            shutil.rmtree(self._work, ignore_errors=True)
        self._stack.close()


def _give_name(packed: Path, target: Path) -> None:
    try:
        # Unlike a rename, it never replaces a file that was made meanwhile.
        os.link(packed, target)
    except FileExistsError:
        raise
    except OSError:
        # USB sticks and some network disks support no links.
        if os.path.lexists(target):
            raise
        packed.rename(target)


def _add(
    tar: tarfile.TarFile, name: str, path: Path, is_stopped: Callable[[], bool]
) -> FileEntry:
    with path.open("rb") as file:
        info = tarfile.TarInfo(name)
        info.size = os.fstat(file.fileno()).st_size
        info.mtime = int(os.fstat(file.fileno()).st_mtime)
        info.mode = 0o600
        reader = _HashingReader(file, is_stopped)
        tar.addfile(info, reader)  # type: ignore[arg-type]  # only read is called
    return FileEntry(name, info.size, reader.hexdigest())


def _add_bytes(tar: tarfile.TarFile, name: str, content: bytes) -> FileEntry:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    info.mode = 0o600
    tar.addfile(info, io.BytesIO(content))
    return FileEntry(name, len(content), hashlib.sha256(content).hexdigest())


class _HashingReader:
    """Hashes what is read through it, and raises when it has to stop."""

    def __init__(self, file: IO[bytes], is_stopped: Callable[[], bool]) -> None:
        self._file = file
        self._is_stopped = is_stopped
        self._hash = hashlib.sha256()

    def read(self, size: int) -> bytes:
        if self._is_stopped():
            raise InterruptedError(errno.EINTR, "broken off")
        chunk = self._file.read(size)
        self._hash.update(chunk)
        return chunk

    def hexdigest(self) -> str:
        return self._hash.hexdigest()
