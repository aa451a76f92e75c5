"""The timeline while history is loaded: arrivals do not move the reading position."""

import pytest

from client.ui.timeline.items import SeenGap
from tests.fakes.link import room
from tests.unit.client.ui.timeline.reading import Desk, numbers, past


def test_at_the_very_top_older_messages_come_above_what_is_seen() -> None:
    desk = Desk(60, 10)
    desk.log_in(room(last=100, read=100))
    desk.load(past(81, 100))
    desk.lines()
    desk.timeline.page(-9)
    before = numbers(desk)
    assert "earlier messages are not loaded" in desk.lines()[0]
    desk.load(past(31, 80))
    assert numbers(desk) == [79, 80, *before]


def test_who_goes_to_the_top_is_shown_the_beginning_when_it_comes() -> None:
    desk = Desk(60, 10)
    desk.log_in(room(last=100, read=100))
    desk.load(past(81, 100))
    desk.lines()
    desk.timeline.to_top()
    assert numbers(desk)[0] == 81
    assert desk.timeline.visible_gap == SeenGap("#ops", 0, 81, True)
    desk.load(past(1, 5))
    assert numbers(desk)[:6] == [1, 2, 3, 4, 5, 81]
    assert "the beginning of #ops" in desk.lines()[0]
    assert desk.timeline.visible_gap == SeenGap("#ops", 5, 81, True)
    desk.load(past(6, 20))
    assert numbers(desk) == list(range(1, 9))


@pytest.fixture
def torn_desk() -> Desk:
    """#ops in a window of ten rows, without the messages between 40 and 81."""
    desk = Desk(60, 10)
    desk.log_in(room(last=120, read=120))
    desk.load([*past(1, 40), *past(81, 120)])
    desk.lines()
    return desk


@pytest.mark.parametrize(
    ("rows", "is_from_above"), [(-14, False), (-32, False), (-48, True), (-54, True)]
)
def test_what_is_missing_is_wanted_from_where_one_reads(
    torn_desk: Desk, rows: int, is_from_above: bool
) -> None:
    timeline = torn_desk.timeline
    assert timeline.visible_gap is None
    if is_from_above:
        timeline.to_top()
        assert timeline.visible_gap is None
        timeline.scroll(82 + rows - 9)
    else:
        timeline.scroll(rows)
    assert timeline.visible_gap == SeenGap("#ops", 40, 81, is_from_above)


def test_a_gap_that_turned_out_to_be_none_is_not_wanted_again(torn_desk: Desk) -> None:
    torn_desk.timeline.scroll(-30)
    before = torn_desk.timeline.visible_gap
    torn_desk.fake.model.sever("#ops", 81)
    torn_desk.timeline.refresh()
    assert before is not None
    after = torn_desk.timeline.visible_gap
    assert after is None
    assert "not loaded" not in torn_desk.text


@pytest.mark.parametrize("is_down", [False, True])
def test_a_gap_is_filled_without_moving_what_is_read(
    torn_desk: Desk, is_down: bool
) -> None:
    timeline = torn_desk.timeline
    if is_down:
        timeline.to_seq(33)
        timeline.scroll(6)
        loaded, kept = past(41, 60), list(range(36, 41))
    else:
        timeline.scroll(-35)
        loaded, kept = past(61, 80), list(range(81, 86))
    assert "not loaded yet" in torn_desk.text
    place = torn_desk.lines().index(next(r for r in torn_desk.lines() if "m40" in r))
    torn_desk.load(loaded)
    rows = torn_desk.lines()
    assert set(kept) <= set(numbers(torn_desk))
    if is_down:
        assert "m40" in rows[place]
        assert "m41" in rows[place + 1]
    else:
        assert "m81" in rows[place + 2]


@pytest.fixture
def behind_desk() -> Desk:
    """#ops in a window of ten rows, with 100 unread messages of which 20 are loaded."""
    desk = Desk(60, 10)
    desk.fake.log_in(room(last=200, read=100, unread=100))
    desk.load(past(181, 200))
    desk.timeline.open("#ops")
    desk.lines()
    return desk


def test_the_first_unread_is_gone_to_when_it_comes(behind_desk: Desk) -> None:
    timeline = behind_desk.timeline
    assert timeline.to_first_unread()
    assert 181 in numbers(behind_desk)
    assert timeline.visible_gap == SeenGap("#ops", 100, 181, True)
    assert timeline.needs_older
    behind_desk.load(past(101, 110))
    rows = behind_desk.lines()
    place = next(n for n, row in enumerate(rows) if "── new (100) ─" in row)
    assert rows[place + 1].endswith("m101")
    assert timeline.visible_gap == SeenGap("#ops", 110, 181, True)
    behind_desk.load(past(41, 100))
    assert behind_desk.lines()[place:] == rows[place:]
    assert not timeline.needs_older


@pytest.mark.parametrize("leave", ["scroll", "select", "open"])
def test_the_first_unread_is_not_gone_to_after_one_went_elsewhere(
    behind_desk: Desk, leave: str
) -> None:
    timeline = behind_desk.timeline
    timeline.to_first_unread()
    if leave == "scroll":
        timeline.scroll(1)
    elif leave == "select":
        timeline.select_start()
    else:
        timeline.open(None)
        timeline.open("#ops")
    before = numbers(behind_desk)
    behind_desk.load(past(101, 180))
    assert numbers(behind_desk)[-7:] == before[-7:]
    gap = timeline.visible_gap
    assert gap is None


def test_what_is_no_more_at_the_server_is_not_looked_for(behind_desk: Desk) -> None:
    behind_desk.timeline.to_first_unread()
    behind_desk.fake.model.sever("#ops", 181)
    behind_desk.timeline.refresh()
    assert behind_desk.timeline.visible_gap is None
    assert not behind_desk.timeline.needs_older


# Eviction from memory -----------------------------------------------------------------


def test_what_one_reads_stays_in_memory_whatever_comes_below() -> None:
    desk = Desk(60, 10)
    desk.log_in(room(last=2_000, read=2_000))
    desk.load(past(1, 2_000))
    desk.fake.model.shrink("#ops")
    desk.lines()
    desk.timeline.to_seq(30)
    before = desk.lines()
    for number in range(300):
        desk.say(*(f"m{2_001 + number * 10 + n}" for n in range(10)))
        assert desk.lines() == before
    assert len(desk.chat.entries) == 5_000
    desk.timeline.to_bottom()
    assert numbers(desk)[-1] == 5_000
    assert len(desk.chat.entries) == 2_000


def test_what_one_reads_leaves_memory_in_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("client.ui.timeline.position.MAX_HELD", 1_500)
    desk = Desk(60, 10)
    desk.log_in(room(last=2_000, read=2_000))
    desk.load(past(1, 2_000))
    desk.fake.model.shrink("#ops")
    desk.lines()
    desk.timeline.to_seq(30)
    for number in range(200):
        desk.say(*(f"m{2_001 + number * 10 + n}" for n in range(10)))
        desk.lines()
    assert len(desk.chat.entries) == 3_500
    assert numbers(desk)[0] == 501
