"""The progress area above the prompt in line mode: which lines, and when drawn."""

from collections.abc import Callable

import pytest

from client.line.progress_area import ProgressArea
from tests.fakes.link import transfer


class Prompt:
    """Counts how often it is drawn; the test advances its time."""

    def __init__(self) -> None:
        self.drawn = 0
        self._calls: list[Callable[[], None]] = []
        self.area = ProgressArea(self._draw, lambda _, call: self._calls.append(call))

    def _draw(self) -> None:
        self.drawn += 1

    def pass_time(self) -> None:
        calls, self._calls = self._calls, []
        for call in calls:
            call()


@pytest.fixture
def prompt() -> Prompt:
    return Prompt()


def test_what_is_over_in_a_moment_is_never_shown(prompt: Prompt) -> None:
    prompt.area.changed(transfer())
    assert prompt.area.rows([transfer()], 80) == []
    prompt.area.changed(transfer(state="done"))
    prompt.pass_time()
    assert prompt.drawn == 0


def test_what_takes_longer_is_shown_though_nothing_else_happens(prompt: Prompt) -> None:
    prompt.area.changed(transfer())
    assert prompt.drawn == 0
    prompt.pass_time()
    assert prompt.drawn == 1
    assert len(prompt.area.rows([transfer()], 80)) == 1


def test_it_is_drawn_once_for_each_change_and_goes_away_at_the_end(
    prompt: Prompt,
) -> None:
    prompt.area.changed(transfer())
    prompt.pass_time()
    for state in ("moving", "done"):
        prompt.area.changed(transfer(state=state))
    assert prompt.drawn == 3
    assert prompt.area.rows([transfer(state="done")], 80) == []
