"""Server addresses and join links: parsing, and the canonical form that is stored.

host   host:port   [::1]:4747   tls://host:port      TLS, the default
tcp://host:port                                      no encryption
unix:PATH                                            a socket on this machine
chat://host:port/room?pin=…&invite=…                 a join link (TLS)
"""

import os

from msgspec import Struct

from chatd.protocol.links import parse_host_port, parse_join_link
from client.errors import BadAddressError


class ServerAddress(Struct, frozen=True, kw_only=True):
    """The address of a server, with what a join link adds to it.

    ``str(address)`` is the form under which pins, logins and caches are kept; it can be
    parsed again.

    Attributes:
        scheme: ``tls``, ``tcp`` or ``unix``.
        host: A name in lower case or an IP address without brackets; "" for Unix.
        port: 0 for Unix.
        path: The Unix socket's absolute path, else "".
        pin: The fingerprint that a join link demands.
        room: The room (``#name``) that a join link leads to.
        invite: The invite code that a join link brings.
    """

    scheme: str
    host: str = ""
    port: int = 0
    path: str = ""
    pin: str | None = None
    room: str | None = None
    invite: str | None = None

    def __str__(self) -> str:
        if self.scheme == "unix":
            return f"unix:{self.path}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"


def parse_server_address(text: str) -> ServerAddress:
    """Parse an address as a user types it, in any of the forms above.

    Raises:
        BadAddressError: It is none of them; the text says what is wrong.
    """
    text = text.strip()
    if text.lower().startswith("chat://"):
        return _parse_link(text)
    if text.startswith("unix:"):
        path = text.removeprefix("unix:")
        if not path:
            raise BadAddressError("unix: needs the path of a socket behind it")
        return ServerAddress(scheme="unix", path=os.path.abspath(path))
    scheme, separator, rest = text.partition("://")
    if not separator:
        scheme, rest = "tls", text
    if scheme.lower() not in ("tls", "tcp"):
        raise BadAddressError(
            f"'{scheme}://' is not known; use host:port, tls://, tcp://, unix:PATH "
            "or a join link (chat://…)"
        )
    return _parse_host(scheme.lower(), rest.removesuffix("/"))


def _parse_host(scheme: str, text: str) -> ServerAddress:
    try:
        host, port = parse_host_port(text)
    except ValueError as error:
        raise BadAddressError(f"that is no address of a server: {error}") from error
    return ServerAddress(scheme=scheme, host=host, port=port)


def _parse_link(text: str) -> ServerAddress:
    try:
        link = parse_join_link(text)
    except ValueError as error:
        raise BadAddressError(f"the join link is not usable: {error}") from error
    return ServerAddress(
        scheme="tls",
        host=link.host,
        port=link.port,
        pin=link.pin,
        room=None if link.room is None else f"#{link.room}",
        invite=link.invite,
    )
