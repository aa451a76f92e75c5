"""Fakes for the tests of accounts: records in memory, and a clock."""

from collections.abc import Callable

from chatd.accounts.scram import MIN_ITERATIONS, Verifier, derive_verifier
from chatd.accounts.user_table import UserRecord
from chatd.protocol.errors import StorageFullError

PASSWORD = "correct horse"


class Clock:
    """A clock in milliseconds, which a test advances."""

    def __init__(self, now_ms: int = 1_790_000_000_000) -> None:
        self.now_ms = now_ms

    def __call__(self) -> int:
        return self.now_ms

    def advance(self, ms: int) -> None:
        self.now_ms += ms


class MemoryRecordStore:
    """Records as ``chatd.store.base.Store`` keeps them; ``full`` refuses writes."""

    def __init__(self) -> None:
        self.values: dict[tuple[str, str], bytes] = {}
        self.full = False
        self.writes = 0

    async def get_record(self, kind: str, key: str) -> bytes | None:
        return self.values.get((kind, key))

    async def create_record(self, kind: str, key: str, value: bytes) -> bool:
        self._write()
        if (kind, key) in self.values:
            return False
        self.values[kind, key] = value
        return True

    async def replace_record(
        self, kind: str, key: str, old: bytes, new: bytes | None
    ) -> bool:
        self._write()
        if self.values.get((kind, key)) != old:
            return False
        if new is None:
            del self.values[kind, key]
        else:
            self.values[kind, key] = new
        return True

    async def list_records(
        self, kind: str, prefix: str = ""
    ) -> list[tuple[str, bytes]]:
        return sorted(
            (key, value)
            for (of, key), value in self.values.items()
            if of == kind and key.startswith(prefix)
        )

    def _write(self) -> None:
        if self.full:
            raise StorageFullError("the disk is full")
        self.writes += 1


VERIFIER = Verifier(b"s" * 16, MIN_ITERATIONS, b"k" * 32, b"v" * 32)


def verifier_of(password: str = PASSWORD) -> Verifier:
    return derive_verifier(password, MIN_ITERATIONS)


def creating(name: str) -> Callable[[UserRecord | None], UserRecord]:
    return lambda present: UserRecord(name, "member", 1, scram=VERIFIER)
