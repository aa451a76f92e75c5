"""A small scripted server in the test's own process, for the client's tests.

It keeps logs in memory and, on demand, cuts connections, holds back replies, refuses
sends, forgets its log. It uses nothing of the daemon but ``chatd.protocol``.
"""

import asyncio
import datetime
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from scramp import ScramMechanism
from scramp.utils import ScramException

from chatd.protocol.errors import (
    AuthFailedError,
    ChatError,
    NotAllowedError,
    OutOfOrderError,
    TemporaryError,
)
from chatd.protocol.frames import FrameDecoder, encode_frame
from chatd.protocol.messages import (
    Auth,
    Challenge,
    ChatRecord,
    Closing,
    Error,
    Hello,
    History,
    HistoryPage,
    Join,
    Joined,
    Limits,
    Message,
    Ok,
    Ping,
    Pong,
    Read,
    ReadPush,
    Ready,
    Register,
    Registered,
    Request,
    Send,
    Sent,
    ServerMessage,
    SetStatus,
    Sync,
    Synced,
    encode_message,
    parse_request,
)
from tests import PATIENCE

_SCRAM = ScramMechanism("SCRAM-SHA-256")


class FakeServer:
    """A server with one user; ``async with FakeServer() as server``.

    Attributes:
        logs: By address as the user sees it, the entries of each chat.
        read: The user's cursors.
        received: All requests since the start, oldest first.
        refusals: Errors for the next sends, in order; None lets one through.
        is_silent: Whether nothing at all is answered any more.
        is_cut_before_sent: Whether the next send is stored, but the connection cut
            instead of answering.
        held_back: While this is not None, replies to sends are collected in it.
        first: The lowest visible seq of chats that are not to begin at 1.
        motd: The message of the day, sent to every client.
        answers: The replies to requests of types that it does not know.
    """

    def __init__(self, user: str = "alice", password: str = "correct horse") -> None:
        self.user = user
        self.password = password
        self.tokens = {"token-1"}
        self.log_id = "log-1"
        self.logs: dict[str, list[Message]] = {}
        self.read: dict[str, int] = {}
        self.first: dict[str, int] = {}
        self.received: list[Request] = []
        self.refusals: list[ChatError | None] = []
        self.motd: str | None = None
        self.answers: dict[type[Request], Callable[[Request], ServerMessage]] = {}
        self.limits = Limits(frame=131_072, text=16_384, in_flight=256)
        self.sync_limit = 200
        self.auth = ["SCRAM-SHA-256", "TOKEN"]
        self.is_silent = False
        self.is_cut_before_sent = False
        self.held_back: list[Callable[[], None]] | None = None
        self.connections: list[FakeConnection] = []
        self.has_wrong_proof = False
        self.tls: ssl.SSLContext | None = None
        self._keys: dict[tuple[str, str], Sent] = {}
        self._seq = 0
        self._moved = asyncio.Event()
        self._server: asyncio.Server | None = None
        self.port = 0

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @property
    def address(self) -> str:
        scheme = "tcp" if self.tls is None else "tls"
        return f"{scheme}://127.0.0.1:{self.port}"

    async def start(self) -> None:
        self._server = await asyncio.start_server(
            self._accept, "127.0.0.1", self.port, ssl=self.tls
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()
        await self.until(lambda: not self.connections)

    def cut(self) -> None:
        """Cut all connections, as a network would."""
        for connection in self.connections:
            connection.writer.transport.abort()

    def close_all(self, code: str, retry_after: int | None = None) -> None:
        """Send the reason, and hang up."""
        for connection in self.connections:
            connection.push(Closing(code=code, reason="bye", retry_after=retry_after))
            connection.writer.close()

    def say(self, chat: str, text: str, sender: str = "bob", kind: str = "text") -> int:
        """Append an entry of another user and push it."""
        return self.append(chat, sender, kind, text).seq

    def append(
        self,
        chat: str,
        sender: str,
        kind: str,
        text: str | None,
        key: str | None = None,
        is_pushed: bool = True,
    ) -> Message:
        log = self.logs.setdefault(chat, [])
        self._seq += 1
        message = Message(
            chat=chat,
            seq=self._seq,
            prev=log[-1].seq if log else 0,
            from_=sender,
            time=1_790_000_000_000 + self._seq,
            kind=kind,
            text=text,
            key=key,
        )
        log.append(message)
        if is_pushed:
            for connection in self.connections:
                if connection.is_live:
                    connection.push(msgspec.structs.replace(message, key=None))
        return message

    def texts(self, chat: str) -> list[str | None]:
        return [message.text for message in self.logs.get(chat, [])]

    def count(self, type_: type[Request]) -> int:
        return sum(isinstance(request, type_) for request in self.received)

    def last(self, type_: type[Request]) -> Request:
        return next(r for r in reversed(self.received) if isinstance(r, type_))

    async def until(self, is_so: Callable[[], bool]) -> None:
        """Wait for a condition that a request or a connection brings about."""
        async with asyncio.timeout(PATIENCE):
            while not is_so():
                self._moved.clear()
                await self._moved.wait()

    def record(self, chat: str) -> ChatRecord:
        log = self.logs.get(chat, [])
        read = self.read.get(chat, 0)
        unread = [m for m in log if m.seq > read and m.from_ != self.user]
        return ChatRecord(
            chat=chat,
            last=log[-1].seq if log else 0,
            read=read,
            first=self.first.get(chat, 1),
            unread=sum(m.kind in ("text", "action") for m in unread),
            topic="a topic" if chat.startswith("#") else None,
            role="member" if chat.startswith("#") else None,
        )

    # Internals ------------------------------------------------------------------------

    async def _accept(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        connection = FakeConnection(self, writer)
        self.connections.append(connection)
        connection.push(
            Hello(
                protocol=1,
                server="fake",
                name="Fake",
                auth=self.auth,
                registration="open",
                time=0,
                motd=self.motd,
            )
        )
        decoder = FrameDecoder(1 << 20)
        try:
            while data := await reader.read(65_536):
                for body in decoder.feed(data):
                    request = parse_request(body)
                    self.received.append(request)
                    if not self.is_silent:
                        connection.handle(request)
                    self._moved.set()
        except OSError:
            pass
        finally:
            writer.close()
            self.connections.remove(connection)
            self._moved.set()

    def store(self, request: Send) -> tuple[Sent, bool]:
        key = (request.chat, request.key or "")
        if request.key is not None and key in self._keys:
            return msgspec.structs.replace(self._keys[key], duplicate=True), False
        message = self.append(
            request.chat, self.user, request.kind, request.text, request.key
        )
        sent = Sent(chat=request.chat, seq=message.seq, time=message.time)
        self._keys[key] = sent
        return sent, True


class FakeConnection:
    """One connection of the fake server."""

    def __init__(self, server: FakeServer, writer: asyncio.StreamWriter) -> None:
        self.server = server
        self.writer = writer
        self.is_live = False
        self._scram: Any = None
        self._sync = "unread"
        self._remember = False
        self._have: dict[str, int] = {}
        # Chats that wait for a refused key to come again first (protocol README, 5).
        self._owed: dict[str, str] = {}

    def push(self, message: ServerMessage) -> None:
        if not self.writer.is_closing():
            self.writer.write(encode_frame(encode_message(message)))

    def reply(self, request: Request, message: ServerMessage) -> None:
        if request.id is not None:
            message = msgspec.structs.replace(message, re=request.id)
        self.push(message)

    def refuse(self, request: Request, error: ChatError) -> None:
        self.reply(
            request,
            Error(
                code=error.code, reason=error.reason, retry_after=error.retry_after_ms
            ),
        )

    def handle(self, request: Request) -> None:
        try:
            self._handle(request)
        except ChatError as error:
            self.refuse(request, error)

    def _handle(self, request: Request) -> None:
        server = self.server
        match request:
            case Ping():
                self.reply(request, Pong(time=0))
            case Auth():
                self._auth(request)
            case Register():
                server.user, server.password = request.user, request.password
                self.reply(request, Registered(user=request.user))
            case Sync():
                self._have |= request.have
                if not request.more:
                    self._backlog(self._have)
                    self.reply(request, Synced())
            case Send():
                self._send(request)
            case History():
                self.reply(request, self._history(request))
            case Read():
                server.read[request.chat] = request.seq
                for other in server.connections:
                    if other is not self and other.is_live:
                        other.push(
                            ReadPush(
                                chat=request.chat, seq=request.seq, user=server.user
                            )
                        )
            case SetStatus():
                self.reply(request, Ok())
            case Join():
                server.logs.setdefault(request.room, [])
                self.reply(request, Joined(chat=server.record(request.room)))
            case _ if type(request) in server.answers:
                self.reply(request, server.answers[type(request)](request))
            case _:
                raise NotAllowedError("the fake server cannot do that")

    def _auth(self, request: Auth) -> None:
        server = self.server
        if request.mechanism == "TOKEN":
            if request.token not in server.tokens:
                raise AuthFailedError("the login is not valid")
            self._sync = request.sync
            self._ready(request, None, None)
        elif self._scram is None:
            self._sync = request.sync
            self._remember = request.remember
            self._scram = _SCRAM.make_server(self._verifier)
            self._scram.set_client_first(request.data)
            self.reply(request, Challenge(data=self._scram.get_server_first()))
        else:
            scram, self._scram = self._scram, None
            try:
                scram.set_client_final(request.data)
                data = scram.get_server_final()
            except ScramException as error:
                raise AuthFailedError("wrong name or password") from error
            if server.has_wrong_proof:
                data = "v=" + "A" * 43 + "="
            token = f"token-{len(server.tokens) + 1}" if self._remember else None
            if token is not None:
                server.tokens.add(token)
            self._ready(request, data, token)

    def _verifier(self, name: str) -> tuple[bytes, bytes, bytes, int]:
        found: tuple[bytes, bytes, bytes, int] = _SCRAM.make_auth_info(
            self.server.password if name == self.server.user else "another",
            iteration_count=4_096,
            salt=b"0123456789abcdef",
        )
        return found

    def _ready(self, request: Auth, data: str | None, token: str | None) -> None:
        server = self.server
        self.reply(
            request,
            Ready(
                user=server.user,
                role="member",
                log=server.log_id,
                limits=server.limits,
                chats=[server.record(chat) for chat in server.logs],
                more=False,
                data=data,
                token=token,
            ),
        )
        if self._sync == "unread":
            self._backlog({})
            self.push(Synced())

    def _backlog(self, have: dict[str, int]) -> None:
        for chat, log in self.server.logs.items():
            after = have.get(chat, self.server.read.get(chat, 0))
            news = [message for message in log if message.seq > after]
            for message in news[-self.server.sync_limit :]:
                self.push(message)
        self.is_live = True

    def _send(self, request: Send) -> None:
        server = self.server
        owed = self._owed.get(request.chat)
        if owed is not None and owed != request.key:
            raise OutOfOrderError("an earlier message has to come first")
        refusal = server.refusals.pop(0) if server.refusals else None
        if refusal is not None:
            if isinstance(refusal, TemporaryError):
                self._owed[request.chat] = request.key or ""
            self.refuse(request, refusal)
            return
        self._owed.pop(request.chat, None)
        sent, _ = server.store(request)
        if server.is_cut_before_sent:
            server.is_cut_before_sent = False
            server.cut()
        elif server.held_back is not None:
            server.held_back.append(lambda: self.reply(request, sent))
        else:
            self.reply(request, sent)

    def _history(self, request: History) -> HistoryPage:
        log = self.server.logs.get(request.chat, [])
        if request.after is not None:
            found = [m for m in log if m.seq > request.after]
            page = found[: request.limit]
        else:
            found = [m for m in log if m.seq < (request.before or 0)]
            page = found[-request.limit :]
        return HistoryPage(
            chat=request.chat, messages=page, more=len(page) < len(found)
        )


def make_tls(folder: Path, name: str = "server") -> ssl.SSLContext:
    """Return a server's context with a new key and self-signed certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "chatd")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=2))
        .sign(key, hashes.SHA256())
    )
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context
