"""The rules for passwords: length, and normalization by SASLprep (RFC 4013)."""

from scramp.utils import ScramException, saslprep

from chatd.protocol.errors import WeakPasswordError

MIN_CHARACTERS = 8
MAX_BYTES = 1_024


def prepare_password(password: str) -> str:
    """Return the password as SASLprep normalizes it, which is what is hashed.

    Raises:
        WeakPasswordError: It breaks a rule; the reason says which.
    """
    try:
        size = len(password.encode())
    except UnicodeEncodeError as error:
        raise WeakPasswordError("the password is not valid Unicode") from error
    # The size comes first, because it bounds the work of SASLprep.
    if size > MAX_BYTES:
        raise WeakPasswordError(f"a password has at most {MAX_BYTES} bytes of UTF-8")
    prepared = _saslprep(password)
    if len(prepared) < MIN_CHARACTERS:
        raise WeakPasswordError(f"a password has at least {MIN_CHARACTERS} characters")
    return prepared


def _saslprep(password: str) -> str:
    if password.isascii() and password.isprintable():
        return password
    try:
        prepared: str = saslprep(password)
    except ScramException as error:
        raise WeakPasswordError(
            "the password has a character that cannot be used in one: a control "
            "character, a newer symbol, or a mix of writing directions"
        ) from error
    return prepared
