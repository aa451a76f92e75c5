"""Progress of a transfer: its byte counters, and a meter of its rate."""

from collections import deque

WINDOW_SECONDS = 3.0


class Progress:
    """Byte counters: set in the worker's threads, read on the frontend's event loop.

    Attributes:
        moved: How many bytes of the file were moved.
        gained: How many of them in this attempt.
    """

    __slots__ = ("gained", "moved")

    def __init__(self) -> None:
        self.moved = 0
        self.gained = 0

    def begin(self, offset: int) -> None:
        """Start to count at an offset."""
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
        """Drop the samples from before a pause."""
        self._samples.clear()

    def add(self, now: float, moved: int) -> float:
        """Add a sample; return the rate per second over the last few seconds.

        Args:
            now: The time of any steady clock, in seconds.
            moved: The total so far; if it went back, earlier samples are dropped.
        """
        samples = self._samples
        if samples and moved < samples[-1][1]:
            samples.clear()
        samples.append((now, moved))
        while len(samples) > 2 and now - samples[1][0] >= WINDOW_SECONDS:
            samples.popleft()
        then, before = samples[0]
        return (moved - before) / (now - then) if now > then else 0.0
