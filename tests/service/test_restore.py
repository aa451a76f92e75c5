"""Restoring backups (chatd.backup.restore)."""

import hashlib
import io
import sqlite3
import subprocess
import sys
import tarfile
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from chatd.accounts.settings import wall_clock_ms
from chatd.admin import commands
from chatd.admin.administration import Administration
from chatd.admin.client import carry_out, open_administration
from chatd.backup.archive import CONTENTS_LIST, MANIFEST, MEMBERS, BackupError, Manifest
from chatd.backup.contents import content_path
from chatd.backup.restore import Restored, restore_backup
from chatd.protocol.entries import Draft
from chatd.settings.config import Settings, load_config
from chatd.settings.data_folder import RESTORE_FOLDER, DataFolder, DataFolderError
from chatd.store.commands import OpenDirect
from chatd.store.sqlite import SqliteStore
from tests.helpers import sha256_of, small_disk
from tests.service.stored_files import begin_upload, store_file

PASSWORD = "correct horse"
CONTENT = b"one " * 1_000
OTHER = b"two " * 500
SCHEMA_1 = Path(__file__).parent / "schemas/1.sql"

# Restores a backup; after so many renames it ends as if killed before the next.
KILLED = """
import os, sys
from pathlib import Path
from chatd.settings.data_folder import DataFolder
from chatd.backup.restore import restore_backup

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
    """A data folder with a user, a message and two files."""
    async with open_administration(settings) as administration:
        await administration.carry_out(commands.AddUser("alice", PASSWORD))
        store = administration.store
        chat = await store.execute(OpenDirect("alice", "alice"))
        draft = Draft("alice", "text", wall_clock_ms(), b',"text":"x"}')
        await store.append(chat.id, draft)
        for content, name in ((CONTENT, "core.tar"), (OTHER, "notes")):
            await store_file(store, administration.blobs, content, name)
        yield administration


@pytest.fixture
async def backup(administration: Administration, tmp_path: Path) -> Path:
    path = tmp_path / "backup.tar"
    await administration.carry_out(commands.Backup(str(path)))
    return path


def restore(source: Path, target: Path, *, incomplete: bool = False) -> Restored:
    with DataFolder.open(target) as folder:
        return restore_backup(source, folder, is_incomplete_fine=incomplete)


def read_members(source: Path) -> dict[str, bytes]:
    with tarfile.open(source) as tar:
        files = {info.name: tar.extractfile(info) for info in tar}
        return {name: file.read() for name, file in files.items() if file is not None}


def write_members(target: Path, members: dict[str, bytes]) -> None:
    with tarfile.open(target, "w") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))


def repack(source: Path, target: Path, change: dict[str, bytes | None]) -> None:
    """Copy a backup, with other contents for some members (None: without it)."""
    members = read_members(source)
    kept = {name: data for name, data in members.items() if name not in change}
    given = {name: data for name, data in change.items() if data is not None}
    write_members(target, {**given, **kept})


def forge(source: Path, target: Path, change: dict[str, bytes], format_: int) -> None:
    """Copy a backup with other members (b"": without it), and a manifest that fits."""
    members = {**read_members(source), **change}
    manifest = msgspec.json.decode(members.pop(MANIFEST), type=Manifest)
    members = {name: data for name, data in members.items() if data}
    entries = [
        {"name": name, "size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        for name, data in members.items()
    ]
    forged = {**msgspec.to_builtins(manifest), "format": format_, "files": entries}
    write_members(target, {**members, MANIFEST: msgspec.json.encode(forged)})


def files_in(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def beside(backup: Path, content: bytes) -> Path:
    return content_path(backup.parent / "blobs", sha256_of(content))


async def problems_in(settings: Settings, folder: Path) -> list[str]:
    other = load_config(settings.file, folder)
    checked = await carry_out(other, commands.Check())
    return [problem for each in checked for problem in each["problems"]]


# What is restored -------------------------------------------------------------------


async def test_a_restored_folder_has_the_same_users_key_and_messages(
    settings: Settings, administration: Administration, backup: Path, tmp_path: Path
) -> None:
    restore(backup, tmp_path / "other")
    other = load_config(settings.file, tmp_path / "other")
    async with open_administration(other) as restored:
        assert restored.fingerprint == administration.fingerprint
        (user,) = await restored.carry_out(commands.ListUsers())
        chat = await restored.store.execute(OpenDirect("alice", "alice"))
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
    contents = (tmp_path / "other/blobs").glob("??/*")
    for path in (*(tmp_path / "other" / name for name in MEMBERS), *contents):
        assert path.stat().st_mode & 0o777 == 0o600


async def test_files_can_be_read_from_a_restored_folder(
    settings: Settings, backup: Path, tmp_path: Path
) -> None:
    restored = restore(backup, tmp_path / "other")
    assert (restored.contents, restored.missing) == (2, 0)
    assert restored.contents_bytes == len(CONTENT) + len(OTHER)
    other = load_config(settings.file, tmp_path / "other")
    async with open_administration(other) as administration:
        content = await administration.blobs.open(sha256_of(CONTENT))
        assert await content.read(0, 10_000) == CONTENT
        content.close()
    assert await problems_in(settings, tmp_path / "other") == []


async def test_damage_to_the_restored_folder_does_not_reach_the_backup(
    backup: Path, tmp_path: Path
) -> None:
    restore(backup, tmp_path / "other")
    restored = content_path(tmp_path / "other/blobs", sha256_of(CONTENT))
    assert restored.stat().st_ino != beside(backup, CONTENT).stat().st_ino


async def test_an_upload_that_was_not_complete_is_not_promised(
    settings: Settings, administration: Administration, tmp_path: Path
) -> None:
    store, blobs = administration.store, administration.blobs
    begun = await begin_upload(store, blobs, b"half")
    await administration.carry_out(commands.Backup(str(tmp_path / "b")))
    restore(tmp_path / "b", tmp_path / "other")
    other = load_config(settings.file, tmp_path / "other")
    async with open_administration(other) as restored:
        assert await restored.store.find_file(begun.id) is None
        assert (await restored.store.file_usage("alice")).user == len(CONTENT + OTHER)
    assert await problems_in(settings, tmp_path / "other") == []


async def test_of_an_older_backup_only_its_own_contents_are_restored(
    administration: Administration, backup: Path, tmp_path: Path
) -> None:
    await store_file(administration.store, administration.blobs, b"later")
    await administration.carry_out(commands.Backup(str(tmp_path / "later.tar")))
    assert restore(backup, tmp_path / "old").contents == 2
    assert restore(tmp_path / "later.tar", tmp_path / "new").contents == 3


async def test_a_backup_from_before_there_were_files_is_restored(
    settings: Settings, backup: Path, tmp_path: Path
) -> None:
    old = tmp_path / "old.db"
    with sqlite3.connect(old) as connection:
        connection.executescript(SCHEMA_1.read_text())
        connection.execute("PRAGMA user_version = 1")
    connection.close()
    change = {"chatd.db": old.read_bytes(), CONTENTS_LIST: b""}
    forge(backup, tmp_path / "old.tar", change, 1)
    assert restore(tmp_path / "old.tar", tmp_path / "other").contents == 0
    assert "blobs" not in files_in(tmp_path / "other")
    assert await problems_in(settings, tmp_path / "other") == []


# What is missing --------------------------------------------------------------------


async def test_missing_contents_refuse_by_name_and_leave_the_folder_empty(
    backup: Path, tmp_path: Path
) -> None:
    beside(backup, CONTENT).unlink()
    with pytest.raises(BackupError) as refused:
        restore(backup, tmp_path / "other")
    sentence = str(refused.value)
    assert "'core.tar' of alice in the chat of alice and bob is missing" in sentence
    assert "--incomplete" in sentence
    assert "notes" not in sentence
    assert files_in(tmp_path / "other") == ["lock"]


@pytest.mark.parametrize("damage", [b"ONE " * 1_000, CONTENT + b"x", b""])
async def test_damaged_contents_refuse_too(
    backup: Path, tmp_path: Path, damage: bytes
) -> None:
    beside(backup, CONTENT).write_bytes(damage)
    with pytest.raises(BackupError, match=r"'core\.tar' of alice"):
        restore(backup, tmp_path / "other")
    assert files_in(tmp_path / "other") == ["lock"]


def test_a_folder_of_contents_that_was_left_behind_is_asked_for(
    backup: Path, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").mkdir()
    moved = backup.rename(tmp_path / "elsewhere/backup.tar")
    with pytest.raises(BackupError, match=f"not in {tmp_path}/elsewhere/blobs: the"):
        restore(moved, tmp_path / "other")
    backup.parent.joinpath("blobs").rename(tmp_path / "elsewhere/blobs")
    assert restore(moved, tmp_path / "other").missing == 0


async def test_of_many_missing_contents_a_refusal_names_the_first(
    administration: Administration, tmp_path: Path
) -> None:
    for number in range(3):
        await store_file(administration.store, administration.blobs, b"%d" % number)
    await administration.carry_out(commands.Backup(str(tmp_path / "b")))
    for path in list((tmp_path / "blobs").glob("??/*")):
        path.unlink()
    with pytest.raises(BackupError, match="; and 2 more"):
        restore(tmp_path / "b", tmp_path / "other")


@pytest.mark.parametrize("damage", [None, b"ONE " * 1_000])
async def test_who_insists_gets_all_that_is_there(
    settings: Settings, backup: Path, tmp_path: Path, damage: bytes | None
) -> None:
    beside(backup, CONTENT).unlink()
    if damage is not None:
        beside(backup, CONTENT).write_bytes(damage)
    restored = restore(backup, tmp_path / "other", incomplete=True)
    assert (restored.contents, restored.missing) == (1, 1)
    assert "'core.tar' of alice" in restored.problems[0]
    (problem,) = await problems_in(settings, tmp_path / "other")
    assert "'core.tar' of alice" in problem
    assert "is missing" in problem


async def test_what_was_missing_already_is_reported_and_does_not_refuse(
    administration: Administration, tmp_path: Path
) -> None:
    content_path(tmp_path / "data/blobs", sha256_of(CONTENT)).unlink()
    await administration.carry_out(commands.Backup(str(tmp_path / "b")))
    restored = restore(tmp_path / "b", tmp_path / "other")
    assert (restored.contents, restored.missing) == (1, 1)
    (problem,) = restored.problems
    assert "'core.tar' of alice" in problem
    assert "was missing or damaged when the backup was made" in problem


async def test_what_a_later_backup_found_again_is_restored(
    administration: Administration, tmp_path: Path
) -> None:
    lost = content_path(tmp_path / "data/blobs", sha256_of(CONTENT))
    lost.rename(tmp_path / "found")
    await administration.carry_out(commands.Backup(str(tmp_path / "b")))
    (tmp_path / "found").rename(lost)
    await administration.carry_out(commands.Backup(str(tmp_path / "later")))
    assert restore(tmp_path / "b", tmp_path / "other").missing == 0


async def test_a_full_disk_is_named_and_the_folder_left_empty(
    administration: Administration, tmp_path: Path
) -> None:
    content = bytes(3 << 20)
    await store_file(administration.store, administration.blobs, content)
    await administration.carry_out(commands.Backup(str(tmp_path / "b")))
    with small_disk(tmp_path / "disk", mebibytes=2) as disk:
        with pytest.raises(BackupError, match=f"{disk}/data: No space left .*: make"):
            restore(tmp_path / "b", disk / "data")
        assert files_in(disk / "data") == ["lock"]


# Refusals ---------------------------------------------------------------------------


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
        ({CONTENTS_LIST: b""}, "is damaged"),
        ({CONTENTS_LIST: None}, "is damaged"),
        ({MANIFEST: None}, "is not complete"),
        ({MANIFEST: b"{}"}, "no backup of chatd, or damaged"),
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


@pytest.mark.parametrize(
    ("change", "format_", "reason"),
    [
        ({CONTENTS_LIST: b"../../evil 5\n"}, 2, "no backup of chatd, or damaged"),
        ({CONTENTS_LIST: b"\xff\n"}, 2, "no backup of chatd, or damaged"),
        ({CONTENTS_LIST: b""}, 2, "is not complete"),
        ({"users.json": b""}, 2, "is not complete"),
        ({"users.json": b"", CONTENTS_LIST: b""}, 1, "is not complete"),
        ({"chatd.db": b"x" * 5_000}, 2, "the database in .* is damaged"),
        ({}, 3, r"was written by chatd .*: restore it with that one"),
    ],
)
async def test_a_forged_backup_is_refused_and_the_folder_left_empty(
    backup: Path, tmp_path: Path, change: dict[str, bytes], format_: int, reason: str
) -> None:
    forge(backup, tmp_path / "forged", change, format_)
    with pytest.raises(BackupError, match=reason):
        restore(tmp_path / "forged", tmp_path / "other")
    assert files_in(tmp_path / "other") == ["lock"]


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


@pytest.mark.parametrize("renames", range(5))
def test_a_restore_killed_halfway_is_never_taken_for_a_whole_one(
    backup: Path, tmp_path: Path, renames: int
) -> None:
    other = tmp_path / "other"
    command = [sys.executable, "-c", KILLED, str(backup), str(other), str(renames)]
    if subprocess.run(command, check=False).returncode == 0:
        assert renames == 4
        DataFolder.open(other).close()
        assert not (other / RESTORE_FOLDER).exists()
    else:
        with pytest.raises(DataFolderError, match="broken off"):
            DataFolder.open(other)
