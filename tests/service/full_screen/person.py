"""A user at the full screen, in this process: keys go in, a screen comes out.

The frontend and the link are the real ones, the server is scripted, and the terminal is
in memory and may be resized at any moment.
"""

import asyncio
import contextlib
import errno
import io
import os
import unicodedata
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, cast

import msgspec
import pyte
import wcwidth
from prompt_toolkit.application import create_app_session
from prompt_toolkit.data_structures import Size
from prompt_toolkit.input import PipeInput, create_pipe_input
from prompt_toolkit.key_binding import KeyBindings, merge_key_bindings

from chatd.protocol.messages import (
    FileInfo,
    MemberInfo,
    Members,
    MembersPage,
    Message,
    ServerMessage,
)
from client.config.config_file import ClientConfig, GeneralConfig
from client.frontend.runtime import Runtime
from client.link.link import Link
from client.link.reconnect import LinkState
from client.model.changes import Change
from client.model.chat import Chat
from client.net.session import Timing
from client.storage.paths import Paths
from client.storage.preferences import Preferences
from client.terminal.screen_output import ScreenOutput
from client.ui.app import FullScreen
from tests import PATIENCE
from tests.fakes.server import FakeServer
from tests.helpers import eventually

STEADY = Timing(connect=5, ping=600, dead=1200, backoff_first=0.02, backoff_max=0.1)
"""Pings once, so that nothing happens by itself."""

WISHES = ClientConfig(general=GeneralConfig(escape_ms=10))
PASSWORD = "correct horse"
SIZES = [(80, 24), (120, 40), (60, 15)]
DAY_MS = 86_400_000

UP, DOWN, LEFT = "\x1b[A", "\x1b[B", "\x1b[D"
PAGE_UP, PAGE_DOWN, END = "\x1b[5~", "\x1b[6~", "\x1b[F"
F1, F2, F3, F4, F5, F12 = "\x1bOP", "\x1bOQ", "\x1bOR", "\x1bOS", "\x1b[15~", "\x1b[24~"
ALT_HOME, ALT_END = "\x1b[1;3H", "\x1b[1;3F"
FOCUS_IN, FOCUS_OUT = "\x1b[I", "\x1b[O"
PASTE = "\x1b[200~{}\x1b[201~"


def ctrl(letter: str) -> str:
    return chr(ord(letter) & 31)


def alt(letter: str) -> str:
    return f"\x1b{letter}"


def _is_nothing(char: str) -> bool:
    is_accent = unicodedata.combining(char) != 0
    return char > "~" and wcwidth.wcwidth(char) == 0 and not is_accent


class Glass(io.StringIO):
    """A terminal's output that is drawn on a screen in memory.

    Attributes:
        size: May be changed at any moment; the program notices by itself.
        transcript: All that was written.
        is_gone: Whether the terminal's window was closed.
    """

    def __init__(self, columns: int, rows: int) -> None:
        super().__init__()
        self.is_gone = False
        self.size = Size(rows=rows, columns=columns)
        self.transcript = ""
        self.screen = pyte.Screen(columns, rows)
        self._stream = pyte.Stream(self.screen)

    def write(self, data: str) -> int:
        if self.is_gone:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        self.transcript += data
        # pyte would drop the rest of the row after what takes no cell and is no accent.
        self._stream.feed("".join(char for char in data if not _is_nothing(char)))
        return len(data)

    def resize(self, columns: int, rows: int) -> None:
        self.size = Size(rows=rows, columns=columns)
        self.screen.resize(rows, columns)

    @property
    def rows(self) -> list[str]:
        return [row.rstrip() for row in self.screen.display]


