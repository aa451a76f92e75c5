"""The /commands: one table for help, completion and dispatch; chats and people."""

import pytest

from chatd.protocol.errors import NoSuchRoomError, NotAllowedError
from chatd.protocol.messages import (
    Create,
    Decline,
    Invite,
    Join,
    Joined,
    Leave,
    MemberInfo,
    MembersPage,
    Presence,
    PresenceOf,
    RoomInfo,
    RoomsPage,
    SetStatus,
    Topic,
    WhoisReply,
)
from client.commands import Registry, make_registry, run
from client.commands.registry import Command
from client.errors import NotConnectedError
from client.link.reconnect import LinkState
from tests.fakes.link import Stage, message, room, sending


@pytest.fixture
def registry() -> Registry:
    return make_registry()


@pytest.fixture
def ops(stage: Stage) -> Stage:
    """In #ops, with #lab and a chat with bob beside it."""
    stage.fake.log_in(room(), room("#lab"), room("@bob", role=None))
    stage.workspace.current = "#ops"
    return stage


async def type_in(stage: Stage, text: str) -> str:
    """Enter a line and return what was shown for it."""
    before = len(stage.frontend.lines)
    await run(stage.workspace, make_registry(), text)
    return "\n".join(stage.frontend.lines[before:])


# The table ----------------------------------------------------------------------------


def test_every_command_of_the_issue_is_there(registry: Registry) -> None:
    names = set(registry.names())
    wanted = (
        "join leave msg query rooms names who history topic create invite decline away "
        "back status me time unread read chats switch whois retry discard outbox clear "
        "reconnect help quit send get files transfers cancel"
    )
    assert set(wanted.split()) <= names


def test_every_command_explains_itself(registry: Registry) -> None:
    for command in registry.all():
        assert command.help[0].islower()
        assert not command.help.endswith(".")
        assert command.group != "Other"


def test_a_name_cannot_be_taken_twice(registry: Registry) -> None:
    with pytest.raises(ValueError, match="two commands"):
        registry.add(Command(name="s", help="x", handler=registry.find("quit").handler))


# Messages and other input -------------------------------------------------------------


async def test_a_text_goes_to_the_open_chat(ops: Stage) -> None:
    await type_in(ops, "hello there\n")
    assert [(i.chat, i.text) for i in ops.fake.items] == [("#ops", "hello there")]


async def test_a_text_of_many_lines_is_one_message(ops: Stage) -> None:
    await type_in(ops, "one\ntwo\n  three")
    assert [i.text for i in ops.fake.items] == ["one\ntwo\n  three"]


@pytest.mark.parametrize("text", ["", "   ", "\n\n"])
async def test_nothing_is_not_sent(ops: Stage, text: str) -> None:
    await type_in(ops, text)
    assert ops.fake.items == []


@pytest.mark.parametrize("text", ["/etc/passwd is gone", "/", "/ me", "/hisotry"])
async def test_what_looks_like_a_command_is_never_sent(ops: Stage, text: str) -> None:
    shown = await type_in(ops, text)
    assert "nothing was sent" in " ".join(shown.split())
    assert ops.fake.items == []


async def test_of_two_slashes_one_is_sent(ops: Stage) -> None:
    await type_in(ops, "//etc/passwd is gone")
    assert ops.fake.items[0].text == "/etc/passwd is gone"


async def test_an_unknown_command_suggests_the_nearest(ops: Stage) -> None:
    assert "did you mean /join?" in await type_in(ops, "/jion #lab")


async def test_a_text_without_an_open_chat_says_how_to_open_one(stage: Stage) -> None:
    assert "no chat is open" in await type_in(stage, "hello")
    assert stage.fake.items == []


# Chats --------------------------------------------------------------------------------


async def test_an_address_alone_opens_that_chat(ops: Stage) -> None:
    await type_in(ops, "#lab")
    assert ops.workspace.current == "#lab"
    assert ops.frontend.opened_chats == ["#lab"]
    assert ops.fake.items == []


