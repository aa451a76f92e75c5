"""Detects pastes that come as keys, from terminals that do not bracket them.

Each line end of such a paste is an Enter, which would send. So an Enter that comes with
more keys than a user types ahead is a line end, and so is every Enter until the keys
pause. What came in one read is inserted at once, so that a long paste is fast.
"""

from collections.abc import Callable

from prompt_toolkit.buffer import Buffer
from prompt_toolkit.key_binding import KeyPressEvent
from prompt_toolkit.key_binding.key_processor import KeyPress

from client.ui.composer.paste import BURST_SECONDS, is_burst, normalise


class PasteBurst:
    """Distinguishes a burst of keys from typing.

    Args:
        clock: Any steady clock, in seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._until = float("-inf")
        self._typed = 0
        self._waiting = 0

    def is_on(self) -> bool:
        """Return whether keys that come now belong to a burst."""
        return self._clock() < self._until

    def typed(self, waiting: int) -> None:
        """Record that a key was inserted.

        Args:
            waiting: How many keys of the same read are still to come.
        """
        self._typed = self._typed + 1 if waiting < self._waiting else 1
        self._waiting = waiting

    def begins(self, event: KeyPressEvent) -> bool:
        """Return whether an Enter or Tab shows that a burst has begun."""
        waiting = list(event.key_processor.input_queue)
        if event.data == "\t" and not (waiting and _is_text(waiting[0])):
            return False  # without text after it, it is to complete
        keys = [press.key for press in waiting if _is_text(press)]
        before = self._typed if len(waiting) < self._waiting else 0
        return is_burst(keys, before)

    def take(self, event: KeyPressEvent, buffer: Buffer) -> None:
        """Insert the key with all text after it in one read, and extend the burst."""
        queue = event.key_processor.input_queue
        taken = [event.data]
        while queue and _is_text(queue[0]):
            taken.append(queue.popleft().data)
        buffer.insert_text(normalise("".join(taken)))
        self._until = self._clock() + BURST_SECONDS


def _is_text(press: KeyPress) -> bool:
    return len(press.data) == 1 and (press.data.isprintable() or press.data in "\r\n\t")
