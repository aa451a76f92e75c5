"""Terminal output for the full screen: hyperlinks, focus reports, the clipboard."""

import asyncio
import base64
import contextlib
import os
import subprocess
import sys
from collections.abc import Mapping
from typing import TextIO

from client.terminal.focus_events import ASK, ASK_NO_MORE
from client.terminal.hyperlinks import HyperlinkOutput
from client.terminal.multiplexers import multiplexer, pass_through
from client.terminal.output import make_output

TMUX_SECONDS = 2.0
"""How long tmux may take to accept a text."""


class ScreenOutput(HyperlinkOutput):
    """A terminal output that turns focus reports on while the program has the screen.

    While another program runs in its place (an editor, the shell after Ctrl+Z) they are
    off.
    """

    def enter_alternate_screen(self) -> None:
        """Take the screen, and turn focus reports on."""
        super().enter_alternate_screen()
        self.write_raw(ASK)

    def quit_alternate_screen(self) -> None:
        """Turn focus reports off, and give the screen back."""
        self.write_raw(ASK_NO_MORE)
        super().quit_alternate_screen()


def make_screen_output(
    stdout: TextIO, environment: Mapping[str, str]
) -> HyperlinkOutput:
    """Return an output that never asks the terminal where the cursor is."""
    size = make_output(stdout, environment).get_size
    return ScreenOutput(stdout, size, term=environment.get("TERM"), enable_cpr=False)


def copy_sequence(text: str, environment: Mapping[str, str]) -> str:
    """Return the sequence that puts a text into the terminal's clipboard (OSC 52).

    Inside of tmux it comes twice, plain and passed through: tmux acts on whichever its
    settings allow.
    """
    data = base64.b64encode(text.encode()).decode()
    sequence = f"\x1b]52;c;{data}\a"
    passed = pass_through(sequence, environment)
    return sequence + passed if multiplexer(environment) == "tmux" else passed


async def copy_by_tmux(text: str, environment: Mapping[str, str]) -> bool:
    """Copy a text through tmux; return False if there is none that accepts it.

    It hands the text on to the clipboard of the terminal, which by default it does not
    do with what a program writes (OSC 52).
    """
    if not environment.get("TMUX"):
        return False
    process = None
    try:
        async with asyncio.timeout(TMUX_SECONDS):
            process = await asyncio.create_subprocess_exec(
                *("tmux", "load-buffer", "-w", "-"),
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={**os.environ, "TMUX": environment["TMUX"]},
            )
            await process.communicate(text.encode())
    except (OSError, TimeoutError):
        return False
    finally:
        if process is not None and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    return process.returncode == 0


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
