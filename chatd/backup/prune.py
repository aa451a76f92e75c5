"""Removes the contents of files that no backup in a folder needs any more."""

import hashlib
import lzma
import re
import tarfile
import threading
import zlib
from pathlib import Path

import msgspec
from msgspec import Struct

from chatd.backup.archive import (
    CONTENTS_LIST,
    FORMATS,
    LOCK_FILE,
    MANIFEST,
    BackupError,
    FileEntry,
    Manifest,
    explained,
    locked_folder,
)
from chatd.backup.contents import SharedContents, parse_contents
from chatd.settings.data_folder import BLOBS_FOLDER

_SHA256 = re.compile(r"[0-9a-f]{64}")
# What reading raises for a file that is no tar, compressed or not.
_UNREADABLE = (
    tarfile.TarError,
    EOFError,
    KeyError,
    ValueError,
    zlib.error,
    lzma.LZMAError,
)


class Pruned(Struct, frozen=True):
    """The result of pruning; sizes in bytes.

    Attributes:
        backups: How many backups there are.
        kept: How many contents they need that are there.
        removed: How many contents were removed.
        removed_bytes: Their sizes together.
    """

    backups: int
    kept: int
    removed: int
    removed_bytes: int


def prune_contents(folder: Path) -> Pruned:
    """Remove from a folder's ``blobs`` what no backup beside it needs; blocks.

    It waits for a backup that is being written there. Every file in the folder has to
    be a readable backup, as it is unknown which contents any other file needs.

    Raises:
        BackupError: One is not, or there is none; nothing was removed.
    """
    blobs = folder / BLOBS_FOLDER
    with explained(folder, folder), locked_folder(folder, threading.Event()) as locked:
        if not locked:
            raise BackupError(
                f"{folder} cannot be locked, so that a backup may be under way there:"
                " prune it where its disk is"
            )
        needed, backups = _read_all(folder)
        SharedContents(blobs, lambda: False).sweep()
        kept, removed, removed_bytes = 0, 0, 0
        for path in sorted(blobs.glob("??/*")):
            if path.name in needed:
                kept += 1
            elif _SHA256.fullmatch(path.name) and path.is_file():
                removed += 1
                removed_bytes += path.stat().st_size
                path.unlink()
        return Pruned(backups, kept, removed, removed_bytes)


def _read_all(folder: Path) -> tuple[set[str], int]:
    needed: set[str] = set()
    backups = 0
    for path in sorted(folder.iterdir()):
        if path.is_file() and path.name != LOCK_FILE:
            needed |= _read_needed(path)
            backups += 1
    if not backups:
        raise BackupError(
            f"there is no backup in {folder}: if its contents are of no use any more,"
            f" remove {folder / BLOBS_FOLDER} yourself"
        )
    return needed, backups


def _read_needed(source: Path) -> set[str]:
    try:
        with tarfile.open(source, mode="r:*") as tar:
            return _needed_by(tar)
    except _UNREADABLE as error:
        raise BackupError(
            f"{source} is no backup of chatd, or damaged: nobody knows what it needs;"
            " move it to another folder first"
        ) from error


def _needed_by(tar: tarfile.TarFile) -> set[str]:
    """Return which contents a backup needs.

    Raises:
        ValueError: It is damaged, or of a newer format.
        KeyError: It is no backup, or not complete.
    """
    manifest = msgspec.json.decode(_read(tar, MANIFEST), type=Manifest)
    if manifest.format not in FORMATS:
        raise ValueError(f"format {manifest.format} is not known")
    if manifest.format == 1:
        return set()
    data = _read(tar, CONTENTS_LIST)
    entry = FileEntry(CONTENTS_LIST, len(data), hashlib.sha256(data).hexdigest())
    if entry not in manifest.files:
        raise ValueError("the list of contents is damaged")
    return {content.sha256 for content in parse_contents(data.decode("ascii"))}


def _read(tar: tarfile.TarFile, name: str) -> bytes:
    file = tar.extractfile(name)
    if file is None:
        raise KeyError(name)
    return file.read()
