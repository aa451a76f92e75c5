"""Section 8 of the protocol: how transfers end before their last byte."""

import asyncio
import contextlib
import os
import socket
import struct
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from chatd.core.signals import UserEnded
from chatd.listeners import gate
from chatd.listeners.native import connection, data
from chatd.protocol.errors import StorageFullError, UnavailableError
from chatd.store.disk.content import DiskContent
from tests import PATIENCE
from tests.fakes.raw_client import DataLine, Json, RawClient, RefusedError, blind_tls
from tests.helpers import (
    eventually,
    get_file,
    logged_in,
    put_file,
    send_rest,
    ticket_at,
    upload_of,
)
from tests.service.conftest import Lab, serving

DATA = os.urandom(1_000_000)
# More than the system and both ends buffer: such a download waits for its reader.
LARGE = bytes(1 << 20) * 32


@pytest.fixture(autouse=True)
def _watchful(monkeypatch: pytest.MonkeyPatch) -> None:
    # The clock is advanced by hand: idle connections must be looked for often.
    monkeypatch.setattr(gate, "WATCH_SECONDS", 0.02)


@pytest.fixture
async def alice(lab: Lab) -> AsyncIterator[RawClient]:
    """Log alice in at the server in this process."""
    async with logged_in(lab.tcp, "alice") as (client,):
        yield client


async def begun(client: RawClient, lab: Lab, count: int) -> tuple[Json, DataLine]:
    """Begin an upload of DATA and wait until so many bytes of it have arrived."""
    request = upload_of(f"@{client.user}", DATA)
    answer = await client.ask("upload", **request)
    line = await DataLine.begin(lab.tcp, answer["ticket"])
    line.send(DATA[:count])
    await ticket_at(client, request, count)
    return request, line


async def goes_on(client: RawClient, lab: Lab, request: Json, count: int) -> None:
    """Check that exactly so much of an upload was kept, and complete it."""
    answer = await client.ask("upload", **request)
    async with await DataLine.begin(lab.tcp, answer["ticket"]) as line:
        assert line.answer["offset"] == count
        line.send(DATA[count:])
        stored = await line.message()
    assert await get_file(client, lab.tcp, stored["file"]) == DATA


async def is_quiet(lab: Lab) -> None:
    """Wait until no data connection is left, and check that nothing is left of it."""
    tasks = [c.task for c in lab.connections if c.data and c.task]
    if tasks:
        async with asyncio.timeout(PATIENCE):
            await asyncio.wait(tasks)
    transfers = lab.service.files._transfers
    assert transfers._active == set()
    assert transfers._uploads == {}


def open_blobs(lab: Lab) -> list[str]:
    """Return which files of the folder of contents and uploads are open."""
    found = []
    for number in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            found.append(os.readlink(f"/proc/self/fd/{number}"))
    return [path for path in found if path.startswith(str(lab.data / "blobs"))]


# Idle -------------------------------------------------------------------------------


async def pass_time(lab: Lab, client: RawClient) -> None:
    """Advance the clock until the one data connection is idle, but no other one."""
    (connection,) = [c for c in lab.connections if c.data]
    assert connection.data is not None
    while connection.data._closing is None:
        lab.clock.skipped_seconds += 1
        await client.ask("ping")


async def test_an_upload_that_stalls_is_closed_and_keeps_what_came(
    lab: Lab, alice: RawClient
) -> None:
    request, line = await begun(alice, lab, 300_000)
    async with line:
        await pass_time(lab, alice)
        closing = await line.message()
        assert (closing["type"], closing["code"]) == ("closing", "idle")
        assert await line.rest() == b""
    async with await RawClient.connect(lab.tcp) as again:
        await again.login("alice")
        await goes_on(again, lab, request, 300_000)


async def test_bytes_keep_an_upload_alive(lab: Lab, alice: RawClient) -> None:
    request, line = await begun(alice, lab, 100_000)
    async with line:
        for count in range(200_000, 1_000_000, 100_000):
            await alice.ask("ping")
            lab.clock.skipped_seconds += 100
            line.send(DATA[count - 100_000 : count])
            await ticket_at(alice, request, count)
        line.send(DATA[900_000:])
        assert (await line.message())["type"] == "stored"


async def test_a_download_that_nobody_reads_is_cut(lab: Lab, alice: RawClient) -> None:
    file = (await put_file(alice, lab.tcp, "@alice", LARGE))["file"]
    answer = await alice.ask("download", file=file)
    async with await DataLine.begin(lab.tcp, answer["ticket"]) as line:
        await pass_time(lab, alice)
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await line.reader.readexactly(len(LARGE))
    await is_quiet(lab)