class Person:
    """A user who types and looks.

    Attributes:
        ui: The program.
        server: The server that it is connected to.
        glass: The output that it draws on.
        task: The program while it runs.
    """

    task: asyncio.Task[Exception | None]

    def __init__(
        self, ui: FullScreen, server: FakeServer, keys: PipeInput, glass: Glass
    ) -> None:
        self.ui = ui
        self.server = server
        self.glass = glass
        self._keys = keys
        self._pressed = 0
        self._marked = asyncio.Event()
        marks = KeyBindings()
        marks.add("f12")(lambda event: self._marked.set())
        app = ui.app
        assert app.key_bindings is not None
        app.key_bindings = merge_key_bindings([app.key_bindings, marks])
        app.key_processor.before_key_press += lambda _: self._count()

    def _count(self) -> None:
        self._pressed += 1

    # What is visible ----------------------------------------------------------------

    @property
    def link(self) -> Link:
        return self.ui.workspace.link

    @property
    def current(self) -> str | None:
        return self.ui.workspace.current

    @property
    def text(self) -> str:
        """The text in the composer."""
        return self.ui.composer.buffer.text

    def is_replying(self) -> bool:
        return self.ui.composer.reply_to is not None

    @property
    def is_ended(self) -> bool:
        return self.task.done()

    @property
    def frames(self) -> int:
        """How many frames were painted so far."""
        return self.ui.app.render_counter

    def has_box(self) -> bool:
        return self.ui.dialog is not None

    def chat(self, address: str = "#ops") -> Chat:
        return self.link.model.chats[address]

    def frame(self) -> list[str]:
        """Return the rows of the screen, painted now."""
        self.ui.app._redraw()
        return self.glass.rows

    @property
    def header(self) -> str:
        return self.frame()[0]

    @property
    def status(self) -> str:
        """The status line, above a composer of one line."""
        return self.frame()[-2]

    @property
    def timeline(self) -> list[str]:
        """The area right of the list of chats, without header and status line."""
        return [row[17:] for row in self.frame()[1:-2]]

    def has(self, text: str) -> bool:
        """Whether a row of the screen, painted now, contains a text."""
        return any(text in row for row in self.frame())

    def cells(self) -> list[list[str]]:
        """Return what each cell of each row shows; a wide letter has two cells."""
        self.ui.app._redraw()
        size, buffer = self.glass.size, self.glass.screen.buffer
        return [
            [buffer[y][x].data for x in range(size.columns)] for y in range(size.rows)
        ]

    def row_of(self, text: str) -> int:
        (number,) = (n for n, row in enumerate(self.frame()) if text in row)
        return number

    # What the user does -------------------------------------------------------------

    async def type(self, keys: str) -> None:
        """Type keys; return when all of them have been handled."""
        self._marked.clear()
        # In a thread, as a pipe takes only so much at a time.
        await asyncio.to_thread(self._keys.send_text, keys + F12)
        async with asyncio.timeout(PATIENCE):
            await self._marked.wait()

    async def escape(self) -> None:
        """Press Esc alone, which only time tells apart from Alt."""
        await self.press("\x1b")
        keys = self.ui.app.key_processor
        await self.until(lambda: not keys.key_buffer)

    async def press(self, key: str) -> None:
        """Press one key, with no other after it."""
        before = self._pressed
        self._keys.send_text(key)
        await self.until(lambda: self._pressed > before)

    async def enter(self, text: str) -> None:
        """Type a line and press Enter."""
        await self.type(f"{text}\r")

    async def leave(self, keys: str) -> None:
        """Press keys, the last of which ends the program."""
        self._keys.send_text(keys)
        await self.until(lambda: self.is_ended)

    def hang_up(self) -> None:
        """Close the terminal, as when its window is closed."""
        self._keys.close()

    # Waiting ------------------------------------------------------------------------

    async def until(self, is_so: Callable[[], bool]) -> None:
        """Wait for a condition that a key or a message brings about."""
        try:
            await eventually(is_so, "")
        except TimeoutError:
            raise TimeoutError("\n".join(self.glass.rows)) from None

    async def shows(self, text: str) -> None:
        """Wait until a row of the screen contains a text."""
        await self.until(lambda: any(text in row for row in self.glass.rows))

    async def hides(self, text: str) -> None:
        """Wait until no row of the screen contains a text."""
        await self.until(lambda: not any(text in row for row in self.glass.rows))

    async def idle(self) -> None:
        """Wait until nothing is painted any more."""
        quiet = 0
        painted = self.frames
        while quiet < 5:
            await asyncio.sleep(0.02)
            quiet = quiet + 1 if painted == self.frames else 0
            painted = self.frames


