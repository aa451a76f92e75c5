"""The user table: ``users.json``, one readable line per user, replaced as a whole.

    {"version":1,"secret":"…","users":[
    {"name":"alice","role":"admin","created":1790000000000,"scram":{…}},
    {"name":"bob","role":"member","created":1790000000001,"deleted":true}
    ]}

A change is durable, then visible: readers see it once its rewrite of the file is on
disk. While one rewrite is in flight, further changes gather and go into the next one.
A deleted user stays as a name without a verifier, so that the name is never reused.
"""

import asyncio
import logging
import secrets
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from chatd.accounts.scram import Verifier
from chatd.protocol.errors import (
    BadNameError,
    ChatError,
    ServerStoppingError,
    StorageFullError,
    UnavailableError,
)
from chatd.protocol.names import parse_user_name
from chatd.system.atomic_file import (
    DISK_FULL,
    NotReplacedError,
    StepHook,
    no_hook,
    remove_leftover,
    replace_file,
)
from chatd.system.tasks import Drain

VERSION = 1
TABLE_FILE = "users.json"

UserRole = Literal["member", "admin"]

# Users encoded and written at once: few enough that the event loop gets its turns.
_CHUNK_USERS = 500
_REMEDY = "restore it from a backup; it was left as it is"

logger = logging.getLogger(__name__)


class DamagedTableError(Exception):
    """The user table cannot be used; the text names file, fault and remedy."""


class UserRecord(
    Struct, frozen=True, gc=False, forbid_unknown_fields=True, omit_defaults=True
):
    """An account; ``scram`` is there unless the user was deleted."""

    name: str
    role: UserRole
    created: int
    disabled: bool = False
    deleted: bool = False
    scram: Verifier | None = None


class _Header(Struct, frozen=True):
    version: int


class _Table(Struct, frozen=True, forbid_unknown_fields=True):
    version: int
    secret: Annotated[bytes, Meta(min_length=16, max_length=64)]
    users: list[UserRecord]


# Returns the new record for the present one (None: there is none), or raises ChatError.
Change = Callable[[UserRecord | None], UserRecord]


class _Waiting:
    """A change that waits for its rewrite."""

    __slots__ = ("change", "done", "name")

    def __init__(
        self, name: str, change: Change, done: "asyncio.Future[UserRecord]"
    ) -> None:
        self.name = name
        self.change = change
        self.done = done


_encoder = msgspec.json.Encoder()


