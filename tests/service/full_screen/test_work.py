"""The full screen: how much work and how many bytes things cost, counted."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from chatd.protocol.messages import Presence, PresenceOf, TypingPush
from client.link.reconnect import LinkState
from client.ui.member_list import people_of
from client.ui.sidebar import chat_list
from tests.service.full_screen.person import (
    PAGE_UP,
    Person,
    Stage,
    alt,
    at_screen,
    ctrl,
    member,
)

TEXT = "the disk on lab3 is at 91% again, please clear /scratch before Friday, ok"
PEOPLE = ["bob", "carol", "dave", "erin", "frank", "grace", "heidi", "ivan", "judy"]
ROOMS = ["#backend", "#deploy", "#design", "#general", "#infra", "#lab", "#oncall"]


@pytest.fixture
async def server() -> AsyncIterator[Stage]:
    async with Stage() as server:
        for room in ROOMS:
            server.say(room, "something")
        for number in range(60):
            server.say("#ops", f"old{number} {TEXT}", sender=PEOPLE[number % 7])
        server.members["#ops"] = [member("alice"), *(member(name) for name in PEOPLE)]
        server.read_all()
        yield server


@pytest.fixture
async def person(server: Stage) -> AsyncIterator[Person]:
    async with at_screen(server, 120, 40) as person:
        await person.shows("old59")
        # The link measures it once after the login: nothing else may paint later.
        await person.until(lambda: person.link.state.round_trip_ms is not None)
        await person.idle()
        yield person


class Counted:
    """Counts how often a function is called."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self.count = 0

    def __call__(self, *args: Any, **options: Any) -> Any:
        self.count += 1
        return self._function(*args, **options)


async def bytes_of(person: Person, number: int) -> int:
    """Return how many bytes a new message takes."""
    before = len(person.glass.transcript.encode())
    sender = PEOPLE[number % 5]
    person.server.say("#ops", f"new{number} {TEXT}", sender=sender)
    await person.shows(f"new{number} ")
    await person.idle()
    return len(person.glass.transcript.encode()) - before


async def test_a_new_message_takes_less_than_1500_bytes_at_120x40(
    person: Person,
) -> None:
    taken = [await bytes_of(person, number) for number in range(12)]
    assert max(taken) < 1_500, taken


async def test_a_new_message_elsewhere_takes_few_bytes(person: Person) -> None:
    before = len(person.glass.transcript)
    for _ in range(10):
        person.server.say("#lab", TEXT)
        await person.idle()
    assert len(person.glass.transcript) - before < 10 * 600


async def test_nothing_is_written_while_nothing_happens(person: Person) -> None:
    painted, written = person.frames, len(person.glass.transcript)
    await asyncio.sleep(1.1)  # longer than between checks of the size
    assert (person.frames, len(person.glass.transcript)) == (painted, written)


async def test_a_round_trip_like_the_one_before_is_not_painted(person: Person) -> None:
    # Else one like the one that the link has measured would not be shown.
    person.ui._state_changed(LinkState(name="connecting"))
    await person.idle()
    person.ui._state_changed(LinkState(name="online", round_trip_ms=40.0))
    await person.shows("online 40 ms")
    await person.idle()
    painted = person.frames
    for trip in (38.0, 44.5, 36.0, 49.0):
        person.ui._state_changed(LinkState(name="online", round_trip_ms=trip))
    await person.idle()
    assert person.frames == painted
    person.ui._state_changed(LinkState(name="online", round_trip_ms=90.0))
    await person.shows("online 90 ms")


async def test_typing_elsewhere_is_not_painted(person: Person, server: Stage) -> None:
    painted = person.frames
    server.push(TypingPush(chat="#lab", user="bob"))
    server.push(TypingPush(chat="#infra", user="bob"))
    await person.until(lambda: bool(person.chat("#infra").typing(person.ui.now())))
    await person.idle()
    assert person.frames == painted


async def test_500_messages_at_once_are_a_few_frames(
    person: Person, server: Stage
) -> None:
    painted = person.frames
    for number in range(500):
        server.say("#ops", f"burst {number}")
    await person.shows("burst 499")
    await person.idle()
    assert person.frames - painted <= 8


async def test_a_key_is_one_frame(person: Person) -> None:
    for keys in ("x", PAGE_UP, alt("m"), "q", ctrl("k"), "r", ctrl("c")):
        await person.idle()
        painted = person.frames
        await person.type(keys)
        await person.idle()
        assert person.frames - painted <= 2, repr(keys)


async def test_a_key_makes_no_rows_anew(person: Person) -> None:
    made = person.ui.timeline.formatted
    await person.type("hello")
    await person.idle()
    assert person.ui.timeline.formatted == made


async def test_a_message_makes_at_most_two_blocks_of_rows(
    person: Person, server: Stage
) -> None:
    made = person.ui.timeline.formatted
    server.say("#ops", "one more")
    await person.shows("one more")
    await person.idle()
    assert person.ui.timeline.formatted - made <= 2


async def test_lists_are_worked_out_once_after_a_change_and_not_in_each_frame(
    person: Person, server: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    chats, people = Counted(chat_list), Counted(people_of)
    monkeypatch.setattr("client.ui.panels.chat_list", chats)
    monkeypatch.setattr("client.ui.panels.people_of", people)
    for _ in range(5):
        person.frame()
    assert (chats.count, people.count) == (0, 0)
    for number in range(100):
        server.say("#lab", f"news {number}")
    server.push(Presence(users={"bob": PresenceOf(status="away")}, more=False))
    await person.until(lambda: "bob" in person.link.model.presence)
    await person.idle()
    assert 1 <= chats.count <= 6
    assert people.count == 1


async def test_a_search_is_made_once_for_each_key_not_for_each_message(
    person: Person, server: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    search = Counted(person.link.history.search_cached)
    monkeypatch.setattr(person.link.history, "search_cached", search)
    await person.type(ctrl("f") + "ab")
    made = search.count
    for number in range(100):
        server.say("#ops", f"news {number}")
    await person.shows("news 99")
    assert search.count == made


async def test_a_terminal_of_400_ms_is_not_waited_for(person: Person) -> None:
    # Its cursor position is never queried.
    assert "\x1b[6n" not in person.glass.transcript
