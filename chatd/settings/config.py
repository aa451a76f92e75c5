"""The configuration: ``config.toml`` as frozen settings, one class per section.

Nothing is silently accepted: an unknown or mistyped section or key, or a value of the
wrong type or out of range, is refused with one sentence that names file, section and
key. Each default is defined here and, with its explanation, in the ``config.toml`` of
the repository; a test compares the two.
"""

import dataclasses
import re
import tomllib
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args, get_type_hints

import msgspec
from msgspec import Meta, Struct

from chatd.accounts.settings import AccountSettings
from chatd.protocol.frames import MAX_BODY_FROM_SERVER
from chatd.protocol.links import LinkError, parse_host_port
from chatd.settings.endpoints import Endpoint, parse_endpoint, socket_path

ADMIN_SOCKET = "admin.sock"
DEFAULT_LISTEN = ("tls://127.0.0.1:4747", "tls://[::1]:4747")

T = TypeVar("T")

# How many bytes JSON needs for a byte of text at worst, and what a frame has besides
# its text (protocol README, section 1).
_JSON_GROWTH = 6
_REQUEST_OVERHEAD = 4_096
_PUSH_OVERHEAD = 65_536

_Count = Annotated[int, Meta(ge=0, le=2**31)]
_Some = Annotated[int, Meta(ge=1, le=2**31)]
_Rate = Annotated[float, Meta(ge=0, le=1e9)]
_Bytes = Annotated[int, Meta(ge=0, le=2**53)]
_Seconds = Annotated[float, Meta(ge=0.05, le=86_400)]


class ConfigError(Exception):
    """The configuration cannot be used; the sentence names file, section and key."""


class ServerSettings(Struct, frozen=True):
    """The section ``[server]``."""

    name: Annotated[str, Meta(min_length=1, max_length=64)] = "chatd"
    motd: Annotated[str, Meta(max_length=2_048)] = ""
    data: Annotated[str, Meta(min_length=1)] = "data"
    listen: Annotated[tuple[str, ...], Meta(min_length=1)] = DEFAULT_LISTEN
    public_address: str = ""


class TlsSettings(Struct, frozen=True):
    """The section ``[tls]``; both are empty for the key that chatd makes itself."""

    certificate: str = ""
    key: str = ""


class LimitSettings(Struct, frozen=True):
    """The section ``[limits]``: sizes in bytes; 0 switches a rate limit off.

    A burst is how many are allowed at once before the rate applies.
    """

    frame: Annotated[int, Meta(ge=4_096, le=1 << 24)] = 131_072
    text: _Some = 16_384
    in_flight: Annotated[int, Meta(ge=1, le=65_536)] = 256
    outbox: Annotated[int, Meta(ge=65_536, le=2**31)] = 1_048_576
    sync: Annotated[int, Meta(ge=1, le=10_000)] = 200
    login_seconds: _Seconds = 30.0
    idle_seconds: _Seconds = 120.0
    connections: _Some = 10_000
    connections_per_address: _Count = 0
    messages_per_second: _Rate = 50.0
    messages_burst: _Some = 500
    address_messages_per_second: _Rate = 500.0
    address_messages_burst: _Some = 5_000
    registrations_per_hour: _Rate = 100.0
    user_rooms: _Some = 1_000
    invitations: Annotated[int, Meta(ge=1, le=1_000)] = 200


class FileSettings(Struct, frozen=True):
    """The section ``[files]``: sizes in bytes; 0 is no limit, for ``size`` no files.

    A transfer is one running upload or download, on a connection of its own.
    """

    size: _Bytes = 10_737_418_240
    user_bytes: _Bytes = 0
    total_bytes: _Bytes = 0
    free_bytes: _Bytes = 1_073_741_824
    expire_days: Annotated[float, Meta(ge=0, le=36_500)] = 0.0
    transfers: _Some = 64
    user_transfers: _Some = 8


