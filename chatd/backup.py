"""Backup while running, and restoring: one tar file with a manifest at its end.

The order makes the copy consistent. The database is copied first, in one read
transaction, and the user table after it: users are never removed from the table
(deleted ones stay as names), so whoever is mentioned in the database is in the table.
Nothing needs to stand still meanwhile.

The manifest, with size and SHA-256 of each file, comes last: a backup that was cut off
has none and is refused.
"""

import asyncio
import contextlib
import datetime
import errno
import hashlib
import io
import os
import shutil
import sqlite3
import tarfile
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import msgspec
from msgspec import Struct

from chatd import __version__
from chatd.accounts.replace import sync_folder
from chatd.accounts.table import TABLE_FILE
from chatd.datadir import (
    DATABASE_FILE,
    LOCK_FILE,
    RESTORE_FOLDER,
    TLS_FOLDER,
    DataFolder,
)
from chatd.store.base import Store
from chatd.store.sqlite import renew_log_id
from chatd.tls import CERTIFICATE_FILE, KEY_FILE

FORMAT = 1
MANIFEST = "manifest.json"
MEMBERS = (
    DATABASE_FILE,
    TABLE_FILE,
    f"{TLS_FOLDER}/{KEY_FILE}",
    f"{TLS_FOLDER}/{CERTIFICATE_FILE}",
)
# What a restore puts in place, and last the one without which nothing is served.
_PLACES = (TLS_FOLDER, TABLE_FILE, DATABASE_FILE)
_REQUIRED = (DATABASE_FILE, TABLE_FILE)
_CHUNK_BYTES = 1 << 20
_MAX_MANIFEST = 1 << 20


class BackupError(Exception):
    """A backup could not be written or restored; the sentence says why."""


class FileEntry(Struct, frozen=True):
    """One file in a backup."""

    name: str
    size: int
    sha256: str


class Manifest(Struct, frozen=True):
    """What a backup holds, and what made it when."""

    format: int
    chatd: str
    log: str
    time: datetime.datetime
    files: list[FileEntry]


async def write_backup(data: Path, store: Store, target: Path) -> int:
    """Write a backup of a data folder in use into a new file; return its size.

    It has its name only once it is complete and on stable storage. Cancelling removes
    what was written.

    Raises:
        BackupError: There is something at ``target``, or it cannot be written.
    """
    stop = threading.Event()
    try:
        # Beside the target: a copy of the database may not fit anywhere else.
        with _errors(target), _work_folder(target) as work:
            await store.backup(work / DATABASE_FILE)
            packing = asyncio.create_task(
                asyncio.to_thread(_pack, data, work, target, store.log_id, stop)
            )
            try:
                return await asyncio.shield(packing)
            except asyncio.CancelledError:
                stop.set()
                await asyncio.gather(packing, return_exceptions=True)
                raise
    finally:
        stop.set()


@contextlib.contextmanager
def _work_folder(target: Path) -> Iterator[Path]:
    if os.path.lexists(target):
        raise FileExistsError(errno.EEXIST, "exists", str(target))
    work = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _pack(
    data: Path, work: Path, target: Path, log_id: str, stop: threading.Event
) -> int:
    packed = work / "backup.tar"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    with open(os.open(packed, flags, 0o600), "wb") as file:
        with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
            files = [
                _add(tar, name, path, stop)
                for name in MEMBERS
                if (path := (work if name == DATABASE_FILE else data) / name).exists()
            ]
            now = datetime.datetime.now(datetime.UTC)
            manifest = Manifest(FORMAT, __version__, log_id, now, files)
            _add_bytes(tar, MANIFEST, msgspec.json.encode(manifest))
        file.flush()
        os.fsync(file.fileno())
        size = file.tell()
    _give_name(packed, target)
    sync_folder(target.parent)
    return size


def _give_name(packed: Path, target: Path) -> None:
    try:
        # Unlike a rename, it never takes the place of a file that came meanwhile.
        os.link(packed, target)
    except FileExistsError:
        raise
    except OSError:
        # USB sticks and some network disks know no links.
        if os.path.lexists(target):
            raise
        packed.rename(target)


def _add(
    tar: tarfile.TarFile, name: str, path: Path, stop: threading.Event
) -> FileEntry:
    with path.open("rb") as file:
        info = tarfile.TarInfo(name)
        info.size = os.fstat(file.fileno()).st_size
        info.mtime = int(os.fstat(file.fileno()).st_mtime)
        info.mode = 0o600
        reader = _HashingReader(file, stop)
        tar.addfile(info, reader)  # type: ignore[arg-type]  # only read is called
    return FileEntry(name, info.size, reader.hexdigest())


