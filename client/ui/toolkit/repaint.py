"""Schedules repaints: at once for a key; changes of the model are gathered."""

import asyncio
from collections.abc import Callable

from prompt_toolkit.application import Application

GATHER_SECONDS = 0.01
"""For how long after a frame changes are gathered; keys are painted at once."""


class Repaint:
    """Schedules the frames of an application.

    Args:
        app: The application that paints them.
        on_change: Called before a frame that shows a change of the model.
    """

    def __init__(self, app: Application[None], on_change: Callable[[], None]) -> None:
        self._app = app
        self._on_change = on_change
        self._painted_at = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def paint(self) -> None:
        """Paint at the next opportunity."""
        self._app.invalidate()

    def paint_soon(self) -> None:
        """Paint, along with what changes in the next hundredth of a second."""
        self._on_change()
        if self._timer is not None:
            return
        loop = asyncio.get_running_loop()
        wait = self._painted_at + GATHER_SECONDS - loop.time()
        if wait <= 0:
            self.paint()
        else:
            self._timer = loop.call_later(wait, self._paint_gathered)

    def redraw(self) -> None:
        """Redraw the whole screen, whatever the terminal shows now."""
        output = self._app.output
        output.reset_attributes()
        output.write_raw("\x1b[r")  # no scroll region any more
        output.erase_screen()
        output.cursor_goto(0, 0)
        self._app.renderer.reset(leave_alternate_screen=False)
        self.paint()

    def painted(self) -> None:
        """Record that a frame was painted just now."""
        self._painted_at = asyncio.get_running_loop().time()

    def close(self) -> None:
        """Drop a repaint that is scheduled."""
        if self._timer is not None:
            self._timer.cancel()

    def _paint_gathered(self) -> None:
        self._timer = None
        self.paint()
