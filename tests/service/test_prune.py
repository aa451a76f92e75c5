"""Pruning: removes contents that no backup needs any more (chatd.backup.prune)."""

import errno
import gzip
import os
import tarfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from chatd.admin import commands
from chatd.admin.administration import Administration
from chatd.admin.client import open_administration
from chatd.backup.archive import CONTENTS_LIST, MANIFEST, BackupError
from chatd.backup.contents import UNFINISHED
from chatd.backup.prune import Pruned, prune_contents
from chatd.backup.restore import restore_backup
from chatd.core.files.sweep import MS_PER_DAY, Sweeper
from chatd.settings.config import load_config
from chatd.settings.data_folder import DataFolder
from tests.helpers import sha256_of
from tests.service.stored_files import TIME_MS, store_file
from tests.service.test_restore import forge, repack

OLD, BOTH, NEW = b"old " * 100, b"both " * 100, b"new " * 100


@pytest.fixture
async def administration(tmp_path: Path) -> AsyncIterator[Administration]:
    async with open_administration(load_config(None, tmp_path / "data")) as opened:
        yield opened


@pytest.fixture
async def folder(administration: Administration, tmp_path: Path) -> Path:
    """Two backups: monday has OLD and BOTH, tuesday BOTH and NEW."""
    folder = tmp_path / "backups"
    folder.mkdir()
    store, blobs = administration.store, administration.blobs
    await store_file(store, blobs, OLD)
    sweeper = Sweeper(store, blobs, lambda: TIME_MS + 2 * MS_PER_DAY)
    await store_file(store, blobs, BOTH)
    await administration.carry_out(commands.Backup(str(folder / "monday")))
    sweeper.expire_days = 1.0
    await sweeper.sweep()
    for content in (BOTH, NEW):
        await store_file(store, blobs, content)
    await administration.carry_out(commands.Backup(str(folder / "tuesday")))
    return folder


def contents_in(folder: Path) -> set[str]:
    return {path.name for path in folder.glob("blobs/??/*")}


def names(*contents: bytes) -> set[str]:
    return {sha256_of(content) for content in contents}


def test_what_some_backup_needs_stays(folder: Path) -> None:
    assert prune_contents(folder) == Pruned(2, 3, 0, 0)
    assert contents_in(folder) == names(OLD, BOTH, NEW)


def test_what_only_a_deleted_backup_needed_is_removed(
    folder: Path, tmp_path: Path
) -> None:
    (folder / "monday").unlink()
    assert prune_contents(folder) == Pruned(1, 2, 1, len(OLD))
    assert contents_in(folder) == names(BOTH, NEW)
    with DataFolder.open(tmp_path / "other") as other:
        assert restore_backup(folder / "tuesday", other).missing == 0


def test_nothing_is_left_of_pruning_and_of_killed_backups(folder: Path) -> None:
    (folder / f"blobs/.x{UNFINISHED}").write_text("half")
    prune_contents(folder)
    assert sorted(p.name for p in folder.iterdir()) == ["blobs", "monday", "tuesday"]
    assert not list(folder.glob("blobs/.*"))


def test_a_compressed_backup_counts(folder: Path) -> None:
    packed = gzip.compress((folder / "monday").read_bytes())
    (folder / "monday.gz").write_bytes(packed)
    (folder / "monday").unlink()
    assert prune_contents(folder).removed == 0


def test_a_backup_from_before_there_were_files_needs_none(folder: Path) -> None:
    forge(folder / "monday", folder / "ancient", {CONTENTS_LIST: b""}, 1)
    (folder / "monday").unlink()
    assert prune_contents(folder).removed == 1


@pytest.mark.parametrize("name", ["notes.txt", "empty", ".hidden"])
def test_a_file_that_is_no_backup_refuses_by_name(folder: Path, name: str) -> None:
    (folder / "monday").unlink()
    (folder / name).write_text("" if name == "empty" else "mine")
    with pytest.raises(BackupError, match=f"{name} is no backup .*move it"):
        prune_contents(folder)
    assert contents_in(folder) == names(OLD, BOTH, NEW)


@pytest.mark.parametrize(
    "change",
    [
        {MANIFEST: None},
        {MANIFEST: b"{}"},
        {CONTENTS_LIST: None},
        {CONTENTS_LIST: b""},
        {CONTENTS_LIST: b"\xff"},
    ],
)
def test_a_damaged_backup_refuses(
    folder: Path, change: dict[str, bytes | None]
) -> None:
    repack(folder / "monday", folder / "damaged", change)
    (folder / "monday").unlink()
    with pytest.raises(BackupError, match="damaged is no backup"):
        prune_contents(folder)
    assert contents_in(folder) == names(OLD, BOTH, NEW)


@pytest.mark.parametrize("part", [0.1, 0.9])
def test_a_backup_that_was_cut_off_refuses(folder: Path, part: float) -> None:
    content = (folder / "monday").read_bytes()
    (folder / "monday").write_bytes(content[: int(len(content) * part)])
    with pytest.raises(BackupError, match="monday is no backup"):
        prune_contents(folder)


def test_a_backup_of_a_newer_chatd_refuses(folder: Path) -> None:
    forge(folder / "monday", folder / "newer", {}, 3)
    with pytest.raises(BackupError, match="newer is no backup"):
        prune_contents(folder)


def test_another_tar_refuses(folder: Path) -> None:
    with tarfile.open(folder / "other.tar", "w") as tar:
        tar.add(folder / "blobs", "blobs")
    with pytest.raises(BackupError, match=r"other\.tar is no backup"):
        prune_contents(folder)


def test_a_folder_without_any_backup_is_left_alone(folder: Path) -> None:
    for name in ("monday", "tuesday"):
        (folder / name).unlink()
    with pytest.raises(BackupError, match="there is no backup in"):
        prune_contents(folder)
    assert contents_in(folder) == names(OLD, BOTH, NEW)


def test_a_data_folder_is_left_alone(folder: Path, tmp_path: Path) -> None:
    before = contents_in(tmp_path / "data")
    with pytest.raises(BackupError, match="is no backup"):
        prune_contents(tmp_path / "data")
    assert contents_in(tmp_path / "data") == before != set()


def test_a_folder_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(BackupError, match="nowhere: No such file"):
        prune_contents(tmp_path / "nowhere")


def test_a_disk_without_locks_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    (folder / "monday").unlink()
    monkeypatch.setattr("chatd.system.file_lock.fcntl.flock", refuse)
    with pytest.raises(BackupError, match="cannot be locked"):
        prune_contents(folder)
    assert contents_in(folder) == names(OLD, BOTH, NEW)
