"""The timeline over the model: reading position, unread line, selection, mouse."""

from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import pytest
from prompt_toolkit.mouse_events import MouseEventType

from chatd.protocol.messages import FileInfo, ReadPush, Synced
from client.model.entries import Transfer
from client.text.styles import plain
from tests.fakes.link import NOON_MS, entry, room, sending
from tests.unit.client.ui.timeline.reading import (
    MINUTE_MS,
    TimelineStage,
    numbers,
    past,
)

DAY_MS = 86_400_000


@pytest.fixture
def stage() -> TimelineStage:
    stage = TimelineStage()
    stage.log_in()
    return stage


@pytest.fixture
def long_stage() -> TimelineStage:
    """#ops with a hundred read messages, in a window of ten rows."""
    stage = TimelineStage(60, 10)
    stage.log_in(room(last=100, read=100))
    stage.load(past(1, 100))
    stage.lines()
    return stage


# Content ------------------------------------------------------------------------------


def test_messages_are_grouped_by_sender_and_day(stage: TimelineStage) -> None:
    stage.say("one", "two")
    stage.say("three", sender="carol")
    stage.say("four", sender="carol", time=NOON_MS + DAY_MS)
    assert stage.lines()[-7:] == [
        "── the beginning of #ops " + "─" * 54,
        "── Today, Saturday, 21 November 2026 " + "─" * 42,
        "  12:01 bob        one",
        "  12:02            two",
        "  12:03 carol      three",
        "── Sunday, 22 November 2026 " + "─" * 51,
        "  12:00 carol      four",
    ]


def test_a_name_is_said_again_after_a_pause_an_event_or_a_notice(
    stage: TimelineStage,
) -> None:
    stage.say("one")
    stage.say("two", time=NOON_MS + 30 * MINUTE_MS)
    stage.say("", kind="join")
    stage.say("three", time=NOON_MS + 31 * MINUTE_MS)
    stage.timeline.notice([[("class:notice", "-- hello")]])
    stage.say("four", time=NOON_MS + 32 * MINUTE_MS)
    named = [line for line in stage.lines() if " bob  " in line]
    assert [line.split()[-1] for line in named] == ["one", "two", "three", "four"]


def test_messages_of_one_minute_show_the_time_once(stage: TimelineStage) -> None:
    stage.say("one", "two", time=NOON_MS)
    assert stage.lines()[-1] == "                   two"


def test_the_name_stands_in_the_highest_row_if_it_is_above(
    long_stage: TimelineStage,
) -> None:
    assert long_stage.lines()[:2] == [
        "  13:31 bob        m91",
        "  13:32            m92",
    ]


def test_a_notice_stays_where_it_was_said(stage: TimelineStage) -> None:
    stage.say("one")
    stage.timeline.notice([[("class:notice", "-- hello")]])
    stage.say("two")
    assert [line.split()[-1] for line in stage.lines()[-3:]] == ["one", "hello", "two"]
    stage.timeline.clear_notices()
    assert "hello" not in stage.text


def test_each_chat_has_its_own_notices() -> None:
    stage = TimelineStage()
    stage.log_in(room(), room("#lab"))
    stage.timeline.notice([[("", "in ops")]])
    stage.timeline.open("#lab")
    assert "in ops" not in stage.text
    stage.timeline.open("#ops")
    assert "in ops" in stage.text


def test_an_empty_chat_says_so(stage: TimelineStage) -> None:
    assert stage.lines()[-1] == "-- nothing was written here so far"
    stage.timeline.open("@nobody")
    assert stage.lines()[-1] == "-- nothing was written here so far"


def test_without_a_chat_there_is_a_welcome(stage: TimelineStage) -> None:
    stage.timeline.open(None)
    assert "/join #room" in stage.text
    stage.timeline.welcome = [[("", "Hello!")]]
    stage.timeline.refresh()
    assert stage.lines()[-1] == "Hello!"


def test_what_is_missing_is_said(stage: TimelineStage) -> None:
    stage.load([*past(5, 6), *past(9, 9)])
    assert stage.lines()[-6:] == [
        "── earlier messages are not loaded yet " + "─" * 40,
        "── Today, Saturday, 21 November 2026 " + "─" * 42,
        "  12:05 bob        m5",
        "  12:06            m6",
        "── not loaded yet " + "─" * 61,
        "  12:09 bob        m9",
    ]


