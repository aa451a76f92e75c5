"""Line mode: a prompt at the bottom, and everything else printed above it.

The terminal's own scrollback, selection and search keep working, since nothing is drawn
but the prompt. One application runs from beginning to end; a line that is entered is
taken by the buffer's accept handler, so that there is never a moment without a prompt
in which keys could be lost.
"""

import asyncio
import contextlib
import signal
import sys
from collections.abc import Callable, Iterable, Mapping

from msgspec import structs
from prompt_toolkit import PromptSession
from prompt_toolkit.application import Application
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.filters import Condition
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.input import Input, create_input
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.output import Output

from chatd.system.tasks import Tasks
from chatd.text.safe import display, pad, width
from client.commands import Registry, complete, make_registry, run
from client.commands.registry import Rows
from client.commands.workspace import Workspace
from client.config.config_file import ClientConfig
from client.frontend.interrupts import Interrupts
from client.frontend.runtime import Runtime
from client.frontend.shutdown import handling, left_for_next_time
from client.frontend.transcript import Transcript
from client.line.printer import Printer
from client.line.progress_area import ProgressArea
from client.line.resize import follow_resizes, is_reflowing
from client.link.reconnect import LinkState
from client.model.changes import Change, TransferChanged, TypingSeen
from client.model.chat import TYPING_SECONDS
from client.notify.delivery import AlertDelivery
from client.terminal.output import make_output
from client.terminal.themes import Theme, make_theme
from client.text.entries import typing_text
from client.text.styles import THEME, Line

ESCAPE_SECONDS = 0.05
KEYS_SECONDS = 0.3

LINE_KEYS: Rows = (
    ("Enter", "send; Alt+Enter or Ctrl+J begins a new line"),
    ("Tab", "complete a command, @name, #room or file"),
    ("Up, Down", "what you wrote before"),
    ("Ctrl+C", "empty the line; on an empty line, twice cancels a file or quits"),
    ("Ctrl+D", "quit, on an empty line"),
)
"""The keys of line mode, for ``/help``."""


