"""Ctrl+C on an empty line: the first press warns, the second cancels or quits."""

import time
from collections.abc import Callable

from chatd.text.safe import clean
from client.commands.workspace import Workspace
from client.model.entries import Transfer

AGAIN_SECONDS = 3.0


class Interrupts:
    """Handles presses of Ctrl+C, and remembers what the last one announced.

    Args:
        workspace: Where it is pressed.
        clock: Any monotonic clock, in seconds.
    """

    def __init__(
        self, workspace: Workspace, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._workspace = workspace
        self._clock = clock
        self._pressed_at = -AGAIN_SECONDS
        self._meant: int | None = None

    def press(self) -> None:
        """Announce what a second press does; or do it, if that was announced just now.

        Only what was announced is done. If the transfer named has ended between the two
        presses, the second one announces anew: it neither cancels another transfer nor
        quits.
        """
        newest = self._newest()
        meant = newest.id if newest else None
        now = self._clock()
        is_again = now - self._pressed_at < AGAIN_SECONDS and meant == self._meant
        self._pressed_at, self._meant = now, meant
        if not is_again:
            does = f"cancels {clean(newest.name)}" if newest else "quits"
            self._workspace.say(f"Ctrl+C again {does}")
        elif newest is None:
            self._workspace.frontend.quit()
        else:
            self._pressed_at = -AGAIN_SECONDS
            self._workspace.link.transfers.cancel(newest.id)

    def _newest(self) -> Transfer | None:
        items = self._workspace.link.transfers.items
        return next((each for each in reversed(items) if not each.is_over), None)
