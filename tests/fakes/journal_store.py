"""A toy of a second engine: a file of batches, from which the state is made anew.

What is kept is a log of commands; the database beside it is only what the machine made
of them, and is thrown away when the store is opened.
"""

import asyncio
import os
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path

from chatd.store.base import Store
from chatd.store.jobs import Job, decode_batch, encode_batch
from chatd.store.open import Engine
from chatd.store.sqlite import SqliteCopy, SqliteStore
from chatd.store.sqlite.database import connect
from chatd.store.sqlite.machine import Machine
from chatd.store.sqlite.migrations import prepare
from chatd.store.values import Effect

SUFFIX = ".journal"


class JournalMachine(Machine):
    """Writes each batch into the journal before it applies it."""

    def __init__(self, connection: sqlite3.Connection, journal: Path) -> None:
        super().__init__(connection)
        self._journal = journal
        self._good = journal.stat().st_size

    def apply(self, batch: Iterable[Job]) -> list[Effect]:
        """Apply a batch, which is one transaction."""
        jobs = list(batch)
        # What came before has been committed, or else been forgotten.
        self._good = self._journal.stat().st_size
        append_frame(self._journal, encode_batch(jobs))
        return super().apply(jobs)

    def forget(self) -> None:
        """Take the batch that failed out of the journal again."""
        super().forget()
        os.truncate(self._journal, self._good)


def append_frame(journal: Path, data: bytes) -> None:
    """Write bytes to the end, with their length before them."""
    with journal.open("ab") as file:
        file.write(len(data).to_bytes(4, "big") + data)
        file.flush()
        os.fsync(file.fileno())


def frames(journal: Path) -> Iterator[bytes]:
    """Yield all that was written; cut off what a kill has left of the last."""
    data, at = journal.read_bytes(), 0
    while len(data) >= at + 4 + (size := int.from_bytes(data[at : at + 4], "big")):
        if not size:
            break
        yield data[at + 4 : at + 4 + size]
        at += 4 + size
    os.truncate(journal, at)


async def open_journal(path: Path) -> Store:
    """Make the state from the journal, and serve it."""
    state = path.with_name(f"{path.name}-state")
    for left in path.parent.glob(f"{state.name}*"):
        left.unlink()
    log_id = await asyncio.to_thread(_replay, path, state)
    return SqliteStore(
        state, log_id, lambda connection: JournalMachine(connection, path)
    )


def _replay(journal: Path, state: Path) -> str:
    connection = connect(state)
    try:
        prepare(connection, state)
        if not journal.exists():
            (log_id,) = connection.execute(
                "SELECT value FROM meta WHERE key = 'log'"
            ).fetchone()
            append_frame(journal, log_id.encode())
        log, *batches = frames(journal)
        machine = Machine(connection)
        for batch in batches:
            connection.execute("BEGIN IMMEDIATE")
            machine.apply(decode_batch(batch))
            connection.execute("COMMIT")
    finally:
        connection.close()
    return log.decode()


JOURNAL = Engine(open_journal, SqliteCopy)
