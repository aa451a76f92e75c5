"""Looking into folders that may be far away, in threads that nobody has to wait for.

A folder on a server that is gone answers after minutes, or never. Neither a key nor the
end of the program waits for it.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")

PATIENCE_SECONDS = 0.25
"""For so long whoever cannot go on without an answer waits for one."""

MAX_WAITING = 8
"""So many looks may be under way; there are no answers to more."""

_places = threading.BoundedSemaphore(MAX_WAITING)


def look(find: Callable[[], T], otherwise: T) -> Future[T]:
    """Return what is found, in time.

    Args:
        find: Called in a thread of its own; touches nothing that others change.
        otherwise: The answer if too many looks are under way already.
    """
    found: Future[T] = Future()
    found.set_running_or_notify_cancel()
    if _places.acquire(blocking=False):
        # A daemon, as the end of the program waits for all other threads.
        threading.Thread(target=_answer, args=(found, find), daemon=True).start()
    else:
        found.set_result(otherwise)
    return found


def look_now(find: Callable[[], T], otherwise: T) -> T:
    """Return what is found, or ``otherwise`` if that takes too long."""
    try:
        return look(find, otherwise).result(PATIENCE_SECONDS)
    except TimeoutError:
        return otherwise


def _answer(found: Future[T], find: Callable[[], T]) -> None:
    try:
        found.set_result(find())
    except Exception as error:  # noqa: BLE001 - whoever asked gets it
        found.set_exception(error)
    finally:
        _places.release()
