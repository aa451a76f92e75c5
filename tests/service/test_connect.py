"""Connecting and logging in: trusted server keys, and what is sent to whom."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from chatd.protocol.errors import AuthFailedError, NotAllowedError
from chatd.protocol.links import JoinLink
from chatd.protocol.messages import Auth
from client.errors import (
    ChangedKeyError,
    ConnectError,
    InsecureError,
    PeerError,
    ServerProofError,
    UnknownKeyError,
)
from client.net.address import ServerAddress, parse_server_address
from client.net.connect import connect
from client.net.connection import Connection
from client.net.login import Introduction, log_in, log_in_by_token, register
from client.storage.pins import AUTHORITY, PinStore
from tests.fakes.server import FakeServer, make_tls
from tests.system.daemon import free_ports

PASSWORD = "correct horse"
OTHER_KEY = "A" * 43


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[FakeServer]:
    server = FakeServer()
    server.tls = make_tls(tmp_path)
    async with server:
        yield server


@pytest.fixture
def pins(tmp_path: Path) -> PinStore:
    return PinStore(tmp_path / "servers.json")


@pytest.fixture
async def plain() -> AsyncIterator[FakeServer]:
    async with FakeServer() as server:
        yield server


def address_of(server: FakeServer) -> ServerAddress:
    return parse_server_address(server.address)


async def fingerprint_of(server: FakeServer) -> str:
    with pytest.raises(UnknownKeyError) as raised:
        await connect(address_of(server), PinStore(None))
    return raised.value.fingerprint


async def connected(server: FakeServer) -> Connection:
    pins = PinStore(None)
    if server.tls is not None:
        pins.trust(str(address_of(server)), await fingerprint_of(server))
    return await connect(address_of(server), pins)


# Server keys --------------------------------------------------------------------------


async def test_an_unknown_key_is_refused_with_its_fingerprint(
    server: FakeServer, pins: PinStore
) -> None:
    with pytest.raises(UnknownKeyError) as raised:
        await connect(address_of(server), pins)
    assert len(raised.value.fingerprint) == 43
    assert f"chat trust {server.address} {raised.value.fingerprint}" in str(
        raised.value
    )
    assert server.received == []


async def test_a_trusted_key_is_accepted(server: FakeServer, pins: PinStore) -> None:
    pins.trust(server.address, await fingerprint_of(server))
    connection = await connect(address_of(server), pins)
    assert connection.hello.name == "Fake"
    assert connection.is_private
    await connection.close()


async def test_a_changed_key_is_refused_before_anything_is_sent(
    server: FakeServer, pins: PinStore
) -> None:
    pins.trust(server.address, OTHER_KEY)
    with pytest.raises(ChangedKeyError) as raised:
        await connect(address_of(server), pins)
    new = await fingerprint_of(server)
    assert (raised.value.old, raised.value.new) == (OTHER_KEY, new)
    for part in (OTHER_KEY, new, f"chat trust {server.address} {new}"):
        assert part in str(raised.value)
    assert server.received == []


async def test_the_pin_of_a_join_link_is_demanded(
    server: FakeServer, pins: PinStore
) -> None:
    link = JoinLink("127.0.0.1", server.port, pin=OTHER_KEY).format()
    with pytest.raises(ChangedKeyError):
        await connect(parse_server_address(link), pins)
    assert pins.find(server.address) is None


async def test_the_pin_of_a_join_link_is_remembered(
    server: FakeServer, pins: PinStore
) -> None:
    pin = await fingerprint_of(server)
    link = JoinLink("127.0.0.1", server.port, pin=pin).format()
    await (await connect(parse_server_address(link), pins)).close()
    assert pins.find(server.address) == pin


async def test_a_join_link_does_not_overrule_the_pin(
    server: FakeServer, pins: PinStore
) -> None:
    pins.trust(server.address, OTHER_KEY)
    pin = await fingerprint_of(server)
    link = JoinLink("127.0.0.1", server.port, pin=pin).format()
    with pytest.raises(ChangedKeyError):
        await connect(parse_server_address(link), pins)


async def test_what_an_authority_vouches_for_is_remembered_so(
    server: FakeServer, pins: PinStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A certificate that verifies is stood in for by a context that does not check.
    monkeypatch.setattr(ssl, "create_default_context", _unchecked)
    await (await connect(address_of(server), pins)).close()
    assert pins.find(server.address) == AUTHORITY


async def test_a_server_known_by_authority_must_stay_so(
    server: FakeServer, pins: PinStore
) -> None:
    pins.trust_authority(server.address)
    with pytest.raises(ChangedKeyError, match="authority"):
        await connect(address_of(server), pins)


async def test_tls_to_a_server_without_it_says_so(
    plain: FakeServer, pins: PinStore
) -> None:
    address = parse_server_address(f"127.0.0.1:{plain.port}")
    with pytest.raises(ConnectError, match="TLS"):
        await connect(address, pins)


async def test_what_is_no_chat_server_is_found_out(pins: PinStore) -> None:
    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example.org ESMTP\r\n")
        writer.close()

    other = await asyncio.start_server(greet, "127.0.0.1", 0)
    port = other.sockets[0].getsockname()[1]
    async with other:
        with pytest.raises(PeerError):
            await connect(parse_server_address(f"tcp://127.0.0.1:{port}"), pins)


async def test_a_server_that_says_nothing_is_given_up(pins: PinStore) -> None:
    gone = asyncio.Event()

    async def wait(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await gone.wait()
        writer.close()

    other = await asyncio.start_server(wait, "127.0.0.1", 0)
    port = other.sockets[0].getsockname()[1]
    async with other:
        address = parse_server_address(f"tcp://127.0.0.1:{port}")
        with pytest.raises(ConnectError, match="does not answer"):
            await connect(address, pins, seconds=0.05)
        gone.set()


async def test_a_unix_socket_is_private(tmp_path: Path, plain: FakeServer) -> None:
    path = str(tmp_path / "s")
    server = await asyncio.start_unix_server(plain._accept, path)
    async with server:
        address = parse_server_address(f"unix:{path}")
        connection = await connect(address, PinStore(None))
        assert connection.is_private
        await connection.close()
        await plain.until(lambda: not plain.connections)


# Logging in ---------------------------------------------------------------------------


async def test_scram_logs_in_and_gives_a_token(server: FakeServer) -> None:
    connection = await connected(server)
    ready = await log_in(connection, "ALICE", PASSWORD, Introduction(remember=True))
    assert ready.user == "alice"
    assert ready.token in server.tokens
    await connection.close()


async def test_the_password_is_never_on_the_wire(plain: FakeServer) -> None:
    connection = await connected(plain)
    await log_in(connection, "alice", PASSWORD)
    assert all(
        r.password is None and r.mechanism == "SCRAM-SHA-256"
        for r in plain.received
        if isinstance(r, Auth)
    )
    await connection.close()


async def test_a_wrong_password_is_refused(plain: FakeServer) -> None:
    connection = await connected(plain)
    with pytest.raises(AuthFailedError):
        await log_in(connection, "alice", "wrong horse")
    await connection.close()


async def test_a_server_without_the_verifier_is_found_out(plain: FakeServer) -> None:
    plain.has_wrong_proof = True
    connection = await connected(plain)
    with pytest.raises(ServerProofError):
        await log_in(connection, "alice", PASSWORD)
    await connection.close()


async def test_nothing_weaker_than_scram_is_used(plain: FakeServer) -> None:
    plain.auth = ["PLAIN"]
    connection = await connected(plain)
    with pytest.raises(PeerError, match="SCRAM"):
        await log_in(connection, "alice", PASSWORD)
    assert plain.received == []
    await connection.close()


async def test_a_missing_plus_is_told_to_the_server(server: FakeServer) -> None:
    connection = await connected(server)
    await log_in(connection, "alice", PASSWORD)
    first = next(r for r in server.received if isinstance(r, Auth))
    assert (first.data or "").startswith("y,,")
    await connection.close()


async def test_plus_binds_the_login_to_the_certificate(server: FakeServer) -> None:
    server.auth = ["SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"]
    connection = await connected(server)
    # The fake server has no -PLUS and refuses; what counts is the request.
    with pytest.raises((AuthFailedError, ConnectError)):
        await log_in(connection, "alice", PASSWORD)
    first = next(r for r in server.received if isinstance(r, Auth))
    assert first.mechanism == "SCRAM-SHA-256-PLUS"
    assert (first.data or "").startswith("p=tls-server-end-point,,")
    await connection.close()


async def test_secrets_are_not_sent_where_others_can_read(plain: FakeServer) -> None:
    connection = await connected(plain)
    connection.is_private = False
    with pytest.raises(InsecureError, match="tls://"):
        await register(connection, "alice", PASSWORD)
    with pytest.raises(InsecureError):
        await log_in_by_token(connection, "alice", "token-1")
    await log_in(connection, "alice", PASSWORD, Introduction(remember=True))
    first = next(r for r in plain.received if isinstance(r, Auth))
    assert not first.remember
    await connection.close()


async def test_the_token_of_somebody_else_is_refused(plain: FakeServer) -> None:
    connection = await connected(plain)
    with pytest.raises(NotAllowedError, match="alice"):
        await log_in_by_token(connection, "bob", "token-1")
    await connection.close()


async def test_an_account_can_be_made(plain: FakeServer) -> None:
    connection = await connected(plain)
    assert await register(connection, "Carol", PASSWORD) == "carol"
    await log_in(connection, "carol", PASSWORD)
    await connection.close()


def _unchecked() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


# Unreachable servers ------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["tcp", "tls"])
async def test_where_nobody_listens_it_is_said_in_plain_words(
    scheme: str, pins: PinStore
) -> None:
    (port,) = free_ports(1)
    with pytest.raises(ConnectError, match="reached: no server is running there"):
        await connect(parse_server_address(f"{scheme}://localhost:{port}"), pins)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (socket.gaierror(socket.EAI_NONAME, "x"), "there is no host of that name"),
        (socket.gaierror(socket.EAI_AGAIN, "x"), "cannot be looked up just now"),
        (OSError("Multiple exceptions: [Errno 111] a, [Errno 111] b"), "no server is"),
        (OSError(113, "Connect call failed ('10.0.0.1', 1)"), "No route to host"),
    ],
)
async def test_why_a_host_cannot_be_reached_is_said_without_numbers(
    error: OSError, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(asyncio, "open_connection", fail)
    with pytest.raises(ConnectError, match=said):
        await connect(parse_server_address("tcp://lab:1"), PinStore(None))
