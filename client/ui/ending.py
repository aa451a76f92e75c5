"""How the full screen ends: in good order, also by a signal."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Iterator

from client.link import Link


@contextlib.contextmanager
def ended_by_signals(end: Callable[[], None]) -> Iterator[None]:
    """Let the signals that end programs end this one in good order.

    Else the terminal would be left as it is now.

    Args:
        end: Ends it; called on the loop that is running now.
    """
    loop = asyncio.get_running_loop()
    ends = [signal.SIGTERM, *([signal.SIGHUP] if os.name == "posix" else [])]
    with contextlib.suppress(NotImplementedError, ValueError):
        for each in ends:
            loop.add_signal_handler(each, end)
    try:
        yield
    finally:
        with contextlib.suppress(NotImplementedError, ValueError):
            for each in ends:
                loop.remove_signal_handler(each)


def left_for_next_time(link: Link) -> Iterator[str]:
    """Yield what goes on when the program is started again, as sentences."""
    if any(item.state == "waiting" for item in link.outbox_items()):
        yield "what waits in the outbox is sent at the next start"
    if any(not each.is_over for each in link.transfers.items):
        yield "the files under way go on at the next start"
