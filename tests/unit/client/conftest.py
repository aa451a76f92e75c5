"""Fixtures for the client's tests, which run in UTC."""

import time
from collections.abc import Iterator

import pytest

from tests.fakes.link import Stage


@pytest.fixture(autouse=True)
def _utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def stage() -> Stage:
    """A workspace with a fake link and frontend, in #ops."""
    stage = Stage()
    return stage
