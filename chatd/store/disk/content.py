"""Reads file contents: at once what the page cache has, the rest in a thread."""

import errno
import os
import threading
from pathlib import Path

from chatd.protocol.errors import UnavailableError
from chatd.store.blobs import Content
from chatd.store.disk.files import open_file
from chatd.store.disk.threads import Threads

# No read is longer, so that none blocks the event loop for long.
MAX_READ_BYTES = 1 << 20
# How far the system is asked to read ahead: later reads find it in memory.
AHEAD_BYTES = 4 << 20

_NOWAIT: int | None = getattr(os, "RWF_NOWAIT", None)
_CANNOT = (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS)


class DiskContent(Content):
    """A content's file, opened for reading.

    Args:
        path: Where it is.
        threads: Where it is read and closed; it has to be created in one of them, too.
    """

    def __init__(self, path: Path, threads: Threads) -> None:
        self._threads = threads
        self._path = path
        self._lock = threading.Lock()
        self._is_closed = False
        self._can_nowait = _NOWAIT is not None
        # Used on the event loop only, and reused: making it costs as much as reading.
        self._buffer = memoryview(b"")
        self._fd = open_file(path, os.O_RDONLY)
        self.size = os.fstat(self._fd).st_size

    def read_nowait(self, offset: int, count: int) -> bytes | None:
        """Return bytes that are in memory; None if the disk would have to be read."""
        if offset >= self.size or count <= 0:
            return b""
        if not self._can_nowait or self._is_closed:
            return None
        assert _NOWAIT is not None
        count = min(count, MAX_READ_BYTES, self.size - offset)
        if count > len(self._buffer):
            self._buffer = memoryview(bytearray(count))
        try:
            found = os.preadv(self._fd, [self._buffer[:count]], offset, _NOWAIT)
        except BlockingIOError:
            return None
        except OSError as error:
            # Any other error will occur in ``read``, too, which reports it.
            self._can_nowait = error.errno not in _CANNOT
            return None
        return bytes(self._buffer[:found]) or None

    async def read(self, offset: int, count: int) -> bytes:
        """Return at most ``count`` bytes, at least one if ``offset`` is below ``size``.

        Raises:
            UnavailableError: It cannot be read, is shorter than it was, or is closed.
        """
        if offset >= self.size or count <= 0:
            return b""
        wanted = min(count, MAX_READ_BYTES, self.size - offset)
        return await self._threads.read(self._read, offset, wanted)

    def close(self) -> None:
        """Close the content; twice is fine."""
        if not self._is_closed:
            self._is_closed = True
            # Closing a removed file frees its blocks, which can take a while.
            self._threads.run_soon(self._close)

    # In threads ---------------------------------------------------------------------

    def _read(self, offset: int, count: int) -> bytes:
        with self._lock:
            if self._is_closed:
                raise UnavailableError("that file is not being read any more")
            data = os.pread(self._fd, count, offset)
            if hasattr(os, "posix_fadvise"):
                os.posix_fadvise(
                    self._fd, offset + count, AHEAD_BYTES, os.POSIX_FADV_WILLNEED
                )
        if not data:
            raise OSError(errno.EIO, "shorter than it was", os.fspath(self._path))
        return data

    def _close(self) -> None:
        with self._lock:
            os.close(self._fd)
