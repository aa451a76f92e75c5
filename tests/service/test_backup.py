"""Backup while the data folder is in use, and restoring (chatd.backup)."""

import asyncio
import errno
import io
import os
import subprocess
import sys
import tarfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from chatd import commands
from chatd.accounts.settings import wall_clock_ms
from chatd.admin_client import open_administration
from chatd.administration import Administration
from chatd.backup import (
    MEMBERS,
    BackupError,
    restore_backup,
    write_backup,
)
from chatd.config import Settings, load_config
from chatd.datadir import RESTORE_FOLDER, DataFolder, DataFolderError
from chatd.protocol.entries import Draft
from chatd.store.sqlite import SqliteStore

PASSWORD = "correct horse"

# Restores a backup, and ends as if killed instead of the rename after a number of them.
KILLED = """
import os, sys
from pathlib import Path
from chatd.backup import restore_backup
from chatd.datadir import DataFolder

source, target, left = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
rename = Path.rename

def killed(self, target):
    global left
    if not left:
        os._exit(9)
    left -= 1
    return rename(self, target)

Path.rename = killed
with DataFolder.open(target) as folder:
    restore_backup(source, folder)
"""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    path = tmp_path / "config.toml"
    path.write_text("[accounts]\niterations = 4096\n")
    return load_config(path)


@pytest.fixture
async def administration(settings: Settings) -> AsyncIterator[Administration]:
    async with open_administration(settings) as administration:
        await administration.carry_out(commands.AddUser("alice", PASSWORD))
        yield administration


@pytest.fixture
async def backup(administration: Administration, tmp_path: Path) -> Path:
    path = tmp_path / "backup.tar"
    await administration.carry_out(commands.Backup(str(path)))
    return path


def restore(source: Path, target: Path) -> None:
    with DataFolder.open(target) as folder:
        restore_backup(source, folder)


def repack(source: Path, target: Path, change: dict[str, bytes | None]) -> None:
    """Copy a backup, with other contents for some members (None: without it)."""
    with tarfile.open(source) as old, tarfile.open(target, "w") as new:
        names = [info.name for info in old if info.name not in change]
        for name in [*(n for n, v in change.items() if v is not None), *names]:
            found = change.get(name)
            if found is None:
                member = old.extractfile(name)
                assert member is not None
                found = member.read()
            info = tarfile.TarInfo(name)
            info.size = len(found)
            new.addfile(info, io.BytesIO(found))


