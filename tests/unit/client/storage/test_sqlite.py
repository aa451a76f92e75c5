"""SQLite files of the client: opened by several processes at the same time."""

import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TypeVar

from client.storage.sqlite import Damage, open_database, open_or_salvage

SCHEMA = "CREATE TABLE IF NOT EXISTS items (id INTEGER PRIMARY KEY)"
TOGETHER = 8
FILES = 60

R = TypeVar("R")


def at_once(action: Callable[[], R]) -> list[R]:
    """Return what ``action`` returned in threads that began at the same moment."""
    barrier = threading.Barrier(TOGETHER)

    def run() -> R:
        barrier.wait()
        return action()

    with ThreadPoolExecutor(TOGETHER) as pool:
        tasks = [pool.submit(run) for _ in range(TOGETHER)]
    return [task.result() for task in tasks]


def test_those_who_make_a_file_at_the_same_time_do_not_refuse_each_other(
    tmp_path: Path,
) -> None:
    for number in range(FILES):
        path = tmp_path / f"{number}.db"
        for db in at_once(partial(open_database, path, SCHEMA, 1, "NORMAL")):
            assert db.execute("SELECT count(*) FROM items").fetchone() == (0,)
            db.close()


def test_of_those_who_find_a_file_damaged_one_moves_it_aside(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    path.write_bytes(b"no database at all " * 1000)

    def open_it() -> tuple[sqlite3.Connection, Damage | None]:
        return open_or_salvage(path, SCHEMA, 1, lambda damaged, db: 0)

    opened = at_once(open_it)
    assert len([damage for _, damage in opened if damage is not None]) == 1
    for number, (db, _) in enumerate(opened):
        db.execute("INSERT INTO items VALUES (?)", (number,))
    (last, _) = opened[-1]
    assert last.execute("SELECT count(*) FROM items").fetchone() == (TOGETHER,)
    for db, _ in opened:
        db.close()
