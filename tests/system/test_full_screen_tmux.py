"""The full screen in a real terminal: tmux, whose screen can be read."""

import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from tests.fakes.raw_client import PASSWORD, RawClient
from tests.helpers import eventually, logged_in
from tests.system.daemon import Daemon
from tests.system.full_screen import BORDER, link_of, register
from tests.system.terminal import chat_environment

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(shutil.which("tmux") is None, reason="there is no tmux"),
]

_SGR = re.compile("\x1b\\[([0-9;]*)m")


class Tmux:
    """A tmux with one window, on its own socket.

    Args:
        folder: Where its socket and its configuration are; its path must be short.
        term: The terminal type that it announces to the programs in it.
    """

    def __init__(self, folder: Path, term: str) -> None:
        self._folder = folder
        config = folder / "tmux.conf"
        config.write_text(
            f'set -g default-terminal "{term}"\n'
            "set -g focus-events on\nset -s escape-time 0\nset -g status off\n"
        )
        self._base = ["tmux", "-S", str(folder / "socket"), "-f", str(config)]

    def do(self, *arguments: str, given: str | None = None) -> str:
        """Run a command of tmux; return what it prints."""
        done = subprocess.run(
            [*self._base, *arguments],
            input=given,
            capture_output=True,
            text=True,
            check=True,
            timeout=20,
        )
        return done.stdout

    def start(self, *command: str, **environment: str) -> None:
        """Open the window, of 120x40, and run a program in it."""
        variables = [f"-e{name}={value}" for name, value in environment.items()]
        # Suspending the program needs a shell around it to return to.
        shell = "bash --norc --noprofile"
        self.do("new-session", "-d", "-x120", "-y40", *variables, shell)
        self.type(f"PS1='shell> '; clear; {shlex.join(command)}")
        self.keys("Enter")

    def keys(self, *keys: str) -> None:
        """Press keys, by tmux's names."""
        self.do("send-keys", *keys)

    def type(self, text: str) -> None:
        """Type a text as it is."""
        self.do("send-keys", "-l", text)

    def paste(self, text: str, *, brackets: bool = True) -> None:
        """Paste a text."""
        self.do("load-buffer", "-", given=text)
        self.do("paste-buffer", *(["-p"] if brackets else []))

    def resize(self, columns: int, rows: int) -> None:
        """Change the size of the window."""
        self.do("resize-window", "-x", str(columns), "-y", str(rows))

    @property
    def frame(self) -> list[str]:
        """The rows of the screen."""
        return self.do("capture-pane", "-p").split("\n")[:-1]

    @property
    def colours(self) -> set[str]:
        """The colours on the screen, as SGR numbers."""
        found: set[str] = set()
        for numbers in _SGR.findall(self.do("capture-pane", "-p", "-e")):
            if numbers.startswith(("38;", "48;")):
                found.add(";".join(numbers.split(";")[:2]))
            else:
                found |= {n for n in numbers.split(";") if n and int(n) >= 30}
        return found - {"39", "49"}

    def tells(self, form: str) -> str:
        """Return tmux's state of the pane."""
        return self.do("display-message", "-p", form).strip()

    def borders_in(self, row: int) -> list[int]:
        """Return the cells of a row that have a border, as tmux counts cells."""
        self.do("copy-mode")
        move = ("send-keys", "-X")
        self.do(*move, "top-line")
        self.do(*move, "-N", str(row), "cursor-down")
        self.do(*move, "start-of-line")
        found: list[int] = []
        while len(found) < 2 or found[-2] != found[-1]:
            self.do(*move, "jump-forward", BORDER)
            found.append(int(self.tells("#{copy_cursor_x}")))
        self.do(*move, "cancel")
        return found[:-1]

    async def shows(self, text: str) -> None:
        """Wait until a row contains a text."""
        await self.until(lambda: any(text in row for row in self.frame))

    async def until(self, is_so: Callable[[], bool]) -> None:
        """Wait for a condition.

        Raises:
            TimeoutError: It did not become true; the message is the screen's text.
        """
        try:
            await eventually(is_so, "")
        except TimeoutError:
            raise TimeoutError("\n".join(self.frame)) from None

    def end(self) -> None:
        """End it, and all that runs in it."""
        subprocess.run([*self._base, "kill-server"], capture_output=True, check=False)


@pytest.fixture
async def daemon(make_daemon: Callable[..., Daemon]) -> Daemon:
    return await make_daemon().start()


@pytest.fixture
async def eve(daemon: Daemon) -> AsyncIterator[RawClient]:
    """A user whose client is not ours, in #ops."""
    async with logged_in(daemon.tcp, "eve") as (client,):
        await client.ask("create", room="#ops", topic="Deploy freeze until Friday")
        yield client


