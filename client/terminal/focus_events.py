"""Focus events: the terminal reports whether its window has the focus.

prompt_toolkit does not know the sequences of these reports (``ESC [ I`` and ``ESC [
O``), and would take them for keys. Two keys that no keyboard has stand for them here.
"""

from prompt_toolkit.input.ansi_escape_sequences import ANSI_SEQUENCES
from prompt_toolkit.keys import Keys

ASK = "\x1b[?1004h"
"""Turns focus reports on; written once the program has the screen."""

ASK_NO_MORE = "\x1b[?1004l"
"""Turns them off; written before the screen is given back."""

FOCUS_IN = Keys.ControlF23
FOCUS_OUT = Keys.ControlF24


def understand_focus() -> None:
    """Have prompt_toolkit parse focus reports as two keys.

    This affects the whole process, and has to be called before input is read.
    """
    ANSI_SEQUENCES.setdefault("\x1b[I", FOCUS_IN)
    ANSI_SEQUENCES.setdefault("\x1b[O", FOCUS_OUT)
