"""Restores a backup of ``chatd.backup.backup`` into an empty data folder.

Everything is verified on the way into a working folder within the data folder, and
moved from there to its place, the database last.
"""

import hashlib
import os
import shutil
import tarfile
from pathlib import Path
from typing import IO

import msgspec
from msgspec import Struct

from chatd.accounts.user_table import TABLE_FILE
from chatd.backup.archive import (
    CONTENTS_LIST,
    FORMATS,
    MANIFEST,
    MEMBERS,
    BackupError,
    FileEntry,
    Manifest,
    explained,
)
from chatd.backup.contents import (
    CHUNK_BYTES,
    DamagedContentError,
    NeededContent,
    content_path,
    copy_content,
    describe_missing,
    has_size,
    parse_contents,
)
from chatd.settings.data_folder import (
    BLOBS_FOLDER,
    DATABASE_FILE,
    LOCK_FILE,
    RESTORE_FOLDER,
    TLS_FOLDER,
    DataFolder,
)
from chatd.store.base import Copy
from chatd.store.open import open_copy
from chatd.system.atomic_file import sync_folder

# What a restore puts in place; last the one without which nothing is served.
_PLACES = (TLS_FOLDER, BLOBS_FOLDER, TABLE_FILE, DATABASE_FILE)
_REQUIRED = {
    1: {DATABASE_FILE, TABLE_FILE},
    2: {DATABASE_FILE, TABLE_FILE, CONTENTS_LIST},
}
_MAX_MANIFEST = 1 << 20
# How many missing contents are named in a refusal, which is one sentence.
_NAMED_IN_REFUSAL = 3


class Restored(Struct, frozen=True):
    """What was restored.

    Attributes:
        manifest: That of the backup.
        contents: How many contents of files were restored.
        contents_bytes: Their sizes together.
        missing: How many are missing, so that their files cannot be fetched.
        problems: A sentence for each of the first of those.
    """

    manifest: Manifest
    contents: int = 0
    contents_bytes: int = 0
    missing: int = 0
    problems: list[str] = []


def restore_backup(
    source: Path, folder: DataFolder, *, is_incomplete_fine: bool = False
) -> Restored:
    """Restore a backup into an empty data folder; blocks on the disk.

    The logs get a new id: they may lack what clients have seen since the backup. A
    restore that is killed leaves a folder that ``DataFolder.open`` refuses. What was
    missing in the data folder already when the backup was made is only reported.

    Args:
        source: The tar; the contents of files are in ``blobs`` beside it.
        folder: The data folder, empty and locked.
        is_incomplete_fine: Only report what is missing or damaged in ``blobs``, too,
            instead of refusing.

    Raises:
        BackupError: The folder is not empty, or the backup is damaged or lacks
            contents; the folder is left empty.
    """
    present = sorted(p.name for p in folder.path.iterdir() if p.name != LOCK_FILE)
    if present:
        raise BackupError(
            f"the data folder {folder.path} is not empty ({present[0]} is there): move"
            " it away first, or choose another folder with --data"
        )
    work = folder.path / RESTORE_FOLDER
    try:
        with explained(source, folder.path):
            work.mkdir(mode=0o700)
            manifest = _unpack(source, work)
            restored = Restored(manifest)
            database = open_copy(work / DATABASE_FILE)
            if manifest.format > 1:
                restored = _restore_contents(source, work, restored, is_incomplete_fine)
                database.forget_begun_files()
            database.renew_log_id()
            _put_in_place(work, folder.path)
    except BaseException:
        for name in _PLACES:
            _remove(folder.path / name)
        shutil.rmtree(work, ignore_errors=True)
        raise
    return restored


def _unpack(source: Path, work: Path) -> Manifest:
    found: dict[str, FileEntry] = {}
    manifest: Manifest | None = None
    with tarfile.open(source, mode="r:") as tar:
        for info in tar:
            content = tar.extractfile(info)
            if content is None or info.name not in (*MEMBERS, CONTENTS_LIST, MANIFEST):
                raise BackupError(f"{source} is no backup of chatd: it has {info.name}")
            if info.name == MANIFEST:
                manifest = msgspec.json.decode(
                    content.read(_MAX_MANIFEST), type=Manifest
                )
                break
            found[info.name] = _extract(info.name, content, work)
    if manifest is None:
        raise BackupError(f"{source} is not complete: take another backup")
    if manifest.format not in FORMATS:
        raise BackupError(
            f"{source} was written by chatd {manifest.chatd}: restore it with that one"
        )
    if {entry.name: entry for entry in manifest.files} != found:
        raise BackupError(f"{source} is damaged: take another backup")
    if not _REQUIRED[manifest.format] <= set(found):
        raise BackupError(f"{source} is not complete: take another backup")
    return manifest


