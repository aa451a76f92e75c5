"""Functions for single files and folders; all of them may block on the disk."""

import contextlib
import errno
import hashlib
import logging
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from chatd.protocol.errors import (
    StorageFullError,
    TemporaryError,
    UnavailableError,
)
from chatd.system.atomic_file import DISK_FULL, sync_folder

# Long work can stop between two pieces; large enough not to cost anything else.
PIECE_BYTES = 1 << 20

_FLAGS = os.O_CLOEXEC | os.O_NOFOLLOW
_NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK, errno.ENOSYS, errno.EXDEV)

_log = logging.getLogger(__name__)


class Hashed:
    """The SHA-256 of a file up to ``offset``."""

    __slots__ = ("_hash", "offset")

    def __init__(self) -> None:
        self.offset = 0
        self._hash = hashlib.sha256()

    def add(self, data: bytes | memoryview) -> None:
        """Add the bytes that come next."""
        self._hash.update(data)
        self.offset += len(data)

    def copy(self) -> "Hashed":
        """Return an independent copy."""
        other = Hashed()
        other.offset = self.offset
        other._hash = self._hash.copy()
        return other

    @property
    def sha256(self) -> str:
        """The SHA-256 so far, in hexadecimal."""
        return self._hash.hexdigest()

    def read_piece(self, fd: int, end: int) -> int:
        """Add the next piece of a file, up to ``end``; return how many bytes it has.

        Raises:
            OSError: The file cannot be read.
        """
        data = os.pread(fd, min(PIECE_BYTES, end - self.offset), self.offset)
        self.add(data)
        return len(data)


def write_error(error: OSError) -> TemporaryError:
    """Log a failed write; return the refusal to answer it with."""
    _log.warning("writing a file failed: %s", error)
    if error.errno in DISK_FULL:
        return StorageFullError(
            "the server's disk is full; what came of the file is kept, try again later"
        )
    return UnavailableError("the server could not store that file; try again")


def read_error(error: OSError) -> TemporaryError:
    """Log a failed read; return the refusal to answer it with."""
    _log.warning("reading a file failed: %s", error)
    return UnavailableError("the server could not read that file; try again")


@contextlib.contextmanager
def opened(path: Path, flags: int) -> Iterator[int]:
    """Open a file for the duration of the context."""
    fd = open_file(path, flags)
    try:
        yield fd
    finally:
        os.close(fd)


def open_file(path: Path, flags: int) -> int:
    """Open a regular file, and nothing else.

    Raises:
        OSError: It cannot be opened, or is a folder, a link or a device.
    """
    # Non-blocking, so as not to wait for the other end if it is a pipe.
    fd = os.open(path, flags | _FLAGS | os.O_NONBLOCK, 0o600)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(errno.EINVAL, "not a file", os.fspath(path))
    return fd


def size_of(path: Path) -> int | None:
    """Return the size of a file, None if there is none.

    Raises:
        OSError: It is no regular file, or its status cannot be read.
    """
    try:
        status = path.lstat()
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "not a file", os.fspath(path))
    return status.st_size


def remove_file(path: Path) -> bool:
    """Remove a file; False if there was none."""
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    return True


def make_folder(folder: Path) -> None:
    """Create a private folder on stable storage, unless it is there."""
    if not folder.is_dir():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        sync_folder(folder.parent)


def sync_data(fd: int) -> None:
    """Flush the data of a file to stable storage."""
    # Not every system can leave out the file's times.
    if hasattr(os, "fdatasync"):
        os.fdatasync(fd)
    else:
        os.fsync(fd)


def unshare(path: Path) -> None:
    """Replace a file that has other hard links by a copy of its own."""
    passing = _temporary_path(path)
    remove_file(passing)
    _copy(path, passing)
    passing.replace(path)


def publish(source: Path, target: Path) -> None:
    """Link a file that is on stable storage to ``target``, replacing what is there.

    A file that is there already is replaced even if it looks the same: it may be
    damaged, and the new one was just checked. On a file system without links the file
    is copied. A crash may leave ``source.new`` behind.
    """
    passing = _temporary_path(source)
    remove_file(passing)
    try:
        os.link(source, passing, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        _copy(source, passing)
    make_folder(target.parent)
    passing.replace(target)
    # Renaming to a link to the same file does nothing: both names are left.
    remove_file(passing)
    sync_folder(target.parent)
    sync_folder(source.parent)


def remove_temporary(path: Path) -> None:
    """Remove what ``publish`` or ``unshare`` may have left beside a file."""
    remove_file(_temporary_path(path))


def _temporary_path(path: Path) -> Path:
    return path.with_name(path.name + ".new")


def _copy(source: Path, target: Path) -> None:
    try:
        with (
            opened(source, os.O_RDONLY) as old,
            opened(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL) as new,
        ):
            while data := os.read(old, PIECE_BYTES):
                view = memoryview(data)
                while view:
                    view = view[os.write(new, view) :]
            os.fsync(new)
    except OSError:
        remove_file(target)
        raise
