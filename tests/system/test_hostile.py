"""Hostile clients: each kind of bad input; the daemon stays small and responsive."""

import asyncio
import contextlib
import json
import random
import struct
from collections.abc import AsyncIterator, Iterator

import pytest

from tests import PATIENCE
from tests.fakes.raw_client import RawClient, blind_tls, frame
from tests.helpers import eventually, fresh_name, logged_in
from tests.system.conftest import watched
from tests.system.daemon import Daemon

pytestmark = pytest.mark.system

DEEP = b'{"type":"ping","id":1,"x":' + b"[" * 10_000 + b"]" * 10_000 + b"}"
ENDLESS_STRING = b"{}" * 33 + b'"' + b'\\"' * 60_000

BAD_BODIES = {
    "no json": b"hello",
    "empty object": b"{}",
    "array": b"[]",
    "number": b"5",
    "null": b"null",
    "cut": b'{"type":"ping"',
    "two objects": b'{"type":"ping"}{"type":"ping"}',
    "not utf-8": b'{"type":"ping","x":"\xff\xfe"}',
    "utf-16": '{"type":"ping"}'.encode("utf-16"),
    "surrogate": b'{"type":"ping","x":"\\ud800"}',
    "nan": b'{"type":"ping","x":NaN}',
    "infinity": b'{"type":"ping","x":-Infinity}',
    "nul": b'{"type":"ping","x":"\0"}',
    "only nuls": b"\0" * 64,
    "deep list": b"[" * 10_000,
    "deep objects": b'{"a":' * 10_000,
    "deep but closed": DEEP,
    "string without an end": ENDLESS_STRING,
    "huge integer": b'{"type":"read","chat":"@a","seq":' + b"9" * 100_000 + b"}",
    "huge id": b'{"type":"ping","id":' + b"9" * 5_000 + b"}",
    "huge exponent": b'{"type":"read","chat":"@a","seq":1e999999999}',
    "negative id": b'{"type":"ping","id":-1}',
    "type is a list": b'{"type":["ping"]}',
    "type is missing": b'{"id":1}',
    "text is a list": b'{"type":"send","chat":"@a","text":["x"]}',
    "many members": b'{"type":"send",' + b'"a":1,' * 15_000 + b'"b":2}',
}


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    folder = tmp_path_factory.mktemp("hostile")
    started = Daemon(folder, {"limits": {"login_seconds": 1}})
    started.start_nowait()
    yield started
    started.stop_whatever_happened()
    assert "Traceback" not in started.errors(), started.errors()[-3000:]


@contextlib.asynccontextmanager
async def stranger(
    daemon: Daemon, *, is_reading: bool = True, with_tls: bool = False
) -> AsyncIterator[RawClient]:
    """Connect without logging in."""
    async with await RawClient.connect(
        daemon.tls if with_tls else daemon.tcp,
        blind_tls() if with_tls else None,
        is_reading=is_reading,
    ) as client:
        yield client


async def closing_code(client: RawClient) -> str:
    """Wait for the end of the stream; return the code of ``closing``, sent last."""
    last = (await client.ended())[-1]
    assert last["type"] == "closing", last
    assert last["reason"]
    code: str = last["code"]
    return code


# Frames ----------------------------------------------------------------------------


@pytest.mark.parametrize("length", [0, 4_097, 131_073, 1 << 31, (1 << 32) - 1])
async def test_an_impossible_length_is_answered_and_closed(
    daemon: Daemon, length: int
) -> None:
    async with watched(daemon), stranger(daemon) as client:
        client.send_raw(struct.pack(">I", length) + b"x" * 5_000)
        assert await closing_code(client) == "bad_frame"
        assert client.inbox[-2]["type"] == "error"
        assert client.inbox[-2]["code"] == "bad_frame"


@pytest.mark.parametrize("length", [0, 131_073, (1 << 32) - 1])
async def test_an_impossible_length_after_login_is_closed_too(
    daemon: Daemon, length: int
) -> None:
    async with watched(daemon), logged_in(daemon.tcp, fresh_name()) as (client,):
        client.send("ping", id=7)
        client.send_raw(struct.pack(">I", length))
        assert await closing_code(client) == "bad_frame"
        assert any(m.get("re") == 7 for m in client.history)