def _extract(name: str, content: IO[bytes], work: Path) -> FileEntry:
    path = work / name
    path.parent.mkdir(mode=0o700, exist_ok=True)
    digest = hashlib.sha256()
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        while chunk := content.read(CHUNK_BYTES):
            digest.update(chunk)
            file.write(chunk)
        size = file.tell()
        file.flush()
        os.fsync(file.fileno())
    return FileEntry(name, size, digest.hexdigest())


# Contents ---------------------------------------------------------------------------


def _restore_contents(
    source: Path, work: Path, restored: Restored, is_incomplete_fine: bool
) -> Restored:
    """Copy the contents that the backup needs from beside it.

    Raises:
        BackupError: Some are missing or damaged there.
    """
    contents = _take_list(source, work)
    copies = _Copies(source.parent / BLOBS_FOLDER, work / BLOBS_FOLDER)
    # Missing ones are found at once, damaged ones while copying.
    lost = copies.find_lost(contents)
    if not lost or is_incomplete_fine:
        lost |= copies.copy(contents)
    if lost and not is_incomplete_fine:
        raise _refusal(source, copies.blobs, lost, open_copy(work / DATABASE_FILE))
    wrong = {
        content.sha256: "was missing or damaged when the backup was made"
        for content in contents
        if content.is_missing and content.sha256 not in copies.done
    }
    wrong |= lost
    return msgspec.structs.replace(
        restored,
        contents=len(copies.done),
        contents_bytes=sum(copies.done.values()),
        missing=len(wrong),
        problems=describe_missing(
            wrong, open_copy(work / DATABASE_FILE).name_files(wrong)
        ),
    )


def _take_list(source: Path, work: Path) -> list[NeededContent]:
    path = work / CONTENTS_LIST
    text = path.read_bytes()
    path.unlink()
    try:
        return parse_contents(text.decode("ascii"))
    except ValueError as error:
        raise BackupError(f"{source} is no backup of chatd, or damaged") from error


class _Copies:
    """Copies the contents of a backup from one folder to another."""

    def __init__(self, blobs: Path, target: Path) -> None:
        self.blobs = blobs
        self.done: dict[str, int] = {}
        self._target = target

    def find_lost(self, contents: list[NeededContent]) -> dict[str, str]:
        """Return what is wrong with contents that are missing or of another size."""
        return {
            content.sha256: "is missing"
            for content in contents
            if not content.is_missing and not self._is_there(content)
        }

    def copy(self, contents: list[NeededContent]) -> dict[str, str]:
        """Copy what is there; return what is wrong with contents that are damaged."""
        lost = {}
        folders = set()
        for content in contents:
            if not self._is_there(content):
                continue
            path = content_path(self._target, content.sha256)
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            folders.add(path.parent)
            try:
                copy_content(content_path(self.blobs, content.sha256), path, content)
            except DamagedContentError as error:
                if not content.is_missing:
                    lost[content.sha256] = str(error)
            else:
                self.done[content.sha256] = content.size
        for folder in (*folders, *({self._target} if folders else ())):
            sync_folder(folder)
        return lost

    def _is_there(self, content: NeededContent) -> bool:
        return has_size(content_path(self.blobs, content.sha256), content.size)


def _refusal(
    source: Path, blobs: Path, lost: dict[str, str], database: Copy
) -> BackupError:
    first = dict(list(lost.items())[:_NAMED_IN_REFUSAL])
    sentences = describe_missing(first, database.name_files(first))
    if len(lost) > len(first):
        sentences.append(f"and {len(lost) - len(first)} more")
    return BackupError(
        f"contents of files that {source} needs are not in {blobs}:"
        f" {'; '.join(sentences)}. Put that folder beside the backup as it was, or"
        " restore without these files with --incomplete"
    )


# Places -----------------------------------------------------------------------------


def _put_in_place(work: Path, folder: Path) -> None:
    for name in (TLS_FOLDER, "."):
        if (work / name).exists():
            sync_folder(work / name)
    for name in _PLACES:
        if (work / name).exists():
            (work / name).rename(folder / name)
    sync_folder(folder)
    work.rmdir()
    sync_folder(folder)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