def test_ones_own_message_is_shown_at_once_and_then_becomes_an_entry(
    stage: TimelineStage,
) -> None:
    item = sending(id=1, chat="#ops", text="hi", key="k", created_ms=NOON_MS)
    stage.fake.model.apply_item(item)
    stage.timeline.refresh()
    assert stage.lines()[-1] == "~ 12:00 alice      hi"
    stage.fake.settle(msgspec.structs.replace(item, state="sent", seq=1))
    stage.timeline.refresh()
    assert stage.lines()[-1] == "  12:00 alice      hi"
    stage.say("hi", sender="alice", key="k", time=NOON_MS)
    assert stage.lines()[-2:] == [
        "── Today, Saturday, 21 November 2026 " + "─" * 42,
        "  12:00 alice      hi",
    ]


def test_a_refused_message_says_why(stage: TimelineStage) -> None:
    item = sending(
        id=1, chat="#ops", text="hi", key="k", state="refused", reason="you are muted"
    )
    stage.fake.model.apply_item(item)
    stage.timeline.refresh()
    assert stage.lines()[-2].startswith("x ")
    assert "you are muted" in stage.lines()[-1]


def test_the_newest_of_ones_own_messages_that_was_read_says_so() -> None:
    stage = TimelineStage()
    stage.fake.log_in(room("@bob", role=None, peer_read=0))
    stage.timeline.open("@bob")
    chat = stage.fake.model.chats["@bob"]
    chat.insert(past(1, 3, chat="@bob", sender="alice"))
    stage.fake.take(ReadPush(chat="@bob", user="bob", seq=2))
    stage.timeline.refresh()
    assert [line.split()[-1] for line in stage.lines()[-3:]] == ["m1", "(read)", "m3"]
    stage.fake.take(ReadPush(chat="@bob", user="bob", seq=3))
    stage.timeline.refresh()
    assert [line.split()[-1] for line in stage.lines()[-2:]] == ["m2", "(read)"]


def transfer(**members: Any) -> Transfer:
    given: dict[str, Any] = {"direction": "up", "state": "moving", "chat": "#ops"}
    size = {"name": "a.bin", "size": 300, "moved": 99}
    return Transfer(id=1, **(given | size | members))


def test_a_file_that_is_sent_is_below_all_until_its_entry_comes(
    stage: TimelineStage,
) -> None:
    stage.say("one")
    items = stage.fake.transfers.items
    items.append(transfer())
    stage.timeline.refresh()
    assert "33 %" in stage.lines()[-1]
    items[0] = transfer(state="done", moved=300, seq=2)
    stage.timeline.refresh()
    assert "a.bin was sent" in stage.lines()[-1]
    info = FileInfo(id="f", name="a.bin", size=300, sha256="")
    stage.say("", sender="alice", kind="file", file=info)
    assert stage.lines()[-1].startswith("  12:02 alice      a.bin  300 bytes")


def test_a_file_that_is_fetched_shows_how_far_it_is(stage: TimelineStage) -> None:
    info = FileInfo(id="f", name="a.bin", size=300, sha256="")
    stage.say("", kind="file", file=info)
    items = stage.fake.transfers.items
    items.append(transfer(direction="down", seq=1))
    stage.timeline.refresh()
    assert "33 %" in stage.lines()[-1]
    items[0] = transfer(direction="down", seq=1, state="done", path=Path("/x/a.bin"))
    stage.timeline.refresh()
    assert stage.lines()[-1].endswith("saved to /x/a.bin")


def test_bare_shows_only_text(stage: TimelineStage) -> None:
    stage.say("**one**", "two")
    stage.timeline.is_bare = True
    assert stage.lines()[-2:] == ["**one**", "two"]


def test_what_is_looked_for_is_highlighted(stage: TimelineStage) -> None:
    stage.say("the disk is full")
    stage.timeline.highlight = "DISK"
    row = stage.timeline.seen(80, 24)[-1]
    assert row is not None
    assert ("class:match", "disk") in row.line


