"""Hostile data connections: the daemon stays small, serves others, loses nothing."""

import asyncio
import contextlib
import random
import secrets
from collections.abc import AsyncIterator, Callable, Iterator

import pytest

from tests.fakes.raw_client import (
    DataLine,
    Json,
    RawClient,
    RefusedError,
    blind_tls,
    frame,
)
from tests.helpers import (
    eventually,
    fresh_name,
    get_file,
    logged_in,
    put_file,
    send_rest,
    sha256_of,
    upload_of,
)
from tests.system.conftest import watched
from tests.system.daemon import Daemon
from tests.system.transfers import begun_upload, check, incoming_of

pytestmark = pytest.mark.system

MEBIBYTE = 1 << 20
DATA = random.Random(0).randbytes(3 * MEBIBYTE)
LARGE = random.Random(1).randbytes(MEBIBYTE) * 32
"""More than the system and both ends buffer: a download of it waits for its reader."""

USER_TRANSFERS = 8


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    files = {"free_bytes": 0, "user_transfers": USER_TRANSFERS}
    started = Daemon(tmp_path_factory.mktemp("hostile"), {"files": files})
    started.start_nowait()
    yield started
    started.stop_whatever_happened()
    assert "Traceback" not in started.errors(), started.errors()[-3000:]


@pytest.fixture
async def alice(daemon: Daemon) -> AsyncIterator[RawClient]:
    """A user with an account of her own for this test."""
    # Debug mode costs too much where many bytes move.
    asyncio.get_running_loop().set_debug(False)
    async with logged_in(daemon.tcp, fresh_name("alice")) as (client,):
        yield client


@pytest.fixture
async def hasty(make_daemon: Callable[..., Daemon]) -> Daemon:
    """A daemon that closes connections that are idle for a second."""
    asyncio.get_running_loop().set_debug(False)
    settings = {"files": {"free_bytes": 0}, "limits": {"idle_seconds": 1}}
    return await make_daemon(settings).start()


def self_of(client: RawClient) -> str:
    """Return the address of the user's own notes."""
    return f"@{client.user}"


async def ticket_for(client: RawClient, file: str, offset: int = 0) -> str:
    """Return a ticket for a download."""
    answer = await client.ask("download", file=file, offset=offset)
    ticket: str = answer["ticket"]
    return ticket


async def nothing_moves(daemon: Daemon, open_files: int) -> None:
    """Wait until the daemon has closed every connection."""
    await eventually(lambda: daemon.open_files() <= open_files, "files stay open")


# Tickets ------------------------------------------------------------------------------


async def test_no_ticket_can_be_guessed_and_one_may_still_log_in(
    daemon: Daemon, alice: RawClient
) -> None:
    file = (await put_file(alice, daemon.tcp, self_of(alice), DATA))["file"]
    ticket = await ticket_for(alice, file)
    near = [ticket[:-1], ticket + "A", ticket.swapcase(), ticket[1:], f" {ticket}", ""]
    guesses = [*near, file, "../../x", "\0", "x" * 3_000]
    guesses += [secrets.token_urlsafe(24) for _ in range(500)]
    async with watched(daemon), await RawClient.connect(daemon.tcp) as stranger:
        for guess in guesses:
            code = await stranger.refusal("data", ticket=guess)
            assert code in ("not_allowed", "bad_request")
        await stranger.login(alice.user)
        await stranger.ask("ping")
    async with await DataLine.begin(daemon.tcp, ticket) as line:
        assert await line.rest() == DATA


async def test_thousands_of_tickets_cost_nothing_but_the_oldest(
    daemon: Daemon, alice: RawClient
) -> None:
    async with watched(daemon) as good:
        file = (await put_file(alice, daemon.tcp, self_of(alice), DATA))["file"]
        theirs = (await put_file(good, daemon.tcp, self_of(good), b"theirs"))["file"]
        other = await ticket_for(good, theirs)
        request = upload_of(self_of(alice), DATA[1:])
        tickets = [await ticket_for(alice, file)]
        for _ in range(50):
            ids = [
                alice.send_with_id("download", file=file, offset=0) for _ in range(100)
            ] + [alice.send_with_id("upload", **request) for _ in range(20)]
            tickets += [(await alice.reply(id_))["ticket"] for id_ in ids]
        assert len(set(tickets)) == len(tickets)
        assert await refused(daemon, tickets[0]) == "not_allowed"
        assert (await send_rest(daemon.tcp, tickets[-1], DATA[1:]))["seq"]
        async with await DataLine.begin(daemon.tcp, other) as line:
            assert await line.rest() == b"theirs"


async def refused(daemon: Daemon, ticket: str) -> str:
    """Return the code with which a ticket is refused."""
    with pytest.raises(RefusedError) as caught:
        await DataLine.begin(daemon.tcp, ticket)
    return caught.value.code


