"""The data folder: created, checked and locked, so that two daemons never share one."""

import errno
import fcntl
import os
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from chatd.settings.config import ADMIN_SOCKET

LOCK_FILE = "lock"
DATABASE_FILE = "chatd.db"
TLS_FOLDER = "tls"
# The contents of files, see ``chatd.store.disk``.
BLOBS_FOLDER = "blobs"
# Exists only while a backup is being restored, see ``chatd.backup.restore``.
RESTORE_FOLDER = "restoring"

_FULL = (errno.ENOSPC, errno.EDQUOT)


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

    def __init__(self, path: Path, lock: int) -> None:
        self.path = path
        self.database = path / DATABASE_FILE
        self.blobs = path / BLOBS_FOLDER
        self.admin_socket = path / ADMIN_SOCKET
        self._lock: int | None = lock

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
            os.close(lock)
            raise DataFolderError(
                f"restoring a backup into {path} was broken off: empty the folder and"
                " restore again"
            )
        return cls(path, lock)

    def close(self) -> None:
        """Release the lock; safe to call twice."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

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


def _lock(path: Path) -> int:
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        lock = os.open(path / LOCK_FILE, flags, 0o600)
    except OSError as error:
        raise _explain(path, "written", error) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        holder = _holder(lock)
        os.close(lock)
        if isinstance(error, BlockingIOError):
            raise LockedError(
                f"the data folder {path} is in use by another chatd{holder}: stop"
                " that one first, or choose another folder with --data"
            ) from error
        raise _explain(path, "locked", error) from error
    if not os.access(path, os.W_OK | os.X_OK):
        os.close(lock)
        raise _explain(path, "written", PermissionError(errno.EACCES, "not allowed"))
    # Informative only: a full disk must not keep the daemon from serving what it has.
    with suppress(OSError):
        os.ftruncate(lock, 0)
        os.pwrite(lock, b"%d\n" % os.getpid(), 0)
    return lock


def _holder(lock: int) -> str:
    with suppress(OSError, ValueError):
        return f" (process {int(os.pread(lock, 32, 0))})"
    return ""


def _explain(path: Path, what: str, error: OSError) -> DataFolderError:
    if error.errno == errno.EROFS:
        remedy = "it is on a read-only disk: mount it for writing"
    elif error.errno in (errno.EACCES, errno.EPERM):
        remedy = (
            f"user {os.geteuid()} is not allowed to: give the folder to that user, or"
            " start chatd as its owner"
        )
    elif error.errno in _FULL:
        remedy = "the disk is full: make room on it"
    else:
        remedy = error.strerror or str(error)
    return DataFolderError(f"the data folder {path} cannot be {what}: {remedy}")
