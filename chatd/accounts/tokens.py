"""Device tokens, which clients keep for later logins instead of the password.

The text is ``user.id.secret``. The record is kept under ``user/id``, so that a check is
one lookup and a user's logins are one prefix; of the 256-bit secret only its SHA-256 is
kept. A token is bound to the password it was made under: changing the password revokes
it at once, even if the daemon is killed before the record is removed.
"""

import contextlib
import hashlib
import hmac
import re
import secrets
from collections.abc import Callable

import msgspec
from msgspec import Struct

from chatd.accounts.record_store import RecordStore
from chatd.protocol.errors import TemporaryError
from chatd.system.tasks import Tasks

KIND = "token"
MAX_PER_USER = 100
USED_EVERY_MS = 24 * 60 * 60_000

_MAX_TOUCHES = 64
_ID_BYTES = 8
_parse_token = re.compile(r"(.{1,64})\.([0-9a-f]{16})\.([\w-]{43})", re.ASCII).fullmatch


class Login(Struct, frozen=True):
    """A token as its owner sees it; ``used`` is accurate to the day."""

    id: str
    device: str
    client: str
    created: int
    used: int


class _Token(Struct, frozen=True, gc=False):
    digest: bytes
    epoch: bytes
    device: str
    client: str
    created: int
    used: int


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(_Token).decode


class Tokens:
    """Issues, checks and revokes tokens; they are kept in the store's records."""

    def __init__(self, records: RecordStore, clock: Callable[[], int]) -> None:
        self._records = records
        self._clock = clock
        self._touches = Tasks()

    async def issue(self, user: str, epoch: bytes, device: str, client: str) -> str:
        """Create a token and return its text, which is not kept.

        A user who has ``MAX_PER_USER`` already loses the one least recently used.

        Args:
            user: The canonical name.
            epoch: A value that changes with the user's password.
            device: The user's name for the device.
            client: The program.
        """
        logins = await self.logins_of(user)
        if len(logins) >= MAX_PER_USER:
            await self.revoke(user, min(logins, key=lambda login: login.used).id)
        now_ms = self._clock()
        token_id = secrets.token_hex(_ID_BYTES)
        secret = secrets.token_urlsafe(32)
        token = _Token(_digest(secret), epoch, device, client, now_ms, now_ms)
        if not await self._records.create_record(
            KIND, _key(user, token_id), _encode(token)
        ):
            raise RuntimeError("a random id came up twice")
        return f"{user}.{token_id}.{secret}"

    async def check(self, text: str) -> tuple[str, bytes] | None:
        """Return the user and the epoch of a token; None if it is not valid.

        The caller has to compare the epoch, and to check that the user may log in.
        """
        match = _parse_token(text)
        if match is None:
            return None
        user, token_id, secret = match.groups()
        digest = _digest(secret)
        value = await self._records.get_record(KIND, _key(user, token_id))
        if value is None:
            return None
        token = _decode(value)
        if not hmac.compare_digest(digest, token.digest):
            return None
        self._touch(_key(user, token_id), value, token)
        return user, token.epoch

    async def logins_of(self, user: str, epoch: bytes | None = None) -> list[Login]:
        """Return a user's tokens of an epoch (None: of any), oldest first."""
        records = await self._records.list_records(KIND, _key(user, ""))
        tokens = [(key, _decode(value)) for key, value in records]
        logins = [
            _login(key, token)
            for key, token in tokens
            if epoch is None or token.epoch == epoch
        ]
        return sorted(logins, key=lambda login: (login.created, login.id))

    async def revoke(self, user: str, token_id: str) -> bool:
        """Revoke a token; return whether there was one."""
        key = _key(user, token_id)
        while (value := await self._records.get_record(KIND, key)) is not None:
            if await self._records.replace_record(KIND, key, value, None):
                return True
        return False

    async def revoke_all(self, user: str, keep: str | None = None) -> None:
        """Revoke all of a user's tokens but the one with the id ``keep``."""
        for login in await self.logins_of(user):
            if login.id != keep:
                await self.revoke(user, login.id)

    async def rebind(self, user: str, token_id: str, epoch: bytes) -> None:
        """Keep a token valid under a new password."""
        key = _key(user, token_id)
        while (value := await self._records.get_record(KIND, key)) is not None:
            new = _encode(msgspec.structs.replace(_decode(value), epoch=epoch))
            if await self._records.replace_record(KIND, key, value, new):
                return

    async def close(self) -> None:
        """Wait for the writes under way."""
        await self._touches.settled()

    def _touch(self, key: str, value: bytes, token: _Token) -> None:
        """Record the use in the background: no login waits for it, and it may fail."""
        now_ms = self._clock()
        if now_ms - token.used < USED_EVERY_MS or len(self._touches) >= _MAX_TOUCHES:
            return
        new = _encode(msgspec.structs.replace(token, used=now_ms))
        self._touches.spawn(self._replace(key, value, new))

    async def _replace(self, key: str, old: bytes, new: bytes) -> None:
        with contextlib.suppress(TemporaryError):
            await self._records.replace_record(KIND, key, old, new)


def token_id_of(text: str) -> str | None:
    """Return the id in a token's text, as in ``Login.id``; None if it is malformed."""
    match = _parse_token(text)
    return match.group(2) if match else None


def _login(key: str, token: _Token) -> Login:
    token_id = key.rpartition("/")[2]
    return Login(token_id, token.device, token.client, token.created, token.used)


def _key(user: str, token_id: str) -> str:
    return f"{user}/{token_id}"


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
