"""Atomic file replacement: a crash leaves either the old file or the new one.

The steps are: open a temporary file beside it, write, fsync, rename over the old one,
fsync the folder. Until the rename the old file is there, after it the new one; only
whether the rename survives a power cut is unknown until the folder is synced.
"""

import errno
import logging
import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Literal

from chatd.protocol.errors import StorageFullError, UnavailableError

Step = Literal["open", "write", "sync", "rename", "sync_folder"]

# Called before each step ("write" once per chunk). Tests fail or kill from here.
StepHook = Callable[[Step], None]

_FULL = {errno.ENOSPC, errno.EDQUOT}

logger = logging.getLogger(__name__)


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
        StorageFullError: The disk is full; the old file is kept.
        UnavailableError: The old file is kept, or the rename may not be durable.
    """
    try:
        _write_and_rename(path, chunks, before_step)
    except OSError as error:
        with suppress(OSError):
            temporary_path(path).unlink()
        logger.warning("cannot write %s: %s", path, error.strerror)
        if error.errno in _FULL:
            raise StorageFullError(
                f"{path.name} could not be saved, because the disk is full"
            ) from error
        raise UnavailableError(
            f"{path.name} could not be saved: {error.strerror}"
        ) from error
    try:
        before_step("sync_folder")
        sync_folder(path.parent)
    except OSError as error:
        logger.warning("cannot sync the folder of %s: %s", path, error.strerror)
        raise UnavailableError(
            f"{path.name} may not have been saved: {error.strerror}"
        ) from error


def _write_and_rename(
    path: Path, chunks: Iterable[bytes], before_step: StepHook
) -> None:
    temporary = temporary_path(path)
    before_step("open")
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(temporary, flags, 0o600)
    with open(descriptor, "wb", buffering=0) as file:
        # A leftover may have had another mode, and the umask may have narrowed ours.
        os.fchmod(descriptor, 0o600)
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
    """Make new and renamed files in a folder survive a power cut.

    Raises:
        OSError: They may not survive one.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
