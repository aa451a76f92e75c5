"""Crash safety: nothing answered is lost, doubled or reordered by kills."""

import asyncio
import contextlib
import os
import random
import secrets
import signal
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.fakes.raw_client import Address, Json, RawClient
from tests.helpers import eventually, fill_up, logged_in, small_disk
from tests.system.crash import Journal, Participant
from tests.system.daemon import Daemon
from tests.system.proxy import Proxy, Trouble

pytestmark = [pytest.mark.system, pytest.mark.timeout(0)]

ROOM = "#crash"
USERS = [f"user{n:02}" for n in range(13)]
PROCESSES = USERS[:2]
"""The users that run as real processes."""
QUITTERS = USERS[-2:]
"""The users that are killed at the end and never resend what was not answered."""


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    chosen: int | None = request.config.getoption("--seed")
    if chosen is None:
        chosen = secrets.randbelow(1 << 32)
    print(f"seed: {chosen} (--seed {chosen} repeats the choices, not the timing)")
    return chosen


@pytest.fixture
def kills(request: pytest.FixtureRequest) -> int:
    found: int = request.config.getoption("--crash-kills")
    return found


class Crowd:
    """All participants, running or between two runs.

    Args:
        address: Where they connect to: the daemon, or a proxy in front of it.
    """

    def __init__(self, address: Address, folder: Path, seed: int) -> None:
        self.chance = random.Random(seed)
        self.lives = 0
        self._address = address
        self._folder = folder
        self._alive: dict[str, tuple[Participant, asyncio.Task[None]]] = {}
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def journal(self, user: str) -> Journal:
        """Return the journal of a user, as it is on disk."""
        return Journal.load(self._folder / f"{user}.journal")

    def chats_of(self, user: str) -> list[str]:
        """Return the chats of a sender: the room, two neighbours, its own notes."""
        place = USERS.index(user)
        near = [USERS[place - 1], USERS[(place + 1) % len(USERS)]]
        return [ROOM, ROOM, ROOM, *(f"@{name}" for name in near), f"@{user}"]

    def begin(self, user: str, *, is_sending: bool = True) -> None:
        """Start a user's client, with what is on disk."""
        self.lives += 1
        if user in PROCESSES and is_sending:
            self._begin_process(user)
            return
        chance = random.Random(self.chance.random())
        participant = Participant(
            self._address, user, self.journal(user), self.chats_of(user), chance
        )
        participant.is_sending = is_sending
        participant.is_finishing = is_sending or user not in QUITTERS
        self._alive[user] = (participant, asyncio.create_task(participant.run()))

    def _begin_process(self, user: str) -> None:
        path = self._folder / f"{user}.journal"
        arguments = [*map(str, self._address), user, str(path)]
        arguments += [str(self.chance.randrange(1 << 32)), *self.chats_of(user)]
        with (self._folder / f"{user}.stderr").open("ab") as errors:
            self._processes[user] = subprocess.Popen(
                [sys.executable, "-m", "tests.system.crash", *arguments], stderr=errors
            )

    async def kill(self, user: str) -> None:
        """Kill a user's client without warning."""
        if user in self._processes:
            process = self._processes.pop(user)
            os.kill(process.pid, signal.SIGKILL)
            await asyncio.to_thread(process.wait)
        if user in self._alive:
            participant, task = self._alive.pop(user)
            participant.cut()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def kill_all(self) -> None:
        """Kill all clients."""
        for user in USERS:
            await self.kill(user)

    def answers(self) -> int:
        """Return how many sends of those within this process were answered."""
        return sum(len(p.journal.answered) for p, _ in self._alive.values())

    def has_failed(self) -> bool:
        """Whether a participant ended by itself, which none ever should."""
        return any(task.done() for _, task in self._alive.values())

    async def answered_more(self, count: int) -> None:
        """Wait until so many more sends were answered."""
        target = self.answers() + count
        await eventually(
            lambda: self.answers() >= target or self.has_failed(), "no progress"
        )

    async def refused_more(self, count: int) -> None:
        """Wait until so many more sends were refused temporarily."""
        target = self._refusals() + count
        await eventually(
            lambda: self._refusals() >= target or self.has_failed(), "no refusals"
        )

    def _refusals(self) -> int:
        return sum(p.refusals for p, _ in self._alive.values())

    async def settle(self) -> None:
        """Let all participants finish: outboxes drained, logs seen to their ends."""
        await self.kill_all()
        for user in USERS:
            self.begin(user, is_sending=False)
        await eventually(
            lambda: (
                self.has_failed() or all(p.is_settled for p, _ in self._alive.values())
            ),
            "not everybody came to an end",
            self._state,
        )
        # The last messages are still on their way to the others.
        heads = await self._heads()
        await eventually(
            lambda: (
                self.has_failed() or all(self._has_seen(u, heads) for u in self._alive)
            ),
            f"not everybody has seen everything: {self._missing(heads)}",
        )
        await self.kill_all()

    def _state(self) -> str:
        """Return what is left to do, by user; it changes whenever something moves."""
        return ", ".join(
            f"{user}: {p.progress}" for user, (p, _) in self._alive.items()
        )

    async def _heads(self) -> dict[str, dict[str, int]]:
        found: dict[str, dict[str, int]] = {}
        for user in USERS:
            async with await RawClient.connect(self._address) as client:
                ready = await client.login(user, sync="none")
                found[user] = {
                    record["chat"]: record["last"] for record in ready["chats"]
                }
        return found

    def _has_seen(self, user: str, heads: dict[str, dict[str, int]]) -> bool:
        have = self._alive[user][0].journal.have
        return all(have.get(chat, 0) >= last for chat, last in heads[user].items())

    def _missing(self, heads: dict[str, dict[str, int]]) -> list[str]:
        return [user for user in self._alive if not self._has_seen(user, heads)]


