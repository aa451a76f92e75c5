"""File contents outside of the store: verified copies, and those beside backups.

A content is named by its SHA-256, and is in ``blobs`` as it is in the data folder.
"""

import contextlib
import errno
import hashlib
import os
import re
import secrets
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from chatd.system.atomic_file import sync_folder

CHUNK_BYTES = 1 << 20
# How many of the files that are missing or damaged are named.
MAX_NAMED = 20
# How names of incomplete files end, so that those left by a kill can be found.
UNFINISHED = ".chatd-backup"

_LINE = re.compile(r"([0-9a-f]{64}) ([0-9]{1,16})( missing)?")


class DamagedContentError(Exception):
    """A content is missing, unreadable or damaged; the text says which."""


class NeededContent(NamedTuple):
    """A content that a backup needs; ``is_missing`` if the source did not have it."""

    sha256: str
    size: int
    is_missing: bool = False


def encode_contents(contents: Iterable[NeededContent]) -> bytes:
    """Return the member that lists the contents: one ``SHA-256 size`` per line."""
    return "".join(
        f"{content.sha256} {content.size}{' missing' * content.is_missing}\n"
        for content in contents
    ).encode()


def parse_contents(text: str) -> list[NeededContent]:
    """Parse a list that ``encode_contents`` wrote.

    Raises:
        ValueError: It is no such list.
    """
    return [_parse_line(line) for line in text.splitlines()]


def _parse_line(line: str) -> NeededContent:
    match = _LINE.fullmatch(line)
    if match is None:
        raise ValueError(f"{line!r} is no content")
    return NeededContent(match[1], int(match[2]), match[3] is not None)


def content_path(blobs: Path, sha256: str) -> Path:
    """Return the path of a content below the folder of contents."""
    return blobs / sha256[:2] / sha256


def has_size(path: Path, size: int) -> bool:
    """Whether there is a file of that size."""
    try:
        return path.is_file() and path.stat().st_size == size
    except OSError:
        return False


def copy_content(
    source: Path,
    target: Path,
    content: NeededContent,
    is_stopped: Callable[[], bool] = lambda: False,
) -> None:
    """Copy a content to a new file on stable storage, and verify it on the way.

    Raises:
        DamagedContentError: It is missing, unreadable or not what its name says.
        InterruptedError: ``is_stopped`` returned True.
        OSError: The copy cannot be written.
    """
    with contextlib.ExitStack() as stack:
        with _reading():
            file = stack.enter_context(source.open("rb", buffering=0))
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        copy = stack.enter_context(open(os.open(target, flags, 0o600), "wb"))
        try:
            digest = hashlib.sha256()
            for chunk in _chunks(file, is_stopped):
                digest.update(chunk)
                copy.write(chunk)
            size = copy.tell()
            if size != content.size:
                raise DamagedContentError(f"has {size} bytes instead of {content.size}")
            if digest.hexdigest() != content.sha256:
                raise DamagedContentError("is damaged")
            copy.flush()
            os.fsync(copy.fileno())
        except BaseException:
            target.unlink()
            raise


def _chunks(file: BinaryIO, is_stopped: Callable[[], bool]) -> Iterator[bytes]:
    while True:
        if is_stopped():
            raise InterruptedError(errno.EINTR, "broken off")
        with _reading():
            chunk = file.read(CHUNK_BYTES)
        if not chunk:
            return
        yield chunk


@contextlib.contextmanager
def _reading() -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise DamagedContentError("is missing") from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise DamagedContentError(f"cannot be read: {reason}") from error


def describe_missing(wrong: dict[str, str], names: dict[str, str]) -> list[str]:
    """Return a sentence for each of the first contents that are missing or damaged.

    Args:
        wrong: What is wrong with each content, by its SHA-256.
        names: Which files have it, as ``name_files`` says.
    """
    sentences = [
        f"the content of {names.get(sha256, 'a file')} {what} (SHA-256 {sha256})"
        for sha256, what in list(wrong.items())[:MAX_NAMED]
    ]
    if len(wrong) > MAX_NAMED:
        sentences.append(f"and {len(wrong) - MAX_NAMED} more")
    return sentences


class SharedContents:
    """The contents beside the backups of a folder, which all of them share.

    Args:
        blobs: The folder they are in; made when it is needed.
        is_stopped: Returns whether to stop.
    """

    def __init__(self, blobs: Path, is_stopped: Callable[[], bool]) -> None:
        self._blobs = blobs
        self._is_stopped = is_stopped
        self._folders: set[Path] = set()
        self._added: list[Path] = []

    def add(self, source: Path, content: NeededContent) -> bool:
        """Add a content from the folder ``source``; False if it was there already.

        One of the right size is trusted: it was verified when it was copied.

        Raises:
            DamagedContentError: It is not there, and the source does not have it.
            InterruptedError: ``is_stopped`` returned True.
            OSError: It cannot be written.
        """
        path = content_path(self._blobs, content.sha256)
        if has_size(path, content.size):
            self._folders.add(path.parent)
            return False
        self._blobs.mkdir(mode=0o700, exist_ok=True)
        passing = self._blobs / f".{secrets.token_hex(8)}{UNFINISHED}"
        original = content_path(source, content.sha256)
        copy_content(original, passing, content, self._is_stopped)
        path.parent.mkdir(mode=0o700, exist_ok=True)
        self._folders.add(path.parent)
        self._added.append(path)
        passing.replace(path)
        return True

    def sync(self) -> None:
        """Bring the names of all contents to stable storage."""
        if self._folders:
            for folder in (*self._folders, self._blobs, self._blobs.parent):
                sync_folder(folder)

    def sweep(self) -> None:
        """Remove the unfinished files of killed backups; none may be under way."""
        for left in self._blobs.glob(f".*{UNFINISHED}"):
            left.unlink(missing_ok=True)

    def undo(self) -> None:
        """Remove the contents that were added, and the folders that are then empty."""
        for path in self._added:
            path.unlink(missing_ok=True)
        for folder in (*self._folders, self._blobs):
            with contextlib.suppress(OSError):
                folder.rmdir()
