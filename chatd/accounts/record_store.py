"""The part of the store that accounts need: small records with compare-and-swap."""

from typing import Protocol


class RecordStore(Protocol):
    """The records of ``chatd.store.base.Store``; see there for the exact promises."""

    async def get_record(self, kind: str, key: str) -> bytes | None:
        """Return the value of a record."""

    async def create_record(self, kind: str, key: str, value: bytes) -> bool:
        """Create a record; False if there is one already."""

    async def replace_record(
        self, kind: str, key: str, old: bytes, new: bytes | None
    ) -> bool:
        """Change a record from ``old`` to ``new`` (None: delete it)."""

    async def list_records(
        self, kind: str, prefix: str = ""
    ) -> list[tuple[str, bytes]]:
        """Return the records of a kind whose keys begin with ``prefix``, by key."""
