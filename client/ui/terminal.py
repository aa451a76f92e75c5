"""The terminal while the whole screen is ours: links, focus, the clipboard."""

import base64
import subprocess
import sys
from collections.abc import Mapping
from typing import TextIO

from client.line import make_output
from client.ringing import multiplexer, pass_through
from client.ui.focus import ASK, ASK_NO_MORE
from client.ui.hyperlinks import HyperlinkOutput


class ScreenOutput(HyperlinkOutput):
    """A terminal that says whether it has the focus, as long as the screen is ours.

    While a program runs in its place (an editor, the shell after Ctrl+Z) it does not.
    """

    def enter_alternate_screen(self) -> None:
        """Take the screen."""
        super().enter_alternate_screen()
        self.write_raw(ASK)

    def quit_alternate_screen(self) -> None:
        """Give the screen back."""
        self.write_raw(ASK_NO_MORE)
        super().quit_alternate_screen()


def make_screen_output(
    stdout: TextIO, environment: Mapping[str, str]
) -> HyperlinkOutput:
    """Return the terminal; it is never asked where the cursor is."""
    size = make_output(stdout, environment).get_size
    return ScreenOutput(stdout, size, term=environment.get("TERM"), enable_cpr=False)


def copy_sequence(text: str, environment: Mapping[str, str]) -> str:
    """Return what puts a text into the clipboard of the terminal (OSC 52).

    A tmux takes it for itself or passes it on, whichever it is allowed to.
    """
    data = base64.b64encode(text.encode()).decode()
    sequence = f"\x1b]52;c;{data}\a"
    passed = pass_through(sequence, environment)
    return sequence + passed if multiplexer(environment) == "tmux" else passed


def open_link(link: str, environment: Mapping[str, str]) -> bool:
    """Open a link of the web in a browser; False where there is no desktop.

    No shell sees it, and only what browsers themselves fetch is opened.
    """
    has_desktop = any(environment.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))
    opener = "open" if sys.platform == "darwin" else "xdg-open" if has_desktop else ""
    if not opener or not link.startswith(("https://", "http://")):
        return False
    try:
        # It goes on after this program, which need not know how it ends.
        subprocess.Popen(  # noqa: S603
            [opener, link],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except (OSError, ValueError):
        return False
    return True
