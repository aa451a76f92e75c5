"""A timeline on a screen in memory, and the chat that it shows."""

import asyncio
import io
from collections.abc import Iterable
from contextlib import ExitStack
from typing import Any

import pyte
from prompt_toolkit.application import Application
from prompt_toolkit.application.current import set_app
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.data_structures import Size
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.layout import BufferControl, HSplit, Layout, VSplit, Window
from prompt_toolkit.output import ColorDepth

from chatd.protocol.messages import ChatRecord
from client.model.chat import Chat
from client.model.entries import Entry
from client.terminal.hyperlinks import ESCAPE_STYLE, HyperlinkOutput
from client.terminal.themes import make_theme
from client.text.styles import Line, plain
from client.ui.timeline.painting import TimelineWindow
from client.ui.timeline.timeline import Timeline
from client.ui.toolkit.renderer import use_row_renderer
from tests.fakes.link import NOON_MS, Stage, entry, message, room

SIZES = [(80, 24), (120, 40), (60, 15)]
MINUTE_MS = 60_000
STYLE = make_theme("dark", {"TERM": "xterm-256color"}).to_style()


class TimelineStage(Stage):
    """A timeline of #ops; messages are a minute apart unless given otherwise."""

    def __init__(self, columns: int = 80, rows: int = 24) -> None:
        super().__init__()
        self.columns, self.rows = columns, rows
        self.timeline = Timeline(self.workspace)

    @property
    def chat(self) -> Chat:
        return self.fake.model.chats["#ops"]

    def log_in(self, *records: ChatRecord, synced: bool = True) -> None:
        """Log in, and open #ops."""
        self.fake.log_in(*(records or (room(),)), synced=synced)
        self.workspace.current = "#ops"
        self.timeline.open("#ops")

    def say(self, *texts: str, sender: str = "bob", **members: Any) -> None:
        """Let messages arrive."""
        for text in texts:
            seq = self.chat.last + 1
            given = {"time": NOON_MS + seq * MINUTE_MS, "prev": self.chat.last}
            self.fake.take(message(text, seq, sender, **(given | members)))
        self.timeline.refresh()

    def load(self, entries: Iterable[Entry]) -> None:
        """Load entries, as from the cache."""
        self.fake.model.expect_older("#ops", 1_000_000)
        self.fake.model.load_entries("#ops", list(entries))
        self.timeline.refresh()

    def lines(self) -> list[str]:
        """Return the visible rows, as text."""
        rows = self.timeline.seen(self.columns, self.rows)
        return [shown(row.line) if row is not None else "" for row in rows]

    @property
    def text(self) -> str:
        return "\n".join(self.lines())


def past(first: int, last: int, text: str = "m", **members: Any) -> list[Entry]:
    """Return entries of a log, from one seq to another, with their numbers as texts."""
    return [
        entry(f"{text}{seq}", seq, **({"time_ms": NOON_MS + seq * MINUTE_MS} | members))
        for seq in range(first, last + 1)
    ]


def numbers(stage: TimelineStage) -> list[int]:
    """Return the numbers of the visible messages."""
    words = (line.split() for line in stage.lines())
    return [int(w[-1][1:]) for w in words if w and w[-1][1:].isdigit()]


def shown(line: Line) -> str:
    return plain([part for part in line if part[0] != ESCAPE_STYLE]).rstrip()


class Screen:
    """A timeline beside a list, as a terminal shows it.

    Attributes:
        sent: What was sent to the terminal for the last frame.
        typed: The input below the timeline.
    """

    def __init__(self, stage: TimelineStage, *, is_plain: bool = False) -> None:
        self.stage = stage
        self.size = Size(rows=stage.rows, columns=stage.columns)
        self.typed = Buffer()
        self.sent = ""
        self._terminal = io.StringIO()
        self._pyte = pyte.Screen(stage.columns, stage.rows)
        self._stream = pyte.Stream(self._pyte)
        self._is_plain = is_plain
        self._stack = ExitStack()
        self.app = self._make_app()

    def _make_app(self) -> Application[None]:
        timeline = self.stage.timeline
        self.window = Window(timeline) if self._is_plain else TimelineWindow(timeline)
        typed = Window(BufferControl(self.typed), height=1)
        border = Window(width=1, char="│", style="class:border")
        rows = HSplit([VSplit([Window(width=9), border, self.window]), typed])
        app: Application[None] = Application(
            layout=Layout(rows, focused_element=typed),
            full_screen=True,
            input=self._stack.enter_context(create_pipe_input()),
            output=HyperlinkOutput(self._terminal, lambda: self.size, enable_cpr=False),
            style=STYLE,
            color_depth=ColorDepth.DEPTH_8_BIT,
        )
        if not self._is_plain:
            use_row_renderer(app)
        return app

    async def __aenter__(self) -> "Screen":
        self._stack.enter_context(set_app(self.app))
        self.paint()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stack.close()
        await asyncio.sleep(0)

    def paint(self) -> list[str]:
        """Paint a frame; return the rows of the terminal."""
        self._terminal.seek(0)
        self._terminal.truncate()
        self.app.render_counter += 1
        self.app.renderer.render(self.app, self.app.layout)
        self.app.layout.update_parents_relations()
        self.sent = self._terminal.getvalue()
        self._stream.feed(self.sent)
        return self.rows

    def resize(self, columns: int, rows: int) -> list[str]:
        """Change the size of the terminal, which then shows nothing useful."""
        self.size = Size(rows=rows, columns=columns)
        self._pyte.resize(rows, columns)
        return self.paint()

    @property
    def rows(self) -> list[str]:
        return [row.rstrip() for row in self._pyte.display]

    def cell(self, x: int, y: int) -> "pyte.screens.Char":
        return self._pyte.buffer[y][x]
