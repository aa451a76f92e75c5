"""SCRAM-SHA-256 and SCRAM-SHA-256-PLUS, the server's side (RFC 5802, RFC 7677).

The exchange itself is scramp's; this module adds what scramp leaves to its caller: size
limits, a check that channel binding is used with -PLUS only, and one kind of error.
"""

import hashlib
import hmac
import secrets
from collections.abc import Callable
from typing import Annotated

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from msgspec import Meta, Struct
from scramp import ScramMechanism
from scramp.utils import ScramException

MECHANISM = "SCRAM-SHA-256"
MECHANISM_PLUS = "SCRAM-SHA-256-PLUS"

MIN_ITERATIONS = 4_096  # RFC 7677, section 4
MAX_ITERATIONS = 10_000_000  # what scramp's client accepts
SALT_BYTES = 16
# Name, binding, two nonces and a proof, generously; bounds the work before a login.
MAX_DATA_CHARACTERS = 2_048

_BINDING_TYPE = "tls-server-end-point"

_Salt = Annotated[bytes, Meta(min_length=12, max_length=64)]
_Iterations = Annotated[int, Meta(ge=MIN_ITERATIONS, le=MAX_ITERATIONS)]
_Digest = Annotated[bytes, Meta(min_length=32, max_length=32)]

_mechanisms = {name: ScramMechanism(name) for name in (MECHANISM, MECHANISM_PLUS)}


class ScramError(Exception):
    """The exchange failed: malformed, bound to another channel, or a wrong proof."""


class Verifier(Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """What the server keeps of a password (RFC 5802, section 3)."""

    salt: _Salt
    iterations: _Iterations
    stored_key: _Digest
    server_key: _Digest


def derive_verifier(
    password: str, iterations: int, salt: bytes | None = None
) -> Verifier:
    """Return the verifier of a prepared password; slow, so call it off the event loop.

    Args:
        password: What ``prepare_password`` returned.
        iterations: How often PBKDF2 hashes; 600,000 take some 0.15 s.
        salt: A random one if None.
    """
    salt = secrets.token_bytes(SALT_BYTES) if salt is None else salt
    secret = password.encode("utf-8", "surrogatepass")
    salted = hashlib.pbkdf2_hmac("sha256", secret, salt, iterations)
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    return Verifier(
        salt,
        iterations,
        stored_key=hashlib.sha256(client_key).digest(),
        server_key=hmac.digest(salted, b"Server Key", "sha256"),
    )


def tls_server_end_point(certificate_der: bytes) -> bytes | None:
    """Return the channel binding of a certificate (RFC 5929, section 4.1).

    Returns:
        None where the certificate's signature uses no hash function, or several, or
        one that is not known here: then -PLUS cannot be offered.
    """
    try:
        certificate = x509.load_der_x509_certificate(certificate_der)
        algorithm = certificate.signature_hash_algorithm
    except (ValueError, TypeError, LookupError, UnsupportedAlgorithm):
        return None
    if algorithm is None:
        return None
    name = "sha256" if algorithm.name in ("md5", "sha1") else algorithm.name
    try:
        return hashlib.new(name.replace("-", "_"), certificate_der).digest()
    except ValueError:
        return None


class ScramExchange:
    """One login by SCRAM, from the client's first message on.

    Args:
        mechanism: ``MECHANISM`` or ``MECHANISM_PLUS``.
        client_first: The client's first message.
        find_verifier: Called with the user name as the client wrote it, unescaped and
            after SASLprep; has to return a verifier for any name.
        binding: What ``tls_server_end_point`` says of this connection's certificate,
            if -PLUS was offered on it; else None.
        nonce: The server's part of the nonce; random if None.

    Raises:
        ScramError: The message is malformed, or the client was offered other mechanisms
            than ours, as by a man in the middle who wants to prevent channel binding.
    """

    def __init__(
        self,
        mechanism: str,
        client_first: str,
        find_verifier: Callable[[str], Verifier],
        binding: bytes | None,
        nonce: str | None = None,
    ) -> None:
        def find(name: str) -> tuple[bytes, bytes, bytes, int]:
            found = find_verifier(name)
            return found.salt, found.stored_key, found.server_key, found.iterations

        _check_size(client_first)
        try:
            self._server = _mechanisms[mechanism].make_server(
                find,
                None if binding is None else (_BINDING_TYPE, binding),
                secrets.token_urlsafe(18) if nonce is None else nonce,
            )
            self._server.set_client_first(client_first)
            # scramp lets a client bind the channel under the name without -PLUS.
            if self._server.m.name != mechanism:
                raise ScramError("channel binding is for -PLUS only")
            self.server_first: str = self._server.get_server_first()
        except (ScramException, UnicodeError) as error:
            raise ScramError(str(error)) from error

    def finish(self, client_final: str) -> str:
        """Return the server's final message, which proves the server to the client.

        Raises:
            ScramError: The proof is wrong, or the message malformed.
        """
        _check_size(client_final)
        try:
            self._server.set_client_final(client_final)
            final: str = self._server.get_server_final()
        except (ScramException, UnicodeError) as error:
            raise ScramError(str(error)) from error
        return final


def _check_size(data: str) -> None:
    if len(data) > MAX_DATA_CHARACTERS:
        raise ScramError("a SCRAM message is not that long")
