"""Folder lookups in daemon threads, so that an unreachable file server blocks nothing.

A folder on a server that is gone answers after minutes, or never. Neither a key press
nor the end of the program waits for it.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")

PATIENCE_SECONDS = 0.25
"""How long ``look_now`` waits for an answer."""

MAX_WAITING = 8
"""How many lookups may be under way; no more are started meanwhile."""

_places = threading.BoundedSemaphore(MAX_WAITING)


def look(find: Callable[[], T], otherwise: T) -> Future[T]:
    """Start a lookup in a thread of its own; return a future of its result.

    Args:
        find: Does the lookup, in that thread; must not touch what other threads change.
        otherwise: The result if too many lookups are under way already.
    """
    found: Future[T] = Future()
    found.set_running_or_notify_cancel()
    if _places.acquire(blocking=False):
        # A daemon thread, as the end of the program waits for all others.
        threading.Thread(target=_answer, args=(found, find), daemon=True).start()
    else:
        found.set_result(otherwise)
    return found


def look_now(find: Callable[[], T], otherwise: T) -> T:
    """Return the result of a lookup, or ``otherwise`` if it takes too long.

    Blocks for at most ``PATIENCE_SECONDS``.
    """
    try:
        return look(find, otherwise).result(PATIENCE_SECONDS)
    except TimeoutError:
        return otherwise


def _answer(found: Future[T], find: Callable[[], T]) -> None:
    try:
        found.set_result(find())
    except Exception as error:  # noqa: BLE001 - the caller gets it
        found.set_exception(error)
    finally:
        _places.release()
