"""Ctrl+C on an empty line: announces what a second press does, and does only that."""

import pytest

from client.frontend.interrupts import AGAIN_SECONDS, Interrupts
from tests.fakes.link import Stage, transfer


class Keyboard:
    """Presses Ctrl+C, with time between."""

    def __init__(self, stage: Stage) -> None:
        self.now = 0.0
        self.interrupts = Interrupts(stage.workspace, lambda: self.now)
        self.frontend = stage.frontend

    def press(self, after: float = 1.0) -> str:
        """Press it; return what is shown for it."""
        before = len(self.frontend.lines)
        self.now += after
        self.interrupts.press()
        return "\n".join(self.frontend.lines[before:])


@pytest.fixture
def keyboard(stage: Stage) -> Keyboard:
    return Keyboard(stage)


def states(stage: Stage) -> list[str]:
    return [each.state for each in stage.fake.transfers.items]


def test_twice_quits_where_nothing_is_under_way(
    stage: Stage, keyboard: Keyboard
) -> None:
    assert keyboard.press() == "-- Ctrl+C again quits"
    assert not stage.frontend.is_over
    keyboard.press()
    assert stage.frontend.is_over


def test_twice_cancels_the_newest_transfer_and_nothing_else(
    stage: Stage, keyboard: Keyboard
) -> None:
    for name in ("old.tar", "core.tar"):
        stage.fake.transfers.add(transfer(name))
    assert keyboard.press() == "-- Ctrl+C again cancels core.tar"
    keyboard.press()
    assert states(stage) == ["moving", "cancelled"]
    assert keyboard.press() == "-- Ctrl+C again cancels old.tar"
    assert not stage.frontend.is_over


def test_too_late_it_only_says_it_again(stage: Stage, keyboard: Keyboard) -> None:
    stage.fake.transfers.add(transfer())
    keyboard.press()
    assert keyboard.press(AGAIN_SECONDS) == "-- Ctrl+C again cancels core.tar"
    assert states(stage) == ["moving"]


def test_a_transfer_that_ends_between_the_two_does_not_end_the_program(
    stage: Stage, keyboard: Keyboard
) -> None:
    begun = stage.fake.transfers.add(transfer())
    keyboard.press()
    stage.fake.transfers.move(begun.id, state="done")
    assert keyboard.press() == "-- Ctrl+C again quits"
    assert not stage.frontend.is_over


def test_a_transfer_that_begins_between_the_two_is_not_cancelled(
    stage: Stage, keyboard: Keyboard
) -> None:
    stage.fake.transfers.add(transfer("core.tar"))
    keyboard.press()
    stage.fake.transfers.add(transfer("new.tar"))
    assert keyboard.press() == "-- Ctrl+C again cancels new.tar"
    assert states(stage) == ["moving", "moving"]
