"""Whether the terminal has the focus: terminals say it themselves, if they are asked.

prompt_toolkit does not know what they then send (``ESC [ I`` and ``ESC [ O``), and
would take it for keys. Two keys that no keyboard has stand for it here.
"""

from prompt_toolkit.input.ansi_escape_sequences import ANSI_SEQUENCES
from prompt_toolkit.keys import Keys

ASK = "\x1b[?1004h"
"""Written to the terminal once the screen is ours."""

ASK_NO_MORE = "\x1b[?1004l"
"""Written before it is given back."""

FOCUS_IN = Keys.ControlF23
FOCUS_OUT = Keys.ControlF24


def understand_focus() -> None:
    """Let prompt_toolkit turn what the terminal says into two keys.

    It goes for the whole process, and has to be called before the input is read.
    """
    ANSI_SEQUENCES.setdefault("\x1b[I", FOCUS_IN)
    ANSI_SEQUENCES.setdefault("\x1b[O", FOCUS_OUT)
