"""The SQLite store: the conformance suite, and what is particular to SQLite."""

import asyncio
import os
import shutil
import sqlite3
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from chatd.store.base import Store, StoreError
from chatd.store.commands import (
    BeginFile,
    DropFile,
    ExpireFiles,
    FindKey,
    ForgetUser,
    OpenDirect,
)
from chatd.store.jobs import Append
from chatd.store.sqlite import (
    SqliteCopy,
    SqliteStore,
    changes,
    files,
    migrations,
    queries,
)
from chatd.store.values import SealFile
from tests.helpers import fill_up, small_disk
from tests.service.store_conformance import (
    DurabilityRules,
    FollowRules,
    LogRules,
    StoreHarness,
    append_all,
    fill,
    make_room,
    read_all,
    text,
)
from tests.service.store_conformance_chats import (
    ChatRules,
    CursorRules,
    InvitationRules,
    RecordRules,
)
from tests.service.store_conformance_files import FileRules, a_file, file_entry
from tests.service.store_conformance_keys import KeyRules


class SqliteHarness(StoreHarness):
    """A database in a folder; a kill leaves a copy of its files in the next folder."""

    def __init__(self, folder: Path) -> None:
        self._root = folder
        self._number = 0
        self.path.parent.mkdir()

    @property
    def path(self) -> Path:
        return self._root / str(self._number) / "chatd.db"

    async def open(self) -> Store:
        return await SqliteStore.open(self.path)

    async def kill(self, store: Store) -> None:
        folder = self.path.parent
        self._number += 1
        self.path.parent.mkdir()
        for name in ("chatd.db", "chatd.db-wal"):
            if (folder / name).exists():
                shutil.copy(folder / name, self.path.parent)
        await store.close()

    async def fill_disk(self, store: Store) -> None:
        assert isinstance(store, SqliteStore)
        connection = store._database._connection
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages}")

    async def free_disk(self, store: Store) -> None:
        assert isinstance(store, SqliteStore)
        store._database._connection.execute("PRAGMA max_page_count = 1073741823")

    async def open_copy(self, path: Path) -> Store:
        return await SqliteStore.open(path)


class SmallDiskHarness(SqliteHarness):
    """The same on a file system of a few megabytes, filled up by a file."""

    async def fill_disk(self, store: Store) -> None:
        fill_up(self._root / "ballast")

    async def free_disk(self, store: Store) -> None:
        (self._root / "ballast").unlink()


@pytest.fixture
def harness(tmp_path: Path) -> StoreHarness:
    return SqliteHarness(tmp_path)


@pytest.fixture
async def store(harness: StoreHarness) -> AsyncIterator[Store]:
    opened = await harness.open()
    yield opened
    await opened.close()


class TestLog(LogRules):
    """Against SQLite."""


class TestFollow(FollowRules):
    """Against SQLite."""


class TestDurability(DurabilityRules):
    """Against SQLite; the disk is full by ``PRAGMA max_page_count``."""


class TestKeys(KeyRules):
    """Against SQLite."""


class TestChats(ChatRules):
    """Against SQLite."""


class TestCursors(CursorRules):
    """Against SQLite."""


class TestInvitations(InvitationRules):
    """Against SQLite."""


class TestRecords(RecordRules):
    """Against SQLite."""


class TestFiles(FileRules):
    """Against SQLite."""


class TestDurabilityOnASmallDisk(DurabilityRules):
    """Against SQLite on a small file system that is really full."""

    @pytest.fixture
    def harness(self, tmp_path: Path) -> Iterator[StoreHarness]:
        with small_disk(tmp_path / "disk", mebibytes=8) as folder:
            yield SmallDiskHarness(folder)


# What only SQLite has --------------------------------------------------------------


def schema_of(path: Path) -> list[tuple[str, str, str]]:
    """Return the schema without its spaces and comments."""
    connection = sqlite3.connect(path)
    rows = connection.execute("SELECT type, name, coalesce(sql, '') FROM sqlite_schema")
    found = sorted((kind, name, "".join(sql.split())) for kind, name, sql in rows)
    connection.close()
    return found


