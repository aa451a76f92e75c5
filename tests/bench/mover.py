"""A client that transfers one file after the other, in a process of its own.

    python -m tests.bench.mover SERVER USER up PATH CHAT COUNT
    python -m tests.bench.mover SERVER USER down FOLDER CHAT COUNT

It is the real client: its link, its transfers, its thread for the bytes. Each line that
it prints is a JSON object: first ``online``, then one for each file.
"""

import asyncio
import json
import re
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from chatd.protocol.messages import Files, FilesPage
from client.link.link import Link
from client.storage.paths import Paths
from tests.bench.users import PASSWORD

_PEAK = re.compile(r"VmHWM:\s+(\d+) kB")


def peak_kib(pid: int | str = "self") -> int:
    """Return the peak resident memory since ``forget_peak``, in KiB."""
    found = _PEAK.search(Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1])


def forget_peak(pid: int | str = "self") -> None:
    """Reset the peak to what is resident now."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


@asynccontextmanager
async def _online(server: str, user: str, home: Path) -> AsyncIterator[Link]:
    async with Link.open(
        server, user, password=PASSWORD, paths=Paths.under(home), sync="none"
    ) as link:
        yield link


async def _move(link: Link, direction: str, path: Path, chat: str) -> int:
    if direction == "up":
        transfer = await link.transfers.send_file(chat, path)
    else:
        page = await link.request(Files(chat=chat, limit=1))
        assert isinstance(page, FilesPage)
        newest = page.files[0]
        transfer = await link.transfers.get_file(
            chat, newest.seq, newest.file, folder=path
        )
    done = await link.transfers.wait(transfer.id)
    if direction == "down" and done.path is not None:
        done.path.unlink()
    return done.size


def _say(**members: object) -> None:
    print(json.dumps(members), flush=True)


async def _run(
    server: str, user: str, direction: str, path: str, chat: str, count: int
) -> None:
    with TemporaryDirectory(prefix="chatd-mover-") as home:
        async with _online(server, user, Path(home)) as link:
            forget_peak()
            before = peak_kib()
            _say(event="online")
            await asyncio.to_thread(sys.stdin.readline)
            for _ in range(count):
                begun = time.perf_counter()
                size = await _move(link, direction, Path(path), chat)
                seconds = time.perf_counter() - begun
                grown = peak_kib() - before
                _say(event="moved", bytes=size, seconds=seconds, grown_kib=grown)


def main() -> None:
    """Transfer ``COUNT`` files, or as many as it can until the process is ended."""
    server, user, direction, path, chat, count = sys.argv[1:]
    asyncio.run(_run(server, user, direction, path, chat, int(count)))


if __name__ == "__main__":
    main()
