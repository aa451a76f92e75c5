"""The full screen: its layout, which panels give way, the header, the status line."""

import random
from collections.abc import AsyncIterator

import msgspec
import pytest

from chatd.protocol.errors import NotAMemberError
from chatd.protocol.messages import Presence, PresenceOf, TypingPush
from tests.service.full_screen.person import (
    F1,
    F2,
    F3,
    SIZES,
    WISHES,
    Person,
    Stage,
    alt,
    at_screen,
    ctrl,
    file_message,
    member,
)

HOSTILE = [
    "\x1b[2J\x1b[1;1Hgone \x1b]0;title\x07 \x9b31m red \x00\x08\x7f",
    "\x1b[999C\x1b[41m\x1b[?1049l\x1bc\r\noverwritten\x0b\x0c",
    "\u202eevil\u202c \u2066iso\u2069 \u200bzero\u200b\u2060 \ufeffbom",
    "שלום עולם العربية مرحبا",
    "漢字かな交じり文" * 12,
    "👨‍👩‍👧‍👦 🇯🇵🇩🇪 👍🏽 ❤️ 1️⃣ " * 5,
    "e" + "\u0301" * 100 + " and a" + "\u0489" * 100,
    "नमस्ते கோ กำ ﷽ 각",
    "https://example.org/" + "a" * 300,
    "```py\ndef f(x):\n\treturn x\n```\n> quoted\n> **bold *and* italic**",
    "x" * 400,
    "\n\n\n",
    "\u3164" * 50 + "\u2800" * 50,
]


@pytest.fixture
async def server() -> AsyncIterator[Stage]:
    async with Stage() as server:
        server.say("#ops", "disk on lab3 at 91%")
        server.logs["#general"] = []
        server.members["#ops"] = [
            member("alice", "owner"),
            member("bob"),
            member("carol", status="away"),
            member("dave", status="offline"),
        ]
        yield server


def borders(person: Person) -> list[int]:
    """Return the columns with a border in every row between header and status."""
    rows = person.cells()[1:-2]
    return [x for x in range(len(rows[0])) if all(row[x] == "│" for row in rows)]


# Panels -------------------------------------------------------------------------------


@pytest.mark.parametrize(("columns", "rows"), SIZES)
async def test_the_chat_of_last_time_is_open(
    server: Stage, columns: int, rows: int
) -> None:
    async with at_screen(server, columns, rows) as person:
        assert person.current == "#ops"
        assert person.header.startswith(" #ops  a topic")
        assert person.has("disk on lab3 at 91%")
        assert person.status.startswith(" online")
        assert person.frame()[-1] == "> message to #ops"


async def test_at_80_columns_the_list_of_chats_is_there_and_people_are_not(
    server: Stage,
) -> None:
    async with at_screen(server, 80, 24) as person:
        assert borders(person) == [16]
        assert person.frame()[1].startswith("> #ops")
        assert person.frame()[2].startswith("  #general")


async def test_at_120_columns_people_are_on_the_right(server: Stage) -> None:
    async with at_screen(server, 120, 40) as person:
        left, right = borders(person)
        people = [row[right + 1 :] for row in person.frame()[1:5]]
        assert left == 16
        assert people == ["@alice", " bob", " carol (away)", " dave (offline)"]


async def test_at_60_columns_there_is_only_the_chat(server: Stage) -> None:
    async with at_screen(server, 60, 15) as person:
        assert borders(person) == []


async def test_f2_hides_and_shows_the_list_of_chats(server: Stage) -> None:
    async with at_screen(server, 80, 24) as person:
        await person.type(F2)
        assert borders(person) == []
        await person.type(F2)
        assert borders(person) == [16]


async def test_f2_shows_the_list_where_it_is_hidden_but_fits(server: Stage) -> None:
    async with at_screen(server, 60, 15) as person:
        await person.type(F2)
        assert borders(person) == [16]


async def test_f2_says_where_the_list_does_not_fit(server: Stage) -> None:
    async with at_screen(server, 40, 15) as person:
        await person.type(F2)
        assert borders(person) == []
        # How much fits depends on how slow the connection is just now.
        assert "the window is" in person.status


async def test_f3_shows_and_hides_people(server: Stage) -> None:
    async with at_screen(server, 80, 24) as person:
        await person.type(F3)
        assert len(borders(person)) == 2
        await person.type(F3)
        assert borders(person) == [16]


async def test_f3_says_that_a_direct_chat_has_no_list_of_people(server: Stage) -> None:
    server.say("@bob", "psst")
    async with at_screen(server, 120, 40, chat="@bob") as person:
        await person.type(F3)
        assert "that is for rooms" in person.status


async def test_people_who_come_and_go_are_seen(server: Stage) -> None:
    async with at_screen(server, 120, 40) as person:
        assert person.header.endswith("3 here | Fake")
        away = {"bob": PresenceOf(status="offline")}
        server.push(Presence(users=away, more=False))
        await person.shows("bob (offline)")
        assert person.header.endswith("2 here | Fake")


# The header and the status line -------------------------------------------------------


async def test_a_new_topic_is_in_the_header(server: Stage) -> None:
    async with at_screen(server) as person:
        server.say("#ops", "freeze until Friday", kind="topic")
        await person.shows("freeze until Friday")
        assert person.header.startswith(" #ops  freeze until Friday")


async def test_the_round_trip_is_in_the_status_line(server: Stage) -> None:
    async with at_screen(server) as person:
        await person.until(lambda: person.link.state.round_trip_ms is not None)
        assert person.status.split("  ")[0].endswith(" ms")


