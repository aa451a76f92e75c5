"""The source file of an upload: checks that it can be sent and does not change.

Everything here blocks.
"""

import contextlib
import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

from msgspec import Struct

from client.errors import TransferError

PIECE_BYTES = 1 << 20
_NO_SPACE_ERRORS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class Stamp(Struct, frozen=True):
    """Metadata that tells one state of a file from another without reading it."""

    size: int
    mtime_ns: int
    inode: int

    @classmethod
    def of(cls, found: os.stat_result) -> "Stamp":
        """Return the stamp from the result of a ``stat``."""
        # SQLite keeps signed numbers; some file systems use all 64 bits.
        return cls(found.st_size, found.st_mtime_ns, found.st_ino & (1 << 63) - 1)


class Source:
    """A file opened to be sent; every read verifies that it is still the same.

    Args:
        path: The file.
        stamp: The stamp that it has to have; None accepts its present one.
    """

    def __init__(self, path: Path, stamp: Stamp | None = None) -> None:
        self._path = path
        self._stamp = stamp
        self._file: BinaryIO | None = None

    def open(self) -> Stamp:
        """Open the file and return its stamp.

        Raises:
            TransferError: It does not exist, is not a regular file, cannot be read, or
                has another stamp.
        """
        self._file = _open(self._path)
        found = Stamp.of(os.fstat(self._file.fileno()))
        if self._stamp is not None and found != self._stamp:
            raise self._changed()
        self._stamp = found
        return found

    def close(self) -> None:
        """Close the file. Twice is fine."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def read(self, offset: int, count: int) -> bytes:
        """Return ``count`` bytes, fewer only at the end of the file.

        Raises:
            TransferError: The file has changed, or cannot be read.
        """
        assert self._file is not None
        assert self._stamp is not None
        wanted = min(count, self._stamp.size - offset)
        try:
            self._file.seek(offset)
            data = self._file.read(wanted)
            found = Stamp.of(os.fstat(self._file.fileno()))
        except OSError as error:
            raise unreadable(self._path, error) from error
        if found != self._stamp or len(data) < wanted:
            raise self._changed()
        return data

    def _changed(self) -> TransferError:
        return TransferError(
            f"{self._path} was changed while it was being sent: send it again when it "
            "is complete",
            "changed",
        )


def look_at(path: str | Path) -> tuple[Path, Stamp]:
    """Check that a file can be sent; return its absolute path and its stamp.

    Raises:
        TransferError: It does not exist, is not a regular file, or cannot be read.
    """
    absolute = Path(os.path.abspath(path))
    source = Source(absolute)
    try:
        return absolute, source.open()
    finally:
        source.close()


def unreadable(path: Path, error: OSError) -> TransferError:
    """Return the error that says why a file cannot be read."""
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return TransferError(f"there is no file {path}", "no_such_file")
    if isinstance(error, PermissionError):
        return TransferError(
            f"you may not read {path}: ask its owner, or send a copy", "unreadable"
        )
    return TransferError(
        f"{path} cannot be read: {error.strerror or error}", "unreadable"
    )


def unwritable(path: Path, error: OSError) -> TransferError:
    """Return the error that says why a file cannot be written."""
    if error.errno in _NO_SPACE_ERRORS:
        return TransferError(
            f"there is no room left in {path.parent}: make some, or choose another "
            "folder, and try again",
            "storage_full",
        )
    return TransferError(
        f"{path} cannot be written ({error.strerror or error}): choose another folder",
        "unwritable",
    )


def _open(path: Path) -> BinaryIO:
    try:
        # Opening a pipe must not wait for a process that writes to it.
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        handle = os.open(path, flags)
    except IsADirectoryError:
        raise _folder(path) from None
    except OSError as error:
        if path.is_dir():
            raise _folder(path) from None
        raise unreadable(path, error) from error
    with contextlib.ExitStack() as stack:
        stack.callback(os.close, handle)
        mode = os.fstat(handle).st_mode
        if stat.S_ISDIR(mode):
            raise _folder(path)
        if not stat.S_ISREG(mode):
            raise TransferError(
                f"{path} is not a regular file: what a program writes can be sent "
                "through standard input",
                "not_a_file",
            )
        stack.pop_all()
    return os.fdopen(handle, "rb", buffering=0)


def _folder(path: Path) -> TransferError:
    return TransferError(
        f"{path} is a folder: pack it into one file first, with tar or zip for example",
        "not_a_file",
    )
