"""Smoke test of the benchmarks: they run and count exactly; figures are not judged."""

import dataclasses
import socket
import tempfile
from pathlib import Path

import pytest

from tests.bench.big import Sizes
from tests.bench.growth import run_growth
from tests.bench.load import Connection
from tests.bench.report import growth_table, ui_table, workload_table
from tests.bench.runs import WORKLOADS, Plan, run_workload
from tests.bench.ui import UiPlan, run_client
from tests.bench.ui_data import Past

TINY = Plan(
    seconds=0.25,
    pairs=2,
    latency_pairs=2,
    latency_rate=200,
    members=6,
    senders=2,
    logins=5,
    idle_users=5,
    tls=False,
    yardstick=False,
)


@pytest.mark.system
@pytest.mark.parametrize("name", WORKLOADS)
def test_every_workload_runs_on_the_daemon_with_exact_counts(name: str) -> None:
    (result,) = run_workload(name, TINY)

    assert "chatd" in workload_table([result])


@pytest.mark.system
def test_a_workload_runs_over_tls_and_on_the_yardstick() -> None:
    plan = dataclasses.replace(TINY, tls=True, yardstick=True)

    results = list(run_workload("pairs64", plan))

    assert [r.server for r in results] == ["chatd", "chatd TLS", "miniircd"]
    assert all(result.figures["per_second"] > 0 for result in results)


@pytest.mark.system
def test_growth_is_measured_on_an_empty_and_on_a_big_database() -> None:
    sizes = Sizes(chat=300, total=500, rooms=5)

    # Not tmp_path, whose names are too long for the path of a Unix socket.
    with tempfile.TemporaryDirectory(prefix="chatd-") as name:
        results = run_growth(Path(name), sizes, cache=Path(name))

    assert [result.server for result in results] == ["empty", "big"]
    assert "300 entries" in growth_table(results, sizes)


@pytest.mark.system
def test_the_full_screen_is_measured_in_a_small_and_in_a_big_chat() -> None:
    plan = UiPlan(
        past=Past(rooms=5, total=500, big=200, small=100),
        keys=5,
        messages=5,
        burst=20,
        idle_seconds=0.1,
        starts=1,
    )

    with tempfile.TemporaryDirectory(prefix="chatd-") as name:
        results = list(run_client(plan, Path(name)))

    workloads = ["ui key", "ui message", "ui burst", "ui idle"]
    assert [r.workload for r in results] == ["ui start", *workloads, *workloads]
    assert [r.server for r in results] == ["200", *["100"] * 4, *["200"] * 4]
    assert all(r.figures["frames"] > 0 for r in results if r.workload == "ui burst")
    assert "a chat of" in ui_table(results)


def test_a_needle_is_counted_once_however_the_bytes_are_cut() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        connection = Connection(ours)
        connection.watch(b"<needle>")
        for byte in b"..<needle><needle>..<needle":
            theirs.send(bytes([byte]))
            connection.read()

        assert connection.counts == [2]
