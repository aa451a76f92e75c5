"""The daemon: builds its parts, opens the listeners, reloads, and stops gracefully."""

import asyncio
import contextlib
import ctypes
import gc
import logging
import resource
import signal
import sys
from collections.abc import AsyncIterator

from chatd import __version__
from chatd.accounts.accounts import Accounts
from chatd.admin.administration import Administration
from chatd.core.files.quota import FileLimits
from chatd.core.service import Service, ServiceLimits, SystemClock
from chatd.core.signals import Signals
from chatd.listeners.admin import AdminListener
from chatd.listeners.gate import Gate
from chatd.listeners.native.listener import NativeListener
from chatd.listeners.native.peer import Site
from chatd.listeners.sockets import ListenError, Sockets
from chatd.protocol.messages import Closing
from chatd.settings.config import (
    ConfigError,
    Settings,
    reload_config,
    settings_needing_restart,
)
from chatd.settings.data_folder import DataFolder
from chatd.settings.endpoints import Endpoint, join_links
from chatd.settings.logs import configure_logging
from chatd.settings.tls import TlsError, load_tls
from chatd.store.disk import DiskBlobs
from chatd.store.open import open_store

# The interpreter hands the GIL over this often; at its default of 5 ms the writer's
# thread can starve between two rows while the loop is busy.
SWITCH_SECONDS = 1e-4
# How long clients have to read what is queued; with all that follows, the daemon has to
# end within five seconds.
FAREWELL_SECONDS = 2.5

_M_MMAP_THRESHOLD = -3  # mallopt(3)

_log = logging.getLogger(__name__)


def run(settings: Settings) -> int:
    """Serve until SIGTERM or SIGINT; return the exit status.

    Raises:
        Exception: One of ``chatd.cli.EXPECTED_ERRORS``: the daemon cannot start.
    """
    configure_logging(settings.log.level, settings.log.format)
    sys.setswitchinterval(SWITCH_SECONDS)
    # What is loaded by now stays for good, so the collector need not scan it each time.
    gc.freeze()
    _raise_file_limit()
    _keep_buffers_apart()
    with DataFolder.open(settings.data) as folder, _runner() as runner:
        return runner.run(_serve(settings, folder))


def _raise_file_limit() -> None:
    # Each connection is a file; the usual soft limit of 1,024 is for other programs.
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _keep_buffers_apart() -> None:
    """Have glibc map large blocks on their own, also after one has been freed.

    Each TLS connection has a read buffer of 256 KiB and touches little of it. On the
    heap these buffers would share pages with other blocks, and cost 52 KiB a connection
    instead of 30 (tests/bench, 2,000 idle users).
    """
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, 128 * 1024)


def _runner() -> asyncio.Runner:
    try:
        import uvloop
    except ImportError:
        return asyncio.Runner()
    return asyncio.Runner(loop_factory=uvloop.new_event_loop)


async def _serve(settings: Settings, folder: DataFolder) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with Server.open(settings, folder) as server:
        loop.add_signal_handler(signal.SIGHUP, server.reload)
        server.announce()
        await stop.wait()
        _log.info("stopping")
    _log.info("stopped")
    return 0


