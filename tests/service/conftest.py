"""Fixtures of the protocol's tests: one shared daemon, with cheap logins and no rates.

Tests that need other settings, another time or a look inside start a server here, in
this process.
"""

import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Protocol

import pytest

from chatd.core.files.quota import FileLimits
from chatd.core.service import ServiceLimits, SystemClock
from chatd.listeners.native.connection import Connection
from chatd.server import Server
from chatd.settings.config import load_config
from chatd.settings.data_folder import DataFolder
from tests.fakes.memory import MemoryListener
from tests.fakes.raw_client import Address, Place, RawClient, blind_tls
from tests.helpers import fresh_name, logged_in
from tests.system.daemon import QUICK, Daemon, Settings, to_toml

LIMITS = ServiceLimits(
    text=16_384,
    sync=200,
    messages_per_second=0.0,
    messages_burst=1,
    address_messages_per_second=0.0,
    address_messages_burst=1,
    user_rooms=10,
    invitations=10,
    files=FileLimits(
        size=1 << 20,
        user_bytes=0,
        total_bytes=0,
        free_bytes=0,
        expire_days=0.0,
        transfers=64,
        user_transfers=8,
    ),
)
"""Limits of a service that is tested without a network."""


class Served(Protocol):
    """A server, as the tests of the protocol see it.

    Attributes:
        tcp: Where to connect in the clear.
        tls: Where to connect over TLS.
        data: The data folder.
    """

    data: Path

    @property
    def tcp(self) -> Place:
        """See above."""

    @property
    def tls(self) -> Address:
        """See above."""


class InMemory:
    """A server in this process, reached without a network; made of a ``Lab``."""

    def __init__(self, lab: "Lab") -> None:
        self.tcp = MemoryListener(lab.server.site, lab.tcp)
        self.tls = lab.tls
        self.data = lab.data


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run the tests of the protocol over both transports, but for those of frames."""
    if "transport" in metafunc.fixturenames:
        name = metafunc.module.__name__.rpartition(".")[2]
        is_both = name.startswith("test_protocol_") and name != "test_protocol_frames"
        kinds = ["tcp", "memory"] if is_both else ["tcp"]
        metafunc.parametrize("transport", kinds, indirect=True)


@pytest.fixture
def transport(request: pytest.FixtureRequest) -> str:
    """How clients reach the server: over TCP, or in memory (tests.fakes.memory)."""
    found: str = request.param
    return found


@pytest.fixture
async def server(
    transport: str, shared_daemon: Daemon, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Served]:
    """Serve: the shared daemon, or one in this process that has no socket."""
    if transport == "tcp":
        yield shared_daemon
        return
    settings: Settings = {"server": {"name": "Lab 3"}}
    async with serving(tmp_path_factory.mktemp("memory"), settings) as lab:
        yield InMemory(lab)


@pytest.fixture(scope="session")
def shared_daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """Run the shared daemon until the last test ends; it must log no traceback."""
    daemon = Daemon(tmp_path_factory.mktemp("server"), {"server": {"name": "Lab 3"}})
    daemon.start_nowait()
    yield daemon
    daemon.stop_whatever_happened()
    assert "Traceback" not in daemon.errors(), daemon.errors()[-3000:]


@pytest.fixture
async def stranger(server: Served) -> AsyncIterator[RawClient]:
    """Connect over plain TCP on loopback; ``hello`` is in the inbox, or will arrive."""
    async with await RawClient.connect(server.tcp) as client:
        yield client


@pytest.fixture
async def tls_stranger(server: Served) -> AsyncIterator[RawClient]:
    """Connect over TLS."""
    async with await RawClient.connect(server.tls, tls=blind_tls()) as client:
        yield client


@contextlib.asynccontextmanager
async def device(address: Place, user: str, **how: str) -> AsyncIterator[RawClient]:
    """Log in another device of a user, and wait for ``synced`` where it is sent."""
    async with await RawClient.connect(address) as client:
        await client.expect("hello")
        await client.login(user, **how)
        if how.get("sync", "unread") == "unread":
            await client.expect("synced")
        yield client


@pytest.fixture
async def alice(server: Served) -> AsyncIterator[RawClient]:
    """Log in a new user, whose name only begins with alice."""
    async with logged_in(server.tcp, fresh_name("alice")) as (client,):
        await client.expect("synced")
        yield client


@pytest.fixture
async def bob(server: Served) -> AsyncIterator[RawClient]:
    """Log in a second new user."""
    async with logged_in(server.tcp, fresh_name("bob")) as (client,):
        await client.expect("synced")
        yield client


@pytest.fixture
async def eve(server: Served) -> AsyncIterator[RawClient]:
    """Log in a third new user."""
    async with logged_in(server.tcp, fresh_name("eve")) as (client,):
        await client.expect("synced")
        yield client


@pytest.fixture
async def room(alice: RawClient, bob: RawClient) -> str:
    """A public room with alice and bob in it; both have seen all of it."""
    address = "#" + fresh_name("room")
    await alice.ask("create", room=address)
    await bob.ask("join", room=address)
    await alice.expect("message", kind="join")
    return address


class HandClock(SystemClock):
    """Clocks that tests can also advance, each separately.

    Attributes:
        skipped_seconds: How far the clock for rates and timeouts is ahead.
        skipped_days: How far the wall clock is ahead.
    """

    skipped_seconds = 0.0
    skipped_days = 0.0

    def now_ms(self) -> int:  # type: ignore[override]
        """Return the wall clock's time in ms, with what was skipped."""
        return super().now_ms() + int(self.skipped_days * 86_400_000)

    def monotonic(self) -> float:  # type: ignore[override]
        """Return seconds that never step back, with what was skipped."""
        return super().monotonic() + self.skipped_seconds


