"""The settings of the accounts, and their clocks."""

import time
from dataclasses import dataclass
from typing import Literal

from chatd.accounts.scram import MAX_ITERATIONS, MIN_ITERATIONS

Registration = Literal["open", "invite", "closed"]


@dataclass(frozen=True, slots=True)
class AccountSettings:
    """The section ``[accounts]`` of the configuration.

    Attributes:
        registration: Who may register: everyone, users with an invite code, or no one.
        iterations: How often PBKDF2 hashes a new password; old ones keep their count.
    """

    registration: Registration = "open"
    iterations: int = 600_000

    def __post_init__(self) -> None:
        if not MIN_ITERATIONS <= self.iterations <= MAX_ITERATIONS:
            raise ValueError(
                f"iterations must be {MIN_ITERATIONS} to {MAX_ITERATIONS}, "
                f"not {self.iterations}"
            )


def wall_clock_ms() -> int:
    """Return the time as in protocol and user table: milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def steady_clock_ms() -> int:
    """Return milliseconds that never step back."""
    return time.monotonic_ns() // 1_000_000
