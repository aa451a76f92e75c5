"""Opens stores: the name of a store's file tells the engine that keeps it."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import NamedTuple

from chatd.store.base import Copy, Store
from chatd.store.sqlite import SqliteCopy, SqliteStore


class Engine(NamedTuple):
    """A way to keep a store.

    Attributes:
        open: Opens the store in a file, created if there is none; raises StoreError.
        copy: Opens what ``backup`` wrote into a file.
    """

    open: Callable[[Path], Awaitable[Store]]
    copy: Callable[[Path], Copy]


ENGINES: dict[str, Engine] = {".db": Engine(SqliteStore.open, SqliteCopy)}


async def open_store(path: Path) -> Store:
    """Open the store in a file, created if there is none.

    Raises:
        StoreError: It is damaged, from a newer chatd, or cannot be written; the text
            names the remedy, and nothing was changed.
    """
    return await ENGINES[path.suffix].open(path)


def open_copy(path: Path) -> Copy:
    """Open what ``Store.backup`` wrote into a file; it is looked at when asked."""
    return ENGINES[path.suffix].copy(path)
