"""Reads and checks ``client.toml``, the client's configuration file.

Nothing is silently accepted: an unknown section or key, a value of the wrong type or
out of range, a key of the keyboard that does not exist or would do two things is
refused with one sentence that names the file and the line. No file means the defaults.
"""

import difflib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from msgspec import Meta, Struct, field

from chatd.protocol.errors import BadNameError
from chatd.protocol.names import parse_address
from chatd.system.toml_file import TomlFile, choices, section_header
from client.errors import LinkError
from client.keys.actions import KeyMapError, check_keys
from client.storage.paths import Paths
from client.terminal.themes import STYLES, ThemeName, check_style
from client.text.times import MAX_TIME_FORMAT, BadTimeError, check_time_format

FILE_NAME = "client.toml"

Rule = Literal["all", "mentions", "nothing"]
"""What the user is notified of; ``mentions`` includes all in direct chats."""


class ClientFileError(LinkError):
    """The file cannot be used; the text names the file, the line and the reason."""


PLACES = ("title", "text", "chat", "sender")
"""The placeholders, in braces, in the arguments of the notification command."""


class GeneralConfig(Struct, frozen=True):
    """The section ``[general]``."""

    theme: ThemeName = "auto"
    time_format: Annotated[str, Meta(max_length=MAX_TIME_FORMAT)] = ""
    mouse: bool = False
    notifications: Rule = "mentions"
    escape_ms: Annotated[int, Meta(ge=10, le=1_000)] = 50


class NotifyConfig(Struct, frozen=True):
    """The section ``[notify]``."""

    bell: bool = True
    osc: Literal["auto", "9", "777", "off"] = "auto"
    command: tuple[str, ...] = ()
    title: bool = True


class ClientConfig(Struct, frozen=True):
    """The whole file, checked.

    Attributes:
        general: Section ``[general]``.
        notify: Section ``[notify]``.
        chats: Section ``[chats]``: by address, what the user is notified of there.
        keys: Section ``[keys]``: by action, its keys in the notation of prompt_toolkit.
        colors: Section ``[colors]``: by class, its style.
    """

    general: GeneralConfig = GeneralConfig()
    notify: NotifyConfig = NotifyConfig()
    chats: dict[str, Rule] = field(default_factory=dict)
    keys: dict[str, tuple[str, ...]] = field(default_factory=dict)
    colors: dict[str, str] = field(default_factory=dict)

    def rule_of(self, chat: str) -> Rule:
        """Return what the user is notified of in a chat."""
        return self.chats.get(chat, self.general.notifications)


SECTIONS = {
    "general": GeneralConfig,
    "notify": NotifyConfig,
    "chats": None,
    "keys": None,
    "colors": None,
}
OVERVIEW = "chat config writes a file that lists them all"


def client_file(paths: Paths) -> Path:
    """Return the path of the file, whether it exists or not."""
    return paths.config / FILE_NAME


def load_client_file(path: Path) -> ClientConfig:
    """Read and check the file; return the defaults if there is none.

    Raises:
        ClientFileError: It cannot be used; the text says why.
    """
    try:
        file = TomlFile.read(path, SECTIONS, ClientFileError, OVERVIEW)
    except FileNotFoundError:
        return ClientConfig()
    return _checked(file)


def parse_client_file(text: str, source: str) -> ClientConfig:
    """Parse and check the text of a file; ``source`` names it in errors.

    Raises:
        ClientFileError: It cannot be used; the text says why.
    """
    return _checked(TomlFile(text, source, SECTIONS, ClientFileError, OVERVIEW))


def _checked(file: TomlFile) -> ClientConfig:
    return ClientConfig(
        general=_general(file),
        notify=_notify(file),
        chats=_chats(file),
        keys=_keys(file),
        colors=_colors(file),
    )


def _general(file: TomlFile) -> GeneralConfig:
    settings = file.section("general", GeneralConfig)
    try:
        if settings.time_format:
            check_time_format(settings.time_format)
    except BadTimeError as error:
        raise file.error("general", "time_format", str(error)) from error
    return settings


def _notify(file: TomlFile) -> NotifyConfig:
    command = file.members("notify").get("command", [])
    is_program = isinstance(command, list) and (not command or command[0])
    if not is_program or not all(isinstance(each, str) for each in command):
        reason = 'write the program and its arguments: ["notify-send", "{text}"]'
        raise file.error("notify", "command", reason)
    for name in re.findall(r"\{(\w+)\}", " ".join(command)):
        close = difflib.get_close_matches(name, PLACES, 1, 0.8)
        if close and name not in PLACES:
            reason = f"{{{name}}} stands for nothing: did you mean {{{close[0]}}}?"
            raise file.error("notify", "command", reason)
    return file.section("notify", NotifyConfig)


def _chats(file: TomlFile) -> dict[str, Rule]:
    _check_rooms(file)
    rules: dict[str, Rule] = {}
    for address, rule in file.members("chats").items():
        try:
            kind, name = parse_address(address)
        except BadNameError as error:
            reason = f'{error.reason}: write "#room" or "@name", in quotes'
            raise file.error("chats", address, reason) from error
        if rule not in get_args(Rule):
            reason = f"write {choices(Rule)}"
            raise file.error("chats", address, reason)
        rules[f"{'#' if kind == 'room' else '@'}{name}"] = rule
    return rules


def _check_rooms(file: TomlFile) -> None:
    """Refuse a room without quotes, which TOML would take for a comment."""
    here = ""
    for number, line in enumerate(file.text.split("\n"), 1):
        if (header := section_header(line)) is not None:
            here = header[1]
        if here == "chats" and (room := _unquoted_room(line)) is not None:
            reason = f'a # begins a comment: write "{room[1]}" in quotes'
            raise ClientFileError(
                f"{file.source}, line {number}: [chats] {room[1]}: {reason}"
            )


def _keys(file: TomlFile) -> dict[str, tuple[str, ...]]:
    given: dict[str, list[str]] = {}
    for action, value in file.members("keys").items():
        texts = [value] if isinstance(value, str) else value
        if not (
            isinstance(texts, list) and all(isinstance(each, str) for each in texts)
        ):
            reason = 'write a key such as "Alt+A", or a list of keys'
            raise file.error("keys", action, reason)
        given[action] = [text for text in texts if text]
    try:
        return check_keys(given)
    except KeyMapError as error:
        raise file.error("keys", error.action, str(error)) from error


def _colors(file: TomlFile) -> dict[str, str]:
    looks: dict[str, str] = {}
    for name, value in _flatten(file.members("colors")):
        if name not in STYLES:
            raise file.unknown("colors", name, "style", list(STYLES))
        if not isinstance(value, str):
            raise file.error("colors", name, 'write a style, such as "bold"')
        try:
            looks[name] = check_style(value)
        except ValueError as error:
            raise file.error("colors", name, str(error)) from error
    return looks


_unquoted_room = re.compile(r"""\s*(#[\w.-]+)\s*=\s*["']""").match


def _flatten(members: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """Return members by their dotted names, which TOML nests if not in quotes."""
    found: list[tuple[str, Any]] = []
    for name, value in members.items():
        if isinstance(value, dict):
            found += _flatten(value, f"{prefix}{name}.")
        else:
            found.append((prefix + name, value))
    return found
