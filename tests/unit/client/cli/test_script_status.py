"""Status lines and progress on stderr in scripts (client.cli.script_status)."""

import io
from typing import Any

from client.cli.script_status import REDRAW_SECONDS, ScriptStatus
from client.link.reconnect import LinkState
from client.model.changes import ItemChanged, TransferChanged
from tests.fakes.link import sending, transfer

ERASE = "\r\x1b[K"
AWAY = LinkState(name="waiting", reason="no network")
ONLINE = LinkState(name="online")


class Out(io.StringIO):
    """A stderr that is a terminal, or not."""

    def __init__(self, is_terminal: bool) -> None:
        super().__init__()
        self._is_terminal = is_terminal

    def isatty(self) -> bool:
        return self._is_terminal


class Listener:
    """Reads what is written to stderr, and controls the time."""

    def __init__(self, is_terminal: bool = True) -> None:
        self.now = 0.0
        self._out = Out(is_terminal)
        self.stderr = ScriptStatus(self._out, lambda: self.now)
        self.stderr.watch("up", "#ops")

    def heard(self) -> str:
        """Return what was written since the last call."""
        text = self._out.getvalue()
        self._out.seek(0)
        self._out.truncate()
        return text

    def move(self, after: float = 0.0, **members: Any) -> str:
        """Report progress of a transfer; return what is written for it."""
        self.now += after
        self.stderr.changed(TransferChanged(transfer=transfer(**members)))
        return self.heard()


def test_each_outage_is_said_once() -> None:
    listener = Listener(is_terminal=False)
    for state in (AWAY, LinkState(name="connecting"), AWAY, ONLINE, ONLINE):
        listener.stderr.state_changed("tls://lab:4747", state)
    assert listener.heard().splitlines() == [
        "chat: no network; trying again until it works",
        "chat: tls://lab:4747 is back",
    ]


def test_a_cut_that_the_next_attempt_mends_is_not_worth_a_word() -> None:
    listener = Listener(is_terminal=False)
    for _ in range(3):
        for state in (AWAY, LinkState(name="connecting"), ONLINE):
            listener.stderr.state_changed("tls://lab:4747", state)
    assert listener.heard() == ""


def test_why_a_message_waits_is_said_once() -> None:
    listener = Listener(is_terminal=False)
    item = sending(id=1, chat="#ops", text="x", key="k", reason="too many\x1b")
    for _ in range(2):
        listener.stderr.changed(ItemChanged(item=item))
    assert (
        listener.heard() == "chat: too many␛; the rest is sent as soon as it may be\n"
    )


def test_progress_is_one_line_that_is_rewritten_and_taken_off() -> None:
    listener = Listener()
    first = listener.move(moved=0)
    assert first.startswith(f"{ERASE}core.tar to #ops  [")
    assert "\n" not in first
    assert "50 %" in listener.move(REDRAW_SECONDS, moved=367_001_600)
    assert listener.move(REDRAW_SECONDS, state="done") == ERASE
    listener.stderr.clear()
    assert listener.heard() == ""


def test_progress_is_not_rewritten_more_often_than_four_times_a_second() -> None:
    listener = Listener()
    listener.move()
    assert listener.move(REDRAW_SECONDS / 2, moved=1) == ""
    assert listener.move(0, state="waiting") != ""


def test_what_is_said_stands_above_the_progress() -> None:
    listener = Listener()
    shown = listener.move()
    listener.stderr.state_changed("tls://lab:4747", AWAY)
    assert listener.heard() == ""
    listener.stderr.state_changed("tls://lab:4747", AWAY)
    said = "chat: no network; trying again until it works"
    assert listener.heard() == f"{ERASE}{said}\n{shown}"


def test_there_is_no_progress_where_stderr_is_no_terminal() -> None:
    listener = Listener(is_terminal=False)
    assert listener.move() + listener.move(1.0, state="done") == ""


def test_only_the_newest_transfer_that_goes_the_watched_way_is_shown() -> None:
    listener = Listener()
    assert listener.move(id=7, chat="#lab") == ""
    assert listener.move(id=8, direction="down") == ""
    assert listener.move(id=9) != ""
    assert listener.move(1.0, id=7) == ""
