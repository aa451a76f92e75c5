"""The daemon's start, stop and reload: errors in one sentence, and nothing is lost."""

import asyncio
import json
import os
import signal
import socket
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import PATIENCE
from tests.fakes.raw_client import RawClient
from tests.helpers import eventually, logged_in, texts
from tests.system.daemon import Daemon

pytestmark = pytest.mark.system


async def refused(daemon: Daemon) -> str:
    """Start a daemon that must refuse; return its error: no traceback, status 2."""
    status, said = await daemon.run_to_its_end()
    assert status == 2, said
    assert "Traceback" not in said
    lines = [line for line in said.splitlines() if line.strip()]
    assert 1 <= len(lines) <= 3, said
    return said


async def with_alice(daemon: Daemon) -> Daemon:
    """Run a daemon once, with an account and a message, and stop it."""
    await daemon.start()
    async with logged_in(daemon.tcp, "alice") as (alice,):
        await alice.say("@alice", "remember")
    assert await daemon.terminate() == 0
    return daemon


async def check_alice(daemon: Daemon) -> None:
    """Start the daemon again; everything must be there."""
    await daemon.start()
    async with await RawClient.connect(daemon.tcp) as alice:
        await alice.login("alice")
        assert texts(await alice.log("@alice")) == ["remember"]


# Stopping --------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_stopping_says_so_and_keeps_what_was_answered(
    make_daemon: Callable[..., Daemon], number: signal.Signals
) -> None:
    daemon = await make_daemon().start()
    async with logged_in(daemon.tcp, "alice", "bob") as (alice, bob):
        first = alice.send_with_id("send", chat="@bob", text="0", key="k-0")
        ids = {first: "0"}
        for n in range(1, 2_000):
            id_ = alice.send_with_id("send", chat="@bob", text=str(n), key=f"k-{n}")
            ids[id_] = str(n)
        await alice.reply(first)
        daemon.signal(number)
        async with asyncio.timeout(PATIENCE):
            for client in (alice, bob):
                await client.ended()
            status = await daemon.wait()
        assert status == 0
        for client in (alice, bob):
            closing = client.history[-1]
            assert (closing["type"], closing["code"]) == ("closing", "server_stopping")
            assert closing["retry_after"] >= 0
        sent = {m["seq"]: ids[m["re"]] for m in alice.history if m["type"] == "sent"}
        refusals = {m["code"] for m in alice.history if m["type"] == "error"}
        assert refusals <= {"server_stopping"}
    await daemon.start()
    async with await RawClient.connect(daemon.tcp) as bob:
        await bob.login("bob")
        log = {m["seq"]: m["text"] for m in await bob.log("@alice")}
    assert sent.items() <= log.items()
    assert len(set(log.values())) == len(log)


async def test_stopping_spreads_the_return_of_its_clients(
    make_daemon: Callable[..., Daemon],
) -> None:
    daemon = await make_daemon().start()
    users = [f"user{n}" for n in range(20)]
    async with logged_in(daemon.tcp, *users) as clients:
        assert await daemon.terminate() == 0
        for client in clients:
            await client.ended()
        delays = {client.history[-1]["retry_after"] for client in clients}
    assert len(delays) > 5


async def test_stopping_does_not_wait_for_who_does_not_read(
    make_daemon: Callable[..., Daemon],
) -> None:
    daemon = await make_daemon().start()
    async with logged_in(daemon.tcp, "deaf", "alice") as (first, alice):
        await first.close()
        deaf = await RawClient.connect(daemon.tcp, is_reading=False)
        deaf.send("auth", mechanism="PLAIN", user="deaf", password="correct horse")
        for _ in range(600):
            await alice.say("@deaf", "x" * 16_000)
        daemon.signal(signal.SIGTERM)
        async with asyncio.timeout(PATIENCE):
            assert await daemon.wait() == 0
        deaf.abort()


async def test_stopping_takes_no_new_connections(
    make_daemon: Callable[..., Daemon],
) -> None:
    daemon = await make_daemon().start()
    async with logged_in(daemon.tcp, "alice") as (alice,):
        daemon.signal(signal.SIGTERM)
        await alice.expect("closing", code="server_stopping")
    assert await daemon.wait() == 0
    with pytest.raises(OSError):  # noqa: PT011 - refused
        await RawClient.connect(daemon.tcp)


async def test_a_second_signal_does_no_harm(make_daemon: Callable[..., Daemon]) -> None:
    daemon = await make_daemon().start()
    async with logged_in(daemon.tcp, "alice") as (alice,):
        await alice.say("@alice", "remember")
        daemon.signal(signal.SIGTERM)
        daemon.signal(signal.SIGINT)
        daemon.signal(signal.SIGTERM)
        await daemon.wait()
    await check_alice(daemon)