async def test_a_login_is_not_waited_for_on_a_data_connection(
    lab: Lab, alice: RawClient
) -> None:
    request, line = await begun(alice, lab, 1_000)
    async with line:
        lab.clock.skipped_seconds += 31
        async with await RawClient.connect(lab.tcp) as silent:
            lab.clock.skipped_seconds += 31
            assert (await silent.expect("closing"))["code"] == "login_timeout"
        line.send(DATA[1_000:])
        assert (await line.message())["type"] == "stored"


# Peers that are gone ----------------------------------------------------------------


@pytest.mark.parametrize("is_reset", [False, True])
async def test_a_peer_that_is_gone_leaves_nothing_behind(
    lab: Lab, alice: RawClient, is_reset: bool
) -> None:
    file = (await put_file(alice, lab.tcp, "@alice", LARGE))["file"]
    tasks = len(asyncio.all_tasks())
    for tls in (None, blind_tls()):
        address = lab.tcp if tls is None else lab.tls
        up = await alice.ask("upload", **upload_of("@alice", DATA))
        down = await alice.ask("download", file=file)
        lines = [
            await DataLine.begin(address, ticket, tls)
            for ticket in (up["ticket"], down["ticket"])
        ]
        lines[0].send(DATA[:500_000])
        await lines[0].writer.drain()
        await lines[1].reader.readexactly(1_000)
        for line in lines:
            if is_reset:
                reset(line)
            await line.close()
        await is_quiet(lab)
    await lab.disk.free_bytes()
    await eventually(lambda: not open_blobs(lab), "all files are closed")
    await eventually(lambda: len(asyncio.all_tasks()) <= tasks, "all tasks have ended")


def reset(line: DataLine) -> None:
    """Have a connection end by a reset, losing all that is in flight."""
    connection = line.writer.get_extra_info("socket")
    linger = struct.pack("ii", 1, 0)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    line.writer.transport.abort()


async def test_a_peer_that_only_listens_on_gets_all_of_a_download(
    lab: Lab, alice: RawClient
) -> None:
    file = (await put_file(alice, lab.tcp, "@alice", LARGE))["file"]
    answer = await alice.ask("download", file=file)
    async with await DataLine.begin(lab.tcp, answer["ticket"]) as line:
        line.writer.write_eof()
        assert await line.rest() == LARGE


@pytest.mark.parametrize("is_tls", [False, True])
async def test_a_peer_that_takes_its_time_gets_the_end_of_a_download(
    lab: Lab, alice: RawClient, monkeypatch: pytest.MonkeyPatch, is_tls: bool
) -> None:
    monkeypatch.setattr(connection, "DRAIN_SECONDS", 0.01)
    file = (await put_file(alice, lab.tcp, "@alice", DATA))["file"]
    answer = await alice.ask("download", file=file)
    narrow = socket.socket()
    narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    narrow.setblocking(False)
    address, others = lab.tls if is_tls else lab.tcp, lab.connections
    await asyncio.get_running_loop().sock_connect(narrow, address)
    tls, name = (blind_tls(), "lab") if is_tls else (None, None)
    streams = await asyncio.open_connection(
        sock=narrow, limit=1_000, ssl=tls, server_hostname=name
    )
    async with DataLine(*streams) as line:
        for each in lab.connections - others:
            sending = each._writer.get_extra_info("socket")
            sending.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4_096)
        await line.redeem(answer["ticket"])
        (dispatch,) = lab.service.files._transfers._active
        got = b""
        while dispatch.offset < len(DATA):
            got += await line.reader.readexactly(1_000)
        for _ in range(50):
            await alice.ask("ping")
        assert got + await line.rest() == DATA
    await is_quiet(lab)


# Stopping ---------------------------------------------------------------------------


async def test_stopping_keeps_what_came_and_says_so(tmp_path: Path) -> None:
    async with serving(tmp_path) as lab, logged_in(lab.tcp, "alice") as (alice,):
        file = (await put_file(alice, lab.tcp, "@alice", LARGE))["file"]
        answer = await alice.ask("download", file=file)
        down = await DataLine.begin(lab.tcp, answer["ticket"])
        request, up = await begun(alice, lab, 300_000)
    async with up, down:
        closing = await up.message()
        assert (closing["type"], closing["code"]) == ("closing", "server_stopping")
        assert closing["retry_after"] > 0
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await down.reader.readexactly(len(LARGE))
    async with serving(tmp_path) as lab, await RawClient.connect(lab.tcp) as alice:
        await alice.login("alice")
        await goes_on(alice, lab, request, 300_000)