def _add_bytes(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    info.mode = 0o600
    tar.addfile(info, io.BytesIO(content))


class _HashingReader:
    """Hashes what is read through it, and ends when told to stop."""

    def __init__(self, file: IO[bytes], stop: threading.Event) -> None:
        self._file = file
        self._stop = stop
        self._hash = hashlib.sha256()

    def read(self, size: int) -> bytes:
        if self._stop.is_set():
            raise InterruptedError(errno.EINTR, "broken off")
        chunk = self._file.read(size)
        self._hash.update(chunk)
        return chunk

    def hexdigest(self) -> str:
        return self._hash.hexdigest()


# Restoring --------------------------------------------------------------------------


def restore_backup(source: Path, folder: DataFolder) -> Manifest:
    """Restore a backup into an empty data folder; blocks for the disk.

    The logs get a new id: they may lack what clients have seen since the backup. A
    restore that is killed leaves a folder that ``DataFolder.open`` refuses.

    Raises:
        BackupError: The folder is not empty, or the backup is damaged; the folder is
            left empty.
    """
    present = sorted(p.name for p in folder.path.iterdir() if p.name != LOCK_FILE)
    if present:
        raise BackupError(
            f"the data folder {folder.path} is not empty ({present[0]} is there): move"
            " it away first, or choose another folder with --data"
        )
    work = folder.path / RESTORE_FOLDER
    try:
        with _errors(source):
            work.mkdir(mode=0o700)
            manifest = _unpack(source, work)
            renew_log_id(work / DATABASE_FILE)
            _put_in_place(work, folder.path)
    except BaseException:
        for name in _PLACES:
            _remove(folder.path / name)
        shutil.rmtree(work, ignore_errors=True)
        raise
    return manifest


def _unpack(source: Path, work: Path) -> Manifest:
    found: dict[str, FileEntry] = {}
    manifest: Manifest | None = None
    with tarfile.open(source, mode="r:") as tar:
        for info in tar:
            content = tar.extractfile(info)
            if content is None or info.name not in (*MEMBERS, MANIFEST):
                raise BackupError(f"{source} is no backup of chatd: it has {info.name}")
            if info.name == MANIFEST:
                manifest = msgspec.json.decode(
                    content.read(_MAX_MANIFEST), type=Manifest
                )
                break
            found[info.name] = _extract(info.name, content, work)
    if manifest is None:
        raise BackupError(f"{source} is not complete: take another backup")
    if manifest.format != FORMAT:
        raise BackupError(
            f"{source} was written by chatd {manifest.chatd}: restore it with that one"
        )
    if {entry.name: entry for entry in manifest.files} != found:
        raise BackupError(f"{source} is damaged: take another backup")
    if any(name not in found for name in _REQUIRED):
        raise BackupError(f"{source} is not complete: take another backup")
    return manifest


def _extract(name: str, content: IO[bytes], work: Path) -> FileEntry:
    path = work / name
    path.parent.mkdir(mode=0o700, exist_ok=True)
    digest = hashlib.sha256()
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        while chunk := content.read(_CHUNK_BYTES):
            digest.update(chunk)
            file.write(chunk)
        size = file.tell()
        file.flush()
        os.fsync(file.fileno())
    return FileEntry(name, size, digest.hexdigest())


def _put_in_place(work: Path, folder: Path) -> None:
    for name in (TLS_FOLDER, "."):
        if (work / name).exists():
            sync_folder(work / name)
    for name in _PLACES:
        if (work / name).exists():
            (work / name).rename(folder / name)
    sync_folder(folder)
    work.rmdir()
    sync_folder(folder)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def _errors(path: Path) -> Iterator[None]:
    """Turn what disk, tar and database say into a BackupError."""
    try:
        yield
    except FileExistsError as error:
        raise BackupError(
            f"there is something at {path} already: choose another name"
        ) from error
    except (tarfile.TarError, EOFError, msgspec.DecodeError) as error:
        raise BackupError(f"{path} is no backup of chatd, or damaged") from error
    except sqlite3.Error as error:
        raise BackupError(f"the database in {path} is damaged: {error}") from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise BackupError(f"{error.filename or path}: {reason}") from error
