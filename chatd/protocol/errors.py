"""The exceptions of the protocol: refusals with their wire codes, broken framing.

    ChatError                    a refusal that is sent to the peer
     ├── BadRequestError …       one class per code, see below
     └── TemporaryError          worth repeating with the same key
          ├── RateLimitedError, StorageFullError, UnavailableError,
          └── OutOfOrderError, ServerStoppingError
    FrameError                   the stream of frames cannot be resumed
     ├── EmptyFrameError         a length of zero
     └── FrameTooLargeError      a length over the limit

A code is stable (protocol README, section 2); a reason is a sentence for users.
"""


class ChatError(Exception):
    """A refusal, sent to the peer as an ``error`` message.

    Args:
        reason: One sentence for users: what was wrong and what to do.
        retry_after_ms: When trying again may help, in milliseconds from now.
    """

    code = "bad_request"

    def __init__(self, reason: str, retry_after_ms: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after_ms = retry_after_ms


class BadRequestError(ChatError):
    """The body does not fit its type's schema, or is no message at all."""


class UnknownTypeError(ChatError):
    """The type of the message is not known here."""

    code = "unknown_type"


class BadFrameError(ChatError):
    """A frame announced an impossible length; the connection is closed."""

    code = "bad_frame"


class NotAuthenticatedError(ChatError):
    """The request needs a login first."""

    code = "not_authenticated"


class AuthFailedError(ChatError):
    """The login was refused; never says whether the user exists."""

    code = "auth_failed"


class NameTakenError(ChatError):
    """A user or room of that name exists, or once existed."""

    code = "name_taken"


class BadNameError(ChatError):
    """The name breaks the rules of the protocol README, section 3."""

    code = "bad_name"


class WeakPasswordError(ChatError):
    """The password is too short, too long or not usable."""

    code = "weak_password"


class RegistrationClosedError(ChatError):
    """This server does not take registrations."""

    code = "registration_closed"


class BadInviteError(ChatError):
    """The invite code is missing, unknown, used up or expired."""

    code = "bad_invite"


class NoSuchUserError(ChatError):
    """There is no user of that name."""

    code = "no_such_user"


class NoSuchRoomError(ChatError):
    """There is no such room, as far as the asking user may know."""

    code = "no_such_room"


class NoSuchMessageError(ChatError):
    """There is no such entry in the chat."""

    code = "no_such_message"


class NotAMemberError(ChatError):
    """The user is not a member of the room."""

    code = "not_a_member"


class NotAllowedError(ChatError):
    """The user or the connection may not do that."""

    code = "not_allowed"


class BlockedError(ChatError):
    """The other user does not want messages from this one."""

    code = "blocked"


class BannedError(ChatError):
    """The user is banned from the room."""

    code = "banned"


class MutedError(ChatError):
    """The user may read the room but not write to it."""

    code = "muted"


class TooLargeError(ChatError):
    """A text, topic or reply is over its limit."""

    code = "too_large"


class TooManyError(ChatError):
    """A bounded number (rooms, members, invitations …) is reached."""

    code = "too_many"


class KeyReusedError(ChatError):
    """The key of a send was already used for a different message."""

    code = "key_reused"


class TemporaryError(ChatError):
    """A refusal that means: repeat the same request, with the same key."""

    code = "unavailable"


class RateLimitedError(TemporaryError):
    """More than the configured rate; ``retry_after_ms`` says when to go on."""

    code = "rate_limited"


class StorageFullError(TemporaryError):
    """The disk is full: no message was stored; of a file, what came before is kept."""

    code = "storage_full"


class UnavailableError(TemporaryError):
    """The outcome is unknown: ask again with the same key."""


class OutOfOrderError(TemporaryError):
    """An earlier send to this chat was refused and has to come again first."""

    code = "out_of_order"


class ServerStoppingError(TemporaryError):
    """The daemon is about to stop; reconnect and repeat."""

    code = "server_stopping"


class FrameError(Exception):
    """The stream of frames is broken beyond this point: close the connection."""


class EmptyFrameError(FrameError):
    """A frame announced a body of zero bytes."""


class FrameTooLargeError(FrameError):
    """A frame announced a body over the limit."""


def _subclasses(cls: type[ChatError]) -> list[type[ChatError]]:
    found = [cls]
    for sub in cls.__subclasses__():
        found.extend(_subclasses(sub))
    return found


_BY_CODE: dict[str, type[ChatError]] = {}
for _cls in reversed(_subclasses(ChatError)):
    _BY_CODE[_cls.code] = _cls
_BY_CODE["bad_request"] = BadRequestError
_BY_CODE["unavailable"] = UnavailableError


def error_from_code(
    code: str, reason: str, retry_after_ms: int | None = None
) -> ChatError:
    """Return the exception for a code that a client received.

    A code that this version does not know becomes a plain ``ChatError`` carrying it.
    """
    cls = _BY_CODE.get(code)
    if cls is None:
        error = ChatError(reason, retry_after_ms)
        error.code = code
        return error
    return cls(reason, retry_after_ms)
