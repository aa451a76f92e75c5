"""The client's folders and files; private files, replaced atomically."""

import contextlib
import hashlib
import os
import re
from pathlib import Path
from typing import Self

import platformdirs
from msgspec import Struct

_UNSAFE = re.compile(r"[^\w.-]+")


class Paths(Struct, frozen=True):
    """The client's folders; ``CHAT_HOME`` puts all of them under one.

    Attributes:
        config: What users write: settings.
        state: What must not be lost: pins, logins, the outbox, transfers, drafts.
        cache: What can be fetched again: messages.
        downloads: Where files are saved unless the user says where.
    """

    config: Path
    state: Path
    cache: Path
    downloads: Path

    @classmethod
    def from_environment(cls) -> Self:
        """Return the folders of this user on this platform; none is made yet."""
        home = os.environ.get("CHAT_HOME")
        if home:
            return cls.under(Path(home))
        found = platformdirs.PlatformDirs("chat", appauthor=False)
        return cls(
            found.user_config_path,
            found.user_state_path,
            found.user_cache_path,
            platformdirs.user_downloads_path(),
        )

    @classmethod
    def under(cls, home: Path) -> Self:
        """Return folders that are all below ``home``."""
        home = home.expanduser().absolute()
        return cls(home / "config", home / "state", home / "cache", home / "downloads")

    @property
    def pins(self) -> Path:
        """The file of the servers' keys."""
        return self.state / "servers.json"

    @property
    def logins(self) -> Path:
        """The file of the remembered logins."""
        return self.state / "logins.json"

    def outbox(self, server: str, user: str) -> Path:
        """Return the outbox of a user at a server."""
        return self.state / "outbox" / f"{_file_name(server, user)}.db"

    def transfers(self, server: str, user: str) -> Path:
        """Return the journal of a user's transfers at a server."""
        return self.state / "transfers" / f"{_file_name(server, user)}.db"

    def spool(self, server: str, user: str) -> Path:
        """Return the folder for copies of streams that a user uploads to a server."""
        return self.state / "spool" / _file_name(server, user)

    def drafts(self, server: str, user: str) -> Path:
        """Return the file of a user's drafts at a server."""
        return self.state / "drafts" / f"{_file_name(server, user)}.json"

    def typed(self, server: str, user: str) -> Path:
        """Return the file of a user's input history at a server."""
        return self.state / "typed" / f"{_file_name(server, user)}.json"

    def messages(self, server: str, user: str) -> Path:
        """Return the message cache of a user at a server."""
        return self.cache / "messages" / f"{_file_name(server, user)}.db"


def make_private_folder(folder: Path) -> None:
    """Make a folder, and those above it, for this user alone (mode 0700)."""
    if folder.is_dir():
        return
    make_private_folder(folder.parent)
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)


def make_private_file(path: Path) -> None:
    """Make a file for this user alone (mode 0600) if there is none."""
    make_private_folder(path.parent)
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))


def _file_name(server: str, user: str) -> str:
    # Readable for people, and different for each pair whatever is in the names.
    digest = hashlib.sha256(f"{user}\0{server}".encode()).hexdigest()[:12]
    readable = _UNSAFE.sub("-", f"{user}-{server.partition('://')[2] or server}")
    return f"{readable[:80]}-{digest}"
