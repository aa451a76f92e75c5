"""Every message type once, as tagged structs (protocol README, sections 1 to 8).

Requests travel from client to server, replies and pushes the other way. Members that
are ``None`` or at their default are left out on the wire. ``parse_request`` is the
server's way in, ``parse_server_message`` the client's.

The structs hold values as they are on the wire: names are canonicalised and rules
checked by the core, so that a refusal can carry the right code.
"""

import json
import re as _regex
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from chatd.protocol.errors import BadRequestError, ChatError, UnknownTypeError

MAX_DEPTH = 32
MAX_ID = 2**53 - 1

Id = Annotated[int, Meta(ge=1, le=MAX_ID)]
Seq = Annotated[int, Meta(ge=0, le=MAX_ID)]
Key = Annotated[str, Meta(min_length=1, max_length=64)]
Limit = Annotated[int, Meta(ge=1, le=200)]
ShortText = Annotated[str, Meta(max_length=256)]
Bytes = Annotated[int, Meta(ge=0, le=MAX_ID)]
FileId = Annotated[str, Meta(min_length=1, max_length=64)]
Sha256 = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
Address = Annotated[str, Meta(min_length=2, max_length=256)]
Status = Literal["online", "away", "busy"]
Visibility = Literal["public", "private"]
SyncMode = Literal["unread", "ask", "none"]


