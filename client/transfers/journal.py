"""The journal of transfers on disk: what is needed to resume them after a kill.

How many bytes were moved is not in here: of a download that is the size of its partial
file, of an upload the server knows it. Rows belong to the process that holds the lock
file of their owner's name, so that two processes of one user never move the same file;
the rows of a process that died are adopted by the next one that opens the journal.
A process that requests the same transfer again takes it over from there
(``adoption``).

All calls block (a commit waits for the disk) and may come from any thread.
"""

import contextlib
import os
import secrets
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from client.errors import TransferError
from client.storage.row_owner import RowOwner
from client.storage.sqlite import NewerDatabaseError, open_or_salvage
from client.transfers import adoption
from client.transfers.records import (
    COLUMNS,
    INSERT,
    SCHEMA,
    UPDATE,
    VERSION,
    TransferRecord,
    record_from,
    salvage,
    values_of,
)

# 16 bytes are 128 random bits: more than the 96 that a key has to begin with.
_RANDOM_BYTES = 16


class JournalError(TransferError):
    """The journal of transfers cannot be used."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason, "unwritable")


class TakenOverError(JournalError):
    """Another process has taken the transfer over and continues it."""

    def __init__(self) -> None:
        super().__init__("another chat of yours goes on with it")
        self.code = "taken"


class Journal:
    """The transfers of this process that are not over; made by opening it.

    Args:
        path: The file; None keeps the rows in memory alone.
        on_notice: Called with a sentence when something was wrong with the file.

    Attributes:
        adopted: The transfers of ended processes, oldest first.

    Raises:
        JournalError: The file cannot be opened or made.
    """

    def __init__(
        self, path: Path | None, on_notice: Callable[[str], None] | None = None
    ) -> None:
        self._path = path
        self._on_notice = on_notice
        self._prefix = secrets.token_urlsafe(_RANDOM_BYTES)
        self._counter = 0
        self._last_unkept_id = 0
        self._guard = threading.Lock()
        self._owner: RowOwner | None = None
        self.adopted: list[TransferRecord] = []
        try:
            self._db = self._open()
            try:
                self._adopt()
            except BaseException:
                self._db.close()
                raise
        except (OSError, sqlite3.Error, NewerDatabaseError) as error:
            raise JournalError(
                f"the journal of transfers {path} cannot be used: {error}"
            ) from error

    def close(self) -> None:
        """Leave unfinished transfers to the next process."""
        with self._guard:
            rest = self._owned()
            self._db.close()
            if self._owner is not None:
                self._owner.release(has_rows=bool(rest))

    def new_key(self) -> str:
        """Return a key that was never used."""
        with self._guard:
            self._counter += 1
            return f"{self._prefix}-{self._counter}"

    def add(self, record: TransferRecord, *, is_kept: bool = True) -> TransferRecord:
        """Insert a transfer, and return it with its id and a key.

        Args:
            record: The transfer that begins.
            is_kept: Whether it is resumed after this process; if not, only its id and
                key are made, and nothing is written, now or later.

        Raises:
            JournalError: It could not be written.
        """
        record = msgspec.structs.replace(record, key=record.key or self.new_key())
        if not is_kept:
            with self._guard:
                self._last_unkept_id -= 1
                return msgspec.structs.replace(record, id=self._last_unkept_id)
        with self._writing():
            found = self._db.execute(
                INSERT, (self._prefix, *values_of(record))
            ).lastrowid
        return msgspec.structs.replace(record, id=found)

    def update(self, record: TransferRecord) -> None:
        """Replace the record of a transfer.

        Raises:
            TakenOverError: It was taken over by another process, or removed.
            JournalError: It could not be written.
        """
        if record.id < 0:
            return
        with self._writing():
            values = (*values_of(record), record.id, self._prefix)
            if not self._db.execute(UPDATE, values).rowcount:
                raise TakenOverError

    def remove(self, record: TransferRecord, *, is_sent: bool = False) -> None:
        """Delete a transfer that is over, unless another process has taken it over.

        Args:
            record: The transfer.
            is_sent: Whether it succeeded: if it was adopted and has not been requested
                again yet, that is remembered for a later request.

        Raises:
            JournalError: It could not be written.
        """
        mine = (record.id, self._prefix)
        with self._writing():
            if is_sent and self._owns(record):
                adoption.note_sent(self._db, record)
            self._db.execute("DELETE FROM transfers WHERE id = ? AND owner = ?", mine)

    def owns(self, record: TransferRecord) -> bool:
        """Whether a transfer still belongs to this process.

        Raises:
            JournalError: The journal cannot be read.
        """
        with self._writing():
            return record.id < 0 or self._owns(record)

    def ask_again(self, record: TransferRecord) -> bool:
        """Record that an adopted transfer was requested again, in this process.

        Returns:
            Whether it still belongs to this process.

        Raises:
            JournalError: It could not be written.
        """
        with self._writing():
            if not self._owns(record):
                return False
            self._db.execute("DELETE FROM adopted WHERE id = ?", (record.id,))
            return True

    def take(self, record: TransferRecord) -> TransferRecord | None:
        """Take over the same transfer from another process; see ``adoption``.

        Args:
            record: The transfer that is requested.

        Returns:
            The transfer as it was left, which now belongs to this process; None if
            there is none to be taken.

        Raises:
            JournalError: It could not be written.
        """
        owner = self._owner
        if owner is None:
            return None
        with self._writing():
            found = adoption.take(self._db, self._prefix, record, owner.is_gone)
            return None if found is None else self._owned("AND id = ?", found)[0]

    def paths(self) -> set[Path]:
        """Return the files that transfers of any process send or have saved."""
        with self._guard:
            rows = self._db.execute(
                "SELECT path FROM transfers WHERE path IS NOT NULL"
            ).fetchall()
        return {Path(os.fsdecode(path)) for (path,) in rows}

    # Inside ---------------------------------------------------------------------------

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """Run the body in one transaction.

        Raises:
            JournalError: It could not be written.
        """
        with self._guard:
            try:
                self._db.execute("BEGIN IMMEDIATE")
                yield
                self._db.execute("COMMIT")
            except (sqlite3.Error, OSError) as error:
                raise JournalError(
                    f"the transfer could not be written down: {error}"
                ) from error
            finally:
                with contextlib.suppress(sqlite3.Error):
                    self._db.rollback()

    def _owns(self, record: TransferRecord) -> bool:
        found = self._db.execute(
            "SELECT 1 FROM transfers WHERE id = ? AND owner = ?",
            (record.id, self._prefix),
        )
        return found.fetchone() is not None

    def _open(self) -> sqlite3.Connection:
        db, damage = open_or_salvage(self._path, SCHEMA, VERSION, salvage)
        if damage is not None and self._on_notice is not None:
            self._on_notice(
                f"the journal of transfers was damaged ({damage.reason}) and moved to "
                f"{damage.aside}; {damage.saved} transfers could be saved from it"
            )
        return db

    def _adopt(self) -> None:
        """Take over the rows of ended processes."""
        if self._path is None:
            return
        db = self._db
        self._owner = RowOwner(self._path, "transfers", self._prefix)
        with self._owner.claiming(db) as gone:
            for owner in gone:
                adoption.adopt(db, self._prefix, owner)
            self.adopted = self._owned()
            adoption.forget_old(db)

    def _owned(self, condition: str = "", *values: int) -> list[TransferRecord]:
        rows = self._db.execute(
            f"SELECT {COLUMNS} FROM transfers WHERE owner = ? {condition} "  # noqa: S608
            "ORDER BY id",
            (self._prefix, *values),
        )
        return [record_from(values) for values in rows.fetchall()]
