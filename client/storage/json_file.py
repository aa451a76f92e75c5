"""Small JSON files of the client: read and replaced whole; a damaged one is refused."""

from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

import msgspec

from chatd.system.atomic_file import replace_file
from chatd.system.file_lock import locked
from client.errors import LinkError
from client.storage.paths import make_private_folder

T = TypeVar("T", bound=msgspec.Struct)


class DamagedFileError(LinkError):
    """A file of the client cannot be understood; it is left as it is."""


class JsonFile(Generic[T]):
    """One file that holds one struct, shared by all processes of the user.

    Args:
        path: Where it is; None keeps the value in memory alone.
        type_: The struct; made without arguments, it is what a missing file means.
    """

    def __init__(self, path: Path | None, type_: type[T]) -> None:
        self._path = path
        self._type = type_
        self._value = type_()

    def read(self) -> T:
        """Return what the file holds now.

        Raises:
            DamagedFileError: It is not what this program wrote.
        """
        if self._path is None:
            return self._value
        try:
            data = self._path.read_bytes()
        except FileNotFoundError:
            return self._type()
        try:
            return msgspec.json.decode(data, type=self._type)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise DamagedFileError(
                f"{self._path} is damaged ({error}); mend it, or move it away to "
                "start anew"
            ) from error

    def change(self, edit: Callable[[T], None]) -> None:
        """Read the file, edit its value and replace the file, all under a lock.

        Raises:
            DamagedFileError: It is not what this program wrote; it is not replaced.
        """
        if self._path is None:
            edit(self._value)
            return
        make_private_folder(self._path.parent)
        with locked(self._path):
            value = self.read()
            edit(value)
            data = msgspec.json.format(msgspec.json.encode(value), indent=2)
            replace_file(self._path, [data + b"\n"])
