"""The changes that the model reports; no I/O, only data.

A ``Change`` says what is different now. Frontends redraw from it, bots act on it. By
the time it is reported the model already shows it.
"""

from typing import Literal

from msgspec import Struct

from client.model.entries import Entry, OutboxItem, Transfer

Origin = Literal["live", "backlog", "history", "cache"]


class Change(Struct, frozen=True, kw_only=True):
    """What is different now; one of the classes below."""


class EntriesAdded(Change, frozen=True, kw_only=True):
    """Entries of a chat that were not held before, by seq.

    Those of origin ``live`` and ``backlog`` are news (each is reported so only once,
    also across reconnects); ``history`` and ``cache`` were loaded or fill a gap.
    """

    chat: str
    entries: tuple[Entry, ...]
    origin: Origin


class EntryChanged(Change, frozen=True, kw_only=True):
    """An entry that is held was edited, deleted or otherwise updated."""

    chat: str
    entry: Entry


class ChatAdded(Change, frozen=True, kw_only=True):
    """A chat is one of the user's now."""

    chat: str


class ChatRemoved(Change, frozen=True, kw_only=True):
    """A chat is no longer the user's; ``code`` says why (left, removed, deleted …).

    ``discarded``: it only ever existed as the address of items in the outbox.
    """

    chat: str
    code: str


class ChatUpdated(Change, frozen=True, kw_only=True):
    """Topic, role, last, unread count, mentions or a cursor of a chat changed."""

    chat: str


class CursorMoved(Change, frozen=True, kw_only=True):
    """``user``, this one or the peer, has read the chat up to ``seq``."""

    chat: str
    user: str
    seq: int


class TypingSeen(Change, frozen=True, kw_only=True):
    """A user is typing in a chat."""

    chat: str
    user: str


class PresenceChanged(Change, frozen=True, kw_only=True):
    """The presence of these users changed."""

    users: tuple[str, ...]


class MembersChanged(Change, frozen=True, kw_only=True):
    """The list of a room's members, as far as it is known, changed."""

    chat: str


class InvitesChanged(Change, frozen=True, kw_only=True):
    """An invitation was added or removed."""

    room: str


class ItemChanged(Change, frozen=True, kw_only=True):
    """An item of the outbox is new, sent, refused, waiting again, or discarded."""

    item: OutboxItem
    is_discarded: bool = False


class TransferChanged(Change, frozen=True, kw_only=True):
    """A transfer is new, has progressed (a few times a second), or is over."""

    transfer: Transfer


class LoggedIn(Change, frozen=True, kw_only=True):
    """The server accepted the login; the list of chats is complete."""

    user: str


class SyncDone(Change, frozen=True, kw_only=True):
    """The backlog is complete; what follows is live."""


class Reset(Change, frozen=True, kw_only=True):
    """The server has another log than before: everything held was dropped."""


class Notice(Change, frozen=True, kw_only=True):
    """A notice for the user, as one sentence."""

    text: str
