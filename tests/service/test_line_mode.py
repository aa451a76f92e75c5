"""Line mode as a whole: keys go in, and a terminal in memory shows the output."""

import asyncio
import contextlib
import io
from collections.abc import AsyncIterator, Callable
from typing import Any, cast

import msgspec
import pyte
import pytest
from prompt_toolkit.application import create_app_session
from prompt_toolkit.data_structures import Size
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.input.base import PipeInput
from prompt_toolkit.output.vt100 import Vt100_Output

from chatd.protocol.messages import TypingPush
from client.config.config_file import ClientConfig, GeneralConfig, Rule
from client.frontend.runtime import Runtime
from client.line.app import LineMode
from client.link.link import Link
from client.link.reconnect import LinkState
from client.model.changes import Change
from client.notify.notifier import Notified
from client.storage.preferences import Preferences
from tests import PATIENCE
from tests.fakes.link import NOON_MS, FakeLink, message, room
from tests.helpers import eventually


class FakeRunningLink(FakeLink):
    """A fake link that can be started and closed."""

    on_state: Callable[[LinkState], None]

    def start(self) -> None:
        self.on_state(self.state)
        self.log_in(room("#ops"), room("#lab"), room("@bob", role=None))

    async def close(self) -> None:
        pass


class Screen(io.StringIO):
    """An output that is drawn on a screen in memory."""

    def __init__(self, columns: int, rows: int) -> None:
        super().__init__()
        self.size = Size(rows=rows, columns=columns)
        self.screen = pyte.HistoryScreen(columns, rows)
        self._stream = pyte.Stream(self.screen)
        self.written = 0
        self.bells = 0

    def write(self, data: str) -> int:
        self._stream.feed(data)
        self.written += len(data)
        self.bells += data.count("\a")
        return len(data)

    @property
    def lines(self) -> list[str]:
        """The lines that are not empty."""
        shown = [line.rstrip() for line in self.screen.display]
        return [line for line in shown if line]


class Terminal:
    """A user at a terminal."""

    def __init__(self, mode: LineMode, keys: PipeInput, out: Screen) -> None:
        self.mode = mode
        self.keys = keys
        self.out = out
        self.link = cast(FakeRunningLink, mode.workspace.link)

    def type(self, keys: str) -> None:
        self.keys.send_text(keys)

    async def until(self, is_so: Callable[[], bool]) -> None:
        """Wait for a condition that a key or a message brings about."""
        try:
            await eventually(is_so, "")
        except TimeoutError:
            raise TimeoutError("\n".join(self.out.lines)) from None

    async def shows(self, text: str) -> None:
        """Wait until a line of the screen contains a text."""
        await self.until(lambda: any(text in line for line in self.out.lines))

    def row_of(self, text: str) -> Any:
        """Return the cells of the line that contains a text."""
        (row,) = (n for n, ln in enumerate(self.out.screen.display) if text in ln)
        return self.out.screen.buffer[row]

    async def prompts(self, text: str) -> None:
        """Wait until the last line is this."""
        await self.until(lambda: self.out.lines[-1:] == [text])


@contextlib.asynccontextmanager
async def at_terminal(
    environment: dict[str, str] | None = None,
    config: ClientConfig | None = None,
    notified: Notified | None = None,
) -> AsyncIterator[Terminal]:
    out = Screen(80, 24)
    output = Vt100_Output(
        out, lambda: out.size, term="xterm-256color", enable_cpr=False
    )
    fake = FakeRunningLink()

    def make_link(
        on_change: Callable[[Change], None], on_state: Callable[[LinkState], None]
    ) -> Link:
        fake.on_change, fake.on_state = on_change, on_state
        return cast(Link, fake)

    settings = Preferences(None)
    settings.remember_chat("tls://lab:4747", "alice", "#ops")
    with create_pipe_input() as keys, create_app_session(keys, output):
        mode = LineMode(
            Runtime(
                make_link=make_link,
                server="tls://lab:4747",
                preferences=settings,
                config=config or ClientConfig(),
                notified=notified,
                environment={"TERM": "xterm-256color", **(environment or {})},
            ),
            input=keys,
            output=output,
        )
        task = asyncio.create_task(mode.run())
        terminal = Terminal(mode, keys, out)
        await terminal.shows("online as alice")
        mode.workspace.switch("#ops")
        await terminal.shows("── #ops")
        await terminal.prompts("#ops>")
        try:
            yield terminal
        finally:
            mode.quit()
            async with asyncio.timeout(PATIENCE):
                await task


def confirm(fake: FakeRunningLink, **members: Any) -> None:
    """Confirm the oldest message of the outbox, as the server would."""

    item = fake.items[0]
    found = {"state": "sent", "seq": 1, "time_ms": NOON_MS, **members}
    fake.settle(msgspec.structs.replace(item, **found))