def files_in(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def test_a_backup_is_one_file_for_its_owner_alone(backup: Path) -> None:
    assert backup.stat().st_mode & 0o777 == 0o600
    assert files_in(backup.parent) == ["backup.tar", "config.toml", "data"]
    with tarfile.open(backup) as tar:
        assert tar.getnames() == [*MEMBERS, "manifest.json"]


async def test_a_restored_folder_has_the_same_users_key_and_messages(
    settings: Settings, tmp_path: Path
) -> None:
    async with open_administration(settings) as administration:
        await administration.carry_out(commands.AddUser("alice", PASSWORD))
        store = administration.store
        chat = await store.open_direct("alice", "alice")
        draft = Draft("alice", "text", wall_clock_ms(), b',"text":"x"}')
        await store.append(chat.id, draft)
        path = str(tmp_path / "b.tar")
        await administration.carry_out(commands.Backup(path))
    restore(Path(path), tmp_path / "other")
    other = load_config(settings.file, tmp_path / "other")
    async with open_administration(other) as restored:
        assert restored.fingerprint == administration.fingerprint
        (user,) = await restored.carry_out(commands.ListUsers())
        (entry,) = await restored.store.read(chat.id, 0, 10)
    assert (user["name"], entry.sender) == ("alice", "alice")


async def test_a_restore_renews_the_id_of_the_logs(
    administration: Administration, backup: Path, tmp_path: Path
) -> None:
    restore(backup, tmp_path / "other")
    store = await SqliteStore.open(tmp_path / "other/chatd.db")
    await store.close()
    assert store.log_id != administration.store.log_id


async def test_what_is_restored_is_for_its_owner_alone(
    backup: Path, tmp_path: Path
) -> None:
    restore(backup, tmp_path / "other")
    for name in MEMBERS:
        assert (tmp_path / "other" / name).stat().st_mode & 0o777 == 0o600


async def test_an_existing_file_is_never_overwritten(
    administration: Administration, tmp_path: Path
) -> None:
    path = tmp_path / "precious"
    path.write_text("mine")
    with pytest.raises(BackupError, match="there is something at"):
        await administration.carry_out(commands.Backup(str(path)))
    assert path.read_text() == "mine"


async def test_a_dangling_link_is_never_overwritten(
    administration: Administration, tmp_path: Path
) -> None:
    path = tmp_path / "link"
    path.symlink_to(tmp_path / "nowhere")
    with pytest.raises(BackupError, match="there is something at"):
        await administration.carry_out(commands.Backup(str(path)))


async def test_a_folder_that_does_not_exist_is_named(
    administration: Administration, tmp_path: Path
) -> None:
    with pytest.raises(BackupError, match="nowhere.*No such file"):
        await administration.carry_out(commands.Backup(str(tmp_path / "nowhere/b")))


async def test_a_full_disk_leaves_nothing_behind(
    administration: Administration, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("chatd.backup._add_bytes", full)
    with pytest.raises(BackupError, match="No space left"):
        await administration.carry_out(commands.Backup(str(tmp_path / "b")))
    assert files_in(tmp_path) == ["config.toml", "data"]


async def test_a_cancelled_backup_leaves_nothing_behind(
    administration: Administration, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writing = asyncio.create_task(
        write_backup(tmp_path / "data", administration.store, tmp_path / "b")
    )
    loop = asyncio.get_running_loop()

    def cancel(*_: Any) -> None:
        loop.call_soon_threadsafe(writing.cancel)
        raise InterruptedError

    monkeypatch.setattr("chatd.backup._give_name", cancel)
    with pytest.raises((asyncio.CancelledError, BackupError)):
        await writing
    assert files_in(tmp_path) == ["config.toml", "data"]


async def test_a_disk_without_links_gets_its_backup_all_the_same(
    administration: Administration, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr("chatd.backup.os.link", refuse)
    await administration.carry_out(commands.Backup(str(tmp_path / "b")))
    restore(tmp_path / "b", tmp_path / "other")


# Refusals of restoring --------------------------------------------------------------


async def test_a_folder_that_is_not_empty_is_not_restored_into(
    backup: Path, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other/mine").write_text("mine")
    with pytest.raises(BackupError, match=r"is not empty \(mine is there\)"):
        restore(backup, tmp_path / "other")
    assert files_in(tmp_path / "other") == ["lock", "mine"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"chatd.db": b"SQLite format 3\0"}, "is damaged"),
        ({"users.json": None}, "is damaged"),
        ({"manifest.json": None}, "is not complete"),
        ({"manifest.json": b"{}"}, "no backup of chatd, or damaged"),
        ({"../evil": b"x"}, "no backup of chatd"),
        ({"/evil": b"x"}, "no backup of chatd"),
    ],
)
async def test_a_wrong_backup_is_refused_and_the_folder_left_empty(
    backup: Path, tmp_path: Path, change: dict[str, bytes | None], reason: str
) -> None:
    repack(backup, tmp_path / "wrong", change)
    with pytest.raises(BackupError, match=reason):
        restore(tmp_path / "wrong", tmp_path / "other")
    assert files_in(tmp_path / "other") == ["lock"]
    assert not (tmp_path / "evil").exists()


@pytest.mark.parametrize("part", [0.0, 0.1, 0.5, 0.9])
def test_a_backup_that_was_cut_off_is_refused(
    backup: Path, tmp_path: Path, part: float
) -> None:
    content = backup.read_bytes()
    (tmp_path / "cut").write_bytes(content[: int(len(content) * part)])
    with pytest.raises(BackupError):
        restore(tmp_path / "cut", tmp_path / "other")
    assert files_in(tmp_path / "other") == ["lock"]


async def test_a_backup_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BackupError, match="nothing.tar.*No such file"):
        restore(tmp_path / "nothing.tar", tmp_path / "other")


@pytest.mark.parametrize("renames", range(4))
def test_a_restore_killed_halfway_is_never_taken_for_a_whole_one(
    backup: Path, tmp_path: Path, renames: int
) -> None:
    other = tmp_path / "other"
    command = [sys.executable, "-c", KILLED, str(backup), str(other), str(renames)]
    if subprocess.run(command, check=False).returncode == 0:
        assert renames == 3
        DataFolder.open(other).close()
        assert not (other / RESTORE_FOLDER).exists()
    else:
        with pytest.raises(DataFolderError, match="broken off"):
            DataFolder.open(other)