async def test_hundreds_of_connections_beyond_the_limit_are_refused(
    daemon: Daemon, alice: RawClient
) -> None:
    file = (await put_file(alice, daemon.tcp, self_of(alice), LARGE))["file"]
    before = daemon.open_files()
    async with watched(daemon):
        tickets = [await ticket_for(alice, file) for _ in range(200)]
        lines = await asyncio.gather(
            *(DataLine.connect(daemon.tcp, ticket) for ticket in tickets)
        )
        try:
            errors = [line.answer for line in lines if line.answer["type"] == "error"]
            assert len(lines) - len(errors) == USER_TRANSFERS
            assert {error["code"] for error in errors} == {"too_many"}
            assert all(error["retry_after"] > 0 for error in errors)
        finally:
            await asyncio.gather(*(line.abort() for line in lines))
    await nothing_moves(daemon, before)
    assert await get_file(alice, daemon.tcp, file) == LARGE


# Before the first byte, and instead of it ---------------------------------------------


@pytest.mark.parametrize(
    "members",
    [{}, {"ticket": 5}, {"ticket": None}, {"ticket": ["a"]}, {"ticket": {"a": 1}}],
)
async def test_a_request_for_data_that_is_none_is_refused(
    daemon: Daemon, members: Json
) -> None:
    async with watched(daemon), await RawClient.connect(daemon.tcp) as stranger:
        stranger.send_raw(frame({"type": "data", "id": 1, **members}))
        assert (await stranger.reply(1))["code"] == "bad_request"
        await stranger.ask("ping")


async def test_junk_right_behind_a_ticket_is_refused_and_nothing_is_stored(
    daemon: Daemon, alice: RawClient
) -> None:
    junk = [b"\0", b"GET / HTTP/1.1\r\n\r\n", frame({"type": "ping"}), DATA]
    async with watched(daemon):
        request = upload_of(self_of(alice), DATA)
        for each in junk:
            ticket = (await alice.ask("upload", **request))["ticket"]
            async with await RawClient.connect(daemon.tcp) as stranger:
                await stranger.expect("hello")
                body = frame({"type": "data", "id": 1, "ticket": ticket})
                stranger.send_raw(body + each)
                last = await stranger.ended()
                assert [m.get("code") for m in last] == ["bad_request"]
        answer = await alice.ask("upload", **request)
        assert answer["offset"] == 0
        assert (await send_rest(daemon.tcp, answer["ticket"], DATA))["seq"]


async def test_junk_sent_into_a_download_costs_nothing(
    daemon: Daemon, alice: RawClient
) -> None:
    file = (await put_file(alice, daemon.tcp, self_of(alice), DATA))["file"]
    before = daemon.open_files()
    async with watched(daemon):
        for _ in range(4):
            ticket = await ticket_for(alice, file)
            line = await DataLine.begin(daemon.tcp, ticket)
            async with junk_on(line):
                assert await line.reader.readexactly(len(DATA)) == DATA
            await line.abort()
    await nothing_moves(daemon, before)


@contextlib.asynccontextmanager
async def junk_on(line: DataLine) -> AsyncIterator[None]:
    """Send junk meanwhile, past the stream: errors of that must not end reading."""
    with line.writer.get_extra_info("socket").dup() as side:
        loop = asyncio.get_running_loop()
        sending = loop.create_task(loop.sock_sendall(side, LARGE))
        try:
            yield
        finally:
            sending.cancel()
            with contextlib.suppress(asyncio.CancelledError, OSError):
                await sending


async def test_more_than_was_announced_is_dropped_however_much_it_is(
    daemon: Daemon, alice: RawClient
) -> None:
    before = daemon.open_files()
    async with watched(daemon):
        answer = await alice.ask("upload", **upload_of(self_of(alice), DATA))
        line = await DataLine.begin(daemon.tcp, answer["ticket"])
        line.send(DATA + LARGE)
        error = await line.message()
        assert (error["type"], error["code"]) == ("error", "bad_request")
        await line.abort()
        assert await alice.refusal("cancel_upload", file=answer["file"]) == (
            "no_such_message"
        )
    assert not (daemon.data / "blobs" / "incoming" / answer["file"]).exists()
    await nothing_moves(daemon, before)


async def test_connections_cut_at_any_moment_leave_nothing_behind(
    daemon: Daemon, alice: RawClient
) -> None:
    chance = random.Random(2)
    before = daemon.open_files()
    async with watched(daemon):
        file = (await put_file(alice, daemon.tcp, self_of(alice), LARGE))["file"]
        request = upload_of(self_of(alice), LARGE[1:])
        upload = await alice.ask("upload", **request)
        for _ in range(60):
            upload = await alice.ask("upload", **request)
            download = await ticket_for(alice, file)
            # The daemon may not have noticed yet that the previous one was cut.
            with contextlib.suppress(RefusedError):
                line = await DataLine.begin(
                    daemon.tcp, chance.choice((upload["ticket"], download))
                )
                line.send(LARGE[1 : chance.randrange(MEBIBYTE)])
                await asyncio.sleep(chance.random() * 0.02)
                await line.abort()
        await alice.ask("cancel_upload", file=upload["file"])
    await nothing_moves(daemon, before)
    assert not (daemon.data / "blobs" / "incoming" / upload["file"]).exists()


