"""Saved logins: the users at each server, and the tokens that log in again."""

from pathlib import Path

from msgspec import Struct, field

from client.storage.json_file import JsonFile


class _Logins(Struct):
    # By server, then by user: the token, "" where none is remembered.
    tokens: dict[str, dict[str, str]] = field(default_factory=dict)
    last: tuple[str, str] | None = None


class SavedLogins:
    """The logins of this device; tokens are as good as passwords, so mode 0600.

    Args:
        path: The JSON file; None keeps them in memory alone.
    """

    def __init__(self, path: Path | None) -> None:
        self._file = JsonFile(path, _Logins)

    def last(self) -> tuple[str, str] | None:
        """Return server and user of the latest login, None if there was none."""
        return self._file.read().last

    def servers(self) -> list[str]:
        """Return the servers that were logged in to, as ``str(ServerAddress)``."""
        return sorted(self._file.read().tokens)

    def users(self, server: str) -> list[str]:
        """Return the users who were logged in at a server, the latest first."""
        logins = self._file.read()
        names = sorted(logins.tokens.get(server, {}))
        if logins.last is not None:
            latest = logins.last
            names.sort(key=lambda name: (server, name) != latest)
        return names

    def token(self, server: str, user: str) -> str | None:
        """Return the remembered token, None if there is none."""
        return self._file.read().tokens.get(server, {}).get(user) or None

    def remember(self, server: str, user: str, token: str | None) -> None:
        """Save a login, with the token if the server gave one."""

        def edit(logins: _Logins) -> None:
            users = logins.tokens.setdefault(server, {})
            users[user] = token or users.get(user, "")
            logins.last = (server, user)

        found = self._file.read()
        known = found.tokens.get(server, {}).get(user)
        if found.last != (server, user) or known is None or (token and token != known):
            self._file.change(edit)

    def forget(self, server: str, user: str) -> None:
        """Drop the token of a login; the name stays known."""
        if self.token(server, user) is None:
            return

        def edit(logins: _Logins) -> None:
            logins.tokens.setdefault(server, {})[user] = ""

        self._file.change(edit)