@pytest.mark.parametrize(
    "data",
    [b"GET / HTTP/1.1\r\n\r\n", b"NICK alice\r\nUSER a\r\n", b"SSH-2.0-x\r\n"]
    + [random.Random(n).randbytes(3_000) for n in range(5)],
)
async def test_other_protocols_and_garbage_are_hung_up_on(
    daemon: Daemon, data: bytes
) -> None:
    async with watched(daemon), stranger(daemon) as client:
        client.send_raw(data)
        assert await closing_code(client) in ("bad_frame", "login_timeout")


async def test_half_a_frame_and_a_goodbye_cost_nothing(daemon: Daemon) -> None:
    async with watched(daemon):
        before = daemon.open_files()
        for cut in (1, 3, 4, 5, 20):
            for _ in range(20):
                async with stranger(daemon, is_reading=False) as client:
                    client.send_raw(frame({"type": "ping", "id": 1})[:cut])
        await eventually(lambda: daemon.open_files() <= before, "sockets stay open")


async def test_a_frame_that_never_ends_is_closed_before_login(daemon: Daemon) -> None:
    async with watched(daemon), stranger(daemon) as client:
        client.send_raw(struct.pack(">I", 4_096) + b"x" * 4_000)
        assert await closing_code(client) == "login_timeout"


# Bodies ----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", BAD_BODIES)
async def test_a_bad_body_is_refused_and_the_connection_goes_on(
    daemon: Daemon, kind: str
) -> None:
    async with watched(daemon), logged_in(daemon.tcp, fresh_name()) as (client,):
        client.send_raw(frame(BAD_BODIES[kind]))
        error = await client.expect("error")
        assert error["code"] == "bad_request"
        assert error["reason"]
        await client.ask("ping")


async def test_an_unknown_type_is_refused_by_name(daemon: Daemon) -> None:
    async with logged_in(daemon.tcp, fresh_name()) as (client,):
        answer = await client.request("dance")
        assert answer["code"] == "unknown_type"
        assert "dance" in answer["reason"]


@pytest.mark.parametrize("is_logged_in", [False, True])
async def test_thousands_of_bad_bodies_end_the_connection(
    daemon: Daemon, is_logged_in: bool
) -> None:
    async with watched(daemon), stranger(daemon) as client:
        if is_logged_in:
            user = fresh_name()
            await client.register(user)
            await client.login(user)
        with contextlib.suppress(OSError):
            for _ in range(5_000):
                client.send_raw(frame(b"{") * 10)
                await client.writer.drain()
                if client.is_ended:
                    break
        assert await closing_code(client) == "too_many_errors"


async def test_some_bad_bodies_over_a_long_time_are_forgiven(daemon: Daemon) -> None:
    async with logged_in(daemon.tcp, fresh_name()) as (client,):
        for _ in range(3):
            client.send_raw(frame(b"{"))
            await client.expect("error", code="bad_request")
            for _ in range(50):
                await client.ask("ping")


async def test_mutated_requests_never_break_the_daemon(daemon: Daemon) -> None:
    chance = random.Random(5)
    sound = [
        json.dumps(RawClient.body(type_, id=5, **members)).encode()
        for type_, members in (
            ("send", {"chat": "@a", "text": "hello", "key": "k-1"}),
            ("history", {"chat": "#r", "before": 5, "limit": 10}),
            ("sync", {"have": {"#r": 5}}),
            ("create", {"room": "#r", "topic": "x", "visibility": "private"}),
            ("auth", {"mechanism": "SCRAM-SHA-256", "data": "n,,n=a,r=b"}),
            ("whois", {"user": "a"}),
            ("members", {"room": "#r", "after": "b"}),
        )
    ]
    async with watched(daemon):
        for _ in range(15):
            async with logged_in(daemon.tcp, fresh_name()) as (client,):
                for _ in range(60):
                    body = bytearray(chance.choice(sound))
                    for _ in range(chance.randint(0, 3)):
                        body[chance.randrange(len(body))] = chance.randrange(256)
                    client.send_raw(frame(bytes(body)))
                with contextlib.suppress(OSError):
                    await client.writer.drain()
                client.send("ping", id=99)
                await client.take(
                    lambda m: m.get("re") == 99 or m["type"] == "closing", "a pong"
                )


