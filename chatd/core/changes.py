"""What entries change in memory, where the fan-out comes by them: a rule for each kind.

The store has applied the same change in the transaction that wrote the entry; this is
what connected users see of it, between the entries before and after.
"""

from collections.abc import Callable
from typing import Protocol

from chatd.core.sessions import LiveChat, OnlineUser
from chatd.protocol.entries import Entry, decode_members
from chatd.protocol.rights import Role
from chatd.store.values import ChatInfo, Membership


class Seats(Protocol):
    """What a change can do to connected users; the hub.

    Attributes:
        users: Those who are connected, by name.
    """

    users: dict[str, OnlineUser]

    def gain(self, online: OnlineUser, membership: Membership, last: int) -> None:
        """Give a connected user a new chat, with the entries up to ``last``."""

    def lose(self, online: OnlineUser, live: LiveChat, last: int) -> None:
        """Take a chat away from a connected user, after the entry ``last``."""


Change = Callable[[Seats, LiveChat, Entry], None]


def _create(seats: Seats, live: LiveChat, entry: Entry) -> None:
    _gain(seats, live, entry, "owner")


def _join(seats: Seats, live: LiveChat, entry: Entry) -> None:
    # The first to join a room without members becomes its owner.
    is_owner = decode_members(entry.tail).get("role") == "owner"
    _gain(seats, live, entry, "owner" if is_owner else "member")


def _gain(seats: Seats, live: LiveChat, entry: Entry, role: Role) -> None:
    online = seats.users.get(entry.sender)
    if online is None:
        return
    first = entry.seq if live.info.visibility == "private" else 1
    membership = Membership(live.info, online.name, role, first, entry.seq)
    seats.gain(online, membership, entry.seq)


def _leave(seats: Seats, live: LiveChat, entry: Entry) -> None:
    online = seats.users.get(entry.sender)
    if online is not None:
        seats.lose(online, live, entry.seq)


def _topic(seats: Seats, live: LiveChat, entry: Entry) -> None:
    topic = str(decode_members(entry.tail).get("topic", ""))
    info = live.info
    live.info = ChatInfo(info.id, info.kind, info.name, info.visibility, topic)


CHANGES: dict[str, Change] = {
    "create": _create,
    "join": _join,
    "leave": _leave,
    "topic": _topic,
}
