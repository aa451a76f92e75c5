"""The full screen: the search in messages, the switcher and the help."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from client.model.entries import Entry
from tests.service.full_screen.person import (
    F1,
    Person,
    Stage,
    alt,
    at_screen,
    ctrl,
)


@pytest.fixture
async def server() -> AsyncIterator[Stage]:
    async with Stage() as server:
        for chat in ("#general", "#lab", "@bob"):
            server.say(chat, f"something in {chat}")
        server.say("#ops", "the needle of old")
        server.fill(1_200, word="hay")
        server.say("#ops", "the needle of today")
        server.read_all()
        yield server


@pytest.fixture
async def person(server: Stage) -> AsyncIterator[Person]:
    async with at_screen(server) as person:
        await person.shows("the needle of today")
        yield person


def offered(person: Person) -> list[str]:
    """Return the lines of the open dialog."""
    assert person.ui.dialog is not None
    return ["".join(text for _, text in item.row) for item in person.ui.dialog.items]


# Searching ----------------------------------------------------------------------------


async def test_what_only_the_server_has_is_found_when_one_looks_further(
    person: Person,
) -> None:
    await person.type(ctrl("f") + "needle")
    assert offered(person)[0].endswith("the needle of today")
    assert offered(person)[1:] == ["look further back"]
    await person.type(ctrl("n") + "\r")
    await person.until(lambda: any("of old" in line for line in offered(person)))
    dialog = person.ui.dialog
    assert dialog is not None
    assert dialog.chosen is dialog.items[-1]
    assert [line.split()[-1] for line in offered(person)] == ["today", "old"]
    await person.type("\r")
    await person.hides("Search in")
    await person.shows("the needle of old")
    assert person.has("hay 0")
    assert person.ui.timeline.highlight == "needle"


async def test_a_search_for_what_nobody_wrote_ends_at_the_beginning(
    person: Person,
) -> None:
    await person.type(ctrl("f") + "straw")
    await person.shows("not found in what this device has seen: look further")
    await person.type("\r")
    await person.shows("nothing was found further back")
    assert person.chat().older() is None
    assert offered(person) == []


async def test_without_a_connection_one_is_told_that_nothing_older_can_be_had(
    person: Person, server: Stage
) -> None:
    await server.stop()
    await person.type(ctrl("f") + "straw\r")
    await person.shows("what is older cannot be had just now")
    assert len(offered(person)) == 1


async def test_what_is_typed_meanwhile_ends_the_looking_further(
    person: Person, server: Stage
) -> None:
    await person.type(ctrl("f") + "needle of")
    server.is_silent = True
    await person.type(ctrl("n") + "\r")
    await person.shows("looking further back")
    await person.type(" today")
    assert [line.split()[-1] for line in offered(person)] == ["today", "back"]


async def test_what_is_far_back_in_the_cache_is_searched_without_holding_a_key(
    person: Person, server: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.say("#ops", "straw and needle")
    await person.shows("straw and needle")
    monkeypatch.setattr("client.storage.cache.SEARCHED_AT_ONCE", 1)
    asked: list[str] = []
    gate, search = asyncio.Event(), person.link.history.search_all_cached

    async def slow(chat: str, text: str, count: int) -> list[Entry]:
        asked.append(text)
        await gate.wait()
        return await search(chat, text, count)

    monkeypatch.setattr(person.link.history, "search_all_cached", slow)
    await person.type(ctrl("f") + "needl")
    assert [line.split()[-1] for line in offered(person)] == ["needle", "…"]
    await person.type("e\x0e\r")  # a search in progress cannot be opened
    assert person.has_box()
    gate.set()
    await person.until(lambda: len(offered(person)) == 3)
    assert [line.split()[-1] for line in offered(person)] == ["needle", "today", "back"]
    # One search at a time, and the last one counts.
    assert len(asked) == 2
    assert asked[-1] == "needle"


async def test_what_is_typed_on_is_looked_for_in_what_was_found(
    person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    search = person.link.history.search_cached

    def counted(chat: str, text: str, count: int) -> list[Entry]:
        asked.append(text)
        return search(chat, text, count)

    monkeypatch.setattr(person.link.history, "search_cached", counted)
    await person.type(ctrl("f") + "n")
    asked.clear()
    await person.type("eEdle")
    assert asked == []
    assert offered(person)[0].endswith("the needle of today")
    await person.type("x")
    assert len(offered(person)) == 1
    await person.type("\x7f\x7f")
    assert asked == ["needle", "needl"]
    assert offered(person)[0].endswith("the needle of today")


async def test_a_result_shows_what_was_searched_for_also_in_a_long_message(
    person: Person, server: Stage
) -> None:
    long = f"{'hay ' * 500}a STRAW\nin it {'hay ' * 500}"
    server.say("#ops", long)
    await person.until(lambda: person.chat().entries[-1].text == long)
    await person.type(ctrl("f") + "straw")
    assert person.has("a STRAW in it hay")


# The switcher -------------------------------------------------------------------------


async def test_the_switcher_offers_what_is_unread_and_then_where_one_was(
    person: Person, server: Stage
) -> None:
    person.ui.workspace.switch("#lab")
    person.ui.workspace.switch("#general")
    server.say("@bob", "psst")
    await person.shows("! @bob")
    await person.type(ctrl("k"))
    found = [line.split()[0] for line in offered(person)]
    assert found[:4] == ["@bob", "#lab", "#ops", "#general"]
    await person.type("\r" + ctrl("k") + "\r")
    assert person.current == "#general"


# The help -----------------------------------------------------------------------------


async def test_an_entry_of_the_help_is_found_whole_also_in_a_small_window(
    server: Stage,
) -> None:
    async with at_screen(server, 60, 15) as person:
        await person.type(F1 + "copying, and")
        text = " ".join(" ".join(offered(person)).split())
        assert text.startswith("Screen Alt+L only text, for the terminal's own copying")
        await person.type(ctrl("u") + "begin a new line")
        assert person.has("Alt+Enter, Ctrl+J     begin a new line")
        await person.type(ctrl("u"))
        assert not any("…" in row for row in person.frame())


WRITING = {
    "the beginning of a line": ("one two" + ctrl("a") + "x", "xone two"),
    "the end of a line": ("one two" + ctrl("a") + ctrl("e") + "x", "one twox"),
    "a word back": ("one two" + alt("b") + "x", "one xtwo"),
    "a word on": ("one two" + ctrl("a") + alt("f") + "x", "onex two"),
    "the word before": ("one two" + ctrl("w"), "one "),
    "the word after": ("one two" + ctrl("a") + alt("d"), " two"),
    "what is before": ("one two" + alt("b") + ctrl("u"), "two"),
    "what was deleted": ("one two" + ctrl("w") + ctrl("y") * 2, "one twotwo"),
    "undo": ("one two" + ctrl("w") + ctrl("_"), "one two"),
}


@pytest.mark.parametrize("what", WRITING)
async def test_the_keys_of_a_shell_do_what_the_help_says(
    server: Stage, what: str
) -> None:
    keys, text = WRITING[what]
    async with at_screen(server) as person:
        await person.type(keys)
        assert person.text == text
