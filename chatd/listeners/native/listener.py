"""Opens the native protocol's addresses; admits connections and closes idle ones."""

import asyncio
import contextlib
import errno
import functools
import ipaddress
import logging
import os
import random
import socket
import ssl
import stat
from collections import Counter
from pathlib import Path

from chatd.accounts.accounts import Accounts
from chatd.accounts.throttle import network_of
from chatd.core.limits import RateLimit
from chatd.core.service import Service
from chatd.listeners.native.connection import Connection
from chatd.listeners.native.outbox import Flusher
from chatd.protocol.messages import Closing
from chatd.settings.config import ConfigError, LimitSettings
from chatd.settings.endpoints import Endpoint
from chatd.settings.tls import TlsMaterial

BACKLOG = 1_024
WATCH_SECONDS = 1.0
# How long connections may take to end once they were cancelled.
CANCEL_SECONDS = 0.5
# Clients are asked to come back at a random time within this, not all at once.
RETURN_MS = (500, 5_000)

_log = logging.getLogger(__name__)


class ListenError(ConfigError):
    """An address cannot be opened; the sentence says why and what to do.

    Attributes:
        is_missing: Whether the machine lacks that address, or IPv6 altogether.
    """

    def __init__(self, reason: str, *, is_missing: bool = False) -> None:
        super().__init__(reason)
        self.is_missing = is_missing


