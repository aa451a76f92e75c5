"""Rights in rooms: who may do what, and the refusal of who may not.

The table is section 6 of ``README.md`` as data; a test compares the two.
"""

from typing import Literal, NamedTuple

from chatd.protocol.errors import ChatError, MutedError, NotAllowedError

Role = Literal["owner", "moderator", "member", "muted"]
Action = Literal["write", "invite", "topic"]


class Right(NamedTuple):
    """Who may do something.

    Attributes:
        roles: Those who may.
        error: The refusal of others.
        words: Its sentence; ``{room}`` stands for the room's address.
    """

    roles: frozenset[Role]
    error: type[ChatError]
    words: str


_WRITERS: frozenset[Role] = frozenset({"owner", "moderator", "member"})

RIGHTS: dict[Action, Right] = {
    "write": Right(_WRITERS, MutedError, "you may read {room}, but not write to it"),
    "invite": Right(
        _WRITERS, NotAllowedError, "you may read {room}, but not invite to it"
    ),
    "topic": Right(
        frozenset({"owner", "moderator"}),
        NotAllowedError,
        "only owners and moderators change the topic of {room}",
    ),
}


def may(role: Role, action: Action) -> bool:
    """Return whether members with a role may do something."""
    return role in RIGHTS[action].roles


def require(role: Role, action: Action, room: str) -> None:
    """Refuse what members with a role may not do.

    Raises:
        ChatError: Of the class in the table.
    """
    if not may(role, action):
        right = RIGHTS[action]
        raise right.error(right.words.format(room=room))