async def test_cursors_are_kept_over_a_stop(make_daemon: Callable[..., Daemon]) -> None:
    daemon = await make_daemon().start()
    async with logged_in(daemon.tcp, "alice", "bob") as (alice, bob):
        seq = (await alice.say("@bob", "x"))["seq"]
        await bob.expect("message", seq=seq)
        bob.send("read", chat="@alice", seq=seq)
        await alice.expect("read", chat="@bob", seq=seq)
        assert await daemon.terminate() == 0
    await daemon.start()
    async with await RawClient.connect(daemon.tcp) as bob:
        (record,) = (await bob.login("bob"))["chats"]
        assert (record["read"], record["unread"]) == (seq, 0)


async def test_the_socket_files_are_gone_or_reusable_after_a_kill(
    make_daemon: Callable[..., Daemon],
) -> None:
    daemon = make_daemon()
    path = str(daemon.data / "chat.sock")
    daemon.configure({"server": {"listen": [f"unix:{path}"]}})
    await daemon.start()
    for _ in range(2):
        async with await RawClient.connect(path) as client:
            await client.expect("hello")
        await daemon.restart()
    async with await RawClient.connect(path) as client:
        hello = await client.expect("hello")
        assert "PLAIN" in hello["auth"]
    assert await daemon.terminate() == 0


# Starting --------------------------------------------------------------------------


async def test_ready_names_the_addresses(make_daemon: Callable[..., Daemon]) -> None:
    daemon = await make_daemon().start()
    (line,) = (line for line in daemon.lines if line.startswith("ready"))
    for address in (daemon.tcp, daemon.tls):
        assert str(address[1]) in line


async def test_the_start_prints_the_fingerprint_and_the_data_folder(
    make_daemon: Callable[..., Daemon],
) -> None:
    daemon = await make_daemon().start()
    printed = "\n".join(daemon.lines)
    assert str(daemon.data) in printed
    assert "fingerprint" in printed.lower()


async def test_a_port_in_use_is_named(make_daemon: Callable[..., Daemon]) -> None:
    daemon = make_daemon()
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        daemon.configure({"server": {"listen": [f"tcp://127.0.0.1:{port}"]}})
        assert str(port) in await refused(daemon)


async def test_a_locked_data_folder_is_named(
    make_daemon: Callable[..., Daemon],
) -> None:
    daemon = await make_daemon().start()
    second = make_daemon(data=daemon.data)
    said = await refused(second)
    assert str(daemon.data) in said
    async with logged_in(daemon.tcp, "alice") as (alice,):
        await alice.say("@alice", "still here")


DAMAGES = {
    "empty": b"",
    "cut": None,
    "garbage": os.urandom(300),
    "array": b"[1, 2]",
    "null": b"null",
    "other version": b'{"version": 99, "users": {}}',
    "wrong record": b'{"version": 1, "users": {"alice": {"salt": 5}}}',
}


@pytest.mark.parametrize("damage", DAMAGES)
async def test_a_damaged_user_table_is_refused_and_never_overwritten(
    make_daemon: Callable[..., Daemon], damage: str
) -> None:
    daemon = await with_alice(make_daemon())
    path = daemon.data / "users.json"
    sound = path.read_bytes()
    assert "alice" in json.dumps(json.loads(sound))
    wrong = DAMAGES[damage]
    wrong = sound[: len(sound) // 2] if wrong is None else wrong
    path.write_bytes(wrong)
    assert "users.json" in await refused(daemon)
    assert path.read_bytes() == wrong
    path.write_bytes(sound)
    await check_alice(daemon)


async def test_a_missing_user_table_beside_a_database_is_refused(
    make_daemon: Callable[..., Daemon],
) -> None:
    daemon = await with_alice(make_daemon())
    path = daemon.data / "users.json"
    sound = path.read_bytes()
    path.unlink()
    assert "users.json" in await refused(daemon)
    assert not path.exists()
    path.write_bytes(sound)
    await check_alice(daemon)


async def test_a_damaged_database_is_refused_and_never_overwritten(
    make_daemon: Callable[..., Daemon],
) -> None:
    daemon = await with_alice(make_daemon())
    path = daemon.data / "chatd.db"
    sound = path.read_bytes()
    path.write_bytes(b"not a database" * 1_000)
    assert "chatd.db" in await refused(daemon)
    assert path.read_bytes() == b"not a database" * 1_000
    path.write_bytes(sound)
    await check_alice(daemon)


async def test_a_newer_database_is_refused(make_daemon: Callable[..., Daemon]) -> None:
    daemon = await with_alice(make_daemon())
    connection = sqlite3.connect(daemon.data / "chatd.db")
    connection.execute("PRAGMA user_version = 9999")
    connection.close()
    assert "newer" in await refused(daemon)


@pytest.mark.parametrize("wrong", ["missing", "garbage", "no key"])
async def test_an_unreadable_certificate_is_named(
    make_daemon: Callable[..., Daemon], tmp_path: Path, wrong: str
) -> None:
    daemon = make_daemon()
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    if wrong == "garbage":
        certificate.write_text("-----BEGIN CERTIFICATE-----\nxx\n")
        key.write_text("nothing")
    elif wrong == "no key":
        certificate.write_text("")
    daemon.configure({"tls": {"certificate": certificate, "key": key}})
    said = await refused(daemon)
    assert "cert.pem" in said or "key.pem" in said


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[server]\nnmae = 'x'\n", "nmae"),
        ("[sever]\nname = 'x'\n", "sever"),
        ("[server]\nname = 5\n", "name"),
        ("[server]\nlisten = 'tcp://127.0.0.1:1'\n", "listen"),
        ("[server]\nlisten = ['http://127.0.0.1:1']\n", "http"),
        ("[server]\nlisten = ['tcp://127.0.0.1:99999']\n", "99999"),
        ("[limits]\nframe = 1\n", "frame"),
        ("[limits]\ntext = -1\n", "text"),
        ("[limits]\nframe = true\n", "frame"),
        ("[accounts]\nregistration = 'maybe'\n", "registration"),
        ("[accounts]\niterations = 0\n", "iterations"),
        ("[log]\nlevel = 'loud'\n", "level"),
        ("[server\n", "line"),
        ("stray = 1\n", "stray"),
    ],
)
async def test_a_wrong_configuration_names_file_and_key(
    make_daemon: Callable[..., Daemon], text: str, named: str
) -> None:
    daemon = make_daemon()
    daemon.config.write_text(text)
    said = await refused(daemon)
    assert named in said
    assert "config.toml" in said
    assert not daemon.data.exists()


