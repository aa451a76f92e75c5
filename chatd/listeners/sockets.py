"""Opens addresses, and hands over who connects: plain TCP, TLS and Unix sockets."""

import asyncio
import contextlib
import errno
import ipaddress
import logging
import os
import socket
import stat
from collections.abc import Callable, Coroutine
from functools import lru_cache, partial
from pathlib import Path

from chatd.listeners.gate import Caller, Gate, Guest
from chatd.protocol.messages import Closing
from chatd.settings.config import ConfigError
from chatd.settings.endpoints import Endpoint
from chatd.settings.tls import TlsMaterial
from chatd.system.tasks import Tasks

BACKLOG = 1_024
SHUTDOWN_SECONDS = 1.0
ACCEPT_PAUSE_SECONDS = 1.0
# Callers who are refused are still told so over TLS, but only so many at once.
REFUSED_HANDSHAKES = 64

Connect = Callable[[asyncio.StreamReader, asyncio.StreamWriter, Caller], Guest]

_log = logging.getLogger(__name__)


class ListenError(ConfigError):
    """An address cannot be opened; the sentence says why and what to do.

    Attributes:
        is_missing: Whether the machine lacks that address, or IPv6 altogether.
    """

    def __init__(self, reason: str, *, is_missing: bool = False) -> None:
        super().__init__(reason)
        self.is_missing = is_missing


class Sockets:
    """The listening sockets of one listener.

    Args:
        gate: Counts every connection from accept on.
        connect: Returns what serves a connection; called in the task that runs it.
        tls: What TLS needs; may be replaced, for new connections.
    """

    def __init__(self, gate: Gate, connect: Connect, tls: TlsMaterial) -> None:
        self.tls = tls
        self._gate = gate
        self._connect = connect
        self._servers: list[asyncio.Server] = []
        self._accepting: list[asyncio.Task[None]] = []
        self._paths: list[Path] = []
        self._tasks = Tasks()
        self._handshakes = 0

    async def open(self, endpoint: Endpoint) -> Endpoint:
        """Listen at an address; return it with its real port.

        Raises:
            ListenError: It cannot be opened.
        """
        try:
            if endpoint.kind == "unix":
                server = await self._open_unix(Path(endpoint.path))
            elif endpoint.kind == "tls":
                return await self._open_tls(endpoint)
            else:
                server = await asyncio.start_server(
                    self._accept, endpoint.host, endpoint.port, backlog=BACKLOG
                )
        except OSError as error:
            missing = error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
            raise ListenError(_explain(endpoint, error), is_missing=missing) from error
        self._servers.append(server)
        if endpoint.kind == "unix":
            return endpoint
        port = server.sockets[0].getsockname()[1]
        return Endpoint(endpoint.kind, endpoint.host, port)

    def close(self) -> None:
        """Stop accepting; connections that were accepted go on."""
        for server in self._servers:
            server.close()
        for task in self._accepting:
            task.cancel()
        for path in self._paths:
            with contextlib.suppress(OSError):
                path.unlink()

    async def wait_closed(self) -> None:
        """End the handshakes under way; called when no connection is served."""
        await self._tasks.close()

    def _accept(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> Coroutine[None, None, None]:
        address = _address_of(writer.transport)
        refusal = self._gate.enter(address)
        is_private = address is None or is_loopback(address)
        return self._serve(reader, writer, Caller(address, is_private, None), refusal)

    async def _serve(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        caller: Caller,
        refusal: Closing | None,
    ) -> None:
        gate, guest = self._gate, None
        try:
            guest = self._connect(reader, writer, caller)
            if refusal is not None:
                guest.close_soon(refusal)
            gate.guests.add(guest)
            await guest.run()
        except asyncio.CancelledError:
            if gate.stopping is None:
                raise
        except Exception:  # noqa: BLE001 - a bug here must not end the others
            _log.exception("%r failed", guest or caller)
            writer.transport.abort()
        finally:
            if guest is not None:
                gate.guests.discard(guest)
            gate.leave(caller.address)

    # TLS ----------------------------------------------------------------------------

    async def _open_tls(self, endpoint: Endpoint) -> Endpoint:
        sockets = await _bind(endpoint.host, endpoint.port)
        for listening in sockets:
            task = self._tasks.start(self._accept_tls(listening))
            # Not before the loop has forgotten the descriptor.
            task.add_done_callback(partial(_close, listening))
            self._accepting.append(task)
        return Endpoint("tls", endpoint.host, sockets[0].getsockname()[1])

    async def _accept_tls(self, listening: socket.socket) -> None:
        loop, gate = asyncio.get_running_loop(), self._gate
        while True:
            try:
                accepted, (address, *_) = await loop.sock_accept(listening)
            except ConnectionAbortedError:
                continue  # the caller was faster
            except OSError as error:
                # Most likely there are no descriptors left.
                _log.warning("cannot accept connections: %s", error)
                await asyncio.sleep(ACCEPT_PAUSE_SECONDS)
                continue
            refusal = gate.enter(address)
            if refusal is not None and self._handshakes >= REFUSED_HANDSHAKES:
                accepted.close()
                gate.leave(address)
            else:
                self._tasks.spawn(self._shake_hands(accepted, address, refusal))

    async def _shake_hands(
        self, accepted: socket.socket, address: str, refusal: Closing | None
    ) -> None:
        loop, tls = asyncio.get_running_loop(), self.tls
        reader = asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(reader)
        self._handshakes += 1
        try:
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            transport, _ = await loop.connect_accepted_socket(
                lambda: protocol,
                accepted,
                ssl=tls.context,
                ssl_handshake_timeout=self._gate.limits.login_seconds,
                ssl_shutdown_timeout=SHUTDOWN_SECONDS,
            )
        except BaseException as error:
            accepted.close()
            self._gate.leave(address)
            if not isinstance(error, OSError):
                raise
            _log.debug("no TLS with %s: %s", address, error)
            return
        finally:
            self._handshakes -= 1
        writer = asyncio.StreamWriter(transport, protocol, reader, loop)
        caller = Caller(address, True, tls.end_point_binding)
        # In a task of its own, so that nothing of the handshake is kept.
        self._tasks.spawn(self._serve(reader, writer, caller, refusal))

    # Unix sockets -------------------------------------------------------------------

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


def _close(listening: socket.socket, _: asyncio.Task[None]) -> None:
    listening.close()


async def _bind(host: str, port: int) -> list[socket.socket]:
    """Listen at all addresses of a host."""
    found = await asyncio.get_running_loop().getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    sockets: list[socket.socket] = []
    try:
        for family, address in dict.fromkeys((each[0], each[4]) for each in found):
            listening = socket.create_server(address, family=family, backlog=BACKLOG)
            sockets.append(listening)
            listening.setblocking(False)
    except BaseException:
        for listening in sockets:
            listening.close()
        raise
    return sockets


def _address_of(transport: asyncio.BaseTransport) -> str | None:
    peer = transport.get_extra_info("peername")
    return peer[0] if isinstance(peer, tuple) else None


@lru_cache(maxsize=1_024)
def is_loopback(address: str) -> bool:
    """Return whether a network address belongs to this machine alone."""
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
        raise OSError(errno.EADDRINUSE, "another program listens there")
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
