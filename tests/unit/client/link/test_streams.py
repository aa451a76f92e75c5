"""Message streams for bots: nothing twice, nothing missing, and bounded memory."""

from collections.abc import Sequence

import pytest

from chatd.protocol.errors import NotAMemberError
from chatd.protocol.messages import (
    ChatRecord,
    History,
    HistoryPage,
    Message,
    Request,
    ServerMessage,
    Sync,
)
from client.errors import EventsLostError, NotConnectedError
from client.link import streams
from client.link.persistence import sync_requests
from client.link.streams import EventStream, Inbox
from client.model.changes import ChatAdded, EntriesAdded
from client.model.entries import entry_from_message
from client.model.model import Model

OPS = "#ops"


def message(seq: int, sender: str = "bob", kind: str = "text") -> Message:
    return Message(
        chat=OPS,
        seq=seq,
        prev=seq - 1,
        from_=sender,
        time=seq,
        kind=kind,
        text=str(seq),
    )


class Log:
    """A server's log that answers ``history``."""

    def __init__(self, last: int) -> None:
        self.messages = [message(seq) for seq in range(1, last + 1)]
        self.asked: list[int] = []
        self.errors: list[Exception] = []

    async def request(self, request: Request) -> ServerMessage:
        assert isinstance(request, History)
        self.asked.append(request.after or 0)
        if self.errors:
            raise self.errors.pop(0)
        found = self.messages[request.after or 0 :][: request.limit]
        return HistoryPage(chat=OPS, messages=found, more=False)


def model_at(last: int, read: int = 0) -> Model:
    model = Model("alice")
    record = ChatRecord(chat=OPS, last=last, read=read, first=1, unread=0)
    model.load_chats([record], {})
    model.is_synced = True
    return model


def news(messages: Sequence[Message]) -> EntriesAdded:
    entries = tuple(entry_from_message(each) for each in messages)
    return EntriesAdded(chat=OPS, entries=entries, origin="live")


async def take(inbox: Inbox, count: int) -> list[int]:
    return [(await anext(inbox)).seq for _ in range(count)]


async def test_what_arrives_in_order_needs_no_question() -> None:
    log = Log(0)
    inbox = Inbox(model_at(0), log.request)
    inbox.push(news([message(1), message(2)]))
    assert await take(inbox, 2) == [1, 2]
    assert log.asked == []


async def test_what_is_missing_is_fetched_first() -> None:
    log = Log(700)
    inbox = Inbox(model_at(0, read=0), log.request)
    inbox.push(news([message(699), message(700)]))
    assert await take(inbox, 700) == list(range(1, 701))


async def test_a_slow_reader_gets_everything_with_bounded_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(streams, "MAX_BUFFER", 10)
    log = Log(500)
    inbox = Inbox(model_at(0), log.request)
    for each in log.messages:
        inbox.push(news([each]))
    assert await take(inbox, 500) == list(range(1, 501))


async def test_the_same_entry_again_is_not_given_again() -> None:
    inbox = Inbox(model_at(0), Log(0).request)
    inbox.push(news([message(1)]))
    assert await take(inbox, 1) == [1]
    inbox.push(news([message(1), message(2)]))
    assert await take(inbox, 1) == [2]


async def test_own_messages_and_events_are_left_out() -> None:
    inbox = Inbox(model_at(0), Log(0).request)
    inbox.push(news([message(1, "alice"), message(2, kind="join"), message(3)]))
    assert await take(inbox, 1) == [3]


async def test_a_chat_that_cannot_be_read_does_not_stop_the_others() -> None:
    log = Log(5)
    log.errors = [NotAMemberError("no")]
    inbox = Inbox(model_at(5), log.request)
    inbox.end(None)
    with pytest.raises(StopAsyncIteration):
        await anext(inbox)
    assert log.asked == [0]


async def test_without_connection_it_waits_for_the_next_login() -> None:
    log = Log(5)
    log.errors = [NotConnectedError("no")]
    inbox = Inbox(model_at(5), log.request)
    inbox.push(ChatAdded(chat=OPS))
    inbox.end(NotConnectedError("over"))
    with pytest.raises(NotConnectedError):
        await anext(inbox)
    assert log.asked == [0]


async def test_a_reader_of_events_that_is_too_slow_is_told() -> None:
    stream: EventStream[int] = EventStream(max_events=2)
    for number in range(3):
        stream.push(number)
    assert [await anext(stream), await anext(stream)] == [0, 1]
    with pytest.raises(EventsLostError):
        await anext(stream)


def test_what_is_held_is_said_in_frames_that_fit() -> None:
    have = {f"#room-{number}": number for number in range(1_000)}
    requests = sync_requests(have, 4_096)
    assert len(requests) > 1
    assert [r.more for r in requests] == [True] * (len(requests) - 1) + [False]
    said: dict[str, int] = {}
    for request in requests:
        said |= request.have
    assert said == have


def test_whoever_holds_nothing_says_so() -> None:
    assert sync_requests({}, 4_096) == [Sync()]
