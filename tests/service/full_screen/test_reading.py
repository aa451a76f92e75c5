"""The full screen: what counts as read, scrolling far back, and jumps."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from chatd.protocol.errors import NotAllowedError
from chatd.protocol.messages import History
from client.text.times import local
from tests.service.full_screen.person import (
    ALT_END,
    ALT_HOME,
    DAY_MS,
    END,
    FOCUS_IN,
    FOCUS_OUT,
    PAGE_DOWN,
    PAGE_UP,
    Person,
    Stage,
    alt,
    at_screen,
    ctrl,
)

FIRST_MS = 1_790_000_000_000


@pytest.fixture
async def server() -> AsyncIterator[Stage]:
    async with Stage() as server:
        server.fill(50)
        server.logs["#lab"] = []
        server.read_all()
        yield server


@pytest.fixture
async def person(server: Stage) -> AsyncIterator[Person]:
    async with at_screen(server) as person:
        await person.shows("message 49")
        await person.type(FOCUS_IN)
        yield person


def read_of(person: Person) -> int:
    """Return the user's cursor as the server knows it."""
    return person.server.read["#ops"]


def top_of(person: Person) -> str:
    return person.frame()[1]


# Reading and cursors ------------------------------------------------------------------


async def test_what_comes_into_the_open_chat_is_read_at_once(
    person: Person, server: Stage
) -> None:
    seq = server.say("#ops", "seen")
    await server.until(lambda: read_of(person) == seq)
    assert person.chat().unread == 0


async def test_what_comes_while_scrolled_up_is_not_read(
    person: Person, server: Stage
) -> None:
    await person.type(PAGE_UP)
    server.say("#ops", "below")
    await person.shows("v 1 new below")
    assert person.chat().unread == 1
    await person.type(PAGE_UP)
    assert person.chat().unread == 1
    await person.type(ALT_END)
    assert person.chat().unread == 0
    assert not person.has("new below")


async def test_paging_down_to_what_is_new_reads_it(
    person: Person, server: Stage
) -> None:
    await person.type(PAGE_UP)
    seq = server.say("#ops", "below")
    await person.shows("v 1 new below")
    await person.type(PAGE_DOWN)
    assert person.chat().unread == 1
    await person.type(PAGE_DOWN)
    await server.until(lambda: read_of(person) == seq)


async def test_what_comes_while_the_terminal_has_no_focus_is_not_read(
    person: Person, server: Stage
) -> None:
    await person.press(FOCUS_OUT)
    server.say("#ops", "not seen")
    await person.shows("not seen")
    assert person.chat().unread == 1
    await person.press(FOCUS_OUT)
    assert person.chat().unread == 1
    await person.press(FOCUS_IN)
    assert person.chat().unread == 0


async def test_a_key_says_that_somebody_is_there_again(
    person: Person, server: Stage
) -> None:
    await person.press(FOCUS_OUT)
    server.say("#ops", "seen after all")
    await person.shows("seen after all")
    await person.type("x")
    assert person.chat().unread == 0


async def test_what_is_below_a_box_is_not_read(person: Person, server: Stage) -> None:
    await person.type(ctrl("k"))
    server.say("#ops", "hidden")
    await person.until(lambda: person.chat().unread == 1)
    await person.type("x")
    assert person.chat().unread == 1
    await person.escape()
    await person.until(lambda: person.chat().unread == 0)


async def test_what_comes_elsewhere_is_not_read(person: Person, server: Stage) -> None:
    server.say("#lab", "elsewhere")
    await person.shows("* #lab")
    await person.type("x")
    assert person.chat("#lab").unread == 1


async def test_leaving_a_chat_reads_what_was_seen_of_it(server: Stage) -> None:
    async with at_screen(server) as person:
        seq = server.say("#ops", "seen")
        await person.shows("seen")
        await person.type(alt("1"))
        await server.until(lambda: read_of(person) == seq)


