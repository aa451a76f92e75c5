"""Benchmarks file transfers: their speed, and their effect on chat latency and memory.

In real life the other ends of the transfers that run beside a measurement are on
other machines; here they share the load's core, at the lowest priority.
"""

import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

from chatd.settings.tls import CERTIFICATE_FILE, KEY_FILE
from tests.bench.answers import Answers, ask
from tests.bench.daemon import Daemon
from tests.bench.held import measure_noise
from tests.bench.mover import forget_peak, peak_kib
from tests.bench.process import BenchError, ServerProcess, cores, free_port
from tests.bench.results import Result
from tests.bench.target import run_steps
from tests.bench.users import make_users, scram_login, user_name
from tests.bench.workloads import run_latency

MB = 1_000_000
SPEED_BYTES = 1_000 * MB
LATENCY_BYTES = 1_000 * MB
MEMORY_BYTES = 2_000 * MB
ROUNDS = 3
NOISE_SECONDS = 5.0
LATENCY_PAIRS, LATENCY_RATE, LATENCY_ROUNDS = 20, 1_000, 5
# The users who transfer files are not among those whose messages are timed.
GIVER, TAKER = 2 * LATENCY_PAIRS, 2 * LATENCY_PAIRS + 1

_BUFFER = bytearray(1 << 20)
_LOWEST_PRIORITY = 19


def run_files(is_tls: bool, seconds: float) -> Iterator[Result]:
    """Run all file benchmarks on a new daemon, plain or over TLS.

    Args:
        is_tls: How all clients connect.
        seconds: How long latency is measured.
    """
    with tempfile.TemporaryDirectory(prefix="chatd-bench-") as name:
        folder = Path(name)
        data = folder / "data"
        data.mkdir(mode=0o700)
        make_users(data, TAKER + 1)
        daemon = Daemon.start(folder, data, is_tls)
        with daemon.process:
            yield from _speed(daemon, folder, data)
            yield from _latency(daemon, folder, seconds)
            yield _memory(daemon, folder)
    with tempfile.TemporaryDirectory(prefix="chatd-bench-") as name:
        yield _held(Path(name), is_tls)


# Speed ------------------------------------------------------------------------------


def _speed(daemon: Daemon, folder: Path, data: Path) -> Iterator[Result]:
    path = _make_file(folder / "speed.bin", SPEED_BYTES)
    with _mover(daemon, GIVER, "up", path, TAKER, 1) as up:
        moved = up.next_moved()
    yield Result("file up", daemon.label, {"mb_per_second": _rate(moved)})
    with _copy_loop(daemon, folder, data, path) as loop:
        ours, loops, cpu, loop_cpu = [], [], [], []
        # Alternating, so that noise from the machine affects both alike.
        for _ in range(ROUNDS):
            before = daemon.process.cpu_seconds()
            ours.append(_fetch(daemon))
            cpu.append(daemon.process.cpu_seconds() - before)
            before = loop.process.cpu_seconds()
            loops.append(_receive(loop.connect(), SPEED_BYTES))
            loop_cpu.append(loop.process.cpu_seconds() - before)
    for label, seconds, spent in (
        (daemon.label, ours, cpu),
        (loop.label, loops, loop_cpu),
    ):
        figures = {
            "mb_per_second": SPEED_BYTES / MB / statistics.median(seconds),
            "mb_per_cpu_second": SPEED_BYTES / MB / statistics.median(spent),
        }
        yield Result("file down", label, figures)
    with _mover(daemon, TAKER, "down", folder, GIVER, 1) as down:
        moved = down.next_moved()
    yield Result("chat get", daemon.label, {"mb_per_second": _rate(moved)})
    path.unlink()


def _fetch(daemon: Daemon) -> float:
    """Return how many seconds the newest file takes, first byte to last."""
    with closing(daemon.connect()) as sock:
        run_steps(sock, scram_login(TAKER))
        answers = Answers()
        chat = f"@{user_name(GIVER)}"
        ask(sock, answers, {"type": "files", "id": 9, "chat": chat}, "files")
        newest = json.loads(answers.body)["files"][0]["file"]["id"]
        ask(sock, answers, {"type": "download", "id": 10, "file": newest}, "download")
        ticket = json.loads(answers.body)["ticket"]
    moving = daemon.connect()
    hello = moving.recv(4)
    moving.recv(int.from_bytes(hello), socket.MSG_WAITALL if not daemon.is_tls else 0)
    request = json.dumps({"type": "data", "ticket": ticket}).encode()
    moving.sendall(len(request).to_bytes(4) + request)
    length = int.from_bytes(_exactly(moving, 4))
    answer = json.loads(_exactly(moving, length))
    if answer["type"] != "data":
        raise BenchError(f"data was expected, not {answer}")
    return _receive(moving, SPEED_BYTES)


def _exactly(sock: socket.socket, count: int) -> bytes:
    found = b""
    while len(found) < count:
        data = sock.recv(count - len(found))
        if not data:
            raise BenchError("the server hung up before the file")
        found += data
    return found


def _receive(sock: socket.socket, size: int) -> float:
    """Read and discard everything that arrives; return the seconds."""
    received = 0
    begun = time.perf_counter()
    with closing(sock):
        while count := sock.recv_into(_BUFFER):
            received += count
    seconds = time.perf_counter() - begun
    if received != size:
        raise BenchError(f"of {size} bytes {received} came")
    return seconds


