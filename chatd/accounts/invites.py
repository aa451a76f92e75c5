"""Invite codes: each permits a number of registrations, until it expires.

A code's record names the users who registered with it. A name is added before the
account is made, removed if that fails, and removed at the next start if the daemon was
killed in between: so a use is spent exactly if there is an account for it.
"""

import re
import secrets
from collections.abc import Callable, Container

import msgspec
from msgspec import Struct

from chatd.accounts.record_store import RecordStore
from chatd.protocol.errors import BadInviteError, BadRequestError

KIND = "invite"
MAX_USES = 1_000

# Lower-case letters and digits, without those that are easily mistaken for others.
_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"
_LENGTH = 20
_is_code = re.compile(f"[{_ALPHABET}]{{{_LENGTH}}}").fullmatch


class _Invite(Struct, frozen=True):
    uses: int
    by: str
    created: int
    expires: int | None
    used_by: list[str]


class InviteCode(Struct, frozen=True):
    """An invite code as administrators see it; ``expires`` None: never."""

    code: str
    uses: int
    used_by: list[str]
    by: str
    created: int
    expires: int | None


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(_Invite).decode


class Invites:
    """Creates, uses and revokes codes; they are kept in the store's records."""

    def __init__(self, records: RecordStore, clock: Callable[[], int]) -> None:
        self._records = records
        self._clock = clock

    async def create(self, uses: int, expires_ms: int | None, by: str) -> InviteCode:
        """Create a code.

        Args:
            uses: How many users may register with it, 1 to ``MAX_USES``.
            expires_ms: When it expires, by the wall clock; None: never.
            by: Who created it.

        Raises:
            BadRequestError: The number of uses is out of bounds, or it has expired.
        """
        if not 1 <= uses <= MAX_USES:
            raise BadRequestError(f"an invite code has 1 to {MAX_USES} uses")
        now_ms = self._clock()
        if expires_ms is not None and expires_ms <= now_ms:
            raise BadRequestError("an invite code must end in the future")
        code = "".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH))
        invite = _Invite(uses, by, now_ms, expires_ms, [])
        if not await self._records.create_record(KIND, code, _encode(invite)):
            raise RuntimeError("a random code came up twice")
        return _shown(code, invite)

    async def use(self, code: str, name: str) -> None:
        """Use a code once, for ``name``; call ``undo_use`` if the registration fails.

        Raises:
            BadInviteError: There is no such code, or it is used up or has expired.
        """
        code = _normal(code)
        while (found := await self._find(code)) is not None:
            value, invite = found
            if invite.expires is not None and invite.expires <= self._clock():
                raise BadInviteError("that invite code has expired: ask for a new one")
            if len(invite.used_by) >= invite.uses:
                raise BadInviteError("that invite code is used up: ask for a new one")
            if await self._set_used(code, value, invite, [*invite.used_by, name]):
                return
        raise BadInviteError("there is no such invite code: check it, or ask for one")

    async def undo_use(self, code: str, name: str) -> None:
        """Undo one ``use``."""
        code = _normal(code)
        while (found := await self._find(code)) is not None:
            value, invite = found
            names = list(invite.used_by)
            if name in names:
                names.remove(name)
            if await self._set_used(code, value, invite, names):
                return

    async def recover(self, names: Container[str]) -> None:
        """Give back the uses for which there is no account among ``names``."""
        for shown in await self.codes():
            for name in shown.used_by:
                if name not in names:
                    await self.undo_use(shown.code, name)

    async def codes(self) -> list[InviteCode]:
        """Return all codes, oldest first."""
        records = await self._records.list_records(KIND)
        codes = [_shown(code, _decode(value)) for code, value in records]
        return sorted(codes, key=lambda shown: (shown.created, shown.code))

    async def revoke(self, code: str) -> bool:
        """Revoke a code; return whether there was one."""
        code = _normal(code)
        while (found := await self._find(code)) is not None:
            if await self._records.replace_record(KIND, code, found[0], None):
                return True
        return False

    async def _find(self, code: str) -> tuple[bytes, _Invite] | None:
        if not _is_code(code):
            return None
        value = await self._records.get_record(KIND, code)
        return None if value is None else (value, _decode(value))

    async def _set_used(
        self, code: str, value: bytes, invite: _Invite, names: list[str]
    ) -> bool:
        new = _encode(msgspec.structs.replace(invite, used_by=names))
        if new == value:
            return True
        return await self._records.replace_record(KIND, code, value, new)


def _normal(code: str) -> str:
    return code.strip().lower()


def _shown(code: str, invite: _Invite) -> InviteCode:
    return InviteCode(
        code,
        uses=invite.uses,
        used_by=list(invite.used_by),
        by=invite.by,
        created=invite.created,
        expires=invite.expires,
    )
