"""The cache: entries are there again, and a damaged file never stops the client."""

import contextlib
import shutil
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from chatd.protocol.messages import ChatRecord, FileInfo
from client.model.entries import Entry
from client.storage.cache import CHECKPOINT_COMMITS, SEARCHED_AT_ONCE, Cache


def entry(seq: int, text: str = "", chat: str = "#ops", **more: object) -> Entry:
    members = {"prev": seq - 1, "sender": "bob", "time_ms": seq, "kind": "text"}
    return Entry(chat=chat, seq=seq, text=text, **(members | more))  # type: ignore[arg-type]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "cache.db"


def test_entries_come_back_as_they_were(path: Path) -> None:
    full = entry(3, "héllo", reply_to=1, by="eve", edited_ms=9, is_deleted=True, rev=2)
    cache = Cache(path)
    cache.store([entry(1, "one"), full])
    cache.close()
    again = Cache(path)
    assert again.newest("#ops", 10) == [entry(1, "one"), full]
    again.close()


def test_no_commit_moves_the_log_into_the_file_a_thread_does(path: Path) -> None:
    cache = Cache(path)
    for seq in range(1, CHECKPOINT_COMMITS):
        cache.store([entry(seq, "x" * 20_000)])
    assert kept_without_the_log(path) == 0
    for seq in range(CHECKPOINT_COMMITS, 3 * CHECKPOINT_COMMITS + 1):
        cache.store([entry(seq, "x")])
        wait_for_thread("chat-cache")
    assert kept_without_the_log(path) == 3 * CHECKPOINT_COMMITS
    cache.close()


def kept_without_the_log(path: Path) -> int:
    """Return how many entries are in the database file itself."""
    alone = path.with_name("alone.db")
    shutil.copyfile(path, alone)
    with contextlib.closing(sqlite3.connect(alone)) as db:
        if not db.execute("SELECT 1 FROM sqlite_master").fetchall():
            return 0
        (count,) = db.execute("SELECT count(*) FROM entries").fetchone()
    return int(count)


def wait_for_thread(name: str) -> None:
    """Wait until a thread has ended, if it is there."""
    for thread in threading.enumerate():
        if thread.name == name:
            thread.join()


def test_a_file_can_still_be_fetched_after_a_restart(path: Path) -> None:
    info = FileInfo(id="id", name="a.bin", size=5, sha256="0" * 64)
    cache = Cache(path)
    cache.store([entry(1, "caption", kind="file", file=info)])
    cache.close()
    again = Cache(path)
    (found,) = again.newest("#ops", 1)
    assert found.file == info
    again.close()


def test_files_that_an_older_version_kept_are_asked_for_again(path: Path) -> None:
    cache = Cache(path)
    cache.store([entry(1), entry(2, kind="file"), entry(3)])
    cache.store(chats=[ChatRecord(chat="#ops", last=3, read=0, first=1, unread=0)])
    cache._db.execute("PRAGMA user_version = 1")
    cache.close()
    again = Cache(path)
    assert [(e.seq, e.prev) for e in again.newest("#ops", 9)] == [(1, 0), (3, 2)]
    assert again.held() == {"#ops": 3}
    again.close()


def test_pages_are_the_newest_below_a_seq() -> None:
    cache = Cache(None)
    cache.store([entry(seq) for seq in range(1, 10)])
    assert [e.seq for e in cache.newest("#ops", 3)] == [7, 8, 9]
    assert [e.seq for e in cache.older("#ops", 7, 2)] == [5, 6]
    assert cache.older("#other", 7, 2) == []
    cache.close()


def test_of_two_versions_the_higher_rev_stays() -> None:
    cache = Cache(None)
    cache.store([entry(1, "new", rev=5)])
    cache.store([entry(1, "old", rev=2)])
    assert [e.text for e in cache.newest("#ops", 1)] == ["new"]
    cache.close()


def test_chats_and_what_is_held_come_back() -> None:
    cache = Cache(None)
    ops = ChatRecord(chat="#ops", last=9, read=4, first=1, unread=2, topic="t")
    bob = ChatRecord(chat="@bob", last=0, read=0, first=1, unread=0)
    cache.store([entry(7)], [ops, bob])
    assert sorted(cache.chats(), key=lambda r: r.chat) == [ops, bob]
    assert cache.held() == {"#ops": 7}
    cache.close()


def test_a_removed_chat_leaves_nothing() -> None:
    cache = Cache(None)
    ops = ChatRecord(chat="#ops", last=9, read=4, first=1, unread=2)
    cache.store([entry(7)], [ops])
    cache.store(removed=["#ops"])
    assert (cache.chats(), cache.newest("#ops", 9)) == ([], [])
    cache.close()


