"""The facade of accounts and authentication, for core and listeners."""

import asyncio
import hashlib
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import msgspec

from chatd.accounts.hashing import HashPool
from chatd.accounts.invites import InviteCode, Invites
from chatd.accounts.login import Authenticator, ScramLogin
from chatd.accounts.passwords import prepare_password
from chatd.accounts.record_store import RecordStore
from chatd.accounts.scram import Verifier
from chatd.accounts.settings import AccountSettings, steady_clock_ms, wall_clock_ms
from chatd.accounts.throttle import Throttle
from chatd.accounts.tokens import Login, Tokens
from chatd.accounts.user_table import UserRecord, UserRole, UserTable
from chatd.protocol.errors import (
    AuthFailedError,
    BadInviteError,
    BadNameError,
    ChatError,
    NameTakenError,
    NoSuchUserError,
    RegistrationClosedError,
    TemporaryError,
)
from chatd.protocol.names import parse_user_name
from chatd.system.tasks import Tasks

_T = TypeVar("_T")

# The record that marks a data folder which has had a user table.
_MARK = ("accounts", "table")


logger = logging.getLogger(__name__)


class Accounts:
    """Registers, logs in and administers users; made by ``Accounts.open``.

    Names are accepted in any form and returned in the canonical one. A method that
    changes an account returns once the change is on disk, and completes even if the
    caller is cancelled; besides the errors that it documents, it may raise
    StorageFullError or UnavailableError.
    """

    def __init__(
        self,
        table: UserTable,
        records: RecordStore,
        settings: AccountSettings,
        clock: Callable[[], int],
        steady_clock: Callable[[], int],
    ) -> None:
        self._table = table
        self._settings = settings
        self._clock = clock
        self._pool = HashPool()
        self._tokens = Tokens(records, clock)
        self._invites = Invites(records, clock)
        self._logins = Authenticator(
            table,
            self._pool,
            Throttle(steady_clock),
            lambda: self._settings.iterations,
        )
        self._tasks = Tasks()

    @classmethod
    async def open(
        cls,
        folder: Path,
        store: RecordStore,
        settings: AccountSettings,
        clock: Callable[[], int] = wall_clock_ms,
        steady_clock: Callable[[], int] = steady_clock_ms,
    ) -> "Accounts":
        """Open the user table in ``folder``; the store stays the caller's.

        Args:
            folder: The data folder, which is locked by the caller.
            store: Where tokens and invite codes are kept.
            settings: May be changed later by ``reconfigure``.
            clock: Returns the wall clock's milliseconds.
            steady_clock: Returns milliseconds that never step back.

        Raises:
            DamagedTableError: The table is damaged, newer, or gone.
            StorageFullError: There was no table yet, and it could not be made.
            UnavailableError: Likewise.
        """
        marked = await store.get_record(*_MARK) is not None
        table = await asyncio.to_thread(UserTable.open, folder, must_exist=marked)
        if not marked:
            await store.create_record(*_MARK, b"{}")
        accounts = cls(table, store, settings, clock, steady_clock)
        with _clearing_up("unused invitations were not given back"):
            await accounts._invites.recover({record.name for record in table})
        return accounts

    def reconfigure(self, settings: AccountSettings) -> None:
        """Apply new settings to later registrations and passwords."""
        self._settings = settings

    async def close(self) -> None:
        """Complete the changes under way, and drop passwords that wait to be hashed."""
        await self._pool.close()
        await self._tasks.settled()
        await self._table.close()
        await self._tokens.close()

    # Users --------------------------------------------------------------------------

    @property
    def registration(self) -> str:
        """Who may register: ``open``, ``invite`` or ``closed``."""
        return self._settings.registration

    def get(self, name: str) -> UserRecord | None:
        """Return the account of a canonical name; None if there is none (any more)."""
        record = self._table.get(name)
        return None if record is None or record.deleted else record

    def role(self, name: str) -> UserRole | None:
        """Return the role of a canonical name; None if there is no such user."""
        record = self.get(name)
        return None if record is None else record.role

    def names(self) -> list[str]:
        """Return the names of all users, disabled ones too, sorted."""
        return sorted(record.name for record in self._table if not record.deleted)

    def list_users(self) -> list[UserRecord]:
        """Return all accounts, disabled ones too, by name."""
        present = [record for record in self._table if not record.deleted]
        return sorted(present, key=lambda record: record.name)

    # Registering and logging in -----------------------------------------------------

    async def register(
        self, user: str, password: str, invite: str | None, address: str | None
    ) -> str:
        """Create an account for a new user, as the settings allow; return its name.

        Raises:
            RegistrationClosedError: The server takes no registrations.
            BadNameError: The name breaks a rule.
            WeakPasswordError: The password breaks a rule.
            NameTakenError: The name is, or was, another user's.
            BadInviteError: An invite code is needed, and this one is missing, unknown,
                used up or expired.
            RateLimitedError: Too many passwords are being derived.
        """
        del address  # counted by the core, which limits registrations
        registration = self._settings.registration
        if registration == "closed":
            raise RegistrationClosedError(
                "this server takes no registrations: ask its administrator"
            )
        if registration == "open":
            return await self.add(user, password)
        name, prepared = self._check_new(user, password)
        if not invite:
            raise BadInviteError(
                "registering here needs an invite code: ask somebody for one"
            )
        return await self._tasks.carry_out(self._register_by(name, prepared, invite))

    def start_scram(
        self,
        mechanism: str,
        data: str,
        binding: bytes | None,
        plus_offered: bool,
        address: str | None,
    ) -> ScramLogin:
        """Begin a login by SCRAM; see ``Authenticator.start_scram``."""
        return self._logins.start_scram(mechanism, data, binding, plus_offered, address)

    async def check_password(
        self, user: str, password: str, address: str | None
    ) -> str:
        """Log in by password; see ``Authenticator.check_password``."""
        return await self._logins.check_password(user, password, address)

    async def check_token(self, token: str, address: str | None) -> str:
        """Return the name of the user whose token this is.

        Not throttled: 256 bits cannot be guessed, and a device with a revoked token
        must not lock out the others behind its address.

        Raises:
            AuthFailedError: The token is wrong, revoked, or of a user who may not log
                in.
        """
        del address
        found = await self._tokens.check(token)
        if found is not None:
            record = self._table.get(found[0])
            if (
                record is not None
                and not record.disabled
                and record.scram is not None
                and found[1] == _epoch(record.scram)
            ):
                return record.name
        raise AuthFailedError("the token is not valid any more: log in by password")

    async def issue_token(self, user: str, device: str, client: str) -> str:
        """Return a new token for a user who has just logged in.

        Raises:
            NoSuchUserError: The user was deleted meanwhile.
        """
        record, verifier = self._require(user)
        epoch = _epoch(verifier)
        return await self._tokens.issue(record.name, epoch, device, client)

    # Administration -----------------------------------------------------------------

    async def add(self, user: str, password: str, role: UserRole = "member") -> str:
        """Create an account, whatever the settings on registration; return its name.

        Raises:
            BadNameError: The name breaks a rule.
            WeakPasswordError: The password breaks a rule.
            NameTakenError: The name is, or was, another user's.
            RateLimitedError: Too many passwords are being derived.
        """
        name, prepared = self._check_new(user, password)
        return await self._tasks.carry_out(self._create(name, prepared, role))

    async def set_password(
        self, user: str, password: str, keep: str | None = None
    ) -> None:
        """Change a user's password, which revokes the logins by token.

        Args:
            user: Whose password.
            password: The new one.
            keep: The id of the one login that stays valid (see ``token_id_of``).

        Raises:
            NoSuchUserError: There is no such user.
            WeakPasswordError: The password breaks a rule.
            RateLimitedError: Too many passwords are being derived.
        """
        name = self._require(user)[0].name
        prepared = prepare_password(password)
        await self._tasks.carry_out(self._set_password(name, prepared, keep))

    async def disable(self, user: str) -> None:
        """Lock a user out until ``enable``; tokens are kept.

        Raises:
            NoSuchUserError: There is no such user.
        """
        await self._change(user, disabled=True)

    async def enable(self, user: str) -> None:
        """Let a disabled user log in again.

        Raises:
            NoSuchUserError: There is no such user.
        """
        await self._change(user, disabled=False)

    async def delete(self, user: str) -> None:
        """Delete an account for good; its name is never given out again.

        Raises:
            NoSuchUserError: There is no such user.
        """
        await self._tasks.carry_out(self._delete(user))

    async def logins(self, user: str) -> list[Login]:
        """Return a user's logins by token, oldest first.

        Raises:
            NoSuchUserError: There is no such user.
        """
        record, verifier = self._require(user)
        return await self._tokens.logins_of(record.name, _epoch(verifier))

    async def revoke_login(self, user: str, login_id: str) -> bool:
        """Revoke one login by token; return whether there was one.

        Raises:
            NoSuchUserError: There is no such user.
        """
        return await self._tokens.revoke(self._require(user)[0].name, login_id)

    async def create_invite(
        self, uses: int, expires_ms: int | None, by: str
    ) -> InviteCode:
        """Create an invite code; see ``Invites.create``."""
        return await self._invites.create(uses, expires_ms, by)

    async def list_invites(self) -> list[InviteCode]:
        """Return all invite codes, oldest first."""
        return await self._invites.codes()

    async def revoke_invite(self, code: str) -> bool:
        """Revoke an invite code; return whether there was one."""
        return await self._invites.revoke(code)

    # Internal -----------------------------------------------------------------------

    def _check_new(self, user: str, password: str) -> tuple[str, str]:
        name = parse_user_name(user)
        prepared = prepare_password(password)
        if self._table.get(name) is not None:
            raise _taken(name)
        return name, prepared

    async def _register_by(self, name: str, prepared: str, invite: str) -> str:
        await self._invites.use(invite, name)
        try:
            return await self._create(name, prepared, "member")
        except ChatError:
            await self._invites.undo_use(invite, name)
            raise

    async def _create(self, name: str, prepared: str, role: UserRole) -> str:
        verifier = await self._pool.derive(prepared, self._settings.iterations)

        def create(present: UserRecord | None) -> UserRecord:
            if present is not None:
                raise _taken(name)
            return UserRecord(name, role, self._clock(), scram=verifier)

        return (await self._table.update(name, create)).name

    async def _set_password(self, name: str, prepared: str, keep: str | None) -> None:
        verifier = await self._pool.derive(prepared, self._settings.iterations)
        await self._change(name, scram=verifier)
        with _clearing_up(f"old logins of {name!r} were not removed"):
            if keep is not None:
                await self._tokens.rebind(name, keep, _epoch(verifier))
            await self._tokens.revoke_all(name, keep)

    async def _delete(self, user: str) -> None:
        name = self._require(user)[0].name
        await self._change(name, deleted=True, disabled=False, scram=None)
        with _clearing_up(f"old logins of {name!r} were not removed"):
            await self._tokens.revoke_all(name)

    async def _change(self, user: str, **fields: object) -> None:
        name = self._require(user)[0].name

        def change(present: UserRecord | None) -> UserRecord:
            if present is None or present.deleted:
                raise _no_such_user(name)
            return msgspec.structs.replace(present, **fields)

        await self._table.update(name, change)

    def _require(self, user: str) -> tuple[UserRecord, Verifier]:
        try:
            record = self._table.get(parse_user_name(user))
        except BadNameError:
            record = None
        if record is None or record.scram is None:
            raise _no_such_user(user)
        return record, record.scram


@contextmanager
def _clearing_up(otherwise: str) -> Iterator[None]:
    """Only log that a cleanup failed: nothing depends on the records it left."""
    try:
        yield
    except TemporaryError as error:
        logger.warning("%s: %s", otherwise, error.reason)


def _epoch(verifier: Verifier) -> bytes:
    """Return the value that tokens are bound to: it changes with every password."""
    return hashlib.sha256(b"epoch\0" + verifier.stored_key).digest()[:12]


def _taken(name: str) -> NameTakenError:
    return NameTakenError(f"the name {name!r} is taken: choose another one")


def _no_such_user(name: str) -> NoSuchUserError:
    return NoSuchUserError(f"there is no user {name!r}")