class LogSettings(Struct, frozen=True):
    """The section ``[log]``."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["text", "json"] = "text"


class Settings(Struct, frozen=True):
    """The whole configuration, checked, with absolute paths.

    Attributes:
        server: Section ``[server]`` as written.
        tls: Section ``[tls]``; its paths are absolute or empty.
        accounts: Section ``[accounts]``.
        limits: Section ``[limits]``.
        files: Section ``[files]``.
        log: Section ``[log]``.
        data: The data folder.
        endpoints: The parsed addresses of ``server.listen``.
        file: The file that was read; None if there are only defaults.
        data_override: The data folder given on the command line.
    """

    server: ServerSettings
    tls: TlsSettings
    accounts: AccountSettings
    limits: LimitSettings
    files: FileSettings
    log: LogSettings
    data: Path
    endpoints: tuple[Endpoint, ...]
    file: Path | None = None
    data_override: Path | None = None

    @property
    def admin_socket(self) -> Path:
        """The path of the socket where the running daemon accepts admin commands."""
        return self.data / ADMIN_SOCKET


def load_config(path: Path | None, data_override: Path | None = None) -> Settings:
    """Read and check the configuration.

    Args:
        path: The file; None for the defaults.
        data_override: A data folder to use instead of ``[server] data``; it is relative
            to the working folder, as that key is without a file.

    Raises:
        ConfigError: It cannot be used; the sentence says why.
    """
    document = {} if path is None else _read(path)
    reader = _Reader("the configuration" if path is None else str(path))
    reader.check_sections(document)
    server = reader.section(document, "server", ServerSettings)
    tls = reader.section(document, "tls", TlsSettings)
    accounts = reader.section(document, "accounts", AccountSettings)
    limits = reader.section(document, "limits", LimitSettings)
    files = reader.section(document, "files", FileSettings)
    log = reader.section(document, "log", LogSettings)
    base = Path.cwd() if path is None else path.absolute().parent
    data = data_override.absolute() if data_override else base / server.data
    _check_server(reader, server, data)
    _check_tls(reader, tls)
    _check_limits(reader, limits)
    return Settings(
        server=server,
        tls=TlsSettings(
            *(str(data / p) if p else "" for p in (tls.certificate, tls.key))
        ),
        accounts=accounts,
        limits=limits,
        files=files,
        log=log,
        data=data,
        endpoints=_parse_listen(reader, server, data),
        file=None if path is None else path.absolute(),
        data_override=data if data_override else None,
    )


def reload_config(settings: Settings) -> Settings:
    """Read the configuration again from the file that ``settings`` came from.

    Raises:
        ConfigError: It cannot be used; the old settings stay in force.
    """
    return load_config(settings.file, settings.data_override)


def settings_needing_restart(old: Settings, new: Settings) -> list[str]:
    """Return the keys that differ and take effect only when the daemon is restarted."""
    keys = []
    if old.data != new.data:
        keys.append("[server] data")
    if old.endpoints != new.endpoints:
        keys.append("[server] listen")
    return keys


SECTIONS: dict[str, type] = {
    "server": ServerSettings,
    "tls": TlsSettings,
    "accounts": AccountSettings,
    "limits": LimitSettings,
    "files": FileSettings,
    "log": LogSettings,
}


def keys_of(section: type) -> list[str]:
    """Return the keys of a section's class."""
    if dataclasses.is_dataclass(section):
        return [field.name for field in dataclasses.fields(section)]
    return [field.name for field in msgspec.structs.fields(section)]


