"""SQLite connections, the writer and reader threads, and group commit.

One writer thread has the only connection that writes. The event loop hands it a batch,
and jobs that arrive while it is committed wait for the next one: no timer, and the more
arrive the larger the batches. Only the loop touches the waiting list, so when a commit
fails everything that waits fails with it, before anything else is accepted; a later
send can therefore never overtake an earlier one that was refused.

Reader threads share a queue of reads; in WAL mode they never wait for the writer.
"""

import asyncio
import logging
import queue
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from chatd.protocol.errors import (
    ServerStoppingError,
    StorageFullError,
    TemporaryError,
    UnavailableError,
)
from chatd.store.commands import Command
from chatd.store.jobs import Call, Job, fail, report, resolve
from chatd.store.sqlite.machine import Machine
from chatd.store.values import Effect

T = TypeVar("T")

READERS = 2
# Bounds how long one commit can take, and so how long others wait for theirs.
MAX_BATCH = 8_192
CACHE_KIB = 32_768
# Checkpoints copy the WAL into the database and sync both: fewer are cheaper.
CHECKPOINT_PAGES = 4_000

Batch = list[Job]

_log = logging.getLogger(__name__)


def connect(path: Path, *, for_reading: bool = False) -> sqlite3.Connection:
    """Open a connection for use by any thread, but one at a time.

    Raises:
        sqlite3.Error: It cannot be opened, or is no database.
    """
    connection = sqlite3.connect(
        path, isolation_level=None, check_same_thread=False, cached_statements=256
    )
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
        if for_reading:
            connection.execute("PRAGMA query_only = ON")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def storage_error(error: BaseException) -> TemporaryError:
    """Return the refusal that a failed write is answered with."""
    code = getattr(error, "sqlite_errorcode", None)
    if code == sqlite3.SQLITE_FULL:
        return StorageFullError("the server's disk is full; nothing was stored")
    return UnavailableError("the server could not store that; try again")


