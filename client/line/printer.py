"""Printer of lines above the prompt: gathers a burst, then writes it at once.

Everything that appears while the user is typing goes through here. Lines are collected
for a moment and written in one go, so that the prompt with the half-typed text is
erased and drawn again once per burst, not once per message.
"""

from collections.abc import Iterable

from prompt_toolkit.application import Application, run_in_terminal
from prompt_toolkit.application.current import set_app
from prompt_toolkit.formatted_text import FormattedText
from prompt_toolkit.output import ColorDepth
from prompt_toolkit.renderer import print_formatted_text

from chatd.system.tasks import Drain
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
        self._lines: list[Line] = []
        self._drain = Drain(self._flush, gather_seconds)

    def write(self, lines: Iterable[Line]) -> None:
        """Write lines soon, below those written before."""
        self._lines += lines
        if self._lines:
            self._drain.wake()

    async def drain(self) -> None:
        """Wait until everything is written."""
        await self._drain.idle()

    async def _flush(self) -> None:
        with set_app(self._app):
            await run_in_terminal(self._write)

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
