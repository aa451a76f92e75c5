"""The data folder: created, checked and locked, so that two daemons never share one."""

import errno
import os
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from chatd.settings.config import ADMIN_SOCKET
from chatd.system.atomic_file import DISK_FULL
from chatd.system.file_lock import NO_LOCKS, FileLock

LOCK_FILE = "lock"
DATABASE_FILE = "chatd.db"
TLS_FOLDER = "tls"
# The contents of files, see ``chatd.store.disk``.
BLOBS_FOLDER = "blobs"
# Exists only while a backup is being restored, see ``chatd.backup.restore``.
RESTORE_FOLDER = "restoring"


class DataFolderError(Exception):
    """The data folder cannot be used; the sentence says why and what to do."""


class LockedError(DataFolderError):
    """Another process holds the data folder."""


class DataFolder:
    """The locked data folder; made by ``open``, and released by ``close``.

    The lock belongs to the process: however that ends, the system releases the lock.

    Attributes:
        path: The folder.
        database: The file of the embedded store.
        blobs: The folder for the contents of files.
        admin_socket: The path of the socket for admin commands.
    """

    def __init__(self, path: Path, lock: FileLock) -> None:
        self.path = path
        self.database = path / DATABASE_FILE
        self.blobs = path / BLOBS_FOLDER
        self.admin_socket = path / ADMIN_SOCKET
        self._lock = lock

    @classmethod
    def open(cls, path: Path) -> Self:
        """Create the folder if it is missing, and lock it.

        Raises:
            LockedError: Another daemon or command holds the lock.
            DataFolderError: It cannot be created or written, or a restore into it was
                interrupted.
        """
        _make(path)
        lock = _lock(path)
        if (path / RESTORE_FOLDER).exists():
            lock.release()
            raise DataFolderError(
                f"restoring a backup into {path} was broken off: empty the folder and"
                " restore again"
            )
        return cls(path, lock)

    def close(self) -> None:
        """Release the lock; safe to call twice."""
        self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def _make(path: Path) -> None:
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise DataFolderError(
            f"the data folder {path} is not a folder: move that file away, or choose"
            " another folder with --data or [server] data"
        ) from error
    except OSError as error:
        raise _explain(path, "made", error) from error


def _lock(path: Path) -> FileLock:
    lock = FileLock(path / LOCK_FILE)
    try:
        is_free = lock.acquire()
    except OSError as error:
        what = "locked" if error.errno in NO_LOCKS else "written"
        raise _explain(path, what, error) from error
    if not is_free:
        raise LockedError(
            f"the data folder {path} is in use by another chatd{_holder(lock.path)}:"
            " stop that one first, or choose another folder with --data"
        )
    if not os.access(path, os.W_OK | os.X_OK):
        lock.release()
        raise _explain(path, "written", PermissionError(errno.EACCES, "not allowed"))
    assert lock.handle is not None
    # Informative only: a full disk must not keep the daemon from serving what it has.
    with suppress(OSError):
        os.ftruncate(lock.handle, 0)
        os.pwrite(lock.handle, b"%d\n" % os.getpid(), 0)
    return lock


def _holder(path: Path) -> str:
    with suppress(OSError, ValueError):
        return f" (process {int(path.read_bytes())})"
    return ""


def _explain(path: Path, what: str, error: OSError) -> DataFolderError:
    if error.errno == errno.EROFS:
        remedy = "it is on a read-only disk: mount it for writing"
    elif error.errno in (errno.EACCES, errno.EPERM):
        remedy = (
            f"user {os.geteuid()} is not allowed to: give the folder to that user, or"
            " start chatd as its owner"
        )
    elif error.errno in DISK_FULL:
        remedy = "the disk is full: make room on it"
    else:
        remedy = error.strerror or str(error)
    return DataFolderError(f"the data folder {path} cannot be {what}: {remedy}")
