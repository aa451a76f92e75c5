"""Writes uploads to disk: hashed while they are written, and synced as they grow."""

import contextlib
import os
import threading
from collections.abc import Callable
from pathlib import Path

from chatd.protocol.errors import ServerStoppingError, UnavailableError
from chatd.store.blobs import UploadWriter
from chatd.store.disk.files import (
    Hashed,
    open_file,
    opened,
    publish,
    remove_file,
    remove_temporary,
    sync_data,
    unshare,
)
from chatd.store.disk.threads import Threads

# How many bytes are written between two syncs. A sync keeps the disk busy with them,
# and whatever else is synced meanwhile, mostly the commits of messages, waits for that.
# Beside an upload of 300 MB/s the 99th percentile of a small sync was 43 ms with
# 64 MiB, 13 ms with 4 MiB and 5 ms with 1 MiB; without any upload it was 2 ms.
SYNC_BYTES = 1 << 20


class Upload:
    """The state of one upload in this process.

    Only the writer to which it was handed over last may write: pending writes of an
    earlier one are refused. The functions that touch the file run in threads, one at a
    time.

    Args:
        path: Where its bytes are stored.
        is_stopping: Returns whether the daemon is stopping.
    """

    def __init__(self, path: Path, is_stopping: Callable[[], bool]) -> None:
        self._writer: object | None = None
        self._path = path
        self._is_stopping = is_stopping
        self._lock = threading.Lock()
        self._fd: int | None = None
        self._opened_by: object | None = None
        self._hashed = Hashed()
        # As far as it is known to be on stable storage.
        self._synced = Hashed()
        # The file has another hard link, which must not see what is written from now
        # on: it is a content as well, or part of a copy that was made with links.
        self._is_shared = False

    @property
    def offset(self) -> int:
        """The number of bytes received."""
        return self._hashed.offset

    @property
    def is_being_written(self) -> bool:
        """Whether there is a writer."""
        return self._writer is not None

    def is_written_by(self, writer: object) -> bool:
        """Whether it was handed over to ``writer`` last."""
        return self._writer is writer

    def hand_over(self, writer: object | None) -> None:
        """Let only ``writer`` (None: no one) write; called on the event loop."""
        self._writer = writer

    def open(self, writer: object) -> None:
        """Open the file for ``writer``, and hash what there is already.

        Raises:
            UnavailableError: There is another writer by now.
            OSError: The file cannot be opened, synced or read.
        """
        with self._lock:
            self._check_writer(writer)
            self._close_file()
            fd = self._fd = open_file(self._path, os.O_RDWR | os.O_CREAT)
            self._opened_by = writer
            try:
                status = os.fstat(fd)
                self._is_shared = status.st_nlink > 1
                if status.st_size:
                    sync_data(fd)
                self._hash(fd, status.st_size, lambda: self._check_writer(writer))
                self._synced = self._hashed.copy()
            except BaseException:
                self._close_file()
                raise

    def write(self, writer: object, data: bytes | memoryview) -> None:
        """Append bytes.

        Raises:
            UnavailableError: There is another writer by now.
            OSError: The file cannot be written; ``offset`` tells how much there is.
        """
        with self._lock:
            self._check_writer(writer)
            if self._is_shared and data:
                self._unshare()
            fd = self._opened()
            rest = memoryview(data)
            while rest:
                count = self._write_some(fd, rest)
                self._hashed.add(rest[:count])
                rest = rest[count:]
            if self._hashed.offset - self._synced.offset >= SYNC_BYTES:
                self._sync(fd)

    def close(self, writer: object) -> None:
        """Close the file, unless another writer has opened it."""
        with self._lock:
            if self._opened_by is writer:
                self._close_file()

    def end(self) -> None:
        """Close the file, whichever writer has opened it."""
        with self._lock:
            self._close_file()

    def seal(self, size: int, sha256: str, target: Path) -> bool:
        """Make it the content at ``target``; False if size or SHA-256 is different.

        Raises:
            OSError: The file cannot be read, synced or linked.
        """
        with self._lock:
            # For an empty file, nothing may ever have been received.
            flags = os.O_RDONLY if size else os.O_RDONLY | os.O_CREAT
            try:
                with opened(self._path, flags) as fd:
                    if os.fstat(fd).st_size != size:
                        return False
                    self._hash(fd, size, lambda: None)
                    if self._hashed.sha256 != sha256:
                        return False
                    os.fsync(fd)
            except FileNotFoundError:
                return False
            self._is_shared = True
            publish(self._path, target)
            return True

    def discard(self) -> bool:
        """Remove the upload's bytes; False if there were none."""
        with self._lock:
            self._close_file()
            self._hashed = Hashed()
            remove_temporary(self._path)
            return remove_file(self._path)

    def _check_writer(self, writer: object) -> None:
        if self._writer is not writer:
            raise UnavailableError("that upload goes on elsewhere, or was cancelled")

    def _opened(self) -> int:
        if self._fd is None:
            raise UnavailableError("that upload is not being received any more")
        return self._fd

    def _unshare(self) -> None:
        unshare(self._path)
        os.close(self._opened())
        self._fd = None
        self._fd = open_file(self._path, os.O_RDWR)
        self._is_shared = False

    def _close_file(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = self._opened_by = None

    def _hash(self, fd: int, size: int, check: Callable[[], None]) -> None:
        if self._hashed.offset > size:
            self._hashed = Hashed()
        while self._hashed.offset < size and self._hashed.read_piece(fd, size):
            check()
            if self._is_stopping():
                raise ServerStoppingError("the server is stopping")

    def _write_some(self, fd: int, data: memoryview) -> int:
        try:
            return os.pwrite(fd, data, self._hashed.offset)
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(fd, self._hashed.offset)
            raise

    def _sync(self, fd: int) -> None:
        try:
            sync_data(fd)
        except OSError:
            # It is unknown how much is on the disk: go back to where it was known.
            self._hashed = self._synced.copy()
            with contextlib.suppress(OSError):
                os.ftruncate(fd, self._hashed.offset)
            raise
        self._synced = self._hashed.copy()


class DiskReceiving(UploadWriter):
    """One writer of an upload, until a newer one takes over.

    Args:
        upload: The upload to write to.
        threads: Where the file is written.
    """

    def __init__(self, upload: Upload, threads: Threads) -> None:
        self.offset = 0
        self._upload = upload
        self._threads = threads
        upload.hand_over(self)

    async def begin(self) -> None:
        """Open the file, and set ``offset`` to the number of bytes received.

        Raises:
            StorageFullError: The disk has no space for another file.
            UnavailableError: It cannot be opened.
        """
        try:
            await self._threads.write(self._upload.open, self)
        except BaseException:
            # A cancelled call may still be running in its thread.
            self._retire()
            self._threads.run_soon(self._upload.close, self)
            raise
        self.offset = self._upload.offset

    async def write(self, data: bytes | memoryview) -> None:
        """Append bytes; ``offset`` counts them once they were written."""
        await self._threads.write(self._write, data)

    async def close(self) -> None:
        """Stop writing; what was written stays."""
        self._retire()
        with contextlib.suppress(ServerStoppingError):  # All have been closed by then.
            await self._threads.write(self._upload.close, self)

    def _retire(self) -> None:
        if self._upload.is_written_by(self):
            self._upload.hand_over(None)

    def _write(self, data: bytes | memoryview) -> None:
        try:
            self._upload.write(self, data)
        finally:
            if self._upload.is_written_by(self):
                self.offset = self._upload.offset
