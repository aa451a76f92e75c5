"""The model: a reducer that shows a log as it is, in whatever order entries arrive."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatd.protocol.messages import (
    ChatRecord,
    FileInfo,
    HistoryPage,
    Invitation,
    Invited,
    Joined,
    Left,
    Limits,
    MemberInfo,
    Message,
    Presence,
    PresenceOf,
    ReadPush,
    Ready,
    Synced,
    TypingPush,
)
from client.model.changes import (
    ChatAdded,
    ChatRemoved,
    CursorMoved,
    EntriesAdded,
    EntryChanged,
    Reset,
)
from client.model.chat import Chat, mention_of
from client.model.entries import Gap
from client.model.model import Model
from tests.fakes.link import sending

OPS = "#ops"


def message(
    seq: int, prev: int, text: str = "", sender: str = "bob", **more: object
) -> Message:
    members = {"chat": OPS, "time": seq, "kind": "text"} | more
    return Message(seq=seq, prev=prev, from_=sender, text=text, **members)  # type: ignore[arg-type]


def record(chat: str = OPS, last: int = 0, read: int = 0, **more: int) -> ChatRecord:
    first, unread = more.get("first", 1), more.get("unread", 0)
    return ChatRecord(chat=chat, last=last, read=read, first=first, unread=unread)


def ready(*chats: ChatRecord, log: str = "log-1", **more: object) -> Ready:
    members: dict[str, object] = {"user": "alice", "role": "member"} | more
    return Ready(
        log=log,
        limits=Limits(frame=1, text=1, in_flight=1),
        chats=list(chats),
        more=False,
        **members,  # type: ignore[arg-type]
    )


def model_with(*chats: ChatRecord, max_entries: int = 2_000) -> Model:
    model = Model("alice", max_entries)
    model.apply(ready(*chats))
    model.apply(Synced())
    return model


def chain(*seqs: int, after: int = 0) -> list[Message]:
    prevs = [after, *seqs[:-1]]
    return [message(s, p, f"text {s}") for s, p in zip(seqs, prevs, strict=True)]


def apply_all(model: Model, messages: Iterable[Message]) -> Chat:
    for each in messages:
        model.apply(each)
    return model.chats[OPS]


def seqs(chat: Chat) -> list[int]:
    return [entry.seq for entry in chat.entries]


# Entries and gaps ---------------------------------------------------------------------


def test_an_entry_is_added_and_reported() -> None:
    model = model_with(record())
    changes = model.apply(message(5, 0, "hello"))
    (added,) = [c for c in changes if isinstance(c, EntriesAdded)]
    assert (added.chat, added.origin) == (OPS, "live")
    assert added.entries[0].text == "hello"


def test_the_same_entry_again_changes_nothing() -> None:
    model = model_with(record())
    model.apply(message(5, 0, "hello"))
    assert model.apply(message(5, 0, "hello")) == []
    assert model.chats[OPS].unread == 1


def test_a_predecessor_that_is_not_held_is_a_gap() -> None:
    chat = apply_all(model_with(record()), [*chain(1, 2), message(9, 7)])
    assert chat.gaps() == [Gap(OPS, 2, 9)]


def test_a_predecessor_below_first_is_never_a_gap() -> None:
    chat = apply_all(model_with(record(first=50)), [message(60, 40)])
    assert chat.older() is None
    assert chat.gaps() == []


def test_a_page_of_history_fills_a_gap() -> None:
    model = model_with(record())
    chat = apply_all(model, [*chain(1, 2), message(9, 7)])
    model.apply(HistoryPage(chat=OPS, messages=chain(5, 7, after=2), more=False))
    assert seqs(chat) == [1, 2, 5, 7, 9]
    assert chat.gaps() == []


def test_a_gap_that_the_server_cannot_fill_is_none() -> None:
    model = model_with(record())
    chat = apply_all(model, [*chain(1, 2), message(9, 7)])
    model.sever(OPS, 9)
    assert chat.gaps() == []


def test_what_is_before_the_oldest_entry_is_known() -> None:
    chat = apply_all(model_with(record(last=40, read=30)), [message(41, 40)])
    assert chat.older() == Gap(OPS, 0, 41)
    assert chat.newer() is None


def test_what_is_after_the_newest_entry_is_known() -> None:
    model = model_with(record(last=9))
    model.apply(HistoryPage(chat=OPS, messages=chain(1, 2), more=True))
    assert model.chats[OPS].newer() == Gap(OPS, 2, 10)


def test_memory_is_bounded_and_the_oldest_go() -> None:
    chat = apply_all(model_with(record(), max_entries=3), chain(*range(1, 10)))
    assert seqs(chat) == [7, 8, 9]
    assert chat.older() == Gap(OPS, 0, 7)
    assert chat.unread == 9


def test_older_entries_that_were_asked_for_stay() -> None:
    model = model_with(record(last=9, read=9), max_entries=2)
    chat = apply_all(model, [message(10, 9)])
    model.expect_older(OPS, 3)
    model.apply(HistoryPage(chat=OPS, messages=chain(7, 8, 9, after=6), more=True))
    model.apply(message(11, 10))
    assert seqs(chat) == [7, 8, 9, 10, 11]
    model.shrink(OPS)
    assert seqs(chat) == [10, 11]


def test_what_is_trimmed_and_loaded_again_is_not_counted_again() -> None:
    model = model_with(record(), max_entries=2)
    chat = apply_all(model, chain(1, 2, 3, 4))
    model.apply(HistoryPage(chat=OPS, messages=chain(1, 2), more=False))
    assert chat.unread == 4


LOG = st.lists(st.integers(1, 60), min_size=1, max_size=40, unique=True).map(sorted)


@given(LOG, st.data())
def test_any_order_of_pushes_and_pages_shows_the_log(
    log: list[int], data: st.DataObject
) -> None:
    first = data.draw(st.integers(1, 20))
    entries = [m for m in chain(*log) if m.seq >= first]
    if not entries:
        return
    model = model_with(record(first=first))
    seen: set[int] = set()
    for _ in range(data.draw(st.integers(1, 12))):
        start = data.draw(st.integers(0, len(entries) - 1))
        part = entries[start : start + data.draw(st.integers(1, 8))]
        seen |= {m.seq for m in part}
        if data.draw(st.booleans()):
            model.apply(HistoryPage(chat=OPS, messages=part, more=True))
        else:
            apply_all(model, data.draw(st.permutations(part)))
    _check_window(model.chats[OPS], [m.seq for m in entries], seen)
    # Once everything has arrived, nothing is missing.
    model.apply(HistoryPage(chat=OPS, messages=entries, more=False))
    chat = model.chats[OPS]
    assert seqs(chat) == [m.seq for m in entries]
    assert (chat.gaps(), chat.older(), chat.newer()) == ([], None, None)
    assert chat.unread == len(entries)


def _check_window(chat: Chat, log: list[int], seen: set[int]) -> None:
    held = seqs(chat)
    assert held == sorted(seen)
    inner = [s for s in log if held[0] < s < held[-1] and s not in seen]
    gaps = chat.gaps()
    assert all(any(g.after < s < g.before for g in gaps) for s in inner)
    assert all(any(g.after < s < g.before for s in inner) for g in gaps)
    assert (chat.older() is not None) == (log[0] != held[0])


# Unread counts ------------------------------------------------------------------------


def test_what_the_server_counted_is_not_counted_again() -> None:
    model = Model("alice")
    model.apply(ready(record(last=2, read=0, unread=2)))
    chat = apply_all(model, chain(1, 2))
    assert chat.unread == 2


def test_what_was_read_offline_is_not_counted_after_the_next_login() -> None:
    model = Model("alice")
    model.load_chats([record(last=3, read=3)], {OPS: 3})
    model.apply(ready(record(last=5, read=0, unread=5)))
    chat = apply_all(model, chain(4, 5, after=3))
    model.apply(Synced())
    assert (chat.read, chat.unread) == (3, 2)


def test_own_messages_and_events_are_not_unread() -> None:
    model = model_with(record())
    model.apply(message(1, 0, "mine", sender="alice"))
    model.apply(message(2, 1, kind="join"))
    assert model.chats[OPS].unread == 0


def test_reading_counts_down_and_never_goes_back() -> None:
    model = model_with(record())
    chat = apply_all(model, chain(1, 2, 3))
    model.mark_read(OPS, 2)
    assert (chat.read, chat.unread) == (2, 1)
    assert model.mark_read(OPS, 1) == []
    model.mark_read(OPS, 99)
    assert (chat.read, chat.unread) == (3, 0)


def test_reading_on_another_device_is_taken_over() -> None:
    model = model_with(record())
    apply_all(model, chain(1, 2))
    changes = model.apply(ReadPush(chat=OPS, seq=2, user="alice"))
    assert CursorMoved(chat=OPS, user="alice", seq=2) in changes
    assert model.chats[OPS].unread == 0


def test_a_receipt_moves_the_other_users_cursor() -> None:
    model = model_with(record("@bob", last=5))
    model.apply(ReadPush(chat="@bob", seq=4, user="bob"))
    assert model.chats["@bob"].peer_read == 4
    assert model.apply(ReadPush(chat="@bob", seq=3, user="bob")) == []


@pytest.mark.parametrize(
    ("user", "text", "is_one"),
    [
        ("bob", "hi @bob!", True),
        ("bob", "bobby", False),
        ("bob", "bob-2 a.bob", False),
        ("राम", "राम, आओ", True),
        ("राम", "रामायण", False),
        ("राम", "ओराम", False),
        ("राम", "ओंराम", False),
    ],
)
def test_a_mention_is_a_whole_word_in_any_script(
    user: str, text: str, is_one: bool
) -> None:
    assert (mention_of(user).search(text) is not None) == is_one


def test_mentions_are_whole_names_by_others() -> None:
    model = model_with(record())
    model.apply(message(1, 0, "hey @Alice, look"))
    model.apply(message(2, 1, "alice: yes you"))
    model.apply(message(3, 2, "malice and alices do not count"))
    model.apply(message(4, 3, "alice here", sender="alice"))
    assert model.chats[OPS].mentions == 2
    model.mark_read(OPS, 1)
    assert model.chats[OPS].mentions == 1


def test_the_first_unread_entry_is_found() -> None:
    model = model_with(record(read=1, last=1))
    chat = apply_all(model, [message(2, 1, sender="alice"), message(3, 2)])
    entry = chat.first_unread()
    assert entry is not None
    assert entry.seq == 3


# Chats and people ---------------------------------------------------------------------


def test_a_chat_that_the_server_does_not_list_any_more_is_gone() -> None:
    model = model_with(record(), record("@bob", last=1))
    changes = model.apply(ready(record("@bob", last=1)))
    assert ChatRemoved(chat=OPS, code="left") in changes
    assert set(model.chats) == {"@bob"}


def test_another_log_drops_everything_but_the_outbox() -> None:
    model = model_with(record())
    apply_all(model, chain(1, 2))
    item = sending(id=1, chat=OPS, text="wait", key="k")
    model.apply_item(item)
    changes = model.apply(ready(record(), log="log-2"))
    assert Reset() in changes
    assert model.chats[OPS].entries == []
    assert model.chats[OPS].outbox == [item]
    assert model.have() == {}


def test_joining_and_leaving_add_and_remove_a_chat() -> None:
    model = model_with()
    assert ChatAdded(chat=OPS) in model.apply(Joined(chat=record()))
    model.apply(Left(chat=OPS, code="removed"))
    assert model.chats == {}


def test_invitations_come_and_go() -> None:
    model = Model("alice")
    model.apply(ready(invites=[Invitation(room="#a", by="bob")]))
    model.apply(Invited(room="#b", by="eve"))
    assert model.invites == {"#a": "bob", "#b": "eve"}
    model.apply(Joined(chat=record("#a")))
    assert model.invites == {"#b": "eve"}


def test_typing_ends_by_itself_and_by_a_message() -> None:
    model = model_with(record())
    model.apply(TypingPush(chat=OPS, user="bob"), now=100.0)
    chat = model.chats[OPS]
    assert chat.typing(103.0) == ["bob"]
    assert chat.typing(107.0) == []
    model.apply(TypingPush(chat=OPS, user="bob"), now=110.0)
    model.apply(message(1, 0))
    assert chat.typing(110.0) == []


def test_presence_is_kept_by_name() -> None:
    model = model_with()
    model.apply(Presence(users={"bob": PresenceOf(status="away")}, more=False))
    assert model.presence["bob"].status == "away"


def test_members_follow_joins_and_leaves() -> None:
    model = model_with(record())
    bob = MemberInfo(user="bob", role="member", status="online")
    model.set_members(OPS, [bob])
    model.apply(message(1, 0, sender="eve", kind="join"))
    model.apply(message(2, 1, sender="bob", kind="leave"))
    assert set(model.chats[OPS].members or {}) == {"eve"}


def test_who_comes_and_goes_while_members_are_fetched_is_not_forgotten() -> None:
    model = model_with(record())
    bob, dan = (
        MemberInfo(user=user, role="owner", status="online") for user in ("bob", "dan")
    )
    model.expect_members(OPS)
    model.apply(message(1, 0, sender="eve", kind="join"))
    model.apply(message(2, 1, sender="bob", kind="leave"))
    model.apply(message(3, 2, sender="dan", kind="join"))
    model.set_members(OPS, [bob, dan])
    members = model.chats[OPS].members or {}
    assert set(members) == {"dan", "eve"}
    assert members["dan"].role == "owner"
    model.expect_members(OPS)
    model.set_members(OPS, [bob])
    assert set(model.chats[OPS].members or {}) == {"bob"}


def test_a_topic_event_changes_the_topic() -> None:
    model = model_with(record())
    model.apply(message(1, 0, kind="topic", topic="freeze"))
    assert model.chats[OPS].topic == "freeze"


# Edits and the user's own items -------------------------------------------------------


def test_an_edit_changes_its_target_and_the_latest_wins() -> None:
    model = model_with(record())
    apply_all(model, chain(1))
    changes = model.apply(message(3, 1, "better", kind="edit", target=1))
    assert any(isinstance(change, EntryChanged) for change in changes)
    model.apply(
        HistoryPage(chat=OPS, messages=[message(1, 0, "old", rev=2)], more=False)
    )
    assert model.chats[OPS].entries[0].text == "better"


def test_a_deleted_message_has_no_text() -> None:
    model = model_with(record())
    apply_all(model, chain(1))
    model.apply(message(2, 1, kind="delete", target=1))
    entry = model.chats[OPS].entries[0]
    assert (entry.text, entry.is_deleted) == ("", True)


def test_a_message_with_a_file_says_how_to_fetch_it_until_it_is_deleted() -> None:
    info = FileInfo(id="id", name="a.bin", size=5, sha256="0" * 64)
    model = model_with(record())
    model.apply(message(1, 0, "caption", kind="file", file=info))
    entry = model.chats[OPS].entries[0]
    assert (entry.text, entry.file, entry.is_message) == ("caption", info, True)
    model.apply(message(2, 1, kind="delete", target=1))
    assert model.chats[OPS].entries[0].file is None


def test_an_item_is_shown_until_its_entry_is_there() -> None:
    model = model_with(record())
    item = sending(id=1, chat=OPS, text="hi", key="k")
    model.apply_item(item)
    sent = sending(id=1, chat=OPS, text="hi", key="k", state="sent", seq=7)
    model.apply_item(sent)
    assert model.chats[OPS].outbox == [sent]
    model.apply(message(7, 0, "hi", sender="alice"))
    assert model.chats[OPS].outbox == []


def test_an_item_whose_entry_came_first_goes_when_it_is_sent() -> None:
    model = model_with(record())
    model.apply_item(sending(id=1, chat=OPS, text="hi", key="k"))
    model.apply(message(7, 0, "hi", sender="alice"))
    model.apply_item(sending(id=1, chat=OPS, text="hi", key="k", state="sent", seq=7))
    assert model.chats[OPS].outbox == []


def test_an_item_for_a_new_chat_makes_the_chat() -> None:
    model = model_with()
    changes = model.apply_item(sending(id=1, chat="@eve", text="hi", key="k"))
    assert ChatAdded(chat="@eve") in changes
    model.apply(ready())
    assert "@eve" in model.chats


def test_a_chat_that_only_a_discarded_item_had_is_gone_with_it() -> None:
    model = model_with()
    item = sending(id=1, chat="@nobody", text="hi", key="k", state="refused")
    model.apply_item(item)
    changes = model.apply_item(item, is_discarded=True)
    assert ChatRemoved(chat="@nobody", code="discarded") in changes
    assert "@nobody" not in model.chats


def test_a_chat_that_the_server_knows_stays_when_its_item_is_discarded() -> None:
    model = model_with(record(last=1))
    item = sending(id=1, chat=OPS, text="hi", key="k", state="refused")
    model.apply_item(item)
    model.apply_item(item, is_discarded=True)
    assert OPS in model.chats