@pytest.fixture
def tmux(request: pytest.FixtureRequest) -> Iterator[Tmux]:
    """A tmux of the kind that the test names."""
    # Not tmp_path, whose names are too long for the path of a Unix socket.
    with tempfile.TemporaryDirectory(prefix="chatd-") as folder:
        tmux = Tmux(Path(folder), getattr(request, "param", "tmux-256color"))
        yield tmux
        tmux.end()


async def chat_in(
    tmux: Tmux, daemon: Daemon, home: Path, *around: str, **more: str
) -> None:
    """Start ``chat`` for alice, and let her enter #ops.

    Args:
        tmux: The tmux to start it in.
        daemon: The server.
        home: Where alice's ``chat`` keeps everything.
        around: A command that runs the command that follows it.
        more: More variables of the environment.
    """
    await register(daemon, "alice")
    environment = {**chat_environment(home), "CHAT_PASSWORD": PASSWORD, **more}
    del environment["TERM"]  # tmux sets it
    tmux.start(
        *around,
        *(sys.executable, "-m", "client", link_of(daemon), "--user", "alice"),
        **environment,
    )
    await tmux.shows(" online")
    tmux.type("/join #ops")
    tmux.keys("Enter")
    await tmux.shows("alice joined")


def borders(frame: list[str]) -> list[int]:
    """Return the columns with a border in every row, of text one cell a letter."""
    rows = frame[1:-2]
    columns = range(min(map(len, rows)))
    return [x for x in columns if all(row[x] == BORDER for row in rows)]


def is_whole(frame: list[str], texts: list[str]) -> bool:
    """Return whether a screen shows exactly these messages, and what is half typed."""
    rows = frame[1:-2]
    return frame[-1] == "> half typed" and all(
        row.endswith(f" {text}") for row, text in zip(rows, texts, strict=True)
    )


KINDS = {
    "tmux-256color": {"38;5"},
    "screen-256color": {"38;5"},
    "xterm-16color": {str(n) for n in (*range(30, 38), *range(90, 98))},
}


