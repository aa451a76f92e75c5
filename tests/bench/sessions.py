"""Benchmarks logins per second, and the memory that an idle user costs."""

import select
import ssl
import time
from collections.abc import Callable

from tests.bench.load import STALL_SECONDS
from tests.bench.process import BenchError
from tests.bench.results import Result
from tests.bench.target import LoginSteps, Target, close_all

# Logged in before anything is measured, so that one-time allocations are there.
WARM_UP_LOGINS = 50
SETTLE_SECONDS = 0.3

MakeSteps = Callable[[int], LoginSteps]


def run_logins(
    target: Target, workload: str, make_steps: MakeSteps, count: int, seconds: float
) -> Result:
    """Log in again and again, several at a time, and hang up each time.

    Args:
        target: The server.
        workload: What the table calls it.
        make_steps: Returns the steps of the login with a number.
        count: How many logins at the most.
        seconds: How long at the most.
    """
    crowd = _Crowd(target, make_steps)
    crowd.run(min(WARM_UP_LOGINS, count), seconds)
    crowd.done = 0
    cpu_before = target.process.cpu_seconds()
    start = time.perf_counter()
    crowd.run(count, seconds)
    elapsed = time.perf_counter() - start
    cpu = target.process.cpu_seconds() - cpu_before
    crowd.close()
    figures = {
        "per_second": crowd.done / elapsed,
        "per_cpu_second": crowd.done / max(cpu, 0.01),
    }
    return Result(workload, target.label, figures)


def run_memory(target: Target, count: int) -> Result:
    """Log in ``count`` idle users; measure how much the server grows for each."""
    warm_up = min(WARM_UP_LOGINS, count)
    connections = [target.log_in(number) for number in range(warm_up)]
    time.sleep(SETTLE_SECONDS)
    before = target.process.rss_kib()
    connections += [target.log_in(warm_up + number) for number in range(count)]
    time.sleep(SETTLE_SECONDS)
    grown = target.process.rss_kib() - before
    target.settle(connections)
    close_all(connections)
    return Result("memory", target.label, {"kib_per_user": grown / count})


class _Login:
    """A login in progress, on a non-blocking socket."""

    def __init__(self, target: Target, steps: LoginSteps) -> None:
        self.sock = target.connect(handshake=False)
        self.sock.setblocking(False)
        self._steps = steps
        self._is_shaking = isinstance(self.sock, ssl.SSLSocket)
        self._write(next(steps))
        if self._is_shaking:
            self.advance()

    def advance(self) -> bool:
        """Handle what has arrived; return whether the login is complete."""
        try:
            if self._is_shaking and isinstance(self.sock, ssl.SSLSocket):
                self.sock.do_handshake()
                self._is_shaking = False
            while data := self.sock.recv(65_536):
                self._write(self._steps.send(data))
        except StopIteration:
            return True
        except (BlockingIOError, ssl.SSLWantReadError):
            return False
        raise BenchError("the server hung up during a login")

    def _write(self, data: bytes) -> None:
        if data:
            # So little that it always fits the socket's buffer.
            self.sock.sendall(data)


class _Crowd:
    """Keeps as many logins in progress as the target allows."""

    def __init__(self, target: Target, make_steps: MakeSteps) -> None:
        self._target = target
        self._make_steps = make_steps
        self._epoll = select.epoll()
        self._logins: dict[int, _Login] = {}
        self._number = 0
        self.done = 0

    def run(self, count: int, seconds: float) -> None:
        """Begin ``count`` logins, or as many as the time allows; complete them all."""
        deadline = time.perf_counter() + seconds
        begun = 0
        for _ in range(min(count, self._target.logins_at_once)):
            self._begin()
            begun += 1
        while self._logins:
            events = self._epoll.poll(STALL_SECONDS)
            if not events:
                raise BenchError("nothing arrives any more during a login")
            for fd, _ in events:
                login = self._logins[fd]
                if not login.advance():
                    continue
                self.done += 1
                # Closing takes it out of the epoll too.
                del self._logins[fd]
                login.sock.close()
                if begun < count and time.perf_counter() < deadline:
                    self._begin()
                    begun += 1

    def close(self) -> None:
        """Close the epoll."""
        self._epoll.close()

    def _begin(self) -> None:
        login = _Login(self._target, self._make_steps(self._number))
        self._number += 1
        self._logins[login.sock.fileno()] = login
        self._epoll.register(login.sock.fileno(), select.EPOLLIN)
