"""A paste that comes as keys, from terminals and multiplexers that do not bracket it.

Its line ends would be as many Enters, each of which sends. So an Enter that comes with
more than a person types ahead is a line end, and so is every Enter until the keys
pause. What came in one read is inserted in one go: a long paste does not take long.
"""

from collections.abc import Callable

from prompt_toolkit.buffer import Buffer
from prompt_toolkit.key_binding import KeyPressEvent
from prompt_toolkit.key_binding.key_processor import KeyPress

from client.ui.composer.paste import BURST_SECONDS, is_burst, normalise


class PasteBurst:
    """Tells a burst of keys from typing.

    Args:
        clock: Any steady clock, in seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._until = float("-inf")
        self._typed = 0
        self._waiting = 0

    def is_on(self) -> bool:
        """Whether keys that come now belong to a burst."""
        return self._clock() < self._until

    def typed(self, waiting: int) -> None:
        """Take in that a key was inserted.

        Args:
            waiting: How many keys of the same read are to come.
        """
        self._typed = self._typed + 1 if waiting < self._waiting else 1
        self._waiting = waiting

    def begins(self, event: KeyPressEvent) -> bool:
        """Whether an Enter or Tab is a part of a burst that was none so far."""
        waiting = list(event.key_processor.input_queue)
        if event.data == "\t" and not (waiting and _is_text(waiting[0])):
            return False  # with another key behind it, it is to complete
        keys = [press.key for press in waiting if _is_text(press)]
        before = self._typed if len(waiting) < self._waiting else 0
        return is_burst(keys, before)

    def take(self, event: KeyPressEvent, buffer: Buffer) -> None:
        """Insert the key, and all text that came with it, as it is."""
        queue = event.key_processor.input_queue
        taken = [event.data]
        while queue and _is_text(queue[0]):
            taken.append(queue.popleft().data)
        buffer.insert_text(normalise("".join(taken)))
        self._until = self._clock() + BURST_SECONDS


def _is_text(press: KeyPress) -> bool:
    return len(press.data) == 1 and (press.data.isprintable() or press.data in "\r\n\t")
