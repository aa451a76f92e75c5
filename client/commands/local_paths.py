"""Typed local paths: files to send, targets to save to, names to complete."""

import os
import shlex
from pathlib import Path

from msgspec import Struct

from client.errors import LinkError
from client.text.files import path_text

MAX_ENTRIES = 10_000
"""How many entries of a folder completion looks at, at most."""


class LocalPathError(LinkError):
    """A file or folder cannot be used; the text says why, and what to do."""


class Target(Struct, frozen=True):
    """Where to save a file: in ``folder`` under its own name, or as ``path``.

    Without either it goes to the folder of downloads.
    """

    folder: Path | None = None
    path: Path | None = None


def expand(text: str) -> Path:
    """Return a path with ``~`` resolved; it need not exist."""
    try:
        return Path(text).expanduser()
    except RuntimeError:
        return Path(text)  # there is no such user, so it is a name like any other


def typed_path(text: str) -> Path:
    """Return the path that was typed: literally, or quoted as for a shell.

    Spaces need no quotes. The literal path is preferred if it exists.
    """
    literal = expand(text)
    if os.path.lexists(literal):
        return literal
    try:
        words = shlex.split(text)
    except ValueError:
        return literal  # a quote that is never closed
    return expand(words[0]) if len(words) == 1 else literal


def split_source(text: str) -> tuple[Path, str]:
    """Return the file to send and the address after it, "" without one.

    The last word is an address if it begins with ``#`` or ``@``, unless the whole text
    is the path of an existing file.
    """
    text = text.strip()
    whole = typed_path(text)
    head, _, last = text.rpartition(" ")
    if last.startswith(("#", "@")) and head.strip() and not os.path.lexists(whole):
        return typed_path(head.strip()), last
    return whole, ""


def check_source(path: Path) -> Path:
    """Return the absolute path of a file that can be sent.

    Raises:
        LocalPathError: There is none, it is not a regular file, or it cannot be read.
    """
    shown = path_text(path)
    if os.path.isdir(path):
        raise LocalPathError(
            f"{shown} is a folder: pack it into one file first, as tar and zip do"
        )
    if not os.path.lexists(path):
        raise LocalPathError(f"there is no file {shown}")
    if not os.path.isfile(path):
        raise LocalPathError(f"{shown} is no plain file, so it cannot be sent")
    if not os.access(path, os.R_OK):
        raise LocalPathError(f"{shown} may not be read by you")
    return path.absolute()


def find_target(path: Path, is_folder: bool = False) -> Target:
    """Return where a path says that a file is to be saved.

    Args:
        path: An existing folder, or the path of a new file.
        is_folder: Whether it was written as a folder, with a slash at the end.

    Raises:
        LocalPathError: The file exists already, or the folder does not.
    """
    shown = path_text(path)
    if os.path.isdir(path):
        return Target(folder=path.absolute())
    if is_folder:
        raise LocalPathError(f"there is no folder {shown}")
    if os.path.lexists(path):
        raise LocalPathError(
            f"{shown} is there already: choose another name, or a folder"
        )
    if not os.path.isdir(path.absolute().parent):
        raise LocalPathError(f"there is no folder {path_text(path.absolute().parent)}")
    return Target(path=path.absolute())


def is_folder_name(text: str) -> bool:
    """Whether a path was written as a folder, with a slash at its end."""
    return text.endswith(("/", os.sep))


def names_in(folder: Path, prefix: str) -> list[str]:
    """Return a folder's names with a prefix, sorted; names of folders end with a slash.

    Hidden files are left out unless the prefix begins with the dot, and so are names
    that cannot be typed. A folder that cannot be read has no names.
    """
    found: list[str] = []
    try:
        with os.scandir(folder) as entries:
            for count, entry in enumerate(entries):
                name = entry.name
                if count >= MAX_ENTRIES:
                    break
                if not name.startswith(prefix) or not name.isprintable():
                    continue
                if name.startswith(".") and not prefix:
                    continue
                found.append(f"{name}/" if entry.is_dir() else name)
    except (OSError, ValueError):
        return []
    return sorted(found)
