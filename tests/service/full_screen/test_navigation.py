"""The full screen: the first start, and every way from one chat to another."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from chatd.protocol.messages import Auth, RoomInfo, Rooms, RoomsPage
from client.keys.actions import ACTIONS, shown_keys
from tests.service.full_screen.person import (
    DOWN,
    F1,
    F4,
    PAGE_DOWN,
    PAGE_UP,
    SIZES,
    UP,
    Person,
    Stage,
    alt,
    at_screen,
    ctrl,
    member,
)


@pytest.fixture
async def server() -> AsyncIterator[Stage]:
    async with Stage() as server:
        for chat in ("#general", "#lab", "#ops", "@bob"):
            server.say(chat, f"something in {chat}")
        server.read_all()
        yield server


def listed(person: Person) -> list[str]:
    """Return the addresses in the list of chats, as it is drawn."""
    rows = [row[:16] for row in person.frame()[1:-2]]
    return [row[2:].split()[0] for row in rows if row.strip()]


# Starting -----------------------------------------------------------------------------


@pytest.mark.parametrize(("columns", "rows"), SIZES)
async def test_the_first_start_of_all_shows_a_welcome(
    server: Stage, columns: int, rows: int
) -> None:
    async with at_screen(server, columns, rows, chat=None) as person:
        assert person.has("Welcome!")
        assert person.has("/rooms")
        assert person.header.startswith(" chat")


async def test_the_last_chat_is_there_before_the_server_answers(
    server: Stage, tmp_path: Path
) -> None:
    async with at_screen(server, home=tmp_path):
        pass
    await server.stop()
    async with at_screen(server, home=tmp_path, is_online=False) as person:
        assert person.has("something in #ops")
        assert not person.link.model.is_synced
    await server.start()


async def test_the_chat_that_was_opened_is_open_at_the_next_start(
    server: Stage, tmp_path: Path
) -> None:
    async with at_screen(server, home=tmp_path, chat=None) as person:
        await person.enter("/query @bob")
        await person.shows("something in @bob")
    async with at_screen(server, home=tmp_path, chat=None) as person:
        assert person.current == "@bob"


async def test_the_last_chat_is_opened_when_nothing_of_it_was_kept(
    server: Stage,
) -> None:
    async with at_screen(server, is_online=False) as person:
        await person.until(lambda: person.current == "#ops")
        await person.shows("something in #ops")


async def test_a_last_room_that_was_lost_meanwhile_is_not_opened(server: Stage) -> None:
    async with at_screen(server, chat="#gone") as person:
        assert person.current is None
        assert person.has("Welcome!")


async def test_a_join_link_enters_its_room(server: Stage) -> None:
    async with at_screen(server, room="#new") as person:
        await person.until(lambda: person.current == "#new")


async def test_the_message_of_the_day_is_said_once(server: Stage) -> None:
    server.motd = "Backup on Friday"
    async with at_screen(server) as person:
        await person.shows("Backup on Friday")
        logins = server.count(Auth)
        server.cut()
        await server.until(lambda: server.count(Auth) > logins)
        await person.until(lambda: person.link.model.is_synced)
        await person.idle()
        assert sum("Backup on Friday" in row for row in person.frame()) == 1


# Switching ----------------------------------------------------------------------------


async def test_ctrl_n_and_ctrl_p_walk_through_the_list(server: Stage) -> None:
    async with at_screen(server, chat="#general") as person:
        seen = []
        for _ in range(4):
            await person.type(ctrl("n"))
            seen.append(person.current)
        assert seen == ["#lab", "#ops", "@bob", "#general"]
        await person.type(ctrl("p"))
        assert person.current == "@bob"


async def test_alt_up_and_alt_down_walk_as_well(server: Stage) -> None:
    async with at_screen(server, chat="#general") as person:
        await person.type("\x1b[1;3B")
        assert person.current == "#lab"
        await person.type("\x1b[1;3A")
        assert person.current == "#general"


async def test_walking_through_what_is_unread_leaves_none_out(server: Stage) -> None:
    async with at_screen(server, chat="@bob") as person:
        for chat in ("#general", "#lab", "#ops"):
            server.say(chat, "news")
        await person.until(lambda: person.chat("#ops").unread == 1)
        seen = []
        for _ in range(3):
            await person.type(ctrl("n"))
            seen.append(person.current)
        assert sorted(str(chat) for chat in seen) == ["#general", "#lab", "#ops"]


async def test_the_open_chat_keeps_its_place_when_it_has_been_read(
    server: Stage,
) -> None:
    async with at_screen(server, chat="#general") as person:
        server.say("#ops", "news")
        await person.shows("* #ops")
        assert listed(person) == ["#ops", "#general", "#lab", "@bob"]
        await person.type(alt("1"))
        assert person.current == "#ops"
        assert person.chat().unread == 0
        assert listed(person) == ["#ops", "#general", "#lab", "@bob"]
        await person.type(alt("2"))
        assert listed(person) == ["#general", "#lab", "#ops", "@bob"]


@pytest.mark.parametrize(
    ("key", "chat"), [("1", "#general"), ("2", "#lab"), ("3", "#ops"), ("4", "@bob")]
)
async def test_alt_and_a_number_opens_the_chat_of_that_place(
    server: Stage, key: str, chat: str
) -> None:
    async with at_screen(server, chat="#lab" if chat != "#lab" else "#ops") as person:
        await person.type(alt(key))
        assert person.current == chat
        await person.shows(f"something in {chat}")


async def test_alt_and_a_number_counts_from_the_first_chat_that_is_seen(
    server: Stage,
) -> None:
    for number in range(30):
        server.say(f"#room-{number:02}", "something")
    server.read_all()
    async with at_screen(server, chat="#room-29") as person:
        person.frame()
        seen = listed(person)
        assert "#general" not in seen
        await person.type(alt("3"))
        assert person.current == seen[2]


async def test_alt_and_the_number_of_no_chat_does_nothing(server: Stage) -> None:
    async with at_screen(server) as person:
        await person.type(alt("9"))
        assert person.current == "#ops"
        assert person.text == ""


async def test_alt_a_goes_to_what_is_for_oneself_first(server: Stage) -> None:
    async with at_screen(server, chat="#general") as person:
        server.say("#lab", "news")
        server.say("#ops", "alice: look")
        server.say("@bob", "psst")
        await person.until(lambda: person.chat("@bob").unread == 1)
        seen = []
        for _ in range(3):
            await person.type(alt("a"))
            seen.append(person.current)
        assert seen == ["#ops", "@bob", "#lab"]
        await person.type(alt("a"))
        assert "nothing is unread elsewhere" in person.status


async def test_alt_slash_goes_back_and_forth(server: Stage) -> None:
    async with at_screen(server, chat="#lab") as person:
        await person.type(alt("3"))
        await person.type(alt("/"))
        assert person.current == "#lab"
        await person.type(alt("/"))
        assert person.current == "#ops"


async def test_alt_slash_without_a_chat_before_does_nothing(server: Stage) -> None:
    async with at_screen(server) as person:
        await person.type(alt("/"))
        assert person.current == "#ops"


async def test_the_address_of_a_chat_alone_opens_it(server: Stage) -> None:
    async with at_screen(server) as person:
        await person.enter("#lab")
        await person.until(lambda: person.current == "#lab")
        assert server.texts("#ops") == ["something in #ops"]


async def test_a_click_opens_a_chat_once_the_mouse_is_on(server: Stage) -> None:
    async with at_screen(server) as person:
        assert "\x1b[?1000h" not in person.glass.transcript
        await person.type(F4)
        person.frame()
        assert "\x1b[?1000h" in person.glass.transcript
        await person.type("\x1b[<0;5;2M\x1b[<0;5;2m")
        assert person.current == "#general"


async def test_a_click_on_a_chat_takes_the_box_away(server: Stage) -> None:
    async with at_screen(server, 200, 40) as person:
        await person.type(F4 + F1)
        person.frame()
        await person.type("\x1b[<0;5;2M\x1b[<0;5;2m")
        assert person.current == "#general"
        assert not person.has_box()


async def test_esc_and_a_letter_one_after_the_other_is_alt_and_the_letter(
    server: Stage,
) -> None:
    async with at_screen(server) as person:
        await person.press("\x1b")
        await person.type("1")
        assert person.current == "#general"
        assert person.text == ""


# The switcher -------------------------------------------------------------------------


async def test_ctrl_k_finds_a_chat_by_a_few_letters(server: Stage) -> None:
    async with at_screen(server) as person:
        await person.type(ctrl("k"))
        assert person.has("Go to")
        await person.type("gnl")
        assert person.ui.dialog is not None
        assert [item.value for item in person.ui.dialog.items] == ["#general"]
        await person.type("\r")
        assert person.current == "#general"
        assert not person.has("Go to")


async def test_the_switcher_finds_people_too(server: Stage) -> None:
    server.members["#ops"] = [member("alice"), member("dorothea")]
    async with at_screen(server) as person:
        await person.until(lambda: person.chat().members is not None)
        await person.enter("")
        await person.type(ctrl("k") + "doro")
        assert person.has("@dorothea  a person")
        await person.type("\r")
        assert person.current == "@dorothea"
        await person.enter("hello")
        await server.until(lambda: server.texts("@dorothea") == ["hello"])


async def test_the_switcher_joins_a_room_that_was_listed(server: Stage) -> None:
    server.answers[Rooms] = lambda _: RoomsPage(
        rooms=[RoomInfo("#garden", "plants", 3)], more=False
    )
    async with at_screen(server) as person:
        await person.enter("/rooms")
        await person.shows("plants")
        await person.type(ctrl("k") + "garden")
        assert person.has("#garden  a room to join")
        await person.type("\r")
        await person.until(lambda: person.current == "#garden")


async def test_arrows_choose_in_the_switcher_and_esc_closes_it(server: Stage) -> None:
    async with at_screen(server) as person:
        await person.type(ctrl("k") + DOWN + DOWN + UP)
        assert person.ui.dialog is not None
        assert person.ui.dialog.index == 1
        await person.escape()
        await person.until(lambda: not person.has_box())
        await person.type("typed again below")
        assert person.text == "typed again below"


async def test_the_switcher_counts_what_comes_meanwhile(server: Stage) -> None:
    async with at_screen(server) as person:
        await person.type(ctrl("k"))
        server.say("#lab", "news")
        await person.shows("#lab  1 unread")


async def test_alt_and_a_letter_in_a_box_types_nothing(server: Stage) -> None:
    async with at_screen(server) as person:
        await person.type(ctrl("k") + alt("a"))
        assert person.ui.dialog is not None
        assert person.text == person.ui.dialog.buffer.text == ""


async def test_letters_in_a_box_do_not_reach_the_composer(server: Stage) -> None:
    async with at_screen(server) as person:
        await person.type("begun" + ctrl("k") + "xyz")
        assert person.text == "begun"
        await person.type(ctrl("c"))
        assert person.text == "begun"
        assert not person.has_box()


# Help ---------------------------------------------------------------------------------


async def test_the_help_lists_every_action_and_every_command(server: Stage) -> None:
    async with at_screen(server, 120, 40) as person:
        await person.type(F1)
        dialog = person.ui.dialog
        assert dialog is not None
        lines = ["".join(text for _, text in item.row) for item in dialog.items]
        told = " ".join(" ".join(lines).split())
        for action in ACTIONS:
            if keys := shown_keys(action):
                is_one_of_many = action.name.startswith("chat-")
                assert is_one_of_many or keys.split(", ")[0] in told, action.name
        for command in person.ui.registry.all():
            assert f"/{command.name}" in told, command.name


async def test_slash_help_opens_the_same_help(server: Stage) -> None:
    async with at_screen(server) as person:
        await person.enter("/help")
        await person.until(lambda: person.ui.dialog is not None)
        assert person.has("Help")


async def test_the_help_finds_what_is_typed(server: Stage) -> None:
    async with at_screen(server) as person:
        await person.type(F1 + "clipboardless")
        assert person.has("nothing fits")
        await person.type(ctrl("u") + "copy the marked")
        assert person.has("copy the marked messages")
        await person.type(F1)
        assert not person.has_box()


async def test_the_help_is_read_by_pages(server: Stage) -> None:
    async with at_screen(server, 80, 24) as person:
        await person.type(F1)
        assert person.has("send what is typed")
        await person.type(PAGE_DOWN * 3)
        assert not person.has("send what is typed")
        await person.type(PAGE_UP * 5)
        assert person.has("send what is typed")
