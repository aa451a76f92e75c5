"""A private copy of a stream, as the size of an upload has to be known beforehand.

Everything here blocks, a read of the stream for ``WAIT_SECONDS`` at most where the
system can tell whether it is readable: so a copy can be cancelled at any time.
"""

import contextlib
import hashlib
import os
import select
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import BinaryIO

from client.errors import TransferError
from client.storage.paths import make_private_folder
from client.transfers.source import PIECE_BYTES, Stamp, unwritable

WAIT_SECONDS = 0.25


class StreamCopy:
    """A stream that is being copied.

    Args:
        stream: Read to its end; not closed.
        path: The copy, made with mode 0600; it must not exist yet.

    Attributes:
        size: How many bytes were copied.
    """

    def __init__(self, stream: BinaryIO, path: Path) -> None:
        self.size = 0
        self._stream = stream
        self._path = path
        self._hash = hashlib.sha256()
        self._is_awaited = _can_be_awaited(stream)
        self._file: BinaryIO | None = None

    def open(self) -> None:
        """Create the copy, empty.

        Raises:
            TransferError: It cannot be made.
        """
        try:
            make_private_folder(self._path.parent)
            flags = os.O_CREAT | os.O_EXCL | os.O_RDWR | getattr(os, "O_BINARY", 0)
            handle = os.open(self._path, flags, 0o600)
            self._file = os.fdopen(handle, "r+b", buffering=0)
        except OSError as error:
            raise unwritable(self._path, error) from error

    def copy(self) -> bool:
        """Copy the next piece, if there is one by now; return False at the end.

        Raises:
            TransferError: The stream cannot be read, or the copy not be written.
        """
        if self._is_awaited and not self._is_ready():
            return True
        try:
            # As much as there is; ``read`` would wait for a whole piece.
            read = getattr(self._stream, "read1", self._stream.read)
            data = read(PIECE_BYTES)
        except (OSError, ValueError) as error:
            raise TransferError(
                f"the input cannot be read: {error}", "unreadable"
            ) from error
        if data is None:
            return True
        self._write(data)
        return bool(data)

    def finish(self) -> tuple[Stamp, str]:
        """Flush the copy to the disk and close it; return its stamp and SHA-256.

        Raises:
            TransferError: It cannot be written.
        """
        try:
            os.fsync(self._opened.fileno())
            stamp = Stamp.of(os.fstat(self._opened.fileno()))
        except OSError as error:
            raise unwritable(self._path, error) from error
        self.close()
        return stamp, self._hash.hexdigest()

    def close(self) -> None:
        """Close the copy, which stays. Twice is fine."""
        if self._file is not None:
            self._file.close()
            self._file = None

    @property
    def _opened(self) -> BinaryIO:
        assert self._file is not None
        return self._file

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        self._hash.update(view)
        try:
            while view:
                view = view[self._opened.write(view) or 0 :]
        except OSError as error:
            raise unwritable(self._path, error) from error
        self.size += len(data)

    def _is_ready(self) -> bool:
        poll = select.poll()
        poll.register(self._stream, select.POLLIN)
        return bool(poll.poll(WAIT_SECONDS * 1_000))


def sweep(found: list[Path], known: AbstractSet[Path]) -> None:
    """Remove copies that no transfer reads.

    Args:
        found: The files of the folder.
        known: The files that transfers read; looked up after ``found``, so that none is
            removed which was begun in between.
    """
    for path in found:
        if path not in known:
            with contextlib.suppress(OSError):
                path.unlink()


def list_spool(folder: Path) -> list[Path]:
    """Return the copies in ``folder``."""
    try:
        return list(folder.iterdir())
    except OSError:
        return []


def _can_be_awaited(stream: BinaryIO) -> bool:
    if not hasattr(select, "poll"):
        return False
    try:
        stream.fileno()
    except (OSError, AttributeError, ValueError):
        return False
    return True
