"""What is in memory of those who are connected: users, sessions, live chats, seats.

Only the hub changes who is in which chat; everything here is read and written on the
event loop, between two awaits, so that there are no locks.
"""

from collections.abc import Callable

from chatd.core.feed import Feed, Sink
from chatd.protocol.messages import (
    ChatRecord,
    Invited,
    Joined,
    Left,
    PresenceOf,
    ServerMessage,
    Status,
    SyncMode,
)
from chatd.store.values import ChatInfo, ChatState, Membership, Role

# The connection whose request gains a chat, and what answers it (see LiveChat).
Gaining = tuple["Session", Callable[[ChatRecord], None] | None]


class LiveChat:
    """A chat that is followed, because a member is connected or one is about to be.

    ``last`` is the newest seq that the fan-out has passed, or that was read when the
    chat became live; ``made`` tells the order in which chats became live.
    """

    __slots__ = ("changed", "gaining", "holds", "id", "info", "last", "made", "online")

    def __init__(self, info: ChatInfo, made: int) -> None:
        self.id = info.id
        self.info = info
        self.made = made
        self.last = 0
        self.holds = 0
        self.online: dict[str, OnlineUser] = {}
        # By user, whose request is about to make them a member: that connection is not
        # pushed `joined`, but answered by the callback, before the first entry.
        self.gaining: dict[str, Gaining] = {}
        # Whose presence has changed since the last push (see presence).
        self.changed: dict[str, PresenceOf] | None = None

    def address_for(self, user: str) -> str:
        """Return the chat's address from the point of view of a user."""
        return address_for(self.info, user)


class Seat:
    """A connected user in a live chat.

    ``is_open`` says that nothing keeps the user from writing to it.
    """

    __slots__ = ("address", "first", "is_open", "live", "peer_read", "read", "role")

    def __init__(
        self,
        live: LiveChat,
        address: str,
        membership: Membership,
        peer_read: int | None,
    ) -> None:
        self.live = live
        self.address = address
        self.role: Role = membership.role
        self.is_open = membership.role != "muted"
        self.first = membership.first
        self.read = membership.read
        self.peer_read = peer_read


class OnlineUser:
    """A user with at least one connection, and the user's chats by address."""

    __slots__ = (
        "changes",
        "logins",
        "name",
        "seats",
        "sessions",
        "status",
        "status_text",
    )

    def __init__(self, name: str) -> None:
        self.name = name
        self.sessions: list[Session] = []
        self.seats: dict[str, Seat] = {}
        # Counts seats gained and lost; a login that sees it move starts again.
        self.changes = 0
        # Logins under way: the user is here for the fan-out, but not yet for others.
        self.logins = 0
        self.status: Status = "online"
        self.status_text = ""


class Session:
    """What one logged-in connection may do now.

    ``feed`` is None as long as the connection does not want to be pushed anything.
    ``refused`` has, by chat, the send that has to come again before others: its key,
    and whether it was refused before it was taken (so that those in flight are older);
    ``have`` what the first parts of a ``sync`` said; ``typed`` when it typed where.
    """

    __slots__ = (
        "address",
        "begun",
        "feed",
        "have",
        "missed",
        "mode",
        "online",
        "refused",
        "sink",
        "typed",
    )

    def __init__(
        self, online: OnlineUser, sink: Sink, mode: SyncMode, address: str
    ) -> None:
        self.online = online
        self.sink = sink
        self.address = address
        self.mode = mode
        self.feed: Feed | None = None
        self.refused: dict[str, tuple[str, bool]] | None = None
        self.have: dict[str, int] | None = None
        self.missed: dict[str, ServerMessage] | None = None
        self.typed: dict[str, float] | None = None
        # The beginning of the entries that it sends at one moment: ms, kind, bytes.
        self.begun: tuple[int, str, bytes] | None = None

    @property
    def user(self) -> str:
        """The user's canonical name."""
        return self.online.name

    def push(self, message: ServerMessage) -> None:
        """Push something to this connection, if it wants pushes (by now)."""
        if self.feed is not None:
            self.sink.push(message)
        elif self.mode != "none":
            self._note_missed(message)

    def _note_missed(self, message: ServerMessage) -> None:
        # What has changed since `ready` is told when the feed starts: the newest about
        # each chat.
        match message:
            case Joined():
                subject = message.chat.chat
            case Left():
                subject = message.chat
            case Invited():
                subject = f"invited {message.room}"
            case _:
                return
        if self.missed is None:
            self.missed = {}
        self.missed[subject] = message

    def push_latest(self, subject: tuple[str, ...], message: ServerMessage) -> None:
        """Push something of which only the newest about a subject counts."""
        if self.feed is not None:
            self.feed.push_latest(subject, message)


def address_for(info: ChatInfo, user: str) -> str:
    """Return the address of a chat from the point of view of a user."""
    if info.kind == "room":
        return f"#{info.name}"
    low, _, high = info.name.partition(" ")
    return f"@{high if low == user else low}"


def chat_record(state: ChatState) -> ChatRecord:
    """Return a chat as it is told to the user who has it."""
    membership = state.membership
    info = membership.chat
    record = ChatRecord(
        chat=address_for(info, membership.user),
        last=state.last,
        read=min(membership.read, state.last),
        first=membership.first,
        unread=state.unread,
    )
    if info.kind == "room":
        record.topic = info.topic
        record.role = membership.role
        record.visibility = info.visibility
    else:
        record.peer_read = state.peer_read
    return record
