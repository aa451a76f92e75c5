"""Crash safety of files: each arrives as it was sent, once, whatever is killed when."""

import asyncio
import itertools
import os
import random
import secrets
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fakes.raw_client import Json, RawClient
from tests.helpers import eventually, sha256_of
from tests.system.daemon import Daemon
from tests.system.proxy import Trouble
from tests.system.transfers import (
    KILLED,
    Link,
    Outcome,
    RetryingUser,
    check,
    contents_of,
    files_in,
    files_of,
    incoming_of,
    retrying_users,
    trouble_in,
)

pytestmark = [pytest.mark.system, pytest.mark.timeout(0)]

ROOM = "#files"
SENDERS = ["alice", "bob"]
GETTERS = ["carol", "dave"]
MEGABYTE = 1 << 20

SLOW = Trouble(max_delay=0.01, max_piece=16_384)
"""Some 3 MB/s for each connection: time enough to be killed in."""


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    chosen: int | None = request.config.getoption("--seed")
    if chosen is None:
        chosen = secrets.randbelow(1 << 32)
    print(f"seed: {chosen} (--seed {chosen} repeats the choices, not the timing)")
    return chosen


@pytest.fixture
def kills(request: pytest.FixtureRequest) -> int:
    found: int = request.config.getoption("--transfer-kills")
    return found


