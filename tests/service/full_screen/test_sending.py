"""The full screen: where messages and commands go, replies, the outcome of sends."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from chatd.protocol.errors import NotAMemberError, RateLimitedError
from chatd.protocol.messages import (
    Leave,
    Limits,
    Ok,
    Request,
    Rooms,
    RoomsPage,
    Send,
    ServerMessage,
    Topic,
    Typing,
)
from client.storage.outbox import OutboxError
from tests.service.full_screen.person import (
    PASTE,
    Person,
    Stage,
    alt,
    at_screen,
    ctrl,
)

CTRL_UP = "\x1b[1;5A"


@pytest.fixture
async def server() -> AsyncIterator[Stage]:
    async with Stage() as server:
        server.say("#lab", "in the lab")
        server.say("#ops", "in ops")
        server.read_all()
        yield server


@pytest.fixture
async def person(server: Stage) -> AsyncIterator[Person]:
    async with at_screen(server) as person:
        yield person


def last_send(server: Stage) -> Send:
    found = server.last(Send)
    assert isinstance(found, Send)
    return found


# Destinations -------------------------------------------------------------------------


async def test_enter_sends_to_the_open_chat_and_empties_the_composer(
    person: Person, server: Stage
) -> None:
    await person.enter("hello")
    assert person.text == ""
    await person.shows("alice      hello")
    await server.until(lambda: server.texts("#ops")[-1] == "hello")


async def test_a_message_goes_to_the_chat_where_enter_was_pressed(
    person: Person, server: Stage
) -> None:
    await person.type("for ops\r" + alt("1") + "for the lab\r")
    await server.until(lambda: server.texts("#lab")[-1] == "for the lab")
    await server.until(lambda: server.texts("#ops")[-1] == "for ops")


async def test_what_one_does_goes_to_the_chat_where_enter_was_pressed(
    person: Person, server: Stage
) -> None:
    await person.type("/me waves\r" + alt("1"))
    await server.until(lambda: server.texts("#ops")[-1] == "waves")
    assert last_send(server).kind == "action"
    assert server.texts("#lab") == ["in the lab"]


async def test_a_command_is_about_the_chat_where_enter_was_pressed(
    person: Person, server: Stage
) -> None:
    left: list[str] = []

    def leave(request: Request) -> ServerMessage:
        assert isinstance(request, Leave)
        left.append(request.room)
        return Ok()

    server.answers[Leave] = leave
    await person.type("/leave\r" + alt("1"))
    await person.until(lambda: bool(left))
    assert left == ["#ops"]
    assert person.current == "#lab"


async def test_a_command_that_waits_for_another_is_about_its_chat_too(
    person: Person, server: Stage
) -> None:
    asked: list[str] = []

    def topic(request: Request) -> ServerMessage:
        assert isinstance(request, Topic)
        asked.append(request.room)
        return Ok()

    server.answers[Topic] = topic
    server.answers[Rooms] = lambda _: RoomsPage(rooms=[], more=False)
    await person.type("/rooms\r/topic freeze\r" + alt("1"))
    await person.until(lambda: bool(asked))
    assert asked == ["#ops"]


async def test_a_message_is_not_held_up_by_a_command(
    person: Person, server: Stage
) -> None:
    server.answers[Rooms] = lambda _: RoomsPage(rooms=[], more=False)
    server.is_silent = True
    await person.enter("/rooms")
    await person.enter("hello")
    await person.shows("~ 1 waiting")
    assert [item.text for item in person.link.outbox.items] == ["hello"]


async def test_quit_does_not_wait_for_a_command(person: Person, server: Stage) -> None:
    server.is_silent = True
    await person.leave("/rooms\r/quit\r")


async def test_two_slashes_send_a_text_that_begins_with_one(
    person: Person, server: Stage
) -> None:
    await person.enter("//etc is full")
    await server.until(lambda: server.texts("#ops")[-1] == "/etc is full")


async def test_a_command_that_is_none_is_not_sent(
    person: Person, server: Stage
) -> None:
    await person.enter("/jion #lab")
    await person.shows("there is no command /jion")
    assert server.count(Send) == 0


async def test_a_person_alone_opens_that_chat_and_nothing_is_sent(
    person: Person, server: Stage
) -> None:
    await person.enter("@carol")
    await person.until(lambda: person.current == "@carol")
    assert server.count(Send) == 0


async def test_a_room_alone_that_one_is_not_in_is_not_sent(
    person: Person, server: Stage
) -> None:
    await person.enter("#layoffs")
    await person.shows("you are not in #layoffs: /join #layoffs enters it")
    assert server.count(Send) == 0


async def test_an_address_does_not_use_up_the_reply_of_its_chat(
    person: Person, server: Stage
) -> None:
    await person.type(alt("m") + "r#lab\r")
    await person.until(lambda: person.current == "#lab")
    await person.type(alt("2"))
    assert person.is_replying()


async def test_a_text_that_begins_with_a_name_is_a_message(
    person: Person, server: Stage
) -> None:
    await person.enter("@carol look at this")
    await server.until(lambda: server.texts("#ops")[-1] == "@carol look at this")


async def test_without_a_chat_a_text_is_not_sent(server: Stage) -> None:
    async with at_screen(server, chat=None) as person:
        await person.enter("hello?")
        await person.shows("no chat is open")
        assert person.text == "hello?"


async def test_the_indentation_of_a_message_is_kept(
    person: Person, server: Stage
) -> None:
    await person.type(PASTE.format("    def f():\n        pass\n") + "\r")
    wanted = "    def f():\n        pass"
    await server.until(lambda: server.texts("#ops")[-1] == wanted)


async def test_a_paste_never_sends(person: Person, server: Stage) -> None:
    await person.type(PASTE.format("one\ntwo\nthree"))
    assert person.text == "one\ntwo\nthree"
    assert server.count(Send) == 0


async def test_sending_goes_to_the_bottom(person: Person, server: Stage) -> None:
    server.fill(60)
    server.say("#ops", "newest")
    await person.shows("newest")
    await person.type("\x1b[5~")
    assert not person.ui.timeline.is_at_bottom
    await person.enter("back here")
    assert person.ui.timeline.is_at_bottom


async def test_typing_is_told_to_the_others(person: Person, server: Stage) -> None:
    await person.type("hel")
    await server.until(lambda: server.count(Typing) == 1)


# Replies ------------------------------------------------------------------------------


async def test_a_reply_goes_with_the_next_message(
    person: Person, server: Stage
) -> None:
    seq = server.say("#ops", "a question")
    await person.shows("a question")
    await person.type(alt("m") + "r")
    assert person.has("re bob: a question")
    assert person.is_replying()
    await person.enter("an answer")
    await server.until(lambda: server.count(Send) == 1)
    assert last_send(server).reply_to == seq
    assert not person.is_replying()


async def test_what_one_does_can_be_a_reply(person: Person, server: Stage) -> None:
    seq = server.say("#ops", "a question")
    await person.shows("a question")
    await person.type(alt("m") + "r/me nods\r")
    await server.until(lambda: server.count(Send) == 1)
    assert last_send(server).reply_to == seq
    assert last_send(server).kind == "action"


async def test_esc_ends_the_reply_and_keeps_what_is_typed(person: Person) -> None:
    await person.type(alt("m") + "rtext")
    assert person.is_replying()
    await person.escape()
    assert not person.is_replying()
    assert person.text == "text"


async def test_a_reply_belongs_to_its_chat(person: Person) -> None:
    await person.type(alt("m") + "r" + alt("1"))
    assert not person.is_replying()
    await person.type(alt("2"))
    assert person.is_replying()


# The outcome --------------------------------------------------------------------------


async def test_a_refused_message_is_shown_and_can_be_sent_again(
    person: Person, server: Stage
) -> None:
    server.refusals = [NotAMemberError("you are not a member of #ops")]
    await person.enter("let me in")
    await person.shows("x 1 refused")
    assert person.has("x ")
    assert person.has("not sent: you are not a member of #ops")
    await person.enter("/retry")
    await person.hides("refused")
    await server.until(lambda: server.texts("#ops")[-1] == "let me in")


async def test_a_refused_message_can_be_thrown_away(
    person: Person, server: Stage
) -> None:
    server.refusals = [NotAMemberError("no")]
    await person.enter("let me in")
    await person.shows("x 1 refused")
    await person.enter("/discard")
    await person.hides("let me in")
    assert person.link.outbox.items == []


async def test_a_message_that_waits_is_shown_as_waiting_then_as_sent(
    person: Person, server: Stage
) -> None:
    server.held_back = []
    await person.enter("hello")
    await person.shows("~ ")
    await server.until(lambda: bool(server.held_back))
    for answer in server.held_back:
        answer()
    await person.hides("~ ")
    assert sum("hello" in row for row in person.frame()) == 1


async def test_a_server_that_is_busy_says_so_beside_what_waits(
    person: Person, server: Stage
) -> None:
    server.refusals = [RateLimitedError("slow down", 600_000)]
    await person.enter("hello")
    await person.shows("waiting: slow down")


async def test_messages_written_offline_are_sent_once_it_is_back(
    person: Person, server: Stage
) -> None:
    await server.stop()
    await person.shows("offline")
    await person.enter("written offline")
    await person.shows("~ 1 waiting")
    await server.start()
    await person.hides("waiting")
    assert server.texts("#ops")[-1] == "written offline"


async def test_a_message_that_cannot_be_written_down_is_given_back(
    person: Person, server: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise OutboxError("the disk is full")

    monkeypatch.setattr(person.link, "send", fail)
    await person.enter("precious")
    await person.shows("not sent: the disk is full")
    assert person.text == "precious"


async def test_a_message_that_fails_is_not_given_back_into_another_chat(
    person: Person, server: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise OutboxError("the disk is full")

    monkeypatch.setattr(person.link, "send", fail)
    await person.type("precious\r" + alt("1"))
    await person.shows("your message to #ops was not sent")
    assert person.text == ""
    await person.type(alt("2") + CTRL_UP)
    assert person.text == "precious"


async def test_a_refusal_before_sending_does_not_stop_what_follows(
    person: Person, server: Stage
) -> None:
    person.link.outbox.limits = Limits(frame=131_072, text=5, in_flight=256)
    await person.enter("too long")
    await person.shows("your message was not sent")
    await person.type(ctrl("u"))
    await person.enter("short")
    await server.until(lambda: server.texts("#ops")[-1] == "short")


async def test_a_command_that_fails_inside_does_not_stop_what_follows(
    person: Person, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(person.link, "outbox", property(fail))
    await person.enter("/outbox")
    await person.until(lambda: "a command failed" in caplog.text)
    monkeypatch.undo()
    await person.enter("/outbox")
    await person.shows("the outbox is empty")


async def test_what_was_entered_right_before_the_end_is_not_lost(
    server: Stage, tmp_path: Path
) -> None:
    async with at_screen(server, home=tmp_path) as person:
        await server.stop()
        await person.until(lambda: person.link.state.name != "online")
        await person.leave("last words\r/quit\r")
    await server.start()
    async with at_screen(server, home=tmp_path):
        await server.until(lambda: server.texts("#ops")[-1] == "last words")


async def test_what_was_typed_and_not_sent_is_there_at_the_next_start(
    server: Stage, tmp_path: Path
) -> None:
    async with at_screen(server, home=tmp_path) as person:
        await person.type("half a sent")
    async with at_screen(server, home=tmp_path) as person:
        assert person.text == "half a sent"


async def test_ctrl_c_empties_what_is_typed_and_quits_only_if_pressed_twice(
    person: Person,
) -> None:
    await person.type("text" + ctrl("c"))
    assert person.text == ""
    await person.type(ctrl("c"))
    await person.shows("Ctrl+C again quits")
    assert not person.is_ended
    await person.leave(ctrl("c"))


async def test_ctrl_d_ends_the_program_only_while_nothing_is_typed(
    person: Person,
) -> None:
    await person.type("ab" + "\x01" + ctrl("d"))
    assert person.text == "b"
    await person.type(ctrl("e") + ctrl("d"))
    assert not person.is_ended
    await person.type("\x7f")
    await person.leave(ctrl("d"))
