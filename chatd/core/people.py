"""People: who has an account, and what others may know of them."""

from typing import Protocol

from chatd.core.presence import PresenceBoard
from chatd.core.sessions import Session
from chatd.protocol.errors import NoSuchUserError
from chatd.protocol.messages import Status, WhoisReply
from chatd.protocol.names import parse_user_name


class Directory(Protocol):
    """Knows which accounts exist."""

    def is_user(self, name: str) -> bool:
        """Return whether there is a user with that canonical name."""

    def role(self, name: str) -> str | None:
        """Return a user's role on the server."""

    def since(self, name: str) -> int | None:
        """Return when a user's account was made, in ms."""


class People:
    """What users say of themselves, and ask about others.

    Args:
        directory: Knows which accounts exist.
        presence: Knows who is connected.
    """

    def __init__(self, directory: Directory, presence: PresenceBoard) -> None:
        self._directory = directory
        self._presence = presence

    def set_status(self, session: Session, status: Status, text: str) -> None:
        """Set the user's status, which holds for all of the user's connections."""
        session.online.status = status
        session.online.status_text = text
        self._presence.changed(session.online)

    def whois(self, user: str) -> WhoisReply:
        """Return what may be known of a user.

        Raises:
            NoSuchUserError: There is no such user.
        """
        name = parse_user_name(user)
        if not self._directory.is_user(name):
            raise NoSuchUserError(f"there is no user '{name}'")
        presence = self._presence.of(name)
        return WhoisReply(
            user=name,
            role=self._directory.role(name) or "member",
            status=presence.status,
            text=presence.text,
            since=self._directory.since(name),
            seen=presence.seen,
        )
