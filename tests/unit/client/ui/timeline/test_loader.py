"""The loader: from which side a gap is filled, and what stays in memory."""

from typing import Any, cast

import pytest

from chatd.protocol.messages import History, HistoryPage, Message
from client.link.link import Link
from client.link.reconnect import LinkState
from client.model.entries import Gap
from client.model.model import Model
from client.ui.timeline.items import NearGap
from client.ui.timeline.loader import PAGE, Loader
from tests.fakes.link import message, room
from tests.helpers import eventually
from tests.unit.client.ui.timeline.reading import past


class FakeLink:
    """A link whose server has the given messages; it records the requests."""

    def __init__(self, log: list[Message]) -> None:
        self.model = Model("alice", max_entries=70)
        self.model.load_chats([room(last=200, read=200), room("#lab")], {})
        self.model.load_entries("#ops", [*past(1, 20), *past(151, 200)])
        self.state = LinkState(name="online")
        self.history = self
        self.asked: list[object] = []
        self.log = log

    async def request(self, request: History) -> HistoryPage:
        self.asked.append(request)
        after = request.after or 0
        found = [each for each in self.log if each.seq > after][: request.limit]
        page = HistoryPage(chat=request.chat, messages=found, more=False)
        self.model.apply(page)
        return page

    async def fill(self, gap: Gap) -> bool:
        self.asked.append(gap)
        return True


@pytest.fixture
def link() -> FakeLink:
    return FakeLink([message(f"m{seq}", seq) for seq in range(1, 201)])


async def fill(link: FakeLink, gap: Gap) -> None:
    """Let a loader fill a gap."""
    loaded: list[None] = []
    loader = Loader(cast(Link, link), lambda: loaded.append(None))
    loader.fill(gap)
    await eventually(lambda: bool(loaded), "nothing was loaded")


def seqs(link: FakeLink) -> list[int]:
    return [entry.seq for entry in link.model.chats["#ops"].entries]


async def test_who_reads_on_below_gets_what_follows(link: FakeLink) -> None:
    await fill(link, NearGap("#ops", 20, 151, is_from_above=True))
    assert link.asked == [History(chat="#ops", after=20, limit=PAGE)]
    assert seqs(link) == [*range(1, 121), *range(151, 201)]


@pytest.mark.parametrize("gap", [Gap("#ops", 20, 151), NearGap("#ops", 20, 151)])
async def test_who_reads_upwards_gets_what_is_before(link: FakeLink, gap: Gap) -> None:
    await fill(link, gap)
    assert link.asked == [gap]


async def test_what_was_loaded_is_not_dropped_for_the_next_message(
    link: FakeLink,
) -> None:
    await fill(link, NearGap("#ops", 20, 151, is_from_above=True))
    link.model.apply(message("m201", 201))
    assert seqs(link) == [*range(2, 121), *range(151, 202)]


async def test_a_gap_in_which_the_server_has_nothing_is_none(link: FakeLink) -> None:
    link.log = []
    await fill(link, NearGap("#ops", 20, 151, is_from_above=True))
    assert link.model.chats["#ops"].gaps() == []


async def test_what_was_loaded_leaves_memory_with_its_chat(link: FakeLink) -> None:
    loader: Any = Loader(cast(Link, link), lambda: None)
    loader.opened("#ops")
    await fill(link, NearGap("#ops", 20, 151, is_from_above=True))
    loader.opened("#ops")
    assert len(seqs(link)) == 170
    loader.opened("#lab")
    assert len(seqs(link)) == 70
