"""A full disk: sends are refused, nothing is lost, reads go on; then all goes on."""

import os
import resource
import signal
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from tests.fakes.raw_client import RawClient
from tests.helpers import fill_up, logged_in, small_disk, texts
from tests.system.daemon import Daemon

pytestmark = pytest.mark.system

FULL = {"storage_full", "unavailable"}


async def send_until_refused(client: RawClient, chat: str) -> tuple[list[str], str]:
    """Send with keys until one is refused; return what was answered, and the code."""
    answered: list[str] = []
    while len(answered) < 3_000:
        text = f"{len(answered)} " + "x" * 8_000
        key = f"{client.user}-q2w3e4r5t6y7-{len(answered)}"
        answer = await client.request("send", chat=chat, text=text, key=key)
        if answer["type"] == "error":
            return answered, answer["code"]
        answered.append(text)
    raise AssertionError("the disk never became full")


async def check_reads(client: RawClient, chat: str, answered: list[str]) -> None:
    """Check that the whole log, and other reads, are still served."""
    assert texts(await client.log(chat, page=50)) == answered
    await client.ask("rooms")
    await client.ask("members", room="#big")


async def check_all_is_sent(client: RawClient, chat: str, answered: list[str]) -> None:
    """Send everything again and 20 more; each must be in the log once, in order."""
    wanted = answered + [f"{len(answered) + n} later" for n in range(20)]
    for number, text in enumerate(wanted):
        key = f"{client.user}-q2w3e4r5t6y7-{number}"
        sent = await client.ask("send", chat=chat, text=text, key=key)
        assert sent.get("duplicate", False) == (number < len(answered))
    assert texts(await client.log(chat, page=50)) == wanted


@pytest.fixture
async def on_small_disk(
    tmp_path: Path, make_daemon: Callable[..., Daemon]
) -> AsyncIterator[tuple[Daemon, Path]]:
    with small_disk(tmp_path / "disk", mebibytes=24) as folder:
        daemon = make_daemon(data=folder / "data")
        await daemon.start()
        yield daemon, folder / "ballast"
        daemon.stop_whatever_happened()


async def test_a_full_disk_refuses_sends_and_serves_reads(
    on_small_disk: tuple[Daemon, Path],
) -> None:
    daemon, ballast = on_small_disk
    async with logged_in(daemon.tcp, "alice", "bob") as (alice, bob):
        await alice.ask("create", room="#big", visibility="public")
        await bob.ask("join", room="#big")
        fill_up(ballast)
        answered, code = await send_until_refused(alice, "#big")
        assert code == "storage_full"
        await check_reads(bob, "#big", answered)
        ballast.unlink()
        await check_all_is_sent(alice, "#big", answered)
    assert await daemon.terminate() == 0


async def test_a_full_disk_refuses_new_rooms_accounts_and_logins_in_words(
    on_small_disk: tuple[Daemon, Path],
) -> None:
    daemon, ballast = on_small_disk
    async with logged_in(daemon.tcp, "alice") as (alice,):
        await alice.ask("create", room="#big", visibility="public")
        fill_up(ballast)
        await send_until_refused(alice, "#big")
        codes = {
            await alice.refusal("create", room=f"#{n}", topic="x" * 1_000)
            for n in range(10)
        }
        assert codes <= FULL
        async with await RawClient.connect(daemon.tcp) as client:
            answer = await client.request(
                "register", user="late", password="correct horse"
            )
            assert answer.get("code") in {*FULL, None}
            await client.login("alice")
        ballast.unlink()
        async with await RawClient.connect(daemon.tcp) as client:
            await client.register("later")
            await client.login("later")


async def test_killed_on_a_full_disk_it_keeps_all_that_was_answered(
    on_small_disk: tuple[Daemon, Path],
) -> None:
    daemon, ballast = on_small_disk
    async with logged_in(daemon.tcp, "alice") as (alice,):
        await alice.ask("create", room="#big", visibility="public")
        fill_up(ballast)
        answered, _ = await send_until_refused(alice, "#big")
    await daemon.kill()
    ballast.unlink()
    await daemon.start()
    async with await RawClient.connect(daemon.tcp) as alice:
        await alice.login("alice")
        await check_reads(alice, "#big", answered)
        await check_all_is_sent(alice, "#big", answered)