async def test_what_is_being_sealed_is_carried_out_at_a_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(tmp_path) as lab, logged_in(lab.tcp, "alice") as (alice,):
        request, line = await begun(alice, lab, 300_000)
        store = lab.service.files._store
        append, is_appending = store.append, asyncio.Event()

        async def append_late(*args: Any) -> Any:
            is_appending.set()
            await eventually(lambda: lab.gate.stopping is not None, "the stop")
            return await append(*args)

        monkeypatch.setattr(store, "append", append_late)
        line.send(DATA[300_000:])
        await is_appending.wait()
    async with line:
        assert (await line.message())["type"] == "stored"
        assert (await line.message())["code"] == "server_stopping"
    async with serving(tmp_path) as lab, await RawClient.connect(lab.tcp) as alice:
        await alice.login("alice")
        assert (await alice.ask("upload", **request))["type"] == "stored"


# Ended by the server ----------------------------------------------------------------


async def test_what_a_disabled_user_moves_is_cut(lab: Lab, alice: RawClient) -> None:
    file = (await put_file(alice, lab.tcp, "@alice", LARGE))["file"]
    answer = await alice.ask("download", file=file)
    unused = await alice.ask("download", file=file)
    async with await DataLine.begin(lab.tcp, answer["ticket"]) as down:
        _, up = await begun(alice, lab, 1_000)
        async with up, logged_in(lab.tcp, "bob") as (bob,):
            kept = await bob.ask("upload", **upload_of("@bob", DATA))
            lab.service.signals.publish(UserEnded("alice", "disabled", None))
            closing = await up.message()
            assert (closing["type"], closing["code"]) == ("closing", "disabled")
            with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
                await down.reader.readexactly(len(LARGE))
            async with await DataLine.connect(lab.tcp, unused["ticket"]) as line:
                assert line.answer["code"] == "not_allowed"
            assert (await send_rest(lab.tcp, kept["ticket"], DATA))["seq"]
    await is_quiet(lab)


async def test_a_revoked_login_moves_nothing(lab: Lab, alice: RawClient) -> None:
    async with await RawClient.connect(lab.tcp) as other:
        ready = await other.login("alice", remember=True)
        login = ready["token"].split(".")[1]
        _, line = await begun(other, lab, 1_000)
        async with line:
            lab.service.signals.publish(UserEnded("alice", "revoked", login))
            assert (await line.message())["code"] == "revoked"
        await alice.ask("ping")


async def test_who_is_muted_may_fetch_but_not_send(lab: Lab, alice: RawClient) -> None:
    await alice.ask("create", room="#lab")
    file = (await put_file(alice, lab.tcp, "#lab", DATA))["file"]
    seat = lab.service.hub.users["alice"].seats["#lab"]
    seat.role = "muted"
    assert await alice.refusal("upload", **upload_of("#lab", DATA)) == "muted"
    assert await get_file(alice, lab.tcp, file) == DATA


async def test_uploads_count_as_messages(tmp_path: Path) -> None:
    limits = {"messages_per_second": 0.001, "messages_burst": 2}
    async with (
        serving(tmp_path, {"limits": limits}) as lab,
        logged_in(lab.tcp, "alice") as (alice,),
    ):
        await alice.say("@alice", "x")
        request = upload_of("@alice", DATA)
        await alice.ask("upload", **request)
        answer = await alice.request("upload", **upload_of("@alice", DATA))
        assert answer["code"] == "rate_limited"
        assert answer["retry_after"] > 0
        again = await alice.ask("upload", **request)
        assert (await send_rest(lab.tcp, again["ticket"], DATA))["seq"]


# Internal errors --------------------------------------------------------------------


async def fail(*_: object) -> Any:
    raise UnavailableError("the disk does not answer")