@pytest.mark.parametrize("tmux", KINDS, indirect=True)
async def test_it_works_in_terminals_of_all_kinds(
    tmux: Tmux,
    daemon: Daemon,
    eve: RawClient,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    await chat_in(tmux, daemon, tmp_path)
    for number in range(60):
        await eve.say("#ops", f"message {number} of **many**")
    await tmux.shows("message 59 of many")
    assert tmux.colours & KINDS[request.node.callspec.params["tmux"]]
    assert tmux.colours <= KINDS[request.node.callspec.params["tmux"]] | {"48;5"}
    await tmux.until(lambda: len(borders(tmux.frame)) == 2)
    tmux.type("half typed")
    await tmux.shows("> half typed")

    written = [f"message {number} of many" for number in range(60)]
    for columns, rows, panels in ((60, 15, 0), (100, 30, 1), (80, 24, 1)):
        tmux.resize(columns, rows)
        written.append(f"at {columns}x{rows}")
        await eve.say("#ops", written[-1])
        await tmux.shows(written[-1])
        await tmux.until(lambda n=panels: len(borders(tmux.frame)) == n)  # type: ignore[misc]
    await tmux.until(lambda: is_whole(tmux.frame, written[-21:]))
    tmux.keys("C-l")
    await eve.say("@alice", "psst")
    await tmux.shows("! @eve")
    await tmux.until(lambda: is_whole(tmux.frame, written[-21:]))
    tmux.keys("M-a")
    await tmux.shows("psst")


@pytest.mark.skipif(shutil.which("screen") is None, reason="there is no screen")
async def test_it_works_in_gnu_screen(
    tmux: Tmux, daemon: Daemon, eve: RawClient, tmp_path: Path
) -> None:
    folder = tmp_path / "screen"
    folder.mkdir(mode=0o700)
    config = folder / "screenrc"
    config.write_text("startup_message off\naltscreen on\nautodetach off\n")
    around = ("env", "-uTMUX", "-uTMUX_PANE", "screen", "-U", "-c", str(config))
    # The outer terminal has true colours, but screen has none.
    more = {"SCREENDIR": str(folder), "COLORTERM": "truecolor"}
    await chat_in(tmux, daemon, tmp_path, *around, **more)
    await eve.say("#ops", "漢字 @alice https://example.org")
    await tmux.shows("https://example.org")
    assert tmux.colours <= {"38;5", "48;5"}
    await tmux.until(lambda: len(borders(tmux.frame[:-8])) == 2)
    await tmux.until(lambda: tmux.tells("#{pane_title}") == "#ops - chat")
    tmux.keys("M-m", "k")
    await tmux.shows("c copy")
    tmux.keys("q", "F1")
    await tmux.shows("| Help |")
    tmux.keys("F1", "C-d")
    await tmux.shows("shell>")
    assert tmux.tells("#{pane_title}") != "#ops - chat"


async def test_without_colours_all_is_said_all_the_same(
    tmux: Tmux, daemon: Daemon, eve: RawClient, tmp_path: Path
) -> None:
    await chat_in(tmux, daemon, tmp_path, NO_COLOR="1")
    await eve.say("#ops", "do you see this, @alice?")
    await eve.say("@alice", "psst")
    await tmux.shows("! @eve")
    (row,) = (row for row in tmux.frame if "do you see this" in row)
    assert "│! " in row
    assert tmux.colours == set()


async def test_what_is_copied_can_be_pasted_in_a_tmux_as_it_usually_is(
    tmux: Tmux, daemon: Daemon, eve: RawClient, tmp_path: Path
) -> None:
    await chat_in(tmux, daemon, tmp_path)
    await eve.say("#ops", "two\nlines, and a ✓")
    await tmux.shows("lines, and a")
    tmux.keys("M-m", "c")
    await tmux.shows(" copied")
    assert tmux.do("show-buffer") == "two\nlines, and a ✓"


async def test_a_paste_is_asked_about_or_becomes_text_and_is_never_sent(
    tmux: Tmux, daemon: Daemon, eve: RawClient, tmp_path: Path
) -> None:
    await chat_in(tmux, daemon, tmp_path)
    log = "".join(f"{n:05} a line of some log\n" for n in range(10_000))
    tmux.paste(log)
    await tmux.shows("A paste of 10,000 lines")
    tmux.keys("n")
    await tmux.shows("> message to #ops")
    tmux.paste(log, brackets=False)
    await tmux.shows("09999 a line of some log")
    tmux.keys("C-c")
    await tmux.shows("> message to #ops")
    tmux.keys("C-d")
    await tmux.shows("shell>")
    assert "some log" not in str(await eve.log("#ops"))


async def test_the_shell_is_had_in_between_and_at_the_end_as_it_was(
    tmux: Tmux, daemon: Daemon, eve: RawClient, tmp_path: Path
) -> None:
    await chat_in(tmux, daemon, tmp_path)
    title = "#{pane_title}"
    before = tmux.do("display-message", "-p", "#{host}").strip()
    await tmux.until(lambda: tmux.tells(title) == "#ops - chat")
    tmux.type("half typed")
    tmux.keys("F4")
    await tmux.shows("> half typed")
    # In the alternate screen, with mouse and cursor.
    form = "#{alternate_on} #{mouse_any_flag} #{cursor_flag}"
    await tmux.until(lambda: tmux.tells(form) == "1 1 1")
    tmux.keys("C-z")
    await tmux.shows("Stopped")
    assert tmux.tells(form) == "0 0 1"
    await eve.say("#ops", "meanwhile")
    tmux.type("fg")
    tmux.keys("Enter")
    await tmux.shows("meanwhile")
    await tmux.shows("> half typed")
    assert tmux.tells(form) == "1 1 1"
    tmux.keys("C-c", "C-c", "C-c")
    await tmux.shows("shell>")
    assert tmux.tells(form) == "0 0 1"
    await tmux.until(lambda: tmux.tells(title) == before)
    assert "half typed" not in "\n".join(tmux.frame)
    tmux.type("stty -a")
    tmux.keys("Enter")
    await tmux.shows("isig icanon iexten echo")


async def test_wide_letters_and_marks_take_the_cells_that_the_terminal_gives_them(
    tmux: Tmux, daemon: Daemon, eve: RawClient, tmp_path: Path
) -> None:
    await chat_in(tmux, daemon, tmp_path)
    for text in (
        *("漢字かな전각", "שלום בְּסֵדֶר", "مرحبا تمّ الحلّ", "นี่คือไทย", "हिन्दी"),
        *("👍🎉🚀 ｱｲｳ", "e\u0301te\u0301 ❤️ 👩‍👩‍👧 🇯🇵 👍🏽"),
    ):
        await eve.say("#ops", text)
    await eve.say("#ops", "the last")
    await tmux.shows("the last")
    expected = tmux.borders_in(1)
    assert len(expected) == 2
    for row in range(30, 38):
        assert tmux.borders_in(row) == expected, tmux.frame[row]
