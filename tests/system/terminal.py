"""The real ``chat`` in a real terminal: a pty, and a screen in memory."""

import codecs
import os
import signal
import sys
from collections.abc import Callable, Mapping
from itertools import groupby
from pathlib import Path

import pexpect
import pyte
import wcwidth

from tests.helpers import eventually


def chat_environment(home: Path) -> dict[str, str]:
    """Return an environment in which ``chat`` keeps everything under ``home``."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return {
        **kept,
        "CHAT_HOME": str(home),
        "TERM": "xterm-256color",
        "LANG": "C.UTF-8",
        "TZ": "UTC",
    }


class Screen(pyte.HistoryScreen):
    """A screen that keeps characters of no width; pyte drops them, and what follows."""

    def draw(self, data: str) -> None:
        """Write text at the cursor."""
        for takes_cells, chars in groupby(data, lambda char: wcwidth.wcwidth(char) > 0):
            if takes_cells:
                super().draw("".join(chars))
            elif self.cursor.x:
                line = self.buffer[self.cursor.y]
                x = self.cursor.x - 1
                # A wide letter is in the first of its cells.
                x -= x > 0 and not line[x].data
                line[x] = line[x]._replace(data=line[x].data + "".join(chars))


class Terminal:
    """A terminal in which ``chat`` runs.

    Args:
        home: Where this user's ``chat`` keeps everything.
        arguments: Arguments of ``chat``.
        columns: The width.
        rows: The height.
        environment: Variables beside those of ``chat_environment``.
    """

    def __init__(
        self,
        home: Path,
        *arguments: str,
        columns: int = 80,
        rows: int = 24,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.home = home
        self.screen = Screen(columns, rows, history=1000)
        self._stream = pyte.Stream(self.screen)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self.transcript = ""
        self.child: pexpect.spawn[bytes] = pexpect.spawn(
            sys.executable,
            ["-m", "client", *arguments],
            env={**chat_environment(home), **(environment or {})},
            dimensions=(rows, columns),
            echo=True,
        )
        # Nothing here is typed at a shell: no need to wait before each key.
        self.child.delaybeforesend = None

    def type(self, keys: str) -> None:
        """Press keys."""
        self.child.send(keys)

    def resize(self, columns: int, rows: int) -> None:
        """Change the size of the window."""
        self._take()
        removed = self.screen.lines - rows
        self.screen.resize(rows, columns)
        # pyte removes lines from the top and leaves the cursor where it was.
        self.screen.cursor.y -= max(0, removed)
        self.child.setwinsize(rows, columns)

    def kill(self, number: signal.Signals) -> None:
        """Send a signal to the program."""
        self.child.kill(number)

    @property
    def lines(self) -> list[str]:
        """The lines on the screen that are not empty."""
        self._take()
        shown = [line.rstrip() for line in self.screen.display]
        return [line for line in shown if line]

    async def until(self, is_so: Callable[[], bool]) -> None:
        """Wait for a condition.

        Raises:
            TimeoutError: It did not become true; the message is the screen's text.
        """

        def look() -> bool:
            self._take()
            return is_so()

        try:
            await eventually(look, "")
        except TimeoutError:
            raise TimeoutError("\n".join(self.lines)) from None

    async def shows(self, text: str) -> None:
        """Wait until a line of the screen contains a text."""
        await self.until(lambda: any(text in line for line in self.lines))

    async def prompts(self, text: str) -> None:
        """Wait until the last line is this."""
        await self.until(lambda: self.lines[-1:] == [text])

    async def answer(self, question: str, answer: str) -> None:
        """Wait for a question and answer it."""
        await self.until(lambda: bool(self.lines) and question in self.lines[-1])
        self.type(f"{answer}\r")
        await self.until(lambda: question not in self.lines[-1])

    async def ended(self) -> int:
        """Wait until the program has ended; return its exit status."""
        await self.until(lambda: not self.child.isalive())
        assert isinstance(self.child.exitstatus, int)
        return self.child.exitstatus

    def close(self) -> None:
        """End the program, whatever its state."""
        if self.child.isalive():
            self.kill(signal.SIGKILL)
            self.child.wait()
        self.child.close()

    def _take(self) -> None:
        while True:
            try:
                data = self.child.read_nonblocking(65_536, timeout=0)
            except (pexpect.TIMEOUT, pexpect.EOF):
                return
            text = self._decoder.decode(data)
            self.transcript += text
            self._stream.feed(text)
