"""A reference model of a store, as a dictionary and lists, to compare stores with."""

from bisect import bisect_right
from dataclasses import dataclass, field

from chatd.protocol.entries import Draft, Entry, has_same_content
from chatd.protocol.errors import KeyReusedError, NameTakenError, NotAMemberError
from chatd.store.base import Store
from chatd.store.jobs import Append
from chatd.store.values import AddMember, Change, RemoveMember

MESSAGE_KINDS = {"text", "action", "file"}


@dataclass
class Member:
    """A user in a chat of the model."""

    first: int
    read: int


@dataclass
class ModelChat:
    """A chat of the model: its log, the entries of its keys, and its members."""

    is_private_room: bool
    log: list[Entry] = field(default_factory=list)
    keys: dict[tuple[str, str], Entry] = field(default_factory=dict)
    members: dict[str, Member] = field(default_factory=dict)

    @property
    def seqs(self) -> list[int]:
        """All seqs of the log."""
        return [entry.seq for entry in self.log]

    def expect(self, draft: Draft, change: Change | None) -> Entry | type | None:
        """Return what an append must lead to: a known entry, an error, or None: new."""
        if draft.key is not None:
            known = self.keys.get((draft.sender, draft.key))
            if known is not None:
                same = has_same_content(known.tail, draft.tail)
                return known if same else KeyReusedError
        if isinstance(change, AddMember) and change.user in self.members:
            return NameTakenError
        if isinstance(change, RemoveMember) and change.user not in self.members:
            return NotAMemberError
        return None

    def apply(self, append: Append) -> None:
        """Check the outcome of an append against the expected one, and apply it."""
        draft = append.draft
        expected = self.expect(draft, append.change)
        if isinstance(expected, type):
            assert isinstance(append.error, expected), append.error
            return
        assert append.error is None
        if expected is not None:
            assert (append.seq, append.duplicate) == (expected.seq, True)
            return
        assert not append.duplicate
        prev = self.log[-1].seq if self.log else 0
        assert append.seq > prev
        entry = Entry(append.seq, prev, draft.sender, draft.kind, draft.tail, draft.key)
        self.log.append(entry)
        if draft.key is not None:
            self.keys[draft.sender, draft.key] = entry
        change = append.change
        if isinstance(change, AddMember):
            first = append.seq if self.is_private_room else 1
            self.members[change.user] = Member(first, append.seq)
        elif isinstance(change, RemoveMember):
            del self.members[change.user]

    def pick(self, fraction: float) -> int:
        """Return a bound somewhere in the log, or just beside a seq of it."""
        if not self.log:
            return 0
        return self.seqs[int(fraction * (len(self.log) - 1))] + round(fraction * 7) % 2

    def read(self, after: int, limit: int) -> list[Entry]:
        """Return what ``Store.read`` must return."""
        return self.log[bisect_right(self.seqs, after) :][:limit]

    def history(self, before: int | None, limit: int, first: int) -> list[Entry]:
        """Return what ``Store.history`` must return."""
        bound = 1 << 62 if before is None else before
        return [e for e in self.log if first <= e.seq < bound][-limit:]

    def count(self, after: int, user: str, cap: int) -> int:
        """Return what ``Store.count`` must return."""
        others = [e for e in self.log if e.seq > after and e.sender != user]
        return min(cap, sum(e.kind in MESSAGE_KINDS for e in others))


async def compare(store: Store, chat: int, model: ModelChat, users: list[str]) -> None:
    """Check that a chat of the store equals the model, as every user has it."""
    assert await store.read(chat, 0, len(model.log) + 1) == model.log
    last = model.log[-1].seq if model.log else 0
    assert await store.heads([chat]) == {chat: last}
    listed = await store.members(chat, None, 100)
    assert [m.user for m in listed] == sorted(model.members)
    for user in users:
        state = await store.chat_of(user, chat)
        member = model.members.get(user)
        if member is None:
            assert state is None
            continue
        assert state is not None
        assert state.membership.read == member.read
        assert state.membership.first == member.first
        unread = model.count(max(member.read, member.first - 1), user, 1_000)
        assert (state.last, state.unread) == (last, unread)
