"""Transfers over plain TCP and TLS, on each event loop (asyncio, uvloop)."""

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

from chatd.protocol.errors import StorageFullError
from client.errors import TransferError
from client.storage.paths import Paths
from client.transfers import worker_thread
from tests.fakes.file_server import FileServer, Trouble, trust
from tests.fakes.server import make_tls

DATA = os.urandom(7_000_000)


@pytest.fixture(params=["uvloop", "asyncio"])
def loop(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the transfers on one event loop or the other."""
    if request.param == "asyncio":
        monkeypatch.setattr(worker_thread, "_new_loop", asyncio.new_event_loop)
    else:
        pytest.importorskip("uvloop")


@pytest.fixture(params=["tcp", "tls"])
async def scheme(
    request: pytest.FixtureRequest, server: FileServer, paths: Paths, tmp_path: Path
) -> str:
    """Serve on plain TCP, or on TLS with a pinned key."""
    if request.param == "tls":
        await server.stop()
        server.port = 0
        server.tls = make_tls(tmp_path)
        await server.start()
        await trust(server, paths)
    return str(request.param)


@pytest.mark.usefixtures("loop", "scheme")
async def test_a_file_gets_to_the_server_and_back_across_cuts(
    server: FileServer, connect: Any, paths: Paths, tmp_path: Path
) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(DATA)
    async with connect() as link:
        server.troubles = [Trouble(cut_after=1), Trouble(cut_after=3_000_001)]
        sent = await link.transfers.send_file("#ops", path)
        await link.transfers.wait(sent.id)
        assert bytes(server.stored[0].data) == DATA
        server.troubles = [Trouble(cut_after=1), Trouble(cut_after=3_000_001)]
        info = server.add_file(DATA, "b.bin")
        begun = await link.transfers.get_file("#ops", 1, info)
        await link.transfers.wait(begun.id)
    assert (paths.downloads / "b.bin").read_bytes() == DATA
    offsets = [0, 1, 3_000_002]
    assert server.offsets == [(d, at) for d in ("up", "down") for at in offsets]


@pytest.mark.usefixtures("loop", "scheme")
async def test_a_refusal_in_the_middle_gets_through(
    server: FileServer, connect: Any, tmp_path: Path
) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(DATA * 3)
    full = StorageFullError("no room for it")
    server.troubles = [Trouble(cut_after=1_000_000, late_error=full)]
    async with connect() as link:
        sent = await link.transfers.send_file("#ops", path)
        with pytest.raises(TransferError, match="no room for it"):
            await link.transfers.wait(sent.id)