class Database:
    """Runs batches in the writer's thread and reads in the readers'.

    Args:
        path: The database file; it exists and has the right schema.
        on_committed: Called on the event loop with what a commit made visible, before
            the outcomes of its jobs are reported.
        make_machine: Makes what applies commands through the writer's connection.
    """

    def __init__(
        self,
        path: Path,
        on_committed: Callable[[list[Effect]], None],
        make_machine: Callable[[sqlite3.Connection], Machine],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._on_committed = on_committed
        self._waiting: Batch = []
        self._in_flight = False
        self._start_scheduled = False
        self._closed = False
        self._idle = asyncio.Event()
        self._idle.set()
        self._connection = connect(path)
        self.machine = make_machine(self._connection)
        self._batches: queue.SimpleQueue[Batch | None] = queue.SimpleQueue()
        self._reads: queue.SimpleQueue[_Read | None] = queue.SimpleQueue()
        self._threads = [
            threading.Thread(
                target=self._write_batches, name="store-writer", daemon=True
            )
        ]
        for number in range(READERS):
            connection = connect(path, for_reading=True)
            self._threads.append(
                threading.Thread(
                    target=self._serve_reads,
                    args=(connection,),
                    name=f"store-reader-{number}",
                    daemon=True,
                )
            )
        for thread in self._threads:
            thread.start()

    async def close(self) -> None:
        """Commit what waits, then end the threads and close the connections."""
        await self._idle.wait()
        self._closed = True
        self._batches.put(None)
        for _ in range(READERS):
            self._reads.put(None)
        for thread in self._threads:
            await self._loop.run_in_executor(None, thread.join)
        self._connection.close()

    # Writing, on the event loop -----------------------------------------------------

    def write_nowait(self, job: Job) -> None:
        """Queue a job for the next commit."""
        if self._closed:
            fail([job], ServerStoppingError("the server is stopping"))
            return
        self._waiting.append(job)
        if not self._in_flight and not self._start_scheduled:
            # At the end of this turn of the loop, so that everything which was read
            # from the network in it shares the commit.
            self._start_scheduled = True
            self._idle.clear()
            self._loop.call_soon(self._start)

    async def execute(self, command: Command[T]) -> T:
        """Have a command applied, and wait for its commit.

        Raises:
            ChatError: Its own, or that the commit failed.
        """
        future: asyncio.Future[T] = self._loop.create_future()
        self.write_nowait(Call(command, future))
        return await future

    def _start(self) -> None:
        self._start_scheduled = False
        if self._in_flight or not self._waiting:
            return
        if len(self._waiting) <= MAX_BATCH:
            batch, self._waiting = self._waiting, []
        else:
            batch = self._waiting[:MAX_BATCH]
            del self._waiting[:MAX_BATCH]
        self._in_flight = True
        self._batches.put(batch)

    def _completed(
        self, batch: Batch, effects: list[Effect], error: TemporaryError | None
    ) -> None:
        self._in_flight = False
        if error is not None:
            batch += self._waiting
            self._waiting = []
            fail(batch, error)
        else:
            # The writer goes on while what is stored is fanned out.
            self._start()
            self._tell(batch, effects)
        if not self._in_flight and not self._start_scheduled:
            if self._waiting:
                self._start()
            else:
                self._idle.set()

    def _tell(self, batch: Batch, effects: list[Effect]) -> None:
        # A bug in one callback must not leave the other jobs unanswered.
        if effects:
            try:
                self._on_committed(effects)
            except Exception:  # noqa: BLE001 - as above
                _log.exception("passing on what was committed failed")
        report(batch)

    # Writing, in the writer's thread ------------------------------------------------

    def _write_batches(self) -> None:
        while True:
            batch = self._batches.get()
            if batch is None:
                return
            effects: list[Effect] = []
            failure: TemporaryError | None = None
            try:
                effects = self._commit(batch)
            except Exception as error:  # noqa: BLE001 - every failure is answered
                self._roll_back()
                failure = storage_error(error)
                level = (
                    logging.WARNING
                    if isinstance(error, sqlite3.OperationalError)
                    else logging.ERROR
                )
                _log.log(level, "commit failed: %s", error, exc_info=level >= 40)
            self._loop.call_soon_threadsafe(self._completed, batch, effects, failure)

    def _commit(self, batch: Batch) -> list[Effect]:
        execute = self._connection.execute
        execute("BEGIN IMMEDIATE")
        effects = self.machine.apply(batch)
        execute("COMMIT")
        return effects

    def _roll_back(self) -> None:
        self.machine.forget()
        try:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        except sqlite3.Error:
            _log.exception("rollback failed")

    # Reading ------------------------------------------------------------------------

    def read(self, function: Callable[[sqlite3.Connection], T]) -> "asyncio.Future[T]":
        """Run a function in a reader's thread; it sees one consistent state."""
        future: asyncio.Future[T] = self._loop.create_future()
        self._reads.put(_Read(function, future))
        return future

    def _serve_reads(self, connection: sqlite3.Connection) -> None:
        while True:
            read = self._reads.get()
            if read is None:
                connection.close()
                return
            if read.future.cancelled():
                continue
            result: Any = None
            failure: Exception | None = None
            try:
                connection.execute("BEGIN")
                try:
                    result = read.function(connection)
                finally:
                    connection.execute("COMMIT")
            except sqlite3.Error as error:
                _log.warning("read failed: %s", error)
                failure = UnavailableError("the server could not read that; try again")
            except Exception as error:  # noqa: BLE001 - passed on to the caller
                failure = error
            self._loop.call_soon_threadsafe(resolve, read.future, result, failure)


class _Read:
    __slots__ = ("function", "future")

    def __init__(
        self,
        function: Callable[[sqlite3.Connection], Any],
        future: "asyncio.Future[Any]",
    ) -> None:
        self.function = function
        self.future = future
