"""The interface of the storage for file contents (blobs) and uploads.

A content is the bytes of a file: it is named by its SHA-256 (in hexadecimal) and never
changes. The bytes of an upload are stored under its id, outlive the process, and the
upload can be resumed after the last byte that was stored; ``seal`` makes it a content,
which may be there already.

The records of ``chatd.store.base`` say which contents are in use. Making a record of a
content, or removing a content that has no record, requires holding its ``lock``.

All coroutines may be cancelled: what has begun is carried out all the same.

Errors of every write: ``StorageFullError`` if the disk is full, ``UnavailableError``
for any other error of the disk; after ``close`` ``ServerStoppingError``. A name or an
id of a form that could be a path is a ``ValueError``.
"""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from contextlib import AbstractAsyncContextManager


class UploadWriter(ABC):
    """An upload that is being written, by one writer at a time."""

    offset: int

    @abstractmethod
    async def write(self, data: bytes | memoryview) -> None:
        """Append bytes; ``offset`` counts them once they were written.

        Raises:
            StorageFullError: The disk is full; ``offset`` counts what was written.
            UnavailableError: The disk failed (``offset`` counts what is left), or the
                upload was closed, discarded, or taken over by another writer.
        """

    @abstractmethod
    async def close(self) -> None:
        """Stop writing; what was written stays."""


class Content(ABC):
    """A content opened for reading, up to its end even if it is removed."""

    size: int

    @abstractmethod
    def read_nowait(self, offset: int, count: int) -> bytes | None:
        """Return bytes that are in memory; None if the disk would have to be read.

        At most ``count`` bytes, and at least one if ``offset`` is below ``size``.
        """

    @abstractmethod
    async def read(self, offset: int, count: int) -> bytes:
        """Return at most ``count`` bytes, and at least one below ``size``."""

    @abstractmethod
    def close(self) -> None:
        """Close the content; twice is fine."""


class Blobs(ABC):
    """Stores contents by SHA-256, and uploads by id."""

    @abstractmethod
    async def close(self) -> None:
        """Finish what has begun, and end the threads."""

    @abstractmethod
    def lock(self, sha256: str) -> AbstractAsyncContextManager[None]:
        """Lock a content: only the holder may make or remove it, or a record of it."""

    # Uploads ------------------------------------------------------------------------

    @abstractmethod
    async def received(self, upload: str) -> int:
        """Return how many bytes of an upload are stored, 0 if there is none."""

    @abstractmethod
    async def receive(self, upload: str) -> UploadWriter:
        """Begin or resume an upload.

        An earlier writer of it cannot write any more. This may take a while: the bytes
        that are there are read again if this process does not know their hash.
        """

    @abstractmethod
    async def seal(self, upload: str, size: int, sha256: str) -> bool:
        """Make a complete upload a content, on stable storage; call it under ``lock``.

        The bytes stay under the upload's id, too, until ``discard``, so that a crash in
        between loses nothing.

        Returns:
            False if its size or SHA-256 is different; then nothing was changed.
        """

    @abstractmethod
    async def discard(self, upload: str) -> None:
        """Remove the bytes of an upload, if there are any."""

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
        """Remove all uploads whose ids are not in ``known``; return how many."""

    @abstractmethod
    async def verify(self, contents: Mapping[str, int]) -> list[str]:
        """Read these contents, given with their sizes; return a sentence per damage."""