class Request(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What a client may ask; ``id`` comes back as ``re``."""

    id: Id | None = None


class Register(Request, frozen=True, kw_only=True, tag="register"):
    """Make an account; answered ``registered``."""

    user: str
    password: str
    invite: ShortText | None = None


class Auth(Request, frozen=True, kw_only=True, tag="auth"):
    """One step of a login; answered ``challenge``, ``ready`` or ``auth_failed``."""

    mechanism: ShortText | None = None
    data: str | None = None
    user: str | None = None
    password: str | None = None
    token: ShortText | None = None
    device: ShortText | None = None
    client: ShortText | None = None
    remember: bool = False
    sync: SyncMode = "unread"


class Sync(Request, frozen=True, kw_only=True, tag="sync"):
    """Say what is held already, and ask for the backlog after it."""

    have: dict[Address, Seq] = {}
    more: bool = False


class _OpenSend(Request, frozen=True, kw_only=True, tag="send"):
    chat: Address
    text: str
    key: Key | None = None
    reply_to: Seq | None = None
    kind: Literal["text", "action"] = "text"


class Send(_OpenSend, frozen=True, tag="send", forbid_unknown_fields=True):
    """Append a text to a chat; ``action`` is what clients type as /me.

    Unknown members are ignored here as everywhere, but by way of ``_OpenSend``: a body
    that has none cannot be nested, nor hide text that is not UTF-8, so that the most
    frequent request needs no other check than being decoded.
    """


class Read(Request, frozen=True, kw_only=True, tag="read"):
    """Advance the cursor of a chat; no reply."""

    chat: Address
    seq: Seq


class History(Request, frozen=True, kw_only=True, tag="history"):
    """Ask for entries next to one exclusive bound."""

    chat: Address
    before: Seq | None = None
    after: Seq | None = None
    limit: Limit = 50


class Typing(Request, frozen=True, kw_only=True, tag="typing"):
    """Say that one is typing; no reply, never stored."""

    chat: Address


class Create(Request, frozen=True, kw_only=True, tag="create"):
    """Make a room; answered ``joined``."""

    room: Address
    topic: str = ""
    visibility: Visibility = "public"


class Join(Request, frozen=True, kw_only=True, tag="join"):
    """Become a member of a room; answered ``joined``."""

    room: Address


class Leave(Request, frozen=True, kw_only=True, tag="leave"):
    """Stop being a member of a room."""

    room: Address


class Topic(Request, frozen=True, kw_only=True, tag="topic"):
    """Change a room's topic."""

    room: Address
    topic: str


class Invite(Request, frozen=True, kw_only=True, tag="invite"):
    """Permit a user to join a room."""

    room: Address
    user: str


class Decline(Request, frozen=True, kw_only=True, tag="decline"):
    """Refuse an invitation to a room."""

    room: Address


class Rooms(Request, frozen=True, kw_only=True, tag="rooms"):
    """List the public rooms, by name, after a name."""

    after: str | None = None
    limit: Limit = 200


class Members(Request, frozen=True, kw_only=True, tag="members"):
    """List the members of a room, by name, after a name."""

    room: Address
    after: str | None = None
    limit: Limit = 200


class SetStatus(Request, frozen=True, kw_only=True, tag="status"):
    """Say how present one is; kept until this user's last connection ends."""

    status: Status
    text: ShortText = ""


class Whois(Request, frozen=True, kw_only=True, tag="whois"):
    """Ask about a user."""

    user: str


class Upload(Request, frozen=True, kw_only=True, tag="upload"):
    """Announce a file for a chat; answered ``upload`` with a ticket, or ``stored``.

    ``sha256`` is that of the content, in hexadecimal; ``text`` is a caption.
    """

    chat: Address
    name: str
    size: Bytes
    sha256: Sha256
    key: Key
    text: str = ""


class CancelUpload(Request, frozen=True, kw_only=True, tag="cancel_upload"):
    """Give up an upload that one has begun; what came of it is removed."""

    file: FileId


class Download(Request, frozen=True, kw_only=True, tag="download"):
    """Ask for a ticket to fetch a file from an offset on."""

    file: FileId
    offset: Bytes = 0


class Data(Request, frozen=True, kw_only=True, tag="data"):
    """Instead of a login: make this the connection that a ticket is for."""

    ticket: ShortText


class Files(Request, frozen=True, kw_only=True, tag="files"):
    """List the files of a chat, newest first, below a seq."""

    chat: Address
    before: Seq | None = None
    limit: Limit = 50


class Ping(Request, frozen=True, kw_only=True, tag="ping"):
    """Ask for a sign of life; either side may."""


class PongFromClient(Request, frozen=True, kw_only=True, tag="pong"):
    """A client's answer to the server's ping; no reply."""

    re: int | None = None
    time: int | None = None


REQUESTS: tuple[type[Request], ...] = (
    Send,
    Register,
    Auth,
    Sync,
    Read,
    History,
    Typing,
    Create,
    Join,
    Leave,
    Topic,
    Invite,
    Decline,
    Rooms,
    Members,
    SetStatus,
    Whois,
    Upload,
    CancelUpload,
    Download,
    Data,
    Files,
    Ping,
    PongFromClient,
)

# Answered only by an ``error``, and only if they carry an ``id``.
NO_REPLY: frozenset[type[Request]] = frozenset({Read, Typing, PongFromClient})


class ServerMessage(Struct, kw_only=True, omit_defaults=True, gc=False):
    """What the server sends; with ``re`` it is a reply, without it a push."""

    re: int | None = None


class Error(ServerMessage, kw_only=True, tag="error"):
    """A refusal: a stable code and a sentence for people."""

    code: str
    reason: str
    retry_after: int | None = None


class Closing(ServerMessage, kw_only=True, tag="closing"):
    """The last message before the server hangs up; ``retry_after`` in ms."""

    code: str
    reason: str
    retry_after: int | None = None


class Pong(ServerMessage, kw_only=True, tag="pong"):
    """The answer to a ping."""

    time: int


class PingFromServer(ServerMessage, kw_only=True, tag="ping"):
    """The server asks for a sign of life."""

    id: int | None = None


class Hello(ServerMessage, kw_only=True, tag="hello"):
    """The first message of every connection."""

    protocol: int
    server: str
    name: str
    auth: list[str]
    registration: str
    time: int
    motd: str | None = None


class Registered(ServerMessage, kw_only=True, tag="registered"):
    """The account exists now; ``auth`` is what logs in."""

    user: str


class Challenge(ServerMessage, kw_only=True, tag="challenge"):
    """The server's part of SCRAM."""

    data: str


class Limits(Struct, kw_only=True, omit_defaults=True):
    """The bounds that a client needs to know, in bytes or counts.

    ``upload`` is the size of the largest file; it is left out where there are none.
    """

    frame: int
    text: int
    in_flight: int
    upload: int | None = None


class Invitation(Struct, omit_defaults=True):
    """A room that the user may join, and who said so."""

    room: str
    by: str


class ChatRecord(Struct, kw_only=True, omit_defaults=True):
    """One chat of a user, as in ``ready`` and ``joined``.

    ``first`` is the lowest seq that the user may see; ``unread`` counts texts, actions
    and files by others after ``read``, 1,000 meaning 1,000 or more.
    """

    chat: str
    last: int
    read: int
    first: int
    unread: int
    topic: str | None = None
    role: str | None = None
    visibility: str | None = None
    peer_read: int | None = None


class Ready(ServerMessage, kw_only=True, tag="ready"):
    """Logged in: who one is, the limits, and one's chats (more may follow)."""

    user: str
    role: str
    log: str
    limits: Limits
    chats: list[ChatRecord]
    more: bool
    data: str | None = None
    token: str | None = None
    invites: list[Invitation] = []


class Chats(ServerMessage, kw_only=True, tag="chats"):
    """The rest of the chats that did not fit into ``ready``."""

    chats: list[ChatRecord]
    more: bool


class Synced(ServerMessage, kw_only=True, tag="synced"):
    """The backlog is complete; what follows is live."""


class Sent(ServerMessage, kw_only=True, tag="sent"):
    """The entry is on stable storage."""

    chat: str
    seq: int
    time: int
    duplicate: bool = False


class FileInfo(Struct, frozen=True, kw_only=True, gc=False):
    """A file as its message describes it; ``id`` is what ``download`` takes."""

    id: str
    name: str
    size: int
    sha256: str


class Message(ServerMessage, kw_only=True, tag="message", rename={"from_": "from"}):
    """One entry of a log, as a push and in a page of history.

    The members after ``kind`` are there where they apply.
    """

    chat: str = ""
    seq: int
    prev: int
    from_: str
    time: int
    kind: str
    text: str | None = None
    reply_to: int | None = None
    by: str | None = None
    topic: str | None = None
    visibility: str | None = None
    role: str | None = None
    key: str | None = None
    edited: int | None = None
    deleted: bool = False
    target: int | None = None
    rev: int | None = None
    file: FileInfo | None = None


class HistoryPage(ServerMessage, kw_only=True, tag="history"):
    """Entries of a log, oldest first, those next to the bound that was asked."""

    chat: str
    messages: list[Message]
    more: bool


class ReadPush(ServerMessage, kw_only=True, tag="read"):
    """A cursor moved: one's own on another device, or the other user's."""

    chat: str
    seq: int
    user: str


class TypingPush(ServerMessage, kw_only=True, tag="typing"):
    """Somebody is typing in a chat."""

    chat: str
    user: str


class Joined(ServerMessage, kw_only=True, tag="joined"):
    """A chat was gained: the reply to create and join, else a push."""

    chat: ChatRecord


class Left(ServerMessage, kw_only=True, tag="left"):
    """A chat was lost, and why."""

    chat: str
    code: str


class Invited(ServerMessage, kw_only=True, tag="invited"):
    """Somebody invited the user to a room."""

    room: str
    by: str


class Ok(ServerMessage, kw_only=True, tag="ok"):
    """Done."""


class RoomInfo(Struct, omit_defaults=True):
    """A public room, as listed."""

    room: str
    topic: str
    members: int


class RoomsPage(ServerMessage, kw_only=True, tag="rooms"):
    """Public rooms, by name."""

    rooms: list[RoomInfo]
    more: bool


class MemberInfo(Struct, kw_only=True):
    """A member of a room."""

    user: str
    role: str
    status: str


class MembersPage(ServerMessage, kw_only=True, tag="members"):
    """Members of a room, by name."""

    members: list[MemberInfo]
    more: bool


class PresenceOf(Struct, kw_only=True, omit_defaults=True):
    """How present a user is; ``seen`` (ms) where offline and known."""

    status: str
    text: str = ""
    seen: int | None = None


class Presence(ServerMessage, kw_only=True, tag="presence"):
    """Users whose presence changed."""

    users: dict[str, PresenceOf]
    more: bool


class WhoisReply(ServerMessage, kw_only=True, tag="whois"):
    """What may be known about a user; ``since`` and ``seen`` in ms."""

    user: str
    role: str
    status: str
    text: str = ""
    since: int | None = None
    seen: int | None = None


class UploadReply(ServerMessage, kw_only=True, tag="upload"):
    """An upload may begin, or go on from ``offset``, on a connection of its own."""

    file: str
    offset: int
    ticket: str


class Stored(ServerMessage, kw_only=True, tag="stored"):
    """The file is on stable storage, and ``seq`` is the entry that says so."""

    file: str
    seq: int


class DownloadReply(ServerMessage, kw_only=True, tag="download"):
    """A file may be fetched, on a connection of its own."""

    name: str
    size: int
    sha256: str
    ticket: str


class DataReply(ServerMessage, kw_only=True, tag="data"):
    """What follows are the raw bytes of a file from ``offset`` on."""

    offset: int
    size: int


class FileItem(Struct, kw_only=True, omit_defaults=True, rename={"from_": "from"}):
    """A file of a chat, as listed; ``text`` is its caption."""

    seq: int
    from_: str
    time: int
    file: FileInfo
    text: str = ""


class FilesPage(ServerMessage, kw_only=True, tag="files"):
    """Files of a chat that can be fetched, newest first."""

    chat: str
    files: list[FileItem]
    more: bool


SERVER_MESSAGES: tuple[type[ServerMessage], ...] = (
    Message,
    Sent,
    Error,
    Closing,
    Pong,
    PingFromServer,
    Hello,
    Registered,
    Challenge,
    Ready,
    Chats,
    Synced,
    HistoryPage,
    ReadPush,
    TypingPush,
    Joined,
    Left,
    Invited,
    Ok,
    RoomsPage,
    MembersPage,
    Presence,
    WhoisReply,
    UploadReply,
    Stored,
    DownloadReply,
    DataReply,
    FilesPage,
)


def _tag(cls: type[Struct]) -> str:
    tag = cls.__struct_config__.tag
    assert isinstance(tag, str)
    return tag


_REQUEST_BY_TAG: dict[str, type[Request]] = {_tag(cls): cls for cls in REQUESTS}
_SERVER_BY_TAG: dict[str, type[ServerMessage]] = {
    _tag(cls): cls for cls in SERVER_MESSAGES
}

_request_union: Any = _OpenSend
for _cls in REQUESTS:
    if _cls is not Send:
        _request_union = _request_union | _cls
_server_union: Any = SERVER_MESSAGES[0]
for _server_cls in SERVER_MESSAGES[1:]:
    _server_union = _server_union | _server_cls
_decode_send = msgspec.json.Decoder(Send).decode
_decode_request = msgspec.json.Decoder(_request_union).decode
_decode_server = msgspec.json.Decoder(_server_union).decode
_decode_any = msgspec.json.Decoder().decode
_encoder = msgspec.json.Encoder()

# Possessive, and with the closing quote optional: a string that never ends is passed
# over once, where searching on from each of its quotes would take quadratic time.
_STRUCTURE = _regex.compile(rb'"(?:[^"\\]++|\\.)*+"?|[\[\]{}]', _regex.DOTALL)


class InvalidBodyError(Exception):
    """A body that is answered with ``error``.

    Attributes:
        error: What to answer.
        re: The valid ``id`` of the body, if it had one.
    """

    def __init__(self, error: ChatError, re: int | None = None) -> None:
        super().__init__(error.reason)
        self.error = error
        self.re = re


def parse_request(body: bytes) -> Request:
    """Return the request that ``body`` holds.

    Raises:
        InvalidBodyError: The body is not UTF-8, not JSON, not an object, nested deeper
            than ``MAX_DEPTH``, has a lone surrogate, is of an unknown type, or does not
            fit its type's schema. The connection can go on.
    """
    try:
        return _decode_send(body)
    except _DECODE_ERRORS:
        return _parse_any(body)


def _parse_any(body: bytes) -> Request:
    try:
        # msgspec does not look at the text of members that the schema does not have,
        # nor limit their depth.
        if not body.isascii():
            body.decode()
        _check_depth(body)
        return _closed(_decode_request(body))
    except _DECODE_ERRORS as error:
        return _parse_slowly(body, error)


def _closed(request: Request) -> Request:
    if type(request) is _OpenSend:
        return msgspec.convert(request, Send, from_attributes=True)
    return request


def parse_server_message(body: bytes) -> ServerMessage | None:
    """Return the message that the server sent, or None for a type unknown here.

    Raises:
        InvalidBodyError: The server sent something that is no message of ours.
    """
    try:
        message: ServerMessage = _decode_server(body)
    except _DECODE_ERRORS as error:
        tag = _peek(body).get("type")
        if isinstance(tag, str) and tag not in _SERVER_BY_TAG:
            return None
        raise InvalidBodyError(BadRequestError(_describe(error))) from error
    return message


def encode_message(message: ServerMessage | Request) -> bytes:
    """Return the body of a message; ``type`` is its first member."""
    return _encoder.encode(message)


_DECODE_ERRORS = (
    msgspec.MsgspecError,
    UnicodeDecodeError,
    RecursionError,
    ValueError,
)


def _check_depth(body: bytes) -> None:
    if body.count(b"[") + body.count(b"{") > MAX_DEPTH and _depth(body) > MAX_DEPTH:
        raise ValueError(f"nested deeper than {MAX_DEPTH}")


def _depth(body: bytes) -> int:
    depth = deepest = 0
    for match in _STRUCTURE.finditer(body):
        first = match.group()[0]
        if first in b"[{":
            depth += 1
            deepest = max(deepest, depth)
            if deepest > MAX_DEPTH:
                break
        elif first in b"]}":
            depth -= 1
    return deepest


def _peek(body: bytes) -> dict[str, Any]:
    try:
        found = _decode_any(body)
    except _DECODE_ERRORS:
        return {}
    return found if isinstance(found, dict) else {}


def _valid_id(value: object) -> int | None:
    if type(value) is int and 1 <= value <= MAX_ID:
        return value
    return None


def _refuse_constant(text: str) -> None:
    raise ValueError(f"{text} is not JSON")


def _lenient_id(body: bytes) -> int | None:
    # The reply to a body that is JSON, but not acceptable (too deep, a lone surrogate),
    # still carries its id; the standard library's parser is the more tolerant one.
    try:
        # From text: given bytes, it would guess at UTF-16 and UTF-32 too.
        found = json.loads(body.decode(), parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return None
    return _valid_id(found.get("id")) if isinstance(found, dict) else None


def _parse_slowly(body: bytes, error: Exception) -> Request:
    """Find out what is wrong with a body, or that nothing is.

    A body whose ``type`` is given twice is refused by msgspec, but valid: of duplicate
    members the last counts (section 1).
    """
    try:
        body.decode()
        _check_depth(body)
        found = _decode_any(body)
    except _DECODE_ERRORS as reason:
        described = BadRequestError(_describe(reason, body))
        raise InvalidBodyError(described, _lenient_id(body)) from error
    if not isinstance(found, dict):
        raise InvalidBodyError(BadRequestError("the body must be one JSON object"))
    re = _valid_id(found.get("id"))
    tag = found.get("type")
    if not isinstance(tag, str):
        reason_text = "the member 'type' must be a string"
        raise InvalidBodyError(BadRequestError(reason_text), re) from error
    cls = _REQUEST_BY_TAG.get(tag)
    if cls is None:
        unknown = UnknownTypeError(f"there is no request of type '{tag[:64]}'")
        raise InvalidBodyError(unknown, re) from error
    try:
        return _closed(msgspec.convert(found, _OpenSend if cls is Send else cls))
    except _DECODE_ERRORS as reason:
        raise InvalidBodyError(BadRequestError(_describe(reason)), re) from error


def _describe(error: Exception, body: bytes = b"") -> str:
    if isinstance(error, UnicodeDecodeError):
        return "the body is not UTF-8"
    if isinstance(error, RecursionError):
        return f"the body is nested deeper than {MAX_DEPTH}"
    if isinstance(error, msgspec.ValidationError):
        what, _, path = str(error).partition(" - at `")
        member = path.rstrip("`").removeprefix("$").lstrip(".")
        return f"the member '{member}': {what}" if member else what
    if isinstance(error, msgspec.DecodeError):
        if b"\\ud" in body.lower():
            return "the body is not JSON, or has a lone surrogate"
        return f"the body is not JSON: {error}"
    return f"the body is {error}"