async def test_what_is_entered_is_sent_and_shown_once() -> None:
    async with at_terminal() as terminal:
        terminal.type("hello\r")
        await terminal.until(lambda: len(terminal.link.items) == 1)
        confirm(terminal.link)
        await terminal.shows("alice      hello")
        assert "\n".join(terminal.out.lines).count("hello") == 1


async def test_a_half_typed_line_survives_what_arrives() -> None:
    async with at_terminal() as terminal:
        terminal.type("half a sent")
        await terminal.prompts("#ops> half a sent")
        for seq in range(1, 31):
            terminal.link.take(message(f"text {seq}", seq))
            terminal.type("x" if seq % 10 == 0 else "")
        await terminal.shows("text 30")
        await terminal.prompts("#ops> half a sentxxx")
        assert terminal.mode.buffer.text == "half a sentxxx"
        shown = "\n".join(terminal.out.lines)
        assert shown.count("half a sent") == 1


async def test_a_burst_is_written_in_one_go() -> None:
    async with at_terminal() as terminal:
        before = terminal.out.written
        for seq in range(1, 21):
            terminal.link.take(message(f"text {seq}", seq))
        await terminal.shows("text 20")
        assert terminal.out.written - before < 20 * 150


async def test_nothing_is_written_while_nothing_happens() -> None:
    async with at_terminal() as terminal:
        before = terminal.out.written
        terminal.link.on_state(LinkState(name="online", round_trip_ms=3.0))
        await asyncio.sleep(0.1)
        assert terminal.out.written == before


async def test_offline_shows_in_the_prompt_and_at_the_message() -> None:
    async with at_terminal() as terminal:
        terminal.link.state = LinkState(name="waiting", seconds=2.0)
        terminal.link.on_state(terminal.link.state)
        await terminal.prompts("(offline) #ops>")
        terminal.type("hello\r")
        await terminal.shows("hello  (waiting)")
        terminal.link.state = LinkState(name="online")
        terminal.link.on_state(terminal.link.state)
        confirm(terminal.link)
        await terminal.shows('-- sent: "hello"')
        await terminal.prompts("#ops>")


async def test_a_pasted_text_of_many_lines_is_one_message_and_not_sent_by_itself() -> (
    None
):
    async with at_terminal() as terminal:
        terminal.type("\x1b[200~one\r\ntwo\r\n\x1b[201~")
        await terminal.until(lambda: terminal.mode.buffer.text == "one\ntwo\n")
        assert terminal.link.items == []
        terminal.type("\r")
        await terminal.until(lambda: len(terminal.link.items) == 1)
        assert terminal.link.items[0].text == "one\ntwo"


@pytest.mark.parametrize("key", ["\x1b\r", "\n"])
async def test_alt_enter_and_ctrl_j_begin_a_new_line(key: str) -> None:
    async with at_terminal() as terminal:
        terminal.type(f"one{key}two\r")
        await terminal.until(lambda: len(terminal.link.items) == 1)
        assert terminal.link.items[0].text == "one\ntwo"


async def test_up_brings_back_what_was_entered() -> None:
    async with at_terminal() as terminal:
        terminal.type("/nonsense\r")
        await terminal.shows("no command /nonsense")
        terminal.type("\x1b[A")
        await terminal.prompts("#ops> /nonsense")


async def test_tab_completes_and_lists() -> None:
    async with at_terminal() as terminal:
        terminal.type("/his\t")
        await terminal.prompts("#ops> /history")
        assert terminal.mode.buffer.text == "/history "
        terminal.type("\x15/re\t")
        await terminal.shows("/read       /reconnect  /retry")
        await terminal.prompts("#ops> /re")


async def test_ctrl_c_empties_the_line_and_quits_only_when_pressed_twice() -> None:
    async with at_terminal() as terminal:
        terminal.type("half typed")
        await terminal.prompts("#ops> half typed")
        terminal.type("\x03")
        await terminal.prompts("#ops>")
        terminal.type("\x03")
        await terminal.shows("Ctrl+C again quits")
        terminal.type("\x03")
        await terminal.until(lambda: "#ops>" not in terminal.out.lines)


async def test_the_help_names_the_keys() -> None:
    async with at_terminal() as terminal:
        terminal.type("/help\r")
        await terminal.shows("Alt+Enter or Ctrl+J begins a new line")
        await terminal.shows("Ctrl+D")


async def test_ctrl_d_quits_only_on_an_empty_line() -> None:
    async with at_terminal() as terminal:
        terminal.type("x\x04")
        await terminal.prompts("#ops> x")
        terminal.type("\x7f\x04")
        await terminal.until(lambda: "#ops>" not in terminal.out.lines)


