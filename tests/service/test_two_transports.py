"""Connections of two kinds in one server: one gate, one room, each encoding once."""

import asyncio
import contextlib
import socket
from pathlib import Path

import pytest

from chatd.core.signals import UserEnded
from chatd.listeners import sockets
from chatd.listeners.native import outbox
from chatd.listeners.native.connection import Connection
from tests.fakes.memory import MemoryListener
from tests.fakes.raw_client import RawClient, blind_tls
from tests.helpers import eventually, logged_in
from tests.service.conftest import Lab, device, serving


async def counted(lab: Lab, connections: int) -> None:
    """Wait until the gate counts so many connections."""
    await eventually(lambda: lab.gate.connections == connections, str(connections))


async def test_a_room_is_encoded_once_for_each_kind(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = MemoryListener(lab.server.site, lab.tcp)
    async with (
        logged_in(lab.tcp, "alice", "bob", "carol") as (alice, bob, carol),
        logged_in(memory, "dave", "erin") as (dave, erin),
    ):
        everybody = (alice, bob, carol, dave, erin)
        await alice.ask("create", room="#lab")
        for each in (bob, carol, dave, erin):
            await each.ask("join", room="#lab")
            await each.drain()
        made: list[bytes] = []
        frames = outbox._frames

        def counting(head: bytes, bodies: list[bytes]) -> bytes:
            made.append(head)
            return frames(head, bodies)

        monkeypatch.setattr(outbox, "_frames", counting)
        await alice.say("#lab", "hello")
        got = [await each.expect("message", text="hello") for each in everybody]
        assert got == [got[0]] * 5
        assert len(made) == 1


async def test_who_ends_is_ended_on_every_transport(lab: Lab) -> None:
    memory = MemoryListener(lab.server.site, lab.tcp)
    async with logged_in(lab.tcp, "alice") as (alice,), device(memory, "alice") as two:
        lab.service.signals.publish(UserEnded("alice", "disabled", None))
        for each in (alice, two):
            assert (await each.expect("closing"))["code"] == "disabled"
            await each.ended()


async def test_handshakes_that_never_finish_count_from_accept_on(
    tmp_path: Path,
) -> None:
    settings = {"limits": {"connections_per_address": 4}}
    async with serving(tmp_path, settings) as lab:
        assert isinstance(lab.tls, tuple)
        idle = []
        for number in range(4):
            idle.append(await asyncio.open_connection(*lab.tls))
            await counted(lab, number + 1)
        for address, tls in ((lab.tcp, None), (lab.tls, blind_tls())):
            async with await RawClient.connect(address, tls) as refused:
                assert (await refused.expect("closing"))["code"] == "too_many"
        idle[0][1].close()
        await counted(lab, 3)
        async with await RawClient.connect(lab.tls, blind_tls()) as client:
            assert (await client.request("ping"))["type"] == "pong"
        for _, writer in idle:
            writer.close()


async def test_a_handshake_ends_in_the_time_of_a_login_also_once_that_has_changed(
    tmp_path: Path,
) -> None:
    async with serving(tmp_path, {"limits": {"login_seconds": 3_600}}) as lab:
        assert isinstance(lab.tls, tuple)
        lab.configure({"limits": {"login_seconds": 1}})
        reader, writer = await asyncio.open_connection(*lab.tls)
        assert await reader.read() == b""
        writer.close()
    await counted(lab, 0)


async def test_a_stop_ends_handshakes_that_are_under_way(tmp_path: Path) -> None:
    async with serving(tmp_path) as lab:
        assert isinstance(lab.tls, tuple)
        reader, writer = await asyncio.open_connection(*lab.tls)
        await counted(lab, 1)
    assert lab.gate.connections == 0
    with contextlib.suppress(ConnectionError):
        assert await reader.read() == b""
    writer.close()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(*lab.tls)


async def test_what_is_no_tls_is_hung_up_on(lab: Lab) -> None:
    assert isinstance(lab.tls, tuple)
    reader, writer = await asyncio.open_connection(*lab.tls)
    writer.write(b"GET / HTTP/1.1\r\n\r\n")
    await reader.read()
    writer.close()
    await counted(lab, 0)
    async with await RawClient.connect(lab.tls, blind_tls()) as client:
        assert (await client.request("ping"))["type"] == "pong"


async def test_a_connection_that_fails_at_once_counts_no_longer(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> Connection:
        raise RuntimeError("a bug")

    monkeypatch.setattr(lab.server._sockets, "_connect", fail)
    for address, tls in ((lab.tcp, None), (lab.tls, blind_tls())):
        async with await RawClient.connect(address, tls) as client:
            await client.ended()
    await counted(lab, 0)


async def test_without_descriptors_accepting_goes_on_later(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sockets, "ACCEPT_PAUSE_SECONDS", 0.01)
    loop = asyncio.get_running_loop()
    accept, fail = loop.sock_accept, [True, True]

    async def accept_or_fail(listening: socket.socket) -> object:
        if fail:
            fail.pop()
            raise OSError(24, "too many open files")
        return await accept(listening)

    monkeypatch.setattr(loop, "sock_accept", accept_or_fail)
    for _ in range(2):
        async with await RawClient.connect(lab.tls, blind_tls()) as client:
            assert (await client.request("ping"))["type"] == "pong"
    assert not fail
