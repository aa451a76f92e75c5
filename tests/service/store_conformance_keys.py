"""Conformance suite for every store: keys, idempotent in whatever form they have."""

import asyncio
import random

import pytest

from chatd.protocol.errors import KeyReusedError, NameTakenError
from chatd.store.base import Store
from chatd.store.commands import FindKey, OpenDirect
from chatd.store.values import AddMember, RemoveMember
from tests.service.store_conformance import (
    STREAM,
    StoreHarness,
    append_all,
    append_each,
    event,
    fill,
    make_room,
    read_all,
    text,
    words,
)

FORMS = [
    "k",
    "5mTzq2w3e4r5t6y7-18",
    f"{STREAM}-0",
    f"{STREAM}-007",
    f"{STREAM}--1",
    f"{STREAM}-1-2",
    f"{STREAM}-",
    f"{STREAM}-1e3",
    f"{STREAM}-999999999999999",
    f"{STREAM}-9999999999999999",
    f"{STREAM}-9223372036854775808",
    f"{STREAM}-٣",
    f"{STREAM[1:]}-3",
    "-1",
    "1",
    "é" * 64,
    "a\nb\0c-5",
    "x" * 62 + "-1",
    "' OR 1=1 --",
]


class KeyRules:
    """Rules of sends that may be repeated."""

    @pytest.mark.parametrize("key", FORMS)
    async def test_the_same_key_is_answered_with_the_same_seq(
        self, store: Store, key: str
    ) -> None:
        chat = (await store.execute(OpenDirect("alice", "bob"))).id
        first = await store.append(chat, text("alice", "x", key, time_ms=1_000))
        await store.append(chat, text("alice", "y"))
        again = await store.append(chat, text("alice", "x", key, time_ms=2_000))
        assert (again.seq, again.duplicate, again.time_ms) == (first.seq, True, 1_000)
        assert not first.duplicate
        assert [words(e) for e in await read_all(store, chat)] == ["x", "y"]

    @pytest.mark.parametrize("key", FORMS)
    async def test_a_key_twice_in_one_batch_is_stored_once(
        self, store: Store, key: str
    ) -> None:
        chat = (await store.execute(OpenDirect("alice", "bob"))).id
        done = await append_all(store, [(chat, text("alice", "x", key))] * 3)
        assert {append.seq for append in done} == {done[0].seq}
        assert [append.duplicate for append in done] == [False, True, True]
        assert len(await read_all(store, chat)) == 1

    @pytest.mark.parametrize("key", FORMS)
    async def test_a_key_is_known_after_a_kill(
        self, harness: StoreHarness, store: Store, key: str
    ) -> None:
        chat = (await store.execute(OpenDirect("alice", "bob"))).id
        first = await store.append(chat, text("alice", "x", key))
        await harness.kill(store)
        again = await harness.open()
        try:
            found = await again.execute(FindKey(chat, "alice", key))
            assert found is not None
            assert (found.seq, found.key) == (first.seq, key)
            repeated = await again.append(chat, text("alice", "x", key))
            assert (repeated.seq, repeated.duplicate) == (first.seq, True)
        finally:
            await again.close()

    @pytest.mark.parametrize("key", FORMS)
    async def test_a_key_with_other_content_is_refused(
        self, store: Store, key: str
    ) -> None:
        chat = (await store.execute(OpenDirect("alice", "bob"))).id
        await store.append(chat, text("alice", "x", key))
        with pytest.raises(KeyReusedError):
            await store.append(chat, text("alice", "y", key))
        batch = [(chat, text("alice", "y", key)), (chat, text("alice", "x", key))]
        other, same = await append_all(store, batch)
        assert isinstance(other.error, KeyReusedError)
        assert same.error is None
        assert same.duplicate
        assert len(await read_all(store, chat)) == 1

    async def test_in_one_batch_a_key_with_other_content_is_refused(
        self, store: Store
    ) -> None:
        chat = (await store.execute(OpenDirect("alice", "bob"))).id
        for key in (f"{STREAM}-4", "free"):
            batch = [(chat, text("alice", w, key)) for w in ("x", "y", "x")]
            first, other, same = await append_all(store, batch)
            assert isinstance(other.error, KeyReusedError)
            assert (same.seq, same.duplicate) == (first.seq, True)
        assert len(await read_all(store, chat)) == 2

    async def test_a_key_is_its_senders_in_its_chat(self, store: Store) -> None:
        one = (await store.execute(OpenDirect("alice", "bob"))).id
        two = (await store.execute(OpenDirect("alice", "eve"))).id
        for key in (f"{STREAM}-4", "free"):
            done = [
                await store.append(one, text("alice", "x", key)),
                await store.append(one, text("bob", "x", key)),
                await store.append(two, text("alice", "x", key)),
            ]
            assert [append.duplicate for append in done] == [False] * 3
            assert len({append.seq for append in done}) == 3

    async def test_find_key_knows_nothing_that_was_never_used(
        self, store: Store
    ) -> None:
        chat = (await store.execute(OpenDirect("alice", "bob"))).id
        await store.append(chat, text("alice", "x", f"{STREAM}-5"))
        await store.append(chat, text("alice", "x", f"{STREAM}-9"))
        for key in (f"{STREAM}-7", f"{STREAM}-4", f"{STREAM}-10", "free", STREAM):
            assert await store.execute(FindKey(chat, "alice", key)) is None
        assert await store.execute(FindKey(chat, "bob", f"{STREAM}-5")) is None

    async def test_counters_in_any_order_are_all_stored_once(
        self, harness: StoreHarness, store: Store
    ) -> None:
        chat = (await store.execute(OpenDirect("alice", "bob"))).id
        numbers = list(range(0, 400, 2))
        random.Random(7).shuffle(numbers)
        wanted = [(chat, text("alice", f"n{n}", f"{STREAM}-{n}")) for n in numbers]
        first = []
        for start in range(0, len(wanted), 33):
            first += await append_all(store, wanted[start : start + 33])
        again = await append_all(store, wanted)
        assert [a.seq for a in again] == [a.seq for a in first]
        await harness.kill(store)
        reopened = await harness.open()
        try:
            third = await append_all(reopened, wanted)
            assert [a.seq for a in third] == [a.seq for a in first]
            assert len(await read_all(reopened, chat)) == len(wanted)
        finally:
            await reopened.close()

    async def test_a_lower_counter_never_used_is_new(self, store: Store) -> None:
        chat = (await store.execute(OpenDirect("alice", "bob"))).id
        await store.append(chat, text("alice", "high", f"{STREAM}-100"))
        low = await store.append(chat, text("alice", "low", f"{STREAM}-3"))
        assert not low.duplicate
        again = await store.append(chat, text("alice", "low", f"{STREAM}-3"))
        assert (again.seq, again.duplicate) == (low.seq, True)
        assert len(await read_all(store, chat)) == 2

    async def test_a_gap_in_the_counters_can_be_filled_later(
        self, store: Store
    ) -> None:
        chat = (await store.execute(OpenDirect("alice", "bob"))).id
        odd = [(chat, text("alice", f"{n}", f"{STREAM}-{n}")) for n in range(1, 99, 2)]
        even = [(chat, text("alice", f"{n}", f"{STREAM}-{n}")) for n in range(0, 99, 2)]
        await append_all(store, odd)
        done = await append_all(store, even)
        assert not any(append.duplicate for append in done)
        done = await append_all(store, even + odd)
        assert all(append.duplicate for append in done)
        assert len(await read_all(store, chat)) == 99

    async def test_two_streams_of_one_sender_do_not_mix(self, store: Store) -> None:
        chat = (await store.execute(OpenDirect("alice", "bob"))).id
        other = STREAM[::-1]
        wanted = [
            (chat, text("alice", f"{prefix}{n}", f"{prefix}-{n}"))
            for n in range(50)
            for prefix in (STREAM, other, "short")
        ]
        done = await append_all(store, wanted)
        assert not any(append.duplicate for append in done)
        assert all(append.duplicate for append in await append_all(store, wanted))

    async def test_keys_and_no_keys_go_together(self, store: Store) -> None:
        chat = (await store.execute(OpenDirect("alice", "bob"))).id
        wanted = [
            (
                chat,
                text(
                    ("alice", "bob")[n % 2], str(n), (None, f"{STREAM}-{n}")[n % 3 > 0]
                ),
            )
            for n in range(300)
        ]
        await append_all(store, wanted)
        entries = await read_all(store, chat)
        assert [e.key for e in entries] == [draft.key for _, draft in wanted]
        for entry in entries:
            if entry.key is not None:
                assert (
                    await store.execute(FindKey(chat, entry.sender, entry.key)) == entry
                )

    async def test_a_known_key_comes_before_the_check_of_its_change(
        self, store: Store
    ) -> None:
        room = await make_room(store)
        draft = event("bob", "join", "key-of-the-join")
        first = await store.append(room.id, draft, AddMember("bob"))
        again = await store.append(room.id, draft, AddMember("bob"))
        assert (again.seq, again.duplicate) == (first.seq, True)

    async def test_a_refused_change_does_not_use_up_its_key(self, store: Store) -> None:
        room = await make_room(store)
        key = f"{STREAM}-1"
        with pytest.raises(NameTakenError):
            await store.append(room.id, event("alice", "join", key), AddMember("alice"))
        assert await store.execute(FindKey(room.id, "alice", key)) is None
        await store.append(room.id, event("alice", "leave"), RemoveMember("alice"))
        done = await store.append(
            room.id, event("alice", "join", key), AddMember("alice")
        )
        assert not done.duplicate
        assert await store.execute(FindKey(room.id, "alice", key)) is not None

    async def test_known_and_new_keys_in_one_batch_are_told_apart(
        self, store: Store
    ) -> None:
        chat = (await make_room(store)).id
        old = await store.append(chat, text("alice", "old", "old"))
        used = await store.append(chat, text("alice", "used", "used"))
        done = await append_each(
            store,
            [
                (chat, text("alice", "a", "a"), None),
                (chat, text("alice", "old", "old"), None),
                (chat, text("alice", "other", "used"), None),
                (chat, text("alice", "a", "a"), None),
                (chat, event("bob", "join"), AddMember("bob")),
                (chat, text("alice", "used", "used"), None),
                (chat, text("alice", "b", "b"), None),
                (chat, text("alice", "c", f"{STREAM}-1"), None),
                (chat, text("alice", "old", "old"), None),
                (chat, text("alice", "c", f"{STREAM}-1"), None),
                (chat, text("alice", "other", "b"), None),
            ],
        )
        a, b, c, join = done[0].seq, done[6].seq, done[7].seq, done[4].seq
        seqs = [a, old.seq, 0, a, join, used.seq, b, c, old.seq, c, 0]
        assert [append.seq for append in done] == seqs
        assert [append.duplicate for append in done] == [
            *(False, True, False, True, False, True),
            *(False, False, True, True, False),
        ]
        errors = [type(append.error) for append in done if append.error is not None]
        assert errors == [KeyReusedError] * 2
        entries = await read_all(store, chat)
        assert [(e.seq, e.key) for e in entries[-4:]] == [
            (a, "a"),
            (join, None),
            (b, "b"),
            (c, f"{STREAM}-1"),
        ]
        (bob,) = await store.chats_of("bob")
        assert bob.membership.read == join
        for entry in entries:
            if entry.key is not None:
                assert await store.execute(FindKey(chat, "alice", entry.key)) == entry

    async def test_one_key_from_many_tasks_is_stored_once(self, store: Store) -> None:
        chat = (await store.execute(OpenDirect("alice", "bob"))).id
        draft = text("alice", "x", f"{STREAM}-1")
        done = await asyncio.gather(*(store.append(chat, draft) for _ in range(20)))
        assert len({append.seq for append in done}) == 1
        assert sum(not append.duplicate for append in done) == 1

    async def test_a_key_deep_in_the_log_is_found(self, store: Store) -> None:
        chat = (await store.execute(OpenDirect("alice", "bob"))).id
        early = await store.append(chat, text("alice", "early", f"{STREAM}-0"))
        await fill(store, chat, 400)
        await store.append(chat, text("alice", "late", f"{STREAM}-1"))
        found = await store.execute(FindKey(chat, "alice", f"{STREAM}-0"))
        assert found is not None
        assert found.seq == early.seq
