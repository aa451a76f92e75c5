"""Server processes under measurement: pinned to one core, their CPU and memory read.

The server has the first core to itself and the load the last, so that neither slows the
other down. On a machine with one core both share it, and the figures mean little.
"""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Self

START_SECONDS = 30.0
STOP_SECONDS = 10.0

_TICKS = os.sysconf("SC_CLK_TCK")


class BenchError(Exception):
    """A server failed, or the counts at the end were wrong."""


@cache
def cores() -> tuple[int, int]:
    """Return the server's core and the load's; call it before anything is pinned."""
    usable = sorted(os.sched_getaffinity(0))
    return usable[0], usable[-1]


def free_port() -> int:
    """Return a free port of the loopback address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class ServerProcess:
    """A server on its own core; a context manager that ends it.

    Args:
        command: Program and arguments.
        log: Where its output goes; it is quoted when the server fails.
    """

    def __init__(self, command: list[str], log: Path) -> None:
        self._command = command
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it pinned to the server's core; its children inherit that."""
        mine = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {cores()[0]})
        try:
            with self._log.open("wb") as output:
                self._process = subprocess.Popen(
                    self._command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                )
        finally:
            os.sched_setaffinity(0, mine)

    def wait_for_line(self, word: bytes) -> None:
        """Wait until the server has printed a line that begins with ``word``."""
        self._wait(lambda: any(x.startswith(word) for x in self.output().splitlines()))

    def wait_for_port(self, port: int) -> None:
        """Wait until something accepts connections at a port."""
        self._wait(lambda: _accepts(port))

    @property
    def pid(self) -> int:
        """The process id, once started."""
        assert self._process is not None
        return self._process.pid

    def cpu_seconds(self) -> float:
        """Return user and system time of all its threads so far."""
        stat = Path(f"/proc/{self.pid}/stat").read_text()
        fields = stat.rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def rss_kib(self) -> int:
        """Return its resident memory, in KiB."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") // 1024

    def stop(self) -> None:
        """End it, gracefully if possible; do nothing if it has ended."""
        process = self._process
        if process is None or process.poll() is not None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def output(self) -> bytes:
        """Return what it has printed so far."""
        return self._log.read_bytes()

    def _wait(self, is_there: Callable[[], bool]) -> None:
        process = self._process
        assert process is not None
        deadline = time.monotonic() + START_SECONDS
        while not is_there():
            status = process.poll()
            if status is not None or time.monotonic() > deadline:
                said = self.output().decode(errors="replace")[-2_000:]
                how = "is not ready" if status is None else f"ended with {status}"
                raise BenchError(f"{self._command[0]} {how}; it said:\n{said}")
            time.sleep(0.002)


def _accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1.0).close()
    except OSError:
        return False
    return True
