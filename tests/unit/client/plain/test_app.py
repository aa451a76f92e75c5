"""Plain mode: one line for each event, and no control characters."""

import asyncio
import contextlib
import re
import signal
from collections.abc import AsyncIterator, Callable
from typing import Any, cast

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatd.protocol.messages import FileInfo, Joined
from client.frontend.runtime import Runtime
from client.link.link import Link
from client.link.reconnect import LinkState
from client.model.changes import Change
from client.notify.notifier import Notified
from client.plain.app import PlainMode
from client.plain.input import LineInput
from client.plain.lines import entry_line, one_line, shown_text
from client.storage.preferences import Preferences
from client.text.entries import Look, divider
from client.text.styles import plain
from tests import PATIENCE
from tests.fakes.link import (
    NOON_MS,
    FakeLink,
    entry,
    message,
    room,
    transfer,
)
from tests.helpers import eventually

SERVER = "tls://lab:4747"

# Everything that could move, draw or ring; of the controls only the line end is left.
ACTING = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u2500-\u257f\u202a-\u202e\u2066-\u2069]"
)


# Lines --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("members", "line"),
    [
        ({"text": "hello"}, "bob: hello"),
        ({"text": "one\n\n  two\r\n"}, "bob: one / two"),
        ({"text": "waves", "kind": "action"}, "* bob waves"),
        ({"text": "", "kind": "join"}, "bob joined"),
        ({"text": "x", "is_deleted": True}, "bob: (deleted)"),
        ({"text": "x", "edited_ms": 1}, "bob: x (changed)"),
        ({"text": "yes", "reply_to": 7}, "bob: [re earlier] yes"),
    ],
)
def test_an_entry_is_one_line_that_begins_with_who(
    members: dict[str, Any], line: str
) -> None:
    assert entry_line(entry(seq=8, **members)) == line


def test_a_reply_says_to_what() -> None:
    quoted = entry("disk full", 7, "carol")
    line = entry_line(entry("yes", 8, reply_to=7), quoted=quoted)
    assert line == "bob: [re carol: disk full] yes"


def test_a_file_says_how_to_fetch_it() -> None:
    info = FileInfo(id="f", name="core.tar", size=734_000_000, sha256="")
    line = entry_line(entry("the dump", 8, kind="file", file=info))
    assert line.startswith("bob: [file] core.tar  734 MB")
    assert line.endswith(", /get 8 the dump")


@pytest.mark.parametrize(
    ("members", "line"),
    [
        ({"chat": "#lab"}, "bob in #lab: hi"),
        ({"chat": "@bob"}, "@bob: hi"),
        ({"chat": "@bob", "sender": "alice"}, "alice to @bob: hi"),
        ({"chat": "#lab", "kind": "action"}, "* bob in #lab hi"),
        ({"chat": "#lab", "kind": "leave"}, "bob left hi in #lab"),
    ],
)
def test_what_is_elsewhere_says_where(members: dict[str, Any], line: str) -> None:
    assert entry_line(entry("hi", **members), is_named=True) == line


@given(st.text(), st.text())
def test_no_text_makes_a_second_line_or_acts(text: str, sender: str) -> None:
    line = entry_line(entry(text, sender=sender), is_named=True)
    assert "\n" not in line
    assert not re.search("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", line)


def test_dividers_lose_what_is_drawn() -> None:
    assert shown_text(divider("#ops  Topic", Look(columns=80))) == "#ops  Topic"
    assert shown_text([("", "   a      b "), ("class:notice", "  c  ")]) == "a  b  c"


def test_what_was_written_keeps_its_blanks() -> None:
    assert one_line("a    b") == "a    b"
    lines = PlainStage().mode.workspace.lines_of(entry("a    b"))
    assert [shown_text(line) for line in lines] == ["bob: a    b"]
    assert [plain(line) for line in lines] == ["bob: a    b"]


# The frontend -------------------------------------------------------------------------


class FakeRunningLink(FakeLink):
    """A fake link that can be started and closed."""

    on_state: Callable[[LinkState], None]
    starts = LinkState(name="online")

    def start(self) -> None:
        self.state = self.starts
        self.on_state(self.state)
        if self.state.name == "online":
            self.log_in(room("#ops", topic="On duty"), room("@bob", role=None))

    async def close(self) -> None:
        pass


