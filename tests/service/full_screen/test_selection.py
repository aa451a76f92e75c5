"""The full screen: selecting and copying messages, the bare mode, the mouse."""

import base64
import re
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest

from chatd.protocol.messages import Download
from client.text.times import format_time
from client.ui.dialogs.selection_actions import SelectionActions
from tests.service.full_screen.person import (
    DOWN,
    F4,
    PAGE_UP,
    PASTE,
    UP,
    Person,
    Stage,
    alt,
    at_screen,
    ctrl,
    file_message,
)

CLIPBOARD = re.compile("\x1b\\]52;c;([A-Za-z0-9+/=]*)\a")


@pytest.fixture
async def server() -> AsyncIterator[Stage]:
    async with Stage() as server:
        for number in range(5):
            server.say("#ops", f"message {number}")
        server.read_all()
        yield server


@pytest.fixture
async def person(server: Stage) -> AsyncIterator[Person]:
    async with at_screen(server) as person:
        await person.shows("message 4")
        yield person


def copied(person: Person) -> list[str]:
    """Return all that was put into the clipboard."""
    found = CLIPBOARD.findall(person.glass.transcript)
    return [base64.b64decode(data).decode() for data in found]


def chosen(person: Person) -> list[str]:
    return [entry.text for entry in person.ui.timeline.selected]


# Selecting ----------------------------------------------------------------------------


async def test_alt_m_chooses_the_newest_message_and_says_which_keys_help(
    person: Person,
) -> None:
    await person.type(alt("m"))
    assert chosen(person) == ["message 4"]
    assert person.status.endswith("c copy  r reply  Space mark  Esc back")
    assert [row for row in person.timeline if row.startswith(">")]


@pytest.mark.parametrize("columns", [60, 80, 120])
async def test_the_keys_of_choosing_are_said_in_every_width(
    server: Stage, columns: int
) -> None:
    async with at_screen(server, columns, 20) as person:
        await person.shows("message 4")
        await person.type(alt("m"))
        assert "Esc back" in person.status


async def test_arrows_and_letters_move_by_message(person: Person) -> None:
    await person.type(alt("m") + UP + "k")
    assert chosen(person) == ["message 2"]
    await person.type("j" + DOWN)
    assert chosen(person) == ["message 4"]
    await person.type(PAGE_UP)
    assert chosen(person) == ["message 0"]


async def test_one_message_is_copied_as_its_text_alone(
    person: Person, server: Stage
) -> None:
    server.say("#ops", "two\nlines, and a ✓")
    await person.shows("two")
    await person.type(alt("m") + "c")
    assert copied(person) == ["two\nlines, and a ✓"]
    assert "copied" in person.status
    assert not person.ui.timeline.is_selecting


async def test_several_messages_are_copied_with_names_and_line_ends(
    person: Person,
) -> None:
    await person.type(alt("m") + " " + UP + UP + " " + "y")
    times = [format_time(person.chat().entries[n].time_ms, "%H:%M") for n in (2, 4)]
    assert copied(person) == [f"{times[0]} bob: message 2\n{times[1]} bob: message 4\n"]
    assert "2 messages copied" in person.status


async def test_what_others_wrote_is_harmless_in_the_clipboard(
    person: Person, server: Stage
) -> None:
    server.say("#ops", "rm -rf\x1b[201~\r\x07\u202e")
    await person.shows("rm -rf")
    await person.type(alt("m") + "c")
    (text,) = copied(person)
    assert not set(text) & set("\x1b\r\x07\u202e")


async def test_too_much_is_not_copied_half(person: Person, server: Stage) -> None:
    for _ in range(6):
        server.say("#ops", "x" * 16_000)
    server.say("#ops", "the end")
    await person.shows("the end")
    await person.type(alt("m") + (" " + UP) * 6 + "c")
    assert copied(person) == []
    assert "too much" in person.status


async def test_where_tmux_takes_no_copy_it_goes_to_the_terminal_both_ways(
    server: Stage,
) -> None:
    async with at_screen(server, environment={"TMUX": "/tmp/tmux,1,0"}) as person:
        await person.shows("message 4")
        await person.type(alt("m") + "c")
        data = base64.b64encode(b"message 4").decode()
        sequence = f"\x1b]52;c;{data}\a"
        doubled = sequence.replace("\x1b", "\x1b\x1b")
        wanted = f"{sequence}\x1bPtmux;{doubled}\x1b\\"
        await person.until(lambda: wanted in person.glass.transcript)
        assert "copied" in person.status


@pytest.mark.parametrize("key", ["\x1b", "q", alt("m"), ctrl("c")])
async def test_keys_that_end_the_choosing(person: Person, key: str) -> None:
    await person.type(alt("m"))
    if key == "\x1b":
        await person.escape()
    else:
        await person.type(key)
    assert not person.ui.timeline.is_selecting
    await person.type("typed")
    assert person.text == "typed"