# Before the login ------------------------------------------------------------------

NEEDS_LOGIN = [
    ("send", {"chat": "@a", "text": "x"}),
    ("sync", {"have": {}}),
    ("read", {"chat": "@a", "seq": 1}),
    ("history", {"chat": "@a", "before": 1}),
    ("typing", {"chat": "@a"}),
    ("create", {"room": "#a"}),
    ("join", {"room": "#a"}),
    ("leave", {"room": "#a"}),
    ("topic", {"room": "#a", "topic": "x"}),
    ("invite", {"room": "#a", "user": "b"}),
    ("decline", {"room": "#a"}),
    ("rooms", {}),
    ("members", {"room": "#a"}),
    ("status", {"status": "away"}),
    ("whois", {"user": "a"}),
]


@pytest.mark.parametrize(("type_", "members"), NEEDS_LOGIN)
async def test_a_request_before_login_is_refused(
    daemon: Daemon, type_: str, members: dict[str, object]
) -> None:
    async with stranger(daemon) as client:
        assert await client.refusal(type_, **members) == "not_authenticated"
        await client.ask("ping")


async def test_who_says_nothing_is_closed_in_time(daemon: Daemon) -> None:
    async with watched(daemon), stranger(daemon) as client:
        await client.expect("hello")
        assert await closing_code(client) == "login_timeout"


async def test_who_only_pings_is_closed_in_time(daemon: Daemon) -> None:
    async with watched(daemon), stranger(daemon) as client:
        with contextlib.suppress(ConnectionError):
            while True:
                await client.ask("ping")
                await asyncio.sleep(0.05)
        assert await closing_code(client) == "login_timeout"


async def test_who_trickles_bytes_is_closed_in_time(daemon: Daemon) -> None:
    async with watched(daemon), stranger(daemon) as client:
        for byte in frame({"type": "ping", "x": "y" * 3_000}):
            client.send_raw(bytes([byte]))
            await asyncio.sleep(0.02)
            if client.is_ended:
                break
        assert await closing_code(client) == "login_timeout"


async def test_many_silent_connections_are_all_let_go(daemon: Daemon) -> None:
    async with watched(daemon):
        before = daemon.open_files()
        silent = await asyncio.gather(
            *(RawClient.connect(daemon.tcp) for _ in range(200))
        )
        for client in silent:
            assert await closing_code(client) == "login_timeout"
            await client.close()
        await eventually(lambda: daemon.open_files() <= before, "sockets stay open")


@pytest.mark.parametrize(
    "members",
    [
        {"mechanism": "SCRAM-SHA-256", "data": ""},
        {"mechanism": "SCRAM-SHA-256", "data": "n,,"},
        {"mechanism": "SCRAM-SHA-256", "data": "c=biws,r=x,p=y"},
        {"mechanism": "SCRAM-SHA-256", "data": "n,,n=a,r="},
        {"mechanism": "SCRAM-SHA-256", "data": "n,,n=a=zz,r=abc"},
        {"mechanism": "SCRAM-SHA-256", "data": "n,a=bob,n=a,r=abc"},
        {"mechanism": "SCRAM-SHA-256", "data": "y,,n=a,r=\0"},
        {"mechanism": "SCRAM-SHA-256", "data": "n,,m=x,n=a,r=b"},
        {"mechanism": "SCRAM-SHA-256", "data": "p=tls-unique,,n=a,r=b"},
        {"mechanism": "SCRAM-SHA-256", "data": "=" * 3_000},
        {"mechanism": "SCRAM-SHA-256"},
        {"mechanism": "SCRAM-SHA-256-PLUS", "data": "n,,n=a,r=b"},
        {"mechanism": "PLAIN", "data": "AGEAYg=="},
        {"mechanism": "PLAIN", "user": "a\0b", "password": "x"},
        {"mechanism": "PLAIN", "user": "", "password": ""},
        {"mechanism": "PLAIN", "user": "x" * 3_000, "password": "y"},
        {"mechanism": "PLAIN", "user": "a", "password": "\u0000\u0007" * 99},
        {"mechanism": "TOKEN", "token": "../../etc/passwd"},
        {"mechanism": "TOKEN", "token": ""},
        {"mechanism": "TOKEN"},
        {"mechanism": "MD5"},
        {"mechanism": ""},
    ],
)
async def test_a_bad_login_is_refused_in_words(
    daemon: Daemon, members: dict[str, object]
) -> None:
    async with stranger(daemon) as client:
        answer = await client.request("auth", **members)
        if answer["type"] == "challenge":
            answer = await client.request("auth", **members)
        assert answer["type"] == "error"
        assert answer["code"] in ("auth_failed", "bad_request", "not_allowed")
        await client.ask("ping")


