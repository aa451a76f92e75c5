"""The full screen: the terminal is taken and given back; its focus and output."""

import asyncio
import os
import re
import signal
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.service.full_screen.person import (
    F1,
    F2,
    F4,
    PAGE_UP,
    PASTE,
    Person,
    Stage,
    alt,
    at_screen,
    ctrl,
)

ENTER, LEAVE = "\x1b[?1049h", "\x1b[?1049l"


@pytest.fixture
async def server() -> AsyncIterator[Stage]:
    async with Stage() as server:
        server.say("#ops", "in ops")
        server.read_all()
        yield server


@pytest.fixture
async def person(server: Stage) -> AsyncIterator[Person]:
    async with at_screen(server) as person:
        await person.shows("in ops")
        yield person


async def test_the_terminal_is_given_back_as_it_was(server: Stage) -> None:
    async with at_screen(server) as person:
        await person.type(F4 + "text" + PAGE_UP + ctrl("k"))
        person.frame()
        assert ENTER in person.glass.transcript
        await person.type(ctrl("c") + ctrl("u"))
        await person.leave("/quit\r")
    transcript = person.glass.transcript
    modes = dict(re.findall("\x1b\\[\\?([0-9;]+)([hl])", transcript))
    still_on = {mode for mode, letter in modes.items() if letter == "h"}
    assert still_on <= {"25", "7"}  # the cursor is shown, long lines wrap
    assert transcript.count(ENTER) == transcript.count(LEAVE) == 1


async def test_what_was_begun_outlives_the_window_of_the_terminal(
    server: Stage, tmp_path: Path
) -> None:
    async with at_screen(server, home=tmp_path) as person:
        await person.enter("sent")
        await person.type("half a thought")
        person.glass.is_gone = True
        person.ui.quit()
        await person.until(lambda: person.is_ended)
    assert server.texts("#ops")[-1] == "sent"
    async with at_screen(server, home=tmp_path) as person:
        assert person.text == "half a thought"


async def test_nothing_is_drawn_after_the_screen_was_given_back(server: Stage) -> None:
    async with at_screen(server) as person:
        await person.leave("/quit\r")
    after = person.glass.transcript.rpartition(LEAVE)[2]
    assert re.sub("\x1b\\[[0-9;?]*[a-z]", "", after, flags=re.I) == ""


async def test_it_is_said_at_the_end_what_is_sent_next_time(server: Stage) -> None:
    async with at_screen(server) as person:
        await server.stop()
        await person.until(lambda: person.link.state.name != "online")
        await person.leave("later\r/quit\r")
    await server.start()
    after = person.glass.transcript.rpartition(LEAVE)[2]
    assert "what waits in the outbox is sent at the next start\r\n" in after


async def test_a_terminal_that_goes_away_ends_the_program(server: Stage) -> None:
    async with at_screen(server) as person:
        await person.type("draft")
        person.hang_up()
        await person.until(lambda: person.is_ended)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
async def test_a_signal_ends_the_program_in_good_order(
    server: Stage, number: signal.Signals
) -> None:
    async with at_screen(server) as person:
        os.kill(os.getpid(), number)
        await person.until(lambda: person.is_ended)
        assert person.glass.transcript.count(LEAVE) == 1


async def test_ctrl_l_draws_anew_without_leaving_the_screen(person: Person) -> None:
    frame = person.frame()
    person.glass.screen.reset()  # another program wrote over it
    await person.type(ctrl("l"))
    assert person.frame() == frame
    assert LEAVE not in person.glass.transcript


async def test_the_focus_is_not_told_to_what_runs_in_its_place(
    server: Stage, tmp_path: Path
) -> None:
    ran = await asyncio.to_thread(make_editor, tmp_path)
    environment = {"EDITOR": str(ran)}
    async with at_screen(server, environment=environment) as person:
        await person.type("text" + alt("e"))
        await person.until(lambda: person.text == "from the editor")
        transcript = person.glass.transcript
        asked = [m.start() for m in re.finditer(re.escape("\x1b[?1004h"), transcript)]
        ended = [m.start() for m in re.finditer(re.escape("\x1b[?1004l"), transcript)]
        assert len(asked) == 2
        assert len(ended) == 1
        assert asked[0] < ended[0] < asked[1]
        assert person.has("in ops")


def make_editor(folder: Path) -> Path:
    path = folder / "editor"
    path.write_text('#!/bin/sh\nprintf "from the editor" > "$1"\n')
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


async def test_f2_while_a_paste_is_asked_about_keeps_the_question(
    person: Person,
) -> None:
    await person.type(PASTE.format("\n".join(str(n) for n in range(10))))
    assert person.has("what is it to be?")
    await person.type(F2)
    assert person.has("what is it to be?")
    await person.escape()
    await person.hides("what is it to be?")
    assert person.text == ""


async def test_help_over_a_question_gives_the_keys_back_to_it(person: Person) -> None:
    await person.type(PASTE.format("\n".join(str(n) for n in range(10))))
    await person.type(F1 + "m" + F1)
    assert person.has("what is it to be?")
    await person.type("m")
    assert person.text == "\n".join(str(n) for n in range(10))


async def test_a_paste_into_a_box_stays_on_its_line(person: Person) -> None:
    await person.type(ctrl("k") + PASTE.format("op\ns"))
    dialog = person.ui.dialog
    assert dialog is not None
    assert "\n" not in dialog.buffer.text
    assert person.has("#ops")
