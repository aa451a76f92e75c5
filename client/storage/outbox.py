"""The outbox on disk: a request stays here until the server has answered.

Rows belong to one process, so that two of one user never send the same row; those of a
process that died are adopted by the next one that opens the outbox. Items are committed
with ``synchronous = FULL`` off the event loop, those that arrive meanwhile in one
commit.
"""

import asyncio
import contextlib
import secrets
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import msgspec

from chatd.protocol.messages import (
    InvalidBodyError,
    Request,
    encode_message,
    parse_request,
)
from chatd.system.tasks import Drain
from client.errors import LinkError
from client.model.entries import OutboxItem
from client.storage.row_owner import RowOwner, salvage_rows
from client.storage.sqlite import open_or_salvage

_VERSION = 2
_SCHEMA = """
CREATE TABLE IF NOT EXISTS items (
    id INTEGER PRIMARY KEY AUTOINCREMENT, owner TEXT NOT NULL,
    chat TEXT NOT NULL, text TEXT NOT NULL, kind TEXT NOT NULL, reply_to INTEGER,
    key TEXT NOT NULL UNIQUE, created_ms INTEGER NOT NULL,
    state TEXT NOT NULL, code TEXT, reason TEXT, type TEXT, body TEXT
)
"""
# Version 1 had messages only, in columns; a running process of it goes on with them.
_UPGRADES = {
    1: "ALTER TABLE items ADD COLUMN type TEXT; ALTER TABLE items ADD COLUMN body TEXT"
}
_OLD_FIELDS = (
    "owner, id, chat, text, kind, reply_to, key, created_ms, state, code, reason"
)
_INSERT = (
    "INSERT INTO items"
    " (owner, chat, text, kind, key, created_ms, state, code, reason, type, body)"
    " VALUES (?, ?, '', '', ?, ?, ?, ?, ?, ?, ?)"
)
_SELECT = (
    "SELECT id, chat, key, coalesce(body, json_object('type', 'send', 'chat', chat,"
    " 'text', text, 'kind', kind, 'reply_to', reply_to, 'key', key)),"
    " created_ms, state, code, reason FROM items WHERE owner = ? ORDER BY id"
)
_UPDATE = "UPDATE items SET key = ?, state = ?, code = ?, reason = ? WHERE id = ?"

# 16 bytes are 128 random bits: more than the 96 that a key has to begin with.
_RANDOM_BYTES = 16

OnAdded = Callable[[OutboxItem], None]


class _Job(msgspec.Struct, frozen=True):
    """Something to write; ``done`` and ``on_added`` belong to an item that is new."""

    what: Literal["add", "update", "remove"]
    item: OutboxItem
    done: asyncio.Future[OutboxItem] | None = None
    on_added: OnAdded | None = None


class OutboxError(LinkError):
    """A message could not be written to the outbox, so it was not sent either."""


