"""Index of the users and rooms that can be completed, updated by changes of the model.

Each change is applied when it arrives, so that a key press costs the same whether ten
users are known or ten thousand.
"""

from collections.abc import Iterable, Iterator

from client.commands.workspace import Workspace
from client.model.changes import (
    Change,
    ChatAdded,
    ChatRemoved,
    EntriesAdded,
    InvitesChanged,
    LoggedIn,
    MembersChanged,
    PresenceChanged,
    Reset,
)
from client.ui.composer.prefix_index import PrefixIndex

MAX_RECENT = 20
"""How many of the last senders in the open chat are offered before all others."""

_MAX_LOOKED_AT = 500


class NameIndex:
    """The names that can be completed; call ``changed`` with each change of the model.

    Args:
        workspace: Has the model, and the public rooms that were listed.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._open: str | None = None
        self._recent: dict[str, None] = {}
        self._here = PrefixIndex()
        self._everyone = PrefixIndex()
        self._rooms = PrefixIndex()
        self._joinable = PrefixIndex()
        self._listed: list[str] = []
        self._listed_set: frozenset[str] = frozenset()
        self._reload()

    def open(self, address: str | None) -> None:
        """Put senders and members of this chat first."""
        self._open = address
        self._recent = {}
        self._here = PrefixIndex()
        chat = self._workspace.model.chats.get(address or "")
        if chat is None:
            return
        for entry in chat.entries[-_MAX_LOOKED_AT:]:
            if entry.is_message:
                self._note_sender(entry.sender)
        here = {chat.name} if chat.is_direct else set(chat.members or ())
        here |= self._recent.keys()
        self._here.update(here)
        self._everyone.update(here)

    def changed(self, change: Change) -> None:
        """Handle a change of the model: add new users, add or remove rooms."""
        model = self._workspace.model
        match change:
            case PresenceChanged(users=users):
                self._everyone.update(user for user in users if user in model.presence)
            case EntriesAdded():
                self._add_senders(change)
            case MembersChanged(chat=address):
                self._add_members(address)
            case ChatAdded(chat=address) | ChatRemoved(chat=address):
                self._sort_in(address)
            case InvitesChanged(room=room):
                self._sort_in(room)
            case LoggedIn() | Reset():
                self._reload()
            case _:
                pass

    # Look-up --------------------------------------------------------------------------

    def people(self, beginning: str, limit: int) -> list[str]:
        """Return names with this beginning: last senders, then members, then others."""
        low = beginning.lower()
        me = self._workspace.model.me
        found = dict.fromkeys(n for n in reversed(self._recent) if n.startswith(low))
        for index in (self._here, self._everyone):
            found.update(dict.fromkeys(index.matches(low, limit + len(found) + 1)))
        found.pop(me, None)
        return list(found)[:limit]

    def rooms(self, beginning: str, limit: int) -> list[str]:
        """Return addresses with this beginning, of joined and of joinable rooms."""
        self._look_at_list()
        return self._rooms.matches(_room(beginning), limit)

    def joinable(self, beginning: str, limit: int) -> list[str]:
        """Return addresses of joinable rooms; if none are known, of any rooms."""
        self._look_at_list()
        if not len(self._joinable):
            return self._rooms.matches(_room(beginning), limit)
        return self._joinable.matches(_room(beginning), limit)

    # Inside ---------------------------------------------------------------------------

    def _reload(self) -> None:
        model = self._workspace.model
        self._rooms = PrefixIndex()
        self._joinable = PrefixIndex()
        self._listed, self._listed_set = [], frozenset()
        names = {*model.presence, model.me} - {""}
        for chat in model.chats.values():
            names.update({chat.name} if chat.is_direct else chat.members or ())
        self._everyone.update(names)
        self._set_rooms(a for a in (*model.chats, *model.invites))
        self._look_at_list()
        self.open(self._open)

    def _add_senders(self, change: EntriesAdded) -> None:
        senders = {entry.sender for entry in change.entries}
        self._everyone.update(senders)
        if change.chat != self._open:
            return
        self._here.update(senders)
        if change.origin in ("live", "backlog"):
            for entry in change.entries:
                if entry.is_message:
                    self._note_sender(entry.sender)

    def _add_members(self, address: str) -> None:
        chat = self._workspace.model.chats.get(address)
        members = (chat.members if chat else None) or {}
        self._everyone.update(members)
        if address == self._open:
            self._here.replace({*members, *self._recent})

    def _note_sender(self, sender: str) -> None:
        self._recent.pop(sender, None)
        self._recent[sender] = None
        if len(self._recent) > MAX_RECENT:
            del self._recent[next(iter(self._recent))]

    def _look_at_list(self) -> None:
        """Update the rooms, if the list of public rooms is another than before."""
        if self._workspace.listed is self._listed:
            return
        old = self._listed_set
        self._listed = self._workspace.listed
        self._listed_set = frozenset(self._listed)
        self._set_rooms(old ^ self._listed_set)

    def _set_rooms(self, addresses: Iterable[str]) -> None:
        for address in _rooms_of(addresses):
            self._sort_in(address)

    def _sort_in(self, address: str) -> None:
        model = self._workspace.model
        if address.startswith("@"):
            self._everyone.update([address[1:]])
            return
        is_own = address in model.chats
        is_open = address in model.invites or address in self._listed_set
        _set(self._rooms, address, is_own or is_open)
        _set(self._joinable, address, is_open and not is_own)


def _set(index: PrefixIndex, name: str, is_in: bool) -> None:
    if is_in:
        index.update([name])
    else:
        index.remove(name)


def _rooms_of(addresses: Iterable[str]) -> Iterator[str]:
    return (address for address in addresses if address.startswith("#"))


def _room(beginning: str) -> str:
    return f"#{beginning.removeprefix('#').lower()}"
