"""Addresses to listen on: parsing ``[server] listen``, and join links for others."""

import ipaddress
import os
import socket
from pathlib import Path
from typing import Literal

from msgspec import Struct

from chatd.protocol.links import (
    DEFAULT_PORT,
    JoinLink,
    LinkError,
    parse_host_port,
)

# The operating system has 108 bytes for it, one of them for the final NUL (unix(7)).
MAX_SOCKET_PATH = 107

EndpointKind = Literal["tls", "tcp", "unix"]


class Endpoint(Struct, frozen=True):
    """One address to listen on.

    Attributes:
        kind: TLS over TCP, plain TCP, or a Unix socket.
        host: A host name or IP address; empty for a Unix socket.
        port: 0 leaves the choice to the system; 0 for a Unix socket too.
        path: The absolute path of a Unix socket, else empty.
    """

    kind: EndpointKind
    host: str = ""
    port: int = 0
    path: str = ""

    @property
    def is_loopback(self) -> bool:
        """Whether only programs on this machine can connect."""
        if self.kind == "unix" or self.host == "localhost":
            return True
        address = _as_ip(self.host)
        return address is not None and address.is_loopback

    @property
    def is_wildcard(self) -> bool:
        """Whether it stands for all addresses of the machine."""
        address = _as_ip(self.host)
        return address is not None and address.is_unspecified

    def __str__(self) -> str:
        if self.kind == "unix":
            return f"unix:{self.path}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.kind}://{host}:{self.port}"


def parse_endpoint(text: str, folder: Path) -> Endpoint:
    """Parse an address in ``[server] listen``.

    Args:
        text: ``tls://HOST[:PORT]``, ``tcp://HOST[:PORT]`` or ``unix:PATH``.
        folder: What the path of a Unix socket is relative to.

    Raises:
        ValueError: It is none of these; the text says why.
    """
    if text.startswith("unix:"):
        return Endpoint("unix", path=socket_path(folder, text.removeprefix("unix:")))
    scheme, separator, rest = text.partition("://")
    kind: EndpointKind
    if separator and scheme == "tls":
        kind = "tls"
    elif separator and scheme == "tcp":
        kind = "tcp"
    else:
        raise ValueError(
            f"{text!r} is not an address: write tls://HOST:PORT, tcp://HOST:PORT"
            " or unix:PATH"
        )
    try:
        host, port = parse_host_port(rest, lowest_port=0)
    except LinkError as error:
        raise ValueError(f"{text!r} is not an address: {error}") from error
    return Endpoint(kind, host, port)


def socket_path(folder: Path, name: str) -> str:
    """Return the path of a Unix socket that is named relative to ``folder``.

    Raises:
        ValueError: It is empty, or longer than the operating system allows.
    """
    if not name or "\0" in name:
        raise ValueError("the path of a Unix socket is missing")
    path = os.path.abspath(folder / name)
    if (length := len(os.fsencode(path))) > MAX_SOCKET_PATH:
        raise ValueError(
            f"the path of the Unix socket {path} has {length} bytes, but the system"
            f" allows {MAX_SOCKET_PATH}: choose a shorter one"
        )
    return path


def join_links(
    endpoints: tuple[Endpoint, ...],
    public_address: str,
    pin: str | None,
    invite: str | None = None,
) -> list[str]:
    """Return the links by which others on the network can join; empty if none can.

    Args:
        endpoints: The addresses that the daemon listens on; those without TLS or on
            loopback are left out.
        public_address: ``HOST[:PORT]`` to be used in their place, or "".
        pin: The fingerprint of the server's key.
        invite: A code to register with.
    """
    open_ones = [e for e in endpoints if e.kind == "tls" and not e.is_loopback]
    if not open_ones:
        return []
    if public_address:
        addresses = [parse_host_port(public_address)]
    else:
        addresses = [
            (host, endpoint.port)
            for endpoint in open_ones
            for host in _reachable_hosts(endpoint)
        ]
    links = [JoinLink(*address, pin=pin, invite=invite) for address in addresses]
    return list(dict.fromkeys(link.format() for link in links))


def _reachable_hosts(endpoint: Endpoint) -> list[str]:
    if not endpoint.is_wildcard:
        return [endpoint.host]
    # A machine without a route still has a name, which works where there is a DNS.
    own = _own_address(endpoint.host)
    return [own or socket.gethostname().lower()]


def _own_address(wildcard: str) -> str | None:
    """Return this machine's address on the network, without sending anything."""
    is_ipv6 = ":" in wildcard
    family = socket.AF_INET6 if is_ipv6 else socket.AF_INET
    # Addresses for documentation (RFC 5737, RFC 3849): it only consults the routes.
    target = "2001:db8::1" if is_ipv6 else "192.0.2.1"
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((target, DEFAULT_PORT))
            address: str = probe.getsockname()[0]
    except OSError:
        return None
    found = _as_ip(address)
    return None if found is None or found.is_loopback else address


def _as_ip(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