@pytest.mark.parametrize("method", ["append", "chat_of"])
async def test_an_upload_that_could_not_be_stored_is_stored_the_next_time(
    lab: Lab, alice: RawClient, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    request = upload_of("@alice", DATA)
    answer = await alice.ask("upload", **request)
    with monkeypatch.context() as patched:
        patched.setattr(lab.service.files._store, method, fail)
        with pytest.raises(RefusedError) as caught:
            await send_rest(lab.tcp, answer["ticket"], DATA)
        assert caught.value.code == "unavailable"
    await goes_on(alice, lab, request, len(DATA))
    assert len(lab.blobs()) == 1


async def test_an_answer_that_was_lost_is_given_the_next_time(
    lab: Lab, alice: RawClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = upload_of("@alice", DATA)
    answer = await alice.ask("upload", **request)
    store = lab.service.files._store
    append = store.append

    async def append_and_fail(*args: Any) -> Any:
        await append(*args)
        raise UnavailableError("nobody knows")

    with monkeypatch.context() as patched:
        patched.setattr(store, "append", append_and_fail)
        with pytest.raises(RefusedError):
            await send_rest(lab.tcp, answer["ticket"], DATA)
    message = await alice.expect("message", kind="file")
    again = await alice.ask("upload", **request)
    assert (again["type"], again["seq"]) == ("stored", message["seq"])


async def test_a_write_that_fails_is_told_and_what_came_before_stays(
    lab: Lab, alice: RawClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    request, line = await begun(alice, lab, 300_000)
    async with line:
        reception = next(iter(lab.service.files._transfers._uploads.values()))
        await reception.settle()

        async def write(_: bytes) -> None:
            raise StorageFullError("the disk is full")

        assert reception._receiving is not None
        with monkeypatch.context() as patched:
            patched.setattr(reception._receiving, "write", write)
            line.send(DATA[300_000:])
            error = await line.message()
            assert (error["type"], error["code"]) == ("error", "storage_full")
    await is_quiet(lab)
    await goes_on(alice, lab, request, 300_000)


async def test_a_content_that_is_lost_is_no_such_message(
    lab: Lab, alice: RawClient
) -> None:
    file = (await put_file(alice, lab.tcp, "@alice", DATA))["file"]
    (path,) = lab.blobs()
    content = lab.data / "blobs" / path
    for damage in (lambda: content.write_bytes(b"x"), content.unlink):
        damage()
        with pytest.raises(RefusedError) as caught:
            await get_file(alice, lab.tcp, file)
        assert caught.value.code == "no_such_message"
    await is_quiet(lab)
    await eventually(lambda: not open_blobs(lab), "all files are closed")


async def test_a_download_that_cannot_be_read_on_is_cut_short(
    lab: Lab, alice: RawClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = (await put_file(alice, lab.tcp, "@alice", LARGE))["file"]
    answer = await alice.ask("download", file=file)
    async with await DataLine.begin(lab.tcp, answer["ticket"]) as line:
        (dispatch,) = lab.service.files._transfers._active
        content = dispatch.content  # type: ignore[attr-defined]
        monkeypatch.setattr(content, "read_nowait", lambda *_: None)
        monkeypatch.setattr(content, "read", fail)
        got = 0
        with contextlib.suppress(ConnectionError):
            while piece := await line.reader.read(1 << 20):
                assert piece.strip(b"\0") == b""
                got += len(piece)
        assert got < len(LARGE)
    await is_quiet(lab)


async def test_a_file_that_is_not_in_memory_is_read_all_the_same(
    lab: Lab, alice: RawClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = os.urandom(5_000_000)
    file = (await put_file(alice, lab.tcp, "@alice", sent))["file"]
    monkeypatch.setattr(DiskContent, "read_nowait", lambda *_: None)
    assert await get_file(alice, lab.tcp, file) == sent


async def test_cancelling_reaches_who_goes_on_sending(
    lab: Lab, alice: RawClient
) -> None:
    answer = await alice.ask("upload", **upload_of("@alice", LARGE))
    async with await DataLine.begin(lab.tcp, answer["ticket"]) as line:
        line.send(LARGE[:-1])
        await alice.ask("cancel_upload", file=answer["file"])
        assert (await line.message())["code"] == "not_allowed"
        await line.writer.drain()
    await is_quiet(lab)
    assert lab.blobs() == []


async def test_a_client_that_never_stops_sending_is_cut(
    lab: Lab, alice: RawClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data, "REFUSAL_SECONDS", 0.2)
    answer = await alice.ask("upload", **upload_of("@alice", b"x"))
    async with await DataLine.begin(lab.tcp, answer["ticket"]) as line:
        with contextlib.suppress(ConnectionError):
            while True:
                line.send(DATA)
                await line.writer.drain()
    await is_quiet(lab)