class Outbox:
    """The outbox items of this process, oldest first; opens the file when made.

    Args:
        path: The file; None keeps the items in memory alone.
        on_notice: Called with a sentence when the file was damaged.

    Attributes:
        items: By id, in the order in which they were written.

    Raises:
        OutboxError: The file cannot be opened or made.
    """

    def __init__(
        self, path: Path | None, on_notice: Callable[[str], None] | None = None
    ) -> None:
        self._path = path
        self._on_notice = on_notice
        self._prefix = secrets.token_urlsafe(_RANDOM_BYTES)
        self._counter = 0
        self._jobs: list[_Job] = []
        self._drain = Drain(self._flush)
        self._owner: RowOwner | None = None
        self.items: dict[int, OutboxItem] = {}
        try:
            self._db = self._open()
            self._adopt()
        except (OSError, sqlite3.Error) as error:
            raise OutboxError(f"the outbox {path} cannot be used: {error}") from error

    async def close(self) -> None:
        """Write what is not written yet; waiting items stay for the next process."""
        await self._drain.idle()
        self._db.close()
        if self._owner is not None:
            self._owner.release(has_rows=bool(self.items))

    async def add(
        self,
        chat: str,
        request: Request,
        on_added: OnAdded | None = None,
    ) -> OutboxItem:
        """Store a request, which is given a key; when this returns it is on the disk.

        Cancelling does not withdraw it. ``on_added`` is called with the item once it is
        on the disk, in the order of the calls of this.

        Raises:
            OutboxError: It could not be written.
        """
        key = self._next_key()
        if "key" in request.__struct_fields__:
            request = msgspec.structs.replace(request, key=key)
        draft = OutboxItem(
            id=0,
            chat=chat,
            key=key,
            request=request,
            created_ms=time.time_ns() // 1_000_000,
        )
        done: asyncio.Future[OutboxItem] = asyncio.get_running_loop().create_future()
        self._push(_Job("add", draft, done, on_added))
        return await asyncio.shield(done)

    def refuse(self, item: OutboxItem) -> None:
        """Record that the server refused an item; it is written soon."""
        self.items[item.id] = item
        self._push(_Job("update", item))

    def remove(self, item: OutboxItem) -> None:
        """Drop an item that was sent, or is not wanted any more.

        The deletion is written soon; if that fails the item is sent again with the same
        key, which the server recognises.
        """
        if self.items.pop(item.id, None) is not None:
            self._push(_Job("remove", item))

    async def renew(
        self, item: OutboxItem, on_added: OnAdded | None = None
    ) -> OutboxItem:
        """Store a refused item again as waiting, at the end and with a new key."""
        self.remove(item)
        return await self.add(item.chat, item.request, on_added)

    # Inside ---------------------------------------------------------------------------

    def _next_key(self) -> str:
        self._counter += 1
        return f"{self._prefix}-{self._counter}"

    def _push(self, job: _Job) -> None:
        self._jobs.append(job)
        self._drain.wake()

    async def _flush(self) -> None:
        jobs, self._jobs = self._jobs, []
        try:
            written = await asyncio.to_thread(self._write, jobs)
        except sqlite3.Error as error:
            reason = f"the message could not be kept on disk: {error}"
            for job in jobs:
                if job.done is not None:
                    job.done.set_exception(OutboxError(reason))
                    # The caller may have been cancelled: then this alone retrieves it.
                    job.done.exception()
            return
        for job, item in written:
            self.items[item.id] = item
            if job.on_added is not None:
                job.on_added(item)
            if job.done is not None:
                job.done.set_result(item)

    def _write(self, jobs: list[_Job]) -> list[tuple[_Job, OutboxItem]]:
        added = []
        db = self._db
        db.execute("BEGIN IMMEDIATE")
        try:
            for job in jobs:
                item = job.item
                if job.what == "add":
                    found = db.execute(_INSERT, _row(self._prefix, item)).lastrowid
                    assert found is not None
                    added.append((job, msgspec.structs.replace(item, id=found)))
                elif job.what == "update":
                    state = (item.key, item.state, item.code, item.reason, item.id)
                    db.execute(_UPDATE, state)
                else:
                    db.execute("DELETE FROM items WHERE id = ?", (item.id,))
            db.execute("COMMIT")
        except BaseException:
            db.rollback()
            raise
        return added

    def _open(self) -> sqlite3.Connection:
        db, damage = open_or_salvage(self._path, _SCHEMA, _VERSION, _salvage, _UPGRADES)
        if damage is not None and self._on_notice is not None:
            self._on_notice(
                f"the outbox was damaged ({damage.reason}) and moved to "
                f"{damage.aside}; {damage.saved} messages could be saved from it"
            )
        return db

    def _adopt(self) -> None:
        """Take over the rows of processes that are gone."""
        if self._path is None:
            return
        self._owner = RowOwner(self._path, "items", self._prefix)
        with self._owner.claiming(self._db) as gone:
            self._db.executemany(
                "UPDATE items SET owner = ? WHERE owner = ?",
                [(self._prefix, owner) for owner in gone],
            )
            rows = self._db.execute(_SELECT, (self._prefix,)).fetchall()
        for id_, chat, key, body, created_ms, state, code, reason in rows:
            # What is not understood stays where it is, for the program that does.
            with contextlib.suppress(InvalidBodyError):
                self.items[id_] = OutboxItem(
                    id=id_,
                    chat=chat,
                    key=key,
                    request=parse_request(body.encode()),
                    created_ms=created_ms,
                    state=state,
                    code=code,
                    reason=reason,
                )


def _row(owner: str, item: OutboxItem) -> list[object]:
    body = encode_message(item.request).decode()
    kind = type(item.request).__struct_config__.tag
    state = [item.key, item.created_ms, item.state, item.code, item.reason]
    return [owner, item.chat, *state, kind, body]


def _salvage(damaged: Path, db: sqlite3.Connection) -> int:
    return salvage_rows(
        damaged, db, "items", f"{_OLD_FIELDS}, type, body"
    ) or salvage_rows(damaged, db, "items", _OLD_FIELDS)
