"""The interface of where the contents of files are kept.

A content is named by its SHA-256 (in hexadecimal) and never changes. What comes in
gathers under the id of its upload, survives the process, and can be gone on with from
the last byte that was stored; ``seal`` makes it a content, which may be there already.

Which contents are in use is known to the records of ``chatd.store.base``. Whoever makes
a record of a content, and whoever removes one that has no record, holds its ``lock``.

All coroutines may be cancelled: what has begun is carried out all the same.

Errors, wherever something is written: ``StorageFullError`` if there is no room,
``UnavailableError`` for whatever else the disk says; after ``close``
``ServerStoppingError``. A name or an id of a form that could be a path is a
``ValueError``.
"""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from contextlib import AbstractAsyncContextManager


class Receiving(ABC):
    """An upload that is being written, by one writer at a time."""

    offset: int

    @abstractmethod
    async def write(self, data: bytes | memoryview) -> None:
        """Append bytes; ``offset`` counts them once they were written.

        Raises:
            StorageFullError: There is no room; ``offset`` counts what was written.
            UnavailableError: The disk failed (``offset`` tells what is left), or it was
                closed, discarded, or is received by another one now.
        """

    @abstractmethod
    async def close(self) -> None:
        """Let go of it; what was written stays."""


class Content(ABC):
    """A content opened for reading; it can be read to its end whatever is removed."""

    size: int

    @abstractmethod
    def read_nowait(self, offset: int, count: int) -> bytes | None:
        """Return bytes that are in memory, None if the disk would have to be asked.

        At least one byte below ``size``, at most ``count``.
        """

    @abstractmethod
    async def read(self, offset: int, count: int) -> bytes:
        """Return bytes, at least one below ``size``, at most ``count``."""

    @abstractmethod
    def close(self) -> None:
        """Let go of it; twice is fine."""


class Blobs(ABC):
    """Contents by SHA-256, and uploads by id."""

    @abstractmethod
    async def close(self) -> None:
        """Finish what has begun, and end the threads."""

    @abstractmethod
    def lock(self, sha256: str) -> AbstractAsyncContextManager[None]:
        """Be the only one to make or remove that content, or a record of it."""

    # Coming in ----------------------------------------------------------------------

    @abstractmethod
    async def received(self, upload: str) -> int:
        """Return how many bytes of an upload are stored, 0 if there is none."""

    @abstractmethod
    async def receive(self, upload: str) -> Receiving:
        """Go on with an upload, or begin it.

        What received it until now cannot write any more. It may take a while: what came
        in before is read again if this process does not know it.
        """

    @abstractmethod
    async def seal(self, upload: str, size: int, sha256: str) -> bool:
        """Make a complete upload a content, on stable storage; call it under ``lock``.

        What came in stays under the upload's id until ``discard``, so that a crash in
        between loses nothing.

        Returns:
            False if its size or SHA-256 is another; then nothing was changed.
        """

    @abstractmethod
    async def discard(self, upload: str) -> None:
        """Remove what came in under an id, if anything did."""

    # Contents -----------------------------------------------------------------------

    @abstractmethod
    async def open(self, sha256: str) -> Content:
        """Open a content.

        Raises:
            FileNotFoundError: It is not there.
            UnavailableError: It cannot be read.
        """

    @abstractmethod
    async def remove(self, sha256: str) -> bool:
        """Remove a content; call it under ``lock``. False if it was not there."""

    # Operations ---------------------------------------------------------------------

    @abstractmethod
    async def free_bytes(self) -> int:
        """Return how many bytes the disk has left for this process."""

    @abstractmethod
    async def list_contents(self) -> list[str]:
        """Return the SHA-256 of every content that is there."""

    @abstractmethod
    async def sweep_uploads(self, known: Collection[str]) -> int:
        """Remove what came in under other ids than those; return how many."""

    @abstractmethod
    async def verify(self, contents: Mapping[str, int]) -> list[str]:
        """Read these contents, given with their sizes; return a sentence per damage."""
