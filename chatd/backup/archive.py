"""The format of a backup, which ``backup`` writes and ``restore`` reads.

    DIR/monday.tar              the database, the user table, the key; two lists
    DIR/blobs/ab/abcd…          the contents of files, named by their SHA-256

All backups in a folder share its ``blobs``: a content that an earlier one has is not
copied again. ``blobs.txt`` in the tar says which contents the backup needs. The
manifest, with size and SHA-256 of each member, is the last member: a backup that was
cut off has none and is refused.

Format 1 had no files: neither ``blobs.txt`` nor contents.
"""

import contextlib
import datetime
import errno
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
from msgspec import Struct

from chatd.accounts.user_table import TABLE_FILE
from chatd.settings.data_folder import DATABASE_FILE, TLS_FOLDER
from chatd.settings.tls import CERTIFICATE_FILE, KEY_FILE
from chatd.store.base import StoreError
from chatd.system.atomic_file import DISK_FULL
from chatd.system.file_lock import NO_LOCKS, FileLock

FORMAT = 2
FORMATS = (1, 2)
MANIFEST = "manifest.json"
CONTENTS_LIST = "blobs.txt"
MEMBERS = (
    DATABASE_FILE,
    TABLE_FILE,
    f"{TLS_FOLDER}/{KEY_FILE}",
    f"{TLS_FOLDER}/{CERTIFICATE_FILE}",
)

LOCK_FILE = ".chatd-backup.lock"
# How long to wait before trying again to lock a folder.
_LOCK_SECONDS = 0.1


class BackupError(Exception):
    """A backup could not be written or restored; the text says why."""


class FileEntry(Struct, frozen=True):
    """One member of the tar."""

    name: str
    size: int
    sha256: str


class Manifest(Struct, frozen=True):
    """What a backup holds, and which chatd made it when."""

    format: int
    chatd: str
    log: str
    time: datetime.datetime
    files: list[FileEntry]


# Lock and errors ------------------------------------------------------------------


@contextlib.contextmanager
def locked_folder(folder: Path, stop: threading.Event) -> Iterator[bool]:
    """Lock a folder of backups for writing; blocks until it is free.

    Yields:
        Whether it is locked; False if the folder's disk supports no locks.

    Raises:
        InterruptedError: ``stop`` was set meanwhile.
        OSError: There is no such folder, or it cannot be written.
    """
    folder.stat()
    lock = FileLock(folder / LOCK_FILE)
    try:
        while not lock.acquire():
            if stop.wait(_LOCK_SECONDS):
                raise InterruptedError(errno.EINTR, "broken off")
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        lock.path.unlink(missing_ok=True)
    try:
        yield lock.handle is not None
    finally:
        lock.release(is_removed=True)


@contextlib.contextmanager
def explained(path: Path, target: Path) -> Iterator[None]:
    """Turn the errors of disk, tar and database into a BackupError.

    Args:
        path: The tar.
        target: What is written; named if its disk is full.
    """
    try:
        yield
    except FileExistsError as error:
        raise BackupError(
            f"there is something at {path} already: choose another name"
        ) from error
    except (tarfile.TarError, EOFError, msgspec.DecodeError) as error:
        raise BackupError(f"{path} is no backup of chatd, or damaged") from error
    except StoreError as error:
        raise BackupError(f"the database in {path} is damaged: {error}") from error
    except OSError as error:
        reason = error.strerror or str(error)
        if error.errno in DISK_FULL:
            raise BackupError(f"{target}: {reason}: make room on that disk") from error
        raise BackupError(f"{error.filename or path}: {reason}") from error
