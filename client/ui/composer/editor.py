"""Edits a text in the user's external editor, in a private temporary file."""

import os
import shlex
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from client.errors import LinkError

FILE_NAME = "message.md"

_USUAL = ("sensible-editor", "editor", "nano", "vi", "notepad")

Call = Callable[[Sequence[str]], int]
"""Runs a program in the terminal until it ends; returns its exit status."""


class EditorError(LinkError):
    """The editor cannot be used; the text says why, and what to do."""


def editor_words(environment: Mapping[str, str]) -> list[str]:
    """Return the editor and its options: ``$VISUAL``, ``$EDITOR``, or a usual one.

    Raises:
        EditorError: There is none, or the variable cannot be understood.
    """
    for name in ("VISUAL", "EDITOR"):
        value = environment.get(name, "")
        if value.strip():
            try:
                return shlex.split(value)
            except ValueError as error:
                raise EditorError(
                    f"${name} cannot be understood ({error}): {value}"
                ) from error
    path = environment.get("PATH")
    for word in _USUAL:
        if found := shutil.which(word, path=path):
            return [found]
    raise EditorError("there is no editor: set $EDITOR to the name of yours")


def edit(text: str, words: Sequence[str], call: Call | None = None) -> str:
    """Edit a text in an editor, and return it; blocks until the editor ends.

    Args:
        text: The text to edit.
        words: The editor and its options; the file's path is appended. No shell is
            used.
        call: Runs it; ``subprocess.call`` if left out.

    Raises:
        EditorError: It cannot be run, failed, or left a file that is not UTF-8 text.
    """
    # Only this user can read the folder, so files that editors put beside it are safe.
    with tempfile.TemporaryDirectory(prefix="chat-") as folder:
        path = Path(folder) / FILE_NAME
        handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with open(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
        try:
            status = (call or subprocess.call)([*words, str(path)])
        except OSError as error:
            raise EditorError(
                f"{words[0]} cannot be started ({error.strerror}): set $EDITOR to the "
                "name of your editor"
            ) from error
        if status != 0:
            raise EditorError(
                f"{words[0]} {_ending(status)}, so the text is left as it was"
            )
        try:
            edited = path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise EditorError(
                f"what {words[0]} left cannot be read: {error}"
            ) from error
    return edited.removesuffix("\n")


def _ending(status: int) -> str:
    if status >= 0:
        return f"ended with an error ({status})"
    try:
        return f"was ended by {signal.Signals(-status).name}"
    except ValueError:
        return f"was ended by signal {-status}"
