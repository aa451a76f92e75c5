"""The timeline on a terminal: rows, styles, borders, and how many bytes are sent."""

import re
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prompt_toolkit.data_structures import Point
from prompt_toolkit.mouse_events import (
    MouseButton,
    MouseEvent,
    MouseEventType,
)

from client.ui.timeline.painting import find_shift
from client.ui.toolkit.renderer import scroll_region
from tests.fakes.link import room
from tests.unit.client.ui.timeline.reading import SIZES, Screen, TimelineStage, past

HOSTILE = [
    "plain",
    "\x1b[2J\x1b[H\x1b]0;owned\x07 and \x9b31mred",
    "\u202eevil\u202c \u2066isolated\u2069",
    "zero\u200bwidth\ufeff joined\u200d",
    "a" + "\u0301" * 100,
    "👩‍👩‍👧‍👦 🏴\U000e0067\U000e0062\U000e007f 🇯🇵 ❤️ 1️⃣ 👍🏽",
    "漢字かな交じり文" * 12,
    "שלום עולם " * 9,
    "مرحبا بالعالم " * 9,
    "x" * 500,
    " " * 300 + "x",
    "\n" * 50,
    "```\n" + "\x1b[31m" * 50,
    "> " * 50 + "\n> quoted",
    "https://example.org/" + "\u202e" * 5 + "x" * 200,
    "**" * 99 + "`" * 99,
]
# The screen in memory drops what comes after some of these.
INDIC = "क्षि நி কৗ กำ"


def columns_of_border(rows: list[str]) -> set[int]:
    """Return the columns of the border beside the timeline."""
    return {row.index("│") for row in rows if "│" in row}


# Drawing ------------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES)
async def test_messages_stand_beside_the_list(size: tuple[int, int]) -> None:
    stage = TimelineStage(*size)
    stage.log_in(room(last=50, read=50))
    stage.load(past(1, 50))
    stage.say("hello **there**", sender="carol")
    async with Screen(stage) as screen:
        assert screen.rows[-2] == "         │  12:51 carol      hello there"
        assert screen.rows[-3] == "         │  12:50            m50"
        assert screen.rows[0].startswith("         │  ")
        assert screen.cell(29, size[1] - 2).data == "h"
        assert screen.cell(35, size[1] - 2).bold
        assert not screen.cell(29, size[1] - 2).bold


@pytest.mark.parametrize("size", SIZES)
async def test_nothing_that_others_write_moves_a_border(size: tuple[int, int]) -> None:
    stage = TimelineStage(*size)
    stage.log_in()
    async with Screen(stage) as screen:
        for text in [*HOSTILE, INDIC]:
            stage.say(text, sender=text[:40] or "x")
            rows = screen.paint()
            assert columns_of_border([row[:12] for row in rows]) == {9}
            assert not re.search("\x1b\\][^8]|\x07|\x1b\\[2J", screen.sent)
            assert all(row[9] == "│" for row in rows[:-1])


@pytest.mark.parametrize("size", SIZES)
@settings(max_examples=10, suppress_health_check=list(HealthCheck))
@given(st.lists(st.sampled_from(HOSTILE), max_size=12))
async def test_what_is_drawn_in_parts_is_what_is_drawn_at_once(
    size: tuple[int, int], texts: list[str]
) -> None:
    stage = TimelineStage(*size)
    stage.log_in()
    async with Screen(stage) as screen:
        for text in texts:
            stage.say(text)
            screen.paint()
        shown = screen.rows
    async with Screen(stage) as screen:
        assert screen.rows == shown


@pytest.mark.parametrize("is_plain", [False, True])
async def test_any_window_shows_the_same(is_plain: bool) -> None:
    stage = TimelineStage()
    stage.log_in()
    stage.say("e\u0301 漢字 see https://a.b/c **now**", "two\nthree")
    stage.timeline.osc8 = True
    async with Screen(stage, is_plain=is_plain) as screen:
        assert screen.rows[-4:-1] == [
            "         │  12:01 bob        é 漢字 see https://a.b/c now",
            "         │  12:02            two",
            "         │                   three",
        ]


async def test_a_chosen_message_is_drawn_as_such_to_the_border() -> None:
    stage = TimelineStage()
    stage.log_in()
    stage.say("one", "two")
    async with Screen(stage) as screen:
        stage.timeline.select_start()
        rows = screen.paint()
        assert rows[-2].startswith("         │> 12:02            two")
        backgrounds = {screen.cell(x, 22).bg for x in range(10, 79)}
        assert len(backgrounds) == 1
        assert backgrounds != {screen.cell(12, 21).bg} == {"default"}


async def test_links_are_sent_as_links_where_they_are_wanted() -> None:
    stage = TimelineStage()
    stage.log_in()
    stage.say("see https://a.b/c now")
    async with Screen(stage) as screen:
        assert "\x1b]8;" not in screen.sent
        stage.timeline.osc8 = True
        stage.timeline.refresh()
        screen.paint()
        assert re.search("\x1b]8;id=[0-9a-f]+;https://a.b/c\x1b\\\\", screen.sent)
        assert screen.sent.rindex("\x1b]8;;\x1b\\") > screen.sent.rindex("a.b/c\x1b")
        assert "see https://a.b/c now" in screen.rows[-2]


# Bytes sent ---------------------------------------------------------------------------


