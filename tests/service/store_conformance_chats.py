"""Conformance suite for every store: chats, members, cursors and records."""

import asyncio

import pytest

from chatd.protocol.entries import decode_members
from chatd.protocol.errors import (
    NameTakenError,
    NoSuchRoomError,
    NotAMemberError,
    TooManyError,
)
from chatd.store.base import Store
from chatd.store.commands import (
    CreateRoom,
    ForgetUser,
    Invite,
    OpenDirect,
    Uninvite,
)
from chatd.store.values import (
    AddMember,
    ChatState,
    Invitation,
    RemoveMember,
    RoomSummary,
    SetTopic,
)
from tests.service.store_conformance import (
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


async def state_of(store: Store, user: str, chat: int) -> ChatState:
    """Return a chat as the store lists it for a member."""
    state = await store.chat_of(user, chat)
    assert state is not None
    return state


class ChatRules:
    """Rules of direct chats, rooms and their members."""

    async def test_a_direct_chat_is_one_for_both(self, store: Store) -> None:
        one, other = await asyncio.gather(
            store.execute(OpenDirect("bob", "alice")),
            store.execute(OpenDirect("alice", "bob")),
        )
        assert one == other
        assert (one.kind, one.name) == ("direct", "alice bob")
        assert await store.execute(OpenDirect("alice", "bob")) == one

    async def test_a_note_to_self_is_a_chat_with_one_member(self, store: Store) -> None:
        chat = await store.execute(OpenDirect("alice", "alice"))
        await store.append(chat.id, text("alice", "milk"))
        (state,) = await store.chats_of("alice")
        assert state.membership.chat == chat
        assert state.unread == 0
        assert [m.user for m in await store.members(chat.id, None, 9)] == ["alice"]

    async def test_a_direct_chat_without_entries_is_nobodys(self, store: Store) -> None:
        chat = await store.execute(OpenDirect("alice", "bob"))
        assert await store.chats_of("alice") == await store.chats_of("bob") == []
        done = await store.append(chat.id, text("alice", "x"))
        (state,) = await store.chats_of("bob")
        assert (state.last, state.unread, state.membership.read) == (done.seq, 1, 0)

    async def test_of_many_creators_of_a_room_one_wins(self, store: Store) -> None:
        outcomes = await asyncio.gather(
            *(make_room(store, "ops", owner=f"u{n}") for n in range(20)),
            return_exceptions=True,
        )
        won = [o for o in outcomes if not isinstance(o, BaseException)]
        assert len(won) == 1
        assert sum(isinstance(o, NameTakenError) for o in outcomes) == 19
        assert len(await store.members(won[0].id, None, 99)) == 1
        assert len(await read_all(store, won[0].id)) == 1

    async def test_a_new_room_has_an_owner_and_one_entry(self, store: Store) -> None:
        info = await store.execute(
            CreateRoom("ops", "private", "the topic", "alice", event("alice", "create"))
        )
        (done,) = await read_all(store, info.id)
        state = await state_of(store, "alice", info.id)
        assert state.membership.role == "owner"
        assert (state.last, state.membership.read, state.unread) == (
            done.seq,
            done.seq,
            0,
        )
        assert info == await store.find_room("ops") == state.membership.chat
        assert (info.visibility, info.topic) == ("private", "the topic")

    async def test_a_room_and_a_direct_chat_may_look_alike(self, store: Store) -> None:
        room = await make_room(store, "alice")
        direct = await store.execute(OpenDirect("alice", "alice"))
        assert room.id != direct.id
        assert await store.find_room("alice alice") is None

    async def test_a_member_of_a_public_room_sees_it_all(self, store: Store) -> None:
        room = await make_room(store)
        await fill(store, room.id, 3)
        joined = await store.append(room.id, event("bob"), AddMember("bob"))
        bob = (await state_of(store, "bob", room.id)).membership
        assert (bob.role, bob.read) == ("member", joined.seq)
        assert bob.first <= (await store.read(room.id, 0, 1))[0].seq

    async def test_a_member_of_a_private_room_sees_it_from_the_join_on(
        self, store: Store
    ) -> None:
        room = await make_room(store, visibility="private")
        await fill(store, room.id, 3)
        joined = await store.append(room.id, event("bob"), AddMember("bob"))
        bob = (await state_of(store, "bob", room.id)).membership
        assert (bob.first, bob.read) == (joined.seq, joined.seq)
        await store.append(room.id, event("bob", "leave"), RemoveMember("bob"))
        again = await store.append(room.id, event("bob"), AddMember("bob"))
        assert (await state_of(store, "bob", room.id)).membership.first == again.seq

    async def test_leaving_ends_the_membership(self, store: Store) -> None:
        room = await make_room(store)
        await store.append(room.id, event("bob"), AddMember("bob"))
        await store.append(room.id, event("bob", "leave"), RemoveMember("bob"))
        assert await store.chat_of("bob", room.id) is None
        assert await store.chats_of("bob") == []
        assert [m.user for m in await store.members(room.id, None, 9)] == ["alice"]

    async def test_a_change_that_is_not_possible_stores_nothing(
        self, store: Store
    ) -> None:
        room = await make_room(store)
        with pytest.raises(NameTakenError):
            await store.append(room.id, event("alice"), AddMember("alice"))
        with pytest.raises(NotAMemberError):
            await store.append(room.id, event("bob", "leave"), RemoveMember("bob"))
        assert len(await read_all(store, room.id)) == 1

    async def test_an_impossible_change_fails_alone_in_its_batch(
        self, store: Store
    ) -> None:
        room = await make_room(store)
        tasks = [
            asyncio.ensure_future(store.append(room.id, text("alice", "before"))),
            asyncio.ensure_future(
                store.append(room.id, event("bob", "leave"), RemoveMember("bob"))
            ),
            asyncio.ensure_future(store.append(room.id, text("alice", "after"))),
        ]
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert isinstance(outcomes[1], NotAMemberError)
        page = await read_all(store, room.id)
        assert [words(e) for e in page[1:]] == ["before", "after"]
        assert page[2].prev == page[1].seq

    async def test_of_many_joins_of_one_user_one_succeeds(self, store: Store) -> None:
        room = await make_room(store)
        done = await append_all(
            store, [(room.id, event("bob"))] * 5, change=AddMember("bob")
        )
        assert [append.error is None for append in done] == [True] + [False] * 4
        assert len(await read_all(store, room.id)) == 2

    async def test_of_those_who_join_an_empty_room_at_once_the_first_owns_it(
        self, store: Store
    ) -> None:
        room = await make_room(store)
        await store.append(room.id, event("alice", "leave"), RemoveMember("alice"))
        names = ["bob", "carol", "dave"]
        done = await append_each(
            store, [(room.id, event(name), AddMember(name)) for name in names]
        )
        members = await store.members(room.id, None, 9)
        assert [(m.user, m.role) for m in members] == [
            ("bob", "owner"),
            ("carol", "member"),
            ("dave", "member"),
        ]
        entries = (await read_all(store, room.id))[-3:]
        said = [decode_members(entry.tail).get("role") for entry in entries]
        assert said == ["owner", None, None]
        assert [entry.seq for entry in entries] == [append.seq for append in done]

    async def test_a_topic_is_kept(self, harness: StoreHarness, store: Store) -> None:
        room = await make_room(store)
        await store.append(room.id, event("alice", "topic"), SetTopic("é"))
        found = await store.find_room("ops")
        assert found is not None
        assert found.topic == "é"
        await harness.kill(store)
        again = await harness.open()
        (state,) = await again.chats_of("alice")
        await again.close()
        assert state.membership.chat == found

    async def test_members_are_listed_by_name_page_by_page(self, store: Store) -> None:
        room = await make_room(store, owner="m05")
        names = [f"m{n:02}" for n in range(12) if n != 5]
        for name in reversed(names):
            await store.append(room.id, event(name), AddMember(name))
        listed: list[str] = []
        while page := await store.members(room.id, listed[-1] if listed else None, 5):
            listed += [member.user for member in page]
        assert listed == sorted([*names, "m05"])
        assert {m.role for m in await store.members(room.id, "m04", 1)} == {"owner"}

    async def test_public_rooms_are_listed_by_name_with_their_members(
        self, store: Store
    ) -> None:
        for name in ("c", "a", "b"):
            await make_room(store, name)
        await make_room(store, "aa", visibility="private")
        await store.execute(OpenDirect("alice", "bob"))
        room = await store.find_room("b")
        assert room is not None
        await store.append(room.id, event("bob"), AddMember("bob"))
        assert await store.rooms(None, 2) == [
            RoomSummary("a", "", 1),
            RoomSummary("b", "", 2),
        ]
        assert await store.rooms("b", 2) == [RoomSummary("c", "", 1)]
        assert await store.rooms("bb", 9) == [RoomSummary("c", "", 1)]

    async def test_chats_of_are_all_with_their_figures(self, store: Store) -> None:
        room = await make_room(store)
        direct = await store.execute(OpenDirect("alice", "bob"))
        await store.append(room.id, event("bob"), AddMember("bob"))
        await append_all(store, [(room.id, text("bob", "x"))] * 3)
        last = await store.append(direct.id, text("bob", "y"))
        states = {s.membership.chat.id: s for s in await store.chats_of("alice")}
        assert set(states) == {room.id, direct.id}
        assert states[room.id].unread == 3
        assert states[direct.id].last == last.seq
        for chat, state in states.items():
            assert await store.chat_of("alice", chat) == state

    async def test_unread_stops_at_a_thousand(self, store: Store) -> None:
        chat = await store.execute(OpenDirect("alice", "bob"))
        await fill(store, chat.id, 1_100)
        assert (await state_of(store, "bob", chat.id)).unread == 1_000
        assert (await state_of(store, "alice", chat.id)).unread == 0

    async def test_a_forgotten_user_is_in_nothing_but_the_logs(
        self, store: Store
    ) -> None:
        room = await make_room(store)
        other = await make_room(store, "other")
        await store.append(room.id, event("bob"), AddMember("bob"))
        await store.append(room.id, text("bob", "x"))
        await store.execute(Invite(other.id, "bob", "alice", 9))
        await store.execute(ForgetUser("bob"))
        assert await store.chats_of("bob") == []
        assert await store.invitations_of("bob") == []
        assert [m.user for m in await store.members(room.id, None, 9)] == ["alice"]
        assert len(await read_all(store, room.id)) == 3


class CursorRules:
    """Rules of cursors: how far each user has read."""

    async def test_a_cursor_moves_forward_only(self, store: Store) -> None:
        chat = (await store.execute(OpenDirect("alice", "bob"))).id
        seqs = await fill(store, chat, 5)
        for seq, expected in (
            (seqs[2], seqs[2]),
            (seqs[0], seqs[2]),
            (seqs[4], seqs[4]),
        ):
            store.advance(chat, "bob", seq)
            await store.flush_cursors()
            assert (await state_of(store, "bob", chat)).membership.read == expected

    async def test_a_cursor_backwards_before_the_flush_is_ignored(
        self, store: Store
    ) -> None:
        chat = (await store.execute(OpenDirect("alice", "bob"))).id
        seqs = await fill(store, chat, 5)
        store.advance(chat, "bob", seqs[3])
        store.advance(chat, "bob", seqs[1])
        await store.flush_cursors()
        assert (await state_of(store, "bob", chat)).membership.read == seqs[3]

    async def test_unread_counts_from_the_cursor(self, store: Store) -> None:
        chat = (await store.execute(OpenDirect("alice", "bob"))).id
        seqs = await fill(store, chat, 5)
        store.advance(chat, "bob", seqs[2])
        await store.flush_cursors()
        assert (await state_of(store, "bob", chat)).unread == 2

    async def test_closing_writes_the_cursors(
        self, harness: StoreHarness, store: Store
    ) -> None:
        chat = (await store.execute(OpenDirect("alice", "bob"))).id
        seqs = await fill(store, chat, 5)
        store.advance(chat, "bob", seqs[3])
        store.advance(chat, "alice", seqs[4])
        await store.close()
        again = await harness.open()
        bob = await state_of(again, "bob", chat)
        alice = await state_of(again, "alice", chat)
        await again.close()
        assert (bob.membership.read, alice.membership.read) == (seqs[3], seqs[4])

    async def test_a_flushed_cursor_survives_a_kill(
        self, harness: StoreHarness, store: Store
    ) -> None:
        chat = (await store.execute(OpenDirect("alice", "bob"))).id
        seqs = await fill(store, chat, 5)
        store.advance(chat, "bob", seqs[3])
        await store.flush_cursors()
        await harness.kill(store)
        again = await harness.open()
        bob = await state_of(again, "bob", chat)
        await again.close()
        assert bob.membership.read == seqs[3]

    async def test_a_killed_cursor_never_skips(
        self, harness: StoreHarness, store: Store
    ) -> None:
        chat = (await store.execute(OpenDirect("alice", "bob"))).id
        seqs = await fill(store, chat, 5)
        store.advance(chat, "bob", seqs[3])
        await harness.kill(store)
        again = await harness.open()
        bob = await state_of(again, "bob", chat)
        await again.close()
        assert bob.membership.read in (0, seqs[3])

    async def test_the_cursor_of_the_other_is_seen_in_a_direct_chat(
        self, store: Store
    ) -> None:
        chat = (await store.execute(OpenDirect("alice", "bob"))).id
        seqs = await fill(store, chat, 2)
        store.advance(chat, "bob", seqs[1])
        await store.flush_cursors()
        assert (await state_of(store, "alice", chat)).peer_read == seqs[1]
        assert (await state_of(store, "bob", chat)).peer_read == 0
        room = await make_room(store)
        assert (await state_of(store, "alice", room.id)).peer_read is None

    async def test_a_cursor_of_one_who_is_no_member_does_nothing(
        self, store: Store
    ) -> None:
        room = await make_room(store)
        store.advance(room.id, "bob", 5)
        await store.flush_cursors()
        assert await store.chat_of("bob", room.id) is None


class InvitationRules:
    """Rules of invitations: who may join."""

    async def test_an_invitation_is_kept_until_it_is_ended(
        self, harness: StoreHarness, store: Store
    ) -> None:
        room = await make_room(store, visibility="private")
        assert await store.execute(Invite(room.id, "bob", "alice", 9))
        assert not await store.execute(Invite(room.id, "bob", "eve", 9))
        await harness.kill(store)
        again = await harness.open()
        try:
            assert await again.invitations_of("bob") == [Invitation("ops", "alice")]
            assert await again.execute(Uninvite(room.id, "bob"))
            assert not await again.execute(Uninvite(room.id, "bob"))
            assert await again.invitations_of("bob") == []
        finally:
            await again.close()

    async def test_joining_uses_up_the_invitation(self, store: Store) -> None:
        room = await make_room(store, visibility="private")
        await store.execute(Invite(room.id, "bob", "alice", 9))
        await store.append(room.id, event("bob"), AddMember("bob"))
        assert await store.invitations_of("bob") == []

    async def test_who_asks_to_join_a_private_room_has_to_be_invited(
        self, store: Store
    ) -> None:
        room = await make_room(store, visibility="private")
        asking = AddMember("bob", is_asking=True)
        with pytest.raises(NoSuchRoomError):
            await store.append(room.id, event("bob"), asking)
        await store.execute(Invite(room.id, "bob", "alice", 9))
        await store.append(room.id, event("bob"), asking)
        with pytest.raises(NameTakenError):
            await store.append(room.id, event("bob"), asking)
        open_to_all = await make_room(store, "open")
        await store.append(open_to_all.id, event("bob"), asking)

    async def test_rooms_have_a_cap_per_user_however_many_ask_at_once(
        self, store: Store
    ) -> None:
        rooms = [await make_room(store, f"r{n}") for n in range(4)]
        await store.execute(OpenDirect("bob", "alice"))
        joined = await append_all(
            store,
            [(room.id, event("bob")) for room in rooms],
            AddMember("bob", None, False, 2),
        )
        assert [append.error and append.error.code for append in joined] == [
            None,
            None,
            "too_many",
            "too_many",
        ]
        full = CreateRoom("more", "public", "", "bob", event("bob", "create"), 2)
        with pytest.raises(TooManyError):
            await store.execute(full)
        assert await store.find_room("more") is None
        await store.append(rooms[0].id, event("bob", "leave"), RemoveMember("bob"))
        await store.execute(full)

    async def test_invitations_have_a_cap_per_user(self, store: Store) -> None:
        rooms = [await make_room(store, f"r{n}") for n in range(4)]
        for room in rooms[:3]:
            await store.execute(Invite(room.id, "bob", "alice", 3))
        with pytest.raises(TooManyError):
            await store.execute(Invite(rooms[3].id, "bob", "alice", 3))
        assert not await store.execute(Invite(rooms[0].id, "bob", "alice", 3))
        assert await store.execute(Invite(rooms[3].id, "eve", "alice", 3))
        assert [i.room for i in await store.invitations_of("bob")] == ["r0", "r1", "r2"]


class RecordRules:
    """Rules of records: small values by key."""

    async def test_of_many_creators_of_a_record_one_wins(self, store: Store) -> None:
        won = await asyncio.gather(
            *(store.create_record("token", "k", b"%d" % n) for n in range(20))
        )
        assert sum(won) == 1
        assert await store.get_record("token", "k") == b"%d" % won.index(True)

    async def test_a_record_is_replaced_only_from_its_present_value(
        self, store: Store
    ) -> None:
        await store.create_record("token", "k", b"1")
        assert not await store.replace_record("token", "k", b"0", b"2")
        assert await store.get_record("token", "k") == b"1"
        assert await store.replace_record("token", "k", b"1", b"2")
        assert await store.get_record("token", "k") == b"2"
        assert not await store.replace_record("token", "other", b"", b"2")

    async def test_of_many_replacers_one_wins(self, store: Store) -> None:
        await store.create_record("token", "k", b"old")
        won = await asyncio.gather(
            *(store.replace_record("token", "k", b"old", b"%d" % n) for n in range(20))
        )
        assert sum(won) == 1
        assert await store.get_record("token", "k") == b"%d" % won.index(True)

    async def test_a_record_is_deleted_by_replacing_it_with_nothing(
        self, store: Store
    ) -> None:
        await store.create_record("token", "k", b"1")
        assert not await store.replace_record("token", "k", b"2", None)
        assert await store.replace_record("token", "k", b"1", None)
        assert await store.get_record("token", "k") is None
        assert not await store.replace_record("token", "k", b"1", None)
        assert await store.create_record("token", "k", b"3")

    async def test_records_are_listed_by_kind_and_prefix(self, store: Store) -> None:
        wanted = ["a%", "a%1", "a_", "ab", "b", "é", "\U0010ffff", "\U0010ffffx"]
        for key in reversed(wanted):
            assert await store.create_record("token", key, key.encode())
        await store.create_record("invite", "a%", b"other")
        listed = await store.list_records("token")
        assert [key for key, _ in listed] == sorted(wanted)
        assert await store.list_records("token", "a%") == [
            ("a%", b"a%"),
            ("a%1", b"a%1"),
        ]
        found = await store.list_records("token", "\U0010ffff")
        assert [key for key, _ in found] == ["\U0010ffff", "\U0010ffffx"]
        assert await store.list_records("none") == []

    async def test_records_survive_a_kill(
        self, harness: StoreHarness, store: Store
    ) -> None:
        await store.create_record("token", "k", b"\0\xff")
        await harness.kill(store)
        again = await harness.open()
        assert await again.get_record("token", "k") == b"\0\xff"
        await again.close()