async def test_a_configuration_that_is_missing_is_named(
    make_daemon: Callable[..., Daemon],
) -> None:
    daemon = make_daemon()
    daemon.config.unlink()
    assert "config.toml" in await refused(daemon)


async def test_a_socket_path_that_is_too_long_is_refused(
    make_daemon: Callable[..., Daemon],
) -> None:
    daemon = make_daemon()
    daemon.configure({"server": {"listen": ["unix:/tmp/" + "x" * 108]}})
    assert "107" in await refused(daemon)


async def test_a_data_folder_that_is_a_file_is_named(
    make_daemon: Callable[..., Daemon],
) -> None:
    daemon = make_daemon()
    daemon.data.write_text("precious")
    assert str(daemon.data) in await refused(daemon)
    assert daemon.data.read_text() == "precious"


async def test_a_killed_daemon_leaves_no_lock_behind(
    make_daemon: Callable[..., Daemon],
) -> None:
    daemon = await make_daemon().start()
    async with logged_in(daemon.tcp, "alice") as (alice,):
        await alice.say("@alice", "remember")
    await daemon.kill()
    await check_alice(daemon)


# SIGHUP ----------------------------------------------------------------------------


async def test_sighup_takes_over_a_new_configuration(
    make_daemon: Callable[..., Daemon],
) -> None:
    daemon = await make_daemon().start()
    daemon.configure({"accounts": {"registration": "closed"}})
    daemon.signal(signal.SIGHUP)

    async def is_closed() -> bool:
        async with await RawClient.connect(daemon.tcp) as client:
            return str((await client.expect("hello"))["registration"]) == "closed"

    async with asyncio.timeout(10):
        while not await is_closed():
            pass
    async with await RawClient.connect(daemon.tcp) as client:
        code = await client.refusal("register", user="eve", password="correct horse")
    assert code == "registration_closed"


async def test_sighup_with_a_wrong_configuration_changes_nothing(
    make_daemon: Callable[..., Daemon],
) -> None:
    daemon = await make_daemon().start()
    async with logged_in(daemon.tcp, "alice") as (alice,):
        daemon.config.write_text("[accounts]\nregistration = 'closed'\nnonsense = 1\n")
        daemon.signal(signal.SIGHUP)
        await eventually(lambda: "nonsense" in daemon.errors(), "no word in the log")
        await alice.say("@alice", "still here")
        async with await RawClient.connect(daemon.tcp) as client:
            assert (await client.expect("hello"))["registration"] == "open"


async def test_ipv6_is_served_like_ipv4(make_daemon: Callable[..., Daemon]) -> None:
    daemon = make_daemon()
    port = int(daemon.tcp[1])
    listen = [*daemon.settings["server"]["listen"], f"tcp://[::1]:{port}"]
    daemon.configure({"server": {"listen": listen}})
    await daemon.start()
    async with await RawClient.connect(("::1", port)) as client:
        hello = await client.expect("hello")
        # It is a loopback address, so secrets may be sent.
        assert "PLAIN" in hello["auth"]


async def test_an_ipv6_address_that_the_machine_lacks_is_only_warned_of(
    make_daemon: Callable[..., Daemon],
) -> None:
    daemon = make_daemon()
    served = daemon.settings["server"]["listen"]
    missing = f"tls://[2001:db8::1]:{daemon.tls[1]}"
    daemon.configure({"server": {"listen": [*served, missing]}})
    await daemon.start()
    assert "this machine does not have that address" in daemon.errors()
    assert missing not in daemon.lines[-1]
    assert await daemon.terminate() == 0
    daemon.configure({"server": {"listen": [missing]}})
    assert "[server] listen" in await refused(daemon)
