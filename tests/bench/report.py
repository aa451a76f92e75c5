"""The tables: one row per figure, the servers side by side, and the ratio."""

import os
import platform
from collections.abc import Sequence

from tests.bench.big import Sizes
from tests.bench.process import cores
from tests.bench.results import Result

OURS, OURS_TLS, YARDSTICK = "chatd", "chatd TLS", "miniircd"

_FIGURES = {
    "per_cpu_second": "per CPU-s",
    "per_second": "per s",
    "p50_ms": "p50 ms",
    "p99_ms": "p99 ms",
    "kib_per_user": "KiB per idle user",
}
_GROWTH = {
    "send_ms": "send into a chat of {chat:,} entries, ms",
    "login_ms": "login with {rooms:,} chats, 3 with news, ms",
    "start_ms": "start on {total:,} entries, not in the page cache, ms",
    "history_ms": "a page of 50 in the middle of {chat:,} entries, ms",
    "rss_mib": "memory of the daemon after all that, MiB",
}


NOTE = (
    "ratio: chatd to miniircd, both without TLS. chatd has stored a message (fsync)\n"
    "before it confirms and delivers it; miniircd keeps nothing and checks no password."
)


def heading() -> str:
    """Return a line about the machine."""
    server, load = cores()
    shared = " (one core for both: expect little)" if server == load else ""
    return (
        f"CPython {platform.python_version()}, {os.cpu_count()} cores; the server on "
        f"core {server}, the load on core {load}{shared}; deliveries of 100-byte texts"
    )


def workload_table(results: Sequence[Result]) -> str:
    """Return the workloads' table; the ratio is ours to miniircd's, without TLS."""
    rows = [["workload", "figure", OURS, OURS_TLS, YARDSTICK, "ratio"]]
    for workload in dict.fromkeys(result.workload for result in results):
        by_server = {r.server: r.figures for r in results if r.workload == workload}
        for figure, label in _FIGURES.items():
            found = [
                by_server.get(server, {}).get(figure)
                for server in (OURS, OURS_TLS, YARDSTICK)
            ]
            if found[0] is None:
                continue
            ratio = f"{found[0] / found[2]:.2f}" if found[2] else ""
            rows.append([workload, label, *map(_number, found), ratio])
    return _aligned(rows, texts=2)


def growth_table(results: Sequence[Result], sizes: Sizes) -> str:
    """Return the table of what is measured on an empty and on a big database."""
    empty, big = (result.figures for result in results)
    words = {"chat": sizes.chat, "total": sizes.total, "rooms": sizes.rooms}
    rows = [["how cost grows", "empty", "big"]]
    for figure, label in _GROWTH.items():
        values = [_number(empty[figure]), _number(big[figure])]
        rows.append([label.format(**words), *values])
    return _aligned(rows, texts=1)


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    if value >= 1_000_000:
        return f"{value / 1_000_000:.2f}M"
    if value >= 10_000:
        return f"{value / 1_000:.1f}k"
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"


def _aligned(rows: Sequence[Sequence[str]], texts: int) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [
            cell.ljust(width) if index < texts else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)
