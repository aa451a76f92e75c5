"""Runs the daemon with a 1 ms heartbeat, to measure what blocks its event loop.

    python -m tests.bench.held REPORT [arguments of chatd]

SIGUSR1 resets the figures. At the end it writes to REPORT, in milliseconds: the longest
time between two beats beyond the interval (``wall``: includes time given to other
processes), and the processor time that the loop's thread used between two beats: the
maximum (``cpu``), and what all but one in ten thousand (``cpu_p9999``) or in a thousand
(``cpu_p999``) stay below.
Several short iterations of the loop may fall between two beats, so these are upper
bounds.

What the hypervisor takes from this machine unnoticed looks like work, too:
``measure_noise`` says how much that is.
"""

import asyncio
import hashlib
import json
import os
import signal
import sys
import time
from array import array
from collections.abc import Sequence
from pathlib import Path

from chatd import server
from chatd.cli import main as run_chatd

BEAT_SECONDS = 0.001
# Hashing it takes some 0.4 ms.
_PIECE = bytes(400_000)


class _Heart:
    def __init__(self) -> None:
        self.wall = 0.0
        self.cpu = array("d")
        self._wall_at = 0.0
        self._cpu_at = 0.0

    def start(self) -> None:
        """Beat from now on."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGUSR1, self._forget)
        self._wall_at, self._cpu_at = time.perf_counter(), time.thread_time()
        loop.call_later(BEAT_SECONDS, self._beat)

    def figures(self) -> dict[str, float]:
        """Return the figures, in milliseconds."""
        return {
            "wall_ms": self.wall * 1_000,
            "cpu_ms": quantile_ms(self.cpu, 1),
            "cpu_p9999_ms": quantile_ms(self.cpu, 0.9999),
            "cpu_p999_ms": quantile_ms(self.cpu, 0.999),
        }

    def _forget(self) -> None:
        self.wall = 0.0
        del self.cpu[:]

    def _beat(self) -> None:
        now, cpu = time.perf_counter(), time.thread_time()
        self.wall = max(self.wall, now - self._wall_at - BEAT_SECONDS)
        self.cpu.append(cpu - self._cpu_at)
        self._wall_at, self._cpu_at = now, cpu
        asyncio.get_running_loop().call_later(BEAT_SECONDS, self._beat)


def quantile_ms(seconds: Sequence[float], share: float) -> float:
    """Return what a share of these values, at least one, do not exceed."""
    return sorted(seconds)[min(len(seconds) - 1, int(len(seconds) * share))] * 1_000


def measure_noise(core: int, seconds: float) -> float:
    """Return by how much, in ms, a fixed piece of work was slowed down on a core.

    The work is always the same, and processor time is what is measured, so that any
    difference comes from the machine.

    Args:
        core: The core to measure.
        seconds: For how long the work is repeated; the maximum is returned.
    """
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        taken = array("d")
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            begun = time.thread_time()
            hashlib.sha256(_PIECE).digest()
            taken.append(time.thread_time() - begun)
    finally:
        os.sched_setaffinity(0, before)
    return quantile_ms(taken, 1) - quantile_ms(taken, 0.5)


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
        report.write_text(json.dumps(heart.figures()))


if __name__ == "__main__":
    main()
