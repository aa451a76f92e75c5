"""The progress area: lines above the prompt for the transfers under way."""

from collections.abc import Callable, Sequence

from client.model.entries import Transfer
from client.text.files import progress_rows

PATIENCE_SECONDS = 0.3
"""A transfer that is over sooner is never shown: the prompt would only jump."""


class ProgressArea:
    """Decides which transfers are shown, and when to redraw.

    Args:
        redraw: Called when the lines have changed.
        later: Schedules a call after some seconds, as ``loop.call_later`` does.
    """

    def __init__(
        self,
        redraw: Callable[[], None],
        later: Callable[[float, Callable[[], None]], object],
    ) -> None:
        self._redraw = redraw
        self._later = later
        self._latest: dict[int, Transfer] = {}
        self._shown: set[int] = set()

    def changed(self, transfer: Transfer) -> None:
        """Handle a transfer that is new, has moved on, or is over."""
        is_new = transfer.id not in self._latest
        self._latest[transfer.id] = transfer
        if transfer.id in self._shown:
            self._redraw()
        elif is_new:
            self._later(PATIENCE_SECONDS, lambda: self._show(transfer.id))

    def rows(self, transfers: Sequence[Transfer], columns: int) -> list[str]:
        """Return the progress lines, none while nothing is under way."""
        shown = [transfer for transfer in transfers if transfer.id in self._shown]
        return progress_rows(shown, columns)

    def _show(self, transfer_id: int) -> None:
        if not self._latest[transfer_id].is_over:
            self._shown.add(transfer_id)
            self._redraw()