# Position -----------------------------------------------------------------------------


def test_at_the_bottom_one_follows(long_stage: TimelineStage) -> None:
    long_stage.say("m101", "m102")
    assert numbers(long_stage)[-1] == 102
    assert long_stage.timeline.is_at_bottom
    assert long_stage.timeline.newest_visible_seq == 102
    assert long_stage.timeline.new_below == 0


def test_while_one_reads_nothing_moves_and_what_is_new_is_counted(
    long_stage: TimelineStage,
) -> None:
    timeline = long_stage.timeline
    timeline.page(-1)
    before = numbers(long_stage)
    long_stage.say("m101", "m102")
    long_stage.say("mine", sender="alice")
    long_stage.say("", kind="join")
    assert numbers(long_stage) == before == list(range(82, 92))
    assert not timeline.is_at_bottom
    assert timeline.new_below == 2
    assert timeline.newest_visible_seq == 91


def test_what_one_has_scrolled_to_is_new_no_more(long_stage: TimelineStage) -> None:
    timeline = long_stage.timeline
    timeline.scroll(-1)
    long_stage.say("m101", "m102", "m103")
    assert timeline.new_below == 3
    timeline.scroll(3)
    assert timeline.new_below == 1
    timeline.scroll(9)
    assert timeline.is_at_bottom
    timeline.scroll(-9)
    assert timeline.new_below == 0


def test_older_messages_come_above_without_moving_what_is_seen() -> None:
    stage = TimelineStage(60, 10)
    stage.log_in(room(last=100, read=100))
    stage.load(past(81, 100))
    stage.lines()
    stage.timeline.to_top()
    stage.timeline.scroll(2)
    assert stage.timeline.needs_older
    before = stage.lines()
    stage.load(past(31, 80))
    assert stage.lines()[1:] == before[1:]
    assert numbers(stage)[0] == 81
    assert not stage.timeline.needs_older


def test_the_line_of_the_day_goes_without_moving_what_is_seen() -> None:
    stage = TimelineStage(60, 10)
    stage.log_in(room(last=100, read=100))
    stage.load(past(81, 100))
    stage.lines()
    stage.timeline.to_top()
    stage.timeline.scroll(1)
    assert stage.lines()[0].startswith("── Today")
    stage.load(past(31, 80))
    assert numbers(stage)[:2] == [80, 81]


def test_older_messages_are_needed_two_windows_ahead(long_stage: TimelineStage) -> None:
    long_stage.chat.entries[0] = entry("m1", 1001, prev=1000)
    del long_stage.chat.entries[0]
    long_stage.timeline.to_top()
    assert long_stage.timeline.needs_older
    long_stage.timeline.page(1)
    assert long_stage.timeline.needs_older
    long_stage.timeline.page(2)
    assert not long_stage.timeline.needs_older


def test_a_chat_without_loaded_messages_needs_them() -> None:
    stage = TimelineStage()
    stage.log_in(room(last=9))
    assert stage.timeline.needs_older
    stage.timeline.open("#nosuch")
    assert not stage.timeline.needs_older


def test_top_bottom_and_pages_are_reached(long_stage: TimelineStage) -> None:
    timeline = long_stage.timeline
    timeline.to_top()
    assert "the beginning of #ops" in long_stage.lines()[0]
    timeline.page(1)
    assert numbers(long_stage)[0] == 8
    timeline.to_bottom()
    assert numbers(long_stage)[-1] == 100
    timeline.page(-0.5)
    assert numbers(long_stage)[-1] == 96
    timeline.page(5)
    assert timeline.is_at_bottom


def test_a_message_is_found_pointed_at_and_has_context(
    long_stage: TimelineStage,
) -> None:
    timeline = long_stage.timeline
    assert timeline.to_seq(50)
    assert numbers(long_stage) == list(range(47, 57))
    assert long_stage.lines()[3].startswith("> ")
    assert timeline.middle_seq == 50
    timeline.scroll(1)
    assert not any(line.startswith(">") for line in long_stage.lines())
    assert not timeline.to_seq(500)