async def test_a_second_login_on_one_connection_is_refused(daemon: Daemon) -> None:
    async with logged_in(daemon.tcp, fresh_name()) as (client,):
        code = await client.refusal(
            "auth", mechanism="PLAIN", user=client.user, password="correct horse"
        )
        assert code in ("not_allowed", "bad_request")
        await client.ask("ping")


# Reading and writing too little or too much ----------------------------------------


@pytest.mark.parametrize("with_tls", [False, True])
async def test_who_never_reads_costs_no_memory_and_loses_nothing(
    daemon: Daemon, with_tls: bool
) -> None:
    deaf_name, count = fresh_name("deaf"), 1_500
    async with (
        watched(daemon),
        logged_in(daemon.tcp, deaf_name, fresh_name()) as (first, speaker),
    ):
        await first.close()
        async with stranger(daemon, is_reading=False, with_tls=with_tls) as deaf:
            deaf.send(
                "auth",
                mechanism="PLAIN",
                user=deaf_name,
                password="correct horse",
            )
            for start in range(0, count, 50):
                ids = [
                    speaker.send_with_id(
                        "send", chat=f"@{deaf_name}", text=f"{n} " + "x" * 16_000
                    )
                    for n in range(start, start + 50)
                ]
                for id_ in ids:
                    assert (await speaker.reply(id_))["type"] == "sent"
                speaker.inbox.clear()
                speaker.history.clear()
            deaf.start_reading()
            numbers: list[int] = []
            prev = 0
            while len(numbers) < count:
                message = await deaf.expect("message")
                assert message["prev"] == prev
                prev = message["seq"]
                numbers.append(int(message["text"].split()[0]))
            assert numbers == list(range(count))


@pytest.mark.parametrize("with_tls", [False, True])
async def test_who_reads_no_replies_is_not_read_any_more(
    daemon: Daemon, with_tls: bool
) -> None:
    async with (
        watched(daemon),
        logged_in(daemon.tcp, fresh_name()) as (first,),
        stranger(daemon, is_reading=False, with_tls=with_tls) as deaf,
    ):
        deaf.send("auth", mechanism="PLAIN", user=first.user, password="correct horse")
        sent = 0
        chunk = b"".join(frame({"type": "ping", "id": 3}) for _ in range(5_000))
        with contextlib.suppress(TimeoutError):
            while sent < 2_000_000:
                deaf.send_raw(chunk)
                sent += 5_000
                async with asyncio.timeout(1):
                    await deaf.writer.drain()
        assert sent < 2_000_000, "the daemon went on reading"
        # So many replies are too slow to receive in debug mode.
        asyncio.get_running_loop().set_debug(False)
        deaf.start_reading()
        await eventually(lambda: len(deaf.history) == sent + 3, "replies are missing")
        assert sum(m["type"] == "pong" for m in deaf.history) == sent


async def test_pipelined_sends_beyond_the_limit_are_all_answered(
    daemon: Daemon,
) -> None:
    async with watched(daemon), logged_in(daemon.tcp, fresh_name()) as (client,):
        ids = [
            client.send_with_id("send", chat=f"@{client.user}", text=str(n))
            for n in range(3_000)
        ]
        seqs = [(await client.reply(id_))["seq"] for id_ in ids]
        assert seqs == sorted(set(seqs))


