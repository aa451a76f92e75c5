"""Backups (chatd.backup) while the data folder is in use; see also test_restore."""

import asyncio
import contextlib
import errno
import fcntl
import os
import tarfile
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from chatd.admin import commands
from chatd.admin.administration import Administration
from chatd.admin.client import open_administration
from chatd.backup import contents
from chatd.backup.archive import CONTENTS_LIST, MEMBERS, locked_folder
from chatd.backup.backup import BackupError, BackupReport, write_backup
from chatd.core.files.sweep import MS_PER_DAY, Sweeper
from chatd.settings.config import Settings, load_config
from tests.helpers import fill_up, sha256_of, small_disk
from tests.service.stored_files import TIME_MS, begin_upload, store_file

PASSWORD = "correct horse"
CONTENT = b"one " * 1_000
OTHER = b"two " * 500


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
def folder(tmp_path: Path) -> Path:
    """The folder of the backups, and nothing else."""
    folder = tmp_path / "backups"
    folder.mkdir()
    return folder


async def add_file(of: Administration, content: bytes, name: str = "core.tar") -> None:
    await store_file(of.store, of.blobs, content, name)


async def back_up(of: Administration, target: Path) -> BackupReport:
    return await of.backup(commands.Backup(str(target)))


def files_in(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*"))


def place_of(blobs: Path, content: bytes) -> Path:
    return contents.content_path(blobs, sha256_of(content))


# The tar ----------------------------------------------------------------------------


async def test_a_backup_without_files_is_one_tar_for_its_owner_alone(
    administration: Administration, folder: Path
) -> None:
    report = await back_up(administration, folder / "b.tar")
    assert files_in(folder) == ["b.tar"]
    assert (folder / "b.tar").stat().st_mode & 0o777 == 0o600
    assert report == BackupReport(size=(folder / "b.tar").stat().st_size)
    with tarfile.open(folder / "b.tar") as tar:
        assert tar.getnames() == [*MEMBERS, CONTENTS_LIST, "manifest.json"]


async def test_an_existing_file_is_never_overwritten(
    administration: Administration, tmp_path: Path
) -> None:
    path = tmp_path / "precious"
    path.write_text("mine")
    with pytest.raises(BackupError, match="there is something at"):
        await back_up(administration, path)
    assert path.read_text() == "mine"


async def test_a_dangling_link_is_never_overwritten(
    administration: Administration, tmp_path: Path
) -> None:
    path = tmp_path / "link"
    path.symlink_to(tmp_path / "nowhere")
    with pytest.raises(BackupError, match="there is something at"):
        await back_up(administration, path)


async def test_a_folder_that_does_not_exist_is_named(
    administration: Administration, tmp_path: Path
) -> None:
    with pytest.raises(BackupError, match="nowhere.*No such file"):
        await back_up(administration, tmp_path / "nowhere/b")


async def test_a_backup_into_the_data_folder_is_refused(
    administration: Administration, tmp_path: Path
) -> None:
    before = files_in(tmp_path / "data")
    with pytest.raises(BackupError, match="is in the data folder"):
        await back_up(administration, tmp_path / "data/b.tar")
    assert files_in(tmp_path / "data") == before


async def test_a_backup_that_shares_the_contents_themselves_is_refused(
    administration: Administration, folder: Path, tmp_path: Path
) -> None:
    (folder / "blobs").symlink_to(tmp_path / "data/blobs")
    with pytest.raises(BackupError, match="or shares its files"):
        await back_up(administration, folder / "b.tar")
    assert files_in(folder) == ["blobs"]


async def test_a_disk_without_links_gets_its_backup_all_the_same(
    administration: Administration, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr("chatd.backup.backup.os.link", refuse)
    await back_up(administration, folder / "b")
    assert files_in(folder) == ["b"]


# The contents of files --------------------------------------------------------------


async def test_contents_are_beside_the_tar_for_its_owner_alone(
    administration: Administration, folder: Path
) -> None:
    await add_file(administration, CONTENT)
    report = await back_up(administration, folder / "b.tar")
    place = place_of(folder / "blobs", CONTENT)
    assert place.read_bytes() == CONTENT
    assert place.stat().st_mode & 0o777 == 0o600
    assert (folder / "blobs").stat().st_mode & 0o777 == 0o700
    assert (report.copied, report.copied_bytes) == (1, len(CONTENT))
    with tarfile.open(folder / "b.tar") as tar:
        member = tar.extractfile(CONTENTS_LIST)
        assert member is not None
        assert member.read().decode() == f"{sha256_of(CONTENT)} {len(CONTENT)}\n"


async def test_what_an_earlier_backup_has_is_not_copied_again(
    administration: Administration, folder: Path
) -> None:
    await add_file(administration, CONTENT)
    await back_up(administration, folder / "monday")
    before = place_of(folder / "blobs", CONTENT).stat()
    await add_file(administration, OTHER)
    report = await back_up(administration, folder / "tuesday")
    assert (report.copied, report.copied_bytes) == (1, len(OTHER))
    assert (report.kept, report.kept_bytes) == (1, len(CONTENT))
    after = place_of(folder / "blobs", CONTENT).stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


async def test_the_same_content_of_two_files_is_copied_once(
    administration: Administration, folder: Path
) -> None:
    for name in ("a", "b"):
        await add_file(administration, CONTENT, name)
    assert (await back_up(administration, folder / "b.tar")).copied == 1


async def test_an_empty_file_is_copied_too(
    administration: Administration, folder: Path
) -> None:
    await add_file(administration, b"")
    assert (await back_up(administration, folder / "b.tar")).copied == 1
    assert place_of(folder / "blobs", b"").read_bytes() == b""


async def test_a_content_of_another_size_than_it_should_have_is_replaced(
    administration: Administration, folder: Path
) -> None:
    await add_file(administration, CONTENT)
    place = place_of(folder / "blobs", CONTENT)
    place.parent.mkdir(parents=True)
    place.write_bytes(CONTENT[:-1])
    assert (await back_up(administration, folder / "b.tar")).copied == 1
    assert place.read_bytes() == CONTENT


async def test_an_upload_that_is_not_complete_is_not_copied(
    administration: Administration, folder: Path
) -> None:
    await begin_upload(administration.store, administration.blobs, CONTENT)
    await back_up(administration, folder / "b.tar")
    assert files_in(folder) == ["b.tar"]


async def test_a_content_that_is_missing_is_named_and_all_else_is_there(
    administration: Administration, folder: Path, tmp_path: Path
) -> None:
    await add_file(administration, CONTENT, "core.tar")
    await add_file(administration, OTHER)
    place_of(tmp_path / "data/blobs", CONTENT).unlink()
    report = await back_up(administration, folder / "b.tar")
    assert (report.missing, report.copied) == (1, 1)
    (problem,) = report.problems
    assert problem == (
        "the content of 'core.tar' of alice in the chat of alice and bob is missing"
        f" (SHA-256 {sha256_of(CONTENT)})"
    )


@pytest.mark.parametrize(
    ("damaged", "reason"),
    [(b"ONE " * 1_000, "is damaged"), (CONTENT[1:], "has 3999 bytes instead of 4000")],
)
async def test_a_damaged_content_is_named_and_not_copied(
    administration: Administration,
    folder: Path,
    tmp_path: Path,
    damaged: bytes,
    reason: str,
) -> None:
    await add_file(administration, CONTENT)
    place_of(tmp_path / "data/blobs", CONTENT).write_bytes(damaged)
    report = await back_up(administration, folder / "b.tar")
    assert report.missing == 1
    assert reason in report.problems[0]
    assert files_in(folder) == ["b.tar", "blobs"]


async def test_what_an_earlier_backup_has_is_not_missing(
    administration: Administration, folder: Path, tmp_path: Path
) -> None:
    await add_file(administration, CONTENT)
    await back_up(administration, folder / "monday")
    place_of(tmp_path / "data/blobs", CONTENT).unlink()
    report = await back_up(administration, folder / "tuesday")
    assert (report.missing, report.kept) == (0, 1)


async def test_of_very_many_missing_contents_the_first_are_named(
    administration: Administration, folder: Path, tmp_path: Path
) -> None:
    for number in range(contents.MAX_NAMED + 2):
        content = b"%d" % number
        await add_file(administration, content)
        place_of(tmp_path / "data/blobs", content).unlink()
    report = await back_up(administration, folder / "b.tar")
    assert report.missing == contents.MAX_NAMED + 2
    assert report.problems[-1] == "and 2 more"
    assert len(report.problems) == contents.MAX_NAMED + 1


async def test_a_file_that_expires_meanwhile_is_in_the_backup(
    administration: Administration,
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store, blobs = administration.store, administration.blobs
    await add_file(administration, CONTENT)
    sweeper = Sweeper(store, blobs, lambda: TIME_MS + 3 * MS_PER_DAY)
    sweeper.expire_days = 2.0
    real = store.backup

    async def copy_and_expire(path: Path) -> None:
        await real(path)
        await sweeper.sweep()

    monkeypatch.setattr(store, "backup", copy_and_expire)
    report = await write_backup(
        tmp_path / "data", store, folder / "b", sweeper.holding_removals
    )
    assert (report.copied, report.missing) == (1, 0)
    assert await store.contents() == {}
    assert await sweeper.sweep() == 1
    assert await blobs.list_contents() == []


async def test_contents_are_copied_outside_of_the_loops_thread(
    administration: Administration, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads = []
    real = contents.copy_content

    def copy(*arguments: Any) -> None:
        threads.append(threading.current_thread())
        real(*arguments)

    monkeypatch.setattr(contents, "copy_content", copy)
    await add_file(administration, CONTENT)
    await back_up(administration, folder / "b")
    assert threads
    assert threading.main_thread() not in threads


# Failures ---------------------------------------------------------------------------


async def test_a_failure_leaves_nothing_behind(
    administration: Administration, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    await add_file(administration, CONTENT)
    monkeypatch.setattr("chatd.backup.backup._add_bytes", full)
    with pytest.raises(BackupError, match="b.tar: No space left .*: make room on that"):
        await back_up(administration, folder / "b.tar")
    assert files_in(folder) == []


async def test_a_failure_leaves_the_contents_of_earlier_backups(
    administration: Administration, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await add_file(administration, CONTENT)
    await back_up(administration, folder / "monday")
    before = files_in(folder)

    def fail(*_: Any) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    await add_file(administration, OTHER)
    monkeypatch.setattr("chatd.backup.backup._add_bytes", fail)
    with pytest.raises(BackupError):
        await back_up(administration, folder / "tuesday")
    assert files_in(folder) == before


async def test_a_disk_that_becomes_full_leaves_nothing_behind(
    administration: Administration, tmp_path: Path
) -> None:
    await add_file(administration, os.urandom(3 << 20))
    with small_disk(tmp_path / "disk", mebibytes=2) as disk:
        with pytest.raises(BackupError, match="b.tar: No space left on device: make"):
            await back_up(administration, disk / "b.tar")
        assert files_in(disk) == []
        fill_up(disk / "ballast")
        with pytest.raises(BackupError, match="disk"):
            await back_up(administration, disk / "b.tar")
        assert files_in(disk) == ["ballast"]


def cancels(task: "asyncio.Task[Any]") -> Callable[..., None]:
    """Return a function that cancels a task from a thread, and waits for that."""
    loop = asyncio.get_running_loop()

    def cancel(*_: Any) -> None:
        is_cancelled = threading.Event()
        loop.call_soon_threadsafe(task.cancel)
        loop.call_soon_threadsafe(is_cancelled.set)
        assert is_cancelled.wait(10)
        raise InterruptedError(errno.EINTR, "broken off")

    return cancel


@pytest.mark.parametrize("where", ["chatd.backup.backup._give_name", "second content"])
async def test_a_cancelled_backup_leaves_nothing_behind(
    administration: Administration,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    where: str,
) -> None:
    for content in (CONTENT, OTHER):
        await add_file(administration, content)
    task = asyncio.create_task(back_up(administration, folder / "b"))
    cancel = cancels(task)
    real, calls = contents.copy_content, iter([0, 1])

    def copy(*arguments: Any) -> None:
        if next(calls):
            cancel()
        real(*arguments)

    if where == "second content":
        monkeypatch.setattr(contents, "copy_content", copy)
    else:
        monkeypatch.setattr(where, cancel)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert files_in(folder) == []


async def test_cancelling_stops_amid_a_large_content(
    administration: Administration, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contents, "CHUNK_BYTES", 1_000)
    await add_file(administration, CONTENT)
    task = asyncio.create_task(back_up(administration, folder / "b"))
    loop, real, reads = asyncio.get_running_loop(), contents._reading, []

    def reading() -> Any:
        # The first call is for opening it.
        reads.append(1)
        if len(reads) == 3:
            is_cancelled = threading.Event()
            loop.call_soon_threadsafe(task.cancel)
            loop.call_soon_threadsafe(loop.call_soon, is_cancelled.set)
            assert is_cancelled.wait(10)
        return real()

    monkeypatch.setattr(contents, "_reading", reading)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(reads) == 3
    assert files_in(folder) == []


# Several backups into one folder ----------------------------------------------------


async def test_two_backups_at_once_into_one_folder_are_both_complete(
    administration: Administration, folder: Path
) -> None:
    await add_file(administration, CONTENT)
    reports = await asyncio.gather(
        *(back_up(administration, folder / name) for name in ("one", "two"))
    )
    assert sorted((each.copied, each.kept) for each in reports) == [(0, 1), (1, 0)]
    sha256 = sha256_of(CONTENT)
    assert files_in(folder) == [
        "blobs",
        f"blobs/{sha256[:2]}",
        f"blobs/{sha256[:2]}/{sha256}",
        "one",
        "two",
    ]


async def test_one_that_waits_for_another_can_be_cancelled(
    administration: Administration, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = contextlib.ExitStack()
    other.enter_context(locked_folder(folder, threading.Event()))
    task = asyncio.create_task(back_up(administration, folder / "b"))
    waiting, real = asyncio.Event(), fcntl.flock
    loop = asyncio.get_running_loop()

    def flock(descriptor: int, how: int) -> None:
        loop.call_soon_threadsafe(waiting.set)
        real(descriptor, how)

    monkeypatch.setattr("chatd.system.file_lock.fcntl.flock", flock)
    await waiting.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    other.close()
    assert files_in(folder) == []


async def test_what_a_killed_backup_has_left_is_removed_by_the_next(
    administration: Administration, folder: Path
) -> None:
    await add_file(administration, CONTENT)
    left = folder / f".monday.tar.x{contents.UNFINISHED}"
    left.mkdir()
    (left / "chatd.db").write_text("half")
    (folder / "blobs").mkdir()
    (folder / f"blobs/.x{contents.UNFINISHED}").write_text("half")
    (folder / ".chatd-backup.lock").touch()
    (folder / ".precious").write_text("mine")
    await back_up(administration, folder / "b")
    assert [n for n in files_in(folder) if n.startswith(".") or "/." in n] == [
        ".precious"
    ]


async def test_on_a_disk_without_locks_contents_of_a_failed_backup_stay(
    administration: Administration, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    def fail(*_: Any) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    await add_file(administration, CONTENT)
    monkeypatch.setattr("chatd.system.file_lock.fcntl.flock", refuse)
    monkeypatch.setattr("chatd.backup.backup._add_bytes", fail)
    with pytest.raises(BackupError):
        await back_up(administration, folder / "b")
    assert place_of(folder / "blobs", CONTENT).read_bytes() == CONTENT
    assert len(files_in(folder)) == 3
