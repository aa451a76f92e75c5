"""Retry policy of the link and of transfers: which errors pass, and the back-off."""

import random

from chatd.protocol.errors import ChatError, TemporaryError
from client.errors import ConnectError, NotConnectedError
from client.net.session import Timing


def is_passing(error: Exception) -> bool:
    """Whether trying again may help."""
    return isinstance(
        error, ConnectError | NotConnectedError | TemporaryError | OSError
    )


def backoff_seconds(error: Exception, failures: int, timing: Timing) -> float:
    """Return how long to wait, with jitter so that not all clients return at once.

    It is never less than what the server asked for.
    """
    seconds = min(timing.backoff_first * 2.0**failures, timing.backoff_max)
    seconds *= random.uniform(0.5, 1.0)  # noqa: S311
    if isinstance(error, ConnectError) and error.retry_after_seconds is not None:
        return error.retry_after_seconds + seconds
    if isinstance(error, ChatError) and error.retry_after_ms is not None:
        return error.retry_after_ms / 1_000 + seconds
    return seconds
