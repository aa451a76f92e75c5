"""A link without a network, and a frontend that records what it shows."""

import asyncio
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, BinaryIO, Literal, cast

import msgspec

from chatd.protocol.messages import (
    ChatRecord,
    FileInfo,
    FileItem,
    Hello,
    MemberInfo,
    Message,
    Ok,
    Ready,
    Request,
    Send,
    ServerMessage,
    Synced,
)
from chatd.protocol.messages import Limits as ServerLimits
from client.commands.workspace import Workspace
from client.errors import TransferError
from client.link.link import Link
from client.link.reconnect import LinkState
from client.model.changes import Change, TransferChanged
from client.model.entries import Entry, OutboxItem, Transfer
from client.model.model import Model
from client.storage.preferences import Preferences
from client.text.styles import Line, plain

NOON_MS = 1_795_262_400_000


class FakeLink:
    """Answers requests from ``replies``, and records the requests."""

    def __init__(self, me: str = "alice") -> None:
        self.model = Model(me)
        self.state = LinkState(name="online")
        self.hello = Hello(
            protocol=1, server="chatd 1", name="Lab 3", auth=[], registration="", time=0
        )
        self.replies: list[ServerMessage | Exception] = []
        self.requests: list[Request] = []
        self.items: list[OutboxItem] = []
        self.reads: list[tuple[str, int]] = []
        self.on_change: Callable[[Change], None] = lambda change: None
        self.is_hurried = False
        self.outbox = self.history = self
        self.transfers = FakeTransfers(lambda change: self.on_change(change))

    async def request(self, request: Request) -> ServerMessage:
        self.requests.append(request)
        reply = self.replies.pop(0) if self.replies else Ok()
        if isinstance(reply, Exception):
            raise reply
        self.take(reply)
        return reply

    async def send(self, chat: str, text: str, kind: str = "text") -> OutboxItem:
        number = len(self.items) + 1
        item = sending(
            id=number,
            chat=chat,
            text=text,
            key=f"k{number}",
            kind=cast(Any, kind),
            created_ms=NOON_MS,
        )
        self.items.append(item)
        for change in self.model.apply_item(item):
            self.on_change(change)
        return item

    async def retry(self, item_id: int) -> None:
        self.items = [item for item in self.items if item.id != item_id]

    def discard(self, item_id: int) -> None:
        self.items = [item for item in self.items if item.id != item_id]

    def mark_read(self, chat: str, seq: int) -> None:
        self.reads.append((chat, seq))
        self.model.mark_read(chat, seq)

    def load_cached(self, chat: str, count: int = 100) -> None:
        pass

    async def load_older(self, chat: str, count: int = 50) -> bool:
        return False

    async def load_members(self, chat: str) -> list[MemberInfo]:
        reply = self.replies.pop(0)
        members = cast(Any, reply).members
        self.model.set_members(chat, members)
        return cast(list[MemberInfo], members)

    async def wait_online(self) -> None:
        pass

    def reconnect_now(self) -> None:
        self.is_hurried = True

    def typing(self, chat: str) -> None:
        pass

    # What a test makes happen -------------------------------------------------------

    def take(self, message: ServerMessage) -> None:
        """Handle a message of the server, as if it had arrived."""
        for change in self.model.apply(message):
            self.on_change(change)

    def settle(self, item: OutboxItem) -> None:
        """Report the outcome of an outbox item."""
        self.items = [each for each in self.items if each.id != item.id]
        for change in self.model.apply_item(item):
            self.on_change(change)

    def log_in(self, *chats: ChatRecord, synced: bool = True) -> None:
        """Let the login succeed."""
        limits = ServerLimits(frame=131_072, text=16_384, in_flight=256)
        self.take(
            Ready(
                user=self.model.me,
                role="member",
                log="L",
                limits=limits,
                chats=list(chats),
                more=False,
            )
        )
        if synced:
            self.take(Synced())


