"""File locks between processes; the system releases them when the holder dies."""

import contextlib
import errno
import os
import sys
from collections.abc import Iterator
from pathlib import Path

# What locking fails with where the file system has no locks.
NO_LOCKS = {errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}

_FLAGS = os.O_RDWR | os.O_CREAT
_FLAGS |= getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)

if sys.platform == "win32":
    import msvcrt

    def _lock(handle: int, wait: bool) -> None:
        try:
            msvcrt.locking(handle, msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)
        except OSError as error:
            raise BlockingIOError(error.errno, error.strerror) from error
else:
    import fcntl

    def _lock(handle: int, wait: bool) -> None:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))


class FileLock:
    """A lock on a file, held from ``acquire`` to ``release`` or the process's end.

    Args:
        path: The file; made, for its owner alone, where there is none.

    Attributes:
        path: See above.
        handle: The open file while the lock is held.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.handle: int | None = None

    def acquire(self, wait: bool = False) -> bool:
        """Take the lock; False if another process (or object) holds it.

        Args:
            wait: Whether to wait for it instead. This blocks: only where it is held
                for moments.

        Raises:
            OSError: The file cannot be opened, or its file system has no locks (then
                ``errno`` is one of ``NO_LOCKS``).
        """
        while True:
            handle = os.open(self.path, _FLAGS, 0o600)
            try:
                _lock(handle, wait)
                if _has_name(handle, self.path):
                    self.handle, handle = handle, -1
                    return True
                # Its holder removed the file when it was done: lock the next one.
            except BlockingIOError:
                return False
            finally:
                if handle >= 0:
                    os.close(handle)

    def release(self, is_removed: bool = False) -> None:
        """Give the lock back; does nothing if it is not held.

        Args:
            is_removed: Whether to remove the file too; who waits for it makes another.
        """
        if self.handle is None:
            return
        if is_removed:
            with contextlib.suppress(OSError):
                self.path.unlink()
        os.close(self.handle)
        self.handle = None


def _has_name(handle: int, path: Path) -> bool:
    """Whether a path still names an open file."""
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock beside ``path`` while it is read, changed and replaced.

    Where the file system has no locks it goes on without.
    """
    lock = FileLock(path.with_name(f".{path.name}.lock"))
    try:
        lock.acquire(wait=True)
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
    try:
        yield
    finally:
        lock.release()
