"""Writing on in one's own editor, on a private file that is gone afterwards."""

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
"""Runs a program in the terminal until it ends; returns what it exits with."""


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
    """Return what becomes of a text in an editor; blocks until the editor ends.

    Args:
        text: What is in the file at first.
        words: The editor and its options; the file's path comes behind them. No shell
            sees them.
        call: Runs it; ``subprocess.call`` if left out.

    Raises:
        EditorError: It cannot be run, failed, or left something that is no text.
    """
    # The folder is for this user alone, so editors may put their own files beside it.
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
