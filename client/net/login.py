"""Login and registration: SCRAM with a password, or the token of an earlier login.

A login does not show the password: SCRAM proves that we know it, and that the server
does (RFC 5802, RFC 7677). There is no fallback to anything weaker. Only the making of
an account sends it, over a private connection, for the server to derive its verifier.
"""

import asyncio
from typing import TYPE_CHECKING

from msgspec import Struct

from chatd.protocol.errors import NotAllowedError
from chatd.protocol.messages import Auth, Challenge, Ready, Register, SyncMode
from chatd.protocol.names import parse_user_name
from client.errors import InsecureError, PeerError, ServerProofError
from client.net.connection import Connection

if TYPE_CHECKING:
    from client.net.scram import Exchange

TOKEN = "TOKEN"  # noqa: S105
LOGIN_SECONDS = 30.0


class Introduction(Struct, frozen=True, kw_only=True):
    """What a login sends besides the proof.

    Attributes:
        device: A name for this device, shown in the list of logins.
        client: This program and its version.
        remember: Whether to ask for a token.
        sync: What the server is to push.
    """

    device: str | None = None
    client: str | None = None
    remember: bool = False
    sync: SyncMode = "unread"


async def log_in(
    connection: Connection, user: str, password: str, say: Introduction | None = None
) -> Ready:
    """Log in with a password and check that the server knows it too.

    A token is asked for only where the connection keeps it secret.

    Raises:
        AuthFailedError: Wrong name or password.
        ServerProofError: The server did not prove that it knows the password: it may be
            another one.
        PeerError: The server offers no SCRAM.
        BadNameError: The name is not valid.
        ChatError: The server refused for another reason (rate_limited …).
        ConnectError: The connection broke.
    """
    say = say or Introduction()
    # In a thread: loading it, and 600,000 rounds of PBKDF2, would hold the event loop.
    exchange = await asyncio.to_thread(_begin, connection, user, password)
    challenge = await connection.ask(
        Auth(
            mechanism=exchange.mechanism,
            data=exchange.first(),
            device=say.device,
            client=say.client,
            remember=say.remember and connection.is_private,
            sync=say.sync,
        )
    )
    if not isinstance(challenge, Challenge):
        raise ServerProofError("the server accepts a login without its proof")
    proof = await asyncio.to_thread(exchange.proof, challenge.data)
    ready = await connection.ask(Auth(mechanism=exchange.mechanism, data=proof))
    if not isinstance(ready, Ready):
        raise PeerError("the server answers a login with something else")
    exchange.check(ready.data or "")
    return ready


async def log_in_by_token(
    connection: Connection, user: str, token: str, say: Introduction | None = None
) -> Ready:
    """Log in with the token that an earlier login received.

    Raises:
        InsecureError: Others could read the token on this connection.
        AuthFailedError: The token is not valid any more.
        NotAllowedError: The token is another user's.
        ConnectError: The connection broke.
    """
    say = say or Introduction()
    _check_private(connection, "a remembered login")
    ready = await connection.ask(
        Auth(
            mechanism=TOKEN,
            token=token,
            device=say.device,
            client=say.client,
            sync=say.sync,
        )
    )
    if not isinstance(ready, Ready):
        raise PeerError("the server answers a login with something else")
    if ready.user != parse_user_name(user):
        raise NotAllowedError(f"this login is that of {ready.user}, not of {user}")
    return ready


async def register(
    connection: Connection, user: str, password: str, invite: str | None = None
) -> str:
    """Register an account and return its canonical name; this does not log in.

    Raises:
        InsecureError: Others could read the password on this connection.
        BadNameError: The name is not valid.
        ChatError: The server refused: name_taken, weak_password, bad_invite …
        ConnectError: The connection broke.
    """
    _check_private(connection, "a password")
    name = parse_user_name(user)
    await connection.ask(Register(user=name, password=password, invite=invite))
    return name


def _begin(connection: Connection, user: str, password: str) -> "Exchange":
    # Not at the top: it imports much, and a remembered login does not need it.
    from client.net.scram import Exchange

    offered, certificate = connection.hello.auth, connection.certificate
    return Exchange(offered, certificate, parse_user_name(user), password)


def _check_private(connection: Connection, what: str) -> None:
    if not connection.is_private:
        raise InsecureError(
            f"{what} is not sent over a connection that others can read: "
            "use tls:// instead of tcp://"
        )
