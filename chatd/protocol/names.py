"""Names of users and rooms, and the addresses of chats (protocol README, section 3).

A user name is what PRECIS UsernameCaseMapped (RFC 8265, section 3.3) makes of it,
restricted further so that it can stand in an address and on one line of a terminal.
Case does not distinguish names: only the canonical form is stored, sent and compared.
"""

import re
import unicodedata
from stringprep import in_table_a1, in_table_b1, in_table_d1, in_table_d2
from typing import Literal

from precis_i18n import get_profile

from chatd.protocol.errors import BadNameError

MAX_USER_NAME = 32
MAX_ROOM_NAME = 64

ChatKind = Literal["direct", "room"]

_PLAIN = re.compile(r"[a-z0-9][a-z0-9._-]*").fullmatch
_SIGNS = "_-."
_profile = get_profile("UsernameCaseMapped")


def parse_user_name(name: str) -> str:
    """Return the canonical form of a user name.

    Raises:
        BadNameError: The name breaks a rule; the reason says which.
    """
    return _canonical(name, MAX_USER_NAME, "user")


def parse_room_name(name: str) -> str:
    """Return the canonical form of a room name, which is given without its ``#``.

    Raises:
        BadNameError: The name breaks a rule; the reason says which.
    """
    return _canonical(name, MAX_ROOM_NAME, "room")


def parse_address(address: str) -> tuple[ChatKind, str]:
    """Return the kind of chat that an address means, and the canonical name in it.

    Raises:
        BadNameError: It is neither ``@user`` nor ``#room``.
    """
    if address.startswith("@"):
        return "direct", parse_user_name(address[1:])
    if address.startswith("#"):
        return "room", parse_room_name(address[1:])
    raise BadNameError("the address of a chat is @user or #room")


def canonical_address(address: str) -> str:
    """Return an address with the canonical form of the name in it.

    Raises:
        BadNameError: It is neither ``@user`` nor ``#room``.
    """
    kind, name = parse_address(address)
    return f"@{name}" if kind == "direct" else f"#{name}"


def parse_room_address(address: str) -> str:
    """Return the canonical name of the room that ``#room`` means.

    Raises:
        BadNameError: It is not ``#room``.
    """
    kind, name = parse_address(address)
    if kind != "room":
        raise BadNameError("a room's address begins with #")
    return name


def _canonical(name: str, limit: int, what: str) -> str:
    if len(name) <= limit and _PLAIN(name):
        return name
    if not name:
        raise BadNameError(f"a {what} name must not be empty")
    # PRECIS never makes a name of four times the limit legal; this bounds the work.
    if len(name) > limit * 4:
        raise BadNameError(f"a {what} name has at most {limit} characters")
    try:
        canonical = _profile.enforce(name)
    except UnicodeEncodeError as error:
        raise BadNameError(
            f"a {what} name has letters, digits and _ - . only"
        ) from error
    if len(canonical) > limit:
        raise BadNameError(f"a {what} name has at most {limit} characters")
    for char in canonical:
        category = unicodedata.category(char)
        if category[0] not in "LM" and category != "Nd" and char not in _SIGNS:
            raise BadNameError(f"a {what} name has letters, digits and _ - . only")
    if canonical[0] in _SIGNS:
        raise BadNameError(f"a {what} name must not begin with _ - or .")
    if not _is_own_saslprep(canonical):
        raise BadNameError(f"that {what} name cannot be used to log in")
    return canonical


def _is_own_saslprep(name: str) -> bool:
    """Whether SASLprep (RFC 4013), which SCRAM applies, leaves a name unchanged.

    Args:
        name: Letters, marks, digits and signs only: all else that SASLprep prohibits is
            of other categories.
    """
    if unicodedata.ucd_3_2_0.normalize("NFKC", name) != name:
        return False
    if any(in_table_a1(char) or in_table_b1(char) for char in name):
        return False
    if any(map(in_table_d1, name)):  # RFC 3454, section 6: written from right to left
        is_enclosed = in_table_d1(name[0]) and in_table_d1(name[-1])
        return is_enclosed and not any(map(in_table_d2, name))
    return True
