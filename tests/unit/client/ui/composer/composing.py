"""A composer in an application, with a pipe for keys and a screen in memory."""

import asyncio
import contextlib
import io
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import BinaryIO, cast

import pyte
from prompt_toolkit.application import Application, create_app_session
from prompt_toolkit.data_structures import Size
from prompt_toolkit.filters import Condition
from prompt_toolkit.input import PipeInput, create_pipe_input
from prompt_toolkit.key_binding import KeyBindings
from prompt_toolkit.key_binding.key_processor import KeyPressEvent
from prompt_toolkit.layout import (
    Dimension,
    FloatContainer,
    FormattedTextControl,
    HSplit,
    Layout,
    Window,
)
from prompt_toolkit.output import ColorDepth
from prompt_toolkit.output.vt100 import Vt100_Output

from chatd.protocol.messages import Limits
from client.commands.input import Entered, GoTo, Invocation, Message
from client.commands.workspace import Workspace
from client.errors import LinkError
from client.keys.actions import ACTIONS, bind
from client.link.link import Link
from client.model.changes import Change
from client.model.entries import Transfer
from client.storage.paths import Paths
from client.storage.preferences import Preferences
from client.ui.composer.composer import Composer
from tests.fakes.link import FakeFrontend, FakeLink, FakeTransfers, room

F12 = "\x1b[24~"
PASTE = "\x1b[200~{}\x1b[201~"
LIMITS = Limits(frame=131_072, text=16_384, in_flight=256, upload=10_000_000)


class KeptTransfers(FakeTransfers):
    """Keeps what was sent as a file: chat, name and bytes."""

    def __init__(self, tell: Callable[[Change], None]) -> None:
        super().__init__(tell)
        self.sent: list[tuple[str, str, bytes]] = []
        self.error: LinkError | None = None

    async def send_stream(
        self, chat: str, file: BinaryIO, name: str, *, text: str = ""
    ) -> Transfer:
        if self.error is not None:
            raise self.error
        self.sent.append((chat, name, file.read()))
        return await super().send_stream(chat, file, name, text=text)


def as_typed(entered: Entered) -> str:
    """Return what a user types for it."""
    match entered:
        case Message(kind="action"):
            return f"/me {entered.text}"
        case Message():
            return ("/" if entered.text.startswith("/") else "") + entered.text
        case Invocation():
            return f"/{entered.name} {entered.arguments}".rstrip()
        case GoTo():
            return entered.address


class ComposerLink(FakeLink):
    """The parts of a link that a composer needs."""

    def __init__(self) -> None:
        super().__init__()
        self.limits: Limits | None = LIMITS
        self.kept = self.transfers = KeptTransfers(lambda change: None)
        self.typed_in: list[str] = []

    def typing(self, chat: str) -> None:
        self.typed_in.append(chat)


class ComposerStage:
    """A composer, the application around it, and the effects of keys.

    Attributes:
        submitted: What was submitted: text, and seq of the message it replies to.
        interrupts: How often Ctrl+C was left to the application.
    """

    def __init__(
        self, pipe: PipeInput, paths: Paths | None, columns: int, rows: int
    ) -> None:
        self.link = ComposerLink()
        self.frontend = FakeFrontend()
        self.frontend.columns, self.frontend.rows = columns, rows
        self.workspace = Workspace(
            cast(Link, self.link), "tls://lab:4747", Preferences(None), self.frontend
        )
        self.submitted: list[tuple[str, int | None]] = []
        self.environment: dict[str, str] = {}
        self.now = 0.0
        self.composer = Composer(
            self.workspace,
            lambda what, reply_to: self.submitted.append((as_typed(what), reply_to)),
            paths,
            environment=self.environment,
            clock=lambda: self.now,
        )
        self.link.on_change = self._changed
        self._pipe = pipe
        self._bytes = io.StringIO()
        self._screen = pyte.Screen(columns, rows)
        self._stream = pyte.Stream(self._screen)
        self._marks = 0
        self._marked = asyncio.Event()
        timeline = Window(
            FormattedTextControl("timeline\n" * rows),
            height=Dimension(min=1, preferred=1),
        )
        root = FloatContainer(
            HSplit([timeline, Window(height=1, char="-"), self.composer.container]),
            floats=list(self.composer.floats),
        )
        self.app: Application[None] = Application(
            Layout(root, focused_element=self.composer.window),
            key_bindings=self._keys(),
            full_screen=True,
            input=pipe,
            output=Vt100_Output(
                self._bytes, lambda: Size(rows=rows, columns=columns), enable_cpr=False
            ),
            color_depth=ColorDepth.DEPTH_24_BIT,
        )
        self.app.ttimeoutlen = 0.01

    @property
    def text(self) -> str:
        return self.composer.buffer.text

    @property
    def is_replying(self) -> bool:
        return self.composer.reply_to is not None

    @property
    def offered(self) -> list[str]:
        state = self.composer.buffer.complete_state
        return [c.display_text for c in state.completions] if state else []

    async def type(self, keys: str) -> None:
        """Type keys, and wait until all of them have been handled."""
        self._marked.clear()
        # In a thread, as a pipe takes only so much at a time.
        await asyncio.to_thread(self._pipe.send_text, keys + F12)
        await self._marked.wait()

    async def paste(self, text: str) -> None:
        await self.type(PASTE.format(text))

    def frame(self) -> list[str]:
        """Return what is on the screen."""
        self.app._redraw()
        self._stream.feed(self._bytes.getvalue())
        self._bytes.seek(0)
        self._bytes.truncate()
        return [line.rstrip() for line in self._screen.display]

    @property
    def cursor(self) -> tuple[int, int]:
        """Row and column of the cursor, after ``frame``."""
        return self._screen.cursor.y, self._screen.cursor.x

    def _keys(self) -> KeyBindings:
        handlers = dict(self.composer.handlers)
        handlers["interrupt"] = lambda event: self.composer.clear()
        actions = [action for action in ACTIONS if action.name in handlers]
        is_free = Condition(lambda: not self.composer.is_choosing)
        keys = bind(actions, handlers, None, {"chat": is_free})
        keys.add("f12")(self._mark)
        return keys

    def _mark(self, event: KeyPressEvent) -> None:
        self._marked.set()

    def _changed(self, change: Change) -> None:
        self.composer.changed(change)


@contextlib.asynccontextmanager
async def stage(
    home: Path | None = None, columns: int = 80, rows: int = 24
) -> AsyncIterator[ComposerStage]:
    """Yield a composer in #ops; input history and drafts are kept under ``home``."""
    paths = Paths.under(home) if home else None
    with create_pipe_input() as pipe, create_app_session(input=pipe):
        made = ComposerStage(pipe, paths, columns, rows)
        made.link.log_in(room("#ops"), room("#general"), room("@bob", role=None))
        running = asyncio.create_task(made.app.run_async())
        made.workspace.current = "#ops"
        await made.type("")
        made.composer.open("#ops")
        try:
            yield made
        finally:
            await made.composer.close()
            made.app.exit()
            await running