class FakeInput(LineInput):
    """Lines that a test enters."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: asyncio.Queue[str | None] = asyncio.Queue()

    def start(self) -> None:
        pass

    async def next(self) -> str | None:
        return await self.lines.get()


class PlainStage:
    """A user in plain mode, with everything faked around."""

    def __init__(
        self,
        *,
        is_terminal: bool = False,
        is_read: bool = True,
        wanted: str | None = None,
    ) -> None:
        self.link = FakeRunningLink()
        self.input = FakeInput()
        self.written = ""
        self.is_read = is_read
        kept = Preferences(None)
        kept.remember_chat(SERVER, "alice", "#ops")
        self.mode = PlainMode(
            Runtime(
                make_link=self._make_link,
                server=SERVER,
                preferences=kept,
                room=wanted,
                notified=Notified(None, SERVER, "alice"),
            ),
            input=self.input,
            write=self._write,
            is_terminal=is_terminal,
        )

    def _make_link(
        self,
        on_change: Callable[[Change], None],
        on_state: Callable[[LinkState], None],
    ) -> Link:
        self.link.on_change, self.link.on_state = on_change, on_state
        return cast(Link, self.link)

    def _write(self, text: str) -> None:
        if not self.is_read:
            raise BrokenPipeError
        self.written += text

    @property
    def lines(self) -> list[str]:
        return self.written.splitlines()

    def enter(self, *lines: str | None) -> None:
        for line in lines:
            self.input.lines.put_nowait(line)

    async def until(self, is_so: Callable[[], bool]) -> None:
        try:
            await eventually(is_so, "")
        except TimeoutError:
            raise TimeoutError(self.written) from None

    async def says(self, line: str) -> None:
        await self.until(lambda: line in self.lines)

    def confirm(self) -> None:
        """Confirm the oldest message of the outbox, as the server would."""
        item = self.link.items[0]
        self.link.settle(
            msgspec.structs.replace(item, state="sent", seq=1, time_ms=NOON_MS)
        )


@contextlib.asynccontextmanager
async def running(stage: PlainStage) -> AsyncIterator[PlainStage]:
    task = asyncio.create_task(stage.mode.run())
    try:
        yield stage
    finally:
        stage.mode.quit()
        async with asyncio.timeout(PATIENCE):
            await task


@contextlib.asynccontextmanager
async def at_plain(**how: Any) -> AsyncIterator[PlainStage]:
    async with running(PlainStage(**how)) as stage:
        stage.enter("/switch #ops")
        await stage.until(lambda: stage.mode.workspace.current == "#ops")
        yield stage


async def test_what_is_entered_is_sent_and_said_once() -> None:
    async with at_plain() as stage:
        stage.enter("hello")
        await stage.until(lambda: len(stage.link.items) == 1)
        stage.confirm()
        await stage.says("alice: hello")
        assert stage.lines.count("alice: hello") == 1


async def test_each_event_is_one_line_in_plain_words() -> None:
    async with at_plain() as stage:
        await stage.says("#ops  On duty")
        stage.link.take(message("first\nsecond", 1))
        stage.link.take(message("", 2, kind="leave"))
        stage.link.take(message("psst", 1, chat="@bob"))
        await stage.until(lambda: stage.lines[-1:] == ["@bob: psst"])
        assert stage.lines[-3:] == ["bob: first / second", "bob left", "@bob: psst"]


async def test_nothing_that_could_act_or_draw_is_ever_written() -> None:
    async with at_plain() as stage:
        stage.link.take(message("\x1b[2J\x1b]0;owned\x07\x9b31m \u202e evil\x00", 1))
        stage.link.take(message("x", 2, sender="\x1b[31mred"))
        stage.enter("/help", "/chats", "/unread", "/nonsense \x1b[2J", "/outbox")
        await stage.says("the outbox is empty: everything was sent")
        assert not ACTING.search(stage.written)


async def test_the_help_names_every_command_and_no_key() -> None:
    async with at_plain() as stage:
        stage.enter("/help", "/help msg")
        await stage.says("/quit  end the program; what waits is sent next time")
        await stage.says("also /m")
        assert "Alt+" not in stage.written
        assert "Tab" not in stage.written


async def test_what_goes_wrong_says_that_it_is_an_error() -> None:
    async with at_plain() as stage:
        stage.enter("/nonsense")
        await stage.until(
            lambda: "error: there is no command /nonsense" in stage.written
        )


async def test_a_message_that_waits_and_one_that_is_refused_say_so() -> None:
    async with at_plain() as stage:
        stage.link.state = LinkState(name="waiting", seconds=2.0)
        stage.link.on_state(stage.link.state)
        stage.enter("hello")
        await stage.says("alice: hello (waiting)")
        refused = msgspec.structs.replace(
            stage.link.items[0], state="refused", reason="you are muted"
        )
        stage.link.settle(refused)
        await stage.says('error: "hello" was not sent: you are muted')


async def test_lines_wait_until_the_chats_are_there() -> None:
    stage = PlainStage()
    stage.link.starts = LinkState(name="connecting")
    async with running(stage):
        stage.enter("/switch #ops")
        await asyncio.sleep(0)
        assert stage.input.lines.qsize() == 1
        stage.link.state = LinkState(name="online")
        stage.link.log_in(room("#ops", topic="On duty"))
        await stage.says("#ops  On duty")


async def test_the_room_of_a_join_link_is_entered_before_the_first_line() -> None:
    stage = PlainStage(wanted="#lab")
    stage.link.replies = [Joined(chat=room("#lab", topic="Benches"))]
    async with running(stage):
        stage.enter("hello")
        await stage.until(lambda: len(stage.link.items) == 1)
        assert stage.link.items[0].chat == "#lab"
        assert "#lab  Benches" in stage.lines


async def test_without_the_server_lines_are_taken_all_the_same() -> None:
    stage = PlainStage()
    stage.link.starts = LinkState(name="waiting", seconds=2.0, reason="refused")
    async with running(stage):
        stage.enter("/server")
        await stage.until(lambda: "not connected" in stage.written)


async def test_the_end_of_the_input_waits_until_everything_is_sent() -> None:
    stage = PlainStage()
    task = asyncio.create_task(stage.mode.run())
    stage.enter("/switch #ops", "hello", None)
    await stage.until(lambda: len(stage.link.items) == 1)
    assert not task.done()
    stage.confirm()
    async with asyncio.timeout(PATIENCE):
        assert await task is None
    assert stage.lines[-1] == "alice: hello"


@pytest.mark.parametrize("is_terminal", [False, True])
async def test_the_end_of_a_pipe_waits_for_files_and_a_person_who_leaves_does_not(
    is_terminal: bool,
) -> None:
    stage = PlainStage(is_terminal=is_terminal)
    begun = stage.link.transfers.add(transfer("core.tar"))
    task = asyncio.create_task(stage.mode.run())
    stage.enter("/transfers", None)
    await stage.until(lambda: "core.tar to #ops" in stage.written)
    if not is_terminal:
        assert not task.done()
        stage.link.transfers.move(begun.id, state="done")
    async with asyncio.timeout(PATIENCE):
        await task
    is_left = "the files under way go on at the next start" in stage.lines
    assert is_left is is_terminal


async def test_the_end_of_the_input_while_offline_leaves_the_outbox_for_later() -> None:
    stage = PlainStage()
    stage.link.starts = LinkState(name="waiting", seconds=2.0)
    task = asyncio.create_task(stage.mode.run())
    stage.enter("/query @bob", "hello", None)
    async with asyncio.timeout(PATIENCE):
        await task
    assert stage.lines[-1] == "what waits in the outbox is sent at the next start"


async def test_what_stops_the_link_ends_the_program_with_the_reason() -> None:
    stage = PlainStage()
    error = RuntimeError("no more")
    stage.link.starts = LinkState(name="stopped", error=error)
    async with asyncio.timeout(PATIENCE):
        assert await stage.mode.run() is error


async def test_a_reader_that_is_gone_ends_the_program() -> None:
    stage = PlainStage(is_read=False)
    async with asyncio.timeout(PATIENCE):
        assert await stage.mode.run() is None


async def test_the_bell_rings_at_a_terminal_and_nothing_else_is_added() -> None:
    async with at_plain(is_terminal=True) as stage:
        stage.link.take(message("hi", 1, chat="@bob"))
        await stage.until(lambda: "\a" in stage.written)
        assert not ACTING.search(stage.written.replace("\a", ""))


async def test_ctrl_c_quits_at_a_terminal_only_when_pressed_twice() -> None:
    stage = PlainStage(is_terminal=True)
    task = asyncio.create_task(stage.mode.run())
    await stage.says("online as alice at Lab 3")
    signal.raise_signal(signal.SIGINT)
    await stage.says("Ctrl+C again quits")
    assert not task.done()
    signal.raise_signal(signal.SIGINT)
    async with asyncio.timeout(PATIENCE):
        assert await task is None


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_ends_a_pipe_at_once_and_in_good_order(
    number: signal.Signals,
) -> None:
    stage = PlainStage()
    task = asyncio.create_task(stage.mode.run())
    await stage.says("online as alice at Lab 3")
    signal.raise_signal(number)
    async with asyncio.timeout(PATIENCE):
        assert await task is None