async def test_the_users_survive_a_full_disk(
    on_small_disk: tuple[Daemon, Path],
) -> None:
    daemon, ballast = on_small_disk
    async with logged_in(daemon.tcp, "alice"):
        fill_up(ballast)
    for n in range(5):
        async with await RawClient.connect(daemon.tcp) as client:
            await client.request("register", user=f"u{n}", password="correct horse")
    await daemon.kill()
    ballast.unlink()
    await daemon.start()
    async with await RawClient.connect(daemon.tcp) as client:
        await client.login("alice")


async def test_pipelined_sends_on_a_full_disk_are_refused_in_order(
    on_small_disk: tuple[Daemon, Path],
) -> None:
    daemon, ballast = on_small_disk
    async with logged_in(daemon.tcp, "alice") as (alice,):
        await alice.ask("create", room="#big", visibility="public")
        fill_up(ballast)
        answered, _ = await send_until_refused(alice, "#big")
        first = len(answered)
        ids = [
            alice.send_with_id(
                "send",
                chat="#big",
                text=f"{n} " + "x" * 8_000,
                key=f"alice-q2w3e4r5t6y7-{n}",
            )
            for n in range(first, first + 50)
        ]
        codes = [(await alice.reply(id_)).get("code") for id_ in ids]
        assert set(codes) <= {*FULL, "out_of_order"}
        ballast.unlink()
        code = await alice.refusal(
            "send", chat="#big", text="too soon", key="alice-q2w3e4r5t6y7-9999"
        )
        assert code == "out_of_order"
        await check_all_is_sent(alice, "#big", answered)


async def test_a_file_size_limit_on_the_running_daemon_loses_nothing(
    make_daemon: Callable[..., Daemon],
) -> None:
    daemon = await make_daemon().start()
    async with logged_in(daemon.tcp, "alice", "bob") as (alice, bob):
        await alice.ask("create", room="#big", visibility="public")
        await bob.ask("join", room="#big")
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        largest = max(path.stat().st_size for path in daemon.data.glob("chatd.db*"))
        # The daemon's limit, not ours: every write beyond it fails with EFBIG.
        resource.prlimit(
            daemon.pid, resource.RLIMIT_FSIZE, (largest + 300_000, limits[1])
        )
        answered, code = await send_until_refused(alice, "#big")
        assert code in FULL
        await check_reads(bob, "#big", answered)
        resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE, limits)
        await check_all_is_sent(alice, "#big", answered)
    assert await daemon.terminate() == 0


async def test_a_read_only_data_folder_says_so_at_start(
    tmp_path: Path, make_daemon: Callable[..., Daemon]
) -> None:
    with small_disk(tmp_path / "disk", mebibytes=24) as folder:
        daemon = make_daemon(data=folder / "data")
        await daemon.start()
        async with logged_in(daemon.tcp, "alice") as (alice,):
            await alice.say("@alice", "remember")
        assert await daemon.terminate() == 0
        remount(folder, "ro")
        status, said = await daemon.run_to_its_end()
        remount(folder, "rw")
        assert status == 2
        assert os.fspath(daemon.data) in said
        assert "read-only" in said.lower() or "written" in said.lower()
        await daemon.start()
        async with await RawClient.connect(daemon.tcp) as alice:
            await alice.login("alice")
            assert texts(await alice.log("@alice")) == ["remember"]
        daemon.signal(signal.SIGTERM)
        assert await daemon.wait() == 0


def remount(folder: Path, how: str) -> None:
    """Make a mounted file system read-only (``ro``) or writable (``rw``)."""
    command = ["mount", "-o", f"remount,{how}", os.fspath(folder)]
    subprocess.run(command, check=True)