def test_the_middle_is_where_one_reads(long_stage: TimelineStage) -> None:
    timeline = long_stage.timeline
    assert timeline.middle_seq == 101
    timeline.page(-1)
    assert timeline.middle_seq == 87
    timeline.open(None)
    assert timeline.middle_seq is None


def test_a_day_is_found_as_far_as_it_is_loaded() -> None:
    stage = TimelineStage(60, 10)
    stage.log_in(room(last=90, read=90))
    for day in range(5):
        first = 11 + day * 10
        stage.load(past(first, first + 9, time_ms=NOON_MS + 2 * day * DAY_MS))
    assert stage.timeline.to_date(date(2026, 11, 25))
    assert 31 in numbers(stage)
    assert stage.timeline.to_date(date(2026, 11, 24))
    assert 31 in numbers(stage)
    assert not stage.timeline.to_date(date(2026, 11, 20))
    assert not stage.timeline.to_date(date(2026, 12, 20))
    assert stage.timeline.to_date(date(2026, 11, 21))


# Unread line --------------------------------------------------------------------------


def test_the_line_stands_before_what_was_unread_when_the_chat_was_opened() -> None:
    stage = TimelineStage(60, 12)
    stage.fake.log_in(room(last=20, read=17, unread=3))
    stage.load(past(11, 20))
    stage.timeline.open("#ops")
    assert stage.lines()[-4].startswith("── new (3) ─")
    stage.fake.mark_read("#ops", 20)
    stage.say("m21")
    assert stage.lines()[-5].startswith("── new (3) ─")


def test_it_goes_when_the_chat_is_left() -> None:
    stage = TimelineStage(60, 12)
    stage.fake.log_in(room(last=20, read=17, unread=3), room("#lab"))
    stage.load(past(11, 20))
    stage.timeline.open("#ops")
    stage.fake.mark_read("#ops", 20)
    stage.timeline.open("#ops")
    assert "── new" in stage.text
    stage.timeline.open("#lab")
    stage.timeline.open("#ops")
    assert "── new" not in stage.text


def test_what_comes_while_one_looks_on_is_not_new(stage: TimelineStage) -> None:
    stage.say("one")
    assert "── new" not in stage.text


def test_it_moves_up_to_where_it_belongs_when_that_is_loaded() -> None:
    stage = TimelineStage(60, 30)
    stage.fake.log_in(room(last=20, read=5, unread=15))
    stage.load(past(18, 20))
    stage.timeline.open("#ops")
    assert stage.lines()[-4].startswith("── new (15)")
    stage.load(past(3, 17))
    assert stage.lines()[-16].startswith("── new (15)")


def test_ones_own_messages_and_events_are_not_new() -> None:
    stage = TimelineStage(60, 12)
    stage.fake.log_in(room(last=20, read=16, unread=1))
    entries = [*past(11, 17), *past(18, 18, sender="alice"), *past(19, 19)]
    entries[6] = msgspec.structs.replace(entries[6], kind="join")
    stage.load([*entries, *past(20, 20, sender="alice")])
    stage.timeline.open("#ops")
    assert stage.lines()[-3].startswith("── new (1) ─")


def test_what_comes_with_the_backlog_is_new() -> None:
    stage = TimelineStage(60, 12)
    stage.log_in(room(last=5, read=5), synced=False)
    stage.load(past(1, 5))
    stage.say("m6", "m7")
    stage.fake.mark_read("#ops", 7)
    stage.lines()
    stage.fake.take(Synced())
    stage.timeline.refresh()
    stage.lines()
    stage.say("m8")
    assert stage.lines()[-4].startswith("── new (2) ─")


def test_the_first_unread_is_found() -> None:
    stage = TimelineStage(60, 10)
    stage.fake.log_in(room(last=100, read=50, unread=50))
    stage.load(past(1, 100))
    stage.timeline.open("#ops")
    assert numbers(stage)[-1] == 100
    assert stage.timeline.to_first_unread()
    assert numbers(stage)[:3] == [49, 50, 51]
    stage.timeline.open("#nosuch")
    assert not stage.timeline.to_first_unread()


# Selection ----------------------------------------------------------------------------


