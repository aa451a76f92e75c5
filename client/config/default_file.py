"""The default ``client.toml``, which ``chat config`` writes: all settings as comments.

A line that begins with ``#`` and a name shows a default. Nothing is set until the ``#``
is taken off, so the defaults of a later version apply as well.
"""

import contextlib
import json
import os
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import msgspec

from client.config.config_file import ClientFileError, GeneralConfig, NotifyConfig
from client.keys.actions import ACTIONS
from client.keys.key_names import format_keys
from client.storage.paths import make_private_folder
from client.terminal.themes import STYLES

_HEAD = """\
# The settings of chat. Each setting stands here with its default, behind a #: take the
# # off and change it. chat reads this file when it starts; with a mistake in it, it
# says which line is wrong, and does not start.
"""

_GENERAL = {
    "theme": """\
"auto" (by what the terminal says of itself), "dark", "light", "16" (the terminal's own
colours) or "none". NO_COLOR in the environment means "none", whatever stands here.""",
    "time_format": """\
How times look, in the words of strftime: "%H:%M:%S", "%I:%M %p" … Empty: as /time set
it last.""",
    "mouse": """\
Whether the mouse scrolls and opens chats and links. The terminal then does not mark
text any more, unless Shift is held. F4 switches it.""",
    "notifications": """\
Of what you are notified where [chats] says nothing else: "all" that is written,
"mentions" (your name, and what is written to you directly) or "nothing".""",
    "escape_ms": """\
For how many milliseconds Esc waits for what may belong to it, 10 to 1000. Over a slow
link Alt+A and the arrows may come in two parts, of which Esc is the first: raise it if
they write letters.""",
}
_NOTIFY = {
    "bell": """\
Whether the terminal's bell rings when you are notified.""",
    "osc": """\
Whether the terminal is asked to show a notification: "9" (as iTerm2 and kitty know it)
or "777" (as foot, Ghostty, WezTerm, Konsole and rxvt-unicode do) names the way, "auto"
chooses it where the terminal is known, "off" never asks. Inside of tmux and screen say
"9" or "777" yourself; tmux needs: set -g allow-passthrough on. Not with --plain.""",
    "command": """\
A program that is run for each notification, at most one at a time, and not by a shell:
["notify-send", "--app-name=chat", "{title}", "{text}"]. In its arguments {title},
{text}, {chat} and {sender} are replaced; title and text are on its input as well.""",
    "title": """\
Whether the terminal's title says, on the full screen, how much is for you and which
chat is open.""",
}
_CHATS = """\
# Of what you are notified in single chats: "all", "mentions" or "nothing". The address
# stands in quotes.
#   "#ops" = "all"
#   "#random" = "nothing"
"""
_KEYS = """\
# Which key does what: a key, a list of keys, or [] for none. Keys are written like
# "Alt+A", "F6", "Shift+Tab" or "Ctrl+X Ctrl+E" (one after the other).
"""
_COLORS = """\
# How things look, instead of the theme: bold, italic, underline, strike or reverse, a
# colour such as "#ff8700", "ansired" or "default", and "bg:" with a colour. Below is
# the dark theme.
"""


def default_text() -> str:
    """Return the text of the default file."""
    return "\n".join(
        (
            _HEAD,
            *_section("general", GeneralConfig(), _GENERAL),
            *_section("notify", NotifyConfig(), _NOTIFY),
            f"[chats]\n{_CHATS}",
            f"[keys]\n{_KEYS}",
            *_keys(),
            f"[colors]\n{_COLORS}",
            *_colors(),
        )
    )


def write_default(path: Path) -> bool:
    """Write the file if there is none; return whether it was written.

    Raises:
        ClientFileError: It cannot be written.
    """
    try:
        make_private_folder(path.parent)
        handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except FileExistsError:
        return False
    except OSError as error:
        raise ClientFileError(f"{path} cannot be made: {error.strerror}") from error
    try:
        with open(handle, "w", encoding="utf-8") as file:
            file.write(default_text())
    except OSError as error:
        with contextlib.suppress(OSError):
            path.unlink()
        raise ClientFileError(f"{path} cannot be written: {error.strerror}") from error
    return True


def _section(name: str, defaults: Any, about: dict[str, str]) -> Iterator[str]:
    yield f"[{name}]"
    for field in msgspec.structs.fields(defaults):
        comment = "\n".join(f"# {line}" for line in about[field.name].split("\n"))
        value = getattr(defaults, field.name)
        yield f"{comment}\n#{field.name} = {json.dumps(value)}\n"


def _keys() -> Iterator[str]:
    size = max(len(_key_line(action.name, action.keys)) for action in ACTIONS) + 1
    for group, actions in groupby(ACTIONS, key=lambda action: action.group):
        yield f"# {group}"
        for action in actions:
            line = _key_line(action.name, action.keys)
            yield f"{line:{size}} # {action.help}"
        yield ""


def _key_line(name: str, keys: tuple[str, ...]) -> str:
    shown = [format_keys(each) for each in keys]
    return f"#{name} = {json.dumps(shown[0] if len(shown) == 1 else shown)}"


def _colors() -> Iterator[str]:
    for style in STYLES.values():
        line = f"#{json.dumps(style.name)} = {json.dumps(style.dark)}"
        yield f"{line:58} # {style.meaning}"
    yield ""
