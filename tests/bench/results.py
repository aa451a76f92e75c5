"""The results of workloads, and the meter that takes them during a run."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from tests.bench.process import BenchError, ServerProcess

# The part of a run, at its beginning, that is not measured.
WARM_UP_SHARE = 0.2


@dataclass(frozen=True, slots=True)
class Result:
    """The figures of one workload on one server; their names end in their units."""

    workload: str
    server: str
    figures: dict[str, float]


class Meter:
    """Measures a run from the end of its warm-up to ``stop``.

    Args:
        process: The server, whose CPU time is read.
        count: Returns what is measured: how many there have been so far.
        seconds: How long the run is to last, warm-up included.
    """

    def __init__(
        self, process: ServerProcess, count: Callable[[], int], seconds: float
    ) -> None:
        self._process = process
        self._count = count
        now = time.perf_counter()
        self._warm_at = now + seconds * WARM_UP_SHARE
        self._end_at = now + seconds
        self._start: tuple[float, float, int] | None = None

    def goes_on(self) -> bool:
        """Return whether there is time left; start measuring after the warm-up."""
        now = time.perf_counter()
        if self._start is None and now >= self._warm_at:
            self._start = self._now()
        return now < self._end_at

    def stop(self, factor: int = 1) -> dict[str, float]:
        """Return the rates since the warm-up, each event counted ``factor`` times."""
        if self._start is None:
            raise BenchError("the run ended before its warm-up did")
        begun, cpu_begun, count_begun = self._start
        now, cpu_now, count_now = self._now()
        count = (count_now - count_begun) * factor
        # The CPU time has a resolution of 10 ms.
        return {
            "per_second": count / (now - begun),
            "per_cpu_second": count / max(cpu_now - cpu_begun, 0.01),
        }

    def _now(self) -> tuple[float, float, int]:
        return time.perf_counter(), self._process.cpu_seconds(), self._count()


def percentile(ordered: list[float], share: float) -> float:
    """Return what a share (0 to 1) of these sorted values does not exceed."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]
