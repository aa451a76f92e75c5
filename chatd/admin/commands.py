"""The administrator's commands, as they are sent over the admin socket.

Each is a JSON object with a member ``command``; the reply is ``{"ok": …}`` or
``{"error": {"code": …, "reason": …}}``. Command line and daemon share these classes, so
a command that does not fit its class is refused before anything happens.
"""

from msgspec import Struct


class Command(Struct, frozen=True, tag_field="command", forbid_unknown_fields=True):
    """The base of all commands."""


class AddUser(Command, frozen=True, tag="user add"):
    """Create an account. Answered with its canonical name."""

    name: str
    password: str
    admin: bool = False


class ListUsers(Command, frozen=True, tag="user list"):
    """List the accounts. Answered with a list of objects."""


class SetPassword(Command, frozen=True, tag="user passwd"):
    """Change a user's password and revoke the user's logins."""

    name: str
    password: str


class DisableUser(Command, frozen=True, tag="user disable"):
    """Lock a user out until ``user enable``."""

    name: str


class EnableUser(Command, frozen=True, tag="user enable"):
    """Let a disabled user log in again."""

    name: str


class DeleteUser(Command, frozen=True, tag="user delete"):
    """Delete an account for good; the user's messages stay."""

    name: str


class ListLogins(Command, frozen=True, tag="user logins"):
    """List the devices that are logged in by token. Answered with a list."""

    name: str


class RevokeLogin(Command, frozen=True, tag="user logins revoke"):
    """Revoke one login."""

    name: str
    login: str


class CreateInvite(Command, frozen=True, tag="invite"):
    """Create an invite code; ``days`` None: it never expires.

    Answered with the code, its expiry, and the join links that contain it.
    """

    uses: int = 1
    days: float | None = None


class ListInvites(Command, frozen=True, tag="invite list"):
    """List the invite codes. Answered with a list of objects."""


class RevokeInvite(Command, frozen=True, tag="invite revoke"):
    """Revoke an invite code."""

    code: str


class Backup(Command, frozen=True, tag="backup"):
    """Write a backup to a new file, by its absolute path.

    Answered with a ``chatd.backup.backup.BackupReport``.
    """

    path: str


class Check(Command, frozen=True, tag="check"):
    """Check the data folder, and remove leftovers of files.

    Answered with a list of ``chatd.admin.checks.Checked``.
    """


AnyCommand = (
    AddUser
    | ListUsers
    | SetPassword
    | DisableUser
    | EnableUser
    | DeleteUser
    | ListLogins
    | RevokeLogin
    | CreateInvite
    | ListInvites
    | RevokeInvite
    | Backup
    | Check
)
