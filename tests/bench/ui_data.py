"""The data of a long-standing user: many chats, on the server and in the cache.

It is made once, by the store's own writer and through the real protocol, and kept in
the temporary folder; each run works on a copy.
"""

import asyncio
import hashlib
import os
import random
import secrets
import shutil
import tempfile
from collections.abc import AsyncIterator
from dataclasses import astuple, dataclass
from importlib.resources import files
from pathlib import Path

from chatd.protocol.entries import Draft, EntryKind, encode_tail, encode_text
from chatd.protocol.messages import History, HistoryPage
from chatd.store.commands import CreateRoom, MoveCursors
from chatd.store.jobs import Append, Call
from chatd.store.sqlite.database import connect
from chatd.store.sqlite.machine import Machine
from chatd.store.sqlite.migrations import prepare
from chatd.store.values import AddMember
from client.link.link import Link
from client.model.entries import Entry, entry_from_message
from client.net.address import parse_server_address
from client.storage import cache
from client.storage.paths import Paths
from client.storage.preferences import Preferences
from client.storage.saved_logins import SavedLogins
from tests.bench.daemon import Daemon
from tests.bench.process import BenchError
from tests.bench.users import PASSWORD, make_users, user_name

# The users, by number: the others are in all rooms with the reader.
READER = 0
OTHERS = range(1, 8)
BIG, SMALL = "#big", "#small"

_VERSION = b"2"
_TIME_MS = 1_790_000_000_000
_SECONDS_BETWEEN = 20
_BLOCK = 100
_PAGE = 200
_TEXT = """the disk on lab3 is at 91% again **please** clear `/scratch/tmp` or ask
@carol before the freeze until Friday see https://grafana.lab/d/abc?panel=12 looking now
deploy went fine 漢字かな ok שלום thanks 👍 nothing else to report from here"""
_WORDS = _TEXT.split()
_SIZES = (3, 6, 9, 12, 15, 40)


