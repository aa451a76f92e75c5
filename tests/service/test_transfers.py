"""Transfers of two clients through the real daemon: whole, cut, killed, refused."""

import asyncio
import contextlib
import io
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from chatd.protocol.errors import ChatError
from chatd.protocol.messages import Create, Files, FilesPage
from client.errors import TransferError, UnknownKeyError
from client.link.link import Link
from client.model.changes import TransferChanged
from client.model.entries import Entry, Transfer
from client.net.address import parse_server_address
from client.net.connect import connect
from client.net.session import Timing
from client.storage.paths import Paths
from client.storage.pins import PinStore
from tests.fakes.raw_client import PASSWORD, Address, RawClient
from tests.helpers import fresh_name
from tests.system.daemon import Daemon
from tests.system.proxy import Proxy, Trouble

QUICK = Timing(connect=5, ping=0.5, dead=5, backoff_first=0.02, backoff_max=0.2)
DATA = os.urandom(12_000_000)


def url(address: Address, scheme: str = "tcp") -> str:
    return f"{scheme}://{address[0]}:{address[1]}"


async def register(server: Daemon) -> str:
    name = fresh_name()
    async with await RawClient.connect(server.tcp) as client:
        await client.expect("hello")
        await client.ask("register", user=name, password=PASSWORD)
    return name


@contextlib.asynccontextmanager
async def person(
    server: Daemon,
    folder: Path,
    *,
    name: str | None = None,
    address: str | None = None,
    **options: Any,
) -> AsyncIterator[Link]:
    """Log a user in, with folders of its own."""
    name = name or await register(server)
    async with Link.open(
        address or url(server.tcp),
        name,
        password=PASSWORD,
        timing=QUICK,
        paths=Paths.under(folder / name),
        **options,
    ) as link:
        yield link


async def send(link: Link, chat: str, path: Path, text: str = "") -> Transfer:
    begun = await link.transfers.send_file(chat, path, text=text)
    return await link.transfers.wait(begun.id)


async def fetch(link: Link, entry: Entry) -> Path:
    assert entry.file is not None
    begun = await link.transfers.get_file(entry.chat, entry.seq, entry.file)
    done = await link.transfers.wait(begun.id)
    assert done.path is not None
    return done.path


async def next_file(link: Link) -> Entry:
    """Return the next message with a file from another user."""
    async for entry in link.messages():
        if entry.kind == "file":
            return entry
    raise AssertionError("the link ended")


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def leftovers(server: Daemon, folder: Path) -> list[str]:
    """Return what should not be there when everything is over."""
    incoming = server.data / "blobs" / "incoming"
    found = [*folder.glob("*/state/spool/*/*"), *folder.glob("*/downloads/.*")]
    found += [path for path in incoming.glob("*") if path.is_file()]
    return [path.name for path in found]


async def trust(link_paths: Paths, address: str) -> None:
    """Pin the key that the server shows."""
    with pytest.raises(UnknownKeyError) as caught:
        await connect(parse_server_address(address), PinStore(None))
    PinStore(link_paths.pins).trust(address, caught.value.fingerprint)


# Whole --------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [DATA, b"", b"x"], ids=["large", "empty", "tiny"])
async def test_a_file_gets_from_one_person_to_another(
    server: Daemon, tmp_path: Path, data: bytes
) -> None:
    async with person(server, tmp_path) as alice, person(server, tmp_path) as bob:
        waiting = asyncio.create_task(next_file(bob))
        sent = await send(alice, f"@{bob.user}", write(tmp_path / "a.bin", data), "hi")
        entry = await waiting
        assert (entry.seq, entry.text, entry.sender) == (sent.seq, "hi", alice.user)
        path = await fetch(bob, entry)
        assert path.name == "a.bin"
        assert path.read_bytes() == data
    assert leftovers(server, tmp_path) == []


async def test_over_tls_it_is_the_same(server: Daemon, tmp_path: Path) -> None:
    address, name = url(server.tls, "tls"), await register(server)
    await trust(Paths.under(tmp_path / name), address)
    async with (
        person(server, tmp_path, name=name, address=address) as alice,
        person(server, tmp_path) as bob,
    ):
        waiting = asyncio.create_task(next_file(bob))
        await send(alice, f"@{bob.user}", write(tmp_path / "a.bin", DATA))
        await waiting
        (entry,) = alice.model.chats[f"@{bob.user}"].entries
        assert (await fetch(alice, entry)).read_bytes() == DATA


async def test_a_stream_gets_there_too(server: Daemon, tmp_path: Path) -> None:
    async with person(server, tmp_path) as alice, person(server, tmp_path) as bob:
        waiting = asyncio.create_task(next_file(bob))
        stream = io.BytesIO(DATA)
        await alice.transfers.send_stream(f"@{bob.user}", stream, "db.sql")
        entry = await waiting
        assert entry.file is not None
        assert entry.file.name == "db.sql"
        assert (await fetch(bob, entry)).read_bytes() == DATA
    assert leftovers(server, tmp_path) == []


async def test_two_people_send_the_same_content_at_once(
    server: Daemon, tmp_path: Path
) -> None:
    path = write(tmp_path / "a.bin", DATA)
    async with (
        person(server, tmp_path) as alice,
        person(server, tmp_path) as bob,
        person(server, tmp_path, sync="none") as eve,
    ):
        await asyncio.gather(
            *(send(link, f"@{link.user}", path) for link in (alice, bob, eve))
        )
        for link in (alice, bob, eve):
            page = await link.request(Files(chat=f"@{link.user}"))
            assert isinstance(page, FilesPage)
            (item,) = page.files
            begun = await link.transfers.get_file(page.chat, item.seq, item.file)
            done = await link.transfers.wait(begun.id)
            assert done.path is not None
            assert done.path.read_bytes() == DATA


