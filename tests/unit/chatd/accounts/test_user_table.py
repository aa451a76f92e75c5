"""The user table (chatd.accounts.user_table): durable, atomic and grouped rewrites."""

import asyncio
import errno
import json
import os
import re
import stat
import threading
from pathlib import Path

import pytest

from chatd.accounts.user_table import (
    DamagedTableError,
    UserRecord,
    UserTable,
    read_table,
)
from chatd.protocol.errors import (
    NameTakenError,
    ServerStoppingError,
    StorageFullError,
    UnavailableError,
)
from chatd.system.atomic_file import Step, temporary_path
from tests.unit.chatd.accounts.fakes import VERIFIER, creating

LINE = (
    '{"name":"alice","role":"admin","created":1,"scram":{"salt":"c2FsdHNhbHRzYWx0",'
    '"iterations":4096,"stored_key":"' + "A" * 43 + '=",'
    '"server_key":"' + "A" * 43 + '="}}'
)
GOOD = '{"version":1,"secret":"' + "A" * 43 + '=","users":[\n' + LINE + "\n]}\n"


class Disk:
    """A hook that fails at a step, and counts how often each is reached."""

    def __init__(self) -> None:
        self.fail_at: Step | None = None
        self.errno = errno.ENOSPC
        self.count: dict[str, int] = {}
        self.gate = threading.Event()
        self.gate.set()

    def __call__(self, step: Step) -> None:
        self.gate.wait(10)
        self.count[step] = self.count.get(step, 0) + 1
        if step == self.fail_at:
            raise OSError(self.errno, os.strerror(self.errno))


@pytest.fixture
def disk() -> Disk:
    return Disk()


@pytest.fixture
def table(tmp_path: Path, disk: Disk) -> UserTable:
    return UserTable.open(tmp_path, disk)


def names_on_disk(folder: Path) -> list[str]:
    table = read_table(folder / "users.json")
    assert table is not None
    return [record.name for record in table]


async def test_a_change_is_on_disk_when_update_returns(
    tmp_path: Path, table: UserTable
) -> None:
    record = await table.update("alice", creating("alice"))
    assert record == UserRecord("alice", "member", 1, scram=VERIFIER)
    found = read_table(tmp_path / "users.json")
    assert found is not None
    assert found.get("alice") == record
    assert found.secret == table.secret


async def test_the_file_has_one_readable_line_per_user(
    tmp_path: Path, table: UserTable
) -> None:
    await table.update("alice", creating("alice"))
    await table.update("bob", creating("bob"))
    lines = (tmp_path / "users.json").read_text().splitlines()
    assert [json.loads(line.rstrip(","))["name"] for line in lines[1:-1]] == [
        "alice",
        "bob",
    ]
    assert json.loads("\n".join(lines))["version"] == 1


def test_the_file_is_for_its_owner_only(tmp_path: Path, table: UserTable) -> None:
    mode = stat.S_IMODE((tmp_path / "users.json").stat().st_mode)
    assert mode == 0o600


def test_a_missing_file_becomes_an_empty_table(
    tmp_path: Path, table: UserTable
) -> None:
    assert len(table) == 0
    assert names_on_disk(tmp_path) == []


def test_a_missing_file_is_refused_where_there_was_one(tmp_path: Path) -> None:
    with pytest.raises(DamagedTableError, match=r"is gone.*restore it from a backup"):
        UserTable.open(tmp_path, must_exist=True)
    assert list(tmp_path.iterdir()) == []


async def test_changes_gather_while_one_rewrite_is_in_flight(
    tmp_path: Path, table: UserTable, disk: Disk
) -> None:
    disk.count.clear()
    disk.gate.clear()
    names = [f"user{number}" for number in range(50)]
    tasks = [asyncio.create_task(table.update("first", creating("first")))]
    await asyncio.sleep(0)
    tasks += [asyncio.create_task(table.update(name, creating(name))) for name in names]
    await asyncio.sleep(0)
    disk.gate.set()
    await asyncio.gather(*tasks)
    assert disk.count["rename"] == 2
    assert names_on_disk(tmp_path) == ["first", *names]