class UserTable:
    """All users in memory, and the file that they are kept in.

    Made by ``UserTable.open``. The folder belongs to one process (the daemon's lock).

    Attributes:
        secret: Random bytes of this table, for decoy salts; never leaves the server.
        iterations: How many users each iteration count has.
    """

    def __init__(
        self,
        path: Path,
        secret: bytes,
        users: Iterable[UserRecord],
        before_step: StepHook = no_hook,
    ) -> None:
        self.secret = secret
        self.iterations: Counter[int] = Counter()
        self._path = path
        self._before_step = before_step
        self._users: dict[str, UserRecord] = {}
        self._waiting: list[_Waiting] = []
        self._writer = Drain(self._write)
        self._closed = False
        for user in users:
            self._put(user)

    @classmethod
    def open(
        cls, folder: Path, before_step: StepHook = no_hook, must_exist: bool = False
    ) -> "UserTable":
        """Read the table, or create an empty one if there is none; blocks on the disk.

        Args:
            folder: The data folder.
            before_step: Called before each step of writing the file.
            must_exist: The folder has had a table, so a missing one is refused: without
                it, anyone could register under the name of another user.

        Raises:
            DamagedTableError: There is a file, but it cannot be used, or there is none
                and ``must_exist``.
            StorageFullError: There was no file, and none could be made.
            UnavailableError: Likewise.
        """
        # A table kept elsewhere by a symbolic link stays there.
        path = (folder / TABLE_FILE).resolve()
        table = read_table(path)
        if table is None and must_exist:
            raise DamagedTableError(
                f"the user table {path} is gone, but this data folder had one: "
                "restore it from a backup"
            )
        remove_leftover(path)
        if table is not None:
            table._before_step = before_step
            return table
        table = cls(path, secrets.token_bytes(32), [], before_step)
        _save(path, table._encode({}), before_step)
        return table

    def get(self, name: str) -> UserRecord | None:
        """Return the record of a canonical name, also that of a deleted user."""
        return self._users.get(name)

    def __iter__(self) -> Iterator[UserRecord]:
        """Iterate over all records, deleted users among them."""
        return iter(self._users.values())

    def __len__(self) -> int:
        return len(self._users)

    async def update(self, name: str, change: Change) -> UserRecord:
        """Change one record, and return it once it is on disk.

        Changes are applied in the order of these calls. Cancelling only ends the
        waiting: the change is made all the same.

        Raises:
            ChatError: What ``change`` raised; nothing was changed.
            StorageFullError: Nothing was changed.
            UnavailableError: The change may or may not be in the file.
        """
        if self._closed:
            raise ServerStoppingError("the server is stopping")
        done: asyncio.Future[UserRecord]
        done = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(name, change, done))
        self._writer.wake()
        return await done

    async def close(self) -> None:
        """Accept no more changes, and wait for those that were accepted."""
        self._closed = True
        await self._writer.idle()

    async def _write(self) -> None:
        batch, self._waiting = self._waiting, []
        changed: dict[str, UserRecord] = {}
        try:
            accepted = [waiting for waiting in batch if self._apply(waiting, changed)]
            if changed:
                # The thread reads self._users, which does not change until it is done.
                await asyncio.to_thread(
                    _save, self._path, self._encode(changed), self._before_step
                )
        except ChatError as error:
            _fail_all(batch, error)
            return
        except Exception:
            logger.exception("the user table was not saved")
            _fail_all(batch, UnavailableError("the account was not saved"))
            return
        except asyncio.CancelledError:
            _fail_all(batch, ServerStoppingError("the server is stopping"))
            raise
        for record in changed.values():
            self._put(record)
        for waiting in accepted:
            if not waiting.done.done():
                waiting.done.set_result(self._users[waiting.name])

    def _apply(self, waiting: _Waiting, changed: dict[str, UserRecord]) -> bool:
        present = changed.get(waiting.name) or self._users.get(waiting.name)
        try:
            record = waiting.change(present)
        except ChatError as error:
            _fail_all([waiting], error)
            return False
        if record != present:
            changed[waiting.name] = record
        return True

    def _put(self, record: UserRecord) -> None:
        before = self._users.get(record.name)
        if before is not None and before.scram is not None:
            self.iterations[before.scram.iterations] -= 1
        if record.scram is not None:
            self.iterations[record.scram.iterations] += 1
        self._users[record.name] = record

    def _encode(self, changed: dict[str, UserRecord]) -> Iterator[bytes]:
        secret = _encoder.encode(self.secret)
        yield b'{"version":%d,"secret":%b,"users":[\n' % (VERSION, secret)
        users = self._merged(changed)
        separator = b""
        while lines := list(map(_encoder.encode, islice(users, _CHUNK_USERS))):
            yield separator + b",\n".join(lines)
            separator = b",\n"
        yield b"\n]}\n"

    def _merged(self, changed: dict[str, UserRecord]) -> Iterator[UserRecord]:
        for name, record in self._users.items():
            yield changed.get(name, record)
        for name, record in changed.items():
            if name not in self._users:
                yield record


def read_table(path: Path) -> UserTable | None:
    """Read a table from its file; None if there is no file; changes nothing.

    Raises:
        DamagedTableError: It cannot be read or used.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DamagedTableError(
            f"the user table {path} cannot be read ({error.strerror}): "
            "let the daemon's user read and write it"
        ) from error
    try:
        _check_version(path, data)
        table = msgspec.json.decode(data, type=_Table)
        return UserTable(path, table.secret, _checked(table.users))
    except (msgspec.DecodeError, RecursionError, ValueError) as error:
        raise DamagedTableError(
            f"the user table {path} is damaged ({error}): {_REMEDY}"
        ) from error


def _check_version(path: Path, data: bytes) -> None:
    version = msgspec.json.decode(data, type=_Header).version
    if version > VERSION:
        raise DamagedTableError(
            f"the user table {path} has version {version}, and this chatd knows "
            f"versions up to {VERSION}: start it with a newer chatd"
        )
    if version < 1:
        raise ValueError(f"there is no version {version}")


def _checked(users: Iterable[UserRecord]) -> Iterator[UserRecord]:
    seen: set[str] = set()
    for user in users:
        if user.name in seen:
            raise ValueError(f"user {user.name!r} is in it twice")
        seen.add(user.name)
        if user.deleted != (user.scram is None):
            raise ValueError(f"user {user.name!r} needs either scram or deleted")
        if not _is_canonical(user.name):
            raise ValueError(f"{user.name!r} is not a user name in its normal form")
        yield user


def _is_canonical(name: str) -> bool:
    try:
        return parse_user_name(name) == name
    except BadNameError:
        return False


def _save(path: Path, chunks: Iterable[bytes], before_step: StepHook) -> None:
    try:
        replace_file(path, chunks, before_step)
    except NotReplacedError as error:
        logger.warning("cannot write %s: %s", path, error.strerror)
        refusal = StorageFullError if error.errno in DISK_FULL else UnavailableError
        raise refusal(error.reason) from error


def _fail_all(batch: Iterable[_Waiting], error: ChatError) -> None:
    for waiting in batch:
        if not waiting.done.done():
            # Callers must not share one exception, for each adds its own traceback.
            waiting.done.set_exception(type(error)(error.reason, error.retry_after_ms))
