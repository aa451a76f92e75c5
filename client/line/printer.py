"""Printer of lines above the prompt: gathers a burst, then writes it at once.

Everything that appears while the user is typing goes through here. Lines are collected
for a moment and written in one go, so that the prompt with the half-typed text is
erased and drawn again once per burst, not once per message.
"""

import asyncio
from collections.abc import Awaitable, Iterable

from prompt_toolkit.application import Application, run_in_terminal
from prompt_toolkit.application.current import set_app
from prompt_toolkit.formatted_text import FormattedText
from prompt_toolkit.output import ColorDepth
from prompt_toolkit.renderer import print_formatted_text

from chatd.system.tasks import Tasks
from client.text.styles import Line, plain

GATHER_SECONDS = 0.03


class Printer:
    """Writes lines above the prompt of an application.

    Args:
        app: The application with the prompt; need not run yet.
        gather_seconds: How long lines are collected.
    """

    def __init__(
        self, app: Application[None], gather_seconds: float = GATHER_SECONDS
    ) -> None:
        self._app = app
        self._gather_seconds = gather_seconds
        self._lines: list[Line] = []
        self._timer: asyncio.TimerHandle | None = None
        self._tasks = Tasks()
        self._task: asyncio.Task[None] | None = None

    def write(self, lines: Iterable[Line]) -> None:
        """Write lines soon, below those written before."""
        self._lines += lines
        if self._lines and self._timer is None and self._task is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self._gather_seconds, self._flush)

    async def drain(self) -> None:
        """Wait until everything is written."""
        while self._timer is not None or self._task is not None:
            if self._timer is not None:
                self._timer.cancel()
                self._flush()
            if self._task is not None:
                # Awaiting a task that is done would not let its callback run.
                await asyncio.wait([self._task])

    def _flush(self) -> None:
        self._timer = None
        with set_app(self._app):
            self._task = self._tasks.start(_await(run_in_terminal(self._write)))
        self._task.add_done_callback(self._written)

    def _written(self, task: asyncio.Task[None]) -> None:
        self._task = None
        # Lines that came while the terminal was busy.
        if self._lines and not task.cancelled():
            self._flush()

    def _write(self) -> None:
        lines, self._lines = self._lines, []
        fragments = [part for line in lines for part in (*line, ("", "\n"))]
        if not fragments:
            return
        depth = self._app.color_depth
        if depth == ColorDepth.DEPTH_1_BIT:
            text = "".join(plain(line) + "\n" for line in lines)
            fragments = [("", text)]
        style = self._app.style
        assert style is not None
        print_formatted_text(
            self._app.output, FormattedText(fragments), style, color_depth=depth
        )


async def _await(written: Awaitable[None]) -> None:
    await written