async def test_what_waits_in_the_outbox_is_in_the_status_line(server: Stage) -> None:
    async with at_screen(server) as person:
        server.held_back = []
        await person.enter("one")
        await person.enter("two")
        await person.shows("~ 2 waiting")
        for answer in server.held_back:
            answer()
        await person.hides("waiting")


async def test_what_was_refused_is_in_the_status_line(server: Stage) -> None:
    server.refusals = [NotAMemberError("you are not a member of #ops")]
    async with at_screen(server) as person:
        await person.enter("hello")
        await person.shows("x 1 refused")


async def test_who_types_here_is_in_the_status_line(server: Stage) -> None:
    async with at_screen(server) as person:
        server.push(TypingPush(chat="#ops", user="bob"))
        await person.shows("bob is typing")
        server.say("#ops", "done")
        await person.hides("bob is typing")


async def test_who_types_elsewhere_is_not_in_the_status_line(server: Stage) -> None:
    async with at_screen(server) as person:
        server.push(TypingPush(chat="#general", user="bob"))
        server.say("#ops", "after that")
        await person.shows("after that")
        assert not person.has("is typing")


async def test_the_hint_at_a_long_message_names_ones_own_key(server: Stage) -> None:
    config = msgspec.structs.replace(WISHES, keys={"select": ("c-o",)})
    server.tell("a line\n" * 100)
    async with at_screen(server, 120, 40, config=config) as person:
        assert person.has("more lines (Ctrl+O, then Enter shows all)")


async def test_the_status_line_says_how_to_get_help(server: Stage) -> None:
    async with at_screen(server) as person:
        assert person.status.endswith("F1 help")


@pytest.mark.parametrize(("columns", "rows"), SIZES)
async def test_what_is_said_in_the_status_line_fits_beside_what_is_there(
    server: Stage, columns: int, rows: int
) -> None:
    async with at_screen(server, columns, rows) as person:
        server.push(TypingPush(chat="#ops", user="bob"))
        await person.shows("bob is typing")
        await person.type(alt("a"))
        assert "nothing is unread elsewhere" in person.status


# Sizes --------------------------------------------------------------------------------


@pytest.mark.parametrize(("columns", "rows"), SIZES)
async def test_the_borders_stand_straight_beside_hostile_texts(
    server: Stage, columns: int, rows: int
) -> None:
    async with at_screen(server, columns, rows) as person:
        await person.type(F2 if columns < 80 else F3 if columns < 120 else "")
        expected = borders(person)
        assert expected
        for text in HOSTILE:
            last = server.tell(text, sender="mal\u202elory")
            await person.until(lambda seq=last: person.chat().last == seq)  # type: ignore[misc]
            assert borders(person) == expected, repr(text)
            # The cell before the border, or before the edge, is always free.
            limit = expected[-1] if len(expected) > 1 else columns
            assert all(row[limit - 1] == " " for row in person.cells()[1:-2])
        assert person.glass.transcript.count("\x1b[?1049l") == 0


async def test_hostile_names_of_files_topics_and_people_do_no_harm(
    server: Stage,
) -> None:
    async with at_screen(server, 120, 40) as person:
        expected = borders(person)
        server.tell("a caption", **file_message("a\x1b[2Jb\u202e.exe", 10))
        server.say("#ops", "topic \x1b]0;x\x07 \u202e 漢字 " * 20, kind="topic")
        server.push(TypingPush(chat="#ops", user="\x1b[31mbob"))
        await person.shows("is typing")
        assert borders(person) == expected
        assert "\x1b]0;x" not in person.glass.transcript
        assert "\x1b[31mbob" not in person.glass.transcript


@pytest.mark.parametrize(
    ("columns", "rows"),
    [(20, 5), (10, 3), (2, 2), (1, 1), (300, 4), (30, 100), (80, 2)],
)
async def test_a_very_small_window_does_no_harm(
    server: Stage, columns: int, rows: int
) -> None:
    async with at_screen(server, columns, rows) as person:
        for keys in (
            "hello",
            alt("m"),
            alt("m"),
            alt("l"),
            alt("l"),
            ctrl("k"),
            F1,
            F1,
        ):
            await person.type(keys)
            person.frame()
        person.glass.resize(80, 24)
        await person.shows("disk on lab3")


async def test_a_storm_of_resizes_leaves_a_whole_picture(server: Stage) -> None:
    server.fill(100, word="something long enough to be wrapped in a narrow window")
    chance = random.Random(4)
    async with at_screen(server) as person:
        for _ in range(40):
            person.glass.resize(chance.randint(1, 200), chance.randint(1, 60))
            person.ui.app._on_resize()
            server.say("#ops", "meanwhile")
        person.glass.resize(80, 24)
        person.ui.app._on_resize()
        shown = person.frame()
        person.ui.redraw()
        assert shown == person.frame()
        assert borders(person) == [16]


async def test_a_resize_while_a_box_is_open_keeps_it(server: Stage) -> None:
    async with at_screen(server) as person:
        await person.type(ctrl("k"))
        person.glass.resize(40, 12)
        await person.until(lambda: "Go to" in "".join(person.frame()))
        await person.escape()
        await person.hides("Go to")


async def test_the_composer_grows_to_eight_lines_and_the_chat_stays_seen(
    server: Stage,
) -> None:
    async with at_screen(server, 60, 15) as person:
        await person.type("\x1b\r".join(str(number) for number in range(12)))
        frame = person.frame()
        assert frame[-1].strip() == "11"
        assert [row.strip("> ") for row in frame[-8:]] == [str(n) for n in range(4, 12)]
        assert any("disk on lab3" in row for row in frame[:-8])
