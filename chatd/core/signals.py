"""Signals: what concerns those who are connected, and is not stored.

Who causes something publishes it; who shows it, or acts on it, has subscribed to its
type. Neither knows the other, nor in which process it is: a signal has nothing in it
that only this process knows, but ``origin``, which says where it need not be shown.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from msgspec import Struct

from chatd.protocol.messages import PresenceOf

S = TypeVar("S")


class Typing(Struct, frozen=True):
    """A member of a chat is typing."""

    chat: int
    user: str


class ReadUpTo(Struct, frozen=True):
    """A member's cursor has moved to a seq; ``origin`` is the session that moved it."""

    chat: int
    user: str
    seq: int
    origin: object = None


class PresenceChanged(Struct, frozen=True):
    """A user came, left, or set another status."""

    user: str
    presence: PresenceOf


class UserEnded(Struct, frozen=True):
    """An account or a login has ended: its connections have to.

    Attributes:
        user: The user's name.
        code: ``disabled``, ``revoked`` or ``deleted``.
        login: The id of the one login that ended; None for all of them.
    """

    user: str
    code: str
    login: str | None = None


class Signals:
    """Passes signals on to those who subscribed, at once and in their order."""

    def __init__(self) -> None:
        self._subscribers: dict[type, list[Callable[[Any], None]]] = {}

    def subscribe(self, kind: type[S], subscriber: Callable[[S], None]) -> None:
        """Call a subscriber with every signal of a type, until the process ends."""
        self._subscribers.setdefault(kind, []).append(subscriber)

    def publish(self, signal: object) -> None:
        """Tell the subscribers."""
        for subscriber in self._subscribers.get(type(signal), ()):
            subscriber(signal)