def test_choosing_begins_with_the_lowest_message_and_moves(
    long_stage: TimelineStage,
) -> None:
    timeline = long_stage.timeline
    assert timeline.select_start()
    assert [each.seq for each in timeline.selected] == [100]
    timeline.select_move(-3)
    assert [each.seq for each in timeline.selected] == [97]
    assert long_stage.lines()[-4].startswith("> ")
    timeline.select_move(99)
    assert [each.seq for each in timeline.selected] == [100]
    timeline.select_clear()
    assert not timeline.is_selecting
    assert timeline.selected == []


def test_several_are_marked_and_come_in_order(long_stage: TimelineStage) -> None:
    timeline = long_stage.timeline
    timeline.select_start()
    timeline.select_toggle()
    timeline.select_move(-2)
    timeline.select_toggle()
    timeline.select_move(-1)
    assert [each.seq for each in timeline.selected] == [98, 100]
    assert [line[0] for line in long_stage.lines()[-4:]] == [">", "*", " ", "*"]
    timeline.select_move(1)
    timeline.select_toggle()
    assert [each.seq for each in timeline.selected] == [100]


def test_the_chosen_message_is_brought_into_view(long_stage: TimelineStage) -> None:
    timeline = long_stage.timeline
    timeline.select_start()
    timeline.select_move(-20)
    assert numbers(long_stage)[0] == 80
    timeline.select_move(15)
    assert numbers(long_stage)[-1] == 95


def test_only_messages_are_chosen(stage: TimelineStage) -> None:
    stage.say("", kind="join")
    assert not stage.timeline.select_start()
    stage.say("one")
    stage.say("", kind="leave")
    stage.say("two")
    assert stage.timeline.select_start()
    stage.timeline.select_move(-1)
    assert [each.text for each in stage.timeline.selected] == ["one"]


def test_nothing_moves_while_one_chooses(long_stage: TimelineStage) -> None:
    timeline = long_stage.timeline
    timeline.select_start()
    long_stage.say("m101", "m102")
    assert numbers(long_stage)[-1] == 100
    assert timeline.new_below == 2
    timeline.select_move(1)
    assert numbers(long_stage)[-1] == 101
    timeline.select_clear()
    timeline.to_bottom()
    assert numbers(long_stage)[-1] == 102


def test_choosing_ends_with_the_chat(long_stage: TimelineStage) -> None:
    assert long_stage.timeline.select_start()
    long_stage.timeline.open(None)
    assert not long_stage.timeline.is_selecting
    assert long_stage.timeline.is_at_bottom


def test_a_folded_message_is_unfolded_where_it_is(long_stage: TimelineStage) -> None:
    timeline = long_stage.timeline
    long_stage.say("\n".join(f"line {n}" for n in range(60)))
    assert "50 more lines" in long_stage.lines()[-2]
    timeline.scroll(-4)
    before = long_stage.lines()
    timeline.fold_toggle(101)
    assert long_stage.lines() == before
    timeline.page(9)
    assert long_stage.lines()[-1].endswith("line 59")
    timeline.fold_toggle(101)
    assert long_stage.lines()[0].endswith("line 0")


# Changes of the model -----------------------------------------------------------------


def test_an_edited_message_is_shown_as_it_is_now(stage: TimelineStage) -> None:
    stage.say("one")
    stage.say("two", kind="edit", target=1)
    assert "  12:01 bob        two  (changed)" in stage.lines()


def test_entries_that_leave_memory_leave_the_rest_in_place(
    long_stage: TimelineStage,
) -> None:
    long_stage.timeline.to_seq(50)
    before = numbers(long_stage)
    del long_stage.chat.entries[:30]
    long_stage.timeline.refresh()
    assert numbers(long_stage) == before
    del long_stage.chat.entries[:30]
    long_stage.timeline.refresh()
    assert numbers(long_stage)[0] == 61


def test_another_log_of_the_same_chat_is_shown_from_its_bottom(
    long_stage: TimelineStage,
) -> None:
    long_stage.timeline.page(-3)
    long_stage.fake.model.reset("other")
    long_stage.timeline.refresh()
    assert long_stage.lines()[-1] == "-- nothing was written here so far"
    long_stage.fake.log_in(room())
    long_stage.say("anew")
    assert long_stage.lines()[-1].endswith("anew")
    assert long_stage.timeline.is_at_bottom