async def busy(stage: TimelineStage) -> None:
    stage.log_in(room(last=200, read=200))
    words = "quite a lot of words that fill the row to its end or nearly so "
    stage.load([*past(1, 200, text=words)])


async def test_a_new_message_sends_little_more_than_itself() -> None:
    stage = TimelineStage(120, 40)
    await busy(stage)
    async with Screen(stage) as screen:
        stage.say("hello", sender="carol")
        screen.paint()
        assert len(screen.sent) < 600
        assert screen.rows[-2].endswith("hello")


async def test_scrolling_sends_only_the_rows_that_come_into_view() -> None:
    stage = TimelineStage(120, 40)
    await busy(stage)
    async with Screen(stage) as screen:
        for step in (-3, 3, -5, 2):
            stage.timeline.scroll(step)
            screen.paint()
            assert len(screen.sent) < 1_500


async def test_nothing_new_sends_nothing_of_the_timeline() -> None:
    stage = TimelineStage(120, 40)
    await busy(stage)
    async with Screen(stage) as screen:
        screen.typed.insert_text("x")
        screen.paint()
        assert "words" not in screen.sent
        assert len(screen.sent) < 60


def choose(stage: TimelineStage) -> None:
    stage.timeline.select_start()
    stage.timeline.select_move(-2)


MOVES: list[Callable[[TimelineStage], None]] = [
    lambda stage: stage.say("one"),
    lambda stage: stage.say("one", "two\nthree", sender="carol"),
    lambda stage: stage.say("see https://a.b/c", "漢字"),
    lambda stage: stage.timeline.scroll(-1),
    lambda stage: stage.timeline.scroll(3),
    lambda stage: stage.timeline.page(-1),
    lambda stage: stage.timeline.page(0.5),
    lambda stage: stage.timeline.to_bottom(),
    lambda stage: stage.timeline.to_top(),
    lambda stage: stage.timeline.notice([[("", "-- said")]]),
    lambda stage: stage.timeline.select_clear(),
    choose,
    lambda stage: setattr(stage.timeline, "highlight", "words"),
    lambda stage: setattr(stage.timeline, "highlight", None),
    lambda stage: stage.timeline.clear_notices(),
]


@settings(max_examples=25, suppress_health_check=list(HealthCheck))
@given(st.lists(st.sampled_from(MOVES), max_size=15), st.sampled_from(SIZES))
async def test_the_terminal_shows_the_same_whether_it_moves_rows_or_is_sent_them(
    moves: list[Callable[[TimelineStage], None]], size: tuple[int, int]
) -> None:
    stage = TimelineStage(*size)
    await busy(stage)
    async with Screen(stage) as screen:
        for move in moves:
            move(stage)
            shown = screen.paint()
            screen.app.renderer.reset()
            assert screen.paint() == shown


async def test_other_sizes_leave_nothing_behind() -> None:
    stage = TimelineStage(120, 40)
    await busy(stage)
    async with Screen(stage) as screen:
        stage.timeline.page(-1)
        screen.paint()
        first = highest(stage, 109, 39)
        for columns, rows in ((80, 24), (60, 15), (100, 30), (40, 15), (120, 40)):
            shown = screen.resize(columns, rows)
            assert columns_of_border([row[:12] for row in shown]) == {9}
            assert max(map(len, shown)) < columns
            stage.say("meanwhile")
            screen.paint()
            assert highest(stage, columns - 10, rows - 1) == first


def highest(stage: TimelineStage, width: int, height: int) -> object:
    """Return the topmost message."""
    row = stage.timeline.seen(width, height)[0]
    return row.placed.key if row is not None else None


@pytest.mark.parametrize(
    ("old", "new", "count"),
    [
        ("abcdef", "abcdef", 0),
        ("abcdef", "bcdefg", 1),
        ("abcdef", "cdefgh", 2),
        ("abcdef", "zabcde", -1),
        ("abcdef", "yzabcd", -2),
        ("abcdef", "uvwxyz", 0),
        ("abcdef", "bxxxxx", 0),
        ("abcdef", "bcdef", 0),
        ("a", "b", 0),
    ],
)
def test_a_shift_is_found_if_half_of_the_rows_are_there_still(
    old: str, new: str, count: int
) -> None:
    assert find_shift(old, new) == count


def test_empty_rows_are_no_sign_of_a_shift() -> None:
    assert find_shift([None, None, "a", "b"], [None, "a", "b", "c"]) == 0


def test_only_the_rows_of_the_timeline_are_moved() -> None:
    assert scroll_region(2, 10, 2) == "\x1b[3;10r\x1b[10;1H\n\n\x1b[r"
    assert scroll_region(2, 10, -1) == "\x1b[3;10r\x1b[3;1H\x1bM\x1b[r"


# The mouse ----------------------------------------------------------------------------


async def test_the_mouse_is_watched_only_while_it_is_wanted() -> None:
    stage = TimelineStage()
    stage.log_in(room(last=50, read=50))
    stage.load(past(1, 50))
    async with Screen(stage) as screen:
        wheel = MouseEvent(
            Point(40, 5), MouseEventType.SCROLL_UP, MouseButton.NONE, frozenset()
        )
        before = screen.rows
        screen.app.renderer.mouse_handlers.mouse_handlers[5][40](wheel)
        assert screen.paint() == before
        screen.app.renderer.mouse_support = lambda: True  # type: ignore[assignment]
        screen.paint()
        screen.app.renderer.mouse_handlers.mouse_handlers[5][40](wheel)
        assert screen.paint() != before
