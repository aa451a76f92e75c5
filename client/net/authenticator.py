"""Logs in with the remembered token first, then with the password."""

from chatd.protocol.errors import AuthFailedError
from chatd.protocol.messages import Ready
from client.errors import LinkError
from client.net.connection import Connection
from client.net.login import TOKEN, Introduction, log_in, log_in_by_token
from client.storage.saved_logins import SavedLogins


class PasswordNeededError(LinkError):
    """The user has to be asked for the password.

    Attributes:
        refusal: The server's refusal of the proof that was tried, if any was.
    """

    def __init__(self, reason: str, refusal: AuthFailedError | None = None) -> None:
        super().__init__(reason)
        self.refusal = refusal


class Authenticator:
    """Logs one user in at one server, on one connection after another.

    Args:
        logins: Where tokens are remembered.
        server: The address under which they are kept.
        user: The canonical name.
        password: If it is known already.
        token: If it is known already; else the remembered one is used.
        say: What else to send; ``remember`` asks for a token and keeps it.
    """

    def __init__(
        self,
        logins: SavedLogins,
        server: str,
        user: str,
        *,
        password: str | None,
        token: str | None,
        say: Introduction,
    ) -> None:
        self._logins = logins
        self._server = server
        self._user = user
        self.password = password
        self._token = token
        self._say = say

    async def log_in(self, connection: Connection) -> Ready:
        """Log in with the token, else with the password.

        A remembered token is looked up only where no password was given.

        Raises:
            PasswordNeededError: There is neither, or it was refused.
            LinkError: See ``client.net.login``.
            ChatError: See ``client.net.login``.
        """
        refusal: AuthFailedError | None = None
        token = self._token
        if token is None and self.password is None:
            token = self._logins.token(self._server, self._user)
        if token and connection.is_private and TOKEN in connection.hello.auth:
            try:
                return self._remember(
                    await log_in_by_token(connection, self._user, token, self._say),
                    token,
                )
            except AuthFailedError as error:
                refusal = error
                self.forget()
        if self.password is None:
            raise PasswordNeededError(
                "the remembered login is not valid any more"
                if refusal
                else f"there is no remembered login of {self._user} that can be used",
                refusal,
            )
        return await self._log_in_by_password(connection, self.password)

    def forget(self) -> None:
        """Drop the token, which the server no longer accepts."""
        self._token = None
        self._logins.forget(self._server, self._user)

    async def _log_in_by_password(self, connection: Connection, password: str) -> Ready:
        try:
            ready = await log_in(connection, self._user, password, self._say)
        except AuthFailedError as error:
            self.password = None
            raise PasswordNeededError(error.reason, error) from error
        return self._remember(ready, ready.token)

    def _remember(self, ready: Ready, token: str | None) -> Ready:
        if self._say.remember:
            self._logins.remember(self._server, self._user, ready.token or token)
        if token is not None:
            # With a token the password is not needed any more, and a token that is
            # revoked must end the login rather than be replaced silently.
            self._token = token
            self.password = None
        return ready
