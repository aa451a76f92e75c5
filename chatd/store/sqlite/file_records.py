"""The file methods of the SQLite store."""

from chatd.store.base import Store
from chatd.store.sqlite import files
from chatd.store.sqlite.database import Database
from chatd.store.values import FileRecord, FileUsage


class FileRecords(Store):
    """Implements the file methods of ``Store``; the rest is left to its subclass."""

    _database: Database

    async def begin_file(self, file: FileRecord, cap: int) -> FileRecord:
        """Store a begun upload; if its chat, owner and key have one, return that."""
        return await self._database.transact(
            lambda connection, _: files.begin(connection, file, cap)
        )

    async def find_file(self, file: str) -> FileRecord | None:
        """Return a file by its id, stored or begun."""
        return await self._database.read(
            lambda connection: files.find(connection, file)
        )

    async def drop_file(self, file: str) -> bool:
        """Delete a begun upload's record; False if there is none, or it is stored."""
        return await self._database.transact(
            lambda connection, _: files.drop(connection, file)
        )

    async def files_of(
        self, chat: int, before: int | None, limit: int, first: int = 0
    ) -> list[FileRecord]:
        """Return stored files of a chat below a seq (None: of all), newest first."""
        return await self._database.read(
            lambda connection: files.files_of(connection, chat, before, limit, first)
        )

    async def file_usage(self, user: str) -> FileUsage:
        """Return how many bytes the files take, those of the user and those of all."""
        return await self._database.read(
            lambda connection: files.usage(connection, user)
        )

    async def expire_files(
        self, begun_before_ms: int, stored_before_ms: int, limit: int
    ) -> list[FileRecord]:
        """Delete and return the records of at most ``limit`` expired files."""
        return await self._database.transact(
            lambda connection, _: files.expire(
                connection, begun_before_ms, stored_before_ms, limit
            )
        )

    async def begun_files(self) -> list[FileRecord]:
        """Return all uploads that are not complete."""
        return await self._database.read(files.begun)

    async def is_content_used(self, sha256: str) -> bool:
        """Whether a stored file has that content."""
        return await self._database.read(
            lambda connection: files.is_content_used(connection, sha256)
        )

    async def contents(self) -> dict[str, int]:
        """Return the SHA-256 of every stored file's content, with its size."""
        return await self._database.read(files.contents)
