"""The model of chats and users: a pure reducer of the server's messages.

No I/O and no clock. ``Model.apply`` takes one message of the server and returns what
changed; frontends read the attributes. The same message twice changes nothing the
second time, and whatever order entries come in, each chat shows them once, by seq.
"""

import re
from collections.abc import Iterable, Sequence

import msgspec

from chatd.protocol.messages import (
    ChatRecord,
    Chats,
    HistoryPage,
    Invitation,
    Invited,
    Joined,
    Left,
    MemberInfo,
    Message,
    Presence,
    PresenceOf,
    ReadPush,
    Ready,
    ServerMessage,
    Synced,
    TypingPush,
)
from client.model.changes import (
    Change,
    ChatAdded,
    ChatRemoved,
    ChatUpdated,
    CursorMoved,
    EntriesAdded,
    EntryChanged,
    InvitesChanged,
    ItemChanged,
    LoggedIn,
    MembersChanged,
    Origin,
    PresenceChanged,
    Reset,
    SyncDone,
    TypingSeen,
)
from client.model.chat import Chat, mention_of
from client.model.entries import Entry, OutboxItem, entry_from_message

MAX_ENTRIES = 2_000


class Model:
    """The chats, presence and invitations of one user at one server.

    Attributes:
        me: The user's own canonical name.
        role: The user's role at the server.
        log: The id of the server's log that everything here belongs to; "" if unknown.
        chats: By address.
        presence: Of the users who share a chat with this one, by name.
        invites: Rooms that the user is invited to, and by whom.
        is_synced: Whether the backlog is complete, so that entries are live.
        keeps_sent: Whether an item that was sent stays until its entry comes; False
            where no entries are pushed.
    """

    def __init__(self, me: str = "", max_entries: int = MAX_ENTRIES) -> None:
        self.me = me
        self.role = ""
        self.log = ""
        self.chats: dict[str, Chat] = {}
        self.presence: dict[str, PresenceOf] = {}
        self.invites: dict[str, str] = {}
        self.is_synced = False
        self.keeps_sent = True
        self._max_entries = max_entries
        self._mention: re.Pattern[str] = mention_of(me)
        self._expected: set[str] = set()

    # The server's messages ------------------------------------------------------------

    def apply(self, message: ServerMessage, now: float = 0.0) -> list[Change]:
        """Apply a message of the server and return what is different now.

        Args:
            message: A push or a reply; most kinds of reply change nothing.
            now: Of any monotonic clock, in seconds; only ``Chat.typing`` compares it.
        """
        match message:
            case Message():
                return self._apply_entries([message], message.chat, self._news)
            case Ready():
                return self._apply_ready(message)
            case Chats():
                changes = self._apply_records(message.chats)
                return changes if message.more else changes + self._complete_chats()
            case Synced():
                self.is_synced = True
                chats = [c.address for c in self.chats.values() if c.recount()]
                return [*(ChatUpdated(chat=chat) for chat in chats), SyncDone()]
            case HistoryPage():
                return self._apply_entries(message.messages, message.chat, "history")
            case ReadPush():
                return self._apply_cursor(message.chat, message.user, message.seq)
            case Joined():
                return self._apply_joined(message.chat)
            case Left():
                return self._remove_chat(message.chat, message.code)
            case _:
                return self._apply_people(message, now)

    def _apply_people(self, message: ServerMessage, now: float) -> list[Change]:
        match message:
            case TypingPush():
                chat = self.chats.get(message.chat)
                if chat is None or message.user == self.me:
                    return []
                chat.set_typing(message.user, now)
                return [TypingSeen(chat=message.chat, user=message.user)]
            case Invited():
                self.invites[message.room] = message.by
                return [InvitesChanged(room=message.room)]
            case Presence():
                self.presence.update(message.users)
                return [PresenceChanged(users=tuple(message.users))]
            case _:
                return []

    # This device's data ---------------------------------------------------------------

    def load_chats(self, records: Iterable[ChatRecord], held: dict[str, int]) -> None:
        """Load the chats of the cache, before anything from a server.

        Args:
            records: The chats as they were when last seen.
            held: By address, the newest seq that the cache holds.
        """
        for record in records:
            self._add_chat(record).held = held.get(record.chat)

    def load_entries(self, chat: str, entries: Sequence[Entry]) -> list[Change]:
        """Add entries of the cache."""
        return self._insert(chat, entries, "cache")

    def reset(self, log: str) -> list[Change]:
        """Forget all that belongs to another log; the items of the outbox stay."""
        items = [item for chat in self.chats.values() for item in chat.outbox]
        self.chats.clear()
        self.invites.clear()
        self.log = log
        for item in items:
            self.apply_item(item)
        return [Reset()]

    def go_offline(self) -> list[Change]:
        """Forget what is true only while connected."""
        self.is_synced = False
        gone, self.presence = self.presence, {}
        return [PresenceChanged(users=tuple(gone))] if gone else []

    def mark_read(self, chat: str, seq: int) -> list[Change]:
        """Move the user's own cursor forward."""
        return self._apply_cursor(chat, self.me, seq)

    def sever(self, chat: str, seq: int) -> None:
        """Note that the server has nothing in the gap before an entry."""
        if chat in self.chats:
            self.chats[chat].sever(seq)

    def expect_older(self, chat: str, count: int) -> None:
        """Let ``count`` older entries stay in memory, which else are dropped again."""
        if chat in self.chats:
            self.chats[chat].allow(count)

    def shrink(self, chat: str) -> None:
        """Drop from memory what was loaded of a chat beyond the usual bound."""
        if chat in self.chats:
            self.chats[chat].trim(self._max_entries, is_reset=True)

    def apply_item(self, item: OutboxItem, is_discarded: bool = False) -> list[Change]:
        """Apply the present state of an outbox item to its chat.

        An item that was sent stays until its entry is there, so that it never flickers.
        """
        changes: list[Change] = []
        chat = self.chats.get(item.chat)
        if item.message is None:
            return [ItemChanged(item=item, is_discarded=is_discarded)]
        if chat is None:
            if is_discarded:
                return [ItemChanged(item=item, is_discarded=True)]
            chat = self._add_chat(_blank_record(item.chat))
            changes.append(ChatAdded(chat=item.chat))
        was_local = chat.is_local
        at = next((i for i, o in enumerate(chat.outbox) if o.id == item.id), None)
        has_entry = item.seq is not None and chat.entry(item.seq) is not None
        is_sent = item.state == "sent" and not self.keeps_sent
        if is_discarded or has_entry or is_sent:
            if at is not None:
                del chat.outbox[at]
        elif at is None:
            chat.outbox.append(item)
        else:
            chat.outbox[at] = item
        changes.append(ItemChanged(item=item, is_discarded=is_discarded))
        if is_discarded and was_local and not chat.outbox:
            # There is no user of that name, say.
            changes += self._remove_chat(item.chat, "discarded")
        return changes

    def expect_members(self, chat: str) -> None:
        """Record from now on who joins and leaves, for ``set_members``."""
        if chat in self.chats:
            self.chats[chat].arrivals = {}

    def set_members(self, chat: str, members: Iterable[MemberInfo]) -> list[Change]:
        """Set the complete list of a room's members.

        Who joined or left since ``expect_members`` may not be in it yet.
        """
        if chat not in self.chats:
            return []
        room = self.chats[chat]
        room.members = {member.user: member for member in members}
        for user, is_there in room.arrivals.items():
            if not is_there:
                room.members.pop(user, None)
            elif user not in room.members:
                room.members[user] = self._new_member(user)
        room.arrivals = {}
        return [MembersChanged(chat=chat)]

    def remove_invite(self, room: str) -> list[Change]:
        """Forget an invitation that was accepted or declined."""
        if self.invites.pop(room, None) is None:
            return []
        return [InvitesChanged(room=room)]

    def mentions_me(self, entry: Entry) -> bool:
        """Whether an entry of another user mentions this one by name."""
        if entry.sender == self.me or not entry.is_message or not self.me:
            return False
        return self._mention.search(entry.text) is not None

    def have(self) -> dict[str, int]:
        """Return what to send in ``sync``: the newest seq held of each chat."""
        return {c.address: c.held for c in self.chats.values() if c.held is not None}

    # Inside ---------------------------------------------------------------------------

    @property
    def _news(self) -> Origin:
        return "live" if self.is_synced else "backlog"

    def _apply_ready(self, ready: Ready) -> list[Change]:
        changes: list[Change] = []
        if self.log != ready.log:
            if self.log:
                changes += self.reset(ready.log)
            self.log = ready.log
        self.is_synced = False
        self.me, self.role = ready.user, ready.role
        self._mention = mention_of(ready.user)
        for chat in self.chats.values():
            chat.set_me(self.me)
        changes += self._apply_invites(ready.invites)
        self._expected = {a for a, c in self.chats.items() if not c.is_local}
        changes += self._apply_records(ready.chats)
        return changes if ready.more else changes + self._complete_chats()

    def _apply_invites(self, invites: list[Invitation]) -> list[Change]:
        now = {invite.room: invite.by for invite in invites}
        rooms = sorted(now.items() ^ self.invites.items())
        self.invites = now
        return [InvitesChanged(room=room) for room, _ in rooms]

    def _apply_records(self, records: list[ChatRecord]) -> list[Change]:
        changes: list[Change] = []
        for record in records:
            self._expected.discard(record.chat)
            changes += self._apply_record(record)
        return changes

    def _apply_record(self, record: ChatRecord) -> list[Change]:
        chat = self.chats.get(record.chat)
        if chat is None:
            self._add_chat(record)
            return [ChatAdded(chat=record.chat)]
        chat.update(record)
        return [ChatUpdated(chat=record.chat)]

    def _complete_chats(self) -> list[Change]:
        # What the server did not list is not the user's any more.
        changes: list[Change] = []
        for address in sorted(self._expected):
            changes += self._remove_chat(address, "left")
        self._expected = set()
        return [*changes, LoggedIn(user=self.me)]

    def _apply_joined(self, record: ChatRecord) -> list[Change]:
        return self.remove_invite(record.chat) + self._apply_record(record)

    def _remove_chat(self, address: str, code: str) -> list[Change]:
        if self.chats.pop(address, None) is None:
            return []
        return [ChatRemoved(chat=address, code=code)]

    def _add_chat(self, record: ChatRecord) -> Chat:
        chat = self.chats[record.chat] = Chat(record)
        chat.set_me(self.me)
        return chat

    def _apply_entries(
        self, messages: Sequence[Message], address: str, origin: Origin
    ) -> list[Change]:
        entries = [entry_from_message(message, address) for message in messages]
        return self._insert(address, entries, origin)

    def _insert(
        self, address: str, entries: Sequence[Entry], origin: Origin
    ) -> list[Change]:
        chat = self.chats.get(address)
        if chat is None:
            # A page may come back after its chat was left. An entry is always preceded
            # by its chat; showing it all the same is better than losing it.
            if origin in ("history", "cache") or not entries:
                return []
            chat = self._add_chat(_blank_record(address))
        added, updated = chat.insert(entries)
        changes: list[Change] = []
        if added:
            changes.append(
                EntriesAdded(chat=address, entries=tuple(added), origin=origin)
            )
        changes += [EntryChanged(chat=address, entry=entry) for entry in updated]
        for entry in added:
            chat.count(entry, self.mentions_me(entry))
            changes += self._apply_event(chat, entry, origin)
        if added:
            changes.append(ChatUpdated(chat=address))
        if origin not in ("history", "cache"):
            chat.trim(self._max_entries)
        return changes

    def _apply_event(self, chat: Chat, entry: Entry, origin: Origin) -> list[Change]:
        chat.stop_typing(entry.sender)
        if entry.sender == self.me:
            chat.drop_sent(entry)
        if entry.target is not None:
            return self._apply_target(chat, entry, entry.target)
        if origin in ("history", "cache"):
            return []
        if entry.kind == "topic":
            chat.topic = entry.topic if entry.topic is not None else entry.text
        if entry.kind in ("join", "leave", "remove"):
            return self._apply_member(chat, entry)
        return []

    def _apply_member(self, chat: Chat, entry: Entry) -> list[Change]:
        chat.arrivals[entry.sender] = entry.kind == "join"
        if chat.members is None:
            return []
        if entry.kind == "join":
            chat.members[entry.sender] = self._new_member(entry.sender)
        else:
            chat.members.pop(entry.sender, None)
        return [MembersChanged(chat=chat.address)]

    def _new_member(self, user: str) -> MemberInfo:
        seen = self.presence.get(user)
        return MemberInfo(
            user=user, role="member", status=seen.status if seen else "online"
        )

    def _apply_target(self, chat: Chat, event: Entry, target: int) -> list[Change]:
        # Of two versions of an entry the higher rev wins (protocol README, 5).
        held = chat.entry(target)
        if held is None or held.rev >= event.seq:
            return []
        if event.kind == "edit":
            new = msgspec.structs.replace(
                held, text=event.text, edited_ms=event.time_ms, rev=event.seq
            )
        elif event.kind == "delete":
            new = msgspec.structs.replace(
                held, text="", file=None, is_deleted=True, rev=event.seq
            )
        else:
            return []
        chat.replace(new)
        return [EntryChanged(chat=chat.address, entry=new)]

    def _apply_cursor(self, address: str, user: str, seq: int) -> list[Change]:
        chat = self.chats.get(address)
        if chat is None:
            return []
        if user != self.me:
            if seq <= (chat.peer_read or 0):
                return []
            chat.peer_read = seq
            return [CursorMoved(chat=address, user=user, seq=seq)]
        if not chat.advance(seq):
            return []
        return [
            CursorMoved(chat=address, user=user, seq=chat.read),
            ChatUpdated(chat=address),
        ]


def _blank_record(address: str) -> ChatRecord:
    return ChatRecord(chat=address, last=0, read=0, first=1, unread=0)
