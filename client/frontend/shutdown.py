"""Shutdown of a frontend: signal handlers, and what is left for the next start."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Iterator, Mapping

from client.link.link import Link

ENDS = (signal.SIGTERM, *((signal.SIGHUP,) if os.name == "posix" else ()))
"""The signals that ask a program to end."""


@contextlib.contextmanager
def handling(handlers: Mapping[signal.Signals, Callable[[], None]]) -> Iterator[None]:
    """Handle signals on the running event loop, within the ``with`` block.

    Where that is not possible (in a thread, on Windows) they keep their usual effect.

    Args:
        handlers: What to call for each signal.
    """
    loop = asyncio.get_running_loop()
    with contextlib.suppress(NotImplementedError, ValueError):
        for number, handler in handlers.items():
            loop.add_signal_handler(number, handler)
    try:
        yield
    finally:
        with contextlib.suppress(NotImplementedError, ValueError):
            for number in handlers:
                loop.remove_signal_handler(number)


def left_for_next_time(link: Link) -> Iterator[str]:
    """Yield what continues at the next start of the program, as sentences."""
    if any(item.state == "waiting" for item in link.outbox.items):
        yield "what waits in the outbox is sent at the next start"
    if any(not each.is_over for each in link.transfers.items):
        yield "the files under way go on at the next start"
