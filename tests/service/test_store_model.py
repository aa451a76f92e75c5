"""Stores compared with a reference model (store_model) by random operations."""

import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chatd.protocol.entries import Draft
from chatd.store.base import Store
from chatd.store.commands import OpenDirect
from chatd.store.jobs import Append
from chatd.store.values import AddMember, Change, RemoveMember
from tests.service.store_conformance import (
    StoreHarness,
    append_each,
    event,
    make_room,
    text,
)
from tests.service.store_model import Member, ModelChat, compare
from tests.service.test_store_sqlite import SqliteHarness

USERS = ["alice", "bob", "eve"]
chats = st.integers(0, 3)
users = st.sampled_from(USERS)
keys = st.one_of(
    st.none(),
    st.integers(0, 30).map(lambda n: f"q2w3e4r5t6y7u8i9-{n}"),
    st.integers(0, 30).map(lambda n: f"9i8u7y6t5r4e3w2q-{n}"),
    st.sampled_from(["a", "b", "short-1", "short-2"]),
)
sends = st.tuples(chats, users, st.sampled_from(["x", "y", "z" * 9_000]), keys)
moves = st.tuples(st.integers(2, 3), users, st.sampled_from(["join", "leave"]), keys)
fractions = st.floats(0, 1)
limits = st.integers(1, 200)
operations = st.one_of(
    st.tuples(st.just("append"), st.lists(sends | moves, min_size=1, max_size=9)),
    st.tuples(st.just("flood"), st.tuples(chats, users, st.integers(100, 300))),
    st.tuples(st.just("read"), st.tuples(chats, fractions, limits)),
    st.tuples(st.just("history"), st.tuples(chats, fractions, fractions, limits)),
    st.tuples(st.just("count"), st.tuples(chats, fractions, users, limits)),
    st.tuples(st.just("advance"), st.tuples(chats, users, fractions)),
    st.tuples(st.just("reopen"), st.booleans()),
)


class Run:
    """One run of operations against a store and the model at once."""

    def __init__(self, harness: StoreHarness, store: Store) -> None:
        self.harness = harness
        self.store = store
        self.ids: list[int] = []
        self.models: list[ModelChat] = []

    async def prepare(self) -> None:
        """Make two direct chats, a public and a private room."""
        for other in ("bob", "eve"):
            self.ids.append((await self.store.execute(OpenDirect("alice", other))).id)
            members = {"alice": Member(1, 0), other: Member(1, 0)}
            self.models.append(ModelChat(is_private_room=False, members=members))
        for visibility in ("public", "private"):
            room = await make_room(self.store, visibility, visibility)
            log = await self.store.read(room.id, 0, 9)
            first = log[0].seq if visibility == "private" else 1
            members = {"alice": Member(first, log[0].seq)}
            model = ModelChat(visibility == "private", log, members=members)
            self.ids.append(room.id)
            self.models.append(model)

    async def append(self, wanted: list[tuple[int, str, str, str | None]]) -> None:
        """Append texts, joins and leaves without waiting in between."""
        given_: list[tuple[int, Draft, Change | None]] = []
        for chat, user, what, key in wanted:
            change: Change | None = None
            draft = text(user, what, key)
            if what in ("join", "leave"):
                change = AddMember(user) if what == "join" else RemoveMember(user)
                draft = event(user, what, key)
            given_.append((self.ids[chat], draft, change))
        done: list[Append] = await append_each(self.store, given_)
        for append in done:
            self.models[self.ids.index(append.chat)].apply(append)

    async def flood(self, chat: int, user: str, count: int) -> None:
        """Append more than fits into one row."""
        await self.append([(chat, user, f"m{n}", None) for n in range(count)])

    async def read(self, chat: int, fraction: float, limit: int) -> None:
        """Read a page forwards."""
        model = self.models[chat]
        after = model.pick(fraction)
        found = await self.store.read(self.ids[chat], after, limit)
        assert found == model.read(after, limit)

    async def history(self, chat: int, at: float, first: float, limit: int) -> None:
        """Read a page backwards."""
        model = self.models[chat]
        before = None if at == 1 else model.pick(at)
        lowest = model.pick(first) if first > 0.5 else 0
        found = await self.store.history(self.ids[chat], before, limit, lowest)
        assert found == model.history(before, limit, lowest)

    async def count(self, chat: int, fraction: float, user: str, cap: int) -> None:
        """Count what others wrote."""
        model = self.models[chat]
        after = model.pick(fraction)
        found = await self.store.count(self.ids[chat], after, user, cap)
        assert found == model.count(after, user, cap)

    async def advance(self, chat: int, user: str, fraction: float) -> None:
        """Move a cursor."""
        model = self.models[chat]
        seq = model.pick(fraction)
        self.store.advance(self.ids[chat], user, seq)
        if user in model.members:
            model.members[user].read = max(model.members[user].read, seq)
        await self.store.flush_cursors()

    async def reopen(self, is_killed: bool) -> None:
        """Close and open again, or be killed in between."""
        if is_killed:
            await self.harness.kill(self.store)
        else:
            await self.store.close()
        self.store = await self.harness.open()

    async def finish(self) -> None:
        """Compare everything."""
        for chat, model in zip(self.ids, self.models, strict=True):
            await compare(self.store, chat, model, USERS)
        assert list(await self.store.check()) == []


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(st.lists(operations, max_size=25))
async def test_any_operations_leave_what_the_model_says(
    wanted: list[tuple[str, Any]],
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        harness = SqliteHarness(Path(folder))
        run = Run(harness, await harness.open())
        try:
            await run.prepare()
            for name, arguments in wanted:
                if name in ("append", "reopen"):
                    arguments = (arguments,)
                await getattr(run, name)(*arguments)
            await run.finish()
            await run.reopen(True)
            await run.finish()
        finally:
            await run.store.close()
