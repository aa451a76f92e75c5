"""SendOrder: in order within a chat, whatever the server refuses meanwhile."""

from hypothesis import given
from hypothesis import strategies as st

from chatd.protocol.errors import (
    ChatError,
    MutedError,
    OutOfOrderError,
    RateLimitedError,
    StorageFullError,
)
from client.link.send_order import SendOrder
from client.model.entries import OutboxItem
from tests.fakes.link import sending


def item(number: int, chat: str = "#ops") -> OutboxItem:
    return sending(id=number, chat=chat, text=str(number), key=f"k{number}")


def filled(*items: OutboxItem, max_in_flight: int = 64) -> SendOrder:
    drain = SendOrder(max_in_flight)
    for each in items:
        drain.add(each)
    return drain


def ids(items: list[OutboxItem]) -> list[int]:
    return [each.id for each in items]


def test_items_are_pipelined_in_order_up_to_the_bound() -> None:
    drain = filled(*map(item, range(1, 6)), max_in_flight=3)
    assert ids(drain.due(0)) == [1, 2, 3]
    assert drain.due(0) == []
    assert drain.answer(item(1), None, 0)
    assert ids(drain.due(0)) == [4]


def test_a_temporary_refusal_waits_and_repeats_from_the_refused_item() -> None:
    drain = filled(item(1), item(2), item(3))
    drain.due(0)
    assert not drain.answer(item(1), RateLimitedError("slow", 2_000), 0)
    assert not drain.answer(item(2), OutOfOrderError("later"), 0)
    assert drain.due(10) == []  # the third is still unanswered
    drain.answer(item(3), OutOfOrderError("later"), 0)
    assert drain.due(1.9) == []
    assert drain.next_time() == 2.0
    assert ids(drain.due(2.0)) == [1]
    drain.answer(item(1), None, 2.0)
    assert ids(drain.due(2.0)) == [2, 3]


def test_a_permanent_refusal_does_not_hold_up_the_others() -> None:
    drain = filled(item(1), item(2))
    drain.due(0)
    assert drain.answer(item(1), MutedError("no"), 0)
    assert drain.answer(item(2), None, 0)
    assert drain.due(0) == []


def test_a_stalled_chat_does_not_hold_up_another() -> None:
    drain = filled(item(1, "#a"), item(2, "#b"))
    drain.due(0)
    drain.answer(item(1, "#a"), StorageFullError("full"), 0)
    drain.answer(item(2, "#b"), None, 0)
    drain.add(item(3, "#b"))
    assert ids(drain.due(0)) == [3]


def test_repeated_refusals_are_asked_about_ever_less_often() -> None:
    drain = filled(item(1))
    delays = []
    now = 0.0
    for _ in range(10):
        drain.due(now)
        drain.answer(item(1), StorageFullError("full"), now)
        resume_at = drain.next_time() or 0.0
        delays.append(resume_at - now)
        now = resume_at
    assert delays == sorted(delays)
    assert (delays[0], delays[-1]) == (0.5, 30.0)


def test_after_a_cut_everything_unanswered_is_sent_again_in_order() -> None:
    drain = filled(item(1), item(2), item(3))
    drain.due(0)
    drain.answer(item(1), None, 0)
    drain.disconnect()
    assert ids(drain.due(0)) == [2, 3]


def test_a_discarded_item_is_not_sent() -> None:
    drain = filled(item(1), item(2))
    assert drain.discard(item(1))
    assert ids(drain.due(0)) == [2]


class GatedServer:
    """Refuses as protocol section 5 says: until the refused key comes again."""

    def __init__(self) -> None:
        self.log: list[int] = []
        self.owed: int | None = None

    def answer(self, number: int, refuses: bool) -> ChatError | None:
        if number in self.log:
            return None
        if self.owed not in (None, number):
            return OutOfOrderError("later")
        if refuses:
            self.owed = number
            return RateLimitedError("slow", 10)
        self.owed = None
        self.log.append(number)
        return None


@given(st.data())
def test_whatever_is_refused_or_cut_the_order_stays(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 12))
    drain = filled(*map(item, range(count)), max_in_flight=4)
    server = GatedServer()
    wire: list[OutboxItem] = []
    now = 0.0
    for _ in range(300):
        wire += drain.due(now)
        now += 0.02
        what = data.draw(st.sampled_from(["take", "take", "refuse", "cut"]))
        if what == "cut":
            for each in wire[: data.draw(st.integers(0, len(wire)))]:
                server.answer(each.id, refuses=False)
            wire, server.owed = [], None
            drain.disconnect()
        elif wire:
            first = wire.pop(0)
            drain.answer(first, server.answer(first.id, what == "refuse"), now)
        if len(server.log) == count:
            break
    assert server.log == list(range(len(server.log)))
