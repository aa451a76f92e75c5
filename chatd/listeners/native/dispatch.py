"""Dispatch of requests: the table of who may ask what, and when."""

import enum
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from chatd.core.sessions import Session
from chatd.listeners.native.bodies import history_body
from chatd.listeners.native.peer import Peer
from chatd.protocol.errors import NotAllowedError, NotAuthenticatedError
from chatd.protocol.messages import (
    Auth,
    CancelUpload,
    ChatRecord,
    Create,
    Data,
    Decline,
    Download,
    Files,
    History,
    Invite,
    Join,
    Joined,
    Leave,
    Members,
    Ok,
    Ping,
    Pong,
    PongFromClient,
    Read,
    Register,
    Request,
    Rooms,
    Send,
    ServerMessage,
    SetStatus,
    Sync,
    Topic,
    Typing,
    Upload,
    Whois,
    WhoisReply,
)

# A handler returns the reply, or None where it has sent one or there is none.
Handler = Callable[[Peer, Any, Any], Awaitable[ServerMessage | None]]


class When(enum.Enum):
    """When a request is legal."""

    ALWAYS = enum.auto()
    BEFORE_LOGIN = enum.auto()
    INSTEAD_OF_LOGIN = enum.auto()
    AFTER_LOGIN = enum.auto()


class Rule(NamedTuple):
    """What happens to requests of a type.

    Attributes:
        handler: Carries them out; it is given the session only after the login.
        when: When they are legal.
    """

    handler: Handler
    when: When = When.AFTER_LOGIN


async def dispatch(
    peer: Peer, session: Session | None, request: Request
) -> ServerMessage | None:
    """Carry out a request; return its reply, unless it was sent or there is none.

    Raises:
        ChatError: It was refused.
    """
    handler, when = RULES[type(request)]
    if session is None:
        if when is When.AFTER_LOGIN:
            raise NotAuthenticatedError("log in before you do that")
    elif when is When.BEFORE_LOGIN:
        raise NotAllowedError(f"you are logged in as {session.user} on this connection")
    elif when is When.INSTEAD_OF_LOGIN:
        raise NotAllowedError(
            "the bytes of a file take a connection of their own: do not log in on it"
        )
    return await handler(peer, session, request)


async def _ping(peer: Peer, session: Session | None, request: Ping) -> ServerMessage:
    await peer.settle()
    return Pong(time=peer.site.service.clock.now_ms())


async def _log_in(
    peer: Peer, session: None, request: Auth | Register
) -> ServerMessage | None:
    return await peer.log_in(request)


async def _data(peer: Peer, session: None, request: Data) -> None:
    peer.begin_data(request)


async def _send(peer: Peer, session: Session, request: Send) -> None:
    await peer.send(session, request)


async def _sync(peer: Peer, session: Session, request: Sync) -> None:
    await peer.site.service.sync(session, request.have, request.more, request.id)


async def _read(peer: Peer, session: Session, request: Read) -> None:
    await peer.site.service.chats.advance(session, request.chat, request.seq)


async def _history(peer: Peer, session: Session, request: History) -> None:
    page = await peer.site.service.chats.history(
        session, request.chat, request.before, request.after, request.limit
    )
    body = history_body(
        page, session.user, from_newest=request.after is None, re=request.id
    )
    peer.write_body(body)


async def _typing(peer: Peer, session: Session, request: Typing) -> None:
    await peer.site.service.chats.typing(session, request.chat)


def _answer_joined(peer: Peer, request: Request) -> Callable[[ChatRecord], None]:
    return lambda record: peer.push(Joined(re=request.id, chat=record))


async def _create(peer: Peer, session: Session, request: Create) -> None:
    await peer.settle()
    await peer.site.service.rooms.create(
        session,
        request.room,
        request.topic,
        request.visibility,
        _answer_joined(peer, request),
    )


async def _join(peer: Peer, session: Session, request: Join) -> None:
    await peer.settle()
    await peer.site.service.rooms.join(
        session, request.room, _answer_joined(peer, request)
    )


async def _leave(peer: Peer, session: Session, request: Leave) -> Ok:
    await peer.site.service.rooms.leave(session, request.room)
    return Ok()


async def _topic(peer: Peer, session: Session, request: Topic) -> Ok:
    await peer.site.service.rooms.set_topic(session, request.room, request.topic)
    return Ok()


async def _invite(peer: Peer, session: Session, request: Invite) -> Ok:
    await peer.site.service.rooms.invite(session, request.room, request.user)
    return Ok()


async def _decline(peer: Peer, session: Session, request: Decline) -> Ok:
    await peer.site.service.rooms.decline(session, request.room)
    return Ok()


async def _rooms(peer: Peer, session: Session, request: Rooms) -> ServerMessage:
    return await peer.site.service.rooms.rooms(request.after, request.limit)


async def _members(peer: Peer, session: Session, request: Members) -> ServerMessage:
    return await peer.site.service.rooms.members(
        session, request.room, request.after, request.limit
    )


async def _status(peer: Peer, session: Session, request: SetStatus) -> Ok:
    peer.site.service.people.set_status(session, request.status, request.text)
    return Ok()


async def _whois(peer: Peer, session: Session, request: Whois) -> WhoisReply:
    return peer.site.service.people.whois(request.user)


async def _upload(peer: Peer, session: Session, request: Upload) -> ServerMessage:
    return await peer.site.service.files.upload(session, request)


async def _cancel_upload(peer: Peer, session: Session, request: CancelUpload) -> Ok:
    await peer.site.service.files.cancel_upload(session, request.file)
    return Ok()


async def _download(peer: Peer, session: Session, request: Download) -> ServerMessage:
    return await peer.site.service.files.download(session, request.file, request.offset)


async def _files(peer: Peer, session: Session, request: Files) -> ServerMessage:
    return await peer.site.service.files.list_files(
        session, request.chat, request.before, request.limit
    )


async def _pong(peer: Peer, session: Session, request: PongFromClient) -> None:
    """Do nothing: that it came keeps the connection from being idle."""


RULES: dict[type[Request], Rule] = {
    Ping: Rule(_ping, When.ALWAYS),
    Register: Rule(_log_in, When.BEFORE_LOGIN),
    Auth: Rule(_log_in, When.BEFORE_LOGIN),
    Data: Rule(_data, When.INSTEAD_OF_LOGIN),
    Send: Rule(_send),
    Sync: Rule(_sync),
    Read: Rule(_read),
    History: Rule(_history),
    Typing: Rule(_typing),
    Create: Rule(_create),
    Join: Rule(_join),
    Leave: Rule(_leave),
    Topic: Rule(_topic),
    Invite: Rule(_invite),
    Decline: Rule(_decline),
    Rooms: Rule(_rooms),
    Members: Rule(_members),
    SetStatus: Rule(_status),
    Whois: Rule(_whois),
    Upload: Rule(_upload),
    CancelUpload: Rule(_cancel_upload),
    Download: Rule(_download),
    Files: Rule(_files),
    PongFromClient: Rule(_pong),
}