class Parcel:
    """A file that is sent, and by chance changed meanwhile.

    Attributes:
        name: The name under which it is sent.
        path: Where it is; None if it is given as standard input.
        is_changing: Whether it is changed while it is sent.
        contents: The contents that it may arrive with, by SHA-256.
        refusals: How often it was refused because it had changed.
    """

    def __init__(self, folder: Path, name: str, chance: random.Random) -> None:
        self.name = name
        self.contents: dict[str, bytes] = {}
        self.refusals = 0
        self._chance = chance
        size = chance.choice((0, 1, chance.randint(2, 70_000)))
        if chance.random() < 0.7:
            size = chance.randint(MEGABYTE // 2, 4 * MEGABYTE)
        self.data = chance.randbytes(size)
        is_stream = chance.random() < 0.25
        self.path = None if is_stream else folder / name
        self.is_changing = not is_stream and size > 1 and chance.random() < 0.3
        self.remember()
        if self.path is not None:
            self.path.write_bytes(self.data)

    def __str__(self) -> str:
        return f"{self.name} ({len(self.data)} bytes)"

    def remember(self) -> None:
        """Record its present content as one that it may arrive with."""
        self.contents[sha256_of(self.data)] = self.data

    def change(self) -> None:
        """Change some bytes: in place, or by replacing the file."""
        assert self.path is not None
        at = self._chance.randrange(len(self.data))
        piece = self._chance.randbytes(min(1_000, len(self.data) - at))
        self.data = self.data[:at] + piece + self.data[at + len(piece) :]
        self.remember()
        if self._chance.random() < 0.5:
            with self.path.open("r+b") as file:
                file.seek(at)
                file.write(piece)
        else:
            other = self.path.with_suffix(".new")
            other.write_bytes(self.data)
            other.replace(self.path)


class World:
    """A daemon, a slow network, and users who send and fetch all the time.

    Attributes:
        is_ending: Whether no user is to begin anything new.
        sent: What is in the chat by now, in the order in which it came there.
        doing: What each user is doing, for the message of a failure.
    """

    def __init__(
        self,
        daemon: Daemon,
        link: Link,
        people: list[RetryingUser],
        folder: Path,
        chance: random.Random,
    ) -> None:
        self.daemon = daemon
        self.link = link
        self.people = people
        self.folder = folder
        self.chance = chance
        self.is_ending = False
        self.sent: list[Parcel] = []
        self.doing: dict[str, str] = {}
        self._is_up = asyncio.Event()
        self._is_up.set()
        self._sending = len(SENDERS)

    async def live(self, kills: int) -> None:
        """Let all users send and fetch, kill so often, and let all of them finish."""
        chances = [random.Random(self.chance.random()) for _ in self.people]
        async with asyncio.TaskGroup() as group:
            for person, chance in zip(self.people, chances, strict=True):
                is_sender = person.name in SENDERS
                work = self._send_all if is_sender else self._fetch_all
                group.create_task(work(person, chance))
            await self._torment(kills)
            self.is_ending = True
            # The rest need not be slow any more.
            self.link.trouble = Trouble()
            self.link.cut_all()
        for person in self.people:
            await person.finish(ROOM)

    # Killing ------------------------------------------------------------------------

    async def _torment(self, kills: int) -> None:
        chance, done = self.chance, 0
        while done < kills:
            if chance.random() < 0.7:
                await self.link.pass_more(chance.randint(0, 2 * MEGABYTE))
            else:
                await asyncio.sleep(chance.random())
            match chance.choice(("client", "client", "daemon", "both", "cut")):
                case "client":
                    done += self._kill_somebody()
                case "daemon":
                    await self._kill_daemon()
                    done += 1
                case "both":
                    done += 1 + self._kill_somebody()
                    await self._kill_daemon()
                case _:
                    self.link.cut_all()

    def _kill_somebody(self) -> bool:
        people = self.chance.sample(self.people, len(self.people))
        return any(person.kill() for person in people)

    async def _kill_daemon(self) -> None:
        self._is_up.clear()
        await self.daemon.kill()
        await asyncio.sleep(self.chance.choice((0, self.chance.random())))
        await self.daemon.start()
        self._is_up.set()

    async def stored(self) -> list[Json]:
        """Return the files of the chat, retrying while the daemon is down."""
        while True:
            await self._is_up.wait()
            try:
                async with await RawClient.connect(self.daemon.tcp) as client:
                    await client.login(SENDERS[0], sync="none")
                    return await files_of(client, ROOM)
            except OSError:
                continue

    # Sending ------------------------------------------------------------------------

    async def _send_all(self, person: RetryingUser, chance: random.Random) -> None:
        for number in itertools.count():
            if self.is_ending:
                break
            parcel = Parcel(self.folder, f"{person.name}-{number}.bin", chance)
            self.doing[person.name] = f"sends {parcel}"
            changing = asyncio.create_task(self._change(parcel, chance))
            await self._send(person, parcel)
            await changing
            self.sent.append(parcel)
        self.doing[person.name] = "has sent all"
        self._sending -= 1

    async def _change(self, parcel: Parcel, chance: random.Random) -> None:
        if parcel.is_changing:
            await asyncio.sleep(chance.random() * 2.5)
            parcel.change()

    async def _send(self, person: RetryingUser, parcel: Parcel) -> None:
        while True:
            outcome = await self._give(person, parcel)
            if outcome.status == 0:
                assert (outcome.out, trouble_in(outcome)) == (b"", [])
                return
            if outcome.status != KILLED:
                # Only a changed file is refused; the next attempt sends its new state.
                assert (outcome.status, len(parcel.contents)) == (1, 2), outcome
                (reason,) = trouble_in(outcome)
                assert "changed while it was" in reason
                parcel.refusals += 1
            elif await self._is_safe(person, parcel):
                return

    async def _give(self, person: RetryingUser, parcel: Parcel) -> Outcome:
        if parcel.path is not None:
            return await person.attempt("send", ROOM, "--file", str(parcel.path))
        source = ("--file", "-", "--name", parcel.name)
        return await person.attempt("send", ROOM, *source, given=parcel.data)

    async def _is_safe(self, person: RetryingUser, parcel: Parcel) -> bool:
        """Whether what was killed need not be given again.

        A file that is in the journal is resumed when it is given again. A stream cannot
        be given again, but one that was copied is sent by any other command.
        """
        rows = [row for row in person.journal() if row["name"] == parcel.name]
        if not rows:
            there = [each["file"]["name"] for each in await self.stored()]
            return parcel.name in there
        if parcel.path is not None or rows[0]["sha256"] is None:
            return False
        await person.finish(ROOM)
        return True

    # Fetching -----------------------------------------------------------------------

    async def _fetch_all(self, person: RetryingUser, chance: random.Random) -> None:
        number = 0
        while self._sending or number < len(self.sent):
            if number == len(self.sent):
                # Nothing new: read an old one again.
                await self._read(person, self.sent, chance)
                continue
            parcel = self.sent[number]
            number += 1
            self.doing[person.name] = f"fetches {parcel}"
            await self._save(person, parcel, is_default=chance.random() < 0.5)
        self.doing[person.name] = "has fetched all"

    async def _read(
        self, person: RetryingUser, parcels: list[Parcel], chance: random.Random
    ) -> None:
        """Write one of some files to the output, unless the command is killed."""
        if not parcels:
            await asyncio.sleep(0.05)
            return
        parcel = chance.choice(parcels)
        self.doing[person.name] = f"reads {parcel}"
        outcome = await person.attempt("get", ROOM, parcel.name, "-o", "-")
        if outcome.status != KILLED:
            assert (outcome.status, trouble_in(outcome)) == (0, []), outcome.errors
            assert sha256_of(outcome.out) in parcel.contents

    async def _save(
        self, person: RetryingUser, parcel: Parcel, *, is_default: bool
    ) -> None:
        """Save a file, in the default folder or elsewhere."""
        target = place_of(person, parcel.name, is_default=is_default)
        target.parent.mkdir(exist_ok=True)
        where = () if is_default else ("-o", str(target))
        # A file that has its name is complete, though its command may have been killed.
        while not target.exists():
            outcome = await person.attempt("get", ROOM, parcel.name, *where)
            if outcome.status != KILLED:
                assert (outcome.status, trouble_in(outcome)) == (0, []), outcome
                assert outcome.out == os.fsencode(target) + b"\n"
        assert sha256_of(target.read_bytes()) in parcel.contents


def place_of(person: RetryingUser, name: str, *, is_default: bool) -> Path:
    """Return the path where a file is saved."""
    return person.home / ("downloads" if is_default else "elsewhere") / name


async def check_everything(world: World) -> None:
    """Check that all is there, once and whole, and that nothing else is."""
    stored = await world.stored()
    hashes = {parcel.name: set(parcel.contents) for parcel in world.sent}
    found = Counter((each["file"]["name"], each["file"]["sha256"]) for each in stored)
    assert [file for file, count in found.items() if count > 1] == []
    assert {name for name, _ in found} == set(hashes)
    for name, sha256 in found:
        assert sha256 in hashes[name], f"{name} was never that"
    for person in world.people:
        assert person.journal() == []
        await check_downloads(person, world.sent)
    assert contents_of(world.daemon) == {sha256 for _, sha256 in found}
    await eventually(lambda: incoming_of(world.daemon) == [], "an upload stays")
    assert await world.daemon.terminate() == 0
    assert "left over" not in await check(world.daemon)


async def check_downloads(person: RetryingUser, sent: list[Parcel]) -> None:
    """Check that a user has each file at most once, and no litter."""
    contents = {parcel.name: parcel.contents for parcel in sent}
    for folder in ("downloads", "elsewhere"):
        for path in files_in(person.home / folder):
            assert sha256_of(path.read_bytes()) in contents[path.name]
    if person.name in GETTERS:
        # What a killed command has left is removed by the next one.
        (parcel, *_) = sent
        assert (await person.attempt("get", ROOM, parcel.name, "-o", "-")).status == 0
    assert person.leftovers() == []


async def test_killing_anybody_at_any_moment_loses_doubles_and_leaves_nothing(
    make_daemon: Callable[..., Daemon], tmp_path: Path, seed: int, kills: int
) -> None:
    daemon = await make_daemon({"files": {"free_bytes": 0}}).start()
    # Debug mode costs so much here that little else would be done.
    asyncio.get_running_loop().set_debug(False)
    folder = tmp_path / "sent"
    folder.mkdir()
    async with (
        Link(daemon.tls, Trouble(), seed) as link,
        retrying_users(daemon, tmp_path, ROOM, *SENDERS, *GETTERS, link=link) as people,
    ):
        link.trouble = SLOW
        world = World(daemon, link, people, folder, random.Random(seed))
        await world.live(kills)
        await check_everything(world)
        refused = sum(parcel.refusals for parcel in world.sent)
        killed = ", ".join(f"{each.name} {each.kills}" for each in people)
        print(
            f"{kills} kills ({killed}), {link.cuts} connections cut, "
            f"{len(world.sent)} files, {refused} refused, {link.passed:,} bytes"
        )