class _Directory:
    """The core's ``Directory``: knows which accounts exist."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts

    def is_user(self, name: str) -> bool:
        return self._accounts.get(name) is not None

    def role(self, name: str) -> str | None:
        return self._accounts.role(name)

    def since(self, name: str) -> int | None:
        record = self._accounts.get(name)
        return None if record is None else record.created


class Server:
    """The running daemon; made by ``open``.

    Attributes:
        site: Its parts, as listeners see them.
        endpoints: Where it listens, with real ports.
    """

    def __init__(
        self,
        settings: Settings,
        site: Site,
        sockets: Sockets,
        fingerprint: str,
    ) -> None:
        self.site = site
        self._settings = settings
        self._sockets = sockets
        self._fingerprint = fingerprint
        self._administration: Administration | None = None
        self.endpoints: tuple[Endpoint, ...] = ()

    @classmethod
    @contextlib.asynccontextmanager
    async def open(
        cls,
        settings: Settings,
        folder: DataFolder,
        clock: SystemClock | None = None,
    ) -> AsyncIterator["Server"]:
        """Build all parts and serve; stop gracefully on exit."""
        async with contextlib.AsyncExitStack() as stack:
            tls = load_tls(folder.path, settings.tls)
            store = await open_store(folder.database)
            stack.push_async_callback(store.close)
            blobs = DiskBlobs(folder.blobs)
            stack.push_async_callback(blobs.close)
            accounts = await Accounts.open(folder.path, store, settings.accounts)
            stack.push_async_callback(accounts.close)
            directory = _Directory(accounts)
            signals, clock = Signals(), clock or SystemClock()
            # The first to be told of a user's end: it says why.
            gate = Gate(settings.limits, clock, signals)
            service = Service(
                store, blobs, directory, _limits(settings), clock, signals
            )
            stack.push_async_callback(service.close)
            service.start()
            site = Site(
                service,
                accounts,
                gate,
                name=settings.server.name,
                motd=settings.server.motd,
                version=f"chatd {__version__}",
            )
            sockets = Sockets(gate, NativeListener(site).connect, tls)
            server = cls(settings, site, sockets, tls.fingerprint)
            farewell = Closing(
                code="server_stopping", reason="the server is stopping; come back soon"
            )
            stack.push_async_callback(sockets.wait_closed)
            stack.push_async_callback(gate.close, farewell, FAREWELL_SECONDS)
            stack.callback(sockets.close)
            gate.open()
            server.endpoints = await _open_all(sockets, settings.endpoints)
            administration = Administration(
                folder.path,
                accounts,
                store,
                blobs,
                service.files,
                settings,
                tls.fingerprint,
                endpoints=server.endpoints,
                signals=signals,
            )
            server._administration = administration
            admin = await AdminListener.open(administration, folder.admin_socket)
            stack.push_async_callback(admin.close)
            yield server

    def announce(self) -> None:
        """Print the start message: name, data folder, fingerprint, links, addresses."""
        settings = self._settings
        lines = [
            f"chatd {__version__}: {settings.server.name}",
            f"data folder  {settings.data}",
            f"fingerprint  {self._fingerprint}",
        ]
        links = join_links(
            self.endpoints, settings.server.public_address, self._fingerprint
        )
        if links:
            lines += [f"join link    {link}" for link in links]
        elif all(endpoint.is_loopback for endpoint in self.endpoints):
            lines.append(
                "only this machine can connect: to let others in, set [server] listen"
                ' = ["tls://0.0.0.0:4747"]'
            )
        lines.append("ready " + " ".join(map(str, self.endpoints)))
        sys.stdout.write("\n".join(lines) + "\n")
        sys.stdout.flush()

    def reload(self) -> None:
        """Reload configuration and certificates: all of them, or none if one is bad."""
        try:
            new = reload_config(self._settings)
            needing = settings_needing_restart(self._settings, new)
            if needing:
                raise ConfigError(f"{', '.join(needing)} changes only with a restart")
            tls = load_tls(new.data, new.tls)
        except (ConfigError, TlsError) as error:
            _log.error("nothing was reloaded: %s", error)
            return
        configure_logging(new.log.level, new.log.format)
        site = self.site
        site.accounts.reconfigure(new.accounts)
        site.service.reconfigure(_limits(new))
        site.gate.reconfigure(new.limits)
        site.name, site.motd = new.server.name, new.server.motd
        self._sockets.tls = tls
        if self._administration is not None:
            self._administration.reconfigure(new, tls.fingerprint)
        self._settings, self._fingerprint = new, tls.fingerprint
        _log.info("configuration and certificates were reloaded")


async def _open_all(
    sockets: Sockets, endpoints: tuple[Endpoint, ...]
) -> tuple[Endpoint, ...]:
    opened = []
    for endpoint in endpoints:
        try:
            opened.append(await sockets.open(endpoint))
        except ListenError as error:
            # Many machines have no IPv6; the other addresses serve all the same.
            if ":" in endpoint.host and error.is_missing and len(endpoints) > 1:
                _log.warning("%s", error)
                continue
            raise
    return tuple(opened)


def _limits(settings: Settings) -> ServiceLimits:
    limits, files = settings.limits, settings.files
    return ServiceLimits(
        text=limits.text,
        sync=limits.sync,
        messages_per_second=limits.messages_per_second,
        messages_burst=limits.messages_burst,
        address_messages_per_second=limits.address_messages_per_second,
        address_messages_burst=limits.address_messages_burst,
        user_rooms=limits.user_rooms,
        invitations=limits.invitations,
        files=FileLimits(
            size=files.size,
            user_bytes=files.user_bytes,
            total_bytes=files.total_bytes,
            free_bytes=files.free_bytes,
            expire_days=files.expire_days,
            transfers=files.transfers,
            user_transfers=files.user_transfers,
        ),
    )
