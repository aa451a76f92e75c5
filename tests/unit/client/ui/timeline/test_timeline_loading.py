"""The timeline while history is loaded: arrivals do not move the reading position."""

import pytest

from client.ui.timeline.items import NearGap
from tests.fakes.link import room
from tests.unit.client.ui.timeline.reading import TimelineStage, numbers, past


def test_at_the_very_top_older_messages_come_above_what_is_seen() -> None:
    stage = TimelineStage(60, 10)
    stage.log_in(room(last=100, read=100))
    stage.load(past(81, 100))
    stage.lines()
    stage.timeline.page(-9)
    before = numbers(stage)
    assert "earlier messages are not loaded" in stage.lines()[0]
    stage.load(past(31, 80))
    assert numbers(stage) == [79, 80, *before]


def test_who_goes_to_the_top_is_shown_the_beginning_when_it_comes() -> None:
    stage = TimelineStage(60, 10)
    stage.log_in(room(last=100, read=100))
    stage.load(past(81, 100))
    stage.lines()
    stage.timeline.to_top()
    assert numbers(stage)[0] == 81
    assert stage.timeline.visible_gap == NearGap("#ops", 0, 81, True)
    stage.load(past(1, 5))
    assert numbers(stage)[:6] == [1, 2, 3, 4, 5, 81]
    assert "the beginning of #ops" in stage.lines()[0]
    assert stage.timeline.visible_gap == NearGap("#ops", 5, 81, True)
    stage.load(past(6, 20))
    assert numbers(stage) == list(range(1, 9))


@pytest.fixture
def torn_stage() -> TimelineStage:
    """#ops in a window of ten rows, without the messages between 40 and 81."""
    stage = TimelineStage(60, 10)
    stage.log_in(room(last=120, read=120))
    stage.load([*past(1, 40), *past(81, 120)])
    stage.lines()
    return stage


@pytest.mark.parametrize(
    ("rows", "is_from_above"), [(-14, False), (-32, False), (-48, True), (-54, True)]
)
def test_what_is_missing_is_wanted_from_where_one_reads(
    torn_stage: TimelineStage, rows: int, is_from_above: bool
) -> None:
    timeline = torn_stage.timeline
    assert timeline.visible_gap is None
    if is_from_above:
        timeline.to_top()
        assert timeline.visible_gap is None
        timeline.scroll(82 + rows - 9)
    else:
        timeline.scroll(rows)
    assert timeline.visible_gap == NearGap("#ops", 40, 81, is_from_above)


def test_a_gap_that_turned_out_to_be_none_is_not_wanted_again(
    torn_stage: TimelineStage,
) -> None:
    torn_stage.timeline.scroll(-30)
    before = torn_stage.timeline.visible_gap
    torn_stage.fake.model.sever("#ops", 81)
    torn_stage.timeline.refresh()
    assert before is not None
    after = torn_stage.timeline.visible_gap
    assert after is None
    assert "not loaded" not in torn_stage.text


@pytest.mark.parametrize("is_down", [False, True])
def test_a_gap_is_filled_without_moving_what_is_read(
    torn_stage: TimelineStage, is_down: bool
) -> None:
    timeline = torn_stage.timeline
    if is_down:
        timeline.to_seq(33)
        timeline.scroll(6)
        loaded, kept = past(41, 60), list(range(36, 41))
    else:
        timeline.scroll(-35)
        loaded, kept = past(61, 80), list(range(81, 86))
    assert "not loaded yet" in torn_stage.text
    place = torn_stage.lines().index(next(r for r in torn_stage.lines() if "m40" in r))
    torn_stage.load(loaded)
    rows = torn_stage.lines()
    assert set(kept) <= set(numbers(torn_stage))
    if is_down:
        assert "m40" in rows[place]
        assert "m41" in rows[place + 1]
    else:
        assert "m81" in rows[place + 2]


@pytest.fixture
def behind_stage() -> TimelineStage:
    """#ops in a window of ten rows, with 100 unread messages of which 20 are loaded."""
    stage = TimelineStage(60, 10)
    stage.fake.log_in(room(last=200, read=100, unread=100))
    stage.load(past(181, 200))
    stage.timeline.open("#ops")
    stage.lines()
    return stage


def test_the_first_unread_is_gone_to_when_it_comes(behind_stage: TimelineStage) -> None:
    timeline = behind_stage.timeline
    assert timeline.to_first_unread()
    assert 181 in numbers(behind_stage)
    assert timeline.visible_gap == NearGap("#ops", 100, 181, True)
    assert timeline.needs_older
    behind_stage.load(past(101, 110))
    rows = behind_stage.lines()
    place = next(n for n, row in enumerate(rows) if "── new (100) ─" in row)
    assert rows[place + 1].endswith("m101")
    assert timeline.visible_gap == NearGap("#ops", 110, 181, True)
    behind_stage.load(past(41, 100))
    assert behind_stage.lines()[place:] == rows[place:]
    assert not timeline.needs_older


@pytest.mark.parametrize("leave", ["scroll", "select", "open"])
def test_the_first_unread_is_not_gone_to_after_one_went_elsewhere(
    behind_stage: TimelineStage, leave: str
) -> None:
    timeline = behind_stage.timeline
    timeline.to_first_unread()
    if leave == "scroll":
        timeline.scroll(1)
    elif leave == "select":
        timeline.select_start()
    else:
        timeline.open(None)
        timeline.open("#ops")
    before = numbers(behind_stage)
    behind_stage.load(past(101, 180))
    assert numbers(behind_stage)[-7:] == before[-7:]
    gap = timeline.visible_gap
    assert gap is None


def test_what_is_no_more_at_the_server_is_not_looked_for(
    behind_stage: TimelineStage,
) -> None:
    behind_stage.timeline.to_first_unread()
    behind_stage.fake.model.sever("#ops", 181)
    behind_stage.timeline.refresh()
    assert behind_stage.timeline.visible_gap is None
    assert not behind_stage.timeline.needs_older


# Eviction from memory -----------------------------------------------------------------


def test_what_one_reads_stays_in_memory_whatever_comes_below() -> None:
    stage = TimelineStage(60, 10)
    stage.log_in(room(last=2_000, read=2_000))
    stage.load(past(1, 2_000))
    stage.fake.model.shrink("#ops")
    stage.lines()
    stage.timeline.to_seq(30)
    before = stage.lines()
    for number in range(300):
        stage.say(*(f"m{2_001 + number * 10 + n}" for n in range(10)))
        assert stage.lines() == before
    assert len(stage.chat.entries) == 5_000
    stage.timeline.to_bottom()
    assert numbers(stage)[-1] == 5_000
    assert len(stage.chat.entries) == 2_000


def test_what_one_reads_leaves_memory_in_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("client.ui.timeline.position.MAX_HELD", 1_500)
    stage = TimelineStage(60, 10)
    stage.log_in(room(last=2_000, read=2_000))
    stage.load(past(1, 2_000))
    stage.fake.model.shrink("#ops")
    stage.lines()
    stage.timeline.to_seq(30)
    for number in range(200):
        stage.say(*(f"m{2_001 + number * 10 + n}" for n in range(10)))
        stage.lines()
    assert len(stage.chat.entries) == 3_500
    assert numbers(stage)[0] == 501