async def test_the_same_id_twice_is_answered_twice(daemon: Daemon) -> None:
    async with logged_in(daemon.tcp, fresh_name()) as (client,):
        for text in ("a", "b"):
            client.send("send", id=5, chat=f"@{client.user}", text=text)
        first = await client.expect("sent", re=5)
        second = await client.expect("sent", re=5)
        assert first["seq"] < second["seq"]


async def test_half_closing_ends_the_connection(daemon: Daemon) -> None:
    async with watched(daemon), logged_in(daemon.tcp, fresh_name()) as (client,):
        id_ = client.send_with_id("send", chat=f"@{client.user}", text="last words")
        client.writer.write_eof()
        await client.ended()
        answers = [m for m in client.inbox if m.get("re") == id_]
        assert [m["type"] for m in answers] in (["sent"], [])


async def test_connections_cut_at_any_moment_leave_nothing_behind(
    daemon: Daemon,
) -> None:
    chance = random.Random(3)
    async with watched(daemon), logged_in(daemon.tcp, fresh_name()) as (owner,):
        before = daemon.open_files()
        whole = (
            frame(
                owner.body(
                    "auth", mechanism="PLAIN", user=owner.user, password="correct horse"
                )
            )
            + frame(owner.body("send", chat=f"@{owner.user}", text="x")) * 20
        )
        for _ in range(150):
            client = await RawClient.connect(daemon.tcp, is_reading=False)
            client.send_raw(whole[: chance.randrange(len(whole))])
            await asyncio.sleep(chance.random() * 0.01)
            client.abort()
        await eventually(lambda: daemon.open_files() <= before, "sockets stay open")


@pytest.mark.parametrize("ending", [b"\0\0\0\0", b""])
async def test_a_member_who_is_hung_up_on_does_not_disturb_the_others(
    daemon: Daemon, ending: bytes
) -> None:
    room = "#" + fresh_name("room")
    users = [fresh_name() for _ in range(8)]
    async with watched(daemon), logged_in(daemon.tcp, *users) as members:
        await members[0].ask("create", room=room)
        for member in members[1:]:
            await member.ask("join", room=room)
        for bad, speaker in zip(members[1:5], members[4:8], strict=True):
            # It never closes its side, so the daemon waits for that for a while.
            bad.send_raw(ending or frame(b"{") * 1_000)
            await bad.expect("closing")
            for n in range(20):
                await speaker.say(room, f"{bad.user} {n}")
        for member in (members[0], *members[5:]):
            await member.expect("message", text=f"{members[4].user} 19")
            seen = [m for m in member.history if m.get("kind") == "text"]
            assert len(seen) == 80


# TLS -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00garbage" * 50,
        b"\0" * 2_000,
        random.Random(1).randbytes(2_000),
        frame({"type": "ping", "id": 1}),
        b"\x16\x03\x01",
        b"",
    ],
)
async def test_no_tls_on_the_tls_port_is_let_go(daemon: Daemon, data: bytes) -> None:
    async with watched(daemon):
        before = daemon.open_files()
        async with await RawClient.connect(daemon.tls, is_reading=False) as client:
            client.send_raw(data)
            async with asyncio.timeout(PATIENCE):
                with contextlib.suppress(ConnectionError):
                    while await client.reader.read(4096):
                        pass
        await eventually(lambda: daemon.open_files() <= before, "sockets stay open")


async def test_tls_on_the_plain_port_is_hung_up_on(daemon: Daemon) -> None:
    async with watched(daemon):
        with pytest.raises(OSError):  # noqa: PT011 - any of TLS's own
            await RawClient.connect(daemon.tcp, tls=blind_tls())


async def test_a_bad_frame_over_tls_is_answered_and_closed(daemon: Daemon) -> None:
    async with await RawClient.connect(daemon.tls, tls=blind_tls()) as client:
        client.send_raw(b"\0\0\0\0")
        assert await closing_code(client) == "bad_frame"


async def test_a_tls_connection_cut_in_the_middle_leaves_nothing(
    daemon: Daemon,
) -> None:
    async with watched(daemon):
        before = daemon.open_files()
        for _ in range(20):
            client = await RawClient.connect(daemon.tls, tls=blind_tls())
            client.send("ping", id=1)
            client.abort()
        await eventually(lambda: daemon.open_files() <= before, "sockets stay open")
