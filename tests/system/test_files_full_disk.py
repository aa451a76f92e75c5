"""Uploads to a full disk: the rest is refused, what came is kept; the chat goes on."""

import asyncio
import contextlib
import os
import random
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from tests.fakes.raw_client import DataLine, Json, RawClient, RefusedError
from tests.helpers import fill_up, get_file, logged_in, put_file, small_disk, upload_of
from tests.system.daemon import Daemon
from tests.system.transfers import begun_upload, check, incoming_of

pytestmark = pytest.mark.system

MEBIBYTE = 1 << 20
DATA = random.Random(0).randbytes(3 * MEBIBYTE)
LARGE = random.Random(1).randbytes(MEBIBYTE) * 32


@contextlib.asynccontextmanager
async def on_small_disk(
    daemon_of: Callable[..., Daemon], folder: Path, mebibytes: int, free_bytes: int
) -> AsyncIterator[tuple[Daemon, RawClient, Path]]:
    """Yield a daemon on its own disk, a user there, and a path for ballast."""
    asyncio.get_running_loop().set_debug(False)
    with small_disk(folder / "disk", mebibytes) as disk:
        settings = {"files": {"free_bytes": free_bytes}}
        daemon = daemon_of(settings, data=disk / "data")
        await daemon.start()
        async with logged_in(daemon.tcp, "alice") as (alice,):
            yield daemon, alice, disk / "ballast"
        assert await daemon.terminate() == 0
        assert "left over" not in await check(daemon)


async def send_until_refused(line: DataLine, data: bytes) -> str:
    """Send bytes until the daemon refuses more, and return the code."""
    line.send(data)
    error = await line.message()
    assert error["type"] == "error"
    assert error["reason"]
    await line.abort()
    code: str = error["code"]
    return code


async def goes_on(
    daemon: Daemon, alice: RawClient, request: Json, data: bytes, least: int
) -> None:
    """Check that an upload resumes at the last byte that arrived, and complete it."""
    answer = await alice.ask("upload", **request)
    offset = answer["offset"]
    assert least <= offset < len(data)
    async with await DataLine.begin(daemon.tcp, answer["ticket"]) as line:
        assert line.answer["offset"] == offset
        line.send(data[offset:])
        stored = await line.message()
    assert stored["type"] == "stored"
    assert await get_file(alice, daemon.tcp, stored["file"]) == data
    assert incoming_of(daemon) == []


async def test_a_disk_that_fills_up_refuses_the_rest_and_keeps_what_came(
    make_daemon: Callable[..., Daemon], tmp_path: Path
) -> None:
    async with on_small_disk(make_daemon, tmp_path, 64, 0) as (daemon, alice, ballast):
        there = (await put_file(alice, daemon.tcp, "@alice", DATA))["file"]
        request = upload_of("@alice", LARGE)
        line = await begun_upload(daemon.tcp, alice, request, LARGE[: 8 * MEBIBYTE])
        fill_up(ballast)
        assert await send_until_refused(line, LARGE[8 * MEBIBYTE :]) == "storage_full"
        # A new request is refused at once, and what is there can be downloaded.
        answer = await alice.ask("upload", **request)
        with pytest.raises(RefusedError, match="storage_full"):
            await DataLine.begin(daemon.tcp, answer["ticket"])
        assert await get_file(alice, daemon.tcp, there) == DATA
        os.truncate(ballast, ballast.stat().st_size - MEBIBYTE)
        await alice.say("@alice", "there is room for this")
        ballast.unlink()
        await goes_on(daemon, alice, request, LARGE, 8 * MEBIBYTE)


async def test_amid_an_upload_the_disk_keeps_its_floor_and_the_chat_goes_on(
    make_daemon: Callable[..., Daemon], tmp_path: Path
) -> None:
    data = LARGE * 4
    async with on_small_disk(make_daemon, tmp_path, 192, 32 * MEBIBYTE) as (
        daemon,
        alice,
        ballast,
    ):
        request = upload_of("@alice", data)
        line = await begun_upload(daemon.tcp, alice, request, LARGE[:MEBIBYTE])
        with ballast.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, 110 * MEBIBYTE)
        assert await send_until_refused(line, data[MEBIBYTE:]) == "storage_full"
        for n in range(20):
            await alice.say("@alice", f"{n} " + "x" * 8_000)
        ballast.unlink()
        await goes_on(daemon, alice, request, data, 32 * MEBIBYTE)


async def test_what_would_take_the_floor_is_refused_before_its_first_byte(
    make_daemon: Callable[..., Daemon], tmp_path: Path
) -> None:
    floor = 16 * MEBIBYTE
    async with on_small_disk(make_daemon, tmp_path, 40, floor) as (daemon, alice, _):
        answer = await alice.request("upload", **upload_of("@alice", LARGE))
        assert answer["code"] == "storage_full"
        assert "would fit" in answer["reason"]
        assert incoming_of(daemon) == []
        stored = await put_file(alice, daemon.tcp, "@alice", LARGE[: 20 * MEBIBYTE])
        fits = await alice.request("upload", **upload_of("@alice", DATA * 2))
        assert fits["code"] == "storage_full"
        await alice.say("@alice", "there is always room for this")
        assert len(await get_file(alice, daemon.tcp, stored["file"])) == 20 * MEBIBYTE


async def test_killed_on_a_full_disk_it_keeps_what_came(
    make_daemon: Callable[..., Daemon], tmp_path: Path
) -> None:
    async with on_small_disk(make_daemon, tmp_path, 64, 0) as (daemon, alice, ballast):
        request = upload_of("@alice", LARGE)
        line = await begun_upload(daemon.tcp, alice, request, LARGE[: 8 * MEBIBYTE])
        fill_up(ballast)
        assert await send_until_refused(line, LARGE[8 * MEBIBYTE :]) == "storage_full"
        await daemon.kill()
        ballast.unlink()
        await daemon.start()
        async with await RawClient.connect(daemon.tcp) as again:
            await again.login("alice")
            await goes_on(daemon, again, request, LARGE, 8 * MEBIBYTE)
