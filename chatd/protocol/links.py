"""Join links (``chat://`` URLs), and the fingerprints of servers' keys.

A join link is what a user gives another to find a server:

    chat://HOST[:PORT]/[ROOM]?pin=FINGERPRINT&invite=CODE

A fingerprint names a server's key, not its certificate, so that a renewed certificate
keeps it: unpadded base64url of SHA-256 over the DER SubjectPublicKeyInfo.
"""

import binascii
import hashlib
import ipaddress
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlsplit

from msgspec import Struct

from chatd.protocol.errors import BadNameError
from chatd.protocol.names import parse_room_name

SCHEME = "chat"
DEFAULT_PORT = 4747
MAX_LINK = 2_048
MAX_INVITE = 128

_is_host_name = re.compile(r"(?![.-])[\w.-]{1,253}").fullmatch
_is_blank = re.compile(r"[\s\x00-\x1f\x7f]").search


class LinkError(ValueError):
    """A join link that cannot be used; the text says why and what to do."""


def fingerprint_of_key(spki_der: bytes) -> str:
    """Return the fingerprint of a public key, given as DER SubjectPublicKeyInfo."""
    digest = hashlib.sha256(spki_der).digest()
    return urlsafe_b64encode(digest).decode("ascii").rstrip("=")


def fingerprint_of_certificate(der: bytes) -> str:
    """Return the fingerprint of the key in a certificate.

    Raises:
        ValueError: It is not a certificate.
    """
    # Not at the top: the import is slow, and formatting a link does not need it.
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization

    key = x509.load_der_x509_certificate(der).public_key()
    return fingerprint_of_key(
        key.public_bytes(
            serialization.Encoding.DER,
            serialization.PublicFormat.SubjectPublicKeyInfo,
        )
    )


class JoinLink(Struct, frozen=True):
    """A join link: where a server is, how to recognize it, and what to do there.

    Attributes:
        host: A host name in lower case or an IP address, without brackets.
        port: 1 to 65535.
        room: The canonical name of a room to join, without ``#``.
        pin: The fingerprint of the server's key.
        invite: An invite code to register with.
    """

    host: str
    port: int = DEFAULT_PORT
    room: str | None = None
    pin: str | None = None
    invite: str | None = None

    def format(self) -> str:
        """Return the link as text, which ``parse_join_link`` parses."""
        members = {"pin": self.pin, "invite": self.invite}
        query = "&".join(
            f"{name}={quote(value, safe='')}"
            for name, value in members.items()
            if value is not None
        )
        room = quote(self.room or "", safe="")
        address = format_host_port(self.host, self.port)
        return f"{SCHEME}://{address}/{room}" + (f"?{query}" if query else "")


def format_host_port(host: str, port: int) -> str:
    """Return ``HOST[:PORT]``: IPv6 in brackets, the default port left out."""
    shown = f"[{host}]" if ":" in host else host
    return shown if port == DEFAULT_PORT else f"{shown}:{port}"


def parse_host_port(text: str, lowest_port: int = 1) -> tuple[str, int]:
    """Return host and port of ``HOST``, ``HOST:PORT``, ``[IPV6]`` or ``[IPV6]:PORT``.

    Args:
        text: As the user wrote it.
        lowest_port: 0 where a listener may leave the choice to the system.

    Raises:
        LinkError: It is none of these; the text says why.
    """
    if "@" in text or "/" in text or _is_blank(text):
        raise LinkError(f"{text!r} is not an address: write HOST or HOST:PORT")
    if text.count(":") > 1 and not text.startswith("["):
        raise LinkError(f"put an IPv6 address in brackets: [{text}]")
    if text.startswith("["):
        host, closed, rest = text[1:].partition("]")
        if not closed or (rest and not rest.startswith(":")):
            raise LinkError(f"{text!r} is not an address: write [IPV6] or [IPV6]:PORT")
        host = _parse_ipv6(host)
        port = rest[1:] if rest else None
    else:
        host, colon, number = text.lower().partition(":")
        if not _is_host_name(host):
            raise LinkError(
                f"{host!r} is not a host: write a host name or an IP address"
                if host
                else "the host is missing"
            )
        port = number if colon else None
    return host, DEFAULT_PORT if port is None else _parse_port(port, lowest_port)


def parse_join_link(text: str) -> JoinLink:
    """Parse a join link.

    Query parameters that are not known here are ignored: newer links may have more.

    Raises:
        LinkError: It is not a join link; the text says why.
    """
    parts = _split(text.strip())
    host, port = parse_host_port(parts.netloc)
    members = _parse_query(parts.query)
    pin = members.get("pin")
    return JoinLink(
        host=host,
        port=port,
        room=_parse_room(parts.path),
        pin=None if pin is None else parse_pin(pin),
        invite=_parse_invite(members.get("invite")),
    )


def parse_pin(text: str) -> str:
    """Return a fingerprint that the user entered, checked and without padding.

    Raises:
        LinkError: It is not base64url of 32 bytes.
    """
    pin = text.rstrip("=")
    try:
        digest = urlsafe_b64decode(pin + "=" * (-len(pin) % 4))
    except (binascii.Error, ValueError):
        digest = b""
    # The comparison catches what the decoder silently skips or cuts off.
    if len(digest) != 32 or urlsafe_b64encode(digest).decode("ascii")[:43] != pin:
        raise LinkError(
            "the pin is not a fingerprint (43 letters, digits, - and _):"
            " copy it again, whole"
        )
    return pin


def _split(text: str) -> SplitResult:
    if len(text) > MAX_LINK:
        raise LinkError(f"a join link has at most {MAX_LINK} characters")
    if _is_blank(text):
        raise LinkError("a join link has no blanks in it: copy it again, whole")
    if not text.lower().startswith(f"{SCHEME}://"):
        raise LinkError(f"a join link begins with {SCHEME}://")
    try:
        parts = urlsplit(text)
    except ValueError as error:
        raise LinkError("the host of the join link is not a valid address") from error
    if parts.fragment:
        raise LinkError("write the room of a join link without #")
    return parts


def _parse_query(query: str) -> dict[str, str]:
    members: dict[str, str] = {}
    try:
        pairs = parse_qsl(query, keep_blank_values=True, errors="strict")
    except ValueError as error:
        raise LinkError("the part of the join link after ? is not valid") from error
    for name, value in pairs:
        # Of two pins, neither can be trusted.
        if name in members:
            raise LinkError(f"the join link has {name!r} twice: copy it again")
        members[name] = value
    return members


def _parse_room(path: str) -> str | None:
    if path in ("", "/"):
        return None
    try:
        return parse_room_name(unquote(path[1:], errors="strict"))
    except UnicodeDecodeError as error:
        raise LinkError("the room of the join link is not valid text") from error
    except BadNameError as error:
        raise LinkError(f"the room of the join link: {error.reason}") from error


def _parse_invite(code: str | None) -> str | None:
    if code is None:
        return None
    if not 0 < len(code) <= MAX_INVITE or not code.isprintable():
        raise LinkError("the invite code of the join link is not valid: copy it again")
    return code


def _parse_ipv6(host: str) -> str:
    try:
        return str(ipaddress.IPv6Address(host))
    except ValueError as error:
        raise LinkError(f"{host!r} is not an IPv6 address") from error


def _parse_port(text: str, lowest: int) -> int:
    is_number = text.isascii() and text.isdigit()
    if not is_number or not lowest <= int(text[:6]) <= 65_535:
        raise LinkError(
            f"{text!r} is not a port: write a number from {lowest} to 65535"
        )
    return int(text)