@pytest.mark.parametrize("text", ["@carol", "@CAROL", " @carol\n"])
async def test_a_person_alone_is_no_message_to_the_open_chat(
    ops: Stage, text: str
) -> None:
    await type_in(ops, text)
    assert ops.workspace.current == "@carol"
    assert ops.fake.items == []


async def test_a_room_alone_that_one_is_not_in_is_no_message_either(ops: Stage) -> None:
    assert "you are not in #war: /join #war" in await type_in(ops, "#war")
    assert ops.workspace.current == "#ops"
    assert ops.fake.items == []


@pytest.mark.parametrize("text", ["@bob look", "#42", "@", "#", "@bob?", "# one"])
async def test_what_only_begins_like_an_address_is_a_message(
    ops: Stage, text: str
) -> None:
    await type_in(ops, text)
    assert [(i.chat, i.text) for i in ops.fake.items] == [("#ops", text)]


async def test_a_number_is_a_room_to_those_who_are_in_it(ops: Stage) -> None:
    ops.fake.log_in(room("#42"))
    await type_in(ops, "#42")
    assert ops.workspace.current == "#42"


async def test_join_enters_a_room_and_opens_it(ops: Stage) -> None:
    ops.fake.replies = [Joined(chat=room("#new"))]
    await type_in(ops, "/join new")
    assert ops.fake.requests == [Join(room="#new")]
    assert ops.workspace.current == "#new"


async def test_join_of_a_room_one_is_in_only_opens_it(ops: Stage) -> None:
    await type_in(ops, "/join #lab")
    assert ops.fake.requests == []
    assert ops.workspace.current == "#lab"


async def test_join_alone_accepts_the_only_invitation(ops: Stage) -> None:
    ops.fake.model.invites["#secret"] = "bob"
    ops.fake.replies = [Joined(chat=room("#secret"))]
    await type_in(ops, "/join")
    assert ops.workspace.current == "#secret"


async def test_a_room_that_is_not_there_can_be_made(ops: Stage) -> None:
    ops.fake.replies = [NoSuchRoomError("no")]
    said = await type_in(ops, "/join #nope")
    assert "there is no room #nope: /create #nope makes it" in said
    assert ops.workspace.current == "#ops"


async def test_a_refusal_of_the_server_is_shown(ops: Stage) -> None:
    ops.fake.replies = [NotAllowedError("#board is by invitation only")]
    assert "#board is by invitation only" in await type_in(ops, "/join #board")
    assert ops.workspace.current == "#ops"


async def test_what_needs_the_server_says_so_while_offline(ops: Stage) -> None:
    ops.fake.replies = [NotConnectedError("no")]
    assert "you are offline" in await type_in(ops, "/rooms")


@pytest.mark.parametrize("to", ["@bob", "bob", "BOB"])
async def test_msg_sends_without_leaving_the_chat(ops: Stage, to: str) -> None:
    await type_in(ops, f"/msg {to} see you  at ten")
    assert (ops.fake.items[0].chat, ops.fake.items[0].text) == (
        "@bob",
        "see you  at ten",
    )
    assert ops.workspace.current == "#ops"


async def test_me_sends_an_action(ops: Stage) -> None:
    await type_in(ops, "/me waves")
    assert ops.fake.items[0].kind == "action"


async def test_create_makes_private_rooms_and_sets_topics(ops: Stage) -> None:
    ops.fake.replies = [Joined(chat=room("#war"))]
    await type_in(ops, "/create #war private Plans for Monday")
    assert ops.fake.requests == [
        Create(room="#war", topic="Plans for Monday", visibility="private")
    ]


async def test_topic_shows_sets_and_takes_off(ops: Stage) -> None:
    assert "no topic" in await type_in(ops, "/topic")
    await type_in(ops, "/topic lunch at noon")
    await type_in(ops, "/topic -")
    assert ops.fake.requests == [
        Topic(room="#ops", topic="lunch at noon"),
        Topic(room="#ops", topic=""),
    ]


