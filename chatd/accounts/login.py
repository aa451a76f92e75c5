"""Password logins by SCRAM and PLAIN, throttled and silent about who has an account.

An unknown or deleted user is answered from a decoy verifier, a disabled one from the
real one; all end in the same refusal as a wrong password, after the same work.
"""

import hmac
import logging
from collections.abc import Callable

from scramp.utils import ScramException, saslprep

from chatd.accounts.decoy import make_decoy
from chatd.accounts.hashing import HashPool
from chatd.accounts.passwords import MAX_BYTES
from chatd.accounts.scram import (
    MECHANISM,
    MECHANISM_PLUS,
    ScramError,
    ScramExchange,
    Verifier,
)
from chatd.accounts.throttle import Throttle
from chatd.accounts.user_table import UserRecord, UserTable
from chatd.protocol.errors import AuthFailedError, BadNameError, BadRequestError
from chatd.protocol.names import parse_user_name

_AUTH_FAILED = "the user name or the password is wrong"
# An invalid user name is cut to this length, which stands for it in the throttle.
_MAX_NAME = 128

logger = logging.getLogger(__name__)


def auth_failed() -> AuthFailedError:
    """Return the refusal that every failed login by password is answered with."""
    return AuthFailedError(_AUTH_FAILED)


class ScramLogin:
    """A login by SCRAM that waits for the client's proof.

    Made by ``Authenticator.start_scram``.

    Attributes:
        challenge: The server's first message.
    """

    def __init__(
        self,
        owner: "Authenticator",
        mechanism: str,
        data: str,
        binding: bytes | None,
        address: str | None,
    ) -> None:
        self._owner = owner
        self._address = address
        self._name = ""
        self._verifier: Verifier | None = None
        try:
            self._exchange = ScramExchange(mechanism, data, self._find, binding)
        except ScramError as error:
            raise auth_failed() from error
        self.challenge = self._exchange.server_first
        owner.throttle.check(self._name, address)

    def finish(self, data: str) -> tuple[str, str]:
        """Return the canonical user name and the server's final message; call it once.

        Raises:
            AuthFailedError: The user or the proof is wrong; the failure was counted.
            RateLimitedError: Other attempts have failed meanwhile.
        """
        owner = self._owner
        owner.throttle.check(self._name, self._address)
        try:
            final = self._exchange.finish(data)
        except ScramError as error:
            owner.note_failure(self._name, self._address)
            raise auth_failed() from error
        owner.accept(self._name, self._verifier, self._address)
        return self._name, final

    def _find(self, name: str) -> Verifier:
        self._name, self._verifier = self._owner.find(name)
        return self._verifier


class Authenticator:
    """Checks passwords against the user table.

    Args:
        table: The users.
        pool: Derives the verifier that PLAIN compares.
        throttle: Counts failures.
        default_iterations: Returns the count for decoy verifiers of an empty table.
    """

    def __init__(
        self,
        table: UserTable,
        pool: HashPool,
        throttle: Throttle,
        default_iterations: Callable[[], int],
    ) -> None:
        self.throttle = throttle
        self._table = table
        self._pool = pool
        self._default_iterations = default_iterations

    def start_scram(
        self,
        mechanism: str,
        data: str,
        binding: bytes | None,
        plus_offered: bool,
        address: str | None,
    ) -> ScramLogin:
        """Begin a login by SCRAM with the client's first message.

        Args:
            mechanism: The one that the client names.
            data: The client's first message.
            binding: The channel binding of this connection, if it has one.
            plus_offered: Whether -PLUS was in this connection's ``hello``.
            address: The peer's IP address; None for a Unix socket.

        Raises:
            BadRequestError: The mechanism was not offered.
            AuthFailedError: The message is malformed, or -PLUS was offered and the
                client says that it was not.
            RateLimitedError: Too many failed logins; no work was done.
        """
        binding = binding if plus_offered else None
        if mechanism not in (MECHANISM, MECHANISM_PLUS) or (
            mechanism == MECHANISM_PLUS and binding is None
        ):
            raise BadRequestError(
                "that mechanism is not offered here: use one that 'hello' lists"
            )
        return ScramLogin(self, mechanism, data, binding, address)

    async def check_password(
        self, user: str, password: str, address: str | None
    ) -> str:
        """Return the canonical name of a user whose password this is.

        Raises:
            AuthFailedError: The user or the password is wrong; the failure was counted.
            RateLimitedError: Too many failed logins, or the server is busy with others.
        """
        name, expected = self.find(user)
        self.throttle.check(name, address)
        derived = await self._pool.derive(
            _comparable(password), expected.iterations, expected.salt
        )
        self.throttle.check(name, address)
        if not hmac.compare_digest(derived.stored_key, expected.stored_key):
            self.note_failure(name, address)
            raise auth_failed()
        self.accept(name, expected, address)
        return name

    def find(self, user: str) -> tuple[str, Verifier]:
        """Return the canonical name, and the real or a decoy verifier.

        A name that breaks the rules is returned as it is, shortened; it has no account.
        """
        try:
            name = parse_user_name(user)
        except BadNameError:
            name = user[:_MAX_NAME]
        # Made for real users too, so that both cases take the same time.
        decoy = make_decoy(
            self._table.secret, name, self._table.iterations, self._default_iterations()
        )
        record = self._table.get(name)
        if record is None or record.scram is None:
            return name, decoy
        return name, record.scram

    def accept(
        self, name: str, verifier: Verifier | None, address: str | None
    ) -> UserRecord:
        """Accept a login whose proof was right, if the account has not changed since.

        Raises:
            AuthFailedError: It was disabled, deleted or has another password now.
        """
        record = self._table.get(name)
        if record is None or record.disabled or record.scram != verifier:
            self.note_failure(name, address)
            raise auth_failed()
        self.throttle.succeeded(name, address)
        return record

    def note_failure(self, name: str, address: str | None) -> None:
        """Count and log a failed login."""
        self.throttle.failed(name, address)
        # An unknown name may be a password that was typed into the wrong field.
        known = repr(name) if self._table.get(name) else "an unknown user"
        logger.info("failed login of %s from %s", known, address or "local")


def _comparable(password: str) -> str:
    """Prepare a password as at registration, but accept any: it just will not match."""
    if len(password) > MAX_BYTES or (password.isascii() and password.isprintable()):
        return password
    try:
        prepared: str = saslprep(password)
    except ScramException:
        return password
    return prepared