class _Reader:
    """Converts sections to settings, and raises ConfigError for whatever is invalid."""

    def __init__(self, source: str) -> None:
        self._source = source

    def check_sections(self, document: dict[str, Any]) -> None:
        for name, value in document.items():
            if name not in SECTIONS:
                if not isinstance(value, dict):
                    raise ConfigError(
                        f"{self._source}: the key {name!r} stands outside of a section:"
                        f" put it under {_home_of(name)}"
                    )
                raise ConfigError(
                    f"{self._source}: there is no section [{name}]"
                    f"{_suggest(name, list(SECTIONS), '[%s]')}"
                )
            if not isinstance(value, dict):
                raise ConfigError(
                    f"{self._source}: {name!r} is a section: write [{name}]"
                )

    def section(self, document: dict[str, Any], name: str, type_: type[T]) -> T:
        members = document.get(name, {})
        known = keys_of(type_)
        for key in members:
            if key not in known:
                raise self.error(
                    name, key, f"there is no such key{_suggest(key, known, '%s')}"
                )
        try:
            return msgspec.convert(members, type_)
        except msgspec.ValidationError as error:
            raise self._explain(name, str(error), type_) from error

    def error(self, section: str, key: str, reason: str) -> ConfigError:
        return ConfigError(f"{self._source}: [{section}] {key}: {reason}")

    def _explain(self, section: str, text: str, type_: type) -> ConfigError:
        reason, _, place = text.partition(" - at `$.")
        key = re.match(r"\w+", place)
        if key is not None and reason.startswith("Invalid enum value"):
            choices = " or ".join(map(repr, get_args(get_type_hints(type_)[key[0]])))
            reason += f": write {choices}"
        for technical, plain in _PLAIN_WORDS:
            reason = re.sub(technical, plain, reason)
        reason = reason[0].lower() + reason[1:]
        if key is None:
            # A class's own check already names the key in its message.
            return ConfigError(f"{self._source}: [{section}] {reason}")
        return self.error(section, key.group(), reason)


_PLAIN_WORDS = [
    (r"Expected `str` of length", "Expected text of length"),
    (r"`str`", "text"),
    (r"`int`", "a whole number"),
    (r"`float`", "a number"),
    (r"`bool`", "true or false"),
    (r"`array` of length >= 1", "a list that is not empty"),
    (r"`array`", "a list"),
    (r"`object`", "a table"),
    (r"Invalid enum value '(.*?)'", r"'\1' is not possible"),
]


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(f"there is no configuration file {path}") from error
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not text in UTF-8") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from error


def _check_server(reader: _Reader, server: ServerSettings, data: Path) -> None:
    if not server.name.isprintable() or server.name.isspace():
        raise reader.error("server", "name", "only visible characters are possible")
    if not server.motd.replace("\n", "").isprintable():
        raise reader.error("server", "motd", "control characters are not possible")
    try:
        socket_path(data, ADMIN_SOCKET)
    except ValueError as error:
        raise reader.error("server", "data", str(error)) from error
    try:
        if server.public_address:
            parse_host_port(server.public_address)
    except LinkError as error:
        raise reader.error("server", "public_address", str(error)) from error


def _parse_listen(
    reader: _Reader, server: ServerSettings, data: Path
) -> tuple[Endpoint, ...]:
    endpoints: list[Endpoint] = []
    for text in server.listen:
        try:
            endpoint = parse_endpoint(text, data)
        except ValueError as error:
            raise reader.error("server", "listen", str(error)) from error
        if endpoint in endpoints and (endpoint.port or endpoint.kind == "unix"):
            raise reader.error("server", "listen", f"{text} is listed twice")
        endpoints.append(endpoint)
    return tuple(endpoints)


def _check_tls(reader: _Reader, tls: TlsSettings) -> None:
    if bool(tls.certificate) != bool(tls.key):
        missing = "key" if tls.certificate else "certificate"
        raise reader.error("tls", missing, "certificate and key go together: set both")


def _check_limits(reader: _Reader, limits: LimitSettings) -> None:
    least = _JSON_GROWTH * limits.text + _REQUEST_OVERHEAD
    if limits.frame < least:
        raise reader.error(
            "limits",
            "frame",
            f"a text of limits.text = {limits.text} bytes may take a frame of {least}:"
            " raise it, or lower limits.text",
        )
    most = (MAX_BODY_FROM_SERVER - _PUSH_OVERHEAD) // _JSON_GROWTH
    if limits.text > most:
        raise reader.error(
            "limits", "text", f"clients take no text of more than {most} bytes"
        )


def _suggest(name: str, known: list[str], form: str) -> str:
    close = get_close_matches(name.lower(), known, n=1, cutoff=0.5)
    if close:
        return f": did you mean {form % close[0]}?"
    return f": there are {', '.join(form % each for each in known)}"


def _home_of(key: str) -> str:
    for name, type_ in SECTIONS.items():
        if key in keys_of(type_):
            return f"[{name}]"
    return "one of " + ", ".join(f"[{name}]" for name in SECTIONS)
