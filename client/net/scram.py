"""The client side of SCRAM (RFC 5802, RFC 7677), with channel binding over TLS.

Only a login with a password needs this, and what it imports takes some 0.1 s to load:
``client.net.login`` imports it in a thread, when it is needed.
"""

import hashlib
from collections.abc import Collection

from cryptography import x509
from scramp import ScramClient
from scramp.utils import ScramException

from chatd.protocol.errors import NotAllowedError
from client.errors import PeerError, ServerProofError

SCRAM = "SCRAM-SHA-256"
SCRAM_PLUS = "SCRAM-SHA-256-PLUS"


class Exchange:
    """One SCRAM login: the client's messages, and the check of the server's proof.

    Args:
        offered: The mechanisms that the server offers.
        certificate: The server's (DER), None where there is no TLS.
        user: The canonical name.
        password: The password, which is never sent.

    Attributes:
        mechanism: The mechanism that is used.

    Raises:
        PeerError: The server offers no SCRAM.
        NotAllowedError: The password cannot be used.
    """

    def __init__(
        self,
        offered: Collection[str],
        certificate: bytes | None,
        user: str,
        password: str,
    ) -> None:
        binding = channel_binding(certificate)
        if binding is not None and SCRAM_PLUS in offered:
            self.mechanism = SCRAM_PLUS
        elif SCRAM in offered:
            # With a binding at hand this tells the server that we could have used it,
            # so that it notices if -PLUS was taken out of its hello on the way.
            self.mechanism = SCRAM
        else:
            raise PeerError(
                f"the server offers no {SCRAM} login, nothing weaker is used"
            )
        try:
            self._scram = ScramClient([self.mechanism], user, password, binding)
        except ScramException as error:
            raise NotAllowedError(f"that password cannot be used: {error}") from error

    def first(self) -> str:
        """Return the client-first message."""
        first: str = self._scram.get_client_first()
        return first

    def proof(self, challenge: str) -> str:
        """Return the client-final message, with the proof; this takes some 0.2 s.

        Raises:
            ServerProofError: The challenge does not answer the first message.
        """
        try:
            self._scram.set_server_first(challenge)
            proof: str = self._scram.get_client_final()
        except ScramException as error:
            raise ServerProofError(
                f"the server's challenge is wrong: {error}"
            ) from error
        return proof

    def check(self, final: str) -> None:
        """Check the server-final message, with the server's own proof.

        Raises:
            ServerProofError: The server does not know the password.
        """
        try:
            self._scram.set_server_final(final)
        except ScramException as error:
            raise ServerProofError(
                "the server does not know the password that it should know: "
                "it may be another than it says"
            ) from error


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
