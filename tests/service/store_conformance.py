"""Conformance suite for every store: the log rules of ``chatd.store.base``.

A store is plugged in by a subclass of each class here whose module defines a fixture
``harness`` that returns a ``StoreHarness``; ``test_store_sqlite.py`` is the example.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Iterable
from pathlib import Path

import pytest
from msgspec.structs import replace

from chatd.protocol.entries import Draft, Entry, encode_tail, encode_text
from chatd.protocol.errors import ChatError
from chatd.store.base import Store
from chatd.store.commands import CreateRoom, Invite, OpenDirect
from chatd.store.jobs import Append
from chatd.store.values import (
    AddMember,
    Change,
    ChatInfo,
    Committed,
    Effect,
    Invited,
    SetTopic,
)

STREAM = "q2w3e4r5t6y7u8i9"  # 16 characters, as 96 random bits have in base64url


class StoreHarness(ABC):
    """Opens one and the same store again and again, and damages it."""

    @abstractmethod
    async def open(self) -> Store:
        """Open the store; the same place every time, the first time empty."""

    @abstractmethod
    async def kill(self, store: Store) -> None:
        """Leave what a SIGKILL at this moment would have left; then close ``store``."""

    @abstractmethod
    async def fill_disk(self, store: Store) -> None:
        """Make every write fail because of a full disk."""

    @abstractmethod
    async def free_disk(self, store: Store) -> None:
        """Undo ``fill_disk``."""

    @abstractmethod
    async def open_copy(self, path: Path) -> Store:
        """Open what ``backup`` wrote to ``path``."""


def text(
    sender: str, words: str, key: str | None = None, time_ms: int = 1_000
) -> Draft:
    """Return the draft of a text."""
    tail = encode_text(sender, "text", time_ms, words)
    return Draft(sender, "text", time_ms, tail, key)


def event(sender: str, kind: str = "join", key: str | None = None) -> Draft:
    """Return the draft of an event of the log, which is no message."""
    assert kind in ("create", "join", "leave", "topic")
    tail = encode_tail(sender, kind, 1_000, {})  # type: ignore[arg-type]
    return Draft(sender, kind, 1_000, tail, key)


def words(entry: Entry) -> str:
    """Return the content that ``text`` put into an entry."""
    return entry.tail.decode().rpartition('"text":"')[2].removesuffix('"}')


async def fill(store: Store, chat: int, count: int, sender: str = "alice") -> list[int]:
    """Append ``count`` texts in as many commits as it takes; return their seqs."""
    done = await append_all(
        store, [(chat, text(sender, f"m{n}")) for n in range(count)]
    )
    return [append.seq for append in done]


async def append_each(
    store: Store, wanted: Iterable[tuple[int, Draft, Change | None]]
) -> list[Append]:
    """Append without waiting in between; return all once the last is done."""
    loop = asyncio.get_running_loop()
    appends = []
    outcomes = []
    for chat, draft, change in wanted:
        outcome: asyncio.Future[list[Append]] = loop.create_future()
        append = Append(chat, draft, outcome.set_result, change)
        store.append_nowait(append)
        appends.append(append)
        outcomes.append(outcome)
    await asyncio.gather(*outcomes)
    return appends


async def append_all(
    store: Store, wanted: Iterable[tuple[int, Draft]], change: Change | None = None
) -> list[Append]:
    """Append without waiting in between, all with the same change."""
    return await append_each(store, [(chat, draft, change) for chat, draft in wanted])


async def read_all(store: Store, chat: int, page: int = 100) -> list[Entry]:
    """Return a whole log, read forwards page by page."""
    found: list[Entry] = []
    while True:
        after = found[-1].seq if found else 0
        entries = await store.read(chat, after, page)
        found += entries
        if len(entries) < page:
            return found


def assert_chain(entries: list[Entry]) -> None:
    """Check that seqs increase and that each ``prev`` is the seq before, from 0 on."""
    prev = 0
    for entry in entries:
        assert entry.prev == prev
        assert entry.seq > prev
        prev = entry.seq


async def make_room(
    store: Store, name: str = "ops", visibility: str = "public", owner: str = "alice"
) -> ChatInfo:
    """Make a room."""
    assert visibility in ("public", "private")
    return await store.execute(
        CreateRoom(
            name,
            visibility,  # type: ignore[arg-type]
            "",
            owner,
            event(owner, "create"),
        )
    )


class Recorder:
    """A follower that records its calls and their times."""

    def __init__(self) -> None:
        self.handed: dict[int, list[Entry]] = {}
        self.events: list[tuple[str, int]] = []

    def __call__(self, effects: list[Effect]) -> None:
        for group in effects:
            assert isinstance(group, Committed)
            assert group.entries
            self.handed.setdefault(group.chat, []).extend(group.entries)
            self.events += [("handed", entry.seq) for entry in group.entries]

    def done(self, appends: list[Append]) -> None:
        """Serve as ``on_done``."""
        self.events += [("done", append.seq) for append in appends]


class LogRules:
    """Rules of appending, reading both ways, counting."""

    async def test_tail_is_after_which_seq_the_newest_entries_begin(
        self, store: Store
    ) -> None:
        chat = (await store.execute(OpenDirect("alice", "bob"))).id
        assert await store.tail(chat, 3) == 0
        for n in range(7):
            await store.append(chat, text("alice", str(n)))
        newest = await store.history(chat, None, 3)
        assert await store.read(chat, await store.tail(chat, 3), 10) == newest
        assert len(await store.read(chat, await store.tail(chat, 7), 10)) == 7
        assert await store.tail(chat, 8) == 0

    async def test_a_read_bounded_in_bytes_has_one_entry_at_least(
        self, store: Store
    ) -> None:
        chat = (await store.execute(OpenDirect("alice", "bob"))).id
        for n in range(5):
            await store.append(chat, text("alice", str(n)))
        everything = await store.read(chat, 0, 10)
        size = len(everything[0].tail)
        assert await store.read(chat, 0, 10, max_bytes=1) == everything[:1]
        assert await store.read(chat, 0, 10, max_bytes=2 * size) == everything[:2]
        newest = await store.history(chat, None, 10, max_bytes=2 * size)
        assert newest == everything[-2:]

    async def test_a_seq_increases_within_its_chat(self, store: Store) -> None:
        chat = (await store.execute(OpenDirect("alice", "bob"))).id
        seqs = [(await store.append(chat, text("alice", "x"))).seq for _ in range(5)]
        assert seqs == sorted(set(seqs))
        assert seqs[0] > 0

    async def test_what_was_appended_is_read_back(self, store: Store) -> None:
        chat = (await store.execute(OpenDirect("alice", "bob"))).id
        draft = text("alice", "hello", key="k-1")
        done = await store.append(chat, draft)
        entry = Entry(done.seq, 0, "alice", "text", draft.tail, "k-1")
        assert await store.read(chat, 0, 10) == [entry]
        assert await store.history(chat, None, 10) == [entry]

    async def test_prev_is_the_seq_before_in_the_same_chat(self, store: Store) -> None:
        one = (await store.execute(OpenDirect("alice", "bob"))).id
        two = (await store.execute(OpenDirect("alice", "eve"))).id
        for n in range(20):
            await store.append((one, two)[n % 3 == 0], text("alice", str(n)))
        await append_all(
            store, [((one, two)[n % 2], text("eve", "")) for n in range(9)]
        )
        assert_chain(await read_all(store, one))
        assert_chain(await read_all(store, two))

    async def test_appends_are_committed_in_the_order_of_the_calls(
        self, store: Store
    ) -> None:
        chat = (await store.execute(OpenDirect("alice", "bob"))).id
        await fill(store, chat, 700)
        entries = await read_all(store, chat)
        assert [words(entry) for entry in entries] == [f"m{n}" for n in range(700)]
        assert_chain(entries)

    @pytest.mark.parametrize("limit", [1, 2, 127, 128, 129, 299, 300, 301])
    async def test_a_read_is_never_silently_short(
        self, store: Store, limit: int
    ) -> None:
        chat = (await store.execute(OpenDirect("alice", "bob"))).id
        seqs = await fill(store, chat, 300)
        seqs += [(await store.append(chat, text("bob", "x"))).seq for _ in range(3)]
        for start in (0, 1, 126, 127, 128, 255, 299, 302):
            page = await store.read(chat, seqs[start] if start else 0, limit)
            begin = start + 1 if start else 0
            assert [e.seq for e in page] == seqs[begin : begin + limit]

    @pytest.mark.parametrize("limit", [1, 2, 127, 128, 129, 300, 400])
    async def test_history_is_the_newest_below_its_bound(
        self, store: Store, limit: int
    ) -> None:
        chat = (await store.execute(OpenDirect("alice", "bob"))).id
        seqs = await fill(store, chat, 300)
        for end in (0, 1, 2, 127, 128, 129, 256, 299):
            page = await store.history(chat, seqs[end], limit)
            assert [e.seq for e in page] == seqs[max(0, end - limit) : end]
            assert not page or page[0].prev == (
                seqs[end - len(page) - 1] if end > len(page) else 0
            )
        newest = await store.history(chat, None, limit)
        assert [e.seq for e in newest] == seqs[-limit:]

    async def test_history_leaves_out_what_is_below_first(self, store: Store) -> None:
        chat = (await store.execute(OpenDirect("alice", "bob"))).id
        seqs = await fill(store, chat, 200)
        page = await store.history(chat, None, 200, first=seqs[150])
        assert [e.seq for e in page] == seqs[150:]
        assert await store.history(chat, seqs[150], 10, first=seqs[150]) == []

    async def test_bounds_need_not_be_seqs_of_the_chat(self, store: Store) -> None:
        one = (await store.execute(OpenDirect("alice", "bob"))).id
        two = (await store.execute(OpenDirect("alice", "eve"))).id
        first = await store.append(one, text("alice", "a"))
        other = await store.append(two, text("alice", "b"))
        last = await store.append(one, text("alice", "c"))
        page = await store.read(one, max(first.seq, last.seq - 1), 5)
        assert [e.seq for e in page] == [last.seq]
        assert [e.seq for e in await store.history(one, last.seq, 5)] == [first.seq]
        assert await store.read(two, last.seq + other.seq, 5) == []

    async def test_an_empty_chat_reads_empty(self, store: Store) -> None:
        chat = (await store.execute(OpenDirect("alice", "bob"))).id
        assert await store.read(chat, 0, 10) == []
        assert await store.history(chat, None, 10) == []
        assert await store.heads([chat]) == {chat: 0}

    async def test_heads_are_the_newest_seqs(self, store: Store) -> None:
        chats = [
            (await store.execute(OpenDirect("alice", f"u{n}"))).id for n in range(3)
        ]
        last = {
            chat: (await fill(store, chat, n))[-1] for n, chat in enumerate(chats, 1)
        }
        assert await store.heads(chats) == last
        assert await store.heads([]) == {}

    async def test_count_is_of_talk_by_others(self, store: Store) -> None:
        chat = (await store.execute(OpenDirect("alice", "bob"))).id
        drafts = [
            text("alice", "1"),
            event("bob", "join"),
            text("bob", "2"),
            text("alice", "3"),
            text("bob", "4"),
        ]
        seqs = [(await store.append(chat, draft)).seq for draft in drafts]
        assert await store.count(chat, 0, "alice", 1000) == 2
        assert await store.count(chat, 0, "bob", 1000) == 2
        assert await store.count(chat, 0, "eve", 1000) == 4
        assert await store.count(chat, seqs[2], "alice", 1000) == 1
        assert await store.count(chat, seqs[4], "alice", 1000) == 0

    @pytest.mark.parametrize("batched", [True, False])
    async def test_count_is_right_from_every_seq_on(
        self, store: Store, batched: bool
    ) -> None:
        chat = (await store.execute(OpenDirect("alice", "bob"))).id
        drafts = [
            event("bob") if n % 5 == 0 else text("alice" if n % 3 else "bob", str(n))
            for n in range(40)
        ]
        if batched:
            done = await append_all(store, [(chat, draft) for draft in drafts])
        else:
            done = [await store.append(chat, draft) for draft in drafts]
        for n, append in enumerate(done):
            expected = sum(
                d.kind == "text" and d.sender == "bob" for d in drafts[n + 1 :]
            )
            assert await store.count(chat, append.seq, "alice", 1000) == expected

    async def test_count_stops_at_its_cap(self, store: Store) -> None:
        chat = (await store.execute(OpenDirect("alice", "bob"))).id
        await fill(store, chat, 300)
        assert await store.count(chat, 0, "bob", 1000) == 300
        assert await store.count(chat, 0, "bob", 200) == 200
        assert await store.count(chat, 0, "bob", 300) == 300

    async def test_large_and_odd_texts_come_back_byte_by_byte(
        self, store: Store
    ) -> None:
        chat = (await store.execute(OpenDirect("alice", "bob"))).id
        drafts = [text("alice", odd) for odd in ("", "\0", "\U0001f600é", "x" * 16_384)]
        drafts += [text("alice", "y" * 16_384) for _ in range(20)]
        await append_all(store, [(chat, draft) for draft in drafts])
        entries = await read_all(store, chat, page=3)
        assert [entry.tail for entry in entries] == [draft.tail for draft in drafts]

    async def test_a_cancelled_append_is_carried_out_all_the_same(
        self, store: Store
    ) -> None:
        chat = (await store.execute(OpenDirect("alice", "bob"))).id
        task = asyncio.create_task(store.append(chat, text("alice", "once")))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        last = await store.append(chat, text("alice", "twice"))
        page = await store.history(chat, None, 10)
        assert [words(e) for e in page] == ["once", "twice"]
        assert page[-1].seq == last.seq


class FollowRules:
    """Rules of followers: what they are called with, and when ``on_done`` is called."""

    async def test_on_done_comes_once_and_after_the_follower(
        self, store: Store
    ) -> None:
        recorder = Recorder()
        store.set_follower(recorder)
        chat = (await store.execute(OpenDirect("alice", "bob"))).id
        store.follow(chat)
        for n in range(50):
            store.append_nowait(Append(chat, text("alice", str(n)), recorder.done))
        await store.append(chat, text("alice", "last"))
        done = [seq for what, seq in recorder.events if what == "done"]
        assert len(done) == len(set(done)) == 50
        for seq in done:
            assert recorder.events.index(("handed", seq)) < recorder.events.index(
                ("done", seq)
            )

    async def test_the_follower_is_handed_the_log_as_it_is_read(
        self, store: Store
    ) -> None:
        recorder = Recorder()
        store.set_follower(recorder)
        chats = [
            (await store.execute(OpenDirect("alice", f"u{n}"))).id for n in range(3)
        ]
        for chat in chats:
            store.follow(chat)

        async def write(sender: str) -> None:
            for n in range(60):
                await store.append(chats[n % 3], text(sender, f"{sender}{n}"))

        await asyncio.gather(*(write(f"s{n}") for n in range(8)))
        for chat in chats:
            assert recorder.handed[chat] == await read_all(store, chat)

    async def test_only_followed_chats_are_handed_over(self, store: Store) -> None:
        recorder = Recorder()
        store.set_follower(recorder)
        one = (await store.execute(OpenDirect("alice", "bob"))).id
        two = (await store.execute(OpenDirect("alice", "eve"))).id
        store.follow(two)
        # By its first entry, users gain a chat: that is handed over all the same.
        await store.append(one, text("alice", "first"))
        await store.append(one, text("alice", "unheard"))
        await store.append(two, text("alice", "heard"))
        assert {c: [words(e) for e in es] for c, es in recorder.handed.items()} == {
            one: ["first"],
            two: ["heard"],
        }

    async def test_who_gains_a_chat_is_handed_over_with_it(self, store: Store) -> None:
        effects: list[Effect] = []
        store.set_follower(effects.extend)
        room = await make_room(store, "ops", "private")
        await store.append(room.id, event("alice", "topic"), SetTopic("the topic"))
        await store.execute(Invite(room.id, "bob", "alice", 9))
        await store.execute(Invite(room.id, "bob", "alice", 9))
        await store.append(room.id, event("bob"), AddMember("bob"))
        direct = await store.execute(OpenDirect("alice", "bob"))
        await store.append(direct.id, text("bob", "hello"))
        assert [effect for effect in effects if isinstance(effect, Invited)] == [
            Invited("ops", "bob", "alice")
        ]
        gained = [part for part in effects if isinstance(part, Committed)]
        assert [(part.info, part.entries[0].kind) for part in gained] == [
            (room, "create"),
            (replace(room, topic="the topic"), "join"),
            (direct, "text"),
        ]

    async def test_following_is_counted_and_hands_over_once(self, store: Store) -> None:
        recorder = Recorder()
        store.set_follower(recorder)
        chat = (await store.execute(OpenDirect("alice", "bob"))).id
        store.follow(chat)
        store.follow(chat)
        await store.append(chat, text("alice", "1"))
        store.unfollow(chat)
        await store.append(chat, text("alice", "2"))
        store.unfollow(chat)
        await store.append(chat, text("alice", "3"))
        assert [words(e) for e in recorder.handed[chat]] == ["1", "2"]

    async def test_following_later_hands_over_from_then_on(self, store: Store) -> None:
        recorder = Recorder()
        store.set_follower(recorder)
        chat = (await store.execute(OpenDirect("alice", "bob"))).id
        await store.append(chat, text("alice", "first"))
        recorder.handed.clear()
        await store.append(chat, text("alice", "before"))
        store.follow(chat)
        await store.append(chat, text("alice", "after"))
        assert [words(e) for e in recorder.handed[chat]] == ["after"]

    async def test_duplicates_and_refusals_are_not_handed_over(
        self, store: Store
    ) -> None:
        recorder = Recorder()
        store.set_follower(recorder)
        chat = (await store.execute(OpenDirect("alice", "bob"))).id
        store.follow(chat)
        same = [(chat, text("alice", "x", "k")), (chat, text("alice", "x", "k"))]
        await append_all(store, [*same, (chat, text("alice", "other", "k"))])
        await append_all(store, same)
        assert [words(e) for e in recorder.handed[chat]] == ["x"]

    async def test_an_entry_is_readable_when_the_follower_has_it(
        self, store: Store
    ) -> None:
        reads: list[asyncio.Task[list[Entry]]] = []
        chat = (await store.execute(OpenDirect("alice", "bob"))).id

        def follower(effects: list[Effect]) -> None:
            reads.extend(
                asyncio.create_task(store.read(part.chat, 0, 9))
                for part in effects
                if isinstance(part, Committed)
            )

        store.set_follower(follower)
        store.follow(chat)
        await store.append(chat, text("alice", "x"))
        assert [words(e) for e in await reads[0]] == ["x"]


class DurabilityRules:
    """Rules of durability: what closing, killing and a full disk leave."""

    async def test_closing_commits_what_was_accepted(
        self, harness: StoreHarness, store: Store
    ) -> None:
        recorder = Recorder()
        chat = (await store.execute(OpenDirect("alice", "bob"))).id
        for n in range(300):
            store.append_nowait(Append(chat, text("alice", str(n)), recorder.done))
        await store.close()
        again = await harness.open()
        entries = await read_all(again, chat)
        await again.close()
        assert [seq for _, seq in recorder.events] == [e.seq for e in entries]
        assert len(entries) == 300

    async def test_what_was_answered_survives_a_kill(
        self, harness: StoreHarness, store: Store
    ) -> None:
        room = await make_room(store)
        done = await append_all(
            store,
            [(room.id, text("alice", str(n), f"{STREAM}-{n}")) for n in range(99)],
        )
        await harness.kill(store)
        again = await harness.open()
        try:
            entries = await read_all(again, room.id)
            assert [e.seq for e in entries[1:]] == [append.seq for append in done]
            assert_chain(entries)
            assert await again.find_room("ops") == room
        finally:
            await again.close()

    async def test_seqs_go_on_increasing_after_a_kill(
        self, harness: StoreHarness, store: Store
    ) -> None:
        chat = (await store.execute(OpenDirect("alice", "bob"))).id
        before = (await fill(store, chat, 5))[-1]
        await harness.kill(store)
        again = await harness.open()
        after = await again.append(chat, text("bob", "x"))
        entries = await read_all(again, chat)
        await again.close()
        assert after.seq > before
        assert_chain(entries)

    async def test_the_log_id_is_kept(
        self, harness: StoreHarness, store: Store
    ) -> None:
        log_id = store.log_id
        await store.close()
        again = await harness.open()
        assert again.log_id == log_id != ""
        await again.close()

    async def test_a_full_disk_refuses_appends_and_records(
        self, harness: StoreHarness, store: Store
    ) -> None:
        chat = (await store.execute(OpenDirect("alice", "bob"))).id
        seqs = await fill(store, chat, 20)
        await harness.fill_disk(store)
        done = await append_all(
            store, [(chat, text("alice", "x" * 9000, f"k{n}")) for n in range(40)]
        )
        assert {type(a.error).__name__ for a in done} <= {
            "StorageFullError",
            "UnavailableError",
        }
        assert "StorageFullError" in {type(a.error).__name__ for a in done}
        with pytest.raises(ChatError) as refused:
            await store.create_record("token", "x", b"x" * 9000)
        assert refused.value.code in ("storage_full", "unavailable")
        assert [e.seq for e in await read_all(store, chat)] == seqs
        await harness.free_disk(store)

    async def test_after_a_full_disk_each_key_is_stored_once(
        self, harness: StoreHarness, store: Store
    ) -> None:
        recorder = Recorder()
        store.set_follower(recorder)
        chat = (await store.execute(OpenDirect("alice", "bob"))).id
        store.follow(chat)
        wanted = [
            (chat, text("alice", f"{n}" + "x" * 999, key))
            for n in range(60)
            for key in ([f"{STREAM}-{n}"] if n % 2 else [f"free{n}"])
        ]
        first = await append_all(store, wanted[:10])
        await harness.fill_disk(store)
        refused = await append_all(store, wanted)
        assert any(append.error is not None for append in refused)
        await harness.free_disk(store)
        again = await append_all(store, wanted)
        assert all(append.error is None for append in again)
        assert [a.seq for a in again[:10]] == [a.seq for a in first]
        entries = await read_all(store, chat)
        assert [(e.key, e.tail) for e in entries] == [
            (d.key, d.tail) for _, d in wanted
        ]
        assert_chain(entries)
        assert recorder.handed[chat] == entries

    async def test_a_refused_change_by_a_full_disk_changes_nothing(
        self, harness: StoreHarness, store: Store
    ) -> None:
        room = await make_room(store)
        await harness.fill_disk(store)
        with pytest.raises(ChatError):
            await store.execute(
                CreateRoom(
                    "big", "public", "t" * 9000, "alice", text("alice", "x" * 99_000)
                )
            )
        await harness.free_disk(store)
        assert await store.find_room("big") is None
        assert [m.user for m in await store.members(room.id, None, 9)] == ["alice"]
        assert (await make_room(store, "big")).name == "big"

    async def test_a_backup_is_a_store_with_the_same_content(
        self, harness: StoreHarness, store: Store, tmp_path: Path
    ) -> None:
        room = await make_room(store)
        await fill(store, room.id, 200)
        path = tmp_path / "copy.db"
        writing = asyncio.create_task(fill(store, room.id, 200))
        await store.backup(path)
        await writing
        copy = await harness.open_copy(path)
        entries = await read_all(copy, room.id)
        await copy.close()
        assert 201 <= len(entries) <= 401
        assert entries == (await read_all(store, room.id))[: len(entries)]

    async def test_a_backup_never_replaces_a_file(
        self, store: Store, tmp_path: Path
    ) -> None:
        path = tmp_path / "precious"
        path.write_text("mine")
        with pytest.raises(FileExistsError):
            await store.backup(path)
        assert path.read_text() == "mine"

    async def test_a_backup_that_fails_leaves_nothing(
        self, store: Store, tmp_path: Path
    ) -> None:
        with pytest.raises(OSError):  # noqa: PT011 - any of them
            await store.backup(tmp_path / "missing" / "copy.db")
        assert not (tmp_path / "missing").exists()

    async def test_a_healthy_store_has_no_damage(self, store: Store) -> None:
        room = await make_room(store)
        await fill(store, room.id, 300)
        await store.append(room.id, text("alice", "x", f"{STREAM}-5"))
        assert list(await store.check()) == []
