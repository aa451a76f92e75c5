"""Garbage collector tuning: disabled during the start, then frozen.

Modules, tables and the state of the chats live until the end, so searching them for
garbage is wasted work. With 200 chats in the cache the full screen is up after 458 ms
of work instead of 504 (medians of 35 alternating starts), and a full collection later
delays a frame by 2 ms instead of 37. What is garbage by then is never freed: half a
megabyte.
"""

import gc

START_SECONDS = 1.0
"""How long after it began to run a frontend is on the screen, and knows its chats."""


def disable() -> None:
    """Disable garbage collection until ``begin``."""
    gc.disable()


def begin() -> None:
    """Enable garbage collection again, but never of the objects that exist now.

    Does nothing where it was not disabled.
    """
    if not gc.isenabled():
        gc.freeze()
        gc.enable()
