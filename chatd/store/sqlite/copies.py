"""A database that no daemon serves: what a backup wrote, or is being restored."""

import contextlib
import sqlite3
from collections.abc import Collection, Iterator
from pathlib import Path

from chatd.store.base import Copy, StoreError
from chatd.store.sqlite import files
from chatd.store.sqlite.migrations import new_log_id


class SqliteCopy(Copy):
    """A copy, by its path; it is opened for each question."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def contents(self) -> dict[str, int]:
        """Return every content of a stored file, with its size, in order."""
        with self._opened("ro") as connection:
            return dict(sorted(files.contents(connection).items()))

    def name_files(self, contents: Collection[str]) -> dict[str, str]:
        """Return a description of the stored files that have each of these contents."""
        with self._opened("ro") as connection:
            return files.name_files(connection, contents)

    def forget_begun_files(self) -> None:
        """Delete the records of incomplete uploads."""
        with self._opened("rw") as connection:
            connection.execute("DELETE FROM files WHERE seq = 0")

    def renew_log_id(self) -> None:
        """Give it a new log id."""
        with self._opened("rw") as connection:
            connection.execute(
                "UPDATE meta SET value = ? WHERE key = 'log'", (new_log_id(),)
            )

    @contextlib.contextmanager
    def _opened(self, mode: str) -> Iterator[sqlite3.Connection]:
        address = f"{self._path.absolute().as_uri()}?mode={mode}"
        try:
            connection = sqlite3.connect(address, uri=True)
            try:
                with connection:
                    yield connection
            finally:
                connection.close()
        except sqlite3.Error as error:
            raise StoreError(str(error)) from error
