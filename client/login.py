"""Proving who one is: SCRAM with a password, or the token of an earlier login.

The password never leaves this device: SCRAM proves that we know it, and that the server
does (RFC 5802, RFC 7677). There is no falling back to anything weaker.
"""

import asyncio
import hashlib

from cryptography import x509
from msgspec import Struct
from scramp import ScramClient
from scramp.utils import ScramException

from chatd.protocol.errors import NotAllowedError
from chatd.protocol.messages import Auth, Challenge, Ready, Register, SyncMode
from chatd.protocol.names import parse_user_name
from client.connection import Connection
from client.errors import InsecureError, PeerError, ServerProofError

SCRAM = "SCRAM-SHA-256"
SCRAM_PLUS = "SCRAM-SHA-256-PLUS"
TOKEN = "TOKEN"  # noqa: S105
LOGIN_SECONDS = 30.0


class Introduction(Struct, frozen=True, kw_only=True):
    """What a login says besides the proof.

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
        ServerProofError: The server did not prove itself: it may be another.
        PeerError: The server offers no SCRAM.
        BadNameError: Such a name cannot be.
        ChatError: The server refused for another reason (rate_limited …).
        ConnectError: The connection broke.
    """
    say = say or Introduction()
    scram, mechanism = _client(connection, parse_user_name(user), password)
    challenge = await connection.ask(
        Auth(
            mechanism=mechanism,
            data=scram.get_client_first(),
            device=say.device,
            client=say.client,
            remember=say.remember and connection.is_private,
            sync=say.sync,
        )
    )
    if not isinstance(challenge, Challenge):
        raise ServerProofError("the server accepts a login without its proof")
    try:
        scram.set_server_first(challenge.data)
        # 600,000 rounds of PBKDF2 would hold the event loop for some 0.2 s.
        proof = await asyncio.to_thread(scram.get_client_final)
    except ScramException as error:
        raise ServerProofError(f"the server's challenge is wrong: {error}") from error
    ready = await connection.ask(Auth(mechanism=mechanism, data=proof))
    if not isinstance(ready, Ready):
        raise PeerError("the server answers a login with something else")
    try:
        scram.set_server_final(ready.data or "")
    except ScramException as error:
        raise ServerProofError(
            "the server does not know the password that it should know: "
            "it may be another than it says"
        ) from error
    return ready


async def log_in_by_token(
    connection: Connection, user: str, token: str, say: Introduction | None = None
) -> Ready:
    """Log in with the token that an earlier login was given.

    Raises:
        InsecureError: The connection would show the token to others.
        AuthFailedError: The token is not valid any more, or another user's.
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
    """Make an account; return its canonical name. It is not logged in by that.

    Raises:
        InsecureError: The connection would show the password to others.
        BadNameError: Such a name cannot be.
        ChatError: The server refused: name_taken, weak_password, bad_invite …
        ConnectError: The connection broke.
    """
    _check_private(connection, "a password")
    name = parse_user_name(user)
    await connection.ask(Register(user=name, password=password, invite=invite))
    return name


def channel_binding(certificate: bytes | None) -> tuple[str, bytes] | None:
    """Return the ``tls-server-end-point`` of a certificate (RFC 5929, section 4.1).

    Returns:
        None without TLS, or where the certificate's signature names no single hash.
    """
    if certificate is None:
        return None
    try:
        algorithm = x509.load_der_x509_certificate(certificate).signature_hash_algorithm
        if algorithm is None:
            return None
        name = "sha256" if algorithm.name in ("md5", "sha1") else algorithm.name
        return "tls-server-end-point", hashlib.new(name, certificate).digest()
    except (ValueError, TypeError, LookupError):
        return None


def _client(
    connection: Connection, user: str, password: str
) -> tuple[ScramClient, str]:
    offered = connection.hello.auth
    binding = channel_binding(connection.certificate)
    if binding is not None and SCRAM_PLUS in offered:
        mechanism = SCRAM_PLUS
    elif SCRAM in offered:
        # With a binding at hand this tells the server that we could have used it, so
        # that it notices if somebody took -PLUS out of its hello.
        mechanism = SCRAM
    else:
        raise PeerError(f"the server offers no {SCRAM} login, nothing weaker is used")
    try:
        return ScramClient([mechanism], user, password, binding), mechanism
    except ScramException as error:
        raise NotAllowedError(f"that password cannot be used: {error}") from error


def _check_private(connection: Connection, what: str) -> None:
    if not connection.is_private:
        raise InsecureError(
            f"{what} is not sent over a connection that others can read: "
            "use tls:// instead of tcp://"
        )
