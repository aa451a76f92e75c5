"""Fixtures: a scripted server with files, and links to it."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from client.link.link import Link
from client.storage.paths import Paths
from tests.fakes.file_server import PASSWORD, QUICK, FileServer, Watch


@pytest.fixture
async def server() -> AsyncIterator[FileServer]:
    """A scripted server with files."""
    async with FileServer() as server:
        yield server


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    """Return the folders of the user's device."""
    return Paths.under(tmp_path / "home")


@pytest.fixture
def watch() -> Watch:
    """Return the collector of the changes of all links of the test."""
    return Watch()


@pytest.fixture
def connect(server: FileServer, paths: Paths, watch: Watch) -> Callable[..., Any]:
    """Return a function that opens a link; every test may call it several times."""

    def open_link(**options: Any) -> Any:
        found = {"timing": QUICK, "password": PASSWORD, "paths": paths}
        found["on_change"] = watch.on_change
        return Link.open(server.address, "alice", **(found | options))

    return open_link