@contextlib.asynccontextmanager
async def crowd(
    daemon: Daemon, address: Address, folder: Path, seed: int
) -> AsyncIterator[Crowd]:
    """Register all users, put them into the room, and start their clients."""
    async with logged_in(daemon.tcp, *USERS) as clients:
        await clients[0].ask("create", room=ROOM, visibility="public")
        for client in clients[1:]:
            await client.ask("join", room=ROOM)
        (*_, last) = await clients[0].log(ROOM)
    people = Crowd(address, folder, seed)
    # Debug mode costs so much here that the daemon would have little to do.
    asyncio.get_running_loop().set_debug(False)
    for user in USERS:
        journal = people.journal(user)
        journal.write("have", ROOM, last["seq"])
        journal.close()
        people.begin(user)
    try:
        yield people
    finally:
        await people.kill_all()


async def logs_of(daemon: Daemon, user: str, chats: list[str]) -> dict[str, list[Json]]:
    """Return whole chats as a user reads them."""
    async with await RawClient.connect(daemon.tcp) as client:
        ready = await client.login(user, sync="none")
        known = {record["chat"] for record in ready["chats"]}
        return {chat: await client.log(chat) if chat in known else [] for chat in chats}


def check_log(chat: str, log: list[Json], journals: dict[str, Journal]) -> int:
    """Check that each text is there once, each sender's in order; count them."""
    texts = [(m["from"], m["text"]) for m in log if m["kind"] == "text"]
    assert [k for k, count in Counter(texts).items() if count > 1] == []
    numbers = defaultdict(list)
    for sender, text in texts:
        number = int(text.split()[1])
        numbers[sender].append(number)
        assert journals[sender].outbox[number][1] == text
    for sender, found in numbers.items():
        assert found == sorted(found), f"{chat}: {sender}'s are out of order"
    prev = 0
    for message in log:
        assert message["prev"] == prev, f"{chat}: the chain is broken"
        prev = message["seq"]
    return len(texts)


