"""Registration and login, without input and output (protocol README, section 4)."""

from typing import NamedTuple

from chatd.accounts.accounts import Accounts
from chatd.accounts.login import ScramLogin
from chatd.accounts.scram import MECHANISM, MECHANISM_PLUS
from chatd.accounts.tokens import token_id_of
from chatd.listeners.gate import Caller, Gate
from chatd.protocol.errors import BadRequestError, NotAllowedError
from chatd.protocol.messages import (
    Auth,
    Challenge,
    Register,
    Registered,
    ServerMessage,
    SyncMode,
)


class LoggedIn(NamedTuple):
    """A login that has succeeded.

    Attributes:
        user: Who has logged in.
        sync: What the session is to be pushed.
        data: The last message of SCRAM, for ``ready``.
        token: A token for later logins, if one was asked for.
    """

    user: str
    sync: SyncMode
    data: str | None
    token: str | None


class Handshake:
    """The state of a client that is not logged in.

    Args:
        accounts: The accounts that may log in.
        gate: Counts registrations.
        caller: Who has connected.

    Attributes:
        caller: See above.
        user: Whose login is under way.
        login: The id of the token that the client logs in with, or was given.
    """

    __slots__ = ("_accounts", "_first", "_gate", "_scram", "caller", "login", "user")

    def __init__(self, accounts: Accounts, gate: Gate, caller: Caller) -> None:
        self.user: str | None = None
        self.login: str | None = None
        self._accounts = accounts
        self._gate = gate
        self.caller = caller
        self._scram: ScramLogin | None = None
        # The first auth of a SCRAM login: it has the options of the session.
        self._first: Auth | None = None

    def mechanisms(self) -> list[str]:
        """Return the mechanisms to offer, preferred ones first."""
        offered = [MECHANISM]
        if self.caller.plus_binding is not None:
            offered.insert(0, MECHANISM_PLUS)
        if self.caller.is_private:
            offered += ["PLAIN", "TOKEN"]
        return offered

    async def handle(self, request: Auth | Register) -> ServerMessage | LoggedIn:
        """Carry out a registration or a step of a login; return its outcome.

        Raises:
            ChatError: It was refused.
        """
        if isinstance(request, Register):
            return await self._register(request)
        scram, self._scram = self._scram, None
        if scram is not None and request.mechanism in (None, MECHANISM, MECHANISM_PLUS):
            first, self._first = self._first, None
            user, final = scram.finish(_given(request.data, "data"))
            return await self._log_in(user, first or request, final)
        if request.mechanism in (MECHANISM, MECHANISM_PLUS):
            return self._start_scram(request.mechanism, request)
        if request.mechanism == "PLAIN":
            return await self._plain(request)
        if request.mechanism == "TOKEN":
            return await self._token(request)
        offered = ", ".join(self.mechanisms())
        raise BadRequestError(f"the member 'mechanism' is one of {offered}")

    async def _register(self, request: Register) -> Registered:
        self._require_privacy("register")
        address = self.caller.address
        self._gate.take_registration(address)
        user = await self._accounts.register(
            request.user, request.password, request.invite, address
        )
        return Registered(user=user)

    def _start_scram(self, mechanism: str, request: Auth) -> Challenge:
        data = _given(request.data, "data")
        if request.remember:
            self._require_privacy("remember")
        binding = self.caller.plus_binding
        self._scram = self._accounts.start_scram(
            mechanism, data, binding, binding is not None, self.caller.address
        )
        self._first = request
        return Challenge(data=self._scram.challenge)

    async def _plain(self, request: Auth) -> LoggedIn:
        self._require_privacy("PLAIN")
        user = await self._accounts.check_password(
            _given(request.user, "user"),
            _given(request.password, "password"),
            self.caller.address,
        )
        return await self._log_in(user, request, None)

    async def _token(self, request: Auth) -> LoggedIn:
        self._require_privacy("TOKEN")
        token = _given(request.token, "token")
        # Set before the first await: the login may be revoked meanwhile, and the gate
        # must find this connection then.
        self.login = token_id_of(token)
        self.user = token.partition(".")[0]
        user = await self._accounts.check_token(token, self.caller.address)
        return await self._log_in(user, request, None)

    async def _log_in(self, user: str, first: Auth, final: str | None) -> LoggedIn:
        self.user = user
        token = None
        if first.remember:
            self._require_privacy("remember")
            token = await self._accounts.issue_token(
                user, first.device or "", first.client or ""
            )
            self.login = token_id_of(token)
        return LoggedIn(user, first.sync, final, token)

    def _require_privacy(self, what: str) -> None:
        if not self.caller.is_private:
            raise NotAllowedError(
                f"{what} would send a secret in the clear: connect with TLS"
            )


def _given(value: str | None, member: str) -> str:
    if value is None:
        raise BadRequestError(f"the member '{member}' is missing")
    return value
