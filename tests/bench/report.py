"""The tables of results: one row per figure, the servers side by side, the ratio."""

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


_FILES = (
    ("file up", "mb_per_second", "a file up, by the client, MB/s"),
    ("file down", "mb_per_second", "a file down, its bytes alone, MB/s"),
    ("file down", "mb_per_cpu_second", "the same, MB per CPU-s of the server"),
    ("chat get", "mb_per_second", "a file down, by the client, MB/s"),
    ("latency alone", "p50_ms", "p50 of chat latency at 1,000/s, ms"),
    ("latency beside", "p50_ms", "the same beside 1 GB up and 1 GB down, ms"),
    ("latency alone", "p99_ms", "p99 of chat latency at 1,000/s, ms"),
    ("latency beside", "p99_ms", "the same beside 1 GB up and 1 GB down, ms"),
    ("memory while 2 GB pass", "daemon_mib", "2 GB pass: the daemon grows by MiB"),
    ("memory while 2 GB pass", "sender_mib", "2 GB pass: the sender grows by MiB"),
    ("memory while 2 GB pass", "receiver_mib", "2 GB pass: the receiver grows by MiB"),
    ("loop held", "cpu_ms", "the loop works at one go at most, ms"),
    ("loop held", "cpu_p9999_ms", "the same, p99.99, ms"),
    ("loop held", "cpu_p999_ms", "the same, p99.9, ms"),
    ("loop held", "noise_ms", "the machine adds to a fixed piece of work up to ms"),
    ("loop held", "wall_ms", "the loop comes round late by at most, ms"),
)
_COPY_LOOP, _COPY_LOOP_TLS = "copy loop", "copy loop TLS"

_UI = (
    ("ui start", "imports_ms", "imports, beyond Python's own start, ms", "250"),
    ("ui start", "libraries_ms", "of that, what libraries need by themselves, ms", ""),
    ("ui start", "screen_ms", "then to the first screen, ms", "400"),
    ("ui start", "rss_mib", "memory after a start, MiB", "120"),
    ("ui key", "p50_ms", "p50 from a key to its frame, ms", "8"),
    ("ui key", "p99_ms", "p99 of that, ms", "15"),
    ("ui key", "cpu_ms", "the client works for it, ms", ""),
    ("ui key", "work_p50_ms", "p50 of a fixed piece of work between keys, ms", ""),
    ("ui key", "work_p99_ms", "p99 of that, ms: what the machine adds", ""),
    ("ui key", "bytes", "bytes to the terminal", ""),
    ("ui message", "p50_ms", "p50 from a message to its frame, 50 a second, ms", "8"),
    ("ui message", "p99_ms", "p99 of that, ms", "15"),
    ("ui message", "cpu_ms", "the client works for it, ms", ""),
    ("ui message", "bytes", "bytes to the terminal", "1,500"),
    ("ui burst", "frames", "500 messages at once: frames", "few"),
    ("ui burst", "bytes", "the same: bytes to the terminal", ""),
    ("ui burst", "wall_ms", "the same: sent to the last one's frame, ms", ""),
    ("ui idle", "bytes", "10 s of nothing: bytes to the terminal", "0"),
    ("ui idle", "cpu_ms", "the same: the client works, ms a second", ""),
    ("ui idle", "rss_mib", "memory after all that, MiB", "120"),
    ("ui frame key", "p50_ms", "p50 of the frame alone for a key, ms", "8"),
    ("ui frame key", "p99_ms", "p99 of that, ms", "15"),
    ("ui frame message", "p50_ms", "p50 of the frame alone for a message, ms", "8"),
    ("ui frame message", "p99_ms", "p99 of that, ms", "15"),
    ("ui frame page up", "p50_ms", "p50 of the frame alone for a page up, ms", ""),
    ("ui paste", "asks_ms", "10,000 lines pasted: it asks after ms", ""),
    ("ui paste", "holds_ms", "the same: the loop is held for ms at most", ""),
)


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
    """Return the table of the figures for an empty and for a big database."""
    empty, big = (result.figures for result in results)
    words = {"chat": sizes.chat, "total": sizes.total, "rooms": sizes.rooms}
    rows = [["how cost grows", "empty", "big"]]
    for figure, label in _GROWTH.items():
        values = [_number(empty[figure]), _number(big[figure])]
        rows.append([label.format(**words), *values])
    return _aligned(rows, texts=1)


def files_table(results: Sequence[Result]) -> str:
    """Return the table of files; the ratio is ours to the bare copy loop's."""
    rows = [["files", OURS, OURS_TLS, _COPY_LOOP, _COPY_LOOP_TLS, "ratio", "TLS"]]
    for workload, figure, label in _FILES:
        by_server = {r.server: r.figures for r in results if r.workload == workload}
        found = [
            by_server.get(server, {}).get(figure)
            for server in (OURS, OURS_TLS, _COPY_LOOP, _COPY_LOOP_TLS)
        ]
        ratios = [
            f"{ours / loop:.2f}" if ours and loop else ""
            for ours, loop in zip(found[:2], found[2:], strict=True)
        ]
        rows.append([label, *map(_number, found), *ratios])
    return _aligned(rows, texts=1)


def ui_table(results: Sequence[Result]) -> str:
    """Return the table of the full screen, by messages in the chat."""
    found = {(r.workload, r.server): r.figures for r in results}
    labels = list(dict.fromkeys(result.server for result in results))
    heads = [f"{label} messages" for label in labels]
    rows = [["full screen at 120x40, a chat of", *heads, "goal: under"]]
    for workload, figure, text, goal in _UI:
        values = [found.get((workload, label), {}).get(figure) for label in labels]
        rows.append([text, *map(_number, values), goal])
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
