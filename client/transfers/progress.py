"""What a transfer counts while it moves, and how fast that makes it."""

from collections import deque

WINDOW_SECONDS = 3.0


class Progress:
    """Plain counters: set in the worker's threads, read on the face's loop.

    Attributes:
        moved: How many bytes of the file are through.
        gained: How many of them in this attempt.
    """

    __slots__ = ("gained", "moved")

    def __init__(self) -> None:
        self.moved = 0
        self.gained = 0

    def begin(self, offset: int) -> None:
        """Count from an offset on."""
        self.moved, self.gained = offset, 0

    def add(self, count: int) -> None:
        """Count bytes."""
        self.moved += count
        self.gained += count


class RateMeter:
    """Turns samples of a counter into a smooth rate; no clock of its own."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, int]] = deque()

    def restart(self) -> None:
        """Forget what was before a pause."""
        self._samples.clear()

    def add(self, now: float, moved: int) -> float:
        """Take in how much has moved by now; return the rate per second lately.

        Args:
            now: Any steady clock, in seconds.
            moved: In all; if it went back, what was before is forgotten.
        """
        samples = self._samples
        if samples and moved < samples[-1][1]:
            samples.clear()
        samples.append((now, moved))
        while len(samples) > 2 and now - samples[1][0] >= WINDOW_SECONDS:
            samples.popleft()
        then, before = samples[0]
        return (moved - before) / (now - then) if now > then else 0.0
