"""The full screen at a server that never answers: nothing waits before it is painted.

The frames that are checked are those that the program painted by itself.
"""

from collections.abc import AsyncIterator

import pytest

from tests.service.full_screen.person import (
    ALT_HOME,
    F1,
    F2,
    F3,
    F5,
    PAGE_UP,
    Person,
    Stage,
    alt,
    at_screen,
    ctrl,
)


@pytest.fixture
async def person() -> AsyncIterator[Person]:
    async with Stage() as server:
        for chat in ("#lab", "#ops", "@bob"):
            server.fill(300, chat, f"{chat[1:]} says")
        server.read_all()
        async with at_screen(server, 120, 40) as person:
            await person.shows("ops says 299")
            server.is_silent = True
            yield person


async def test_another_chat_is_shown_at_once(person: Person) -> None:
    for keys, address in (
        (ctrl("p"), "#lab"),
        (alt("/"), "#ops"),
        (alt("3"), "@bob"),
        (ctrl("k") + "lab\r", "#lab"),
        ("/query @carol\r", "@carol"),
        (ctrl("k") + "#ops\r", "#ops"),
    ):
        await person.type(keys)
        await person.until(lambda a=address: person.glass.rows[0].startswith(f" {a}"))  # type: ignore[misc]
    await person.shows("ops says 299")


async def test_what_is_written_is_shown_as_waiting(person: Person) -> None:
    await person.enter("hello")
    await person.shows("~ 1 waiting")
    assert any("│~ " in row and "hello" in row for row in person.glass.rows)
    await person.type("typed meanwhile")
    await person.shows("> typed meanwhile")


async def test_one_reads_back_as_far_as_there_is_anything(person: Person) -> None:
    oldest = person.chat().entries[0]
    assert person.chat().older() is not None
    await person.type(PAGE_UP)
    await person.hides("ops says 299")
    await person.type(ALT_HOME)
    await person.shows(oldest.text)
    await person.shows("earlier messages")
    await person.type(PAGE_UP * 3 + alt("u"))
    await person.shows("nothing is unread here")


async def test_a_search_answers_and_goes_on_answering(person: Person) -> None:
    await person.type(ctrl("f") + "says 29")
    await person.shows("bob ops says 298")
    await person.type(ctrl("u") + "nowhere\r")
    await person.shows("looking further back")
    await person.type(ctrl("u") + "says 297\r")
    await person.hides("Search in")
    await person.shows("ops says 297")


@pytest.mark.parametrize(
    ("key", "title"),
    [(F1, "Help"), (F5, "Files"), (ctrl("k"), "Go to"), (alt("g"), "Go to a day")],
)
async def test_boxes_open_and_close(person: Person, key: str, title: str) -> None:
    await person.type(key)
    await person.shows(f"| {title} |")
    await person.escape()
    await person.hides(f"| {title} |")


async def test_a_day_that_is_not_there_is_looked_for_beside_all_else(
    person: Person,
) -> None:
    await person.type(alt("g") + "2001-01-01\r")
    await person.shows("looking for 2001-01-01")
    await person.type("typed meanwhile")
    await person.shows("> typed meanwhile")


async def test_panels_come_and_go(person: Person) -> None:
    await person.type(F2)
    await person.hides("#lab")
    await person.type(F2)
    await person.shows("#lab")
    await person.type(F3)
    await person.shows("ops says 299")


async def test_a_command_that_asks_the_server_holds_up_no_message(
    person: Person,
) -> None:
    await person.enter("/topic all is well")
    await person.enter("hello")
    await person.shows("hello")
    await person.leave("/quit\r")