async def test_what_is_typed_right_after_the_end_of_choosing_is_written(
    person: Person,
) -> None:
    await person.type(alt("m"))
    end = SelectionActions(person.ui).handlers["select-end"]
    end(cast(Any, None))
    # Before anything was painted.
    assert person.ui.app.layout.has_focus(person.ui.composer.container)


@pytest.mark.parametrize(
    "keys", ["x", "\x7f", ctrl("w"), ctrl("u"), alt("a"), PASTE.format("pasted"), "\r"]
)
async def test_other_keys_do_nothing_while_choosing(person: Person, keys: str) -> None:
    await person.type("draft" + alt("m") + UP + keys)
    assert person.text == "draft"
    assert chosen(person) == ["message 3"]
    assert person.server.texts("#ops")[-1] == "message 4"


async def test_what_comes_while_choosing_does_not_move_the_choice(
    person: Person, server: Stage
) -> None:
    for number in range(30):
        server.say("#ops", f"more {number}")
    await person.shows("more 29")
    await person.type(alt("m"))
    before = person.timeline
    server.say("#ops", "news")
    await person.shows("1 new below")
    assert person.timeline == before
    assert chosen(person) == ["more 29"]


async def test_switching_ends_the_choosing(person: Person, server: Stage) -> None:
    server.say("@bob", "psst")
    await person.shows("! @bob")
    await person.type(alt("m"))
    person.ui.workspace.switch("@bob")
    await person.type("typed")
    assert person.text == "typed"


async def test_without_a_message_there_is_nothing_to_choose(server: Stage) -> None:
    server.logs["#empty"] = []
    async with at_screen(server, chat="#empty") as person:
        await person.type(alt("m"))
        assert "there is no message to choose" in person.status


async def test_enter_unfolds_a_long_message_and_folds_it_again(
    person: Person, server: Stage
) -> None:
    server.say("#ops", "\n".join(f"line {n}" for n in range(100)))
    await person.shows("more lines")
    await person.type(alt("m") + "\r")
    assert not person.has("more lines")
    await person.type("\r")
    assert person.has("90 more lines")


async def test_s_saves_the_file_of_a_message(person: Person, server: Stage) -> None:
    server.tell("a dump", **file_message())
    await person.shows("core.tar")
    await person.type(alt("m") + "s")
    await server.until(lambda: server.count(Download) == 1)


async def test_s_says_where_there_is_no_file(person: Person) -> None:
    await person.type(alt("m") + "s")
    assert "that is no file" in person.status


# The bare mode ------------------------------------------------------------------------


async def test_the_bare_mode_shows_only_text(person: Person) -> None:
    await person.type(alt("l"))
    shown = [row for row in person.frame() if row]
    assert shown == [f"message {number}" for number in range(5)]
    await person.type(alt("l"))
    assert person.header.startswith(" #ops")


@pytest.mark.parametrize("key", ["x", "\r", ctrl("c"), "\x1b"])
async def test_any_other_key_ends_the_bare_mode_and_does_nothing_else(
    person: Person, key: str
) -> None:
    await person.type("draft" + alt("l"))
    if key == "\x1b":
        await person.escape()
    else:
        await person.type(key)
    assert not person.ui.timeline.is_bare
    assert person.text == "draft"
    assert person.server.texts("#ops")[-1] == "message 4"
    await person.type("!")
    assert person.text == "draft!"


async def test_one_can_scroll_in_the_bare_mode(person: Person, server: Stage) -> None:
    server.fill(100, word="later")
    server.say("#ops", "newest")
    await person.shows("newest")
    await person.until(lambda: person.chat().gaps() == [])
    await person.type(alt("l") + PAGE_UP)
    assert person.ui.timeline.is_bare
    assert not person.has("newest")


async def test_the_mouse_is_the_terminals_in_the_bare_mode(person: Person) -> None:
    await person.type(F4)
    person.frame()
    await person.type(alt("l"))
    person.frame()
    assert person.glass.transcript.rindex("\x1b[?1000l") > (
        person.glass.transcript.rindex("\x1b[?1000h")
    )


# The mouse ----------------------------------------------------------------------------


async def test_the_wheel_scrolls_the_chat(person: Person, server: Stage) -> None:
    server.fill(100, word="later")
    server.say("#ops", "newest")
    await person.shows("newest")
    await person.until(lambda: person.chat().gaps() == [])
    await person.type(F4)
    person.frame()
    await person.type("\x1b[<64;40;10M")
    assert not person.ui.timeline.is_at_bottom


async def test_a_click_on_a_link_copies_it_where_there_is_no_desktop(
    person: Person, server: Stage
) -> None:
    server.say("#ops", "https://example.org/x")
    await person.shows("https://example.org/x")
    await person.type(F4)
    row = person.row_of("https://example.org/x")
    column = person.frame()[row].index("https")
    at = f"{column + 3};{row + 1}"
    await person.type(f"\x1b[<0;{at}M\x1b[<0;{at}m")
    await person.until(lambda: copied(person) == ["https://example.org/x"])
    assert "the link is copied" in person.status
