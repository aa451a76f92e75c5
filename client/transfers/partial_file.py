"""The partial file of a download, beside its target under a hidden name.

Everything here blocks, but for the attributes, and is for one thread at a time; only
``write`` and ``hash`` may run at the same time as each other.
"""

import contextlib
import hashlib
import os
import secrets
from pathlib import Path
from typing import BinaryIO

from chatd.system.atomic_file import sync_folder
from client.transfers.file_names import MAX_BYTES, claim
from client.transfers.source import PIECE_BYTES, unwritable


def partial_path(folder: Path, name: str) -> Path:
    """Return a new hidden name beside the target, ``.NAME.ID.part``."""
    end = f".{secrets.token_hex(4)}.part"
    free = MAX_BYTES - 1 - len(end)
    stem = name.encode(errors="surrogateescape")[:free].decode(errors="ignore")
    return folder / f".{stem}{end}"


class PartialFile:
    """The bytes of a download so far, and their hash.

    What an earlier process wrote is hashed by ``absorb``, so that all is hashed once.

    Args:
        path: See ``partial_path``.
        size: The complete file's.

    Attributes:
        offset: How many bytes are in it and hashed.
        was_resumed: Whether some of them came over another connection.
    """

    def __init__(self, path: Path, size: int) -> None:
        self.path = path
        self.size = size
        self.offset = 0
        self.was_resumed = False
        self._there = 0
        self._hash = hashlib.sha256()
        self._file: BinaryIO | None = None

    @property
    def is_complete(self) -> bool:
        """Whether it has all bytes."""
        return self.offset == self.size

    @property
    def is_absorbed(self) -> bool:
        """Whether everything that an earlier process wrote is hashed."""
        return self.offset >= self._there

    def open(self) -> None:
        """Open or create the file.

        Raises:
            TransferError: It cannot be.
        """
        flags = os.O_RDWR | os.O_CREAT
        for name in ("O_NOFOLLOW", "O_CLOEXEC", "O_BINARY"):
            flags |= getattr(os, name, 0)
        try:
            handle = os.open(self.path, flags, 0o666)
            self._file = os.fdopen(handle, "r+b", buffering=0)
            self._there = os.fstat(handle).st_size
            if self._there > self.size:
                self.restart()
        except OSError as error:
            raise unwritable(self.path, error) from error

    def absorb(self) -> int:
        """Hash the next piece that an earlier process wrote; return how many bytes.

        Raises:
            TransferError: It cannot be read.
        """
        self.was_resumed = True
        try:
            self._opened.seek(self.offset)
            data = self._opened.read(min(PIECE_BYTES, self._there - self.offset))
        except OSError as error:
            raise unwritable(self.path, error) from error
        if not data:
            self._there = self.offset
        self._hash.update(data)
        self.offset += len(data)
        return len(data)

    def hash(self, data: bytes | memoryview) -> None:
        """Hash bytes that are also written."""
        self._hash.update(data)

    def write(self, data: bytes | memoryview) -> None:
        """Append bytes that are also hashed.

        Raises:
            TransferError: They cannot be written: no space, for example.
        """
        view = memoryview(data)
        try:
            while view:
                view = view[self._opened.write(view) or 0 :]
        except OSError as error:
            raise unwritable(self.path, error) from error
        self.offset += len(data)

    def rewind(self) -> None:
        """Seek to the end of the hashed bytes, and cut off the rest."""
        try:
            self._opened.seek(self.offset)
            self._opened.truncate(self.offset)
        except OSError as error:
            raise unwritable(self.path, error) from error

    def restart(self) -> None:
        """Drop all bytes."""
        self.offset = self._there = 0
        self._hash = hashlib.sha256()
        self.was_resumed = False
        self.rewind()

    def has(self, sha256: str) -> bool:
        """Whether the bytes so far have this hash."""
        return self._hash.hexdigest() == sha256

    def finish(self, folder: Path, name: str) -> Path:
        """Flush it to the disk and give it its name, or the next free one.

        Raises:
            TransferError: It cannot be.
        """
        try:
            os.fsync(self._opened.fileno())
            self.close()
            path = claim(self.path, folder, name)
            sync_folder(folder)
        except OSError as error:
            raise unwritable(folder / name, error) from error
        return path

    def close(self) -> None:
        """Close the file, which stays. Twice is fine."""
        if self._file is not None:
            self._file.close()
            self._file = None

    @property
    def _opened(self) -> BinaryIO:
        assert self._file is not None
        return self._file


def remove(path: Path) -> None:
    """Remove a file, if it exists and can be removed."""
    with contextlib.suppress(OSError):
        path.unlink()
