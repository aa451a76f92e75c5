"""The values that stores take and return: chats, members, files, changes, effects."""

from typing import Literal

from msgspec import Struct

from chatd.protocol.entries import Entry
from chatd.protocol.rights import Role

ChatKind = Literal["direct", "room"]
Visibility = Literal["public", "private"]

UNREAD_CAP = 1_000


class ChatInfo(Struct, frozen=True, gc=False):
    """A chat as it is for all users.

    ``name`` is a room's name without ``#``; of a direct chat both users' names, sorted
    and joined by one space (a name has none), the same name twice in a note to self.
    """

    id: int
    kind: ChatKind
    name: str
    visibility: Visibility
    topic: str = ""


class Membership(Struct, frozen=True, gc=False):
    """A user in a chat: ``first`` is the lowest seq the user may see."""

    chat: ChatInfo
    user: str
    role: Role
    first: int
    read: int


class ChatState(Struct, frozen=True, gc=False):
    """What a login needs to know about one of the user's chats.

    ``last`` is the seq of the newest entry, 0 if there is none; ``unread`` counts what
    others wrote after ``read``, at most ``UNREAD_CAP``; ``peer_read`` is the cursor of
    the other user of a direct chat.
    """

    membership: Membership
    last: int
    unread: int
    peer_read: int | None = None


class RoomSummary(Struct, frozen=True, gc=False):
    """A public room, as listed."""

    name: str
    topic: str
    members: int


class Invitation(Struct, frozen=True, gc=False):
    """A room that a user may join, and who invited the user."""

    room: str
    by: str


class FileRecord(Struct, frozen=True, gc=False, kw_only=True):
    """The record of a begun or stored file: what is known of it besides its bytes.

    ``id`` is random and names the file to clients; ``sha256`` names the content, which
    several files may share. ``seq`` is that of the entry which the file came with, 0 as
    long as the upload is not complete; ``time_ms`` is when it was begun, then when it
    was stored.
    """

    id: str
    chat: int
    owner: str
    key: str
    name: str
    size: int
    sha256: str
    time_ms: int
    text: str = ""
    seq: int = 0

    @property
    def is_stored(self) -> bool:
        """Whether it is complete and in the log."""
        return self.seq > 0


class FileUsage(Struct, frozen=True, gc=False):
    """How many bytes files take; a begun upload counts with its whole size.

    ``user`` counts each file of one user; ``total`` counts the same content once.
    """

    user: int
    total: int


class AddMember(Struct, frozen=True, gc=False, tag=True):
    """Make ``user`` a member, as of the entry that records it.

    The cursor starts at that entry; in a private room ``first`` does too. An invitation
    to the room is used up. Without a role it is ``member``, but the first to join a
    room without members becomes its owner, and the entry says so (``"role":"owner"``).

    The append fails with NameTakenError if ``user`` is one already; if the user
    ``is_asking``, with NoSuchRoomError where the room is private and there is no
    invitation; with TooManyError if the user is in ``max_rooms`` rooms.
    """

    user: str
    role: Role | None = None
    is_asking: bool = False
    max_rooms: int | None = None


class RemoveMember(Struct, frozen=True, gc=False, tag=True):
    """End ``user``'s membership; the append fails with NotAMemberError without one."""

    user: str


class SetTopic(Struct, frozen=True, gc=False, tag=True):
    """Change the room's topic."""

    topic: str


class SealFile(Struct, frozen=True, gc=False, tag=True):
    """Make a begun file a stored one, as of the entry that records it.

    The append fails with NotAllowedError if the upload was dropped meanwhile.
    """

    file: str


Change = AddMember | RemoveMember | SetTopic | SealFile


class Committed(Struct, gc=False):
    """Entries of one chat that were committed together, oldest first, never empty.

    ``info`` is the chat itself where a user gains it by one of them: a room is
    created or joined, a direct chat has its first entry.
    """

    chat: int
    entries: list[Entry]
    info: ChatInfo | None = None


class Invited(Struct, frozen=True, gc=False):
    """A user was invited to a room; ``by`` is who did it."""

    room: str
    user: str
    by: str


# What a store hands over, in its order: all that others have to be told of.
Effect = Committed | Invited
