"""Carries out the administrator's commands: one set of rules, with or without daemon.

While the daemon runs, commands come through the admin socket; else the command line
opens the data folder itself, under its lock, and calls the same object.
"""

import contextlib
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec

from chatd.accounts.accounts import Accounts
from chatd.accounts.settings import wall_clock_ms
from chatd.accounts.user_table import UserRole
from chatd.admin import commands
from chatd.admin.checks import Upkeep, check_all
from chatd.backup.backup import BackupReport, write_backup
from chatd.core.signals import Signals, UserEnded
from chatd.protocol.errors import (
    BadNameError,
    BadRequestError,
    ChatError,
    NoSuchUserError,
)
from chatd.protocol.names import parse_user_name
from chatd.settings.config import Settings
from chatd.settings.endpoints import Endpoint, join_links
from chatd.store.base import Store
from chatd.store.blobs import Blobs
from chatd.store.commands import ForgetUser

MS_PER_DAY = 86_400_000

# Called when a user's connections have to end, with the name, the code for ``closing``,
# and the id of the one login that ended (None: all of them).

logger = logging.getLogger(__name__)


class NotFoundError(ChatError):
    """There is no such login or invite code."""

    code = "not_found"


class Administration:
    """Carries out commands on the accounts and the store, which stay the caller's.

    Args:
        data: The data folder.
        accounts: The accounts to administer.
        store: Holds the users' messages.
        blobs: Holds the contents of their files.
        upkeep: Removes leftovers of files, and holds removals back on request.
        settings: The configuration; see ``reconfigure``.
        fingerprint: Of the server's key, for join links.
        endpoints: Where the daemon listens, with the real ports; None: as configured.
        signals: Where it is published that a user or login has ended.
        clock: Returns the wall clock's milliseconds.
    """

    def __init__(
        self,
        data: Path,
        accounts: Accounts,
        store: Store,
        blobs: Blobs,
        upkeep: Upkeep,
        settings: Settings,
        fingerprint: str,
        *,
        endpoints: tuple[Endpoint, ...] | None = None,
        signals: Signals | None = None,
        clock: Callable[[], int] = wall_clock_ms,
    ) -> None:
        self._data = data
        self._accounts = accounts
        self.store = store
        self.blobs = blobs
        self._upkeep = upkeep
        self._settings = settings
        self.fingerprint = fingerprint
        self._endpoints = endpoints
        self._signals = signals or Signals()
        self._clock = clock
        self._handlers: dict[type, Callable[[Any], Awaitable[object]]] = {
            commands.AddUser: self.add_user,
            commands.ListUsers: self.list_users,
            commands.SetPassword: self.set_password,
            commands.DisableUser: self.disable_user,
            commands.EnableUser: self.enable_user,
            commands.DeleteUser: self.delete_user,
            commands.ListLogins: self.list_logins,
            commands.RevokeLogin: self.revoke_login,
            commands.CreateInvite: self.create_invite,
            commands.ListInvites: self.list_invites,
            commands.RevokeInvite: self.revoke_invite,
            commands.Backup: self.backup,
            commands.Check: self.check,
        }

    def reconfigure(self, settings: Settings, fingerprint: str) -> None:
        """Apply new settings, and the fingerprint of a reloaded key."""
        self._settings = settings
        self.fingerprint = fingerprint

    async def carry_out(self, command: commands.AnyCommand) -> Any:
        """Carry out one command; return its answer as JSON-like values.

        Raises:
            ChatError: It is refused.
            BackupError: The backup could not be written.
        """
        answer = await self._handlers[type(command)](command)
        return msgspec.to_builtins(answer)

    # Users --------------------------------------------------------------------------

    async def add_user(self, command: commands.AddUser) -> str:
        """Create an account; return its canonical name."""
        role: UserRole = "admin" if command.admin else "member"
        name = await self._accounts.add(command.name, command.password, role)
        logger.info("user %s was added as %s", name, role)
        return name

    async def list_users(self, command: commands.ListUsers) -> list[dict[str, object]]:
        """Return all accounts without their verifiers."""
        return [
            {
                "name": user.name,
                "role": user.role,
                "created": user.created,
                "disabled": user.disabled,
            }
            for user in self._accounts.list_users()
        ]

    async def set_password(self, command: commands.SetPassword) -> str:
        """Change a password; ends all logins of the user."""
        name = self._canonical(command.name)
        await self._accounts.set_password(name, command.password)
        self._end(name, "revoked")
        logger.info("the password of user %s was changed", name)
        return name

    async def disable_user(self, command: commands.DisableUser) -> str:
        """Lock a user out, and end the user's connections."""
        name = self._canonical(command.name)
        await self._accounts.disable(name)
        self._end(name, "disabled")
        logger.info("user %s was disabled", name)
        return name

    async def enable_user(self, command: commands.EnableUser) -> str:
        """Let a disabled user log in again."""
        name = self._canonical(command.name)
        await self._accounts.enable(name)
        logger.info("user %s was enabled", name)
        return name

    async def delete_user(self, command: commands.DeleteUser) -> str:
        """Delete an account, its connections and memberships; its messages stay."""
        name = self._canonical(command.name)
        # In this order, a deletion that is killed halfway can be repeated, and the user
        # cannot join a room after having been removed from all.
        await self._accounts.disable(name)
        self._end(name, "disabled")
        await self.store.execute(ForgetUser(name))
        await self._accounts.delete(name)
        self._end(name, "deleted")
        logger.info("user %s was deleted", name)
        return name

    async def list_logins(self, command: commands.ListLogins) -> object:
        """Return a user's logins by token."""
        return await self._accounts.logins(command.name)

    async def revoke_login(self, command: commands.RevokeLogin) -> None:
        """Revoke one login and end its connections."""
        name = self._canonical(command.name)
        if not await self._accounts.revoke_login(name, command.login):
            raise NotFoundError(
                f"{name} has no login {command.login!r}: chatd user logins {name}"
                " lists them"
            )
        self._end(name, "revoked", command.login)
        logger.info("a login of user %s was revoked", name)

    def _canonical(self, name: str) -> str:
        with contextlib.suppress(BadNameError):
            canonical = parse_user_name(name)
            if self._accounts.get(canonical) is not None:
                return canonical
        raise NoSuchUserError(f"there is no user {name!r}: chatd user list shows all")

    def _end(self, name: str, code: str, login: str | None = None) -> None:
        self._signals.publish(UserEnded(name, code, login))

    # Invite codes -------------------------------------------------------------------

    async def create_invite(self, command: commands.CreateInvite) -> dict[str, object]:
        """Create a code; return it with the join links that contain it."""
        expires = None
        if command.days is not None:
            # The upper bound keeps the time within what a date can show.
            if not 0 < command.days <= 36_500:
                raise BadRequestError("an invite code is valid for 1 to 36500 days")
            expires = self._clock() + int(command.days * MS_PER_DAY)
        invite = await self._accounts.create_invite(command.uses, expires, "admin")
        settings = self._settings
        links = join_links(
            settings.endpoints if self._endpoints is None else self._endpoints,
            settings.server.public_address,
            self.fingerprint,
            invite.code,
        )
        registration = settings.accounts.registration
        shown: dict[str, object] = msgspec.structs.asdict(invite)
        return shown | {"links": links, "registration": registration}

    async def list_invites(self, command: commands.ListInvites) -> object:
        """Return all codes, oldest first."""
        return await self._accounts.list_invites()

    async def revoke_invite(self, command: commands.RevokeInvite) -> None:
        """Revoke a code."""
        if not await self._accounts.revoke_invite(command.code):
            raise NotFoundError(
                f"there is no invite code {command.code!r}: chatd invite list shows"
                " them"
            )

    # Operations ---------------------------------------------------------------------

    async def backup(self, command: commands.Backup) -> BackupReport:
        """Write a backup to a new file, and the contents of files beside it."""
        path = Path(command.path)
        if not path.is_absolute():
            raise BadRequestError("the path of a backup must be absolute")
        report = await write_backup(
            self._data, self.store, path, self._upkeep.holding_removals
        )
        logger.info("a backup of %d bytes was written to %s", report.size, path)
        if report.missing:
            logger.warning(
                "%d contents of files are missing or damaged: chatd check names them",
                report.missing,
            )
        return report

    async def check(self, command: commands.Check) -> object:
        """Check the data folder; return the results of ``chatd.admin.checks``."""
        tls = self._settings.tls
        return await check_all(self._data, tls, self.store, self.blobs, self._upkeep)
