"""Rate limits: a token bucket per subject, with the clock passed in."""

from collections import OrderedDict

from chatd.protocol.errors import RateLimitedError

# Beyond this many, the least recently used subjects are forgotten.
_MAX_SUBJECTS = 100_000


class RateLimit:
    """At most ``per_second`` on average and ``burst`` at once, for each subject.

    Args:
        per_second: Tokens added per second; 0 switches the limit off.
        burst: The most tokens that a subject can have, at least 1.
        what: What is limited, for the reason in the refusal.
    """

    __slots__ = ("_burst", "_levels", "_per_second", "_what")

    def __init__(self, per_second: float, burst: float, what: str) -> None:
        self._per_second = per_second
        self._burst = max(1.0, burst)
        self._what = what
        # subject -> (tokens, at seconds)
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()

    @property
    def is_on(self) -> bool:
        """Whether there is a limit at all."""
        return self._per_second > 0

    def reconfigure(self, per_second: float, burst: float) -> None:
        """Change the rate; the tokens that subjects have used stay used."""
        self._per_second = per_second
        self._burst = max(1.0, burst)

    def try_take_ms(self, subject: str, now: float) -> int:
        """Take one token and return 0, or return the ms until there is one."""
        if self._per_second <= 0:
            return 0
        tokens, at = self._levels.get(subject, (self._burst, now))
        tokens = min(self._burst, tokens + max(0.0, now - at) * self._per_second)
        if tokens < 1.0:
            self._levels[subject] = (tokens, now)
            return max(1, round((1.0 - tokens) / self._per_second * 1000))
        self._levels[subject] = (tokens - 1.0, now)
        self._levels.move_to_end(subject)
        if len(self._levels) > _MAX_SUBJECTS:
            self._levels.popitem(last=False)
        return 0

    def take(self, subject: str, now: float) -> None:
        """Take one token.

        Raises:
            RateLimitedError: There is none; ``retry_after_ms`` is the time until then.
        """
        wait_ms = self.try_take_ms(subject, now)
        if wait_ms:
            raise RateLimitedError(f"too many {self._what}; wait a little", wait_ms)
