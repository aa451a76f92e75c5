"""Helpers of the tests of transfers: a link to cut, persistent users, leftovers."""

import asyncio
import contextlib
import os
import signal
import sqlite3
import sys
import time
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, NamedTuple, cast

from client.net.address import parse_server_address
from client.storage.paths import Paths
from client.storage.pins import PinStore
from client.storage.saved_logins import SavedLogins
from tests.fakes.raw_client import Address, DataLine, Json, RawClient
from tests.helpers import sha256_of
from tests.system.daemon import Daemon
from tests.system.person import Person
from tests.system.proxy import Proxy, Trouble

LONG = 120.0
"""How many seconds a whole transfer may take, with all that happens to it."""

KILLED = -signal.SIGKILL
INTERRUPTED = 130


async def until(is_so: Callable[[], bool], what: str, seconds: float = LONG) -> None:
    """Poll for a condition outside of this process, like ``eventually``, but longer.

    Raises:
        TimeoutError: It did not become true.
    """
    deadline = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > deadline:
            raise TimeoutError(what)
        await asyncio.sleep(0.02)


class Link(Proxy):
    """A network that counts the bytes that cross it, and can be cut as a whole.

    Attributes:
        passed: How many bytes have crossed it, in both directions.
        cuts_at: Everything is cut as soon as so many bytes have crossed; ascending.
    """

    def __init__(self, target: Address, trouble: Trouble, seed: int) -> None:
        super().__init__(target, trouble, seed)
        self.passed = 0
        self.cuts_at: list[int] = []

    def cut_all(self) -> None:
        """Cut all connections without closing them properly."""
        self.cuts += len(self._links)
        for task in self._links:
            task.cancel()

    async def pass_more(self, count: int) -> None:
        """Wait until so many more bytes have crossed."""
        goal = self.passed + count
        await until(lambda: self.passed >= goal, "nothing moves")

    async def _pump(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        trouble: Trouble,
        budget: int | None,
    ) -> bool:
        counted = cast(asyncio.StreamReader, _Counted(reader, self._count))
        return await super()._pump(counted, writer, trouble, budget)

    def _count(self, data: bytes) -> None:
        self.passed += len(data)
        if self.cuts_at and self.passed >= self.cuts_at[0]:
            del self.cuts_at[0]
            self.cut_all()


class _Counted:
    """A reader that counts its bytes."""

    def __init__(
        self, reader: asyncio.StreamReader, count: Callable[[bytes], None]
    ) -> None:
        self._reader = reader
        self._count = count

    async def read(self, size: int) -> bytes:
        data = await self._reader.read(size)
        self._count(data)
        return data


class Outcome(NamedTuple):
    """The result of a command: exit status (``KILLED``), output and errors."""

    status: int
    out: bytes
    errors: str


def trouble_in(outcome: Outcome) -> list[str]:
    """Return the lines on stderr, but for losses and returns of the connection."""
    lines = outcome.errors.splitlines()
    notices = ("trying again until it works", "is back")
    return [line for line in lines if not line.endswith(notices)]


class RetryingUser(Person):
    """A user who gives one command after the other, each until it has worked.

    Args:
        home: Where this user's ``chat`` keeps everything.
        daemon: The server.
        name: The name of the account.
        link: The network between the two; None for a direct connection.
    """

    def __init__(
        self, home: Path, daemon: Daemon, name: str, link: Link | None = None
    ) -> None:
        super().__init__(home, daemon, name)
        if link is not None:
            self.server = "tls://{}:{}".format(*link.address)
        self._daemon = daemon
        self.kills = 0
        self._running: Process | None = None

    async def register(self, pin: str) -> None:
        """Make an account and a login as ``chat register`` does, but faster."""
        paths = Paths.under(self.home)
        server = str(parse_server_address(self.server))
        PinStore(paths.pins).trust(server, pin)
        async with await RawClient.connect(self._daemon.tcp) as client:
            await client.register(self.name)
            ready = await client.login(self.name, remember=True, sync="none")
        SavedLogins(paths.logins).remember(server, self.name, ready["token"])

    async def attempt(
        self, *arguments: str, given: bytes = b"", **environment: str
    ) -> Outcome:
        """Run a command once, and wait until it ends or is killed."""
        process = self._running = await self.start(*arguments, **environment)
        try:
            out, errors = await process.communicate(given)
        finally:
            self._running = None
        assert process.returncode is not None
        said = errors.decode()
        assert "Traceback" not in said, said
        return Outcome(process.returncode, out, said)

    def kill(self) -> bool:
        """Kill the running command, if there is one; return whether there was one."""
        if self._running is None:
            return False
        with contextlib.suppress(ProcessLookupError):
            # Not by the process object: that first looks whether it has ended, and
            # would take its status away from the loop, which is waiting for it.
            os.kill(self._running.pid, signal.SIGKILL)
            self.kills += 1
        return True

    # What is left -------------------------------------------------------------------

    def journal(self) -> list[Json]:
        """Return the rows of the journal of transfers, as they are on disk."""
        found: list[Json] = []
        for path in (self.home / "state" / "transfers").glob("*.db"):
            with contextlib.closing(sqlite3.connect(path)) as db:
                db.row_factory = sqlite3.Row
                if db.execute("SELECT 1 FROM sqlite_master").fetchone():
                    rows = db.execute("SELECT * FROM transfers")
                    found += [dict(row) for row in rows]
        return found

    def leftovers(self) -> list[Path]:
        """Return the files that must not be there while no transfer is in progress."""
        state = self.home / "state"
        found = [*self.home.rglob("*.part"), *files_in(self.home / "cache" / "get")]
        found += files_in(state / "spool")
        return found + list((state / "transfers").glob("[!.]*.lock"))

    async def finish(self, chat: str) -> None:
        """Let ``chat`` run by itself, until no transfer is left.

        If it is killed meanwhile, it is started again.

        Args:
            chat: Any chat of this user.

        Raises:
            TimeoutError: A transfer never comes to an end.
        """
        while self.journal():
            process = self._running = await self.start("tail", chat, "-n", "0")
            await self._watch(process)

    async def _watch(self, process: Process) -> None:
        def is_over() -> bool:
            return process.returncode is not None or not self.journal()

        try:
            await until(is_over, f"{self.name} does not come to an end")
        finally:
            self._running = None
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGINT)
            _, errors = await process.communicate()
        assert process.returncode in (KILLED, INTERRUPTED), errors.decode()
        assert b"Traceback" not in errors, errors.decode()