class LineMode:
    """The line-mode frontend: a prompt, and lines above it.

    Args:
        runtime: What it is made from.
        input: Where keys come from.
        output: Where to draw.

    Attributes:
        workspace: What commands act on.
        buffer: The text being typed.
    """

    def __init__(
        self,
        runtime: Runtime,
        *,
        input: Input | None = None,
        output: Output | None = None,
    ) -> None:
        environment = runtime.environment
        theme = _theme(runtime.config, environment)
        self._link = runtime.make_link(self._changed, self._state_changed)
        self._room = runtime.room
        self.workspace = Workspace(
            self._link, runtime.server, runtime.preferences, self
        )
        self._registry: Registry = make_registry(LINE_KEYS)
        self._transcript = Transcript(self.workspace, _later)
        session: PromptSession[None] = PromptSession(
            self._prompt,
            multiline=True,
            prompt_continuation=self._continuation,
            rprompt=self._typing,
            style=theme.to_style(),
            color_depth=theme.to_depth(),
            key_bindings=self._bindings(),
            erase_when_done=True,
            enable_suspend=True,
            enable_open_in_editor=True,
            include_default_pygments_style=False,
            input=input or create_input(sys.stdin),
            output=output or make_output(sys.stdout, environment),
        )
        self._session = session
        self._app: Application[None] = session.app
        self._app.ttimeoutlen = ESCAPE_SECONDS
        self._app.timeoutlen = KEYS_SECONDS
        if is_reflowing(environment):
            follow_resizes(self._app)
        self._printer = Printer(self._app)
        self._progress = ProgressArea(self._app.invalidate, _later)
        self.buffer: Buffer = session.default_buffer
        self.buffer.accept_handler = self._accept
        self.buffer.on_text_changed += self._typed
        self._entered: asyncio.Queue[str] = asyncio.Queue()
        self._tasks = Tasks()
        self._interrupts = Interrupts(self.workspace)
        self._error: Exception | None = None
        self._state = ""
        self._delivery = AlertDelivery(
            runtime.config.notify, self._write_raw, environment, self.workspace.fail
        )
        self._notifier = runtime.notifier(self.workspace, self._delivery)

    # The Frontend of the workspace ----------------------------------------------------

    @property
    def columns(self) -> int:
        """The width of the terminal in cells."""
        return self._app.output.get_size().columns

    @property
    def rows(self) -> int:
        """The height of the terminal in lines."""
        return self._app.output.get_size().rows

    def show(self, lines: Iterable[Line]) -> None:
        """Write lines above the prompt."""
        self._printer.write(lines)

    def opened(self, address: str) -> None:
        """Show the chat that is open now."""
        self._open(address, is_read=True)

    def clear(self) -> None:
        """Clear the screen."""
        self._app.renderer.clear()

    def quit(self) -> None:
        """End the program cleanly."""
        if self._app.is_running and not self._app.is_done:
            for said in left_for_next_time(self._link):
                self.workspace.say(said)
            self._app.exit()

    # Running --------------------------------------------------------------------------

    async def run(self) -> Exception | None:
        """Run until the user quits; return what stopped the link, if that was why."""
        self._open_last()
        self._link.start()
        self._transcript.begin()
        self._tasks.spawn(self._work())
        try:
            # Else SIGTERM would leave the terminal in the mode for reading keys.
            with handling({signal.SIGTERM: self.quit}), contextlib.suppress(EOFError):
                await self._session.prompt_async()
        finally:
            await self._tasks.close()
            if self._notifier is not None:
                await self._notifier.close()
            await self._delivery.close()
            await self._link.close()
            await self._printer.drain()
        return self._error

    def _open_last(self) -> None:
        last = self.workspace.begin(self._room)
        if last is not None:
            self._open(last, is_read=False)

    async def _work(self) -> None:
        # One after the other, so that what is typed after /join goes to that room.
        while True:
            text = await self._entered.get()
            await run(self.workspace, self._registry, text)

    def _open(self, address: str, is_read: bool) -> None:
        self._tasks.spawn(self._transcript.open(address, is_read))
        self._app.invalidate()

    def _changed(self, change: Change) -> None:
        self._transcript.changed(change)
        if self._notifier is not None:
            self._notifier.changed(change)
        if isinstance(change, TypingSeen) and change.chat == self.workspace.current:
            self._app.invalidate()
            # It has to disappear again, also if nothing else happens meanwhile.
            _later(TYPING_SECONDS, self._app.invalidate)
        elif isinstance(change, TransferChanged):
            self._progress.changed(change.transfer)

    def _state_changed(self, state: LinkState) -> None:
        if state.name != self._state:
            # A new round-trip time is not shown, so nothing is redrawn while idle.
            self._state = state.name
            self._app.invalidate()
        self._transcript.state_changed(state)
        if state.name == "stopped" and state.error is not None:
            self._error = state.error
            self.quit()
        elif state.name == "online" and self._room is not None:
            self._entered.put_nowait(f"/join {self._room}")
            self._room = None

    def _write_raw(self, text: str) -> None:
        self._app.output.write_raw(text)
        self._app.output.flush()

    # The prompt -----------------------------------------------------------------------

    def _prompt(self) -> StyleAndTextTuples:
        rows = self._progress.rows(self._link.transfers.items, self.columns)
        style = "class:notice nobold"
        parts: StyleAndTextTuples = [(style, f"{row}\n") for row in rows]
        if not self.workspace.is_online:
            parts.append(("class:prompt.offline", "(offline) "))
        chat = display(self.workspace.current or "")
        parts.append(("class:prompt", f"{chat}> "))
        return parts

    def _typing(self) -> StyleAndTextTuples:
        chat = self.workspace.chat
        names = chat.typing(asyncio.get_running_loop().time()) if chat else []
        text = display(typing_text(names))
        # In a narrow window it would be in the way of what is typed.
        fits = 2 * len(text) < self.columns
        return [("class:notice", text)] if text and fits else []

    def _continuation(
        self, size: int, line_number: int, wrap_count: int
    ) -> StyleAndTextTuples:
        if wrap_count or size < 2:
            return [("", " " * size)]
        return [("class:notice", " " * (size - 2) + "| ")]

    def _accept(self, buffer: Buffer) -> bool:
        if buffer.text.strip():
            self._entered.put_nowait(buffer.text)
        return False

    def _typed(self, buffer: Buffer) -> None:
        self._transcript.seen()
        if self._notifier is not None:
            self._notifier.active()
        text, current = buffer.text, self.workspace.current
        if current and text and not text.startswith("/"):
            self._link.typing(current)

    # Keys -----------------------------------------------------------------------------

    def _bindings(self) -> KeyBindings:
        keys = KeyBindings()
        is_empty = Condition(lambda: not self.buffer.text)
        keys.add("enter")(lambda event: event.current_buffer.validate_and_handle())
        keys.add("escape", "enter")(_insert_newline)
        keys.add("c-j")(_insert_newline)
        keys.add("tab")(self._complete)
        keys.add("c-c")(self._interrupt)
        keys.add("c-d", filter=is_empty)(lambda event: self.quit())
        return keys

    def _interrupt(self, event: KeyPressEvent) -> None:
        if self.buffer.text:
            self.buffer.reset()
        else:
            self._interrupts.press()

    def _complete(self, event: KeyPressEvent) -> None:
        before = self.buffer.document.text_before_cursor
        found = complete(self.workspace, self._registry, before)
        if len(found.words) == 1:
            insertion = found.words[0] + found.suffix
        else:
            insertion = found.common
        typed = before[len(before) - found.length :]
        if insertion and insertion != typed:
            self.buffer.delete_before_cursor(found.length)
            self.buffer.insert_text(insertion)
        elif len(found.words) > 1:
            self.show(_in_columns(found.words, self.columns))


def _theme(config: ClientConfig, environment: Mapping[str, str]) -> Theme:
    """Return the theme.

    Where the background may be dark or light, its colours can be read on both.
    """
    wanted = config.general.theme
    theme = make_theme(wanted, environment, config.colors)
    if wanted == "auto" and theme.name == "dark":
        styles = {**theme.styles, **THEME, **config.colors}
        return structs.replace(theme, styles=styles)
    return theme


def _later(seconds: float, call: Callable[[], None]) -> asyncio.TimerHandle:
    return asyncio.get_running_loop().call_later(seconds, call)


def _insert_newline(event: KeyPressEvent) -> None:
    event.current_buffer.insert_text("\n")


def _in_columns(words: Iterable[str], columns: int) -> list[Line]:
    shown = [display(word) for word in words]
    size = max(map(width, shown)) + 2
    per_row = max(1, (columns - 1) // size)
    rows = [shown[i : i + per_row] for i in range(0, len(shown), per_row)]
    return [
        [("class:notice", "".join(pad(word, size) for word in row).rstrip())]
        for row in rows
    ]
