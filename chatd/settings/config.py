"""The configuration: ``config.toml`` as frozen settings, one class per section.

Nothing is silently accepted: an unknown or mistyped section or key, or a value of the
wrong type or out of range, is refused with one sentence that names file, section and
key. Each default is defined here and, with its explanation, in the ``config.toml`` of
the repository; a test compares the two.
"""

from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta, Struct

from chatd.accounts.settings import AccountSettings
from chatd.protocol.frames import MAX_BODY_FROM_SERVER
from chatd.protocol.links import LinkError, parse_host_port
from chatd.settings.endpoints import Endpoint, parse_endpoint, socket_path
from chatd.system.toml_file import TomlFile

ADMIN_SOCKET = "admin.sock"
DEFAULT_LISTEN = ("tls://127.0.0.1:4747", "tls://[::1]:4747")

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
    if path is None:
        file = TomlFile("", "the configuration", SECTIONS, ConfigError)
    else:
        try:
            file = TomlFile.read(path, SECTIONS, ConfigError)
        except FileNotFoundError as error:
            raise ConfigError(f"there is no configuration file {path}") from error
    server = file.section("server", ServerSettings)
    tls = file.section("tls", TlsSettings)
    accounts = file.section("accounts", AccountSettings)
    limits = file.section("limits", LimitSettings)
    files = file.section("files", FileSettings)
    log = file.section("log", LogSettings)
    base = Path.cwd() if path is None else path.absolute().parent
    data = data_override.absolute() if data_override else base / server.data
    _check_server(file, server, data)
    _check_tls(file, tls)
    _check_limits(file, limits)
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
        endpoints=_parse_listen(file, server, data),
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


def _check_server(file: TomlFile, server: ServerSettings, data: Path) -> None:
    if not server.name.isprintable() or server.name.isspace():
        raise file.error("server", "name", "only visible characters are possible")
    if not server.motd.replace("\n", "").isprintable():
        raise file.error("server", "motd", "control characters are not possible")
    try:
        socket_path(data, ADMIN_SOCKET)
    except ValueError as error:
        raise file.error("server", "data", str(error)) from error
    try:
        if server.public_address:
            parse_host_port(server.public_address)
    except LinkError as error:
        raise file.error("server", "public_address", str(error)) from error


def _parse_listen(
    file: TomlFile, server: ServerSettings, data: Path
) -> tuple[Endpoint, ...]:
    endpoints: list[Endpoint] = []
    for text in server.listen:
        try:
            endpoint = parse_endpoint(text, data)
        except ValueError as error:
            raise file.error("server", "listen", str(error)) from error
        if endpoint in endpoints and (endpoint.port or endpoint.kind == "unix"):
            raise file.error("server", "listen", f"{text} is listed twice")
        endpoints.append(endpoint)
    return tuple(endpoints)


def _check_tls(file: TomlFile, tls: TlsSettings) -> None:
    if bool(tls.certificate) != bool(tls.key):
        missing = "key" if tls.certificate else "certificate"
        raise file.error("tls", missing, "certificate and key go together: set both")


def _check_limits(file: TomlFile, limits: LimitSettings) -> None:
    least = _JSON_GROWTH * limits.text + _REQUEST_OVERHEAD
    if limits.frame < least:
        raise file.error(
            "limits",
            "frame",
            f"a text of limits.text = {limits.text} bytes may take a frame of {least}:"
            " raise it, or lower limits.text",
        )
    most = (MAX_BODY_FROM_SERVER - _PUSH_OVERHEAD) // _JSON_GROWTH
    if limits.text > most:
        raise file.error(
            "limits", "text", f"clients take no text of more than {most} bytes"
        )