class NativeListener:
    """All native connections of the daemon.

    Args:
        service: Carries out the requests.
        accounts: The accounts that may log in.
        limits: The configured limits.
        tls: What TLS listeners need; replaced for new connections by ``reconfigure``.
        name: The server's display name.
        motd: The message of the day, sent at each connect; may be empty.
        version: The program and its version.
    """

    def __init__(
        self,
        service: Service,
        accounts: Accounts,
        limits: LimitSettings,
        tls: TlsMaterial,
        *,
        name: str,
        motd: str,
        version: str,
    ) -> None:
        self.service = service
        self.accounts = accounts
        self.limits = limits
        self.name = name
        self.motd = motd
        self.version = version
        self.flusher = Flusher(asyncio.get_running_loop())
        self.connections: set[Connection] = set()
        self._tls = tls
        # The sockets keep this context; each handshake then takes the newest one.
        self._context = tls.context
        self._context.sni_callback = self._choose_context
        self._servers: list[asyncio.Server] = []
        self._paths: list[Path] = []
        self._per_address: Counter[str] = Counter()
        self._count = 0
        self._registrations = RateLimit(0, 1, "registrations from your address")
        self._watcher: asyncio.Task[None] | None = None
        self._stopping: Closing | None = None
        self.reconfigure(limits, tls, name=name, motd=motd)

    @property
    def end_point_binding(self) -> bytes | None:
        """The data of SCRAM's channel binding, if the certificate has any."""
        return self._tls.end_point_binding

    def reconfigure(
        self, limits: LimitSettings, tls: TlsMaterial, *, name: str, motd: str
    ) -> None:
        """Apply new settings; sizes and certificates only to new connections."""
        self.limits = limits
        self._tls = tls
        self.name = name
        self.motd = motd
        per_second = limits.registrations_per_hour / 3_600
        self._registrations.reconfigure(per_second, limits.registrations_per_hour)

    async def open(self, endpoint: Endpoint) -> Endpoint:
        """Listen at an address; return it with its real port.

        Raises:
            ListenError: It cannot be opened.
        """
        try:
            if endpoint.kind == "unix":
                server = await self._open_unix(Path(endpoint.path))
            else:
                with_tls = endpoint.kind == "tls"
                server = await asyncio.start_server(
                    self._accept,
                    endpoint.host,
                    endpoint.port,
                    backlog=BACKLOG,
                    ssl=self._context if with_tls else None,
                    ssl_handshake_timeout=self.limits.login_seconds
                    if with_tls
                    else None,
                    ssl_shutdown_timeout=1.0 if with_tls else None,
                )
        except OSError as error:
            missing = error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
            raise ListenError(_explain(endpoint, error), is_missing=missing) from error
        self._servers.append(server)
        if self._watcher is None:
            self._watcher = asyncio.create_task(self._watch())
        if endpoint.kind == "unix":
            return endpoint
        port = server.sockets[0].getsockname()[1]
        return Endpoint(endpoint.kind, endpoint.host, port)

    async def close(self, closing: Closing, seconds: float) -> None:
        """Stop accepting, then close all connections.

        Args:
            closing: What to push to clients; each gets its own time to come back.
            seconds: How long clients have to read what is queued for them.
        """
        self._stopping = closing
        for server in self._servers:
            server.close()
        for path in self._paths:
            with contextlib.suppress(OSError):
                path.unlink()
        if self._watcher is not None:
            self._watcher.cancel()
        tasks = [c.task for c in self.connections if c.task is not None]
        for connection in list(self.connections):
            connection.close_soon(self._farewell(closing))
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=seconds)
            for task in late:
                task.cancel()
            if late:
                _, late = await asyncio.wait(late, timeout=CANCEL_SECONDS)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    def close_user(self, user: str, closing: Closing, login: str | None = None) -> None:
        """Close a user's connections, or those of one login.

        Data connections of the user are closed in both cases.
        """
        for connection in list(self.connections):
            session = connection.session
            name = session.user if session is not None else connection.candidate
            if name != user:
                continue
            # It is not known which login asked for the ticket of a data connection.
            is_data = connection.data is not None
            if login is None or connection.login == login or is_data:
                connection.close_soon(closing)

    def is_loopback(self, address: str) -> bool:
        """Return whether a network address belongs to this machine alone."""
        return _is_loopback(address)

    def take_registration(self, address: str | None) -> None:
        """Count a registration against the rate limit of its address.

        Raises:
            RateLimitedError: There were too many from that address.
        """
        now = self.service.clock.monotonic()
        network = network_of(address) if address is not None else "local"
        self._registrations.take(network, now)

    # Connections --------------------------------------------------------------------

    async def _accept(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        peer = writer.get_extra_info("peername")
        address = peer[0] if isinstance(peer, tuple) else None
        self._count += 1
        connection = Connection(self, reader, writer, self._count, address)
        connection.task = asyncio.current_task()
        refusal = self._refusal(address)
        if refusal is not None:
            connection.close_soon(refusal)
        self.connections.add(connection)
        network = network_of(address) if address is not None else None
        if network is not None:
            self._per_address[network] += 1
        try:
            await connection.run()
        except asyncio.CancelledError:
            if self._stopping is None:
                raise
        except Exception:  # noqa: BLE001 - a bug here must not end the others
            _log.exception("%r failed", connection)
        finally:
            self.connections.discard(connection)
            if network is not None:
                self._per_address[network] -= 1
                if not self._per_address[network]:
                    del self._per_address[network]

    def _refusal(self, address: str | None) -> Closing | None:
        if self._stopping is not None:
            return self._farewell(self._stopping)
        limits = self.limits
        if len(self.connections) >= limits.connections:
            return Closing(
                code="too_many",
                reason="the server has too many connections; try again later",
                retry_after=RETURN_MS[1],
            )
        bound = limits.connections_per_address
        if (
            bound
            and address is not None
            and self._per_address[network_of(address)] >= bound
        ):
            return Closing(
                code="too_many",
                reason="there are too many connections from your address",
                retry_after=RETURN_MS[1],
            )
        return None

    @staticmethod
    def _farewell(closing: Closing) -> Closing:
        return Closing(
            code=closing.code,
            reason=closing.reason,
            retry_after=random.randint(*RETURN_MS),  # noqa: S311 - only spreads load
        )

    async def _watch(self) -> None:
        """Close connections that do not log in in time, or are silent for too long."""
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            now = self.service.clock.monotonic()
            limits = self.limits
            for connection in list(self.connections):
                if connection.data is not None:
                    is_idle = connection.data.idle_seconds(now) >= limits.idle_seconds
                elif connection.session is not None:
                    silent = now - connection.heard_at
                    is_idle = connection.is_reading and silent >= limits.idle_seconds
                else:
                    is_idle = False
                    if now - connection.opened_at >= limits.login_seconds:
                        connection.close_soon(
                            Closing(
                                code="login_timeout",
                                reason=f"no login within {limits.login_seconds:g} s",
                            )
                        )
                if is_idle:
                    connection.close_soon(
                        Closing(
                            code="idle",
                            reason=f"nothing was sent for {limits.idle_seconds:g} s",
                        )
                    )

    # Opening ------------------------------------------------------------------------

    def _choose_context(
        self, connection: ssl.SSLObject, name: str | None, context: ssl.SSLContext
    ) -> None:
        if self._tls.context is not context:
            connection.context = self._tls.context

    async def _open_unix(self, path: Path) -> asyncio.Server:
        _remove_stale_socket(path)
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            listening.bind(str(path))
            os.chmod(path, 0o660)
            server = await asyncio.start_unix_server(
                self._accept, sock=listening, backlog=BACKLOG
            )
        except BaseException:
            listening.close()
            raise
        self._paths.append(path)
        return server


@functools.lru_cache(maxsize=1_024)
def _is_loopback(address: str) -> bool:
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(ip, "ipv4_mapped", None)
    return ip.is_loopback or (mapped is not None and mapped.is_loopback)


def _remove_stale_socket(path: Path) -> None:
    try:
        if not stat.S_ISSOCK(path.stat().st_mode):
            raise FileExistsError(errno.EEXIST, "it is no socket")
    except FileNotFoundError:
        return
    probe = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        probe.settimeout(1.0)
        probe.connect(str(path))
    except OSError:
        path.unlink(missing_ok=True)
    else:
        raise OSError(errno.EADDRINUSE, "somebody listens there")
    finally:
        probe.close()


def _explain(endpoint: Endpoint, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"{endpoint} is in use by another program: stop that one, or choose another"
            " address in [server] listen"
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        return (
            f"{endpoint} cannot be opened: this user is not allowed to; choose a port"
            " from 1024 up, or a folder of this user's, in [server] listen"
        )
    if error.errno == errno.EADDRNOTAVAIL:
        return (
            f"{endpoint} cannot be opened: this machine does not have that address;"
            " change [server] listen"
        )
    return f"{endpoint} cannot be opened: {error.strerror or error}"