async def test_a_backlog_that_comes_before_ones_eyes_is_read(
    person: Person, server: Stage
) -> None:
    server.cut()
    seq = server.append("#ops", "bob", "text", "meanwhile", is_pushed=False).seq
    await person.shows("meanwhile")
    await server.until(lambda: read_of(person) == seq)


async def test_the_new_line_stays_until_the_chat_is_left(server: Stage) -> None:
    server.say("#ops", "first unread")
    async with at_screen(server) as person:
        await person.shows("new (1)")
        server.say("#ops", "and another")
        await person.shows("and another")
        frame = person.frame()
        assert frame.index(next(r for r in frame if "new (1)" in r)) < person.row_of(
            "first unread"
        )
        await person.type(alt("2") + alt("/"))
        assert person.current == "#ops"
        assert not person.has("new (1)")


# Scrolling ----------------------------------------------------------------------------


async def test_scrolling_up_loads_older_pages_to_the_beginning(server: Stage) -> None:
    server.fill(500, word="later")
    server.read_all()
    async with at_screen(server) as person:
        await person.shows("later 499")
        pages = 0
        while not person.has("the beginning of #ops"):
            await person.type(PAGE_UP)
            await person.idle()
            pages += 1
            assert pages < 100
        assert person.has("message 0")
        assert person.chat().gaps() == []


async def test_the_view_does_not_jump_while_older_pages_load(
    person: Person, server: Stage
) -> None:
    server.fill(300, word="later")
    server.read_all()
    async with at_screen(server) as other:
        await other.shows("later 299")
        await other.idle()
        await other.type(PAGE_UP * 3)
        before = other.timeline
        loaded = len(other.chat().entries)
        other.ui.loader.older("#ops")
        await other.until(lambda: len(other.chat().entries) > loaded)
        assert other.timeline == before


async def test_what_comes_does_not_move_what_one_reads(
    person: Person, server: Stage
) -> None:
    await person.type(PAGE_UP)
    before = person.timeline
    for number in range(5):
        server.say("#ops", f"below {number}")
    await person.shows("v 5 new below")
    assert person.timeline == before


async def test_end_goes_to_the_bottom_only_while_nothing_is_typed(
    person: Person, server: Stage
) -> None:
    await person.type("abc" + "\x01" + PAGE_UP + END)
    assert not person.ui.timeline.is_at_bottom
    assert person.ui.composer.buffer.cursor_position == 3
    await person.type(ctrl("u") + END)
    assert person.ui.timeline.is_at_bottom


async def test_a_failing_history_is_not_asked_for_in_each_frame(
    server: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: object, request: History) -> None:
        raise NotAllowedError("no history today")

    monkeypatch.setattr("tests.fakes.server.FakeConnection._history", refuse)
    async with at_screen(server, is_online=False) as person:
        await person.until(lambda: person.link.model.is_synced)
        await person.idle()
        asked = server.count(History)
        for _ in range(5):
            person.ui.paint()
            await person.idle()
        assert server.count(History) == asked <= 2


