"""The full screen: notifications, the title, room events, restarts, files, errors."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, cast

import pytest

from chatd.protocol.messages import (
    Auth,
    Invited,
    Left,
    MemberInfo,
    ReadPush,
)
from client.config.config_file import ClientConfig
from client.link.link import Link
from client.link.reconnect import LinkState
from client.model.changes import Change
from tests import PATIENCE
from tests.fakes.link import FakeLink, room, transfer
from tests.service.full_screen.person import (
    F5,
    FOCUS_IN,
    FOCUS_OUT,
    WISHES,
    Person,
    Stage,
    alt,
    at_screen,
)

TITLE = "\x1b]2;{}\a"


@pytest.fixture
async def server() -> AsyncIterator[Stage]:
    async with Stage() as server:
        server.say("#lab", "in the lab")
        server.say("#ops", "in ops")
        server.read_all()
        yield server


@pytest.fixture
async def person(server: Stage) -> AsyncIterator[Person]:
    async with at_screen(server) as person:
        await person.shows("in ops")
        yield person


def bells(person: Person) -> int:
    """Return how often the bell rang; a title ends with the same sign."""
    transcript = person.glass.transcript
    return transcript.count("\a") - transcript.count("\x1b]2;")


async def notified(person: Person) -> int:
    await person.ui._notifier.idle()
    return bells(person)


# Notifications ------------------------------------------------------------------------


async def test_a_mention_elsewhere_rings_once(person: Person, server: Stage) -> None:
    server.say("#lab", "alice: look")
    await person.shows("! #lab")
    assert await notified(person) == 1
    logins = server.count(Auth)
    server.cut()
    await server.until(lambda: server.count(Auth) > logins)
    await person.until(lambda: person.link.model.is_synced)
    assert await notified(person) == 1


async def test_what_is_not_for_oneself_does_not_ring(
    person: Person, server: Stage
) -> None:
    server.say("#lab", "look")
    await person.shows("* #lab")
    assert await notified(person) == 0


async def test_what_is_before_ones_eyes_does_not_ring(
    person: Person, server: Stage
) -> None:
    await person.press(FOCUS_IN)
    server.say("#ops", "alice: look")
    await person.shows("alice: look")
    assert await notified(person) == 0


async def test_the_open_chat_rings_while_the_terminal_has_no_focus(
    person: Person, server: Stage
) -> None:
    await person.press(FOCUS_OUT)
    server.say("#ops", "alice: look")
    await person.shows("alice: look")
    assert await notified(person) == 1


async def test_what_was_read_on_another_device_does_not_ring(
    person: Person, server: Stage
) -> None:
    seq = server.say("#lab", "alice: look")
    server.push(ReadPush(chat="#lab", seq=seq, user="alice"))
    await person.until(lambda: person.chat("#lab").read == seq)
    assert await notified(person) == 0


async def test_a_chat_that_is_never_to_notify_is_marked_and_does_not_ring(
    server: Stage,
) -> None:
    config = ClientConfig(general=WISHES.general, chats={"#lab": "nothing"})
    async with at_screen(server, config=config) as person:
        server.say("#lab", "alice: look")
        await person.shows("- #lab")
        assert await notified(person) == 0


async def test_a_notification_in_words_is_sent_to_terminals_that_show_them(
    server: Stage,
) -> None:
    async with at_screen(server, environment={"TERM": "xterm-kitty"}) as person:
        server.say("#lab", "alice: \x1b]0;x\x07 look")
        await person.shows("! #lab")
        await notified(person)
        assert "\x1b]9;bob in #lab: alice: " in person.glass.transcript
        assert "\x1b]0;x" not in person.glass.transcript


# The title ----------------------------------------------------------------------------


async def test_the_title_says_where_one_is_and_what_is_unread(
    person: Person, server: Stage
) -> None:
    assert TITLE.format("#ops - chat") in person.glass.transcript
    server.say("#lab", "alice: look")
    await person.until(
        lambda: TITLE.format("(1) #ops - chat") in person.glass.transcript
    )
    await person.type(alt("a"))
    person.frame()
    assert person.glass.transcript.rindex(TITLE.format("#lab - chat")) > 0


async def test_the_title_is_put_back_at_the_end(server: Stage) -> None:
    async with at_screen(server) as person:
        assert person.glass.transcript.count("\x1b[22;2t") == 1
    assert person.glass.transcript.count("\x1b[23;2t") == 1


# Chats that come and go ---------------------------------------------------------------


async def test_who_is_removed_from_the_open_room_is_told_and_writes_nowhere(
    person: Person, server: Stage
) -> None:
    await person.type("half")
    server.push(Left(chat="#ops", code="removed"))
    await person.shows("you are not in #ops any more (removed)")
    assert person.has("No chat is open")
    assert person.has("Ctrl+K, Ctrl+G: find a chat or a person by a few letters")
    assert person.current is None
    assert person.text == ""
    await person.type(alt("/"))
    assert person.current is None


async def test_being_removed_elsewhere_changes_nothing_here(
    person: Person, server: Stage
) -> None:
    server.push(Left(chat="#lab", code="removed"))
    await person.hides("#lab")
    assert person.current == "#ops"


async def test_leaving_the_open_room_says_what_to_do_next(
    person: Person, server: Stage
) -> None:
    server.push(Left(chat="#ops", code="left"))
    await person.shows("No chat is open")
    assert not person.has("(left)")


async def test_being_removed_while_choosing_leaves_a_place_to_type(
    person: Person, server: Stage
) -> None:
    await person.type(alt("m"))
    server.push(Left(chat="#ops", code="deleted"))
    await person.shows("No chat is open")
    await person.type("#lab\r")
    await person.until(lambda: person.current == "#lab")


async def test_an_invitation_is_told_with_what_to_type(
    person: Person, server: Stage
) -> None:
    server.push(Invited(room="#secret", by="bob"))
    await person.shows("bob invites you to #secret: /join #secret or")


async def test_a_server_that_began_anew_is_told_and_shown_as_it_is(
    person: Person, server: Stage
) -> None:
    server.log_id = "log-2"
    server.logs = {"#ops": []}
    server.cut()
    await person.shows("the server has begun anew")
    await person.until(lambda: person.link.model.is_synced)
    assert not person.has("in ops")
    assert not person.has("#lab")
    server.say("#ops", "a fresh start")
    await person.shows("a fresh start")


# A restart ----------------------------------------------------------------------------


async def test_a_restart_shows_in_the_status_line_and_nowhere_else(
    person: Person, server: Stage
) -> None:
    before = person.frame()
    await server.stop()
    await person.shows("offline")
    during = person.frame()
    assert during[:-2] + during[-1:] == before[:-2] + before[-1:]
    await server.start()
    await person.until(lambda: person.status.startswith(" online"))
    after = person.frame()
    assert after[:-2] + after[-1:] == before[:-2] + before[-1:]


async def test_an_outage_at_the_start_shows_what_the_cache_has(
    server: Stage, tmp_path: Path
) -> None:
    async with at_screen(server, home=tmp_path) as person:
        await person.shows("in ops")
    await server.stop()
    async with at_screen(server, home=tmp_path, is_online=False) as person:
        await person.shows("offline, again in")
        assert person.has("in ops")
    await server.start()


async def test_a_login_that_is_refused_ends_the_program_with_the_reason(
    server: Stage,
) -> None:
    server.password = "another"
    async with at_screen(server, is_online=False) as person:
        error = await asyncio.wait_for(person.task, PATIENCE)
        assert "wrong name or password" in str(error)


# File transfers -----------------------------------------------------------------------


class Offline(FakeLink):
    """A link without a network, whose transfers a test moves."""

    user = "alice"
    limits = None
    on_state: Callable[[LinkState], None]

    def start(self) -> None:
        self.on_state(LinkState(name="online", round_trip_ms=12.0))
        self.log_in(room("#ops"), room("#lab"))

    async def close(self) -> None:
        pass

    async def load_members(self, chat: str) -> list[MemberInfo]:
        return []


@pytest.fixture
async def files(server: Stage) -> AsyncIterator[tuple[Person, Any]]:
    fake = Offline()

    def make_link(
        on_change: Callable[[Change], None], on_state: Callable[[LinkState], None]
    ) -> Link:
        fake.on_change, fake.on_state = on_change, on_state
        return cast(Link, fake)

    async with at_screen(server, make_link=make_link) as person:
        yield person, fake.transfers


async def test_a_file_on_its_way_is_in_the_status_line_and_in_the_chat(
    files: tuple[Person, Any],
) -> None:
    person, transfers = files
    number = transfers.add(transfer(size=1_000)).id
    transfers.move(number, moved=420)
    await person.shows("^ core.tar 42 %")
    assert sum("core.tar" in row for row in person.timeline) == 1
    transfers.move(number, state="done", moved=1_000, seq=7)
    await person.hides("^ core.tar")


async def test_several_files_are_counted(files: tuple[Person, Any]) -> None:
    person, transfers = files
    for name in ("a", "b"):
        transfers.add(transfer(name, size=100, moved=50))
    await person.shows("^ 2 files 50 %")


async def test_f5_lists_files_and_enter_cancels_one(files: tuple[Person, Any]) -> None:
    person, transfers = files
    for name in ("first.bin", "second.bin"):
        transfers.add(transfer(name, size=100))
    await person.type(F5)
    assert person.has("Files")
    await person.type("first\r")
    assert [each.state for each in transfers.items] == ["cancelled", "moving"]
    await person.shows("first.bin")
    await person.escape()
    await person.hides("Enter cancels")


async def test_f5_follows_how_a_file_moves(files: tuple[Person, Any]) -> None:
    person, transfers = files
    number = transfers.add(transfer(size=1_000)).id
    await person.type(F5)
    transfers.move(number, moved=500)
    await person.shows("50 %")


async def test_f5_without_files_says_how_to_send_one(files: tuple[Person, Any]) -> None:
    person, _ = files
    await person.type(F5)
    assert person.has("no file was sent or fetched")


async def test_ctrl_c_twice_cancels_a_file_and_does_not_quit(
    files: tuple[Person, Any],
) -> None:
    person, transfers = files
    transfers.add(transfer(size=1_000))
    await person.type("\x03")
    await person.shows("Ctrl+C again cancels core.tar")
    await person.type("\x03")
    assert transfers.items[0].state == "cancelled"
    assert not person.is_ended


async def test_a_file_that_failed_is_told_once_wherever_one_is(
    files: tuple[Person, Any],
) -> None:
    person, transfers = files
    number = transfers.add(transfer(size=1_000, chat="#lab")).id
    transfers.move(number, state="failed", reason="no room at the server")
    transfers.move(number, state="failed", reason="no room at the server")
    await person.shows("no room at the server")
    assert sum("no room at the server" in row for row in person.frame()) == 1


# Internal errors ----------------------------------------------------------------------


def journals(home: Path) -> list[Path]:
    return list(home.rglob("chat.log"))


def read(path: Path) -> str:
    return path.read_text()


async def test_what_goes_wrong_inside_is_noted_in_a_file_and_not_on_the_screen(
    server: Stage, tmp_path: Path
) -> None:
    async with at_screen(server, 120, 24, home=tmp_path) as person:
        logging.getLogger("client.somewhere").error("a cable is loose")
        await person.shows("something went wrong inside")
        assert not person.has("a cable is loose")
    (path,) = journals(tmp_path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert "a cable is loose" in read(path)


async def test_without_trouble_there_is_no_file_of_it(
    server: Stage, tmp_path: Path
) -> None:
    async with at_screen(server, home=tmp_path) as person:
        await person.enter("hello")
    assert journals(tmp_path) == []