# Slow peers ---------------------------------------------------------------------------


@pytest.mark.parametrize("with_tls", [False, True])
async def test_a_slow_reader_of_a_large_file_costs_no_memory(
    daemon: Daemon, alice: RawClient, with_tls: bool
) -> None:
    address, tls = (daemon.tls, blind_tls()) if with_tls else (daemon.tcp, None)
    data = LARGE * 2
    async with watched(daemon):
        request = upload_of(self_of(alice), data)
        answer = await alice.ask("upload", **request)
        stored = await send_rest(address, answer["ticket"], data, tls)
        ticket = await ticket_for(alice, stored["file"])
        async with await DataLine.begin(address, ticket, tls) as line:
            got = bytearray()
            for _ in range(50):
                got += await line.reader.readexactly(MEBIBYTE // 16)
                await asyncio.sleep(0.02)
            got += await line.rest()
        assert sha256_of(bytes(got)) == request["sha256"]


@pytest.mark.parametrize("with_tls", [False, True])
async def test_who_reads_nothing_of_a_download_is_hung_up_on(
    hasty: Daemon, with_tls: bool
) -> None:
    address, tls = (hasty.tls, blind_tls()) if with_tls else (hasty.tcp, None)
    async with watched(hasty) as good:
        file = (await put_file(good, hasty.tcp, self_of(good), LARGE))["file"]
        before = hasty.open_files()
        ticket = await ticket_for(good, file)
        line = await DataLine.begin(address, ticket, tls)
        line.reader._transport.pause_reading()  # type: ignore[attr-defined]
        assert hasty.open_files() > before
        await nothing_moves(hasty, before)
        await line.abort()
        assert await get_file(good, hasty.tcp, file) == LARGE


async def test_an_upload_that_sends_nothing_is_closed_and_keeps_what_came(
    hasty: Daemon,
) -> None:
    async with watched(hasty) as good:
        request = upload_of(self_of(good), LARGE)
        line = await begun_upload(hasty.tcp, good, request, LARGE[:MEBIBYTE])
        closing = await line.message()
        assert (closing["type"], closing["code"]) == ("closing", "idle")
        await line.ended()
        await line.close()
        answer = await good.ask("upload", **request)
        assert answer["offset"] == MEBIBYTE
        stored = await send_rest(hasty.tcp, answer["ticket"], LARGE)
        assert await get_file(good, hasty.tcp, stored["file"]) == LARGE


async def test_an_upload_byte_by_byte_is_let_be(hasty: Daemon) -> None:
    async with watched(hasty) as good:
        request = upload_of(self_of(good), LARGE)
        line = await begun_upload(hasty.tcp, good, request, LARGE[:MEBIBYTE])
        async with line:
            for at in range(MEBIBYTE, MEBIBYTE + 12):
                line.send(LARGE[at : at + 1])
                await asyncio.sleep(0.25)
            line.send(LARGE[MEBIBYTE + 12 :])
            assert (await line.message())["type"] == "stored"


# Stopping -----------------------------------------------------------------------------


async def test_stopping_amid_transfers_is_not_held_up_and_all_go_on(
    make_daemon: Callable[..., Daemon],
) -> None:
    asyncio.get_running_loop().set_debug(False)
    daemon = await make_daemon({"files": {"free_bytes": 0}}).start()
    sent = 2 * MEBIBYTE
    async with logged_in(daemon.tcp, "alice", "bob") as (alice, bob):
        file = (await put_file(bob, daemon.tcp, "@bob", LARGE))["file"]
        requests = [upload_of("@alice", LARGE) for _ in range(2)]
        uploads = [
            await begun_upload(daemon.tcp, alice, each, LARGE[:sent])
            for each in requests
        ]
        downloads = [
            await DataLine.begin(daemon.tcp, await ticket_for(bob, file))
            for _ in range(2)
        ]
        # One of the downloads reads nothing any more, one of them goes on.
        got = await downloads[0].reader.readexactly(sent)
        assert await daemon.terminate() == 0
        for line in uploads:
            closing = await line.message()
            assert (closing["type"], closing["code"]) == ("closing", "server_stopping")
            await line.close()
        with contextlib.suppress(ConnectionError):
            while data := await downloads[0].reader.read(MEBIBYTE):
                got += data
        for line in downloads:
            await line.abort()
    await daemon.start()
    async with (
        await RawClient.connect(daemon.tcp) as alice,
        await RawClient.connect(daemon.tcp) as bob,
    ):
        await alice.login("alice")
        await bob.login("bob")
        for request in requests:
            answer = await alice.ask("upload", **request)
            assert answer["offset"] >= sent
            assert (await send_rest(daemon.tcp, answer["ticket"], LARGE))["seq"]
        assert got + await get_file(bob, daemon.tcp, file, len(got)) == LARGE
    assert await daemon.terminate() == 0
    assert incoming_of(daemon) == []
    assert "files: 1 content" in await check(daemon)