class _CopyLoop(Daemon):
    """The baseline: of the target's interface, only its socket is used."""

    name = "copy loop"


@contextmanager
def _copy_loop(
    daemon: Daemon, folder: Path, data: Path, path: Path
) -> Iterator[_CopyLoop]:
    port = free_port()
    command = [sys.executable, "-m", "tests.bench.copy_loop", str(port), str(path)]
    if daemon.is_tls:
        command += [str(data / "tls" / n) for n in (CERTIFICATE_FILE, KEY_FILE)]
    process = ServerProcess(command, folder / "copy_loop.log")
    with process:
        process.start()
        process.wait_for_line(b"ready")
        yield _CopyLoop(process, port, daemon.is_tls)


# Effect on chat latency ---------------------------------------------------------------


def _latency(daemon: Daemon, folder: Path, seconds: float) -> Iterator[Result]:
    path = _make_file(folder / "latency.bin", LATENCY_BYTES)
    alone, beside = [], []
    for _ in range(LATENCY_ROUNDS):
        alone.append(run_latency(daemon, LATENCY_PAIRS, LATENCY_RATE, seconds))
        with ExitStack() as stack:
            for user, direction, place, other in (
                (GIVER, "up", path, TAKER),
                (TAKER, "down", folder, GIVER),
            ):
                mover = _mover(daemon, user, direction, place, other, 1_000)
                stack.enter_context(mover)
            beside.append(run_latency(daemon, LATENCY_PAIRS, LATENCY_RATE, seconds))
    for workload, found in (("latency alone", alone), ("latency beside", beside)):
        figures = {
            name: statistics.median(result.figures[name] for result in found)
            for name in found[0].figures
        }
        yield Result(workload, daemon.label, figures)
    path.unlink()


# Memory -------------------------------------------------------------------------------


def _memory(daemon: Daemon, folder: Path) -> Result:
    path = _make_file(folder / "memory.bin", MEMORY_BYTES)
    forget_peak(daemon.process.pid)
    before = peak_kib(daemon.process.pid)
    with _mover(daemon, GIVER, "up", path, TAKER, 1) as up:
        sent = up.next_moved()
    path.unlink()
    with _mover(daemon, TAKER, "down", folder, GIVER, 1) as down:
        fetched = down.next_moved()
    figures = {
        "daemon_mib": (peak_kib(daemon.process.pid) - before) / 1024,
        "sender_mib": sent["grown_kib"] / 1024,
        "receiver_mib": fetched["grown_kib"] / 1024,
    }
    return Result("memory while 2 GB pass", daemon.label, figures)


# How long the event loop is blocked ---------------------------------------------------


def _held(folder: Path, is_tls: bool) -> Result:
    data = folder / "data"
    data.mkdir(mode=0o700)
    make_users(data, TAKER + 1)
    report = folder / "held.json"
    daemon = Daemon.start(
        folder, data, is_tls, module="tests.bench.held", extra=[str(report)]
    )
    path = _make_file(folder / "held.bin", SPEED_BYTES)
    with daemon.process:
        with _mover(daemon, GIVER, "up", path, TAKER, 1) as up:
            up.next_moved()
        with (
            _mover(daemon, GIVER, "up", path, TAKER, 1, is_started=False) as up,
            _mover(daemon, TAKER, "down", folder, GIVER, 1, is_started=False) as down,
        ):
            # Starts here, so that logins do not count.
            os.kill(daemon.process.pid, signal.SIGUSR1)
            up.start()
            down.start()
            up.next_moved()
            down.next_moved()
    figures = json.loads(report.read_text())
    figures["noise_ms"] = measure_noise(cores()[0], NOISE_SECONDS)
    return Result("loop held", daemon.label, figures)


# Client processes ---------------------------------------------------------------------


class _Mover:
    """A client process that transfers files; see ``tests.bench.mover``."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process

    def start(self) -> None:
        """Tell it to begin."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"\n")
        self._process.stdin.flush()

    def next_moved(self) -> dict[str, Any]:
        """Wait until the next file is complete."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            found: dict[str, Any] = json.loads(line)
            if found["event"] == "moved":
                return found
        raise BenchError("a client ended before its file was moved")


@contextmanager
def _mover(
    daemon: Daemon,
    user: int,
    direction: str,
    path: Path,
    other: int,
    count: int,
    *,
    is_started: bool = True,
) -> Iterator[_Mover]:
    command = [sys.executable, "-m", "tests.bench.mover", daemon.link]
    command += [user_name(user), direction, str(path), f"@{user_name(other)}"]
    process = subprocess.Popen(
        [*command, str(count)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        preexec_fn=_step_back,
    )
    try:
        assert process.stdout is not None
        process.stdout.readline()  # it is online
        mover = _Mover(process)
        if is_started:
            mover.start()
        yield mover
    finally:
        process.kill()
        process.communicate()


def _step_back() -> None:
    os.nice(_LOWEST_PRIORITY)
    os.sched_setaffinity(0, {cores()[1]})


def _rate(moved: dict[str, Any]) -> float:
    rate: float = moved["bytes"] / MB / moved["seconds"]
    return rate


def _make_file(path: Path, size: int) -> Path:
    block = os.urandom(MB)
    with path.open("wb") as file:
        for number in range(size // MB):
            # No two blocks are alike, in case something compresses or shares them.
            file.write(number.to_bytes(8) + block[8:])
    return path