class Lab:
    """A server in this process, and its parts; made by ``serving``.

    Attributes:
        tcp: The address of the plain listener.
        tls: The address of the TLS listener.
        data: The data folder.
        server: The server itself.
        service: Its core.
        gate: Its gate.
        disk: The store of the contents of files.
        clock: Its clock.
    """

    def __init__(self, server: Server, data: Path, clock: HandClock) -> None:
        found: list[Address] = [(e.host, e.port) for e in server.endpoints]
        self.tcp, self.tls = found
        self.data = data
        self.server = server
        self.service = server.site.service
        self.gate = server.site.gate
        self.disk = self.service.files._blobs
        self.clock = clock
        self._config = data.parent / "config.toml"

    @property
    def connections(self) -> set[Connection]:
        """The connections over streams that are served now."""
        return {each for each in self.gate.guests if isinstance(each, Connection)}

    def configure(self, settings: Settings) -> None:
        """Change the configuration and make the server reload it."""
        self._config.write_text(_config(self.data, settings))
        self.server.reload()

    def blobs(self) -> list[str]:
        """Return what lies in the folder of contents and uploads, by path."""
        folder = self.data / "blobs"
        paths = folder.rglob("*")
        return sorted(str(p.relative_to(folder)) for p in paths if p.is_file())


def _config(data: Path, settings: Settings) -> str:
    listen = ["tcp://127.0.0.1:0", "tls://127.0.0.1:0"]
    sections: dict[str, dict[str, object]] = {
        "server": {"data": str(data), "listen": listen},
    }
    for section, members in [*QUICK.items(), *settings.items()]:
        sections.setdefault(section, {}).update(members)
    return to_toml(sections)


@contextlib.asynccontextmanager
async def serving(folder: Path, settings: Settings | None = None) -> AsyncIterator[Lab]:
    """Run a server in this process; on the same folder again, it is the same server."""
    path, data, clock = folder / "config.toml", folder / "data", HandClock()
    path.write_text(_config(data, settings or {}))
    loaded = load_config(path)
    with DataFolder.open(loaded.data) as opened:
        async with Server.open(loaded, opened, clock) as server:
            yield Lab(server, data, clock)


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    """Serve in this process with files as they are configured by default."""
    async with serving(tmp_path) as lab:
        yield lab