async def test_invite_takes_people_and_a_room(ops: Stage) -> None:
    await type_in(ops, "/invite @carol dave #lab")
    assert ops.fake.requests == [
        Invite(room="#lab", user="carol"),
        Invite(room="#lab", user="dave"),
    ]


async def test_decline_refuses_an_invitation(ops: Stage) -> None:
    ops.fake.model.invites["#secret"] = "bob"
    await type_in(ops, "/decline #secret")
    assert ops.fake.requests == [Decline(room="#secret")]
    assert ops.fake.model.invites == {}


async def test_leave_is_about_the_open_room(ops: Stage) -> None:
    await type_in(ops, "/leave")
    assert ops.fake.requests == [Leave(room="#ops")]


async def test_leave_in_a_direct_chat_asks_for_a_room(ops: Stage) -> None:
    ops.workspace.current = "@bob"
    assert "no room is open" in await type_in(ops, "/leave")


async def test_rooms_lists_all_pages(ops: Stage) -> None:
    pages = [
        RoomsPage(rooms=[RoomInfo(room="#lab", topic="", members=1)], more=True),
        RoomsPage(rooms=[RoomInfo(room="#ops", topic="Duty", members=12)], more=False),
    ]
    ops.fake.replies = list(pages)
    shown = await type_in(ops, "/rooms")
    assert "#lab    1 member" in shown
    assert "12 members  Duty" in shown


async def test_history_shows_the_last_messages(ops: Stage) -> None:
    for seq in (1, 2, 3):
        ops.fake.take(message(f"text {seq}", seq))
    shown = await type_in(ops, "/history 2")
    assert "text 1" not in shown
    assert "text 3" in shown
    assert "say how many" in await type_in(ops, "/history lots")


async def test_unread_lists_mentions_first(ops: Stage) -> None:
    ops.fake.take(message("hello", 1, chat="#lab"))
    ops.fake.take(message("alice: look", 1))
    shown = await type_in(ops, "/unread")
    assert shown.startswith("-- unread: #ops 1 (1 for you), #lab 1")


async def test_read_moves_the_cursor(ops: Stage) -> None:
    ops.fake.take(message("hello", 1, chat="#lab"))
    await type_in(ops, "/read #lab")
    assert ops.fake.reads == [("#lab", 1)]
    assert "nothing is unread" in await type_in(ops, "/unread")


async def test_switch_alone_goes_where_something_is_unread(ops: Stage) -> None:
    ops.fake.take(message("hello", 1, chat="#lab"))
    await type_in(ops, "/switch")
    assert ops.workspace.current == "#lab"


# People -------------------------------------------------------------------------------


async def test_names_lists_who_is_here_first(ops: Stage) -> None:
    members = [
        MemberInfo(user="adam", role="member", status="offline"),
        MemberInfo(user="bob", role="owner", status="online"),
    ]
    ops.fake.replies = [MembersPage(members=members, more=False)]
    lines = (await type_in(ops, "/names")).split("\n")
    assert lines[0] == "-- #ops: 2 people, 1 of them here"
    assert [line.split()[:2] for line in lines[1:]] == [
        ["bob", "online"],
        ["adam", "offline"],
    ]


async def test_who_lists_those_who_are_here(ops: Stage) -> None:
    users = {
        "bob": PresenceOf(status="away", text="lunch"),
        "eve": PresenceOf(status="offline"),
    }
    ops.fake.take(Presence(users=users, more=False))
    shown = await type_in(ops, "/who")
    assert "bob  away  lunch" in shown
    assert "eve" not in shown


async def test_whois_says_what_is_known(ops: Stage) -> None:
    ops.fake.replies = [WhoisReply(user="bob", role="admin", status="online", since=0)]
    assert await type_in(ops, "/whois @bob") == (
        "-- bob: online, admin of this server, joined the server on 1970-01-01"
    )