async def made(path: Path) -> Path:
    """Return ``path``, with a database that has one room with 100 entries."""
    store = await SqliteStore.open(path)
    room = await make_room(store)
    await fill(store, room.id, 99)
    await store.close()
    return path


def read_bytes(path: Path) -> bytes:
    """Return a whole file."""
    return path.read_bytes()


async def refused(path: Path) -> str:
    """Return the sentence with which opening is refused; the file must be untouched."""
    before = read_bytes(path)
    with pytest.raises(StoreError) as error:
        await SqliteStore.open(path)
    assert read_bytes(path) == before
    assert str(path) in str(error.value)
    return str(error.value)


async def test_a_newer_database_is_refused(tmp_path: Path) -> None:
    path = await made(tmp_path / "chatd.db")
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version = {migrations.VERSION + 1}")
    connection.close()
    assert "newer" in await refused(path)


async def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "chatd.db"
    path.write_bytes(b"this is a text, not a database\n" * 500)
    assert "damaged" in await refused(path)


async def test_a_database_with_a_destroyed_first_page_is_refused(
    tmp_path: Path,
) -> None:
    path = await made(tmp_path / "chatd.db")
    with path.open("rb+") as file:
        file.seek(100)
        file.write(os.urandom(3996))
    assert "damaged" in await refused(path)


async def test_a_foreign_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "chatd.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE meta (precious TEXT)")
    connection.commit()
    connection.close()
    schema = schema_of(path)
    with pytest.raises(StoreError, match=r"chatd\.db"):
        await SqliteStore.open(path)
    assert schema_of(path) == schema


async def test_a_folder_that_is_missing_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "missing" / "chatd.db"
    with pytest.raises(StoreError, match="folder"):
        await SqliteStore.open(path)


async def test_check_finds_a_destroyed_page(tmp_path: Path) -> None:
    path = await made(tmp_path / "chatd.db")
    size = path.stat().st_size
    with path.open("rb+") as file:
        file.seek(size - size % 4096 - 4096)
        file.write(b"\xaa" * 4096)
    store = await SqliteStore.open(path)
    found = list(await store.check())
    await store.close()
    assert found
    assert all("damaged" in sentence for sentence in found)


async def test_check_finds_a_broken_chain(tmp_path: Path) -> None:
    path = tmp_path / "chatd.db"
    store = await SqliteStore.open(path)
    room = await make_room(store)
    for n in range(3):
        await store.append(room.id, text("alice", str(n)))
    await store.close()
    connection = sqlite3.connect(path)
    connection.execute("DELETE FROM blocks WHERE first = 2")
    connection.commit()
    connection.close()
    store = await SqliteStore.open(path)
    found = list(await store.check())
    await store.close()
    assert any("ops" in sentence for sentence in found)


async def with_a_file(path: Path) -> Path:
    """Return ``path``, with a database that has a room with a stored file."""
    store = await SqliteStore.open(path)
    room = await make_room(store)
    file = await store.execute(BeginFile(a_file(room.id), 9))
    await store.append(room.id, file_entry(file), SealFile(file.id))
    assert await store.check() == []
    await store.close()
    return path


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        ("UPDATE files SET seq = seq + 1", "not there"),
        ("UPDATE files SET chat = 99", "not there"),
        ("UPDATE contents SET files = 7", "sums"),
        ("DELETE FROM contents", "sums"),
        ("UPDATE file_sums SET bytes = 1 WHERE owner = 'alice'", "sums"),
        ("UPDATE file_sums SET bytes = 1 WHERE owner = ''", "sums"),
    ],
)
async def test_check_finds_damaged_records_of_files(
    tmp_path: Path, harm: str, words: str
) -> None:
    path = await with_a_file(tmp_path / "chatd.db")
    connection = sqlite3.connect(path)
    connection.execute(harm)
    connection.commit()
    connection.close()
    store = await SqliteStore.open(path)
    (sentence,) = await store.check()
    await store.close()
    assert words in sentence


