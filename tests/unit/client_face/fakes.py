"""A link without a network, and a face that keeps what it is shown."""

from collections.abc import Callable, Iterable
from typing import Any, cast

from chatd.protocol.messages import (
    ChatRecord,
    Hello,
    MemberInfo,
    Message,
    Ok,
    Ready,
    Request,
    ServerMessage,
    Synced,
)
from chatd.protocol.messages import Limits as ServerLimits
from client.changes import Change, Entry, OutboxItem
from client.colours import Line, plain
from client.link import Link, LinkState
from client.model import Model
from client.settings import Settings
from client.workspace import Workspace

NOON_MS = 1_795_262_400_000


class FakeLink:
    """Answers requests with what was put into ``replies``; keeps what was asked."""

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

    async def request(self, request: Request) -> ServerMessage:
        self.requests.append(request)
        reply = self.replies.pop(0) if self.replies else Ok()
        if isinstance(reply, Exception):
            raise reply
        self.take(reply)
        return reply

    async def send(self, chat: str, text: str, kind: str = "text") -> OutboxItem:
        number = len(self.items) + 1
        item = OutboxItem(
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

    def outbox_items(self) -> list[OutboxItem]:
        return self.items

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

    def reconnect_now(self) -> None:
        self.is_hurried = True

    def typing(self, chat: str) -> None:
        pass

    # What a test says happens -------------------------------------------------------

    def take(self, message: ServerMessage) -> None:
        """Let a message of the server arrive."""
        for change in self.model.apply(message):
            self.on_change(change)

    def settle(self, item: OutboxItem) -> None:
        """Let something become of an item of the outbox."""
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


class FakeFace:
    """Keeps the text of every line that it is shown."""

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
    """A workspace with everything faked around it."""

    def __init__(self) -> None:
        self.fake = FakeLink()
        self.face = FakeFace()
        self.ws = Workspace(
            cast(Link, self.fake), "tls://lab:4747", Settings(None), self.face
        )


def room(address: str = "#ops", **members: Any) -> ChatRecord:
    """Return the record of a chat."""
    found = {"last": 0, "read": 0, "first": 1, "unread": 0, "role": "member"}
    return ChatRecord(chat=address, **{**found, **members})


def message(
    text: str, seq: int = 1, sender: str = "bob", chat: str = "#ops", **members: Any
) -> Message:
    """Return a push of a text."""
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