async def test_away_back_and_status_tell_the_server(ops: Stage) -> None:
    for text in ("/away lunch", "/back", "/status busy on call"):
        await type_in(ops, text)
    assert ops.fake.requests == [
        SetStatus(status="away", text="lunch"),
        SetStatus(status="online"),
        SetStatus(status="busy", text="on call"),
    ]


# The program --------------------------------------------------------------------------


async def test_time_sets_how_times_are_shown(ops: Stage) -> None:
    await type_in(ops, "/time %H.%M Uhr")
    assert ops.workspace.preferences.time_format == "%H.%M Uhr"
    assert "shows no time" in await type_in(ops, "/time hello")
    assert ops.workspace.preferences.time_format == "%H.%M Uhr"


async def test_outbox_retry_and_discard_go_by_number(ops: Stage) -> None:
    ops.fake.items = [
        sending(id=7, chat="#ops", text="one", key="a", state="refused", reason="no"),
        sending(id=9, chat="#ops", text="two", key="b"),
    ]
    shown = await type_in(ops, "/outbox")
    assert "1. " in shown
    assert "two  (waiting)" in shown
    await type_in(ops, "/discard 2")
    assert [item.id for item in ops.fake.items] == [7]
    await type_in(ops, "/retry")
    assert ops.fake.items == []
    assert "empty" in await type_in(ops, "/discard")


async def test_help_lists_every_command(ops: Stage, registry: Registry) -> None:
    shown = await type_in(ops, "/help")
    for command in registry.all():
        assert command.title in shown


async def test_help_says_what_else_may_be_typed(ops: Stage) -> None:
    shown = await type_in(ops, "/help")
    assert "#room or @user" in shown
    assert "//text" in shown


@pytest.mark.parametrize("keys", [[("F9", "fly")], []])
async def test_help_names_the_keys_of_its_face_alone(
    ops: Stage, keys: list[tuple[str, str]]
) -> None:
    await run(ops.workspace, make_registry(keys), "/help")
    assert ("Keys" in ops.frontend.lines) == bool(keys)
    assert any("fly" in line for line in ops.frontend.lines) == bool(keys)
    assert "Ctrl+D" not in ops.frontend.text


async def test_help_explains_one_command(ops: Stage) -> None:
    assert "strftime" in await type_in(ops, "/help /time")


async def test_clear_reconnect_and_quit_reach_the_face(ops: Stage) -> None:
    await type_in(ops, "/clear")
    assert ops.frontend.is_cleared
    assert "you are online" in await type_in(ops, "/reconnect")
    await type_in(ops, "/quit")
    assert ops.frontend.is_over


async def test_invitations_are_listed_with_what_to_do(ops: Stage) -> None:
    ops.fake.model.invites["#secret"] = "bob"
    assert "/join #secret or /decline #secret" in await type_in(ops, "/unread")


async def test_names_of_others_cannot_act_on_the_terminal(ops: Stage) -> None:
    evil = RoomInfo(room="#x", topic="a\x1b[2Jb\nc", members=1)
    ops.fake.replies = [RoomsPage(rooms=[evil], more=False)]
    shown = await type_in(ops, "/rooms")
    assert "\x1b" not in shown
    assert "a␛[2Jb c" in shown


async def test_help_for_a_command_that_is_not_there_names_one_that_is(
    ops: Stage,
) -> None:
    said = await type_in(ops, "/help jion")
    assert "did you mean /join?" in said
    assert "nothing was sent" not in said


async def test_retry_leaves_alone_what_waits(ops: Stage) -> None:
    await ops.fake.send("#ops", "under way")
    assert "is sent by itself" in await type_in(ops, "/retry all")
    assert len(ops.fake.items) == 1


async def test_the_server_is_named_once_where_it_cannot_be_reached(ops: Stage) -> None:
    reason = "tls://lab:4747 cannot be reached: no server is running there"
    ops.fake.state = LinkState(name="waiting", reason=reason)
    assert (await type_in(ops, "/server")).count("tls://lab:4747") == 1