async def test_a_change_is_not_visible_before_it_is_durable(
    table: UserTable, disk: Disk
) -> None:
    disk.gate.clear()
    task = asyncio.create_task(table.update("alice", creating("alice")))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert table.get("alice") is None
    disk.gate.set()
    await task
    assert table.get("alice") is not None


async def test_of_two_who_want_a_name_at_once_one_gets_it(table: UserTable) -> None:
    def create(present: UserRecord | None) -> UserRecord:
        if present is not None:
            raise NameTakenError("taken")
        return UserRecord("alice", "member", 1, scram=VERIFIER)

    outcomes = await asyncio.gather(
        *(table.update("alice", create) for _ in range(3)), return_exceptions=True
    )
    assert [type(outcome) for outcome in outcomes] == [
        UserRecord,
        NameTakenError,
        NameTakenError,
    ]


async def test_a_refused_change_costs_no_rewrite(table: UserTable, disk: Disk) -> None:
    await table.update("alice", creating("alice"))
    disk.count.clear()
    await table.update("alice", creating("alice"))
    assert disk.count == {}


@pytest.mark.parametrize("step", ["open", "write", "sync", "rename"])
async def test_a_full_disk_refuses_the_change_and_keeps_the_old_table(
    tmp_path: Path, table: UserTable, disk: Disk, step: Step
) -> None:
    await table.update("alice", creating("alice"))
    disk.fail_at = step
    with pytest.raises(StorageFullError, match="disk is full"):
        await table.update("bob", creating("bob"))
    assert table.get("bob") is None
    assert names_on_disk(tmp_path) == ["alice"]
    assert not temporary_path(tmp_path / "users.json").exists()


async def test_with_space_back_it_goes_on(
    tmp_path: Path, table: UserTable, disk: Disk
) -> None:
    disk.fail_at = "sync"
    with pytest.raises(StorageFullError):
        await table.update("alice", creating("alice"))
    disk.fail_at = None
    await table.update("alice", creating("alice"))
    assert names_on_disk(tmp_path) == ["alice"]


@pytest.mark.parametrize("step", ["write", "sync", "rename", "sync_folder"])
async def test_a_broken_disk_makes_the_outcome_unknown(
    table: UserTable, disk: Disk, step: Step
) -> None:
    disk.fail_at = step
    disk.errno = errno.EIO
    with pytest.raises(UnavailableError, match="saved: Input/output error"):
        await table.update("alice", creating("alice"))
    assert table.get("alice") is None


async def test_a_failed_rewrite_fails_all_that_gathered_and_no_more(
    table: UserTable, disk: Disk
) -> None:
    disk.fail_at = "sync"
    outcomes = await asyncio.gather(
        *(table.update(name, creating(name)) for name in ("alice", "bob")),
        return_exceptions=True,
    )
    disk.fail_at = None
    assert [type(outcome) for outcome in outcomes] == [StorageFullError] * 2
    assert (await table.update("carol", creating("carol"))).name == "carol"
    assert len(table) == 1


async def test_a_fault_of_ours_is_answered_and_does_not_stop_the_writer(
    table: UserTable, disk: Disk, caplog: pytest.LogCaptureFixture
) -> None:
    bad = UserRecord("alice", "member", 1, scram=object())  # type: ignore[arg-type]
    with pytest.raises(UnavailableError):
        await table.update("alice", lambda present: bad)
    assert "Traceback" in caplog.text
    assert (await table.update("bob", creating("bob"))).name == "bob"


