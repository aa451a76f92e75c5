"""Reads and checks ``client.toml``, the client's configuration file.

Nothing is silently accepted: an unknown section or key, a value of the wrong type or
out of range, a key of the keyboard that does not exist or would do two things is
refused with one sentence that names the file and the line. No file means the defaults.
"""

import difflib
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args, get_type_hints

import msgspec
from msgspec import Meta, Struct, field

from chatd.protocol.errors import BadNameError
from chatd.protocol.names import parse_address
from client.errors import LinkError
from client.keys.actions import KeyMapError, check_keys
from client.storage.paths import Paths
from client.terminal.themes import STYLES, ThemeName, check_style
from client.text.times import MAX_TIME_FORMAT, BadTimeError, check_time_format

FILE_NAME = "client.toml"

Rule = Literal["all", "mentions", "nothing"]
"""What the user is notified of; ``mentions`` includes all in direct chats."""

S = TypeVar("S", bound=Struct)


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


SECTIONS = ("general", "notify", "chats", "keys", "colors")


def client_file(paths: Paths) -> Path:
    """Return the path of the file, whether it exists or not."""
    return paths.config / FILE_NAME


def load_client_file(path: Path) -> ClientConfig:
    """Read and check the file; return the defaults if there is none.

    Raises:
        ClientFileError: It cannot be used; the text says why.
    """
    try:
        text = path.read_text("utf-8-sig")
    except FileNotFoundError:
        return ClientConfig()
    except OSError as error:
        raise ClientFileError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ClientFileError(f"{path} is not text in UTF-8") from error
    return parse_client_file(text, str(path))


