"""The list of workloads, and the servers on which each is run.

Every run has a new server on a new data folder, so that none inherits another's memory.
"""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.bench.daemon import Daemon
from tests.bench.results import Result
from tests.bench.sessions import run_logins, run_memory
from tests.bench.target import LoginSteps, Target, run_steps
from tests.bench.users import make_users, remembering_login, token_login
from tests.bench.workloads import run_latency, run_pairs, run_room
from tests.bench.yardstick import Miniircd


@dataclass(frozen=True, slots=True)
class Plan:
    """The sizes of all workloads; each is a maximum.

    Attributes:
        seconds: Length of a run, a fifth of which is warm-up.
        pairs: Senders, each with a partner.
        latency_pairs: Likewise, where latency is measured.
        latency_rate: Messages a second in all, there.
        members: Users in the room.
        senders: How many of them write.
        logins: Logins of a run.
        idle_users: Users whose memory is measured.
        tls: Whether the daemon is measured over TLS too.
        yardstick: Whether the yardstick is measured.
    """

    seconds: float = 4.0
    pairs: int = 50
    latency_pairs: int = 20
    latency_rate: int = 2_000
    members: int = 200
    senders: int = 5
    logins: int = 4_000
    idle_users: int = 2_000
    tls: bool = True
    yardstick: bool = True

    @property
    def users(self) -> int:
        """How many accounts the workloads need."""
        idle = self.idle_users + 100
        return max(idle, 2 * self.pairs, 2 * self.latency_pairs, self.members)


Run = Callable[[Target, Plan], Result]


def _pairs(window: int, target: Target, plan: Plan) -> Result:
    return run_pairs(target, plan.pairs, window, plan.seconds)


def _any_keys(target: Target, plan: Plan) -> Result:
    """Pairs whose keys do not end in a counter, as those of other clients may."""
    assert isinstance(target, Daemon)
    target.has_any_keys = True
    found = run_pairs(target, plan.pairs, 64, plan.seconds)
    return Result("pairs W=64, any keys", found.server, found.figures)


def _room(target: Target, plan: Plan) -> Result:
    return run_room(target, plan.members, plan.senders, 32, plan.seconds)


def _latency(target: Target, plan: Plan) -> Result:
    return run_latency(target, plan.latency_pairs, plan.latency_rate, plan.seconds)


def _logins(target: Target, plan: Plan) -> Result:
    def steps(number: int) -> LoginSteps:
        return target.login(number % plan.users)

    return run_logins(target, "logins", steps, plan.logins, plan.seconds)


def _token_logins(target: Target, plan: Plan) -> Result:
    tokens: list[str] = []
    for number in range(min(50, plan.users)):
        sock = target.connect()
        run_steps(sock, remembering_login(number, tokens))
        sock.close()

    def steps(number: int) -> LoginSteps:
        return token_login(tokens[number % len(tokens)])

    return run_logins(target, "logins by token", steps, plan.logins, plan.seconds)


def _memory(target: Target, plan: Plan) -> Result:
    return run_memory(target, min(plan.idle_users, target.max_connections - 100))


WORKLOADS: dict[str, Run] = {
    "pairs64": partial(_pairs, 64),
    "pairs1": partial(_pairs, 1),
    "anykeys": _any_keys,
    "room": _room,
    "latency": _latency,
    "logins": _logins,
    "tokens": _token_logins,
    "memory": _memory,
}
# The yardstick has neither tokens nor keys.
_DAEMON_ONLY = {"tokens", "anykeys"}


def run_workload(name: str, plan: Plan) -> Iterator[Result]:
    """Run a workload on each server in turn.

    Raises:
        BenchError: A server failed, or the counts were wrong.
    """
    run = WORKLOADS[name]
    for is_tls in (False, True) if plan.tls else (False,):
        with _daemon(plan, is_tls) as daemon:
            yield run(daemon, plan)
    if plan.yardstick and name not in _DAEMON_ONLY:
        with tempfile.TemporaryDirectory(prefix="chatd-bench-") as folder:
            yardstick = Miniircd.start(Path(folder))
            with yardstick.process:
                yield run(yardstick, plan)


@contextmanager
def _daemon(plan: Plan, is_tls: bool) -> Iterator[Daemon]:
    with tempfile.TemporaryDirectory(prefix="chatd-bench-") as name:
        folder = Path(name)
        data = folder / "data"
        data.mkdir(mode=0o700)
        make_users(data, plan.users)
        daemon = Daemon.start(folder, data, is_tls)
        with daemon.process:
            yield daemon
