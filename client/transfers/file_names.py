"""Safe file names: names from others are sanitized, and claimed without replacing."""

import contextlib
import itertools
import os
import re
import unicodedata
from pathlib import Path

MAX_BYTES = 255
FALLBACK = "file"

_PARTS = re.compile(r"[/\\]")
# What Windows does not take in a name; the colon also separates drives and streams.
_UNUSABLE = str.maketrans(dict.fromkeys('<>:"|?*', "_"))
_BLANKS = re.compile(" {2,}")
# A last part that is short and without blanks; ``.tar.gz`` counts as one.
_EXTENSION = re.compile(r"(?<!^)(?:\.tar)?\.[^. ]{1,16}$", re.IGNORECASE)
_RESERVED = frozenset(
    ["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"]
    + [f"{port}{digit}" for port in ("COM", "LPT") for digit in "0123456789¹²³"]
)


def safe_name(name: str) -> str:
    """Return a file name that is safe on every system, and never empty.

    Only the last part of a path is left; no control, format or direction characters;
    not hidden, not like an option of a command, no name that Windows reserves; at most
    255 bytes of UTF-8 with the extension kept. A name that is safe already stays as it
    is.
    """
    parts = [part for part in _PARTS.split(name) if part.strip(" .")]
    text = "".join(_printable(char) for char in (parts[-1] if parts else ""))
    text = unicodedata.normalize("NFC", text).translate(_UNUSABLE)
    text = _BLANKS.sub(" ", text).lstrip(" .-").rstrip(" .")
    if text.partition(".")[0].rstrip(" ").upper() in _RESERVED:
        text = f"_{text}"
    return _cut(text, "") or FALLBACK


def numbered(name: str, number: int) -> str:
    """Return the name with a number before its extension; 0 is the name itself."""
    return name if number == 0 else _cut(name, f" ({number})")


def claim(partial: Path, folder: Path, name: str) -> Path:
    """Give a complete file its name, or the next free one, never replacing anything.

    Repeated after a crash, it finds the name that was claimed already. Where the file
    system has hard links ``partial`` stays, for the caller to remove.

    Args:
        partial: The complete file, in the same folder or on the same file system.
        folder: The folder of the final name.
        name: ``x.txt``; if that is taken, ``x (1).txt`` and so on.

    Raises:
        OSError: It cannot be given a name in that folder.
    """
    for number in itertools.count():
        path = folder / numbered(name, number)
        try:
            _link(partial, path)
        except FileExistsError:
            if not _is_same(partial, path):
                continue
        return path
    raise AssertionError("there are endless numbers")


def _link(partial: Path, path: Path) -> None:
    try:
        os.link(partial, path, follow_symlinks=False)
    except FileExistsError:
        raise
    except (OSError, NotImplementedError):
        # No hard links here. An empty file of our own reserves the name instead.
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        try:
            os.replace(partial, path)
        except BaseException:
            with contextlib.suppress(OSError):
                path.unlink()
            raise


def _is_same(one: Path, other: Path) -> bool:
    try:
        return os.path.samestat(one.lstat(), other.lstat())
    except FileNotFoundError:
        return False


def _printable(char: str) -> str:
    match unicodedata.category(char)[0]:
        case "C":
            return ""
        case "Z":
            return " "
        case _:
            return char


def _cut(name: str, suffix: str) -> str:
    """Return stem, suffix and extension, with the stem cut so that all of it fits."""
    found = _EXTENSION.search(name)
    at = found.start() if found is not None else len(name)
    stem, extension = name[:at], name[at:]
    free = MAX_BYTES - len(suffix.encode()) - len(extension.encode())
    if len(stem.encode()) > free:
        stem = stem.encode()[:free].decode(errors="ignore").rstrip(" .")
    return stem + suffix + extension
