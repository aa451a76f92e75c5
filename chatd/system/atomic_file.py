"""Atomic file replacement: a crash leaves either the old file or the new one.

The steps are: open a temporary file beside it, write, fsync, rename over the old one,
fsync the folder. Until the rename the old file is there, after it the new one; only
whether the rename survives a power cut is unknown until the folder is synced.
"""

import errno
import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Literal

Step = Literal["open", "write", "sync", "rename", "sync_folder"]

# Called before each step ("write" once per chunk). Tests fail or kill from here.
StepHook = Callable[[Step], None]

DISK_FULL = {errno.ENOSPC, errno.EDQUOT}

# Not every system has them.
_FLAGS = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)


class NotReplacedError(OSError):
    """A file could not be replaced, or the replacement may not survive a power cut.

    Attributes:
        reason: A sentence that names the file and says what went wrong.
    """

    def __init__(self, error: OSError, path: Path, what: str) -> None:
        super().__init__(error.errno, error.strerror, str(path))
        cause = f": {error.strerror}"
        if error.errno in DISK_FULL:
            cause = ", because the disk is full"
        self.reason = f"{path.name} {what}{cause}"


def no_hook(step: Step) -> None:
    """Do nothing: the default step hook."""


def temporary_path(path: Path) -> Path:
    """Return where the new content of ``path`` is written before it is renamed."""
    return path.with_name(f".{path.name}.new")


def remove_leftover(path: Path) -> None:
    """Remove the temporary file of a replacement that was killed halfway."""
    with suppress(FileNotFoundError):
        temporary_path(path).unlink()


def replace_file(
    path: Path, chunks: Iterable[bytes], before_step: StepHook = no_hook
) -> None:
    """Replace the content of ``path``, readable by its owner only; blocks on the disk.

    Raises:
        NotReplacedError: The old file is kept, or the rename may not be durable.
    """
    try:
        _write_and_rename(path, chunks, before_step)
    except OSError as error:
        with suppress(OSError):
            temporary_path(path).unlink()
        raise NotReplacedError(error, path, "could not be saved") from error
    try:
        before_step("sync_folder")
        sync_folder(path.parent)
    except OSError as error:
        raise NotReplacedError(error, path, "may not have been saved") from error


def _write_and_rename(
    path: Path, chunks: Iterable[bytes], before_step: StepHook
) -> None:
    temporary = temporary_path(path)
    before_step("open")
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | _FLAGS
    descriptor = os.open(temporary, flags, 0o600)
    with open(descriptor, "wb", buffering=0) as file:
        # A leftover may have had another mode, and the umask may have narrowed ours.
        os.chmod(temporary, 0o600)
        for chunk in chunks:
            before_step("write")
            rest = memoryview(chunk)
            while rest:
                rest = rest[file.write(rest) :]
        before_step("sync")
        os.fsync(descriptor)
    before_step("rename")
    temporary.replace(path)


def sync_folder(folder: Path) -> None:
    """Make new and renamed files in a folder survive a power cut; POSIX only.

    Raises:
        OSError: They may not survive one.
    """
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
