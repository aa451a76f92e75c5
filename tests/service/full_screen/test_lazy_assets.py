"""The full screen: assets that are loaded lazily; no frame waits for them."""

from collections.abc import AsyncIterator

import pytest

from client.ui.composer import emoji
from client.ui.messages import highlight
from tests.service.full_screen.person import Person, Stage, at_screen


@pytest.fixture
async def server() -> AsyncIterator[Stage]:
    async with Stage() as server:
        server.logs["#ops"] = []
        yield server


@pytest.fixture(autouse=True)
def _unloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(emoji, "_table", None)
    monkeypatch.setattr(highlight, "_loaded", set())
    monkeypatch.setattr(highlight, "_missing", set())


def colours_of(person: Person, text: str) -> set[str]:
    """Return the colours of a text that is in one row of the screen."""
    rows = [n for n, row in enumerate(person.glass.screen.display) if text in row]
    if not rows:
        return set()
    begin = person.glass.screen.display[rows[0]].index(text)
    cells = person.glass.screen.buffer[rows[0]]
    return {cells[begin + n].fg for n in range(len(text))}


async def test_code_gets_its_colours_when_they_are_there(server: Stage) -> None:
    async with at_screen(server) as person:
        server.tell("```py\ndef f(): return 1\n```")
        await person.until(lambda: len(colours_of(person, "def f(): return 1")) > 2)


async def test_code_of_another_language_gets_its_colours_too(server: Stage) -> None:
    async with at_screen(server) as person:
        server.tell("```py\ndef f(): return 1\n```")
        await person.until(lambda: len(colours_of(person, "def f(): return 1")) > 2)
        server.tell("```json\n[1, null]\n```")
        await person.until(lambda: len(colours_of(person, "[1, null]")) > 1)


async def test_an_emoji_is_shown_when_its_table_is_there(server: Stage) -> None:
    async with at_screen(server) as person:
        server.tell("done :tada:")
        await person.shows("🎉")
        assert not person.has(":tada:")


async def test_what_cannot_be_loaded_is_not_tried_in_each_frame(
    server: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[str] = []

    def load() -> None:
        tried.append("emoji")
        raise ImportError("no emoji here")

    monkeypatch.setattr(emoji, "load", load)
    async with at_screen(server) as person:
        server.tell("done :tada:")
        await person.shows("something went wrong inside")
        await person.type("x" * 10)
        await person.idle()
        assert person.has("done :tada:")
    assert tried == ["emoji"]
