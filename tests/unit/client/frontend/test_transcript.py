"""The transcript: own messages, those of others, the link and files, as lines."""

from collections.abc import Callable

import msgspec
import pytest

from chatd.protocol.messages import (
    Invited,
    Left,
    Presence,
    PresenceOf,
    Synced,
)
from client.frontend.transcript import Transcript
from client.link.reconnect import LinkState
from client.model.changes import ChatRemoved
from client.model.entries import OutboxItem
from tests.fakes.link import NOON_MS, Stage, info, message, room, transfer


class Clock:
    """A timer that fires when the test lets time pass."""

    def __init__(self) -> None:
        self.calls: list[tuple[Clock.Call, Callable[[], None]]] = []

    class Call:
        is_cancelled = False

        def cancel(self) -> None:
            self.is_cancelled = True

    def later(self, seconds: float, call: Callable[[], None]) -> "Clock.Call":
        timer = Clock.Call()
        self.calls.append((timer, call))
        return timer

    def pass_time(self) -> None:
        calls, self.calls = self.calls, []
        for timer, call in calls:
            if not timer.is_cancelled:
                call()


class Scene(Stage):
    """A stage with a transcript, online in #ops."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.transcript = Transcript(self.workspace, self.clock.later)
        self.fake.on_change = self.transcript.changed

    def set_state(self, name: str, **members: object) -> None:
        self.fake.state = msgspec.convert({"name": name, **members}, LinkState)
        self.transcript.state_changed(self.fake.state)

    def shown(self) -> str:
        """Return what was shown since the last call."""
        lines, self.frontend.lines = self.frontend.lines, []
        return "\n".join(lines)

    def confirm(self, item: OutboxItem, seq: int = 1) -> None:
        self.fake.settle(
            msgspec.structs.replace(item, state="sent", seq=seq, time_ms=NOON_MS)
        )


@pytest.fixture
async def scene() -> Scene:
    scene = Scene()
    scene.workspace.current = "#ops"
    scene.set_state("online")
    scene.fake.log_in(room(), room("#lab"), room("@bob", role=None))
    await scene.transcript.open("#ops")
    scene.shown()
    return scene


# The user's own messages --------------------------------------------------------------


async def test_a_message_confirmed_at_once_is_shown_once_and_plainly(
    scene: Scene,
) -> None:
    item = await scene.fake.send("#ops", "hi")
    assert scene.shown() == ""
    scene.confirm(item)
    scene.fake.take(message("hi", 1, "alice"))
    scene.clock.pass_time()
    assert scene.shown() == "12:00 alice      hi"


async def test_the_entry_may_come_before_the_confirmation(scene: Scene) -> None:
    item = await scene.fake.send("#ops", "hi")
    scene.fake.take(message("hi", 1, "alice"))
    scene.confirm(item)
    scene.clock.pass_time()
    assert scene.shown() == "12:00 alice      hi"


async def test_a_message_that_waits_is_shown_so_and_then_said_to_be_sent(
    scene: Scene,
) -> None:
    item = await scene.fake.send("#ops", "hi")
    scene.clock.pass_time()
    assert scene.shown().endswith("hi  (waiting)")
    scene.confirm(item)
    scene.fake.take(message("hi", 1, "alice"))
    scene.clock.pass_time()
    assert scene.shown() == '-- sent: "hi"'


async def test_offline_a_message_is_shown_as_waiting_at_once(scene: Scene) -> None:
    scene.set_state("waiting", seconds=2.0, reason="no network")
    scene.shown()
    await scene.fake.send("#ops", "hi")
    assert scene.shown().endswith("hi  (waiting)")


async def test_many_that_waited_are_said_to_be_sent_in_one_line(scene: Scene) -> None:
    items = [await scene.fake.send("#ops", f"text {n}") for n in range(3)]
    scene.clock.pass_time()
    scene.shown()
    for seq, item in enumerate(items, 1):
        scene.fake.take(message(item.text, seq, "alice"))
        scene.confirm(item, seq)
    scene.clock.pass_time()
    assert scene.shown() == "-- sent: 3 messages that were waiting"


async def test_a_refused_message_is_shown_with_the_reason_and_what_to_do(
    scene: Scene,
) -> None:
    item = await scene.fake.send("#ops", "hi")
    refused = msgspec.structs.replace(item, state="refused", reason="you are muted")
    scene.fake.settle(refused)
    shown = scene.shown()
    assert "hi  (not sent: you are muted)" in shown
    assert "/retry" in shown
    scene.clock.pass_time()
    assert scene.shown() == ""


async def test_the_same_text_from_another_device_is_shown_too(scene: Scene) -> None:
    item = await scene.fake.send("#ops", "hi")
    scene.confirm(item, 1)
    scene.fake.take(message("hi", 1, "alice"))
    scene.fake.take(message("hi", 2, "alice"))
    assert scene.shown().count("hi") == 2


async def test_a_message_to_another_chat_says_which(scene: Scene) -> None:
    item = await scene.fake.send("@bob", "psst")
    scene.confirm(item)
    assert scene.shown() == "12:00 @bob alice: psst"


# Messages of others -------------------------------------------------------------------


async def test_a_message_in_the_open_chat_is_shown_plainly(scene: Scene) -> None:
    scene.fake.take(message("hello", 1))
    assert scene.shown() == "12:00 bob        hello"


async def test_a_message_elsewhere_says_where(scene: Scene) -> None:
    scene.fake.take(message("hello", 1, chat="#lab"))
    scene.fake.take(message("psst", 1, chat="@bob"))
    assert scene.shown() == "12:00 #lab bob: hello\n12:00 @bob: psst"


async def test_who_joins_elsewhere_is_not_told(scene: Scene) -> None:
    scene.fake.take(message("", 1, chat="#lab", kind="join"))
    scene.fake.take(message("", 1, kind="join"))
    assert scene.shown() == "12:00 -- bob joined"


async def test_a_new_day_is_said_once(scene: Scene) -> None:
    day = 86_400_000
    scene.fake.take(message("a", 1, time=NOON_MS - 400 * day))
    scene.fake.take(message("b", 2, time=NOON_MS - 400 * day))
    scene.fake.take(message("c", 3, time=NOON_MS - 399 * day))
    assert scene.shown().count("2025 ──") == 2


async def test_what_is_shown_counts_as_read_only_once_somebody_is_there(
    scene: Scene,
) -> None:
    scene.fake.take(message("hello", 1))
    assert scene.fake.reads == []
    scene.transcript.seen()
    assert scene.fake.reads == [("#ops", 1)]


async def test_opening_a_chat_shows_where_the_new_begins(scene: Scene) -> None:
    for seq in (1, 2):
        scene.fake.take(message(f"text {seq}", seq, chat="#lab"))
    scene.fake.mark_read("#lab", 1)
    scene.shown()
    scene.workspace.current = "#lab"
    await scene.transcript.open("#lab")
    lines = scene.shown().split("\n")
    assert lines[0].startswith("── #lab ─")
    assert [line.split()[-1][:5] for line in lines[1:]] == ["1", "─" * 5, "2"]
    assert "new" in lines[2]
    assert scene.fake.reads[-1] == ("#lab", 2)


async def test_invitations_are_told(scene: Scene) -> None:
    scene.fake.take(Invited(room="#secret", by="bob"))
    assert "bob invites you to #secret: /join #secret" in scene.shown()


async def test_being_put_out_of_the_open_room_is_told(scene: Scene) -> None:
    scene.fake.take(Left(chat="#ops", code="removed"))
    assert "not in #ops any more (removed)" in scene.shown()
    assert scene.workspace.current is None


async def test_the_other_in_a_direct_chat_going_away_is_told(scene: Scene) -> None:
    scene.workspace.current = "@bob"
    for status in ("online", "online", "away"):
        users = {"bob": PresenceOf(status=status)}
        scene.fake.take(Presence(users=users, more=False))
    assert scene.shown() == "-- bob is away"


# The link -----------------------------------------------------------------------------


async def test_an_outage_takes_two_lines_however_often_it_is_tried(
    scene: Scene,
) -> None:
    for seconds in (2.0, 4.0, 8.0):
        scene.set_state("waiting", seconds=seconds, reason="gone")
        scene.set_state("connecting")
    scene.set_state("online", round_trip_ms=1.0)
    scene.set_state("online", round_trip_ms=2.0)
    assert scene.shown() == (
        "-- connection lost (gone), retrying in 2 s\n-- back online"
    )


async def test_the_start_says_who_one_is_and_what_is_unread() -> None:
    scene = Scene()
    scene.set_state("online")
    scene.fake.log_in(room(last=5, unread=3), synced=False)
    scene.fake.take(message("alice?", 5, prev=4))
    scene.fake.take(Synced())
    shown = scene.shown()
    assert "online as alice at Lab 3" in shown
    assert "unread: #ops 3" in shown
    assert "no chat is open" in shown


async def test_news_of_an_outage_are_summed_up(scene: Scene) -> None:
    scene.fake.model.go_offline()
    scene.set_state("waiting", seconds=1.0, error=None)
    scene.set_state("online")
    scene.fake.log_in(room(), room("#lab", last=2, unread=2), synced=False)
    scene.fake.take(message("one", 1, chat="#lab"))
    scene.fake.take(message("two", 2, chat="#lab"))
    scene.fake.take(Synced())
    shown = scene.shown()
    assert "unread: #lab 2" in shown
    assert "one" not in shown


async def test_a_chat_stays_open_when_its_only_message_is_thrown_away(
    scene: Scene,
) -> None:
    scene.workspace.current = "@nobody"
    before = len(scene.frontend.lines)
    scene.transcript.changed(ChatRemoved(chat="@nobody", code="discarded"))
    assert scene.workspace.current == "@nobody"
    assert len(scene.frontend.lines) == before


# Files --------------------------------------------------------------------------------


async def test_a_file_elsewhere_says_where_and_how_to_get_it(scene: Scene) -> None:
    sent = message("look", 118, chat="#lab", kind="file", file=info())
    scene.fake.take(sent)
    assert scene.shown().split("\n") == [
        "12:00 #lab bob: look",
        "                core.tar  734 MB  application/x-tar  /get 118",
    ]


async def test_only_the_end_of_a_transfer_is_told_and_only_once(scene: Scene) -> None:
    begun = scene.fake.transfers.add(transfer())
    scene.fake.transfers.move(begun.id, moved=1)
    assert scene.shown() == ""
    scene.fake.transfers.move(begun.id, state="done")
    scene.fake.transfers.move(begun.id, seq=118)
    assert scene.shown() == "-- core.tar was sent to #ops"


async def test_a_transfer_that_failed_is_told_as_an_error(scene: Scene) -> None:
    begun = scene.fake.transfers.add(transfer())
    scene.frontend.styles.clear()
    scene.fake.transfers.move(begun.id, state="failed", reason="you are muted")
    assert scene.shown() == "-- core.tar was not sent to #ops: you are muted"
    assert scene.frontend.styles == ["class:error"]


async def test_what_goes_on_from_an_earlier_run_is_announced_in_one_line(
    scene: Scene,
) -> None:
    scene.fake.transfers.add(transfer())
    scene.clock.pass_time()
    assert scene.shown() == "-- going on with core.tar to #ops"
    for _ in range(2):
        scene.fake.transfers.add(transfer())
    scene.clock.pass_time()
    assert scene.shown() == "-- going on with 2 files: /transfers lists them"


async def test_what_was_asked_for_now_or_is_over_at_once_is_not_announced(
    scene: Scene,
) -> None:
    asked = scene.fake.transfers.add(transfer())
    scene.workspace.begun.add(asked.id)
    quick = scene.fake.transfers.add(transfer())
    scene.fake.transfers.move(quick.id, state="done")
    scene.shown()
    scene.clock.pass_time()
    assert scene.shown() == ""
