"""Concurrent joins, leaves, sends and logins: each entry is delivered exactly once."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.fakes.raw_client import Json, RawClient
from tests.helpers import eventually, fresh_name, logged_in, texts
from tests.system.daemon import Daemon

pytestmark = pytest.mark.system


@pytest.fixture(autouse=True)
async def _without_debugging() -> None:
    # It would slow this side down so much that little happened at once.
    asyncio.get_running_loop().set_debug(False)


def follow(messages: list[Json]) -> tuple[dict[str, int], list[str]]:
    """Follow a connection's chats through everything that it was sent.

    Returns:
        The last seq known of each chat that the user has in the end; what was wrong.
    """
    last: dict[str, int] = {}
    wrong: list[str] = []
    for message in messages:
        kind = message["type"]
        if kind in ("ready", "chats"):
            for record in message["chats"]:
                last[record["chat"]] = record["read"]
        elif kind == "joined":
            record = message["chat"]
            last[record["chat"]] = record["read"]
        elif kind == "left":
            del last[message["chat"]]
        elif kind == "message":
            chat = message["chat"]
            if chat not in last:
                wrong.append(f"{chat} {message['seq']} came without the chat")
            elif message["prev"] != last[chat]:
                prev = message["prev"]
                wrong.append(f"{chat} {message['seq']}: {prev}, not {last[chat]}")
            last[chat] = message["seq"]
    return last, wrong


async def heads(client: RawClient, chats: list[str]) -> dict[str, int]:
    """Return the last seq of each chat, as a member reads it."""
    return {chat: (await client.log(chat))[-1]["seq"] for chat in chats}


async def test_joining_and_leaving_amid_traffic_shows_each_entry_once(
    server: Daemon,
) -> None:
    room = "#" + fresh_name("busy")
    users = [fresh_name() for _ in range(6)]
    async with logged_in(server.tcp, *users) as (owner, *others):
        await owner.ask("create", room=room)
        is_over = False

        async def talk() -> None:
            n = 0
            while not is_over:
                await owner.say(room, str(n))
                n += 1

        async def come_and_go(client: RawClient) -> None:
            for _ in range(25):
                await client.ask("join", room=room)
                await client.say(room, "hello")
                await client.ask("leave", room=room)
            await client.ask("join", room=room)

        talking = asyncio.create_task(talk())
        await asyncio.gather(*(come_and_go(client) for client in others))
        is_over = True
        await talking
        final = await heads(owner, [room])
        for client in (owner, *others):
            await client.drain()
            last, wrong = follow(client.history)
            # The device that leaves is answered `ok`; `left` is for its others.
            assert wrong == []
            assert last == final


async def test_logging_in_while_another_device_joins_and_leaves(
    server: Daemon, alice: RawClient
) -> None:
    rooms = [f"#{fresh_name('r')}" for _ in range(4)]
    async with (
        logged_in(server.tcp, fresh_name()) as (bob,),
        contextlib.AsyncExitStack() as stack,
    ):
        for room in rooms:
            await alice.ask("create", room=room)
        is_over = False

        async def talk() -> None:
            while not is_over:
                for room in rooms:
                    await alice.say(room, "x")

        async def come_and_go() -> None:
            chance = random.Random(4)
            inside: set[str] = set()
            while not is_over:
                room = chance.choice(rooms)
                await bob.ask("leave" if room in inside else "join", room=room)
                inside ^= {room}

        tasks = [asyncio.create_task(talk()), asyncio.create_task(come_and_go())]
        devices = []
        for _ in range(40):
            client = await RawClient.connect(server.tcp)
            devices.append(await stack.enter_async_context(client))
            await client.login(bob.user)
        is_over = True
        await asyncio.gather(*tasks)
        async with await RawClient.connect(server.tcp) as client:
            ready = await client.login(bob.user, sync="none")
            final = {record["chat"]: record["last"] for record in ready["chats"]}
        for client in devices:
            await client.expect("synced")
            await client.drain()
            last, wrong = follow(client.history)
            assert wrong == []
            assert last == final


async def test_a_first_message_and_a_login_at_once(
    server: Daemon, alice: RawClient
) -> None:
    for n in range(40):
        async with logged_in(server.tcp, fresh_name()) as (bob,):
            user = bob.user
        async with await RawClient.connect(server.tcp) as bob:
            await bob.expect("hello")
            logging_in = asyncio.create_task(bob.login(user))
            await asyncio.sleep(0.0003 * (n % 10))
            await asyncio.gather(alice.say(f"@{user}", "1"), alice.say(f"@{user}", "2"))
            await logging_in
            await bob.expect("message", text="2")
            await bob.drain()
            assert texts(bob.history) == ["1", "2"]
            assert follow(bob.history)[1] == []


async def test_two_who_write_to_each_other_first_make_one_chat(server: Daemon) -> None:
    for _ in range(20):
        async with logged_in(server.tcp, fresh_name(), fresh_name()) as (one, two):
            await asyncio.gather(
                one.say(f"@{two.user}", "1"), two.say(f"@{one.user}", "2")
            )
            for client, other in ((one, two), (two, one)):
                log = await client.log(f"@{other.user}")
                assert sorted(texts(log)) == ["1", "2"]
                await client.drain()
                assert [m["seq"] for m in client.history if m["type"] == "message"] == [
                    m["seq"] for m in log
                ]


@pytest.fixture
async def small_outbox(tmp_path: Path) -> AsyncIterator[Daemon]:
    """A daemon that counts connections as slow readers very soon."""
    daemon = Daemon(tmp_path / "daemon", {"limits": {"outbox": 65_536}})
    try:
        yield await daemon.start()
    finally:
        daemon.stop_whatever_happened()
        assert "Traceback" not in daemon.errors()


async def test_a_reader_that_is_slow_now_and_then_misses_and_doubles_nothing(
    small_outbox: Daemon,
) -> None:
    senders = [f"sender{n}" for n in range(4)]
    count = 400
    async with logged_in(small_outbox.tcp, "slow", *senders) as (slow, *clients):
        await slow.ask("create", room="#room")
        for client in clients:
            await client.ask("join", room="#room")
        transport = slow.writer.transport
        assert isinstance(transport, asyncio.Transport)

        async def talk(client: RawClient) -> None:
            for n in range(count):
                chat = ("#room", "@slow")[n % 2]
                await client.say(chat, f"{n} " + "x" * 3_000)

        async def stutter() -> None:
            chance = random.Random(8)
            while True:
                transport.pause_reading()
                await asyncio.sleep(chance.random() * 0.2)
                transport.resume_reading()
                await asyncio.sleep(chance.random() * 0.02)

        stuttering = asyncio.create_task(stutter())
        await asyncio.gather(*map(talk, clients))
        stuttering.cancel()
        await asyncio.gather(stuttering, return_exceptions=True)
        transport.resume_reading()
        await eventually(
            lambda: len(texts(slow.history)) >= count * len(clients), "entries missing"
        )
        await slow.drain()
        last, wrong = follow(slow.history)
        assert wrong == []
        assert len(texts(slow.history)) == count * len(clients)
        assert last == await heads(slow, list(last))
