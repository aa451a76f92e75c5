"""Status of the script commands, on stderr: messages and the progress of a transfer.

Progress is one line that is rewritten in place, and only where stderr is a terminal.
"""

import os
import sys
import time
from collections.abc import Callable
from typing import Literal, TextIO

from chatd.text.safe import clean
from client.link.reconnect import LinkState
from client.model.changes import Change, ItemChanged, TransferChanged
from client.model.entries import Transfer
from client.text.files import progress_text

REDRAW_SECONDS = 0.25
FAILURES = 2
"""How many attempts in a row fail before the user is told."""

_ERASE = "\r\x1b[K"


class ScriptStatus:
    """Reports to the user on stderr; each kind of trouble once.

    Args:
        out: Where to; None is the present ``sys.stderr``.
        clock: Any monotonic clock, in seconds.
    """

    def __init__(
        self, out: TextIO | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._out = out or sys.stderr
        self._clock = clock
        self._is_terminal = self._out.isatty()
        self._drawn: Transfer | None = None
        self._drawn_at = -REDRAW_SECONDS
        self._watched: tuple[str, str] | None = None
        self._newest = 0
        self._failures = 0
        self._is_wait_told = False

    def watch(self, direction: Literal["up", "down"], chat: str) -> None:
        """Show the progress of the newest transfer to, or from, a chat.

        Those that an earlier run has left continue beside it, but give way to it here.
        """
        self._watched = (direction, chat)

    def say(self, text: str) -> None:
        """Write a line, above the progress."""
        drawn, self._drawn = self._drawn, None
        erase = _ERASE if drawn else ""
        self._write(f"{erase}{clean(text)}\n")
        if drawn is not None:
            self._draw(drawn)

    def clear(self) -> None:
        """Erase the progress."""
        if self._drawn is not None:
            self._drawn = None
            self._write(_ERASE)

    def state_changed(self, server: str, state: LinkState) -> None:
        """Handle a new state of the link; report each outage, and its end, once.

        A lost connection that the next attempt restores is not reported.
        """
        if state.name == "waiting":
            self._failures += 1
            if self._failures == FAILURES:
                self.say(f"chat: {state.reason}; trying again until it works")
        elif state.name == "online":
            if self._failures >= FAILURES:
                self.say(f"chat: {server} is back")
            self._failures = 0

    def changed(self, change: Change) -> None:
        """Handle a change: report once why messages wait; show a file's progress."""
        if isinstance(change, TransferChanged):
            self._moved(change.transfer)
        elif isinstance(change, ItemChanged) and not self._is_wait_told:
            item = change.item
            if item.state == "waiting" and item.reason:
                self._is_wait_told = True
                self.say(f"chat: {item.reason}; the rest is sent as soon as it may be")

    def _moved(self, transfer: Transfer) -> None:
        place = (transfer.direction, transfer.chat)
        if (
            not self._is_terminal
            or place != self._watched
            or transfer.id < self._newest
        ):
            return
        # Ids increase, so a lower one is an older transfer.
        self._newest = transfer.id
        if transfer.is_over:
            self.clear()
            return
        is_new = self._drawn is None or self._drawn.state != transfer.state
        if is_new or self._clock() - self._drawn_at >= REDRAW_SECONDS:
            self._draw(transfer)

    def _draw(self, transfer: Transfer) -> None:
        self._drawn = transfer
        self._drawn_at = self._clock()
        self._write(_ERASE + progress_text(transfer, self._columns()))

    def _columns(self) -> int:
        try:
            return os.get_terminal_size(self._out.fileno()).columns or 80
        except (OSError, ValueError):
            return 80

    def _write(self, text: str) -> None:
        self._out.write(text)
        self._out.flush()
