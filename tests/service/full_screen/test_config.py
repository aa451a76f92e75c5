"""The full screen: settings of ``client.toml`` (keys, mouse, theme, title)."""

from collections.abc import AsyncIterator

import msgspec
import pytest

from client.config.config_file import ClientConfig, parse_client_file
from tests.service.full_screen.person import F1, Stage, at_screen, ctrl

WISHES = """
[general]
escape_ms = 10
mouse = true
theme = "16"
[notify]
title = false
[keys]
search = "F6"
next-chat = "Ctrl+F"
[colors]
"sidebar.current" = "ansigreen"
"""
F6 = "\x1b[17~"
MOUSE_ON = "\x1b[?1000h"


@pytest.fixture
async def server() -> AsyncIterator[Stage]:
    async with Stage() as server:
        for chat in ("#lab", "#ops"):
            server.say(chat, f"something in {chat}")
        server.read_all()
        yield server


def wished() -> ClientConfig:
    return parse_client_file(WISHES, "client.toml")


async def test_ones_own_keys_act_and_are_in_the_help(server: Stage) -> None:
    async with at_screen(server, config=wished()) as person:
        await person.type(ctrl("f"))
        assert person.current == "#lab"
        await person.type(F6)
        assert person.has("Search in #lab")
        await person.escape()
        await person.type(F1 + "search in this chat")
        assert person.has("F6")
        assert not person.has("Ctrl+F")


async def test_the_mouse_is_on_from_the_start_where_that_is_wanted(
    server: Stage,
) -> None:
    async with at_screen(server, config=wished()) as person:
        assert MOUSE_ON in person.glass.transcript
    async with at_screen(server) as person:
        assert MOUSE_ON not in person.glass.transcript


async def test_the_theme_and_ones_own_colours_are_seen(server: Stage) -> None:
    async with at_screen(server, config=wished()) as person:
        await person.shows("> #ops")
        cell = person.glass.screen.buffer[person.row_of("> #ops")][2]
        assert (cell.fg, cell.reverse) == ("green", False)
        assert "38;5;" not in person.glass.transcript


@pytest.mark.parametrize("is_wanted", [True, False])
async def test_the_title_is_left_alone_where_none_is_wanted(
    server: Stage, is_wanted: bool
) -> None:
    config = wished()
    notify = msgspec.structs.replace(config.notify, title=is_wanted)
    config = msgspec.structs.replace(config, notify=notify)
    async with at_screen(server, config=config) as person:
        server.say("#lab", "alice: look")
        await person.shows("! #lab")
        person.frame()
    for sequence in ("\x1b]2;", "\x1b[22;2t", "\x1b[23;2t"):
        assert (sequence in person.glass.transcript) == is_wanted
