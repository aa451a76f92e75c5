"""The full screen: contents of the header, the list of chats, the status line."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from chatd.protocol.errors import NotAllowedError
from chatd.protocol.messages import Presence, PresenceOf
from client.config.config_file import ClientConfig
from client.keys.actions import check_keys
from client.model.chat import Chat
from client.model.model import Model
from client.ui.sidebar import chat_list
from tests.service.full_screen.person import (
    F2,
    PAGE_UP,
    UP,
    WISHES,
    Person,
    Stage,
    alt,
    at_screen,
)


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


async def test_the_header_says_how_present_a_person_is(
    person: Person, server: Stage
) -> None:
    assert person.header.startswith(" #ops  a topic ")
    server.say("@bob", "psst")
    await person.shows("! @bob")
    await person.type(alt("a"))
    heard = {"bob": PresenceOf(status="away", text="at lunch")}
    server.push(Presence(users=heard, more=False))
    await person.shows(" @bob  away: at lunch ")


async def test_a_message_sorts_the_list_only_where_it_moves_a_chat(
    person: Person, server: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    sorted_: list[Model] = []

    def sort(model: Model, *others: Any) -> list[Chat]:
        sorted_.append(model)
        return chat_list(model, *others)

    monkeypatch.setattr("client.ui.panels.chat_list", sort)
    server.say("#lab", "one")
    await person.shows("* #lab        1")
    assert len(sorted_) == 1
    server.say("#lab", "two")
    server.say("#ops", "three")
    await person.shows("* #lab        2")
    await person.shows("three")
    assert len(sorted_) == 1
    server.say("#lab", "alice: four")
    await person.shows("! #lab        3")
    assert len(sorted_) == 2


async def test_a_refused_message_is_marked_where_it_is(
    person: Person, server: Stage
) -> None:
    server.refusals = [NotAllowedError("you are muted")]
    await person.enter("/msg #lab hello")
    await person.shows("x #lab")
    assert "x 1 refused" in person.status
    await person.type(alt("1"))
    assert person.current == "#lab"
    assert person.has("not sent: you are muted")
    await person.enter("/discard")
    await person.hides("x 1 refused")
    assert person.has("> #lab")


async def test_the_keys_that_are_told_are_ones_own(server: Stage) -> None:
    keys = check_keys({"help": ["Ctrl+T"], "select-copy": ["x"], "end": []})
    config = ClientConfig(general=WISHES.general, keys=keys)
    async with at_screen(server, 80, 10, config=config) as person:
        assert person.status.endswith("Ctrl+T help")
        server.fill(30)
        server.say("#ops", "newest")
        await person.shows("newest")
        await person.until(lambda: person.chat().gaps() == [])
        await person.type(alt("m") + UP)
        assert person.status.endswith("x copy  r reply  Space mark  Esc back")
        await person.escape()
        await person.type(PAGE_UP)
        server.say("#ops", "below")
        await person.shows("v 1 new below (Alt+End)")


async def test_the_key_to_the_bottom_is_the_one_that_goes_there_now(
    person: Person, server: Stage
) -> None:
    server.fill(30)
    server.say("#ops", "newest")
    await person.shows("newest")
    await person.until(lambda: person.chat().gaps() == [])
    await person.type(PAGE_UP)
    server.say("#ops", "below")
    await person.shows("v 1 new below (End)")
    await person.type("x")
    assert "v 1 new below (Alt+End)" in person.status


async def test_the_list_of_chats_comes_with_the_first_chat() -> None:
    async with Stage() as server, at_screen(server, chat=None) as person:
        assert person.has("Welcome!")
        assert not person.has("│")
        server.say("@bob", "psst")
        await person.shows("! @bob        1 │")
        await person.type(F2)
        assert not person.has("│")
        await person.type(F2)
        assert person.has("! @bob        1 │")
