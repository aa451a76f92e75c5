"""All message types of the protocol, as tagged structs (README, sections 1 to 8).

Requests travel from client to server, replies and pushes the other way. Members that
are ``None`` or at their default are left out on the wire. The server decodes with
``parse_request``, the client with ``parse_server_message``.

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
    """The base of all requests; the reply to one has its ``id`` as ``re``."""

    id: Id | None = None


class Register(Request, frozen=True, kw_only=True, tag="register"):
    """Create an account; answered ``registered``."""

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
    """Report what the client has already, and ask for the backlog after it."""

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
    without any cannot be nested, nor hide text that is not UTF-8. So the most frequent
    request, tried first with this strict schema, needs no check besides the decoding.
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
    """Report that the user is typing; no reply, never stored."""

    chat: Address


class Create(Request, frozen=True, kw_only=True, tag="create"):
    """Create a room; answered ``joined``."""

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
    """Set the user's presence; kept until the user's last connection ends."""

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
    """Cancel an upload of the user's own; the bytes received of it are removed."""

    file: FileId


class Download(Request, frozen=True, kw_only=True, tag="download"):
    """Ask for a ticket to download a file from an offset on."""

    file: FileId
    offset: Bytes = 0


class Data(Request, frozen=True, kw_only=True, tag="data"):
    """Make this the data connection of a ticket; sent instead of a login."""

    ticket: ShortText


class Files(Request, frozen=True, kw_only=True, tag="files"):
    """List the files of a chat, newest first, below a seq."""

    chat: Address
    before: Seq | None = None
    limit: Limit = 50


class Ping(Request, frozen=True, kw_only=True, tag="ping"):
    """Ask whether the peer is alive; either side may."""


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
    """The base of what the server sends: with ``re`` a reply, without it a push."""

    re: int | None = None


class Error(ServerMessage, kw_only=True, tag="error"):
    """A refusal: a stable code and a sentence for users."""

    code: str
    reason: str
    retry_after: int | None = None


class Closing(ServerMessage, kw_only=True, tag="closing"):
    """The last message before the server disconnects; ``retry_after`` in ms."""

    code: str
    reason: str
    retry_after: int | None = None


class Pong(ServerMessage, kw_only=True, tag="pong"):
    """The answer to a ping."""

    time: int


class PingFromServer(ServerMessage, kw_only=True, tag="ping"):
    """The server asks whether the client is alive."""

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
    """The account was created; ``auth`` logs in to it."""

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
    """A room that the user may join, and who invited the user."""

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
    """The user is logged in: name, limits, and chats (more may follow)."""

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
    """Entries of a log, oldest first, those next to the requested bound."""

    chat: str
    messages: list[Message]
    more: bool


class ReadPush(ServerMessage, kw_only=True, tag="read"):
    """A cursor moved: the user's own on another device, or the other user's."""

    chat: str
    seq: int
    user: str


class TypingPush(ServerMessage, kw_only=True, tag="typing"):
    """A user is typing in a chat."""

    chat: str
    user: str


class Joined(ServerMessage, kw_only=True, tag="joined"):
    """The user has a new chat: the reply to create and join, else a push."""

    chat: ChatRecord


class Left(ServerMessage, kw_only=True, tag="left"):
    """The user lost a chat, and why."""

    chat: str
    code: str


class Invited(ServerMessage, kw_only=True, tag="invited"):
    """A member invited the user to a room."""

    room: str
    by: str


class Ok(ServerMessage, kw_only=True, tag="ok"):
    """The request was carried out."""


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
    """The presence of a user; ``seen`` (ms) if offline and known."""

    status: str
    text: str = ""
    seen: int | None = None


class Presence(ServerMessage, kw_only=True, tag="presence"):
    """Users whose presence changed."""

    users: dict[str, PresenceOf]
    more: bool


class WhoisReply(ServerMessage, kw_only=True, tag="whois"):
    """What the asking user may know of a user; ``since`` and ``seen`` in ms."""

    user: str
    role: str
    status: str
    text: str = ""
    since: int | None = None
    seen: int | None = None


class UploadReply(ServerMessage, kw_only=True, tag="upload"):
    """An upload may begin, or resume at ``offset``, on a connection of its own."""

    file: str
    offset: int
    ticket: str


class Stored(ServerMessage, kw_only=True, tag="stored"):
    """The file is on stable storage; ``seq`` is that of its entry."""

    file: str
    seq: int


class DownloadReply(ServerMessage, kw_only=True, tag="download"):
    """A file may be downloaded, on a connection of its own."""

    name: str
    size: int
    sha256: str
    ticket: str


class DataReply(ServerMessage, kw_only=True, tag="data"):
    """The raw bytes of a file from ``offset`` on come next."""

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
    """Files of a chat that can be downloaded, newest first."""

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
        error: The refusal to answer with.
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
        # msgspec checks neither the text nor the depth of members that the schema does
        # not have.
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
        InvalidBodyError: The body is no message of this protocol.
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
    """Return the request that fast decoding refused, or raise what is wrong with it.

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