def test_another_log_empties_it() -> None:
    cache = Cache(None)
    cache.store([entry(7)])
    cache.reset("log-2")
    assert (cache.log(), cache.newest("#ops", 9)) == ("log-2", [])
    cache.close()


def test_the_file_is_for_its_owner_alone(path: Path) -> None:
    Cache(path).close()
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_a_damaged_file_is_moved_aside_and_said(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"garbage" * 1_000)
    notices: list[str] = []
    cache = Cache(path, notices.append)
    cache.store([entry(1)])
    assert [e.seq for e in cache.newest("#ops", 1)] == [1]
    assert len(notices) == 1
    assert "moved" in notices[0]
    cache.close()


def test_a_file_damaged_while_in_use_is_replaced(path: Path) -> None:
    cache = Cache(path)
    cache.store([entry(seq, "x" * 500) for seq in range(1, 500)])
    cache.close()
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(size // 4)
        file.write(b"\xff" * (size // 2))
    notices: list[str] = []
    cache = Cache(path, notices.append)
    cache.newest("#ops", 500)
    cache.store([entry(900)])
    assert [e.seq for e in cache.newest("#ops", 1)] == [900]
    assert len(notices) == 1
    cache.close()


def test_a_file_of_a_newer_version_is_moved_aside(path: Path) -> None:
    cache = Cache(path)
    cache._db.execute("PRAGMA user_version = 99")
    cache.close()
    notices: list[str] = []
    Cache(path, notices.append).close()
    assert "newer version" in notices[0]


def test_two_processes_share_it(path: Path) -> None:
    one, other = Cache(path), Cache(path)
    one.store([entry(1)])
    other.store([entry(2)])
    assert [e.seq for e in one.newest("#ops", 9)] == [1, 2]
    one.close()
    other.close()


def test_entries_above_a_seq_are_the_next_ones() -> None:
    cache = Cache(None)
    cache.store([entry(seq) for seq in range(1, 10)])
    assert [e.seq for e in cache.newer("#ops", 4, 3)] == [5, 6, 7]
    assert cache.newer("#ops", 9, 3) == []


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("disk", [4, 1]),
        ("DISK F", [1]),
        ("100%", [3]),
        ("1_0", []),
        ("\\", [5]),
        ("straße", [6]),
        ("STRAßE", [6]),
        ("ОШИБК", [10]),
        ("漢*", [10]),
        ("漢?", []),
        ("漢[字]", []),
        ("core", [7]),
        ("  ", []),
        ("gone", []),
    ],
)
def test_what_was_seen_is_found_newest_first(wanted: str, found: list[int]) -> None:
    info = FileInfo(id="id", name="Core.tar", size=5, sha256="0" * 64)
    cache = Cache(None)
    cache.store(
        [
            entry(1, "Disk full on lab3"),
            entry(2, "disk elsewhere", chat="#other"),
            entry(3, "at 100% now"),
            entry(4, "another disk", kind="action"),
            entry(5, r"C:\temp"),
            entry(6, "in der Straße"),
            entry(7, kind="file", file=info),
            entry(8, "gone", is_deleted=True),
            entry(9, "disk", kind="topic"),
            entry(10, "Ошибка в 漢*字"),
        ]
    )
    assert [e.seq for e in cache.search("#ops", wanted, 10)] == found


@pytest.mark.parametrize("is_on_disk", [True, False])
def test_of_a_long_chat_the_end_is_searched_at_once_and_all_by_a_thread(
    path: Path, is_on_disk: bool
) -> None:
    cache = Cache(path if is_on_disk else None)
    cache.store(entry(seq, "talk") for seq in range(2, SEARCHED_AT_ONCE + 1))
    cache.store([entry(SEARCHED_AT_ONCE + 1, "new needle")])
    assert not cache.has_more_to_search("#ops")
    cache.store([entry(1, "old needle")])
    assert cache.has_more_to_search("#ops")
    assert [e.text for e in cache.search("#ops", "needle", 9)] == ["new needle"]
    with ThreadPoolExecutor(1) as thread:
        found = thread.submit(cache.search_all, "#ops", "needle", 9).result()
    assert [e.text for e in found] == ["new needle", "old needle"]
    cache.close()


def test_no_more_is_found_than_was_asked_for() -> None:
    cache = Cache(None)
    cache.store([entry(seq, "same") for seq in range(1, 50)])
    assert [e.seq for e in cache.search("#ops", "same", 3)] == [49, 48, 47]
