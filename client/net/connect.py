"""Opens connections over TLS, TCP or a Unix socket; checks the server's key.

A server with a pin is known by that key alone. One without is trusted where the
system's certificate authorities vouch for it, and that is remembered; where they do
not, the caller has to ask the user (``UnknownKeyError``). The key is checked before
anything is sent.
"""

import asyncio
import contextlib
import errno
import ipaddress
import os
import re
import socket
import ssl
from typing import Any

from chatd.protocol.links import fingerprint_of_certificate
from client.errors import ChangedKeyError, ConnectError, PeerError, UnknownKeyError
from client.net.address import ServerAddress
from client.net.connection import Connection
from client.storage.pins import AUTHORITY, PinStore

CONNECT_SECONDS = 10.0
ALPN = "chatd/1"

_Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def connect(
    address: ServerAddress, pins: PinStore, seconds: float = CONNECT_SECONDS
) -> Connection:
    """Connect, check the server's key, and wait for the server's hello.

    Args:
        address: Where to; the pin of a join link is demanded, and remembered.
        pins: The known keys of servers; a key that is accepted is written to it.
        seconds: How long all of it may take.

    Raises:
        UnknownKeyError: No authority vouches for the key. ``pins.trust`` it, and try
            again.
        ChangedKeyError: It is not the pinned key, or no authority vouches for it any
            more.
        ConnectError: The server cannot be reached; trying again may help.
        PeerError: The peer is not a chat server.
    """
    try:
        async with asyncio.timeout(seconds):
            connection = await _open(address, pins)
            try:
                await connection.hello_from_server()
            except BaseException:
                connection.abort()
                raise
    except TimeoutError as error:
        raise ConnectError(f"{address} does not answer") from error
    return connection


async def _open(address: ServerAddress, pins: PinStore) -> Connection:
    if address.scheme == "tls":
        return await _open_tls(address, pins)
    try:
        if address.scheme == "unix":
            return Connection(
                *await asyncio.open_unix_connection(address.path), is_private=True
            )
        streams = await asyncio.open_connection(address.host, address.port)
    except OSError as error:
        raise _unreachable(address, error) from error
    peer = streams[1].get_extra_info("peername")
    return Connection(*streams, is_private=_is_loopback(peer))


async def _open_tls(address: ServerAddress, pins: PinStore) -> Connection:
    server = str(address)
    known = pins.find(server)
    if known in (None, AUTHORITY) and address.pin is None:
        vouched = await _open_by_authority(address)
        if vouched is not None:
            if known is None:
                pins.trust_authority(server)
            return vouched
    connection = await _open_unchecked(address)
    try:
        _check_key(address, known, connection.fingerprint or "")
    except BaseException:
        connection.abort()
        raise
    if known != connection.fingerprint:
        pins.trust(server, connection.fingerprint or "")
    return connection


def _check_key(address: ServerAddress, known: str | None, shown: str) -> None:
    server = str(address)
    if known == AUTHORITY and address.pin is None:
        raise ChangedKeyError(server, "one that an authority vouches for", shown)
    for pin in (address.pin, None if known == AUTHORITY else known):
        if pin is not None and pin != shown:
            raise ChangedKeyError(server, pin, shown)
    if known is None and address.pin is None:
        raise UnknownKeyError(server, shown)


async def _open_by_authority(address: ServerAddress) -> Connection | None:
    # Reading the system's authorities takes some tens of milliseconds.
    context = await asyncio.to_thread(_context, True)
    try:
        return await _connection(await _dial(address, context))
    except ssl.SSLCertVerificationError:
        return None
    except OSError as error:
        raise _unreachable(address, error) from error


async def _open_unchecked(address: ServerAddress) -> Connection:
    try:
        return await _connection(await _dial(address, _context(False)))
    except OSError as error:
        raise _unreachable(address, error) from error


async def _dial(address: ServerAddress, context: ssl.SSLContext) -> _Streams:
    return await asyncio.open_connection(
        address.host, address.port, ssl=context, server_hostname=address.host
    )


def _context(by_authority: bool) -> ssl.SSLContext:
    if by_authority:
        context = ssl.create_default_context()
    else:
        # The key is compared with the pin right after the handshake instead.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols([ALPN])
    return context


async def _connection(streams: _Streams) -> Connection:
    tls: Any = streams[1].get_extra_info("ssl_object")
    der: bytes | None = tls.getpeercert(binary_form=True)
    try:
        if der is None:
            raise ValueError("it shows no certificate")
        # In a thread: it imports the parser of certificates, which takes some 0.1 s.
        fingerprint = await asyncio.to_thread(fingerprint_of_certificate, der)
    except BaseException as error:
        streams[1].transport.abort()
        if isinstance(error, ValueError):
            reason = f"the server's certificate is not usable: {error}"
            raise PeerError(reason) from error
        raise
    return Connection(
        *streams, certificate=der, fingerprint=fingerprint, is_private=True
    )


def _unreachable(address: ServerAddress, error: OSError) -> ConnectError:
    if isinstance(error, ssl.SSLError):
        return ConnectError(f"{address} does not speak TLS as expected: {error}")
    return ConnectError(f"{address} cannot be reached: {_reason(error)}")


def _reason(error: OSError) -> str:
    if isinstance(error, socket.gaierror):
        if error.errno == socket.EAI_AGAIN:
            return "names cannot be looked up just now"
        return "there is no host of that name"
    # For a host with several addresses only the text has the error numbers.
    found = re.findall(r"\[Errno (\d+)\]", str(error))
    numbers = {int(number) for number in found}
    if error.errno is not None:
        numbers.add(error.errno)
    if numbers == {errno.ECONNREFUSED}:
        return "no server is running there"
    if len(numbers) == 1:
        return os.strerror(numbers.pop())
    return error.strerror or str(error) or "the connection broke"


def _is_loopback(peer: object) -> bool:
    if isinstance(peer, tuple) and peer:
        with contextlib.suppress(ValueError):
            return ipaddress.ip_address(str(peer[0]).partition("%")[0]).is_loopback
    return False
