"""The records of files in a store; their contents are elsewhere (``blobs``)."""

from abc import abstractmethod
from collections.abc import Collection

from chatd.store.log_store import Executor
from chatd.store.values import FileRecord, FileUsage


class FileStore(Executor):
    """What is known of files and begun uploads, besides their bytes."""

    @abstractmethod
    async def find_file(self, file: str) -> FileRecord | None:
        """Return a file by its id, stored or begun."""

    @abstractmethod
    async def files_of(
        self, chat: int, before: int | None, limit: int, first: int = 0
    ) -> list[FileRecord]:
        """Return stored files of a chat below a seq (None: of all), newest first.

        Those with a seq below ``first`` are left out.
        """

    @abstractmethod
    async def file_usage(self, user: str) -> FileUsage:
        """Return how many bytes the files take, those of the user and those of all."""

    @abstractmethod
    async def begun_files(self) -> list[FileRecord]:
        """Return all uploads that are not complete, oldest first."""

    @abstractmethod
    async def is_content_used(self, sha256: str) -> bool:
        """Whether a stored file has that content."""

    @abstractmethod
    async def contents(self) -> dict[str, int]:
        """Return the SHA-256 of every stored file's content, with its size."""

    @abstractmethod
    async def name_files(self, contents: Collection[str]) -> dict[str, str]:
        """Return a description of the stored files that have each of these contents.

        Of several files one is named, as in ``'core.tar' of alice in #ops and 2 more``.
        Contents that no file has are left out.
        """