async def test_commands_are_done_in_the_order_in_which_they_were_entered() -> None:
    async with at_terminal() as terminal:
        terminal.type("/switch #lab\rhello lab\r")
        await terminal.until(lambda: len(terminal.link.items) == 1)
        assert terminal.link.items[0].chat == "#lab"
        await terminal.prompts("#lab>")


async def test_what_others_write_cannot_act_on_the_terminal() -> None:
    async with at_terminal() as terminal:
        terminal.link.take(message("\x1b[2J\x1b]0;owned\x07\x9b31m evil", 1))
        await terminal.shows("evil")
        assert terminal.out.screen.title == ""
        await terminal.shows("online as alice")


async def test_wide_characters_keep_the_columns() -> None:
    async with at_terminal() as terminal:
        terminal.link.take(message("日本語 👩‍👩‍👧 🇯🇵 ❤️ end", 1, "花子"))
        terminal.link.take(message("plain", 2))
        await terminal.shows("plain")
        wide, narrow = terminal.row_of("end"), terminal.row_of("plain")
        assert (narrow[17].data, narrow[16].data) == ("p", " ")
        assert (wide[17].data, wide[16].data) == ("日", " ")
        # 6 and 3 x 2 cells, [JP], a heart, and the blanks between.
        assert wide[17 + 6 + 1 + 6 + 1 + 4 + 1 + 1 + 1].data == "e"


async def test_people_have_colours_unless_none_are_wanted() -> None:
    wanted: list[tuple[dict[str, str], str]] = [
        ({}, "008787"),
        ({"NO_COLOR": "1"}, "default"),
    ]
    for environment, colour in wanted:
        async with at_terminal(environment) as terminal:
            terminal.link.take(message("look", 1, "alice"))
            await terminal.shows("look")
            assert terminal.row_of("look")[6].fg == colour


async def test_the_theme_and_the_colours_of_ones_own_count_here_too() -> None:
    light = ClientConfig(general=GeneralConfig(theme="light"))
    mine = ClientConfig(colors={"time": "#00ff00"})
    for config, colour in ((light, "6c6c6c"), (mine, "00ff00"), (None, "808080")):
        async with at_terminal({"COLORTERM": "truecolor"}, config) as terminal:
            terminal.link.take(message("look", 1))
            await terminal.shows("look")
            assert terminal.row_of("look")[0].fg == colour


@pytest.mark.parametrize(
    ("rule", "bells"), [("mentions", 1), ("all", 2), ("nothing", 0)]
)
async def test_the_bell_rings_for_what_is_wanted(rule: Rule, bells: int) -> None:
    config = ClientConfig(chats={"#lab": rule})
    notified = Notified(None, "tls://lab:4747", "alice")
    async with at_terminal(config=config, notified=notified) as terminal:
        notifier = terminal.mode._notifier
        assert notifier is not None
        for seq, text in ((1, "look"), (2, "alice: look")):
            terminal.link.take(message(text, seq, chat="#lab"))
            await notifier.idle()
        assert terminal.out.bells == bells
        await terminal.shows("alice: look")
        await terminal.prompts("#ops>")


async def test_quitting_with_something_in_the_outbox_says_what_becomes_of_it() -> None:
    async with at_terminal() as terminal:
        terminal.link.state = LinkState(name="waiting", seconds=2.0)
        terminal.type("hello\r")
        await terminal.shows("hello  (waiting)")
        terminal.type("/quit\r")
        await terminal.shows("sent at the next start")


def let_type(fake: FakeRunningLink, user: str, chat: str = "#ops") -> None:
    """Let another user be typing."""
    now = asyncio.get_running_loop().time()
    for change in fake.model.apply(TypingPush(chat=chat, user=user), now):
        fake.on_change(change)


async def test_who_is_typing_is_shown_beside_the_prompt_until_it_is_said() -> None:
    async with at_terminal() as terminal:
        terminal.type("half")
        let_type(terminal.link, "bob")
        await terminal.until(lambda: terminal.out.lines[-1].endswith("bob is typing"))
        assert terminal.out.lines[-1].startswith("#ops> half")
        terminal.link.take(message("here it is"))
        await terminal.prompts("#ops> half")
        assert not any("is typing" in line for line in terminal.out.lines)


async def test_who_types_elsewhere_is_not_shown() -> None:
    async with at_terminal() as terminal:
        let_type(terminal.link, "bob", "#lab")
        terminal.link.take(message("in here"))
        await terminal.shows("in here")
        await terminal.prompts("#ops>")


async def test_who_stops_typing_is_not_shown_for_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("client.model.chat.TYPING_SECONDS", 0.1)
    monkeypatch.setattr("client.line.app.TYPING_SECONDS", 0.1)
    async with at_terminal() as terminal:
        let_type(terminal.link, "bob")
        let_type(terminal.link, "carol")
        await terminal.until(
            lambda: terminal.out.lines[-1].endswith("bob and carol are typing")
        )
        await terminal.prompts("#ops>")
