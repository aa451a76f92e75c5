"""Command line of the benchmarks: ``python -m tests.bench``.

It prints figures and judges none of them; it fails only if a message was lost or
doubled, or a server did not work. Data folders are made where temporary files go
(``TMPDIR``): figures of durable sends mean nothing where that is memory, not a disk.
"""

import dataclasses
import gc
import json
import os
import sys
import tempfile
import time
from pathlib import Path

import click

from tests.bench.big import Sizes
from tests.bench.files import run_files
from tests.bench.growth import run_growth
from tests.bench.process import BenchError, cores
from tests.bench.report import (
    NOTE,
    files_table,
    growth_table,
    heading,
    ui_table,
    workload_table,
)
from tests.bench.results import Result
from tests.bench.runs import WORKLOADS, Plan, run_workload
from tests.bench.ui import UiPlan, run_ui

FULL_SECONDS = 15.0
FULL_SIZES = Sizes(chat=1_000_000, total=10_000_000)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--only",
    "names",
    multiple=True,
    type=click.Choice([*WORKLOADS, "growth", "files", "ui"]),
    help="Run only this; may be given several times.",
)
@click.option("--seconds", type=float, help="Length of a run (default: 4).")
@click.option("--full", is_flag=True, help="Runs of 15 s, and 10,000,000 entries.")
@click.option("--no-tls", is_flag=True, help="Leave TLS out.")
@click.option("--no-yardstick", is_flag=True, help="Leave miniircd out.")
@click.option("--no-growth", is_flag=True, help="Leave out how cost grows.")
@click.option("--no-files", is_flag=True, help="Leave files out.")
@click.option("--no-ui", is_flag=True, help="Leave the full screen out.")
@click.option(
    "--cache",
    type=click.Path(file_okay=False, exists=True, path_type=Path),
    help="Where the big databases are kept (default: the temporary folder).",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
def main(
    names: tuple[str, ...],
    seconds: float | None,
    full: bool,
    no_tls: bool,
    no_yardstick: bool,
    no_growth: bool,
    no_files: bool,
    no_ui: bool,
    cache: Path | None,
    as_json: bool,
) -> None:
    """Measure the daemon, beside miniircd doing the same work, and the client."""
    plan = Plan(tls=not no_tls, yardstick=not no_yardstick)
    if full:
        plan = dataclasses.replace(plan, seconds=FULL_SECONDS)
    if seconds is not None:
        plan = dataclasses.replace(plan, seconds=seconds)
    os.sched_setaffinity(0, {cores()[1]})
    # The load makes no reference cycles; its collector would only add to latencies.
    gc.disable()
    start = time.monotonic()
    try:
        results = _run_workloads(names or tuple(WORKLOADS), plan)
        growth: list[Result] = []
        sizes = FULL_SIZES if full else Sizes()
        if "growth" in names or not (names or no_growth):
            growth = _run_growth(sizes, cache)
        files: list[Result] = []
        if "files" in names or not (names or no_files):
            files = _run_files(plan)
        ui: list[Result] = []
        if "ui" in names or not (names or no_ui):
            ui = _run_ui(cache)
    except BenchError as error:
        sys.exit(f"bench: {error}")
    if as_json:
        found = results + growth + files + ui
        every = [dataclasses.asdict(result) for result in found]
        print(json.dumps({"machine": heading(), "results": every}, indent=1))
        return
    print(heading(), end="\n\n")
    if results:
        print(workload_table(results), NOTE, sep="\n\n", end="\n\n")
    if growth:
        print(growth_table(growth, sizes), end="\n\n")
    if files:
        print(files_table(files), end="\n\n")
    if ui:
        print(ui_table(ui), end="\n\n")
    print(f"every count was exact; {time.monotonic() - start:.0f} s in all")


def _run_workloads(names: tuple[str, ...], plan: Plan) -> list[Result]:
    results = []
    for name in names:
        if name in WORKLOADS:
            for result in run_workload(name, plan):
                _progress(f"{result.workload} on {result.server}: done")
                results.append(result)
    return results


def _run_growth(sizes: Sizes, cache: Path | None) -> list[Result]:
    _progress(f"how cost grows, with {sizes.total:,} entries (made once, then kept)")
    with tempfile.TemporaryDirectory(prefix="chatd-bench-") as folder:
        return run_growth(Path(folder), sizes, cache)


def _run_files(plan: Plan) -> list[Result]:
    results = []
    for is_tls in (False, True) if plan.tls else (False,):
        for result in run_files(is_tls, plan.seconds):
            _progress(f"{result.workload} on {result.server}: done")
            results.append(result)
    return results


def _run_ui(cache: Path | None) -> list[Result]:
    _progress("the full screen, with 500,000 messages (made once, then kept)")
    results = []
    for result in run_ui(UiPlan(), cache):
        _progress(f"{result.workload} at {result.server}: done")
        results.append(result)
    return results


def _progress(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
