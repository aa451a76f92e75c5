"""Delivery of notifications: the terminal's bell, its own notifications, a program.

The terminal's title is set here as well. What others wrote comes here clean, on one
line and short. A program gets it as single arguments and on its input; no shell ever
sees it.
"""

import asyncio
import re
from collections.abc import Callable, Mapping
from typing import Literal

import msgspec

from chatd.system.tasks import Drain
from chatd.text.safe import clean
from client.config.config_file import PLACES, NotifyConfig
from client.notify.notifier import Alert
from client.terminal.multiplexers import multiplexer, pass_through

PROGRAM_SECONDS = 10.0
"""How long a program may run before it is killed."""

CLOSE_SECONDS = 1.0
MAX_TITLE = 120

Way = Literal["9", "777"]


_BEL = "\a"
_ESC = "\x1b"
# Some terminals take a text that begins like this for a command.
_is_command = re.compile(r"\d+(?:;|$)").match
_places = re.compile(rf"\{{({'|'.join(PLACES)})\}}")


class AlertDelivery:
    """Delivers notifications in all ways that are configured.

    Args:
        config: Which ways are wanted.
        write: Writes to the terminal at once, unchanged; None if there is none.
        environment: Of the process; it tells which terminal it is.
        on_trouble: Called, once, with the reason why the user's program cannot be run.
    """

    def __init__(
        self,
        config: NotifyConfig,
        write: Callable[[str], None] | None,
        environment: Mapping[str, str],
        on_trouble: Callable[[str], None],
    ) -> None:
        self._write = write
        self._has_bell = config.bell
        self._way = osc_way(config.osc, environment)
        self._environment = environment
        self._program = Program(config.command, on_trouble)

    def ring(self, alert: Alert) -> None:
        """Deliver a notification, without waiting for anything."""
        if self._write is not None:
            shown = _BEL if self._has_bell else ""
            if self._way is not None:
                sequence = osc(alert, self._way)
                shown += pass_through(sequence, self._environment)
            if shown:
                self._write(shown)
        self._program.run(alert)

    async def close(self) -> None:
        """Wait a moment for a program that runs, then kill it."""
        await self._program.close()


def osc_way(wanted: str, environment: Mapping[str, str]) -> Way | None:
    """Return which OSC notifications the terminal supports, None if not known.

    Args:
        wanted: ``auto``, ``9``, ``777`` or ``off``.
        environment: Of the process.
    """
    if wanted == "9" or wanted == "777":
        return "777" if wanted == "777" else "9"
    if wanted != "auto" or multiplexer(environment) is not None:
        # The terminal behind a multiplexer cannot be known.
        return None
    term = environment.get("TERM", "")
    program = environment.get("TERM_PROGRAM", "").lower()
    is_iterm = "iTerm2" in environment.get("LC_TERMINAL", "") or program == "iterm.app"
    if is_iterm or "kitty" in term:
        return "9"
    names = ("ghostty", "wezterm", "foot", "rxvt-unicode", "contour")
    if any(name in term or name == program for name in names):
        return "777"
    return "777" if environment.get("KONSOLE_VERSION") else None


def osc(alert: Alert, way: Way) -> str:
    """Return the sequence that has a terminal show a notification."""
    title, text = clean(alert.title), clean(alert.text)
    if way == "777":
        # A semicolon would end the title.
        return f"{_ESC}]777;notify;{title.replace(';', ',')};{text}{_BEL}"
    body = f"{title}: {text}"
    if _is_command(body):
        body = f" {body}"
    return f"{_ESC}]9;{body}{_BEL}"


class Title:
    """The terminal's title, which is restored at the end.

    Inside of tmux it is the title of the pane. A title of a window of GNU screen could
    not be restored, so there it is that of the terminal around it. A terminal without
    titles is left alone.

    Args:
        write: Writes to the terminal at once, unchanged.
        environment: Of the process; it tells which terminal it is.
    """

    def __init__(
        self, write: Callable[[str], None], environment: Mapping[str, str]
    ) -> None:
        term = environment.get("TERM", "")
        has_none = term in ("", "dumb", "unknown", "linux") or term.startswith("vt")
        self._write_raw = write
        self._is_off = has_none
        self._is_screen = multiplexer(environment) == "screen"
        self._environment = environment
        self._shown: str | None = None

    def set(self, text: str) -> None:
        """Show a title, if it is not shown already; "" leaves it as it is."""
        text = clean(text)[:MAX_TITLE]
        if self._is_off or not text or text == self._shown:
            return
        # The terminal keeps the old title on a stack.
        keep = f"{_ESC}[22;2t" if self._shown is None else ""
        self._shown = text
        self._write(f"{keep}{_ESC}]2;{text}{_BEL}")

    def restore(self) -> None:
        """Restore the old title."""
        if self._shown is not None:
            self._shown = None
            self._write(f"{_ESC}[23;2t")

    def _write(self, sequence: str) -> None:
        if self._is_screen:
            sequence = pass_through(sequence, self._environment)
        self._write_raw(sequence)


class Program:
    """The user's program, run for each notification, one at a time.

    Notifications that come while it runs are joined into one afterwards.

    Args:
        command: Program and arguments; empty for none.
        on_trouble: Called, once, with the reason why it cannot be run.
    """

    def __init__(
        self, command: tuple[str, ...], on_trouble: Callable[[str], None]
    ) -> None:
        self._command = command
        self._on_trouble = on_trouble
        self._is_told = False
        self._next: Alert | None = None
        self._drain = Drain(self._work)

    def run(self, alert: Alert) -> None:
        """Run it for a notification, without waiting for it."""
        if not self._command:
            return
        self._next = alert if self._next is None else _join(self._next, alert)
        self._drain.wake()

    @property
    def is_idle(self) -> bool:
        """Whether it is neither running nor about to."""
        return self._drain.is_idle

    async def idle(self) -> None:
        """Wait until it has run for all notifications."""
        await self._drain.idle()

    async def close(self) -> None:
        """Drop what waits; wait a moment for what runs, then kill it."""
        self._next = None
        await self._drain.close(CLOSE_SECONDS)

    async def _work(self) -> None:
        alert, self._next = self._next, None
        if alert is not None:
            await self._run(alert)

    async def _run(self, alert: Alert) -> None:
        arguments = [fill(argument, alert) for argument in self._command]
        try:
            process = await asyncio.create_subprocess_exec(
                *arguments,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            self._tell(f"it cannot be run: {reason}")
            return
        given = f"{alert.title}\n{alert.text}\n".encode()
        try:
            async with asyncio.timeout(PROGRAM_SECONDS):
                await process.communicate(given)
        except TimeoutError:
            self._tell(f"it was ended after {PROGRAM_SECONDS:g} s")
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode and process.returncode > 0:
            self._tell(f"it failed with status {process.returncode}")

    def _tell(self, reason: str) -> None:
        if not self._is_told:
            self._is_told = True
            self._on_trouble(f"the notification command {self._command[0]}: {reason}")


def fill(argument: str, alert: Alert) -> str:
    """Return an argument with its placeholders replaced.

    Text from others never becomes the beginning of an option.
    """
    values = {
        "title": alert.title,
        "text": alert.text,
        "chat": alert.chat,
        "sender": alert.sender,
    }
    filled = _places.sub(lambda found: clean(values[found[1]]), argument)
    if filled.startswith("-") and not argument.startswith("-"):
        return f" {filled}"
    return filled


def _join(first: Alert, second: Alert) -> Alert:
    count = first.count + second.count
    return msgspec.structs.replace(
        second, title=f"{count} messages, the last: {second.title}", count=count
    )