def files_in(folder: Path) -> list[Path]:
    """Return all files below a folder; none if it does not exist."""
    return sorted(path for path in folder.rglob("*") if path.is_file())


@contextlib.asynccontextmanager
async def retrying_users(
    daemon: Daemon, folder: Path, room: str, *names: str, link: Link | None = None
) -> AsyncIterator[list[RetryingUser]]:
    """Yield users with logins, in a new room that the first of them has made."""
    (pin,) = (line.split()[-1] for line in daemon.lines if "fingerprint" in line)
    people = [RetryingUser(folder / name, daemon, name, link) for name in names]
    try:
        for person in people:
            await person.register(pin)
            async with await RawClient.connect(daemon.tcp) as client:
                await client.login(person.name)
                how = "create" if person is people[0] else "join"
                await client.ask(how, room=room)
        yield people
    finally:
        for person in people:
            await person.end()


# The daemon's side --------------------------------------------------------------------


async def begun_upload(
    address: Address, client: RawClient, request: Json, data: bytes
) -> DataLine:
    """Begin an upload with its first bytes, and wait until they are stored."""
    answer = await client.ask("upload", **request)
    line = await DataLine.begin(address, answer["ticket"])
    line.send(data)
    while (await client.ask("upload", **request))["offset"] < len(data):
        continue
    return line


async def files_of(client: RawClient, chat: str) -> list[Json]:
    """Return all files of a chat, newest first."""
    found: list[Json] = []
    while True:
        before = found[-1]["seq"] if found else None
        page = await client.ask("files", chat=chat, before=before, limit=200)
        found += page["files"]
        if not page["more"]:
            return found


def contents_of(daemon: Daemon) -> set[str]:
    """Return the names of all contents; checks that they are their SHA-256."""
    blobs = daemon.data / "blobs"
    found = [path for path in files_in(blobs) if path.parent != blobs / "incoming"]
    for path in found:
        assert path.name == sha256_of(path.read_bytes())
        assert path.parent == blobs / path.name[:2]
    return {path.name for path in found}


def incoming_of(daemon: Daemon) -> list[Path]:
    """Return the files of uploads that are not complete."""
    return files_in(daemon.data / "blobs" / "incoming")


async def check(daemon: Daemon) -> str:
    """Run ``chatd check``, which must find nothing wrong; return what it printed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "chatd", "--config", str(daemon.config), "check"),
        stdin=DEVNULL,
        stdout=PIPE,
        stderr=PIPE,
    )
    out, errors = await process.communicate()
    assert process.returncode == 0, (out + errors).decode()
    return out.decode()


def dying_at(folder: Path, module: str, name: str) -> dict[str, Any]:
    """Return an environment in which Python dies at a certain call, as by kill -9.

    Args:
        folder: A new folder, for what Python loads at its start.
        module: The module of the function.
        name: The function's name, ``Class.method`` for a method.
    """
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(
        "import importlib, operator, os, signal\n"
        f"owner, _, name = {name!r}.rpartition('.')\n"
        f"found = importlib.import_module({module!r})\n"
        "found = operator.attrgetter(owner)(found) if owner else found\n"
        "assert hasattr(found, name)\n"
        "def die(*_, **__): os.kill(os.getpid(), signal.SIGKILL)\n"
        "setattr(found, name, die)\n"
    )
    return {"PYTHONPATH": str(folder)}
