"""The link at a scripted server: cuts, duplicates, refusals, and what is stored."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from chatd.protocol.errors import (
    AuthFailedError,
    BadNameError,
    NotAMemberError,
    RateLimitedError,
    StorageFullError,
    TooLargeError,
)
from chatd.protocol.messages import (
    Auth,
    History,
    Ok,
    Read,
    Send,
    SetStatus,
    Sync,
    Topic,
)
from client.errors import NoLoginError, NotConnectedError, SendTimeoutError
from client.link.link import Link
from client.link.reconnect import LinkState
from client.model.changes import (
    Change,
    EntriesAdded,
    ItemChanged,
    Notice,
    Reset,
    SyncDone,
)
from client.net.session import Timing
from client.storage.paths import Paths
from client.storage.saved_logins import SavedLogins
from tests import PATIENCE
from tests.fakes.server import FakeServer

QUICK = Timing(connect=5, ping=0.05, dead=2, backoff_first=0.02, backoff_max=0.1)
PASSWORD = "correct horse"


@pytest.fixture
async def server() -> AsyncIterator[FakeServer]:
    async with FakeServer() as server:
        yield server


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths.under(tmp_path / "home")


class Watch:
    """Collects a link's changes, and waits for them."""

    def __init__(self) -> None:
        self.changes: list[Change] = []
        self.states: list[LinkState] = []
        self._moved = asyncio.Event()

    def on_change(self, change: Change) -> None:
        self.changes.append(change)
        self._moved.set()

    def on_state(self, state: LinkState) -> None:
        self.states.append(state)
        self._moved.set()

    async def until(self, is_so: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not is_so():
                self._moved.clear()
                await self._moved.wait()

    async def until_is(self, name: str) -> LinkState:
        await self.until(lambda: bool(self.states) and self.states[-1].name == name)
        return self.states[-1]

    async def stopped(self) -> Exception | None:
        return (await self.until_is("stopped")).error


@pytest.fixture
def watch() -> Watch:
    return Watch()


def options(watch: Watch | None = None, **more: Any) -> dict[str, Any]:
    found = {"timing": QUICK, "password": PASSWORD} | more
    if watch is not None:
        found |= {"on_change": watch.on_change, "on_state": watch.on_state}
    return found


def texts(link: Link, chat: str) -> list[str]:
    return [entry.text for entry in link.model.chats[chat].entries]


# Logging in ---------------------------------------------------------------------------


async def test_a_link_logs_in_and_shows_the_backlog(server: FakeServer) -> None:
    server.say("#ops", "one")
    server.say("#ops", "two")
    async with Link.open(server.address, "Alice", **options()) as link:
        assert texts(link, "#ops") == ["one", "two"]
        assert link.model.chats["#ops"].unread == 2
        assert link.state.name == "online"


async def test_a_second_login_uses_the_remembered_token(
    server: FakeServer, paths: Paths
) -> None:
    async with Link.open(server.address, "alice", **options(paths=paths)):
        pass
    async with Link.open(server.address, "alice", timing=QUICK, paths=paths):
        last = server.last(Auth)
        assert isinstance(last, Auth)
        assert last.mechanism == "TOKEN"


async def test_the_logins_are_readable_by_their_owner_alone(
    server: FakeServer, paths: Paths
) -> None:
    async with Link.open(server.address, "alice", **options(paths=paths)):
        pass
    assert paths.logins.stat().st_mode & 0o777 == 0o600
    assert paths.logins.parent.stat().st_mode & 0o777 == 0o700


async def test_a_refused_token_asks_for_the_password(
    server: FakeServer, paths: Paths
) -> None:
    SavedLogins(paths.logins).remember(server.address, "alice", "revoked-token")
    asked: list[str] = []

    async def ask(reason: str) -> str:
        asked.append(reason)
        return PASSWORD

    async with Link.open(
        server.address, "alice", timing=QUICK, paths=paths, ask_password=ask
    ):
        assert asked == ["the remembered login is not valid any more"]
        token = SavedLogins(paths.logins).token(server.address, "alice")
        assert token not in (None, "revoked-token")


async def test_a_wrong_password_stops_the_link(
    server: FakeServer, watch: Watch
) -> None:
    link = Link(server.address, "alice", **options(watch, password="wrong horse"))
    link.start()
    assert isinstance(await watch.stopped(), AuthFailedError)
    with pytest.raises(AuthFailedError):
        await link.wait_online()
    await link.close()


async def test_without_password_and_token_the_link_stops(server: FakeServer) -> None:
    with pytest.raises(NoLoginError):
        async with Link.open(server.address, "alice", timing=QUICK):
            pass


async def test_a_revoked_login_stops_the_link_and_is_forgotten(
    server: FakeServer, watch: Watch, paths: Paths
) -> None:
    async with Link.open(server.address, "alice", **options(watch, paths=paths)):
        server.close_all("revoked")
        assert isinstance(await watch.stopped(), NoLoginError)
    assert SavedLogins(paths.logins).token(server.address, "alice") is None


# Staying connected --------------------------------------------------------------------


async def test_after_a_cut_only_what_is_new_is_asked_for(
    server: FakeServer, watch: Watch
) -> None:
    seq = server.say("#ops", "one")
    async with Link.open(server.address, "alice", **options(watch)) as link:
        server.cut()
        server.say("#ops", "two")
        await watch.until(lambda: texts(link, "#ops") == ["one", "two"])
        last = server.last(Sync)
        assert isinstance(last, Sync)
        assert last.have == {"#ops": seq}


async def test_a_silent_server_is_noticed_and_left(watch: Watch) -> None:
    timing = Timing(ping=0.02, dead=0.1, backoff_first=0.01, backoff_max=0.01)
    async with (
        FakeServer() as server,
        Link.open(server.address, "alice", **options(watch, timing=timing)),
    ):
        server.is_silent = True
        await watch.until_is("waiting")
        assert "silent" in watch.states[-1].reason
        server.is_silent = False
        await watch.until_is("online")


async def test_the_round_trip_is_told(server: FakeServer, watch: Watch) -> None:
    async with Link.open(server.address, "alice", **options(watch)) as link:
        await watch.until(lambda: link.state.round_trip_ms is not None)
        assert 0 <= (link.state.round_trip_ms or 0) < PATIENCE * 1_000


async def test_the_wait_that_a_closing_server_asks_for_is_kept(
    server: FakeServer, watch: Watch
) -> None:
    async with Link.open(server.address, "alice", **options(watch)) as link:
        server.close_all("server_stopping", retry_after=60_000)
        await watch.until_is("waiting")
        assert 60 <= watch.states[-1].seconds < 61
        link.reconnect_now()
        await watch.until_is("online")


async def test_a_server_that_is_not_there_is_waited_for(
    server: FakeServer, watch: Watch
) -> None:
    await server.stop()
    link = Link(server.address, "alice", **options(watch))
    link.start()
    await watch.until_is("waiting")
    assert "cannot be reached" in watch.states[-1].reason
    await server.start()
    await link.wait_online()
    await link.close()


async def test_a_request_without_connection_is_refused_at_once(
    server: FakeServer,
) -> None:
    link = Link(server.address, "alice", **options())
    with pytest.raises(NotConnectedError):
        await link.request(History(chat="#ops", before=1))
    await link.close()


async def test_a_face_that_fails_does_not_break_the_link(
    server: FakeServer, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(change: Change) -> None:
        raise ValueError("a face with a bug")

    async with Link.open(
        server.address, "alice", timing=QUICK, password=PASSWORD, on_change=fail
    ) as link:
        item = await link.send_and_wait("#ops", "hello", PATIENCE)
    assert item.state == "sent"
    assert "a face with a bug" in caplog.text


# Sending ------------------------------------------------------------------------------


async def test_a_sent_message_has_its_seq(server: FakeServer) -> None:
    async with Link.open(server.address, "alice", **options()) as link:
        item = await link.send_and_wait("#Ops", "hello", PATIENCE)
        assert item.state == "sent"
        assert item.seq == server.logs["#ops"][0].seq
        assert link.outbox.items == []


async def test_a_message_whose_answer_was_lost_is_stored_once(
    server: FakeServer,
) -> None:
    async with Link.open(server.address, "alice", **options()) as link:
        server.is_cut_before_sent = True
        await link.send_and_wait("#ops", "hello", PATIENCE)
        assert server.texts("#ops") == ["hello"]
        assert server.count(Send) == 2


async def test_messages_written_offline_are_sent_in_order(
    server: FakeServer, watch: Watch
) -> None:
    link = Link(server.address, "alice", **options(watch))
    written = [str(number) for number in range(200)]
    for text in written:
        await link.send("#ops", text)
    link.start()
    await watch.until(lambda: not link.outbox.items)
    assert server.texts("#ops") == written
    await link.close()


async def test_messages_outlive_the_program(server: FakeServer, paths: Paths) -> None:
    first = Link(server.address, "alice", **options(paths=paths))
    await first.send("#ops", "written before")
    await first.close()
    watch = Watch()
    async with Link.open(server.address, "alice", **options(watch, paths=paths)) as it:
        await watch.until(lambda: not it.outbox.items)
    assert server.texts("#ops") == ["written before"]


async def test_two_programs_do_not_send_each_others_messages(
    server: FakeServer, paths: Paths
) -> None:
    one = Link(server.address, "alice", **options(paths=paths))
    await one.send("#ops", "of one")
    async with Link.open(server.address, "alice", **options(paths=paths)) as other:
        assert other.outbox.items == []
        await other.send_and_wait("#ops", "of the other", PATIENCE)
    assert server.texts("#ops") == ["of the other"]
    await one.close()


@pytest.mark.parametrize("error", [RateLimitedError, StorageFullError])
async def test_a_temporary_refusal_delays_but_never_reorders(
    server: FakeServer, watch: Watch, error: type[RateLimitedError]
) -> None:
    server.refusals = [None, None, error("not now", 10), None, error("not now", 10)]
    link = Link(server.address, "alice", **options(watch))
    written = [str(number) for number in range(20)]
    for text in written:
        await link.send("#ops", text)
    link.start()
    await watch.until(lambda: not link.outbox.items)
    assert server.texts("#ops") == written
    await link.close()


async def test_a_refused_message_is_told_and_the_next_goes_on(
    server: FakeServer, watch: Watch
) -> None:
    server.refusals = [NotAMemberError("you are not a member of #ops")]
    async with Link.open(server.address, "alice", **options(watch)) as link:
        with pytest.raises(NotAMemberError):
            await link.send_and_wait("#ops", "no", PATIENCE)
        await link.send_and_wait("#ops", "yes", PATIENCE)
        (refused,) = link.outbox.items
        assert (refused.state, refused.code) == ("refused", "not_a_member")
        assert link.model.chats["#ops"].outbox == [refused]


async def test_a_refused_message_can_be_sent_again(
    server: FakeServer, watch: Watch
) -> None:
    server.refusals = [NotAMemberError("no")]
    async with Link.open(server.address, "alice", **options(watch)) as link:
        with pytest.raises(NotAMemberError):
            await link.send_and_wait("#ops", "again", PATIENCE)
        await link.outbox.retry(link.outbox.items[0].id)
        await watch.until(lambda: not link.outbox.items)
        assert server.texts("#ops") == ["again"]


async def test_a_discarded_message_is_not_sent(server: FakeServer) -> None:
    link = Link(server.address, "alice", **options())
    item = await link.send("#ops", "never mind")
    link.outbox.discard(item.id)
    link.start()
    await link.wait_online()
    await link.send_and_wait("#ops", "this", PATIENCE)
    assert server.texts("#ops") == ["this"]
    await link.close()


async def test_waiting_for_a_message_ends_in_time(server: FakeServer) -> None:
    async with Link.open(server.address, "alice", **options()) as link:
        server.held_back = []
        with pytest.raises(SendTimeoutError) as raised:
            await link.send_and_wait("#ops", "hello", 0.05)
        assert [item.id for item in link.outbox.items] == [raised.value.item.id]


async def test_texts_that_the_server_would_not_take_are_refused_before(
    server: FakeServer,
) -> None:
    async with Link.open(server.address, "alice", **options()) as link:
        with pytest.raises(TooLargeError):
            await link.send("#ops", "é" * 9_000)
        with pytest.raises(BadNameError):
            await link.send("ops", "no address")
        assert server.count(Send) == 0


async def test_an_own_message_is_never_shown_twice(
    server: FakeServer, watch: Watch
) -> None:
    async with Link.open(server.address, "alice", **options(watch)) as link:
        server.held_back = []
        item = await link.send("#ops", "hello")
        await server.until(lambda: bool(server.held_back))
        for answer in server.held_back:
            answer()
        await watch.until(lambda: not link.outbox.items)
        await watch.until(lambda: texts(link, "#ops") == ["hello"])
        assert link.model.chats["#ops"].outbox == []
        states = [c.item.state for c in watch.changes if isinstance(c, ItemChanged)]
        assert (states[0], states[-1]) == ("waiting", "sent")
        assert item.state == "waiting"


# What is stored -----------------------------------------------------------------------


async def test_a_second_start_shows_the_cache_before_it_connects(
    server: FakeServer, paths: Paths
) -> None:
    server.say("#ops", "one")
    async with Link.open(server.address, "alice", **options(paths=paths)):
        pass
    link = Link(server.address, "alice", timing=QUICK, paths=paths)
    link.history.load_cached("#ops")
    assert texts(link, "#ops") == ["one"]
    await link.close()


async def test_what_is_cached_is_not_asked_for_again(
    server: FakeServer, paths: Paths
) -> None:
    seq = server.say("#ops", "one")
    async with Link.open(server.address, "alice", **options(paths=paths)):
        pass
    async with Link.open(server.address, "alice", **options(paths=paths)):
        last = server.last(Sync)
        assert isinstance(last, Sync)
        assert last.have == {"#ops": seq}


async def test_any_request_can_wait_for_the_next_connection_and_keeps_its_place(
    server: FakeServer, paths: Paths, watch: Watch
) -> None:
    server.answers[Topic] = lambda _: Ok()
    offline = Link(server.address, "alice", **options(paths=paths))
    await offline.send("#ops", "before")
    await offline.outbox.put("#ops", Topic(room="#ops", topic="later"))
    await offline.send("#ops", "after")
    await offline.close()
    again = Link(server.address, "alice", **options(watch, paths=paths))
    again.start()
    await watch.until(lambda: not again.outbox.items)
    await again.close()
    assert server.texts("#ops") == ["before", "after"]
    kept = [each for each in server.received if isinstance(each, Send | Topic)]
    assert [type(each) for each in kept] == [Send, Topic, Send]
    done = [change.item for change in watch.changes if isinstance(change, ItemChanged)]
    assert [(item.text, item.state) for item in done if item.message is None] == [
        ("/topic", "sent")
    ]


async def test_another_log_drops_the_cache_but_not_the_outbox(
    server: FakeServer, paths: Paths, watch: Watch
) -> None:
    server.say("#ops", "of the old log")
    async with Link.open(server.address, "alice", **options(paths=paths)):
        pass
    offline = Link(server.address, "alice", **options(watch, paths=paths))
    await offline.send("#ops", "still to be sent")
    server.log_id = "log-2"
    server.logs.clear()
    offline.start()
    await watch.until(lambda: not offline.outbox.items)
    await offline.close()
    assert any(isinstance(change, Reset) for change in watch.changes)
    assert server.texts("#ops") == ["still to be sent"]


async def test_a_damaged_cache_is_moved_aside_and_said(
    server: FakeServer, paths: Paths, watch: Watch
) -> None:
    server.say("#ops", "one")
    async with Link.open(server.address, "alice", **options(paths=paths)):
        pass
    path = paths.messages(server.address, "alice")
    path.write_bytes(b"this is no database" * 1_000)
    async with Link.open(server.address, "alice", **options(watch, paths=paths)) as it:
        assert texts(it, "#ops") == ["one"]
    assert any(isinstance(change, Notice) for change in watch.changes)
    assert list(path.parent.glob("*.damaged-*"))


async def test_a_read_cursor_moved_offline_is_told_later(
    server: FakeServer, paths: Paths
) -> None:
    seq = server.say("#ops", "one")
    async with Link.open(server.address, "alice", **options(paths=paths)):
        pass
    link = Link(server.address, "alice", **options(paths=paths))
    link.mark_read("#ops", seq)
    link.start()
    await server.until(lambda: server.count(Read) == 1)
    assert server.read == {"#ops": seq}
    await link.close()


async def test_what_is_read_just_before_closing_is_told(server: FakeServer) -> None:
    seq = server.say("#ops", "one")
    async with Link.open(server.address, "alice", **options()) as link:
        link.mark_read("#ops", seq)
    await server.until(lambda: server.read == {"#ops": seq})
    assert server.count(Read) == 1


async def test_a_cursor_moved_by_another_device_is_seen(
    server: FakeServer, watch: Watch
) -> None:
    seq = server.say("#ops", "one")
    async with (
        Link.open(server.address, "alice", **options(watch)) as one,
        Link.open(server.address, "alice", **options()) as other,
    ):
        other.mark_read("#ops", seq)
        await watch.until(lambda: one.model.chats["#ops"].unread == 0)
        assert one.model.chats["#ops"].read == seq


# Gaps and history ---------------------------------------------------------------------


async def test_a_gap_left_by_a_cut_backlog_is_filled(
    server: FakeServer, watch: Watch
) -> None:
    server.sync_limit = 5
    server.say("#ops", "0")
    async with Link.open(server.address, "alice", **options(watch)) as link:
        server.cut()
        for number in range(1, 500):
            server.say("#ops", str(number))
        wanted = [str(number) for number in range(500)]
        await watch.until(lambda: texts(link, "#ops") == wanted)
        assert link.model.chats["#ops"].gaps() == []


async def test_a_huge_gap_is_not_filled_by_itself_as_a_whole(
    server: FakeServer, watch: Watch
) -> None:
    server.sync_limit = 1
    server.say("#ops", "first")
    async with Link.open(server.address, "alice", **options(watch)) as link:
        server.cut()
        for number in range(1_500):
            server.say("#ops", str(number))
        await watch.until(lambda: len(texts(link, "#ops")) >= 1_002)
        (gap,) = link.model.chats["#ops"].gaps()
        pages = server.count(History)
        while await link.history.fill(gap) and link.model.chats["#ops"].gaps():
            (gap,) = link.model.chats["#ops"].gaps()
        assert pages == 5
        assert len(texts(link, "#ops")) == 1_501


async def test_older_entries_come_from_the_server_page_by_page(
    server: FakeServer,
) -> None:
    for number in range(120):
        server.say("#ops", str(number))
    server.read["#ops"] = server.logs["#ops"][-1].seq
    async with Link.open(server.address, "alice", **options()) as link:
        assert texts(link, "#ops") == []
        while await link.history.load_older("#ops", 50):
            pass
        assert texts(link, "#ops") == [str(number) for number in range(120)]
        assert server.count(History) == 3


async def test_older_entries_come_from_the_cache_first(
    server: FakeServer, paths: Paths
) -> None:
    for number in range(20):
        server.say("#ops", str(number))
    async with Link.open(server.address, "alice", **options(paths=paths)):
        pass
    async with Link.open(server.address, "alice", **options(paths=paths)) as link:
        link.history.load_cached("#ops", 5)
        assert await link.history.load_older("#ops", 10)
        assert texts(link, "#ops") == [str(number) for number in range(5, 20)]
        assert server.count(History) == 0


async def test_offline_the_cache_is_all_there_is(
    server: FakeServer, paths: Paths
) -> None:
    server.say("#ops", "one")
    async with Link.open(server.address, "alice", **options(paths=paths)):
        pass
    link = Link(server.address, "alice", **options(paths=paths))
    assert await link.history.load_older("#ops")
    assert not await link.history.load_older("#ops")
    await link.close()


async def test_a_place_far_back_is_loaded_with_what_is_around_it(
    server: FakeServer,
) -> None:
    for number in range(300):
        server.say("#ops", str(number))
    server.read["#ops"] = server.logs["#ops"][-1].seq
    wanted = server.logs["#ops"][100].seq
    async with Link.open(server.address, "alice", **options()) as link:
        await link.history.load_older("#ops", 20)
        assert await link.history.load_around("#ops", wanted, 40)
        assert texts(link, "#ops")[:20] == [str(number) for number in range(81, 101)]
        assert len(link.model.chats["#ops"].gaps()) == 1
        assert not await link.history.load_around("#other", 1)


async def test_a_place_that_was_seen_is_loaded_without_the_server(
    server: FakeServer, paths: Paths
) -> None:
    for number in range(60):
        server.say("#ops", str(number))
    async with Link.open(server.address, "alice", **options(paths=paths)):
        pass
    wanted = server.logs["#ops"][30].seq
    async with Link.open(server.address, "alice", **options(paths=paths)) as link:
        link.history.load_cached("#ops", 2)
        assert await link.history.load_around("#ops", wanted, 10)
        assert texts(link, "#ops")[:10] == [str(number) for number in range(26, 36)]
        found = link.history.search_cached("#ops", "7", 2)
        assert [entry.text for entry in found] == ["57", "47"]


# Iterators ----------------------------------------------------------------------------


async def test_messages_come_once_and_in_order_across_cuts(server: FakeServer) -> None:
    server.sync_limit = 3
    wanted = [str(number) for number in range(300)]
    for text in wanted[:100]:
        server.say("#ops", text)
    found: list[str] = []
    async with Link.open(server.address, "alice", **options()) as link:
        async for entry in link.messages():
            found.append(entry.text)
            if len(found) in (50, 150, 250):
                server.cut()
                for text in wanted[len(server.logs["#ops"]) :][:100]:
                    server.say("#ops", text)
            if len(found) == 300:
                break
    assert found == wanted


async def test_messages_go_on_after_the_cursor(server: FakeServer) -> None:
    server.say("#ops", "done")
    server.read["#ops"] = server.logs["#ops"][-1].seq
    server.say("#ops", "new")
    async with Link.open(server.address, "alice", **options()) as link:
        async for entry in link.messages():
            assert entry.text == "new"
            break


async def test_events_end_when_the_link_is_closed(server: FakeServer) -> None:
    async with Link.open(server.address, "alice", **options()) as link:
        events = link.events()
        server.say("#ops", "one")
        async for event in events:
            if isinstance(event, EntriesAdded):
                assert event.entries[0].text == "one"
                break
    rest = [event async for event in events]
    assert isinstance(rest[-1], LinkState)
    assert rest[-1].name == "stopped"


async def test_events_raise_what_stopped_the_link(server: FakeServer) -> None:
    async with Link.open(server.address, "alice", **options()) as link:
        events = link.events()
        server.close_all("disabled")
        with pytest.raises(NoLoginError):
            async for _ in events:
                pass


async def test_a_link_without_sync_gets_nothing_pushed(
    server: FakeServer, watch: Watch
) -> None:
    server.say("#ops", "one")
    async with Link.open(
        server.address, "alice", **options(watch, sync="none")
    ) as link:
        await link.send_and_wait("#ops", "two", PATIENCE)
        assert texts(link, "#ops") == []
        assert not any(isinstance(change, SyncDone) for change in watch.changes)


async def test_who_is_away_is_away_again_after_a_cut(
    server: FakeServer, watch: Watch
) -> None:
    away = SetStatus(status="away", text="lunch")
    async with Link.open(server.address, "alice", **options(watch)) as link:
        await link.request(away)
        server.cut()
        await server.until(lambda: server.count(SetStatus) == 2)
        assert server.last(SetStatus) == away


async def test_who_came_back_is_not_away_after_a_cut(
    server: FakeServer, watch: Watch
) -> None:
    async with Link.open(server.address, "alice", **options(watch)) as link:
        await link.request(SetStatus(status="away"))
        await link.request(SetStatus(status="online"))
        server.cut()
        await watch.until_is("waiting")
        await link.wait_online()
        await link.send_and_wait("#ops", "later than any status")
        assert server.count(SetStatus) == 2
