"""When a frame is painted: for a key at once, for what others do gathered."""

import asyncio

from prompt_toolkit.application import Application

from client.ui.timeline.timeline import Timeline

GATHER_SECONDS = 0.01
"""Changes that come within this are painted together; keys are painted at once."""


class Repaint:
    """Asks an application for its frames.

    Args:
        app: What paints.
        timeline: Is told that something has changed.
    """

    def __init__(self, app: Application[None], timeline: Timeline) -> None:
        self._app = app
        self._timeline = timeline
        self._painted_at = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def paint(self) -> None:
        """Paint at the next opportunity."""
        self._app.invalidate()

    def paint_soon(self) -> None:
        """Paint, along with what changes in the next hundredth of a second."""
        self._timeline.refresh()
        if self._timer is not None:
            return
        loop = asyncio.get_running_loop()
        wait = self._painted_at + GATHER_SECONDS - loop.time()
        if wait <= 0:
            self.paint()
        else:
            self._timer = loop.call_later(wait, self._paint_gathered)

    def redraw(self) -> None:
        """Draw all of it anew, whatever the terminal shows now."""
        output = self._app.output
        output.reset_attributes()
        output.write_raw("\x1b[r")  # no part of it scrolls alone any more
        output.erase_screen()
        output.cursor_goto(0, 0)
        self._app.renderer.reset(leave_alternate_screen=False)
        self.paint()

    def painted(self) -> None:
        """Note that a frame was painted just now."""
        self._painted_at = asyncio.get_running_loop().time()

    def close(self) -> None:
        """Ask for no more."""
        if self._timer is not None:
            self._timer.cancel()

    def _paint_gathered(self) -> None:
        self._timer = None
        self.paint()
