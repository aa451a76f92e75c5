"""A paste that comes as keys, from terminals and multiplexers that do not bracket it.

Its line ends would be as many Enters, each of which sends. So an Enter that comes with
more than a person types ahead is a line end, and so is every Enter until the keys
pause. What came in one read is inserted in one go: a long paste does not take long.
"""

from collections.abc import Callable

from prompt_toolkit.buffer import Buffer
from prompt_toolkit.key_binding import KeyPressEvent
from prompt_toolkit.key_binding.key_processor import KeyPress

from client.ui.paste import BURST_SECONDS, is_burst, normalise


class Burst:
    """Tells a burst of keys from typing.

    Args:
        clock: Any steady clock, in seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._until = float("-inf")

    def is_on(self) -> bool:
        """Whether keys that come now belong to a burst."""
        return self._clock() < self._until

    def begins(self, event: KeyPressEvent) -> bool:
        """Whether an Enter is the first line end of a burst."""
        keys = [press.key for press in _waiting(event) if _is_text(press)]
        return is_burst(keys)

    def take(self, event: KeyPressEvent, buffer: Buffer) -> None:
        """Insert the key, and all text that came with it, as it is."""
        queue = event.key_processor.input_queue
        taken = [event.data]
        while queue and _is_text(queue[0]):
            taken.append(queue.popleft().data)
        buffer.insert_text(normalise("".join(taken)))
        self._until = self._clock() + BURST_SECONDS


def _waiting(event: KeyPressEvent) -> list[KeyPress]:
    return list(event.key_processor.input_queue)


def _is_text(press: KeyPress) -> bool:
    return len(press.data) == 1 and (press.data.isprintable() or press.data in "\r\n\t")