async def check_everything(daemon: Daemon, people: Crowd) -> int:
    """Check every promise for every user; return how many sends were answered."""
    journals = {user: people.journal(user) for user in USERS}
    wrong = [sentence for journal in journals.values() for sentence in journal.wrong]
    assert not wrong, "\n".join(wrong)
    total = 0
    for user, journal in journals.items():
        logs = await logs_of(daemon, user, sorted(set(people.chats_of(user))))
        for chat, log in logs.items():
            total += check_log(chat, log, journals)
            by_seq = {m["seq"]: m for m in log}
            answered = {
                seq: journal.outbox[number][1]
                for number, seq in journal.answered.items()
                if journal.outbox[number][0] == chat
            }
            for seq, text in answered.items():
                assert by_seq[seq]["text"] == text, f"{user} lost {text} in {chat}"
            seen = journal.seen.get(chat, [])
            start = seen[0]["prev"] if seen else 0
            expected = [(m["seq"], m["text"]) for m in log if m["seq"] > start and seen]
            assert [(m["seq"], m["text"]) for m in seen] == expected
            assert chat == ROOM or start == 0
    for user in set(USERS) - set(QUITTERS):
        assert journals[user].unanswered == []
    assert total > 0
    return sum(len(journal.answered) for journal in journals.values())


async def torment(daemon: Daemon, people: Crowd, kills: int) -> None:
    """Kill the daemon and clients at random moments."""
    chance = people.chance
    for _ in range(kills):
        await people.answered_more(chance.randint(20, 300))
        await asyncio.sleep(chance.random() * 0.03)
        for user in chance.sample(USERS, chance.randint(0, 3)):
            await people.kill(user)
            people.begin(user)
        await daemon.restart()
    await people.answered_more(100)


async def test_killing_the_daemon_loses_doubles_and_reorders_nothing(
    tmp_path: Path, seed: int, kills: int
) -> None:
    daemon = Daemon(tmp_path / "daemon")
    await daemon.start()
    try:
        async with crowd(daemon, daemon.tcp, tmp_path, seed) as people:
            await torment(daemon, people, kills)
            await people.settle()
            answered = await check_everything(daemon, people)
            print(f"{kills} kills, {people.lives} lives, {answered} answered")
        assert await daemon.terminate() == 0
    finally:
        daemon.stop_whatever_happened()


async def test_stopping_under_load_loses_doubles_and_reorders_nothing(
    tmp_path: Path, seed: int
) -> None:
    daemon = Daemon(tmp_path / "daemon")
    await daemon.start()
    try:
        async with crowd(daemon, daemon.tcp, tmp_path, seed) as people:
            for _ in range(4):
                await people.answered_more(people.chance.randint(20, 300))
                assert await daemon.terminate() == 0
                await daemon.start()
            await people.settle()
            await check_everything(daemon, people)
        assert "Traceback" not in daemon.errors(), daemon.errors()[-3000:]
    finally:
        daemon.stop_whatever_happened()


async def test_a_disk_full_now_and_then_loses_doubles_and_reorders_nothing(
    tmp_path: Path, seed: int
) -> None:
    with small_disk(tmp_path / "disk", mebibytes=96) as disk:
        daemon = Daemon(tmp_path / "daemon", data=disk / "data")
        await daemon.start()
        try:
            async with crowd(daemon, daemon.tcp, tmp_path, seed) as people:
                for n in range(4):
                    await people.answered_more(people.chance.randint(20, 300))
                    fill_up(disk / "ballast")
                    await people.refused_more(20)
                    if n == 2:
                        await daemon.kill()
                    (disk / "ballast").unlink()
                    if n == 2:
                        await daemon.start()
                await people.answered_more(100)
                await people.settle()
                await check_everything(daemon, people)
        finally:
            daemon.stop_whatever_happened()


async def test_a_bad_network_and_kills_lose_double_and_reorder_nothing(
    tmp_path: Path, seed: int, kills: int
) -> None:
    trouble = Trouble(
        max_delay=0.01,
        split_bytes=600,
        max_piece=700,
        cut_after=(300, 60_000),
        half_close=0.3,
    )
    daemon = Daemon(tmp_path / "daemon")
    await daemon.start()
    try:
        async with (
            Proxy(daemon.tcp, trouble, seed) as proxy,
            crowd(daemon, proxy.address, tmp_path, seed) as people,
        ):
            await torment(daemon, people, max(2, kills // 6))
            proxy.trouble = Trouble(split_bytes=50)
            await people.settle()
            answered = await check_everything(daemon, people)
            print(f"{proxy.cuts} cuts, {people.lives} lives, {answered} answered")
            assert proxy.cuts > 10
        assert await daemon.terminate() == 0
    finally:
        daemon.stop_whatever_happened()
