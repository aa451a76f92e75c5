"""The daemon with a heart that beats every millisecond, to see what holds its loop.

    python -m tests.bench.held REPORT [arguments of chatd]

SIGUSR1 begins anew. When it ends it writes to REPORT, in milliseconds: the longest time
between two beats over what was asked for (``wall``: also what others were given), and
the most processor time that the loop's thread used between two (``cpu``).
"""

import asyncio
import json
import signal
import sys
import time
from pathlib import Path

from chatd import server
from chatd.cli import main as run_chatd

BEAT_SECONDS = 0.001


class _Heart:
    def __init__(self) -> None:
        self.wall = 0.0
        self.cpu = 0.0
        self.beats = 0
        self._wall_at = 0.0
        self._cpu_at = 0.0

    def start(self) -> None:
        """Beat from now on."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGUSR1, self._forget)
        self._wall_at, self._cpu_at = time.perf_counter(), time.thread_time()
        loop.call_later(BEAT_SECONDS, self._beat)

    def _forget(self) -> None:
        self.wall = self.cpu = 0.0

    def _beat(self) -> None:
        now, cpu = time.perf_counter(), time.thread_time()
        self.wall = max(self.wall, now - self._wall_at - BEAT_SECONDS)
        self.cpu = max(self.cpu, cpu - self._cpu_at)
        self.beats += 1
        self._wall_at, self._cpu_at = now, cpu
        asyncio.get_running_loop().call_later(BEAT_SECONDS, self._beat)


def main() -> None:
    """Run the daemon until it is ended, then write the report."""
    report = Path(sys.argv.pop(1))
    heart = _Heart()
    announce = server.Server.announce

    def announce_and_start(self: server.Server) -> None:
        announce(self)
        heart.start()

    server.Server.announce = announce_and_start  # type: ignore[method-assign]
    try:
        run_chatd()
    finally:
        figures = {"wall_ms": heart.wall * 1_000, "cpu_ms": heart.cpu * 1_000}
        report.write_text(json.dumps(figures))


if __name__ == "__main__":
    main()
