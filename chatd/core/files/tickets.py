"""Tickets: short-lived permissions, each for one transfer of one file.

They are held in memory only: after a restart, clients ask for new ones.
"""

import secrets
from collections.abc import Callable, Iterator

from msgspec import Struct

from chatd.store.values import FileRecord

TICKET_SECONDS = 60.0
# Beyond this many, a user's oldest ticket is dropped.
MAX_PER_USER = 200


class Ticket(Struct, frozen=True, gc=False):
    """Permits one user to transfer one file one way, from ``offset`` on."""

    user: str
    file: FileRecord
    is_upload: bool
    offset: int
    expires_at: float


class Tickets:
    """The tickets that were issued and are not used yet.

    Args:
        monotonic: Returns seconds that never step back.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        # All tickets last equally long, so both are in the order of expiry.
        self._owners: dict[str, str] = {}
        self._of_user: dict[str, dict[str, Ticket]] = {}

    def issue(
        self, user: str, file: FileRecord, *, is_upload: bool, offset: int
    ) -> str:
        """Return the random token of a new ticket."""
        now = self._monotonic()
        self._drop_expired(now)
        mine = self._of_user.setdefault(user, {})
        if len(mine) >= MAX_PER_USER:
            self._drop(next(iter(mine)))
        token = secrets.token_urlsafe(24)
        self._owners[token] = user
        ticket = Ticket(user, file, is_upload, offset, now + TICKET_SECONDS)
        self._of_user.setdefault(user, {})[token] = ticket
        return token

    def take(self, token: str) -> Ticket | None:
        """Use up a ticket; None if the token is not valid, or not any more."""
        self._drop_expired(self._monotonic())
        return self._drop(token)

    def void_user(self, user: str) -> None:
        """Void all of a user's tickets."""
        for token in list(self._of_user.get(user, ())):
            self._drop(token)

    def void_file(self, user: str, file: str) -> None:
        """Void a user's tickets for one file."""
        mine = self._of_user.get(user, {})
        for token in [token for token, each in mine.items() if each.file.id == file]:
            self._drop(token)

    def uploads(self) -> Iterator[FileRecord]:
        """Yield the uploads for which there is a ticket."""
        self._drop_expired(self._monotonic())
        for mine in self._of_user.values():
            yield from (ticket.file for ticket in mine.values() if ticket.is_upload)

    def _drop_expired(self, now: float) -> None:
        while self._owners:
            token, user = next(iter(self._owners.items()))
            if self._of_user[user][token].expires_at > now:
                break
            self._drop(token)

    def _drop(self, token: str) -> Ticket | None:
        user = self._owners.pop(token, None)
        if user is None:
            return None
        mine = self._of_user[user]
        ticket = mine.pop(token)
        if not mine:
            del self._of_user[user]
        return ticket