async def test_a_change_that_breaks_is_answered_and_does_not_stop_the_writer(
    table: UserTable, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(present: UserRecord | None) -> UserRecord:
        raise ZeroDivisionError

    with pytest.raises(UnavailableError):
        await table.update("alice", broken)
    assert "ZeroDivisionError" in caplog.text
    assert (await table.update("bob", creating("bob"))).name == "bob"


async def test_a_cancelled_caller_does_not_undo_the_change(
    tmp_path: Path, table: UserTable, disk: Disk
) -> None:
    disk.gate.clear()
    task = asyncio.create_task(table.update("alice", creating("alice")))
    await asyncio.sleep(0)
    task.cancel()
    disk.gate.set()
    await table.close()
    assert task.cancelled()
    assert names_on_disk(tmp_path) == ["alice"]


async def test_close_waits_for_what_was_taken_and_takes_no_more(
    tmp_path: Path, table: UserTable
) -> None:
    task = asyncio.create_task(table.update("alice", creating("alice")))
    await asyncio.sleep(0)
    await table.close()
    assert names_on_disk(tmp_path) == ["alice"]
    with pytest.raises(ServerStoppingError):
        await table.update("bob", creating("bob"))
    await task


async def test_a_deleted_user_stays_as_a_name(tmp_path: Path, table: UserTable) -> None:
    await table.update("alice", creating("alice"))
    await table.update(
        "alice", lambda _: UserRecord("alice", "member", 1, deleted=True)
    )
    found = read_table(tmp_path / "users.json")
    assert found is not None
    assert found.get("alice") == UserRecord("alice", "member", 1, deleted=True)
    assert "salt" not in (tmp_path / "users.json").read_text()


async def test_the_mix_of_iterations_is_counted(table: UserTable) -> None:
    await table.update("alice", creating("alice"))
    await table.update("bob", creating("bob"))
    await table.update(
        "alice", lambda _: UserRecord("alice", "member", 1, deleted=True)
    )
    assert table.iterations == {4096: 1}


def test_a_leftover_of_a_crash_is_ignored_and_removed(tmp_path: Path) -> None:
    (tmp_path / "users.json").write_text(GOOD)
    leftover = temporary_path(tmp_path / "users.json")
    leftover.write_text('{"version":1,"secr')
    assert [record.name for record in UserTable.open(tmp_path)] == ["alice"]
    assert not leftover.exists()


async def test_a_table_behind_a_symbolic_link_stays_there(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "data").mkdir()
    (tmp_path / "etc" / "users.json").write_text(GOOD)
    (tmp_path / "data" / "users.json").symlink_to(tmp_path / "etc" / "users.json")
    table = UserTable.open(tmp_path / "data")
    await table.update("bob", creating("bob"))
    assert (tmp_path / "data" / "users.json").is_symlink()
    assert names_on_disk(tmp_path / "etc") == ["alice", "bob"]


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("", "damaged"),
        (GOOD[: len(GOOD) // 2], "damaged"),
        (GOOD + "x", "damaged"),
        ("[]", "damaged"),
        ("[" * 10_000, "damaged"),
        ("\0" * 100, "damaged"),
        (GOOD.replace("alice", "al\udc80ice"), "damaged"),
        (GOOD.replace('"version":1', '"version":2'), "version 2.*newer chatd"),
        (GOOD.replace('"version":1', '"version":0'), "no version 0"),
        (GOOD.replace('"version":1,', ""), "version"),
        (GOOD.replace('"users"', '"people"'), "people"),
        (GOOD.replace("admin", "king"), "king"),
        (GOOD.replace('"created"', '"crated"'), "crated"),
        (GOOD.replace("4096", "1"), "4096"),
        (GOOD.replace("c2FsdHNhbHRzYWx0", "c2Fsd"), "damaged"),
        (GOOD.replace("alice", "Alice"), "'Alice' is not a user name"),
        (GOOD.replace("alice", "a b"), "'a b' is not a user name"),
        (GOOD.replace(LINE, LINE + "," + LINE), "'alice' is in it twice"),
        (GOOD.replace('"created":1', '"created":1,"deleted":true'), "scram or deleted"),
    ],
)
def test_a_damaged_file_is_refused_with_the_remedy_and_never_overwritten(
    tmp_path: Path, content: str, fault: str
) -> None:
    path = tmp_path / "users.json"
    data = content.encode("utf-8", "surrogateescape")
    path.write_bytes(data)
    with pytest.raises(DamagedTableError, match=fault) as caught:
        UserTable.open(tmp_path)
    assert re.search("restore it from a backup|newer chatd", str(caught.value))
    assert str(path) in str(caught.value)
    assert path.read_bytes() == data


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "users.json").mkdir()
    with pytest.raises(DamagedTableError, match="cannot be read"):
        UserTable.open(tmp_path)
