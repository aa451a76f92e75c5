"""Dispatch of requests: one handler per type, each a call of the service."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from chatd.core.sessions import Session
from chatd.listeners.native.outbox import encode_history
from chatd.protocol.errors import NotAllowedError
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
    PongFromClient,
    Read,
    Register,
    Request,
    Rooms,
    SetStatus,
    Sync,
    Topic,
    Typing,
    Upload,
    Whois,
    WhoisReply,
)

if TYPE_CHECKING:
    from chatd.listeners.native.connection import Connection

Handler = Callable[["Connection", Session, Any], Awaitable[None]]


async def _refuse_login(
    connection: "Connection", session: Session, request: Request
) -> None:
    raise NotAllowedError(f"you are logged in as {session.user} on this connection")


async def _sync(connection: "Connection", session: Session, request: Sync) -> None:
    await connection.settle()
    await connection.listener.service.sync(
        session, request.have, request.more, request.id
    )


async def _read(connection: "Connection", session: Session, request: Read) -> None:
    await connection.listener.service.chats.advance(session, request.chat, request.seq)


async def _history(
    connection: "Connection", session: Session, request: History
) -> None:
    page = await connection.listener.service.chats.history(
        session, request.chat, request.before, request.after, request.limit
    )
    body = encode_history(
        page, session.user, from_newest=request.after is None, re=request.id
    )
    await connection.settle()
    connection.write_body(body)


async def _typing(connection: "Connection", session: Session, request: Typing) -> None:
    await connection.listener.service.chats.typing(session, request.chat)


def _answer_joined(
    connection: "Connection", request: Request
) -> Callable[[ChatRecord], None]:
    return lambda record: connection.push(Joined(re=request.id, chat=record))


async def _create(connection: "Connection", session: Session, request: Create) -> None:
    await connection.settle()
    await connection.listener.service.rooms.create(
        session,
        request.room,
        request.topic,
        request.visibility,
        _answer_joined(connection, request),
    )


async def _join(connection: "Connection", session: Session, request: Join) -> None:
    await connection.settle()
    await connection.listener.service.rooms.join(
        session, request.room, _answer_joined(connection, request)
    )


async def _leave(connection: "Connection", session: Session, request: Leave) -> None:
    await connection.listener.service.rooms.leave(session, request.room)
    await connection.reply(Ok(re=request.id))


async def _topic(connection: "Connection", session: Session, request: Topic) -> None:
    await connection.listener.service.rooms.set_topic(
        session, request.room, request.topic
    )
    await connection.reply(Ok(re=request.id))


async def _invite(connection: "Connection", session: Session, request: Invite) -> None:
    await connection.listener.service.rooms.invite(session, request.room, request.user)
    await connection.reply(Ok(re=request.id))


async def _decline(
    connection: "Connection", session: Session, request: Decline
) -> None:
    await connection.listener.service.rooms.decline(session, request.room)
    await connection.reply(Ok(re=request.id))


async def _rooms(connection: "Connection", session: Session, request: Rooms) -> None:
    page = await connection.listener.service.rooms.rooms(request.after, request.limit)
    page.re = request.id
    await connection.reply(page)


async def _members(
    connection: "Connection", session: Session, request: Members
) -> None:
    page = await connection.listener.service.rooms.members(
        session, request.room, request.after, request.limit
    )
    page.re = request.id
    await connection.reply(page)


async def _status(
    connection: "Connection", session: Session, request: SetStatus
) -> None:
    connection.listener.service.set_status(session, request.status, request.text)
    await connection.reply(Ok(re=request.id))


async def _whois(connection: "Connection", session: Session, request: Whois) -> None:
    listener = connection.listener
    name, presence = listener.service.whois(request.user)
    record = listener.accounts.get(name)
    await connection.reply(
        WhoisReply(
            re=request.id,
            user=name,
            role=listener.accounts.role(name) or "member",
            status=presence.status,
            text=presence.text,
            since=record.created if record is not None else None,
            seen=presence.seen,
        )
    )


async def _upload(connection: "Connection", session: Session, request: Upload) -> None:
    answer = await connection.listener.service.files.upload(session, request)
    answer.re = request.id
    await connection.reply(answer)


async def _cancel_upload(
    connection: "Connection", session: Session, request: CancelUpload
) -> None:
    await connection.listener.service.files.cancel_upload(session, request.file)
    await connection.reply(Ok(re=request.id))


async def _download(
    connection: "Connection", session: Session, request: Download
) -> None:
    answer = await connection.listener.service.files.download(
        session, request.file, request.offset
    )
    answer.re = request.id
    await connection.reply(answer)


async def _files(connection: "Connection", session: Session, request: Files) -> None:
    page = await connection.listener.service.files.list_files(
        session, request.chat, request.before, request.limit
    )
    page.re = request.id
    await connection.reply(page)


async def _refuse_data(
    connection: "Connection", session: Session, request: Data
) -> None:
    raise NotAllowedError(
        "the bytes of a file take a connection of their own: do not log in on it"
    )


async def _ignore(connection: "Connection", session: Session, request: Request) -> None:
    return


HANDLERS: dict[type[Request], Handler] = {
    Register: _refuse_login,
    Auth: _refuse_login,
    Sync: _sync,
    Read: _read,
    History: _history,
    Typing: _typing,
    Create: _create,
    Join: _join,
    Leave: _leave,
    Topic: _topic,
    Invite: _invite,
    Decline: _decline,
    Rooms: _rooms,
    Members: _members,
    SetStatus: _status,
    Whois: _whois,
    Upload: _upload,
    CancelUpload: _cancel_upload,
    Download: _download,
    Files: _files,
    Data: _refuse_data,
    PongFromClient: _ignore,
}
