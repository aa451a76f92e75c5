"""One daemon for all tests of the protocol: quick to log in to, with rates off."""

import contextlib
from collections.abc import AsyncIterator, Iterator

import pytest

from tests.helpers import Address, RawClient, blind_tls, fresh_name, logged_in
from tests.system.daemon import Daemon


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """Serve until the last test has ended; nothing may have gone wrong inside."""
    daemon = Daemon(tmp_path_factory.mktemp("server"), {"server": {"name": "Lab 3"}})
    daemon.start_nowait()
    yield daemon
    daemon.stop_whatever_happened()
    assert "Traceback" not in daemon.errors(), daemon.errors()[-3000:]


@pytest.fixture
async def stranger(server: Daemon) -> AsyncIterator[RawClient]:
    """Connect over plain TCP on loopback; ``hello`` is in the inbox, or comes."""
    async with await RawClient.connect(server.tcp) as client:
        yield client


@pytest.fixture
async def tls_stranger(server: Daemon) -> AsyncIterator[RawClient]:
    """Connect over TLS."""
    async with await RawClient.connect(server.tls, tls=blind_tls()) as client:
        yield client


@contextlib.asynccontextmanager
async def device(address: Address, user: str, **how: str) -> AsyncIterator[RawClient]:
    """Log in another device of a user, and wait for ``synced`` where it comes."""
    async with await RawClient.connect(address) as client:
        await client.expect("hello")
        await client.login(user, **how)
        if how.get("sync", "unread") == "unread":
            await client.expect("synced")
        yield client


@pytest.fixture
async def alice(server: Daemon) -> AsyncIterator[RawClient]:
    """Log in a new user, who is not really called alice."""
    async with logged_in(server.tcp, fresh_name("alice")) as (client,):
        await client.expect("synced")
        yield client


@pytest.fixture
async def bob(server: Daemon) -> AsyncIterator[RawClient]:
    """Log in a second new user."""
    async with logged_in(server.tcp, fresh_name("bob")) as (client,):
        await client.expect("synced")
        yield client


@pytest.fixture
async def eve(server: Daemon) -> AsyncIterator[RawClient]:
    """Log in a third new user."""
    async with logged_in(server.tcp, fresh_name("eve")) as (client,):
        await client.expect("synced")
        yield client