async def test_opening_a_chat_anew_asks_again_for_what_failed(
    server: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:

        def refuse(self: object, request: History) -> None:
            raise NotAllowedError("no history today")

        patch.setattr("tests.fakes.server.FakeConnection._history", refuse)
        async with at_screen(server) as person:
            await person.idle()
            patch.undo()
            assert not person.has("message 49")
            await person.type(alt("1"))
            await person.type(alt("2"))
            await person.shows("message 49")


async def test_a_gap_is_filled_when_it_is_seen(server: Stage, tmp_path: Path) -> None:
    async with at_screen(server, home=tmp_path) as person:
        await person.shows("message 49")
    server.sync_limit = 5
    server.fill(400, word="missed")
    async with at_screen(server, home=tmp_path) as person:
        await person.shows("missed 399")
        await person.type(alt("u"))
        await person.until(lambda: person.chat().gaps() == [])


# Jumps --------------------------------------------------------------------------------


async def test_alt_u_goes_to_the_first_unread(server: Stage) -> None:
    server.fill(60, word="unread")
    async with at_screen(server) as person:
        await person.shows("unread 59")
        assert not person.has("unread 0")
        await person.type(alt("u"))
        assert person.has("new (60)")
        assert person.row_of("unread 0") == person.row_of("new (60)") + 1


async def test_alt_u_says_where_nothing_is_unread(person: Person) -> None:
    await person.type(alt("u"))
    assert "nothing is unread here" in person.status


async def test_alt_home_and_alt_end_go_to_the_ends(person: Person) -> None:
    await person.type(ALT_HOME)
    assert person.has("message 0")
    await person.type(ALT_END)
    assert person.has("message 49")


async def test_alt_p_and_alt_n_walk_through_mentions(server: Stage) -> None:
    async with at_screen(server) as person:
        for number in range(3):
            server.say("#ops", f"alice: {number}")
            server.fill(40, word="noise")
        await person.enter("/me waits")
        await server.until(lambda: "waits" in server.texts("#ops"))
        await person.until(lambda: person.chat().gaps() == [])
        for keys, wanted in (("p", 2), ("p", 1), ("p", 0), ("n", 1)):
            await person.type(alt(keys))
            assert person.has(f"alice: {wanted}")
        await person.type(alt("p") * 2)
        assert "no more messages with your name" in person.status


async def test_alt_g_goes_to_a_day_that_was_not_loaded(server: Stage) -> None:
    for day in range(10):
        for number in range(60):
            time = FIRST_MS + day * DAY_MS + number
            server.tell(f"day {day} {number}", time=time)
    server.read_all()
    wanted = local(FIRST_MS + 2 * DAY_MS).date().isoformat()
    async with at_screen(server) as person:
        await person.shows("day 9 59")
        await person.type(alt("g") + wanted)
        await person.type("\r")
        await person.shows("day 2 0")
        await person.type(END)
        assert person.has("day 9 59")


async def test_alt_g_says_that_nothing_was_written_since_a_day(person: Person) -> None:
    await person.type(alt("g") + "2030-01-01")
    await person.type("\r")
    await person.shows("nothing was written since 2030-01-01")


async def test_alt_g_refuses_what_is_no_day(person: Person) -> None:
    await person.type(alt("g") + "yesterweek\r")
    assert person.has("that is no day")
    assert person.ui.dialog is not None


async def test_the_search_jumps_far_back_with_what_was_around_it(
    server: Stage, tmp_path: Path
) -> None:
    server.say("#ops", "the needle of old")
    server.fill(600, word="hay")
    server.read_all()
    async with at_screen(server, home=tmp_path) as person:
        # Once all was loaded, the cache has it.
        await person.shows("hay 599")
        while person.chat().older() is not None:
            await person.link.history.load_older("#ops", 200)
    async with at_screen(server, home=tmp_path) as person:
        await person.shows("hay 599")
        assert person.chat().entry(51) is None
        await person.type(ctrl("f") + "NEEDLE")
        assert person.has("bob the needle of old")
        await person.type("\r")
        await person.hides("Search in")
        await person.shows("the needle of old")
        assert person.has("message 49")
        assert person.has("hay 0")
        assert person.ui.timeline.highlight == "NEEDLE"
        await person.type(END)
        assert person.has("hay 599")
        assert person.ui.timeline.highlight is None


async def test_a_search_without_an_answer_says_so(
    server: Stage, tmp_path: Path
) -> None:
    async with at_screen(server, home=tmp_path) as person:
        await person.type(ctrl("f"))
        assert person.has("type what to look for")
        await person.type("nowhere")
        assert person.has("not found in what this device has seen")


async def test_going_to_what_a_message_replies_to_loads_it(server: Stage) -> None:
    server.fill(300, word="between")
    server.tell("an answer", reply_to=3)
    server.read_all()
    async with at_screen(server) as person:
        await person.shows("an answer")
        assert person.chat().entry(3) is None
        await person.type(alt("m") + "g")
        await person.shows("message 2")
        assert not person.ui.timeline.is_at_bottom


async def test_going_to_the_origin_of_no_reply_says_so(person: Person) -> None:
    await person.type(alt("m") + "g")
    assert "that replies to nothing" in person.status
