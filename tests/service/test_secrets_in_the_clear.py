"""Secrets over unencrypted connections: refused where others could read them."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from chatd.listeners import sockets
from chatd.server import Server
from chatd.settings.config import load_config
from chatd.settings.data_folder import DataFolder
from tests.fakes.raw_client import PASSWORD, Address, RawClient, blind_tls

CONFIG = """
[server]
listen = ["tcp://127.0.0.1:0", "tls://127.0.0.1:0"]
[accounts]
iterations = 4096
"""


@pytest.fixture
async def addresses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[list[Address]]:
    """A plain and a TLS address of a daemon that treats its peers as remote ones."""
    path = tmp_path / "config.toml"
    path.write_text(CONFIG)
    settings = load_config(path)
    with DataFolder.open(settings.data) as folder:
        async with Server.open(settings, folder) as server:
            found: list[Address] = [(e.host, e.port) for e in server.endpoints]
            async with await RawClient.connect(found[0]) as client:
                await client.register("alice")
            monkeypatch.setattr(sockets, "is_loopback", lambda _: False)
            yield found


async def test_only_scram_is_offered_and_taken_in_the_clear(
    addresses: list[Address],
) -> None:
    async with await RawClient.connect(addresses[0]) as client:
        assert (await client.expect("hello"))["auth"] == ["SCRAM-SHA-256"]
        code = await client.refusal("register", user="bob", password=PASSWORD)
        assert code == "not_allowed"
        code = await client.refusal(
            "auth", mechanism="PLAIN", user="alice", password=PASSWORD
        )
        assert code == "not_allowed"
        code = await client.refusal("auth", mechanism="TOKEN", token="x" * 30)
        assert code == "not_allowed"
        await client.login_by_scram("alice")


async def test_no_token_is_given_out_in_the_clear(addresses: list[Address]) -> None:
    async with await RawClient.connect(addresses[0]) as client:
        code = await client.refusal(
            "auth",
            mechanism="SCRAM-SHA-256",
            data="n,,n=alice,r=abcdefghijklmnop",
            remember=True,
        )
        assert code == "not_allowed"


async def test_over_tls_everything_is_taken(addresses: list[Address]) -> None:
    async with await RawClient.connect(addresses[1], tls=blind_tls()) as client:
        assert "PLAIN" in (await client.expect("hello"))["auth"]
        await client.register("eve")
        assert "token" in await client.login("eve", remember=True)