def parse_client_file(text: str, source: str) -> ClientConfig:
    """Parse and check the text of a file; ``source`` names it in errors.

    Raises:
        ClientFileError: It cannot be used; the text says why.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        line, reason = _explain_syntax(str(error), text)
        raise ClientFileError(
            f"{source}, line {line}: this is not valid TOML: {reason}"
        ) from error
    reader = _Reader(source, text)
    reader.check_sections(document)
    return ClientConfig(
        general=reader.general(document.get("general", {})),
        notify=reader.notify(document.get("notify", {})),
        chats=reader.chats(document.get("chats", {})),
        keys=reader.keys(document.get("keys", {})),
        colors=reader.colors(document.get("colors", {})),
    )


class _Reader:
    """Turns sections into the configuration, and any mistake into ClientFileError."""

    def __init__(self, source: str, text: str) -> None:
        self._source = source
        self._text = text

    def check_sections(self, document: Mapping[str, Any]) -> None:
        for name, value in document.items():
            if isinstance(value, dict) and name in SECTIONS:
                continue
            if name in SECTIONS:
                reason = f"this is a section: write [{name}]"
            elif isinstance(value, dict):
                reason = f"there is no such section{_suggest(name, SECTIONS, '[%s]')}"
            else:
                reason = "this stands outside of a section: put it below [general] or "
                reason += "another heading"
            raise self._error("", name, reason)

    def general(self, members: Mapping[str, Any]) -> GeneralConfig:
        settings = self.struct("general", members, GeneralConfig)
        try:
            if settings.time_format:
                check_time_format(settings.time_format)
        except BadTimeError as error:
            raise self._error("general", "time_format", str(error)) from error
        return settings

    def notify(self, members: Mapping[str, Any]) -> NotifyConfig:
        command = members.get("command", [])
        is_program = isinstance(command, list) and (not command or command[0])
        if not is_program or not all(isinstance(each, str) for each in command):
            reason = 'write the program and its arguments: ["notify-send", "{text}"]'
            raise self._error("notify", "command", reason)
        for name in re.findall(r"\{(\w+)\}", " ".join(command)):
            close = difflib.get_close_matches(name, PLACES, 1, 0.8)
            if close and name not in PLACES:
                reason = f"{{{name}}} stands for nothing: did you mean {{{close[0]}}}?"
                raise self._error("notify", "command", reason)
        return self.struct("notify", members, NotifyConfig)

    def struct(self, section: str, members: Mapping[str, Any], type_: type[S]) -> S:
        known = [field.name for field in msgspec.structs.fields(type_)]
        for key in members:
            if key not in known:
                reason = f"there is no such setting{_suggest(key, known, '%s')}"
                raise self._error(section, key, reason)
        try:
            return msgspec.convert(members, type_)
        except msgspec.ValidationError as error:
            key, reason = _explain(str(error), type_)
            raise self._error(section, key, reason) from error

    def chats(self, members: Mapping[str, Any]) -> dict[str, Rule]:
        self._check_rooms()
        rules: dict[str, Rule] = {}
        for address, rule in members.items():
            try:
                kind, name = parse_address(address)
            except BadNameError as error:
                reason = f'{error.reason}: write "#room" or "@name", in quotes'
                raise self._error("chats", address, reason) from error
            if rule not in get_args(Rule):
                reason = f"write {_choices(Rule)}"
                raise self._error("chats", address, reason)
            rules[f"{'#' if kind == 'room' else '@'}{name}"] = rule
        return rules

    def _check_rooms(self) -> None:
        """Refuse a room without quotes, which TOML would take for a comment."""
        here = ""
        for number, line in enumerate(self._text.split("\n"), 1):
            if (header := _header(line)) is not None:
                here = header[1]
            if here == "chats" and (room := _unquoted_room(line)) is not None:
                reason = f'a # begins a comment: write "{room[1]}" in quotes'
                raise ClientFileError(
                    f"{self._source}, line {number}: [chats] {room[1]}: {reason}"
                )

    def keys(self, members: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
        given: dict[str, list[str]] = {}
        for action, value in members.items():
            texts = [value] if isinstance(value, str) else value
            if not (
                isinstance(texts, list) and all(isinstance(each, str) for each in texts)
            ):
                reason = 'write a key such as "Alt+A", or a list of keys'
                raise self._error("keys", action, reason)
            given[action] = [text for text in texts if text]
        try:
            return check_keys(given)
        except KeyMapError as error:
            raise self._error("keys", error.action, str(error)) from error

    def colors(self, members: Mapping[str, Any]) -> dict[str, str]:
        looks: dict[str, str] = {}
        for name, value in _flatten(members):
            if name not in STYLES:
                reason = f"there is no such style{_suggest(name, list(STYLES), '%s')}"
                raise self._error("colors", name, reason)
            if not isinstance(value, str):
                raise self._error("colors", name, 'write a style, such as "bold"')
            try:
                looks[name] = check_style(value)
            except ValueError as error:
                raise self._error("colors", name, str(error)) from error
        return looks

    def _error(self, section: str, key: str, reason: str) -> ClientFileError:
        line = find_line(self._text, section, key)
        where = f"{self._source}, line {line}" if line else self._source
        place = f"[{section}] {key}" if section else key
        return ClientFileError(f"{where}: {place}: {reason}")


_header = re.compile(r"\s*\[\s*([\w-]+)\s*\]\s*(?:#.*)?$").match
_unquoted_room = re.compile(r"""\s*(#[\w.-]+)\s*=\s*["']""").match
_setting = re.compile(r"""\s*(["']?)([^"'=]+?)\1\s*=""").match


def find_line(text: str, section: str, key: str) -> int | None:
    """Return the number of the line where a key is set, counted from 1.

    Args:
        text: Valid TOML.
        section: The key's section; "" for a section itself, or a key outside of all.
        key: The name of the key or section.
    """
    lines = text.split("\n")
    here = ""
    for number, line in enumerate(lines, 1):
        header = _header(line)
        setting = _setting(line)
        if header is None and setting is None:
            continue
        is_wanted = setting is not None and (here, setting[2]) == (section, key)
        if header is not None and not section:
            is_wanted = header[1] == key
        if (header is not None or is_wanted) and _begins_statement(lines, number):
            if is_wanted:
                return number
            here = header[1] if header is not None else here
    return None


def _begins_statement(lines: list[str], number: int) -> bool:
    """Whether a line begins a statement, not inside a value of several lines."""
    try:
        tomllib.loads("\n".join(lines[: number - 1]))
    except tomllib.TOMLDecodeError:
        return False
    return True


_position = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$").search


def _explain_syntax(message: str, text: str) -> tuple[int, str]:
    """Return the line of an error of tomllib, and what is wrong."""
    found = _position(message)
    last = text.rstrip().count("\n") + 1
    line = int(found[1]) if found is not None and found[1] else last
    reason = message[: found.start()] if found is not None else message
    for technical, plain in _PLAIN_SYNTAX:
        reason = re.sub(technical, plain, reason)
    return line, reason[:1].lower() + reason[1:]


_PLAIN_SYNTAX = (
    (r"Invalid value", "a value is missing, or a text stands without quotes"),
    (r"Cannot declare \('(.*)',\) twice", r"[\1] is there a second time"),
    (r"Cannot overwrite a value", "this is set a second time"),
)


def _explain(text: str, type_: type) -> tuple[str, str]:
    """Return the key of an error of msgspec, and what is wrong in plain words."""
    reason, _, place = text.partition(" - at `$.")
    found = re.match(r"\w+", place)
    key = found.group() if found else ""
    if choices := _choices(get_type_hints(type_).get(key)):
        return key, f"write {choices}"
    for technical, plain in _PLAIN_WORDS:
        reason = re.sub(technical, plain, reason)
    return key, reason[:1].lower() + reason[1:]


_PLAIN_WORDS = (
    (r"Expected `str` of length", "Expected text of length"),
    (r"`str`", "text"),
    (r"`int`", "a whole number"),
    (r"`bool`", "true or false"),
    (r"`array`", "a list"),
    (r"`object`", "a table"),
)


def _choices(type_: Any) -> str:
    """Return the choices of a ``Literal`` of texts; "" for another type."""
    choices = [f'"{each}"' for each in get_args(type_) if isinstance(each, str)]
    return " or ".join([", ".join(choices[:-1]), choices[-1]]) if choices else ""


def _flatten(members: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """Return members by their dotted names, which TOML nests if not in quotes."""
    found: list[tuple[str, Any]] = []
    for name, value in members.items():
        if isinstance(value, dict):
            found += _flatten(value, f"{prefix}{name}.")
        else:
            found.append((prefix + name, value))
    return found


def _suggest(name: str, known: tuple[str, ...] | list[str], form: str) -> str:
    close = difflib.get_close_matches(name.lower(), known, 1, 0.5)
    if close:
        return f": did you mean {form % close[0]}?"
    if len(known) > 10:
        return ": chat config writes a file that lists them all"
    return f": there are {', '.join(form % each for each in known)}"
