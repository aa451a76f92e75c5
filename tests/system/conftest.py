"""Fixtures for tests against the real daemon, and a watch over its memory."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from tests.fakes.raw_client import RawClient
from tests.helpers import fresh_name, logged_in
from tests.system.daemon import Daemon, Settings

MAX_GROWTH_KIB = 48 * 1024
"""How much memory a hostile client may cost, most of it the allocator's."""


@pytest.fixture
def make_daemon(tmp_path: Path) -> Iterator[Callable[..., Daemon]]:
    """Return a factory of daemons, which are ended after the test, however it ends."""
    made: list[Daemon] = []

    def make(settings: Settings | None = None, data: Path | None = None) -> Daemon:
        made.append(Daemon(tmp_path / f"daemon{len(made)}", settings, data))
        return made[-1]

    yield make
    for daemon in made:
        daemon.stop_whatever_happened()
        assert "Traceback" not in daemon.errors(), daemon.errors()[-3000:]


@contextlib.asynccontextmanager
async def watched(daemon: Daemon) -> AsyncIterator[RawClient]:
    """Watch the daemon's memory, and its replies to a well-behaved client.

    Fails if it grows by more than ``MAX_GROWTH_KIB`` or leaves a request unanswered.
    """
    async with logged_in(daemon.tcp, fresh_name("good")) as (good,):
        before = daemon.resident_kib()
        highest = before

        async def behave() -> None:
            nonlocal highest
            while True:
                await good.ask("ping")
                await good.say(f"@{good.user}", "all is well")
                await good.expect("message", text="all is well")
                highest = max(highest, daemon.resident_kib())
                await asyncio.sleep(0.02)

        task = asyncio.create_task(behave())
        try:
            yield good
        finally:
            task.cancel()
            (outcome,) = await asyncio.gather(task, return_exceptions=True)
        assert isinstance(outcome, asyncio.CancelledError), outcome
        await good.drain()
        assert highest - before < MAX_GROWTH_KIB, f"{before} KiB became {highest} KiB"