class Stage(FakeServer):
    """The scripted server, with rooms that have members."""

    def __init__(self) -> None:
        super().__init__()
        self.members: dict[str, list[MemberInfo]] = {}
        self.answers[Members] = self._list_members

    def _list_members(self, request: Any) -> ServerMessage:
        found = self.members.get(request.room, [])
        return MembersPage(members=found, more=False)

    def tell(self, text: str, chat: str = "#ops", **members: Any) -> int:
        """Let a user send a message with more than a text; return its seq."""
        sender, kind = members.pop("sender", "bob"), members.pop("kind", "text")
        message = self.append(chat, sender, kind, text, is_pushed=False)
        message = msgspec.structs.replace(message, **members)
        self.logs[chat][-1] = message
        self.push(message)
        return message.seq

    def fill(self, count: int, chat: str = "#ops", word: str = "message") -> None:
        """Put messages into a chat without pushing them."""
        for number in range(count):
            self.append(chat, "bob", "text", f"{word} {number}", is_pushed=False)

    def push(self, message: ServerMessage) -> None:
        """Push something to all who are logged in."""
        for connection in self.connections:
            if connection.is_live:
                connection.push(message)

    def read_all(self) -> None:
        """Mark everything as read."""
        for chat, log in self.logs.items():
            self.read[chat] = log[-1].seq if log else 0


def member(user: str, role: str = "member", status: str = "online") -> MemberInfo:
    return MemberInfo(user=user, role=role, status=status)


def file_message(name: str = "core.tar", size: int = 1_000_000) -> dict[str, Any]:
    """Return the fields that make a message of ``Stage.tell`` a file."""
    return {
        "kind": "file",
        "file": FileInfo(id="f1", name=name, size=size, sha256="ab" * 32),
    }


def seqs(messages: list[Message]) -> list[int]:
    return [message.seq for message in messages]


@contextlib.asynccontextmanager
async def at_screen(
    server: FakeServer,
    columns: int = 80,
    rows: int = 24,
    *,
    chat: str | None = "#ops",
    home: Path | None = None,
    config: ClientConfig = WISHES,
    environment: dict[str, str] | None = None,
    room: str | None = None,
    make_link: Callable[..., Link] | None = None,
    timing: Timing = STEADY,
    is_online: bool = True,
) -> AsyncIterator[Person]:
    """Run a full screen of a size; the last open chat was ``chat``.

    Args:
        server: The server.
        columns: Width of the terminal.
        rows: Height of the terminal.
        chat: The chat that was open last, None if none was.
        home: Where the client keeps its files; None keeps them in memory.
        config: The settings of ``client.toml``.
        environment: The environment of the process.
        room: The room that a join link names.
        make_link: Makes another link than the real one.
        timing: The timing of the link.
        is_online: Whether to wait until the backlog has arrived.
    """
    paths = Paths.under(home) if home is not None else None
    glass = Glass(columns, rows)
    output = ScreenOutput(
        glass, lambda: glass.size, term="xterm-256color", enable_cpr=False
    )
    settings = Preferences(paths)
    if chat is not None:
        settings.remember_chat(server.address, "alice", chat)

    def make_real_link(
        on_change: Callable[[Change], None], on_state: Callable[[LinkState], None]
    ) -> Link:
        return Link(
            server.address,
            "alice",
            password=PASSWORD,
            paths=paths,
            timing=timing,
            on_change=on_change,
            on_state=on_state,
        )

    with create_pipe_input() as keys, create_app_session(keys, output):
        ui = FullScreen(
            Runtime(
                make_link=make_link or make_real_link,
                server=server.address,
                preferences=settings,
                room=room,
                paths=paths,
                config=config,
                environment={"TERM": "xterm-256color", **(environment or {})},
            ),
            input=keys,
            output=output,
        )
        person = Person(ui, server, keys, glass)
        person.task = asyncio.create_task(ui.run())
        try:
            await person.type("")
            if is_online:
                await person.until(lambda: person.link.model.is_synced)
                await person.idle()
            yield person
        finally:
            ui.quit()
            async with asyncio.timeout(PATIENCE):
                await person.task


def direct(person: Person) -> Any:
    """Return the link without its type, for what only a fake one has."""
    return cast(Any, person.link)