@dataclass(frozen=True, slots=True)
class Past:
    """How much history there is: rooms, messages in all, in the big and small room."""

    rooms: int = 200
    total: int = 500_000
    big: int = 200_000
    small: int = 1_000

    def counts(self) -> dict[str, int]:
        """Return how many messages each room has."""
        rest = self.rooms - 2
        each = max(1, (self.total - self.big - self.small) // max(1, rest))
        others = {f"#room-{number}": each for number in range(rest)}
        return {BIG: self.big, SMALL: self.small, **others}


@dataclass(frozen=True, slots=True)
class Home:
    """A copy of the history: the daemon's data folder, and the reader's client."""

    data: Path
    home: Path


def copy_past(past: Past, folder: Path, parent: Path | None = None) -> Home:
    """Copy the history into a folder; it is made if it is not there yet.

    Args:
        past: How much there is.
        folder: Where it is copied to.
        parent: Where it is kept; None: the temporary folder.
    """
    kept = _kept_folder(past, parent or Path(tempfile.gettempdir()))
    shutil.copytree(kept, folder / "past")
    return Home(folder / "past" / "data", folder / "past" / "home")


def introduce(home: Home, daemon: Daemon) -> None:
    """Store in the reader's client this daemon, its login, and what it has seen."""
    paths = Paths.under(home.home)
    server = str(parse_server_address(daemon.link))
    user = user_name(READER)
    messages = paths.messages(server, user)
    messages.parent.mkdir(parents=True, exist_ok=True)
    (home.home / "messages.db").rename(messages)
    asyncio.run(_remember_login(daemon, paths))
    Preferences(paths).remember_chat(server, user, BIG)


def make_text(dice: random.Random) -> str:
    """Return a text as a user might write it."""
    return " ".join(dice.choices(_WORDS, k=dice.choice(_SIZES)))


async def _remember_login(daemon: Daemon, paths: Paths) -> None:
    async with Link.open(
        daemon.link, user_name(READER), password=PASSWORD, sync="none", paths=paths
    ) as link:
        if SavedLogins(paths.logins).token(str(link.address), link.user) is None:
            raise BenchError("the server gave no token")


# Making it ----------------------------------------------------------------------------


def _kept_folder(past: Past, parent: Path) -> Path:
    schema = files("chatd.store.sqlite").joinpath("schema.sql").read_bytes()
    schema += Path(cache.__file__).read_bytes()
    layout = hashlib.sha256(_VERSION + schema).hexdigest()[:12]
    size = "-".join(map(str, astuple(past)))
    name = f"chatd-bench-ui-{os.getuid()}-{size}"
    folder = parent / f"{name}-{layout}"
    if not folder.is_dir():
        for outdated in parent.glob(f"{name}-*"):
            shutil.rmtree(outdated)
        unfinished = Path(tempfile.mkdtemp(prefix="chatd-bench-", dir=parent))
        try:
            _make(unfinished, past)
            unfinished.rename(folder)
        except BaseException:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise
    return folder


def _make(folder: Path, past: Past) -> None:
    data, home = folder / "data", folder / "home"
    data.mkdir(mode=0o700)
    home.mkdir(mode=0o700)
    make_users(data, 1 + len(OTHERS))
    path = data / "chatd.db"
    connection = connect(path)
    try:
        prepare(connection, path)
        connection.execute("PRAGMA synchronous = OFF")
        machine = Machine(connection)
        dice = random.Random(1)
        for room, count in past.counts().items():
            _write_room(machine, room[1:], count, dice)
    finally:
        connection.close()
    daemon = Daemon.start(folder, data)
    with daemon.process:
        asyncio.run(_fill_cache(daemon, home / "messages.db"))


def _write_room(machine: Machine, name: str, count: int, dice: random.Random) -> None:
    machine.connection.execute("BEGIN")
    owner, *others = map(user_name, (*OTHERS, READER))
    created = Call(
        CreateRoom(name, "public", "Deploy freeze", owner, _event(owner, "create"))
    )
    machine.apply([created])
    room = created.result.id
    machine.apply(
        Append(room, _event(user, "join"), _nothing, AddMember(user)) for user in others
    )
    key = secrets.token_urlsafe(16)
    appends = []
    for number in range(count):
        sender = user_name(dice.choice(OTHERS))
        time_ms = _TIME_MS + number * _SECONDS_BETWEEN * 1_000
        tail = encode_text(sender, "text", time_ms, make_text(dice))
        draft = Draft(sender, "text", time_ms, tail, f"{key}-{number}")
        appends.append(Append(room, draft, _nothing))
    for start in range(0, count, _BLOCK):
        machine.apply(appends[start : start + _BLOCK])
    cursor = (room, user_name(READER), appends[-1].seq)
    machine.apply([Call(MoveCursors([cursor]))])
    machine.connection.execute("COMMIT")


def _event(user: str, kind: EntryKind) -> Draft:
    return Draft(user, kind, _TIME_MS, encode_tail(user, kind, _TIME_MS, {}))


def _nothing(_: list[Append]) -> None:
    pass


async def _fill_cache(daemon: Daemon, path: Path) -> None:
    """Fill a cache with all that the daemon has."""
    kept = cache.Cache(path)
    try:
        async with Link.open(
            daemon.link, user_name(READER), password=PASSWORD, sync="none"
        ) as link:
            kept.reset(link.model.log)
            for chat in list(link.model.chats.values()):
                kept.store(chats=[chat.record])
                async for entries in _pages(link, chat.address, chat.last):
                    kept.store(entries)
    finally:
        kept.close()


async def _pages(link: Link, address: str, last: int) -> AsyncIterator[list[Entry]]:
    before = last + 1
    while True:
        page = await link.request(History(chat=address, before=before, limit=_PAGE))
        if not isinstance(page, HistoryPage) or not page.messages:
            return
        yield [entry_from_message(message, address) for message in page.messages]
        before = page.messages[0].seq