async def test_no_question_about_files_looks_at_all_of_them(tmp_path: Path) -> None:
    path = await made(tmp_path / "chatd.db")
    connection = sqlite3.connect(path)
    asked: list[str] = []
    connection.set_trace_callback(asked.append)
    files.begin(connection, BeginFile(a_file(1), 9))
    files.find(connection, "f-1")
    files.seal(connection, 1, 1, 1_000, "f-1")
    files.files_of(connection, 1, None, 50, 0)
    files.usage(connection, "alice")
    files.is_content_used(connection, "00")
    files.drop(connection, DropFile("f-1"))
    files.expire(connection, ExpireFiles(500, 500, 50))
    changes.forget_user(connection, ForgetUser("alice"))
    connection.set_trace_callback(None)
    plans = [
        row[3]
        for question in asked
        if not question.startswith(("BEGIN", "--"))
        for row in connection.execute(f"EXPLAIN QUERY PLAN {question}")
    ]
    connection.close()
    assert len(plans) > len(asked) / 2
    assert [plan for plan in plans if plan.startswith("SCAN files")] == []


SCHEMAS = Path(__file__).parent / "schemas"


def add_migration(monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Add a migration after the newest schema."""
    monkeypatch.setattr(migrations, "MIGRATIONS", [*migrations.MIGRATIONS, script])
    monkeypatch.setattr(migrations, "VERSION", migrations.VERSION + 1)


async def test_an_upgraded_old_schema_equals_a_fresh_one(tmp_path: Path) -> None:
    path = await made(tmp_path / "fresh.db")
    assert len(migrations.MIGRATIONS) + 1 == migrations.VERSION
    for version in range(1, migrations.VERSION):
        upgraded = tmp_path / f"{version}.db"
        connection = sqlite3.connect(upgraded)
        connection.executescript((SCHEMAS / f"{version}.sql").read_text())
        connection.close()
        await (await SqliteStore.open(upgraded)).close()
        assert schema_of(upgraded) == schema_of(path)


async def test_a_database_of_version_1_is_upgraded_with_all_it_holds(
    tmp_path: Path,
) -> None:
    newest = await SqliteStore.open(tmp_path / "newest.db")
    room = await make_room(newest)
    drafts = [text("alice", str(n), f"key-{n}") for n in range(300)]
    await append_all(newest, [(room.id, draft) for draft in drafts])
    await newest.close()
    path = tmp_path / "chatd.db"
    connection = sqlite3.connect(path)
    connection.executescript((SCHEMAS / "1.sql").read_text())
    connection.execute("DELETE FROM meta")
    connection.execute("ATTACH ? AS newest", (str(tmp_path / "newest.db"),))
    for table in ("meta", "chats", "members", "blocks", "streams", "runs", "keys"):
        columns = ", ".join(
            row[1] for row in connection.execute(f"PRAGMA main.table_info({table})")
        )
        connection.execute(
            f"INSERT INTO {table} ({columns}) SELECT {columns} FROM newest.{table}"
        )
    connection.commit()
    log_id = connection.execute("SELECT value FROM meta WHERE key = 'log'").fetchone()
    connection.close()
    for _ in range(2):
        store = await SqliteStore.open(path)
        assert (store.log_id,) == log_id
        assert await store.find_room("ops") == room
        entries = (await read_all(store, room.id))[1:]
        assert [(e.tail, e.key) for e in entries] == [(d.tail, d.key) for d in drafts]
        assert await store.execute(FindKey(room.id, "alice", "key-7")) == entries[7]
        assert await store.check() == []
        file = a_file(room.id)
        assert await store.execute(BeginFile(file, 9)) == file
        await store.close()


async def test_a_migration_that_fails_leaves_the_old_schema(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = await made(tmp_path / "chatd.db")
    schema = schema_of(path)
    script = "CREATE TABLE more (x);\nCREATE TABLE broken (;\n"
    add_migration(monkeypatch, script)
    with pytest.raises(StoreError):
        await SqliteStore.open(path)
    assert schema_of(path) == schema


async def test_a_migration_is_run_once_and_keeps_the_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = await made(tmp_path / "chatd.db")
    script = "CREATE TABLE more (\n  x\n);\nINSERT INTO more VALUES (1);\n"
    add_migration(monkeypatch, script)
    for _ in range(2):
        store = await SqliteStore.open(path)
        room = await store.find_room("ops")
        assert room is not None
        assert len(await read_all(store, room.id)) == 100
        await store.close()
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT count(*) FROM more").fetchone() == (1,)
    connection.close()


async def test_commits_are_synced_to_the_disk(tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path / "chatd.db")
    connection = store._database._connection
    assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    await store.close()


async def test_a_new_log_id_is_given_to_a_restored_database(tmp_path: Path) -> None:
    path = await made(tmp_path / "chatd.db")
    store = await SqliteStore.open(path)
    before = store.log_id
    await store.close()
    SqliteCopy(path).renew_log_id()
    store = await SqliteStore.open(path)
    assert store.log_id != before
    await store.close()


async def test_an_io_error_is_unavailable_and_everything_queued_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = await SqliteStore.open(tmp_path / "chatd.db")
    chat = (await store.execute(OpenDirect("alice", "bob"))).id
    database = store._database
    commit = database._commit

    def fail(batch: object) -> None:
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode = sqlite3.SQLITE_IOERR
        raise error

    monkeypatch.setattr(database, "_commit", fail)
    done: asyncio.Queue[list[Append]] = asyncio.Queue()
    for n in range(3):
        draft = text("alice", str(n), f"k{n}")
        store.append_nowait(Append(chat, draft, done.put_nowait))
        await asyncio.sleep(0)
    failed = [append for _ in range(3) for append in await done.get()]
    assert [a.error.code for a in failed if a.error] == ["unavailable"] * 3
    monkeypatch.setattr(database, "_commit", commit)
    again = await append_all(
        store, [(chat, text("alice", str(n), f"k{n}")) for n in range(3)]
    )
    assert [append.duplicate for append in again] == [False] * 3
    assert len(await read_all(store, chat)) == 3
    await store.close()


async def test_a_commit_whose_answer_was_lost_is_found_by_its_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = await SqliteStore.open(tmp_path / "chatd.db")
    chat = (await store.execute(OpenDirect("alice", "bob"))).id
    database = store._database
    commit = database._commit

    def commit_and_fail(batch: list[object]) -> None:
        commit(batch)  # type: ignore[arg-type]
        raise OSError("the disk did not answer")

    wanted = [(chat, text("alice", str(n), f"q2w3e4r5t6y7u8i9-{n}")) for n in range(9)]
    monkeypatch.setattr(database, "_commit", commit_and_fail)
    lost = await append_all(store, wanted)
    assert {a.error.code for a in lost if a.error is not None} == {"unavailable"}
    monkeypatch.setattr(database, "_commit", commit)
    again = await append_all(store, wanted)
    assert all(append.duplicate for append in again)
    assert [e.seq for e in await read_all(store, chat)] == [a.seq for a in again]
    await store.close()


async def test_unread_is_counted_on_from_where_it_was_counted_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    starts: list[int] = []
    count = queries.count

    def counting(
        connection: sqlite3.Connection, chat: int, after: int, user: str, cap: int
    ) -> int:
        starts.append(after)
        return count(connection, chat, after, user, cap)

    monkeypatch.setattr(queries, "count", counting)
    store = await SqliteStore.open(tmp_path / "chatd.db")
    chat = (await store.execute(OpenDirect("alice", "bob"))).id
    last = 0
    for n in range(5):
        last = (await store.append(chat, text("alice", str(n)))).seq
    unread = [(await store.chats_of("bob"))[0].unread]
    last_but_one = last
    last = (await store.append(chat, text("alice", "more"))).seq
    unread.append((await store.chats_of("bob"))[0].unread)
    store.advance(chat, "bob", last_but_one)
    unread.append((await store.chats_of("bob"))[0].unread)
    unread.append((await store.chats_of("bob"))[0].unread)
    assert unread == [5, 6, 1, 1]
    assert starts == [0, last_but_one, last_but_one]
    await store.close()