def test_a_new_day_changes_which_day_is_today(stage: TimelineStage) -> None:
    stage.say("one")
    assert "Today, Saturday" in stage.text
    stage.now += 86_400
    stage.timeline.refresh()
    assert "Yesterday, Saturday" in stage.text


# The mouse ----------------------------------------------------------------------------


def test_the_wheel_scrolls(long_stage: TimelineStage) -> None:
    long_stage.timeline.clicked(MouseEventType.SCROLL_UP, 1, 1)
    assert numbers(long_stage)[-1] == 97
    long_stage.timeline.clicked(MouseEventType.SCROLL_DOWN, 1, 1)
    assert long_stage.timeline.is_at_bottom


@pytest.mark.parametrize("osc8", [False, True])
def test_a_click_on_any_part_of_a_link_finds_the_whole(
    stage: TimelineStage, osc8: bool
) -> None:
    link = "https://example.org/" + "x" * 70
    stage.timeline.osc8 = osc8
    stage.say(f"漢字 http://a.b {link}")
    stage.lines()
    clicked: list[str] = []
    stage.timeline.on_link = clicked.append
    for x, y in ((25, -3), (30, -2), (22, -1), (20, -3), (2, -1)):
        stage.timeline.clicked(MouseEventType.MOUSE_UP, x, 24 + y)
    assert clicked == ["http://a.b", link, link]


def test_a_click_opens_a_link_as_it_was_written(stage: TimelineStage) -> None:
    stage.say("https://example.org/की")
    stage.lines()
    clicked: list[str] = []
    stage.timeline.on_link = clicked.append
    stage.timeline.clicked(MouseEventType.MOUSE_UP, 25, 23)
    assert clicked == ["https://example.org/की"]


# Cost ---------------------------------------------------------------------------------


@pytest.fixture(params=[1_000, 50_000])
def big_stage(request: pytest.FixtureRequest) -> TimelineStage:
    stage = TimelineStage(120, 40)
    stage.log_in(room(last=request.param, read=request.param))
    stage.load(past(1, request.param))
    stage.lines()
    return stage


def test_opening_a_chat_makes_only_what_is_seen(big_stage: TimelineStage) -> None:
    assert big_stage.timeline.formatted <= 42


def test_painting_again_makes_nothing(big_stage: TimelineStage) -> None:
    before = big_stage.timeline.formatted
    big_stage.timeline.refresh()
    big_stage.lines()
    assert big_stage.timeline.formatted == before


def test_a_new_message_makes_one(big_stage: TimelineStage) -> None:
    before = big_stage.timeline.formatted
    big_stage.say("hello")
    big_stage.lines()
    assert big_stage.timeline.formatted == before + 1


def test_a_page_makes_only_what_was_not_seen(big_stage: TimelineStage) -> None:
    before = big_stage.timeline.formatted
    big_stage.timeline.page(-1)
    big_stage.lines()
    assert big_stage.timeline.formatted <= before + 40


def test_going_anywhere_makes_little(big_stage: TimelineStage) -> None:
    before = big_stage.timeline.formatted
    for go in (
        lambda: big_stage.timeline.to_top(),
        lambda: big_stage.timeline.to_seq(500),
        lambda: big_stage.timeline.to_date(date(2026, 11, 21)),
        lambda: big_stage.timeline.to_bottom(),
    ):
        go()
        big_stage.lines()
    assert big_stage.timeline.formatted <= before + 4 * 80


def test_another_width_makes_only_what_is_seen(big_stage: TimelineStage) -> None:
    big_stage.timeline.page(-2)
    big_stage.lines()
    before = big_stage.timeline.formatted
    big_stage.columns = 90
    big_stage.lines()
    assert big_stage.timeline.formatted <= before + 42


def test_what_is_said_is_what_is_seen(big_stage: TimelineStage) -> None:
    for row in big_stage.timeline.seen(120, 40):
        assert row is not None
        assert len(plain(row.line)) < 120
