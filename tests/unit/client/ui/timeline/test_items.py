"""The order of timeline items, step by step and in both directions."""

from hypothesis import given
from hypothesis import strategies as st

from chatd.protocol.messages import ChatRecord
from client.model.chat import Chat
from client.ui.timeline.items import HEAD, Items, Key, Notice, TailItem, is_entry
from client.ui.timeline.notices import MAX_NOTICES, Notices
from tests.fakes.link import entry, sending

SEQS = st.sets(st.integers(1, 40), max_size=15)
AFTER = st.lists(st.integers(0, 45), max_size=8)


def chat_of(seqs: set[int], *, first: int = 1) -> Chat:
    chat = Chat(ChatRecord(chat="#ops", last=50, read=50, first=first, unread=0))
    previous = [0, *sorted(seqs)]
    chat.insert(
        entry(f"m{seq}", seq, prev=before)
        for before, seq in zip(previous, sorted(seqs), strict=False)
    )
    return chat


def feed_of(seqs: set[int], after: list[int], tail: int = 0) -> Items:
    notices = [Notice((seq, n), ()) for n, seq in enumerate(sorted(after), 1)]
    items: list[TailItem] = [
        sending(id=n, chat="#ops", text="x", key=f"k{n}") for n in range(tail)
    ]
    return Items(chat_of(seqs), notices, items)


def downwards(feed: Items) -> list[Key]:
    keys: list[Key] = [feed.first]
    while (key := feed.after(keys[-1])) is not None:
        keys.append(key)
    return keys


def upwards(feed: Items) -> list[Key]:
    keys = [feed.last]
    while (key := feed.before(keys[-1])) is not None:
        keys.append(key)
    return keys[::-1]


@given(SEQS, AFTER, st.integers(0, 3))
def test_up_and_down_lead_through_the_same_things_in_order(
    seqs: set[int], after: list[int], tail: int
) -> None:
    feed = feed_of(seqs, after, tail)
    keys = downwards(feed)
    assert keys == upwards(feed) == sorted(keys)
    assert [key[0] for key in keys if is_entry(key)] == sorted(seqs)
    assert len(keys) == 1 + len(seqs) + len(after) + tail


@given(SEQS, AFTER, st.integers(0, 60), st.integers(0, 9))
def test_what_is_gone_is_replaced_by_what_follows(
    seqs: set[int], after: list[int], seq: int, number: int
) -> None:
    feed = feed_of(seqs, after, 1)
    keys = downwards(feed)
    wanted = next((key for key in keys if key >= (seq, number)), keys[-1])
    assert feed.nearest((seq, number)) == wanted
    assert feed.nearest(HEAD) == HEAD


def test_what_was_said_about_older_messages_waits_until_they_are_loaded() -> None:
    chat = chat_of({30, 31})
    chat.entries[0] = entry("m30", 30, prev=29)
    feed = Items(chat, [Notice((10, 1), ()), Notice((30, 2), ())])
    assert downwards(feed) == [HEAD, (30, 0), (30, 2), (31, 0)]
    assert feed.item((10, 1)) is None
    chat.insert([entry("m10", 10, prev=0), entry("m29", 29, prev=10)])
    assert downwards(feed)[1:4] == [(10, 0), (10, 1), (29, 0)]


def test_without_a_chat_there_is_only_what_was_said() -> None:
    assert downwards(Items()) == [HEAD]
    assert downwards(Items(None, [Notice((0, 1), ())])) == [HEAD, (0, 1)]


def test_notices_belong_to_the_newest_message_of_their_chat() -> None:
    notices = Notices()
    notices.add("#ops", chat_of({3, 9}), [[("", "a")]])
    notices.add("#ops", chat_of(set()), [[("", "b")]])
    notices.add(None, None, [[("", "c")]])
    assert [notice.key for notice in notices.of("#ops")] == [(9, 1), (50, 2)]
    assert [notice.key for notice in notices.of(None)] == [(0, 3)]
    notices.clear("#ops")
    assert not notices.of("#ops")


def test_only_so_many_notices_are_kept() -> None:
    notices = Notices()
    for _ in range(MAX_NOTICES + 5):
        notices.add("#ops", chat_of({3}), [])
    assert [notice.key[1] for notice in notices.of("#ops")][0] == 6


def test_notices_of_a_log_that_was_begun_anew_are_dropped() -> None:
    notices = Notices()
    notices.add("#ops", chat_of({3, 9}), [])
    notices.add("#ops", chat_of({1}), [])
    assert [notice.key for notice in notices.of("#ops")] == [(1, 2)]
