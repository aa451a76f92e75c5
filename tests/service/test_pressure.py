"""Limits of the daemon against overload: memory, order, admission and shutdown."""

import asyncio
import contextlib
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from chatd.core.service import Service
from chatd.protocol.errors import ChatError, StorageFullError, UnavailableError
from chatd.protocol.messages import Send, ServerMessage
from chatd.settings.config import LimitSettings
from chatd.store.commands import Command
from chatd.store.disk import DiskBlobs
from chatd.store.jobs import Append, Job
from chatd.store.sqlite import SqliteStore
from chatd.store.values import Effect
from tests.fakes.raw_client import PASSWORD, RawClient
from tests.helpers import eventually, fresh_name, logged_in
from tests.service.conftest import LIMITS, Lab
from tests.service.test_hub import Everybody
from tests.system.daemon import Daemon

LONG = "\x01" * 16_000  # six times as long in JSON
MIB = 1024


@pytest.fixture
async def daemon(tmp_path: Path) -> AsyncIterator[Daemon]:
    """Serve for one test."""
    daemon = await Daemon(tmp_path).start()
    yield daemon
    daemon.stop_whatever_happened()


async def deaf(daemon: Daemon, user: str, sync: str = "none") -> RawClient:
    """Log in a connection that reads nothing from then on."""
    client = await RawClient.connect(daemon.tcp)
    await client.expect("hello")
    if sync == "none":
        await client.login(user, sync=sync)
    else:
        client.send("auth", mechanism="PLAIN", user=user, password=PASSWORD)
    client.writer.transport.pause_reading()  # type: ignore[attr-defined]
    return client


# Memory -----------------------------------------------------------------------------


async def test_pages_that_nobody_reads_are_not_all_made_at_once(daemon: Daemon) -> None:
    async with logged_in(daemon.tcp, "alice") as (alice,):
        for _ in range(11):
            await alice.say("@alice", LONG)
        greedy = await deaf(daemon, "alice")
        before = daemon.resident_kib()
        # These fit one read of the server; each asks for a page of a megabyte.
        for _ in range(200):
            greedy.send("history", chat="@alice", before=1 << 40, limit=200)
        await alice.ask("ping")
        for _ in range(20):
            await alice.ask("history", chat="@alice", after=0)
        grown = daemon.resident_kib() - before
        greedy.abort()
        assert grown < 32 * MIB


async def test_a_backlog_that_nobody_reads_stays_in_the_log(daemon: Daemon) -> None:
    async with logged_in(daemon.tcp, "alice") as (alice,):
        for _ in range(200):
            alice.send("send", chat="@alice", text=LONG)
        await alice.ask("ping")
        before = daemon.resident_kib()
        silent = [await deaf(daemon, "alice", sync="unread") for _ in range(30)]
        logins = 31
        await eventually(
            lambda: daemon.errors().count("alice logged in") >= logins, "the logins"
        )
        for _ in range(10):
            await alice.ask("history", chat="@alice", after=0)
        grown = daemon.resident_kib() - before
        for client in silent:
            client.abort()
        # 1 MiB of outbox each, and something for the connection itself.
        assert grown < 150 * MIB


async def test_who_half_closes_and_never_reads_is_let_go(tmp_path: Path) -> None:
    # More than the kernel buffers, so that the server goes on reading.
    daemon = await Daemon(tmp_path, {"limits": {"outbox": 64 << 20}}).start()
    async with logged_in(daemon.tcp, "alice") as (alice,):
        for _ in range(11):
            await alice.say("@alice", LONG)
        before = daemon.open_files()
        client = await deaf(daemon, "alice")
        for _ in range(30):
            client.send("history", chat="@alice", before=1 << 40, limit=200)
        client.writer.write_eof()
        try:
            await eventually(lambda: daemon.open_files() <= before, "the end of it")
        finally:
            client.abort()
            daemon.stop_whatever_happened()


async def test_rooms_gained_and_lost_do_not_pile_up_for_a_slow_reader(
    daemon: Daemon,
) -> None:
    async with logged_in(daemon.tcp, "alice") as (alice,):
        await alice.ask("create", room="#lab", topic="\x01" * 1_024)
        slow = [await deaf(daemon, "alice", sync="unread") for _ in range(5)]
        before = daemon.resident_kib()
        for _ in range(2_000):
            await alice.ask("leave", room="#lab")
            await alice.ask("join", room="#lab")
            alice.inbox.clear()
            alice.history.clear()
        grown = daemon.resident_kib() - before
        for client in slow:
            client.abort()
        # Of 65 MiB: the outbox of each, and the pages that the store has cached.
        assert grown < 5 * 4 * MIB + 20 * MIB


# Admission --------------------------------------------------------------------------


