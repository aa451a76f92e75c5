"""Private folders for files that are only passed on, removed with their process.

Everything here blocks.
"""

import contextlib
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

from chatd.system.file_lock import FileLock, locked
from client.storage.paths import Paths, make_private_folder


def passing_folder(paths: Paths) -> Path:
    """Return the folder for files that are printed instead of being saved."""
    return paths.cache / "get"


@contextlib.contextmanager
def private_folder(parent: Path) -> Iterator[Path]:
    """Make a folder (mode 0700) that is removed at the end.

    If the process is killed, the next ``sweep_private`` removes it.

    Args:
        parent: A folder for such folders alone.
    """
    make_private_folder(parent)
    folder = parent / secrets.token_hex(8)
    lock = FileLock(folder.with_suffix(".lock"))
    with locked(parent):
        lock.acquire()
        folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        lock.release(is_removed=True)


def sweep_private(parent: Path) -> None:
    """Remove the folders of processes that died; those in use are left alone."""
    if not parent.is_dir():
        return
    with locked(parent):
        for left in parent.glob("*.lock"):
            lock = FileLock(left)
            if lock.acquire():
                shutil.rmtree(left.with_suffix(""), ignore_errors=True)
                lock.release(is_removed=True)
