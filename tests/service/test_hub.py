"""The hub without a network: who receives what, and when a chat is live."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from chatd.core.changes import CHANGES, Seats
from chatd.core.feed import Delivery
from chatd.core.service import Service
from chatd.core.sessions import LiveChat
from chatd.protocol.entries import Draft, Entry
from chatd.protocol.messages import (
    ChatRecord,
    Invited,
    Joined,
    ServerMessage,
    Synced,
)
from chatd.store.commands import CreateRoom, Invite, OpenDirect
from chatd.store.disk import DiskBlobs
from chatd.store.jobs import Append, Call
from chatd.store.sqlite import SqliteStore
from chatd.store.values import AddMember, ChatInfo
from tests.service.conftest import LIMITS


class Everybody:
    """A directory in which every user has an account."""

    def is_user(self, name: str) -> bool:
        """Whether there is such a user."""
        return True

    def role(self, name: str) -> str | None:
        """Everybody is a member."""
        return "member"

    def since(self, name: str) -> int | None:
        """It is not known."""
        return None


class Recorder:
    """A connection that keeps what it is sent."""

    is_full = False

    def __init__(self) -> None:
        self.seqs: list[int] = []
        self.pushed: list[ServerMessage] = []

    async def drained(self) -> None:
        """Return at once: there is always space for more."""

    def deliver(self, address: str, delivery: Delivery) -> None:
        """Keep the seqs."""
        self.seqs += [entry.seq for entry in delivery.entries]

    def push(self, message: ServerMessage) -> None:
        """Keep the message."""
        self.pushed.append(message)


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    store = await SqliteStore.open(tmp_path / "chatd.db")
    blobs = DiskBlobs(tmp_path / "blobs")
    service = Service(store, blobs, Everybody(), LIMITS)
    yield service
    await service.close()
    await blobs.close()
    await store.close()


def ignore(_: object, __: object) -> None:
    """Ignore the record of a login."""


async def test_a_new_room_is_live_for_who_made_it_at_once(service: Service) -> None:
    sink = Recorder()
    session = await service.login("alice", "member", sink, "unread", "", ignore)
    records: list[ChatRecord] = []
    await service.rooms.create(session, "#lab", "", "public", records.append)
    (live,) = service.hub.chats.values()
    assert live.last == records[0].last == records[0].read
    assert session.feed is not None
    assert session.feed.is_plain


async def test_nothing_is_left_of_a_user_who_is_gone(service: Service) -> None:
    session = await service.login("alice", "member", Recorder(), "unread", "", ignore)
    await service.rooms.create(session, "#lab", "", "public", lambda _: None)
    service.logout(session)
    assert service.hub.users == {}
    assert service.hub.chats == {}


async def test_a_login_that_is_broken_off_leaves_nothing(service: Service) -> None:
    login = asyncio.create_task(
        service.login("alice", "member", Recorder(), "unread", "", ignore)
    )
    await asyncio.sleep(0)
    login.cancel()
    await asyncio.wait([login])
    assert login.cancelled()
    assert service.hub.users == {}


async def test_what_others_say_reaches_each_device_once(service: Service) -> None:
    sinks = [Recorder(), Recorder()]
    alice, _ = [
        await service.login("alice", "member", sink, "unread", "", ignore)
        for sink in sinks
    ]
    await service.rooms.create(alice, "#lab", "", "public", lambda _: None)
    bob = await service.login("bob", "member", Recorder(), "unread", "", ignore)
    await service.rooms.join(bob, "#lab", lambda _: None)
    await service.rooms.leave(bob, "#lab")
    joined, left = sinks[0].seqs
    assert joined < left
    assert sinks[1].seqs == [joined, left]


async def test_who_gains_a_chat_is_told_by_the_store(service: Service) -> None:
    """Whichever process wrote the entry, and though nobody here had the chat."""
    sink = Recorder()
    session = await service.login("alice", "member", sink, "unread", "", ignore)
    store = service.hub._store
    tail = b'"time":1,"from":"bob","kind":"create"}'
    create = Draft("bob", "create", 1, tail)
    room = await store.execute(CreateRoom("lab", "private", "", "bob", create))
    await store.append(room.id, Draft("bob", "text", 1, tail))
    await store.execute(Invite(room.id, "alice", "bob", 9))
    tail = b'"time":1,"from":"alice","kind":"join"}'
    joined = await store.append(
        room.id, Draft("alice", "join", 1, tail), AddMember("alice")
    )
    direct = await store.execute(OpenDirect("alice", "bob"))
    first = await store.append(direct.id, Draft("bob", "text", 1, tail))
    assert [
        type(message) for message in sink.pushed if type(message) is not Synced
    ] == [
        Invited,
        Joined,
        Joined,
    ]
    assert session.online.seats.keys() == {"#lab", "@bob"}
    assert session.online.seats["#lab"].first == joined.seq
    assert sink.seqs == [first.seq]
    service.logout(session)
    assert not service.hub.chats


async def test_what_follows_the_creation_of_a_room_at_once_is_not_missed(
    service: Service,
) -> None:
    sink = Recorder()
    session = await service.login("alice", "member", sink, "unread", "", ignore)
    answers: list[ChatRecord] = []
    creating = asyncio.create_task(
        service.rooms.create(session, "#lab", "", "public", answers.append)
    )
    await asyncio.sleep(0)
    tail = b'"time":1,"from":"bob","kind":"text"}'
    store = service.hub._store
    # The first chat of a store has the id 1; all of this is in one commit.
    sent = await asyncio.gather(
        *(store.append(1, Draft("bob", "text", 1, tail)) for _ in range(3))
    )
    await creating
    assert [answer.chat for answer in answers] == ["#lab"]
    assert sink.seqs == [append.seq for append in sent]
    assert not service.hub.gaining


async def test_of_two_who_join_at_once_each_gets_one_reply(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also if the request of the first is refused, and that of the second is not."""
    sessions = [
        await service.login("alice", "member", Recorder(), "unread", "", ignore)
        for _ in range(2)
    ]
    store = service.hub._store
    assert isinstance(store, SqliteStore)
    create = Draft("bob", "create", 1, b'"time":1,"from":"bob","kind":"create"}')
    room = await store.execute(CreateRoom("lab", "private", "", "bob", create))
    answers: list[list[ChatRecord]] = [[], []]

    async def join(number: int) -> None:
        await service.rooms.join(sessions[number], "#lab", answers[number].append)

    append = store.append_nowait
    queued: list[Append] = []

    def append_after_the_invitation(each: Append) -> None:
        # Between the two, in one commit, the user is invited.
        append(each)
        queued.append(each)
        if len(queued) == 1:
            store._database.write_nowait(Call(Invite(room.id, "alice", "bob", 9)))

    async def find_at_once(name: str) -> ChatInfo:
        return room

    monkeypatch.setattr(store, "append_nowait", append_after_the_invitation)
    monkeypatch.setattr(store, "find_room", find_at_once)
    first, second = await asyncio.gather(join(0), join(1), return_exceptions=True)
    assert (len(answers[1]), second) == (1, None)
    assert (len(answers[0]), first) == (1, None)
    assert not service.hub.gaining


async def test_a_new_kind_of_entry_is_one_line_in_the_table(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    def freeze(seats: Seats, live: LiveChat, entry: Entry) -> None:
        for online in live.online.values():
            online.seats[live.address_for(online.name)].is_open = False

    monkeypatch.setitem(CHANGES, "freeze", freeze)
    sink = Recorder()
    session = await service.login("alice", "member", sink, "unread", "", ignore)
    await service.rooms.create(session, "#lab", "", "public", lambda _: None)
    (live,) = service.hub.chats.values()
    seat = session.online.seats["#lab"]
    was_open = seat.is_open
    tail = b'"time":1,"from":"alice","kind":"freeze"}'
    await service.hub._store.append(live.id, Draft("alice", "freeze", 1, tail))
    assert (was_open, seat.is_open) == (True, False)
    assert sink.seqs == [live.last]