async def test_who_is_disabled_while_logging_in_is_not_let_in(daemon: Daemon) -> None:
    async with logged_in(daemon.tcp, "alice") as (alice,):
        for number in range(200):
            alice.send("create", room=f"#r{number}")
        await alice.ask("ping")
        clients = [await RawClient.connect(daemon.tcp) for _ in range(200)]
        for client in clients:
            client.send("auth", mechanism="PLAIN", user="alice", password=PASSWORD)
        command = [sys.executable, "-m", "chatd", "--config", str(daemon.config)]
        process = await asyncio.create_subprocess_exec(
            *command, "user", "disable", "alice", stdout=asyncio.subprocess.DEVNULL
        )
        assert await process.wait() == 0
        for client in clients:
            await client.take(
                lambda m: m["type"] in ("error", "closing"), "an end of the login"
            )
            await client.close()


# Order ------------------------------------------------------------------------------


class _Sink:
    is_full = False

    async def drained(self) -> None: ...

    def deliver(self, address: str, delivery: object) -> None: ...

    def push(self, message: ServerMessage) -> None: ...


class _Sender:
    def __init__(self, service: Service) -> None:
        self._service = service

    async def log_in(self) -> None:
        def answer(_: object, __: object) -> None: ...

        self._session = await self._service.login(
            "alice", "member", _Sink(), "unread", "", answer
        )

    async def send(self, key: str) -> str:
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def on_sent(appends: list[Append]) -> None:
            for append in appends:
                self._service.chats.settle(append)  # type: ignore[arg-type]
                if append.error is not None:
                    done.set_exception(append.error)
                else:
                    done.set_result(None)

        request = Send(chat="@bob", text=key, key=key)
        try:
            await self._service.chats.send(self._session, request, on_sent)
            await done
        except ChatError as error:
            return error.code
        return "sent"


@contextlib.asynccontextmanager
async def sending(path: Path) -> AsyncIterator[tuple[Service, SqliteStore, _Sender]]:
    store = await SqliteStore.open(path / "chatd.db")
    blobs = DiskBlobs(path / "blobs")
    service = Service(store, blobs, Everybody(), LIMITS)
    sender = _Sender(service)
    await sender.log_in()
    yield service, store, sender
    await service.close()
    await blobs.close()
    await store.close()


async def test_a_first_message_that_found_the_disk_full_keeps_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(command: Command[Any]) -> Any:
        raise StorageFullError("the disk is full")

    async with sending(tmp_path) as (_, store, sender):
        with monkeypatch.context() as patched:
            patched.setattr(store, "execute", fail)
            assert await sender.send("one") == "storage_full"
        assert await sender.send("two") == "out_of_order"
        assert await sender.send("one") == "sent"
        assert await sender.send("two") == "sent"


async def test_a_send_whose_key_could_not_be_looked_up_keeps_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(command: Command[Any]) -> Any:
        raise UnavailableError("the disk does not answer")

    async with sending(tmp_path) as (service, store, sender):
        assert await sender.send("zero") == "sent"
        with monkeypatch.context() as patched:
            patched.setattr(store, "execute", fail)
            patched.setattr(service.chats, "max_text_bytes", 0)
            assert await sender.send("one") == "unavailable"
        assert await sender.send("two") == "out_of_order"
        assert await sender.send("one") == "sent"


async def test_reads_do_not_wait_for_sends_that_cannot_be_stored(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = lab.service.chats._store
    assert isinstance(store, SqliteStore)
    machine = store._database.machine
    apply, may_go_on = machine.apply, threading.Event()

    def apply_late(batch: list[Job]) -> list[Effect]:
        may_go_on.wait(60)
        return apply(batch)

    user = fresh_name()
    async with logged_in(lab.tcp, user, sync="ask") as (client,):
        await client.request("create", room="#lab")
        monkeypatch.setattr(machine, "apply", apply_late)
        # As many as may be unanswered; what cannot be stored holds up no read.
        in_flight = LimitSettings().in_flight
        for number in range(in_flight):
            client.send("send", chat="#lab", text="x", key=f"{user}-{number}")
        page = await client.request("history", chat="#lab", before=1 << 40, limit=9)
        assert [item["kind"] for item in page["messages"]] == ["create"]
        assert (await client.request("sync", have={}))["type"] == "synced"
        may_go_on.set()
        for _ in range(in_flight):
            await client.expect("sent")


# Stopping ---------------------------------------------------------------------------


async def test_stopping_amid_a_storm_of_logins_ends_them_all(
    daemon: Daemon,
) -> None:
    user = fresh_name()
    async with logged_in(daemon.tcp, user) as (client,):
        for number in range(1_000):
            client.send("create", room=f"#r{number}")
        await client.ask("ping")
    clients = [await RawClient.connect(daemon.tcp) for _ in range(600)]
    for client in clients:
        client.send("auth", mechanism="PLAIN", user=user, password=PASSWORD)
    await clients[0].expect("ready")
    assert await daemon.terminate() == 0
    assert "Traceback" not in daemon.errors()
    for client in clients:
        client.abort()
