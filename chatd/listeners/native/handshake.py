"""Handles registration and login on a connection (protocol README, section 4)."""

from typing import TYPE_CHECKING

import msgspec

from chatd.accounts.login import ScramLogin
from chatd.accounts.scram import MECHANISM, MECHANISM_PLUS
from chatd.accounts.tokens import token_id_of
from chatd.protocol.errors import BadRequestError, NotAllowedError
from chatd.protocol.messages import (
    Auth,
    Challenge,
    Limits,
    Ready,
    Register,
    Registered,
    Request,
)

if TYPE_CHECKING:
    from chatd.listeners.native.connection import Connection


class Handshake:
    """The state of a connection that is not logged in."""

    __slots__ = ("_connection", "_first", "_scram")

    def __init__(self, connection: "Connection") -> None:
        self._connection = connection
        self._scram: ScramLogin | None = None
        # The first auth of a SCRAM login: it has the options of the session.
        self._first: Auth | None = None

    def mechanisms(self) -> list[str]:
        """Return the mechanisms to offer on this connection, preferred ones first."""
        offered = [MECHANISM]
        if self._connection.plus_binding is not None:
            offered.insert(0, MECHANISM_PLUS)
        if self._connection.is_private:
            offered += ["PLAIN", "TOKEN"]
        return offered

    async def handle(self, request: Request) -> None:
        """Answer a registration or a step of a login.

        Raises:
            ChatError: It was refused.
        """
        if isinstance(request, Register):
            await self._register(request)
        elif isinstance(request, Auth):
            await self._authenticate(request)

    async def _register(self, request: Register) -> None:
        self._require_privacy("register")
        connection = self._connection
        listener = connection.listener
        listener.take_registration(connection.address)
        user = await listener.accounts.register(
            request.user, request.password, request.invite, connection.address
        )
        await connection.reply(Registered(re=request.id, user=user))

    async def _authenticate(self, request: Auth) -> None:
        scram, self._scram = self._scram, None
        if scram is not None and request.mechanism in (None, MECHANISM, MECHANISM_PLUS):
            await self._finish_scram(scram, request)
        elif request.mechanism in (MECHANISM, MECHANISM_PLUS):
            await self._start_scram(request.mechanism, request)
        elif request.mechanism == "PLAIN":
            await self._plain(request)
        elif request.mechanism == "TOKEN":
            await self._token(request)
        else:
            offered = ", ".join(self.mechanisms())
            raise BadRequestError(f"the member 'mechanism' is one of {offered}")

    async def _start_scram(self, mechanism: str, request: Auth) -> None:
        data = _given(request.data, "data")
        if request.remember:
            self._require_privacy("remember")
        binding = self._connection.plus_binding
        login = self._connection.listener.accounts.start_scram(
            mechanism,
            data,
            binding,
            binding is not None,
            self._connection.address,
        )
        self._scram = login
        self._first = request
        await self._connection.reply(Challenge(re=request.id, data=login.challenge))

    async def _finish_scram(self, scram: ScramLogin, request: Auth) -> None:
        first, self._first = self._first, None
        user, final = scram.finish(_given(request.data, "data"))
        await self._begin(user, request, first or request, final)

    async def _plain(self, request: Auth) -> None:
        self._require_privacy("PLAIN")
        user = await self._connection.listener.accounts.check_password(
            _given(request.user, "user"),
            _given(request.password, "password"),
            self._connection.address,
        )
        await self._begin(user, request, request, None)

    async def _token(self, request: Auth) -> None:
        self._require_privacy("TOKEN")
        token = _given(request.token, "token")
        # Set before the first await: the login may be revoked meanwhile, and
        # `NativeListener.close_user` must find this connection then.
        self._connection.login = token_id_of(token)
        self._connection.candidate = token.partition(".")[0]
        user = await self._connection.listener.accounts.check_token(
            token, self._connection.address
        )
        await self._begin(user, request, request, None)

    async def _begin(
        self, user: str, request: Auth, first: Auth, final: str | None
    ) -> None:
        self._connection.candidate = user
        token = None
        if first.remember:
            self._require_privacy("remember")
            token = await self._connection.listener.accounts.issue_token(
                user, first.device or "", first.client or ""
            )
            self._connection.login = token_id_of(token)
        # Only what belongs to the handshake; the service fills in the rest.
        ready = Ready(
            re=request.id,
            user=user,
            role="",
            log="",
            limits=Limits(frame=0, text=0, in_flight=0),
            chats=[],
            more=False,
            data=final,
            token=token,
        )
        await self._connection.log_in(
            user, msgspec.structs.replace(request, sync=first.sync), ready
        )

    def _require_privacy(self, what: str) -> None:
        if not self._connection.is_private:
            raise NotAllowedError(
                f"{what} would send a secret in the clear: connect with TLS"
            )


def _given(value: str | None, member: str) -> str:
    if value is None:
        raise BadRequestError(f"the member '{member}' is missing")
    return value