class FakeTransfers:
    """Records what is to be sent and fetched; nothing moves but by ``move``."""

    def __init__(self, tell: Callable[[Change], None]) -> None:
        self._tell = tell
        self.items: list[Transfer] = []
        self.targets: list[tuple[Path | None, Path | None]] = []
        self.captions: list[str] = []
        self._moved = asyncio.Event()

    async def send_file(
        self, chat: str, path: Path, *, name: str | None = None, text: str = ""
    ) -> Transfer:
        self.captions.append(text)
        return self.add(transfer(name or path.name, chat=chat, path=path))

    async def send_stream(
        self, chat: str, file: BinaryIO, name: str, *, text: str = ""
    ) -> Transfer:
        self.captions.append(text)
        return self.add(transfer(name, chat=chat, size=len(file.read())))

    async def get_file(
        self,
        chat: str,
        seq: int,
        info: FileInfo,
        *,
        folder: Path | None = None,
        path: Path | None = None,
        is_kept: bool = True,
    ) -> Transfer:
        self.targets.append((folder, path))
        return self.add(
            transfer(
                info.name,
                chat=chat,
                direction="down",
                seq=seq,
                size=info.size,
                path=path,
            )
        )

    def cancel(self, transfer_id: int) -> Transfer:
        return self.move(transfer_id, state="cancelled")

    async def wait(self, transfer_id: int) -> Transfer:
        while True:
            (found,) = (each for each in self.items if each.id == transfer_id)
            if found.state == "done":
                return found
            if found.is_over:
                raise TransferError(found.reason or found.state, found.state, found)
            self._moved.clear()
            await self._moved.wait()

    # What a test makes happen -------------------------------------------------------

    def add(self, begun: Transfer) -> Transfer:
        """Add a transfer that has begun."""
        begun = msgspec.structs.replace(begun, id=100 + len(self.items))
        self.items.append(begun)
        self._tell(TransferChanged(transfer=begun))
        return begun

    def move(self, transfer_id: int, **members: Any) -> Transfer:
        """Change the state of a transfer and report it."""
        (at,) = (n for n, each in enumerate(self.items) if each.id == transfer_id)
        self.items[at] = msgspec.structs.replace(self.items[at], **members)
        self._tell(TransferChanged(transfer=self.items[at]))
        self._moved.set()
        return self.items[at]


class FakeFrontend:
    """Keeps the text of every line that it shows."""

    columns = 80
    rows = 24

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.styles: list[str] = []
        self.opened_chats: list[str] = []
        self.is_cleared = False
        self.is_over = False

    def show(self, lines: Iterable[Line]) -> None:
        for line in lines:
            self.lines.append(plain(line))
            self.styles += [style for style, _ in line]

    def opened(self, address: str) -> None:
        self.opened_chats.append(address)

    def clear(self) -> None:
        self.is_cleared = True

    def quit(self) -> None:
        self.is_over = True

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


class Stage:
    """A workspace on a fake link and a fake frontend."""

    def __init__(self) -> None:
        self.fake = FakeLink()
        self.frontend = FakeFrontend()
        self.now = NOON_MS / 1_000
        self.workspace = Workspace(
            cast(Link, self.fake),
            "tls://lab:4747",
            Preferences(None),
            self.frontend,
            lambda: self.now,
        )


def room(address: str = "#ops", **members: Any) -> ChatRecord:
    """Return the record of a chat."""
    found = {"last": 0, "read": 0, "first": 1, "unread": 0, "role": "member"}
    return ChatRecord(chat=address, **{**found, **members})


def message(
    text: str, seq: int = 1, sender: str = "bob", chat: str = "#ops", **members: Any
) -> Message:
    """Return the push of a text message."""
    found: dict[str, Any] = {
        "time": NOON_MS,
        "kind": "text",
        "prev": seq - 1,
        "text": text,
    }
    return Message(chat=chat, seq=seq, from_=sender, **{**found, **members})


def entry(text: str, seq: int = 1, sender: str = "bob", **members: Any) -> Entry:
    """Return an entry of #ops."""
    found: dict[str, Any] = {
        "chat": "#ops",
        "prev": seq - 1,
        "time_ms": NOON_MS,
        "kind": "text",
    }
    return Entry(seq=seq, sender=sender, text=text, **{**found, **members})


def info(name: str = "core.tar", size: int = 734_003_200, id: str = "f1") -> FileInfo:
    """Return a file that can be fetched."""
    return FileInfo(id=id, name=name, size=size, sha256="ab" * 32)


def item(
    seq: int, name: str = "core.tar", sender: str = "bob", **members: Any
) -> FileItem:
    """Return a file as an item of a file list."""
    found = {"time": NOON_MS, "file": info(name), **members}
    return FileItem(seq=seq, from_=sender, **found)


def transfer(name: str = "core.tar", **members: Any) -> Transfer:
    """Return a transfer of a file to #ops."""
    found: dict[str, Any] = {
        "id": 1,
        "direction": "up",
        "state": "moving",
        "chat": "#ops",
        "size": 734_003_200,
    }
    return Transfer(name=name, **{**found, **members})


def sending(
    id: int,
    chat: str,
    text: str,
    key: str,
    kind: Literal["text", "action"] = "text",
    reply_to: int | None = None,
    **state: Any,
) -> OutboxItem:
    """Return an item of the outbox that is a message."""
    request = Send(chat=chat, text=text, key=key, kind=kind, reply_to=reply_to)
    return OutboxItem(id=id, chat=chat, key=key, request=request, **state)
