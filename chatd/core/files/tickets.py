"""Tickets: permission to move the bytes of one file, once and soon.

They are held in memory only: after a restart, clients ask for new ones.
"""

import secrets
from collections.abc import Callable, Iterator

from msgspec import Struct

from chatd.store.values import FileRecord

TICKET_SECONDS = 60.0
# More of one user push out that user's oldest.
MAX_PER_USER = 200


class Ticket(Struct, frozen=True, gc=False):
    """One file, one user and one direction; ``offset`` is where to go on."""

    user: str
    file: FileRecord
    is_upload: bool
    offset: int
    expires_at: float


class Tickets:
    """The tickets that were given out and not used yet.

    Args:
        monotonic: Returns seconds that never step back.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        # All of them last equally long, so both are ordered by when they expire.
        self._owners: dict[str, str] = {}
        self._of_user: dict[str, dict[str, Ticket]] = {}

    def issue(
        self, user: str, file: FileRecord, *, is_upload: bool, offset: int
    ) -> str:
        """Return a new ticket as the random text that is worth it."""
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
        """Use up a ticket; None for one that is not valid, or not any more."""
        self._drop_expired(self._monotonic())
        return self._drop(token)

    def void_user(self, user: str) -> None:
        """Make a user's tickets worthless."""
        for token in list(self._of_user.get(user, ())):
            self._drop(token)

    def void_file(self, user: str, file: str) -> None:
        """Make a user's tickets for one file worthless."""
        mine = self._of_user.get(user, {})
        for token in [token for token, each in mine.items() if each.file.id == file]:
            self._drop(token)

    def uploads(self) -> Iterator[FileRecord]:
        """All uploads that somebody may go on with at once."""
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
