"""State of connected users in memory: users, sessions, live chats and seats.

Only the hub changes which user is in which chat. Everything here is read and written on
the event loop, between two awaits, so it needs no locks.
"""

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
from chatd.protocol.rights import Role, may
from chatd.store.values import ChatInfo, ChatState, Membership


class LiveChat:
    """A chat that is followed, because a member is connected or about to be.

    ``last`` is the newest seq that the fan-out has passed, or that was read when the
    chat became live; ``made`` numbers chats in the order in which they became live.
    """

    __slots__ = ("changed", "holds", "id", "info", "last", "made", "online")

    def __init__(self, info: ChatInfo, made: int) -> None:
        self.id = info.id
        self.info = info
        self.made = made
        self.last = 0
        self.holds = 0
        self.online: dict[str, OnlineUser] = {}
        # Presence by user, where it has changed since the last push (see presence).
        self.changed: dict[str, PresenceOf] | None = None

    def address_for(self, user: str) -> str:
        """Return the chat's address as a user sees it."""
        return address_for(self.info, user)


class Seat:
    """A connected user's place in a live chat.

    ``first`` is the lowest seq that the user may see, ``read`` the user's cursor;
    ``is_open`` is whether the user may write to the chat.
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
        self.is_open = may(membership.role, "write")
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
        # Logins under way: the fan-out knows the user already, but others do not yet
        # see the user online.
        self.logins = 0
        self.status: Status = "online"
        self.status_text = ""


class Session:
    """The state of one logged-in connection.

    ``feed`` is None while the connection wants no pushes. ``refused`` has, by chat, the
    send that must come again before others: its key, and whether it was refused before
    it was accepted (so that those in flight are older). ``have`` has the first parts of
    a ``sync``, ``missed`` the pushes that wait for the feed, and ``typed``, by chat,
    the time of the last typing push.
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
        # Time in ms, kind and encoded beginning of the tails of its latest sends.
        self.begun: tuple[int, str, bytes] | None = None

    @property
    def user(self) -> str:
        """The user's canonical name."""
        return self.online.name

    def push(self, message: ServerMessage) -> None:
        """Push a message, if the connection wants pushes.

        Before the feed starts, only chats gained or lost and invitations are kept for
        it; in sync mode ``none``, nothing is.
        """
        if self.feed is not None:
            self.sink.push(message)
        elif self.mode != "none":
            self._note_missed(message)

    def _note_missed(self, message: ServerMessage) -> None:
        # Changes since `ready` are pushed when the feed starts: each chat's newest.
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
        """Push a message that replaces earlier ones of its subject."""
        if self.feed is not None:
            self.feed.push_latest(subject, message)


def address_for(info: ChatInfo, user: str) -> str:
    """Return the address of a chat as a user sees it."""
    if info.kind == "room":
        return f"#{info.name}"
    low, _, high = info.name.partition(" ")
    return f"@{high if low == user else low}"


def chat_record(state: ChatState) -> ChatRecord:
    """Return the record of a chat that is sent to its member."""
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
