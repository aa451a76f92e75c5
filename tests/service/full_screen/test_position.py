"""The full screen: the reading position stays, and distant positions are found."""

from collections.abc import AsyncIterator

import pytest

from chatd.protocol.messages import History, Presence, PresenceOf, TypingPush
from tests.service.full_screen.person import (
    ALT_HOME,
    FOCUS_IN,
    PAGE_DOWN,
    PAGE_UP,
    Person,
    Stage,
    alt,
    at_screen,
    ctrl,
)


@pytest.fixture
async def server() -> AsyncIterator[Stage]:
    async with Stage() as server:
        server.fill(50)
        server.logs["#lab"] = []
        server.read_all()
        yield server


@pytest.fixture
async def person(server: Stage) -> AsyncIterator[Person]:
    async with at_screen(server) as person:
        await person.shows("message 49")
        await person.type(FOCUS_IN)
        yield person


async def test_nothing_that_happens_elsewhere_moves_what_one_reads(
    person: Person, server: Stage
) -> None:
    await person.type(PAGE_UP)
    before = person.timeline
    server.push(TypingPush(chat="#ops", user="bob"))
    await person.shows("bob is typing")
    server.tell("", kind="join", sender="carol")
    server.say("#lab", "alice: look")
    await person.shows("! #lab")
    server.push(Presence(users={"carol": PresenceOf(status="away")}, more=False))
    server.cut()
    seq = server.append("#ops", "bob", "text", "meanwhile", is_pushed=False).seq
    await person.until(lambda: person.chat().last == seq)
    assert person.timeline == before


async def test_other_sizes_of_the_window_leave_one_where_one_reads(
    person: Person,
) -> None:
    await person.type(PAGE_UP)
    (first,) = [word for word in person.timeline[0].split() if word.isdigit()]
    for columns, rows in ((60, 15), (120, 40), (100, 10), (80, 24)):
        person.glass.resize(columns, rows)
        await person.type(ctrl("l"))
        assert person.frame()[1].endswith(f"message {first}")


async def test_what_was_loaded_far_back_leaves_memory_with_the_chat(
    server: Stage,
) -> None:
    server.fill(2_500, word="later")
    server.read_all()
    async with at_screen(server) as person:
        while person.chat().older() is not None:
            await person.link.history.load_older("#ops", 200)
        assert len(person.chat().entries) == 2_550
        await person.type(alt("1"))
        assert len(person.chat().entries) <= 2_000
        await person.type(alt("2"))
        assert person.has("later 2499")


async def test_alt_u_goes_to_the_first_unread_of_very_many_at_once(
    server: Stage,
) -> None:
    server.sync_limit = 20
    server.fill(3_000, word="unread")
    async with at_screen(server) as person:
        await person.shows("unread 2999")
        asked = server.count(History)
        await person.type(alt("u"))
        await person.shows("new (1,000+)")
        await person.until(lambda: any(r.endswith("unread 0") for r in person.timeline))
        await person.idle()
        assert server.count(History) - asked <= 5
        frame = person.timeline
        new = next(n for n, row in enumerate(frame) if "new (1,000+)" in row)
        assert frame[new - 1].endswith("message 49")
        assert frame[new + 1].endswith("unread 0")
        seen: set[str] = set()
        for _ in range(12):
            seen.update(" ".join(row.split()[-2:]) for row in person.timeline)
            await person.type(PAGE_DOWN)
            await person.idle()
        assert seen >= {f"unread {number}" for number in range(220)}


async def test_far_back_one_finds_what_was_before_and_after_and_it_stays(
    server: Stage,
) -> None:
    server.fill(1_000, word="between")
    server.tell("an answer", reply_to=20)
    server.read_all()
    async with at_screen(server) as person:
        await person.shows("an answer")
        await person.type(alt("m") + "g")
        await person.shows("message 29")
        place = person.row_of("message 19")
        before = person.timeline
        assert before[0].endswith("message 12")
        assert before[-1].endswith("message 32")
        await person.idle()
        assert person.row_of("message 19") == place
        assert person.timeline == before
        assert person.chat().gaps() != []


async def test_alt_home_goes_to_the_beginning_of_a_long_chat_at_once(
    server: Stage,
) -> None:
    server.fill(3_000, word="later")
    server.read_all()
    async with at_screen(server) as person:
        await person.shows("later 2999")
        asked = server.count(History)
        await person.type(ALT_HOME)
        await person.shows("the beginning of #ops")
        await person.idle()
        assert person.timeline[2].endswith("message 0")
        assert server.count(History) - asked <= 3
