"""The outbox on disk: no message is lost, none is sent by two processes."""

import asyncio
import signal
import sqlite3
import sys
from pathlib import Path

import pytest

from chatd.protocol.messages import Send, Topic
from client.storage.outbox import Outbox, OutboxError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "outbox.db"


def stored(path: Path) -> list[str]:
    db = sqlite3.connect(path)
    try:
        return [
            row[0]
            for row in db.execute(
                "SELECT json_extract(body, '$.text') FROM items ORDER BY id"
            )
        ]
    finally:
        db.close()


def said(text: str) -> Send:
    return Send(chat="#ops", text=text)


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def locks(path: Path) -> list[Path]:
    return list(path.parent.glob(f"{path.name}.*.lock"))


def damage(path: Path) -> None:
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(size * 3 // 4)
        file.write(b"\xff" * (size // 8))


def texts(outbox: Outbox) -> list[str]:
    return [item.text for item in outbox.items.values()]


async def test_an_item_is_on_the_disk_when_add_returns(path: Path) -> None:
    outbox = Outbox(path)
    item = await outbox.add("#ops", said("hello"))
    assert stored(path) == ["hello"]
    assert (item.state, item.chat) == ("waiting", "#ops")
    assert mode(path) == 0o600
    await outbox.close()


async def test_keys_begin_with_enough_chance_and_differ(path: Path) -> None:
    outbox, other = Outbox(path), Outbox(None)
    items = [await outbox.add("#ops", said("a")), await other.add("#ops", said("a"))]
    items.append(await outbox.add("#ops", said("b")))
    prefixes = [item.key.rpartition("-")[0] for item in items]
    assert prefixes[0] == prefixes[2] != prefixes[1]
    assert all(len(prefix) * 6 >= 96 for prefix in prefixes)
    assert len({item.key for item in items}) == 3
    assert all(len(item.key) <= 64 for item in items)
    await outbox.close()
    await other.close()


async def test_items_added_at_once_keep_their_order(path: Path) -> None:
    outbox = Outbox(path)
    wanted = [str(number) for number in range(100)]
    added: list[str] = []
    await asyncio.gather(
        *(
            outbox.add("#ops", said(text), on_added=lambda i: added.append(i.text))
            for text in wanted
        )
    )
    assert added == texts(outbox) == stored(path) == wanted
    await outbox.close()


async def test_the_next_process_takes_over_with_the_same_keys(path: Path) -> None:
    first = Outbox(path)
    item = await first.add(
        "#ops", Send(chat="#ops", text="hello", kind="action", reply_to=7)
    )
    await first.close()
    second = Outbox(path)
    assert list(second.items.values()) == [item]
    await second.close()


async def test_a_killed_process_loses_nothing(path: Path) -> None:
    code = (
        "import asyncio, os, signal, sys, pathlib\n"
        "from chatd.protocol.messages import Send\n"
        "from client.storage.outbox import Outbox\n"
        "async def main():\n"
        "    outbox = Outbox(pathlib.Path(sys.argv[1]))\n"
        "    sends = [Send(chat='#ops', text=str(i)) for i in range(5)]\n"
        "    await asyncio.gather(*(outbox.add('#ops', send) for send in sends))\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "asyncio.run(main())\n"
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, path)
    assert await process.wait() == -signal.SIGKILL
    outbox = Outbox(path)
    assert texts(outbox) == ["0", "1", "2", "3", "4"]
    await outbox.close()


async def test_what_a_running_process_owns_is_left_to_it(path: Path) -> None:
    first = Outbox(path)
    await first.add("#ops", said("mine"))
    second = Outbox(path)
    assert texts(second) == []
    await first.close()
    third = Outbox(path)
    assert texts(third) == ["mine"]
    await second.close()
    await third.close()


async def test_removed_items_are_gone_from_the_disk(path: Path) -> None:
    outbox = Outbox(path)
    outbox.remove(await outbox.add("#ops", said("hello")))
    await outbox.close()
    assert stored(path) == []
    assert locks(path) == []


async def test_a_renewed_item_has_a_new_key_and_place(path: Path) -> None:
    outbox = Outbox(path)
    first = await outbox.add("#ops", said("first"))
    await outbox.add("#ops", said("second"))
    again = await outbox.renew(first)
    assert again.key != first.key
    assert texts(outbox) == ["second", "first"]
    await outbox.close()


async def test_cancelling_does_not_take_a_message_back(path: Path) -> None:
    outbox = Outbox(path)
    task = asyncio.create_task(outbox.add("#ops", said("hello")))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await outbox.close()
    assert stored(path) == ["hello"]


async def test_a_failed_write_is_told_to_the_writer(path: Path) -> None:
    outbox = Outbox(path)
    await outbox.add("#ops", said("kept"))
    outbox._db.execute("PRAGMA query_only = 1")
    with pytest.raises(OutboxError, match="kept on disk"):
        await outbox.add("#ops", said("not kept"))
    outbox._db.execute("PRAGMA query_only = 0")
    assert texts(outbox) == ["kept"]
    await outbox.close()


async def test_a_damaged_outbox_gives_back_what_can_be_read(path: Path) -> None:
    outbox = Outbox(path)
    for number in range(200):
        await outbox.add("#ops", said(f"{number} " + "x" * 300))
    await outbox.close()
    damage(path)
    notices: list[str] = []
    again = Outbox(path, notices.append)
    assert 50 < len(again.items) < 200
    assert texts(again)[0].startswith("0 ")
    assert "moved" in notices[0]
    await again.close()


async def test_lock_files_of_the_killed_are_cleared_but_not_those_of_the_living(
    path: Path,
) -> None:
    alive = Outbox(path)
    # A process killed with an empty outbox leaves only this.
    path.with_name(f"{path.name}.gone.lock").touch()
    (kept,) = [lock for lock in locks(path) if "gone" not in lock.name]
    after = Outbox(path)
    assert kept in locks(path)
    assert len(locks(path)) == 2
    await after.close()
    await alive.close()
    assert locks(path) == []


V1 = """
CREATE TABLE items (
    id INTEGER PRIMARY KEY AUTOINCREMENT, owner TEXT NOT NULL,
    chat TEXT NOT NULL, text TEXT NOT NULL, kind TEXT NOT NULL, reply_to INTEGER,
    key TEXT NOT NULL UNIQUE, created_ms INTEGER NOT NULL,
    state TEXT NOT NULL, code TEXT, reason TEXT
);
INSERT INTO items VALUES
    (3, 'gone', '#ops', 'say "hi" \\ é', 'action', 7, 'k-1', 5, 'waiting', NULL, NULL),
    (4, 'gone', '@bob', 'no', 'text', NULL, 'k-2', 6, 'refused', 'muted', 'not now');
PRAGMA user_version = 1;
"""


@pytest.mark.parametrize("is_damaged", [False, True])
async def test_what_waits_in_an_old_outbox_is_taken_over(
    path: Path, is_damaged: bool
) -> None:
    db = sqlite3.connect(path)
    db.executescript(V1)
    if is_damaged:
        # Enough rows that those before the damage are on other pages.
        rows = [(f"k{n}", "x" * 300) for n in range(200)]
        db.executemany(
            "INSERT INTO items (owner, chat, text, kind, key, created_ms, state)"
            " VALUES ('gone', '#ops', ?2, 'text', ?1, 1, 'waiting')",
            rows,
        )
        db.commit()
    db.close()
    if is_damaged:
        damage(path)
    for _ in range(2):
        outbox = Outbox(path)
        first, second = list(outbox.items.values())[:2]
        assert (first.id, first.chat, first.key) == (3, "#ops", "k-1")
        assert first.request == Send(
            chat="#ops", text='say "hi" \\ é', key="k-1", reply_to=7, kind="action"
        )
        assert (first.created_ms, first.state) == (5, "waiting")
        assert (second.text, second.state, second.reason) == (
            "no",
            "refused",
            "not now",
        )
        await outbox.add("#ops", said("new"))
        await outbox.close()


async def test_a_running_process_of_the_old_version_goes_on(path: Path) -> None:
    old = sqlite3.connect(path)
    old.executescript(V1)
    outbox = Outbox(path)
    insert = "INSERT INTO items (owner, chat, text, kind, key, created_ms, state)"
    old.execute(
        f"{insert} VALUES ('old', '#ops', 'still', 'text', 'k-3', 7, 'waiting')"
    )
    old.commit()
    old.close()
    await outbox.close()
    again = Outbox(path)
    assert texts(again)[-1] == "still"
    await again.close()


async def test_any_request_waits_in_the_outbox(path: Path) -> None:
    outbox = Outbox(path)
    topic = Topic(room="#ops", topic="later")
    item = await outbox.add("#ops", topic)
    await outbox.close()
    again = Outbox(path)
    assert list(again.items.values()) == [item]
    assert (item.request, item.message, item.text) == (topic, None, "/topic")
    await again.close()


async def test_a_request_that_is_not_understood_is_left_for_who_does(
    path: Path,
) -> None:
    outbox = Outbox(path)
    await outbox.add("#ops", said("known"))
    outbox._db.execute(
        "INSERT INTO items"
        " (owner, chat, text, kind, key, created_ms, state, type, body)"
        " VALUES ('gone', '#ops', '', '', 'k', 1, 'waiting', 'dance', ?)",
        ('{"type":"dance"}',),
    )
    await outbox.close()
    again = Outbox(path)
    assert texts(again) == ["known"]
    await again.close()
    db = sqlite3.connect(path)
    assert db.execute("SELECT type FROM items ORDER BY id").fetchall() == [
        ("send",),
        ("dance",),
    ]
    db.close()
