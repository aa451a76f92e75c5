"""The outbox on disk: no message is lost, none is sent by two processes."""

import asyncio
import signal
import sqlite3
import sys
from pathlib import Path

import pytest

from client.storage.outbox import Outbox, OutboxError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "outbox.db"


def stored(path: Path) -> list[str]:
    db = sqlite3.connect(path)
    try:
        return [row[0] for row in db.execute("SELECT text FROM items ORDER BY id")]
    finally:
        db.close()


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
    item = await outbox.add("#ops", "hello")
    assert stored(path) == ["hello"]
    assert (item.state, item.chat) == ("waiting", "#ops")
    assert mode(path) == 0o600
    await outbox.close()


async def test_keys_begin_with_enough_chance_and_differ(path: Path) -> None:
    outbox, other = Outbox(path), Outbox(None)
    items = [await outbox.add("#ops", "a"), await other.add("#ops", "a")]
    items.append(await outbox.add("#ops", "b"))
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
            outbox.add("#ops", text, on_added=lambda i: added.append(i.text))
            for text in wanted
        )
    )
    assert added == texts(outbox) == stored(path) == wanted
    await outbox.close()


async def test_the_next_process_takes_over_with_the_same_keys(path: Path) -> None:
    first = Outbox(path)
    item = await first.add("#ops", "hello", "action", reply_to=7)
    await first.close()
    second = Outbox(path)
    assert list(second.items.values()) == [item]
    await second.close()


async def test_a_killed_process_loses_nothing(path: Path) -> None:
    code = (
        "import asyncio, os, signal, sys, pathlib\n"
        "from client.storage.outbox import Outbox\n"
        "async def main():\n"
        "    outbox = Outbox(pathlib.Path(sys.argv[1]))\n"
        "    await asyncio.gather(*(outbox.add('#ops', str(i)) for i in range(5)))\n"
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
    await first.add("#ops", "mine")
    second = Outbox(path)
    assert texts(second) == []
    await first.close()
    third = Outbox(path)
    assert texts(third) == ["mine"]
    await second.close()
    await third.close()


async def test_removed_items_are_gone_from_the_disk(path: Path) -> None:
    outbox = Outbox(path)
    outbox.remove(await outbox.add("#ops", "hello"))
    await outbox.close()
    assert stored(path) == []
    assert locks(path) == []


async def test_a_renewed_item_has_a_new_key_and_place(path: Path) -> None:
    outbox = Outbox(path)
    first = await outbox.add("#ops", "first")
    await outbox.add("#ops", "second")
    again = await outbox.renew(first)
    assert again.key != first.key
    assert texts(outbox) == ["second", "first"]
    await outbox.close()


async def test_cancelling_does_not_take_a_message_back(path: Path) -> None:
    outbox = Outbox(path)
    task = asyncio.create_task(outbox.add("#ops", "hello"))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await outbox.close()
    assert stored(path) == ["hello"]


async def test_a_failed_write_is_told_to_the_writer(path: Path) -> None:
    outbox = Outbox(path)
    await outbox.add("#ops", "kept")
    outbox._db.execute("PRAGMA query_only = 1")
    with pytest.raises(OutboxError, match="kept on disk"):
        await outbox.add("#ops", "not kept")
    outbox._db.execute("PRAGMA query_only = 0")
    assert texts(outbox) == ["kept"]
    await outbox.close()


async def test_a_damaged_outbox_gives_back_what_can_be_read(path: Path) -> None:
    outbox = Outbox(path)
    for number in range(200):
        await outbox.add("#ops", f"{number} " + "x" * 300)
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
