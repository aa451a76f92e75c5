"""Builds a data folder with a long history, written once by the store and kept.

- a direct chat of two users, each of whose entries was committed alone: the most
  expensive shape that a log can have;
- a user who is in many rooms with all other entries; three of them have unread ones.

It is kept in the temporary folder, under a name derived from the schema and the
sizes; a run adds a few entries, which changes nothing that is measured.
"""

import hashlib
import os
import secrets
import shutil
import tempfile
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from chatd.protocol.entries import Draft, EntryKind, encode_tail, encode_text
from chatd.store.commands import CreateRoom, MoveCursors, OpenDirect
from chatd.store.jobs import Append, Call
from chatd.store.sqlite.database import connect
from chatd.store.sqlite.machine import Machine
from chatd.store.sqlite.migrations import prepare
from chatd.store.values import AddMember
from tests.bench.target import TEXT
from tests.bench.users import make_users, user_name

# The users, by number.
ALICE, BOB, MANY, WRITER = range(4)
USERS = 4
NEWS_ROOMS = 3
NEWS_ENTRIES = 5

_TIME_MS = 1_790_000_000_000
_ROOM_BLOCK = 100
_VERSION = b"3"


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much there is: entries of the long chat and in all, rooms of the user."""

    chat: int = 1_000_000
    total: int = 3_000_000
    rooms: int = 1_000


def big_folder(sizes: Sizes, parent: Path | None = None) -> Path:
    """Return the data folder of these sizes, made if it is not there yet."""
    parent = Path(tempfile.gettempdir()) if parent is None else parent
    schema = files("chatd.store.sqlite").joinpath("schema.sql").read_bytes()
    layout = hashlib.sha256(_VERSION + schema).hexdigest()[:12]
    size = f"{sizes.chat}-{sizes.total}-{sizes.rooms}"
    name = f"chatd-bench-{os.getuid()}-{size}"
    folder = parent / f"{name}-{layout}"
    if not folder.is_dir():
        for outdated in parent.glob(f"{name}-*"):
            shutil.rmtree(outdated)
        # What a killed run left must not be taken for complete.
        unfinished = Path(tempfile.mkdtemp(prefix="chatd-bench-", dir=parent))
        try:
            _make(unfinished, sizes)
            unfinished.rename(folder)
        except BaseException:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise
    return folder


def drop_page_cache(folder: Path) -> None:
    """Make the kernel drop a folder's files from its cache, as after a reboot."""
    for path in folder.glob("chatd.db*"):
        descriptor = os.open(path, os.O_RDWR)
        try:
            os.fsync(descriptor)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(descriptor)


def _make(folder: Path, sizes: Sizes) -> None:
    make_users(folder, USERS)
    path = folder / "chatd.db"
    connection = connect(path)
    try:
        prepare(connection, path)
        # Nothing reads it until it is complete; the daemon sets its own.
        connection.execute("PRAGMA synchronous = OFF")
        machine = Machine(connection)
        _write_chat(machine, sizes.chat)
        _write_rooms(machine, sizes)
    finally:
        connection.close()
    descriptor = os.open(path, os.O_RDWR)
    os.fsync(descriptor)
    os.close(descriptor)


def _write_chat(machine: Machine, count: int) -> None:
    machine.connection.execute("BEGIN")
    opened = Call(OpenDirect(user_name(ALICE), user_name(BOB)))
    machine.apply([opened])
    chat = opened.result.id
    key = secrets.token_urlsafe(16)
    for number in range(count):
        machine.apply([_message(chat, ALICE, f"{key}-{number}")])
    cursors = [(chat, user_name(user), count) for user in (ALICE, BOB)]
    machine.apply([Call(MoveCursors(cursors))])
    machine.connection.execute("COMMIT")


def _write_rooms(machine: Machine, sizes: Sizes) -> None:
    each = max(1, (sizes.total - sizes.chat) // sizes.rooms)
    for number in range(sizes.rooms):
        machine.connection.execute("BEGIN")
        create, join = _event(WRITER, "create"), _event(MANY, "join")
        created = Call(
            CreateRoom(f"room-{number}", "public", "", create.sender, create)
        )
        machine.apply([created])
        room = created.result.id
        machine.apply([Append(room, join, _nothing, AddMember(join.sender))])
        key = secrets.token_urlsafe(16)
        messages = [_message(room, WRITER, f"{key}-{index}") for index in range(each)]
        for start in range(0, each, _ROOM_BLOCK):
            machine.apply(messages[start : start + _ROOM_BLOCK])
        cursor = messages[-1].seq
        if number < NEWS_ROOMS:
            cursor -= NEWS_ENTRIES
        machine.apply([Call(MoveCursors([(room, user_name(MANY), cursor)]))])
        machine.connection.execute("COMMIT")


def _message(chat: int, user: int, key: str) -> Append:
    draft = Draft(user_name(user), "text", _TIME_MS, _TAILS[user], key)
    return Append(chat, draft, _nothing)


def _tail(user: int) -> bytes:
    return encode_text(user_name(user), "text", _TIME_MS, TEXT.decode())


def _event(user: int, kind: EntryKind) -> Draft:
    name = user_name(user)
    return Draft(name, kind, _TIME_MS, encode_tail(name, kind, _TIME_MS, {}))


_TAILS = {user: _tail(user) for user in range(USERS)}


def _nothing(_: list[Append]) -> None:
    pass
