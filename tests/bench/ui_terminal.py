"""The client at a terminal that reads everything it writes, with the times."""

import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.bench.process import BenchError, cores

COLUMNS, ROWS = 120, 40
FRAME_END = b"\x1b[?25h"
"""Every frame ends with this: the cursor is shown again."""

PATIENCE_SECONDS = 20.0


class ClientTerminal:
    """A client on its own core, in a terminal of 120x40.

    Args:
        arguments: Arguments of Python.
        environment: Added to what every program needs.

    Attributes:
        fd: The terminal's side of the pty.
        written: All that was written to the terminal.
    """

    def __init__(self, arguments: list[str], environment: Mapping[str, str]) -> None:
        self.fd, theirs = pty.openpty()
        size = struct.pack("HHHH", ROWS, COLUMNS, 0, 0)
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, size)
        self.written = bytearray()
        self.started = time.perf_counter()
        try:
            self.process = subprocess.Popen(
                [sys.executable, *arguments],
                stdin=theirs,
                stdout=theirs,
                stderr=theirs,
                env={
                    "PATH": os.environ.get("PATH", ""),
                    "TERM": "xterm-256color",
                    "LANG": "C.UTF-8",
                    **environment,
                },
                start_new_session=True,
                preexec_fn=_take_terminal,
            )
        finally:
            os.close(theirs)

    # Waiting --------------------------------------------------------------------------

    def until(self, *needles: bytes, since: int = 0) -> float:
        """Wait until these were written, one after the other; return when.

        Args:
            needles: What is to be written.
            since: The offset in what was written from which they count.

        Raises:
            BenchError: They were not written.
        """
        deadline = time.perf_counter() + PATIENCE_SECONDS
        for needle in needles:
            while (place := self.written.find(needle, since)) < 0:
                if not self.read(deadline - time.perf_counter()):
                    said = self.written[-2_000:].decode(errors="replace")
                    raise BenchError(f"the client does not go on; it wrote\n{said}")
            since = place + len(needle)
        return time.perf_counter()

    def read(self, seconds: float) -> bool:
        """Read what is written within some seconds; return whether anything was."""
        ready, _, _ = select.select([self.fd], [], [], max(0.0, seconds))
        return bool(ready) and self.take()

    def take(self) -> bool:
        """Read what was written; return False if the client has ended."""
        try:
            self.written += os.read(self.fd, 65_536)
        except OSError:
            return False
        return True

    def settle(self, seconds: float = 0.5) -> None:
        """Wait until nothing was written for so long."""
        while self.read(seconds):
            pass

    def press(self, keys: bytes) -> int:
        """Press keys; return how much was written before."""
        before = len(self.written)
        os.write(self.fd, keys)
        return before

    # The process ----------------------------------------------------------------------

    def cpu_ms(self) -> float:
        """Return the CPU time that its main thread has used so far."""
        text = Path(f"/proc/{self.process.pid}/schedstat").read_text()
        return int(text.split()[0]) / 1e6

    def rss_mib(self) -> float:
        """Return its resident memory, in MiB."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1024 / 1024

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.fd)


def _take_terminal() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    os.sched_setaffinity(0, {cores()[0]})
