"""Which file or folder of this device is meant by what somebody typed."""

import os
import shlex
from pathlib import Path

from msgspec import Struct

from client.errors import LinkError
from client.text.files import path_text

MAX_ENTRIES = 10_000
"""So many entries of a folder are looked at for completion."""


class PlaceError(LinkError):
    """A file or folder that cannot be used; the text says why, and what to do."""


class Target(Struct, frozen=True):
    """Where a file is to be saved: in a folder under its own name, or as ``path``."""

    folder: Path | None = None
    path: Path | None = None


def expand(text: str) -> Path:
    """Return a path with ``~`` resolved; it need not exist."""
    try:
        return Path(text).expanduser()
    except RuntimeError:
        return Path(text)  # there is no such person, so it is a name like any other


def typed_path(text: str) -> Path:
    """Return the path that somebody typed: as it stands, or quoted as for a shell.

    Blanks need no quotes. What exists goes before what does not.
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
    """Return the file to be sent and the address behind it, "" if there is none.

    The last word is an address if it begins with ``#`` or ``@``, unless all of the text
    is the name of a file.
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
        PlaceError: There is none, or it is something else.
    """
    shown = path_text(path)
    if os.path.isdir(path):
        raise PlaceError(
            f"{shown} is a folder: pack it into one file first, as tar and zip do"
        )
    if not os.path.lexists(path):
        raise PlaceError(f"there is no file {shown}")
    if not os.path.isfile(path):
        raise PlaceError(f"{shown} is no plain file, so it cannot be sent")
    if not os.access(path, os.R_OK):
        raise PlaceError(f"{shown} may not be read by you")
    return path.absolute()


def find_target(path: Path, is_folder: bool = False) -> Target:
    """Return what a path means as the place for a file.

    Args:
        path: An existing folder, or the name of a file that is to be.
        is_folder: Whether it was written as a folder, with a slash at the end.

    Raises:
        PlaceError: It is taken, or there is no such folder.
    """
    shown = path_text(path)
    if os.path.isdir(path):
        return Target(folder=path.absolute())
    if is_folder:
        raise PlaceError(f"there is no folder {shown}")
    if os.path.lexists(path):
        raise PlaceError(f"{shown} is there already: choose another name, or a folder")
    if not os.path.isdir(path.absolute().parent):
        raise PlaceError(f"there is no folder {path_text(path.absolute().parent)}")
    return Target(path=path.absolute())


def is_folder_name(text: str) -> bool:
    """Whether a path was written as a folder, with a slash at its end."""
    return text.endswith(("/", os.sep))


def names_in(folder: Path, prefix: str) -> list[str]:
    """Return the names in a folder that begin so, sorted; folders end with a slash.

    Hidden files only if the prefix has the dot; none that cannot be typed.
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
