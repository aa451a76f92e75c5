"""Benchmarks how cost grows: the same operations on an empty database and a big one."""

import secrets
import socket
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from tests.bench.answers import Answers, Request, ask
from tests.bench.big import ALICE, BOB, MANY, USERS, Sizes, big_folder, drop_page_cache
from tests.bench.daemon import Daemon
from tests.bench.process import BenchError
from tests.bench.results import Result
from tests.bench.target import TEXT
from tests.bench.users import make_users, user_name

SENDS = 200
LOGINS = 20
PAGES = 50
PAGE_ENTRIES = 50


def run_growth(folder: Path, sizes: Sizes, cache: Path | None) -> list[Result]:
    """Measure on an empty data folder within ``folder``, then on the big one.

    Args:
        folder: For the daemon's files; new.
        sizes: Sizes of the big database.
        cache: Where the big one is kept; None: the temporary folder.
    """
    empty = folder / "empty"
    empty.mkdir()
    make_users(empty, USERS)
    small = _measure("empty", folder, empty, SENDS)
    big = _measure("big", folder, big_folder(sizes, cache), sizes.chat)
    return [small, big]


def _measure(name: str, folder: Path, data: Path, entries: int) -> Result:
    drop_page_cache(data)
    start = time.perf_counter()
    daemon = Daemon.start(folder, data)
    start_ms = (time.perf_counter() - start) * 1_000
    with daemon.process, daemon.log_in(ALICE).sock as sock:
        figures = {
            "start_ms": start_ms,
            "send_ms": _median_ms(_sending(sock), SENDS),
            "login_ms": _median_ms(lambda _: daemon.log_in(MANY).close(), LOGINS),
            "history_ms": _median_ms(_paging(sock, entries), PAGES),
            "rss_mib": daemon.process.rss_kib() / 1024,
        }
    return Result("growth", name, figures)


def _median_ms(action: Callable[[int], object], times: int) -> float:
    took = []
    for number in range(times):
        start = time.perf_counter()
        action(number)
        took.append(time.perf_counter() - start)
    return median(took) * 1_000


def _sending(sock: socket.socket) -> Callable[[int], object]:
    answers = Answers()
    key = secrets.token_urlsafe(16)

    def send(number: int) -> None:
        request: Request = {
            "type": "send",
            "id": number + 1,
            "chat": f"@{user_name(BOB)}",
            "text": TEXT.decode(),
            "key": f"{key}-{number}",
        }
        ask(sock, answers, request, "sent")

    return send


def _paging(sock: socket.socket, entries: int) -> Callable[[int], object]:
    answers = Answers()

    def page(number: int) -> None:
        # Pages from all over the middle third, none twice.
        before = entries // 3 + number * max(1, entries // 3 // PAGES)
        request: Request = {
            "type": "history",
            "id": number + 1,
            "chat": f"@{user_name(BOB)}",
            "before": before,
            "limit": PAGE_ENTRIES,
        }
        ask(sock, answers, request, "history")
        if answers.body.count(b'"seq":') != PAGE_ENTRIES:
            raise BenchError("a page of history in the middle of a log was not full")

    return page
