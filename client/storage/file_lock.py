"""File locks between processes; the system releases them when the holder dies."""

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from client.storage.paths import make_private_folder

if sys.platform == "win32":
    import msvcrt

    def _lock(handle: int, wait: bool) -> None:
        msvcrt.locking(handle, msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _lock(handle: int, wait: bool) -> None:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))


class FileLock:
    """A lock on a file, held from ``acquire`` to ``release`` or the process's end."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._handle: int | None = None

    def acquire(self, wait: bool = False) -> bool:
        """Take the lock; False if another process (or object) holds it.

        Args:
            wait: Whether to wait for it instead. This blocks: only where it is held
                for moments.
        """
        make_private_folder(self.path.parent)
        handle = os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600)
        try:
            _lock(handle, wait)
        except OSError:
            os.close(handle)
            return False
        self._handle = handle
        return True

    def release(self, is_removed: bool = False) -> None:
        """Give the lock back; does nothing if it is not held.

        Args:
            is_removed: Whether to remove the file too: only where no process waits for
                it.
        """
        if self._handle is None:
            return
        if is_removed:
            with contextlib.suppress(OSError):
                self.path.unlink()
        os.close(self._handle)
        self._handle = None


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock beside ``path`` while a file is read, changed and replaced."""
    lock = FileLock(path.with_name(f".{path.name}.lock"))
    lock.acquire(wait=True)
    try:
        yield
    finally:
        lock.release()