async def test_chatting_goes_on_while_files_move(
    server: Daemon, tmp_path: Path
) -> None:
    async with person(server, tmp_path) as alice:
        me = f"@{alice.user}"
        begun = [
            await alice.transfers.send_file(me, write(tmp_path / str(n), DATA))
            for n in range(4)
        ]
        for number in range(20):
            await alice.send_and_wait(me, str(number), 10)
        for each in begun:
            await alice.transfers.wait(each.id)


# Cuts and kills -----------------------------------------------------------------------


async def test_a_network_that_cuts_every_connection_delays_it_only(
    server: Daemon, tmp_path: Path
) -> None:
    trouble = Trouble(split_bytes=10, cut_after=(500_000, 4_000_000), half_close=0.5)
    async with (
        Proxy(server.tcp, trouble, seed=1) as proxy,
        person(server, tmp_path, address=url(proxy.address)) as alice,
    ):
        await send(alice, f"@{alice.user}", write(tmp_path / "a.bin", DATA))
        (entry,) = alice.model.chats[f"@{alice.user}"].entries
        assert (await fetch(alice, entry)).read_bytes() == DATA
        assert proxy.cuts >= 4
    assert leftovers(server, tmp_path) == []


async def test_a_daemon_that_is_killed_delays_it_only(tmp_path: Path) -> None:
    server = await Daemon(tmp_path / "server").start()
    moved = asyncio.Event()

    def on_change(change: object) -> None:
        if isinstance(change, TransferChanged):
            transfer = change.transfer
            if transfer.state == "moving" and transfer.moved > 0:
                moved.set()

    async def restart() -> None:
        moved.clear()
        await moved.wait()
        await server.restart()

    data = DATA * 10
    try:
        async with person(server, tmp_path, on_change=on_change) as alice:
            killing = asyncio.create_task(restart())
            await send(alice, f"@{alice.user}", write(tmp_path / "a.bin", data))
            await killing
            entry = alice.model.chats[f"@{alice.user}"].entries[-1]
            killing = asyncio.create_task(restart())
            assert (await fetch(alice, entry)).read_bytes() == data
            await killing
    finally:
        server.stop_whatever_happened()
    assert leftovers(server, tmp_path) == []


async def test_a_link_that_is_closed_and_opened_goes_on(
    server: Daemon, tmp_path: Path
) -> None:
    name, path = await register(server), write(tmp_path / "a.bin", DATA * 5)
    seen: list[Transfer] = []
    done = asyncio.Event()

    def on_change(change: object) -> None:
        if isinstance(change, TransferChanged):
            seen.append(change.transfer)
            if change.transfer.state == "done":
                done.set()

    async with person(server, tmp_path, name=name) as alice:
        await alice.transfers.send_file(f"@{name}", path)
    async with person(server, tmp_path, name=name, on_change=on_change):
        await done.wait()
    async with person(server, tmp_path, name=name) as alice:
        assert alice.transfers.items == []
        page = await alice.request(Files(chat=f"@{name}"))
        assert isinstance(page, FilesPage)
        assert [item.seq for item in page.files] == [seen[-1].seq]
    assert leftovers(server, tmp_path) == []


# Refusals -----------------------------------------------------------------------------


async def refusal(work: Callable[[], Any]) -> tuple[str, str]:
    with pytest.raises((TransferError, ChatError)) as caught:
        await work()
    return getattr(caught.value, "code", ""), str(caught.value)


async def test_what_the_server_refuses_says_why(server: Daemon, tmp_path: Path) -> None:
    path = write(tmp_path / "a.bin", b"data")
    async with person(server, tmp_path) as alice:
        code, reason = await refusal(lambda: send(alice, "@nobody-at-all", path))
        assert (code, "nobody-at-all" in reason) == ("no_such_user", True)
        code, _ = await refusal(lambda: send(alice, "#no-such-room", path))
        assert code in ("no_such_room", "not_a_member")


async def test_who_may_not_see_a_message_may_not_fetch_its_file(
    server: Daemon, tmp_path: Path
) -> None:
    room = f"#{fresh_name()}"
    async with person(server, tmp_path) as alice, person(server, tmp_path) as eve:
        await alice.request(Create(room=room, visibility="private"))
        await send(alice, room, write(tmp_path / "a.bin", b"data"))
        entry = alice.model.chats[room].entries[-1]
        code, _ = await refusal(lambda: fetch(eve, entry))
        assert code == "no_such_message"
    assert leftovers(server, tmp_path) == []


async def test_a_cancelled_upload_leaves_nothing_at_the_server(
    server: Daemon, tmp_path: Path
) -> None:
    moving = asyncio.Event()

    def on_change(change: object) -> None:
        if isinstance(change, TransferChanged) and change.transfer.state == "moving":
            moving.set()

    async with person(server, tmp_path, on_change=on_change) as alice:
        me = f"@{alice.user}"
        begun = await alice.transfers.send_file(me, write(tmp_path / "a", DATA * 10))
        await moving.wait()
        alice.transfers.cancel(begun.id)
    async with person(server, tmp_path, name=alice.user) as alice:
        assert alice.transfers.items == []
        assert me not in alice.model.chats
    assert leftovers(server, tmp_path) == []
