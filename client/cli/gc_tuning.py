"""The garbage collector, which is left out of the start.

Modules, tables and what is known of the chats stay until the end, so it is in vain to
search among them for garbage. With 200 chats in the cache the full screen stands after
458 ms of work instead of 504 (medians of 35 starts by turns), and a full search later
holds a frame for 2 ms instead of 37. What is garbage by then is kept: half a megabyte.
"""

import gc

START_SECONDS = 1.0
"""So long after it began to run a face stands on the screen, and knows its chats."""


def put_off() -> None:
    """Search for no garbage until ``begin``."""
    gc.disable()


def begin() -> None:
    """Search for garbage again, but never among what there is now.

    Nothing changes where it was not put off.
    """
    if not gc.isenabled():
        gc.freeze()
        gc.enable()
