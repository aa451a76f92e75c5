"""The sidebar, the member list, the header and the status line."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatd.protocol.messages import ChatRecord, MemberInfo, PresenceOf
from chatd.text.safe import cells as counted_cells
from chatd.text.safe import width
from client.link.reconnect import LinkState
from client.model.chat import Chat
from client.model.entries import Transfer
from client.model.model import Model
from client.text.styles import Line, plain
from client.ui.bars import Status, about, header_row, status_row
from client.ui.member_list import count_present, people_cells, people_of, people_rows
from client.ui.sidebar import (
    chat_list,
    neighbour,
    next_activity,
    sidebar_cells,
    sidebar_rows,
    visible_chats,
)
from tests.fakes.link import sending

ONLINE = LinkState(name="online", round_trip_ms=12.4)


def never(_: str) -> bool:
    return False


def model_of(**unread: int) -> Model:
    """Return a model with chats (``d_`` before a user), each with unread messages."""
    records = [
        ChatRecord(
            chat=f"@{name[2:]}" if name.startswith("d_") else f"#{name}",
            last=1_000,
            read=1_000 - count,
            first=1,
            unread=count,
        )
        for name, count in unread.items()
    ]
    model = Model("alice")
    model.load_chats(records, {})
    return model


def addresses(chats: list[Chat]) -> list[str]:
    return [chat.address for chat in chats]


def text_of(rows: list[Line]) -> list[str]:
    return [plain(row) for row in rows]


def test_what_is_for_oneself_comes_first_then_what_is_unread() -> None:
    model = model_of(ops=2, general=0, lab=0, d_bob=0, d_carol=1)
    found = addresses(chat_list(model, never))
    assert found == ["@carol", "#ops", "#general", "#lab", "@bob"]


def test_where_something_was_refused_stands_first_and_says_so() -> None:
    model = model_of(ops=0, lab=2, d_carol=0)
    refused = sending(id=1, chat="#ops", text="hi", key="k", state="refused")
    model.apply_item(refused)
    chats = chat_list(model, lambda chat: chat == "#ops")
    assert addresses(chats) == ["#ops", "#lab", "@carol"]
    assert text_of(sidebar_rows(chats, None, 16, never))[0] == "x #ops          "
    model.apply_item(refused, is_discarded=True)
    assert addresses(chat_list(model, never)) == ["#lab", "#ops", "@carol"]


def test_a_quiet_chat_is_not_put_on_top() -> None:
    model = model_of(ops=2, general=0)
    found = addresses(chat_list(model, lambda chat: chat == "#ops"))
    assert found == ["#general", "#ops"]


def test_every_row_says_in_signs_what_it_says_in_colours() -> None:
    model = model_of(ops=2, general=0, noise=5, d_carol=1)
    chats = chat_list(model, lambda chat: chat == "#noise")
    rows = text_of(sidebar_rows(chats, "#general", 16, lambda c: c == "#noise"))
    assert rows == [
        "! @carol      1 ",
        "* #ops        2 ",
        "> #general      ",
        "- #noise      5 ",
    ]


def test_a_thousand_and_more_is_shortened() -> None:
    chats = chat_list(model_of(ops=1_000), never)
    assert "999+" in text_of(sidebar_rows(chats, None, 20, never))[0]


@given(st.text(max_size=40), st.integers(0, 2_000), st.integers(10, 40))
def test_a_row_is_exactly_as_wide_as_it_may_be(
    name: str, unread: int, cells: int
) -> None:
    record = ChatRecord(
        chat=f"#{name}", last=9_000, read=0, first=1, unread=min(unread, 1_000)
    )
    rows = sidebar_rows([Chat(record)], None, cells, never)
    assert [(width(plain(row)), counted_cells(plain(row))) for row in rows] == [
        (cells, cells)
    ]


def test_the_list_is_as_wide_as_its_names_within_bounds() -> None:
    assert sidebar_cells([]) == 16
    assert sidebar_cells(chat_list(model_of(**{"x" * 60: 0}), never)) == 26


def test_the_next_chat_with_news_is_the_one_on_top() -> None:
    chats = chat_list(model_of(ops=2, d_carol=1, lab=0), never)
    following = next_activity(chats, "@carol")
    assert following is not None
    assert following.address == "#ops"
    assert next_activity(chat_list(model_of(lab=0), never), None) is None


def test_the_list_is_gone_through_around_its_ends() -> None:
    chats = chat_list(model_of(a=0, b=0, c=0), never)
    found = [neighbour(chats, "#c", 1), neighbour(chats, "#a", -1)]
    assert [chat.address for chat in found if chat] == ["#a", "#c"]
    assert neighbour([], None, 1) is None
    first = neighbour(chats, "#gone", 1)
    assert first is not None
    assert first.address == "#a"


@pytest.mark.parametrize("current", [None, "#r000", "#r199", "#r100"])
def test_of_a_long_list_the_open_chat_and_what_presses_are_seen(
    current: str | None,
) -> None:
    rooms = {f"r{number:03}": 3 if number in (50, 150) else 0 for number in range(200)}
    chats = chat_list(model_of(**rooms), never)
    shown = addresses(visible_chats(chats, current, 20, never))
    assert len(shown) == len(set(shown)) == 20
    assert shown[:2] == ["#r050", "#r150"]
    assert current is None or current in shown


def test_who_is_there_stands_before_who_is_not() -> None:
    model = model_of(ops=0)
    chat = model.chats["#ops"]
    chat.members = {
        name: MemberInfo(user=name, role=role, status="offline")
        for name, role in (("alice", "owner"), ("bob", "member"), ("carol", "member"))
    }
    model.presence["carol"] = PresenceOf(status="away")
    people = people_of(model, chat)
    assert count_present(people) == 2
    rows = text_of(people_rows(people, people_cells(people), 10))
    assert [row.rstrip() for row in rows] == [
        "@alice",
        " carol (away)",
        " bob (offline)",
    ]


def test_what_does_not_fit_of_the_people_is_counted() -> None:
    model = model_of(ops=0)
    model.chats["#ops"].members = {
        f"u{n}": MemberInfo(user=f"u{n}", role="member", status="online")
        for n in range(50)
    }
    people = people_of(model, model.chats["#ops"])
    rows = text_of(people_rows(people, 20, 5))
    assert len(rows) == 5
    assert rows[-1].strip() == "46 more: /members"


def test_in_a_direct_chat_nobody_is_listed() -> None:
    model = model_of(d_bob=0)
    assert people_of(model, model.chats["@bob"]) == []


def test_the_header_says_where_one_is() -> None:
    model = model_of(ops=0)
    model.chats["#ops"].topic = "Deploy freeze until Friday"
    row = plain(header_row("#ops", about(model, "#ops"), 3, "lab", 60))
    assert row.startswith(" #ops  Deploy freeze until Friday ")
    assert row.endswith("3 here | lab ")
    assert len(row) == 60


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("#ops", "busy week"),
        ("#gone", ""),
        ("@bob", "away: at lunch"),
        ("@carol", "online"),
        ("@dave", ""),
        (None, ""),
    ],
)
def test_the_header_tells_the_topic_of_a_room_and_how_present_a_person_is(
    address: str | None, said: str
) -> None:
    model = model_of(ops=0, d_bob=0)
    model.chats["#ops"].topic = "busy week"
    model.presence["bob"] = PresenceOf(status="away", text="at lunch")
    model.presence["carol"] = PresenceOf(status="online")
    assert about(model, address) == said


@given(st.text(max_size=80), st.text(max_size=30), st.integers(4, 200))
def test_the_header_is_exactly_as_wide_as_the_screen(
    topic: str, server: str, cells: int
) -> None:
    row = plain(header_row("#ops", topic, 12, server, cells))
    assert (width(row), counted_cells(row)) == (cells, cells)


def test_the_status_says_how_the_link_is_and_what_waits() -> None:
    transfer = Transfer(
        id=1,
        direction="up",
        state="moving",
        chat="#ops",
        name="core.tar",
        size=200,
        moved=90,
    )
    status = Status(
        state=ONLINE,
        waiting=2,
        refused=1,
        typing=["dave"],
        transfers=[transfer],
        below=4,
        below_key="End",
        hint="F1 help",
    )
    row = plain(status_row(status, 120))
    for part in (
        "online 12 ms",
        "v 4 new below (End)",
        "x 1 refused",
        "~ 2 waiting",
        "dave is typing",
        "^ core.tar 45 %",
    ):
        assert part in row
    assert row.endswith("F1 help ")


@pytest.mark.parametrize(("below", "said"), [(999, "v 999 new"), (1_000, "v 999+ new")])
def test_of_very_much_that_is_new_below_it_is_not_said_how_much(
    below: int, said: str
) -> None:
    assert f"{said} below" in plain(status_row(Status(state=ONLINE, below=below), 80))


def test_an_outage_shows_why_and_when_it_is_tried_again() -> None:
    state = LinkState(name="waiting", seconds=4.2, reason="no server is running there")
    row = plain(status_row(Status(state=state, hint="F1 help"), 80))
    assert "offline, again in 4 s  (no server is running there)" in row
    waiting = Status(state=state, waiting=3, hint="F1 help")
    row = plain(status_row(waiting, 60))
    assert row == " offline, again in 4 s  ~ 3 waiting  (no server i…  F1 help "
    long = msgspec.structs.replace(state, reason="tls://lab:47 cannot be reached: gone")
    row = plain(status_row(Status(state=long, server="tls://lab:47"), 80))
    assert row.rstrip() == " offline, again in 4 s  (cannot be reached: gone)"


@given(
    st.lists(st.text(max_size=20), max_size=4),
    st.integers(0, 2_000),
    st.text(max_size=60),
    st.integers(1, 160),
)
def test_the_status_is_exactly_as_wide_as_the_screen(
    typing: list[str], number: int, reason: str, cells: int
) -> None:
    state = LinkState(name="waiting", seconds=1, reason=reason)
    status = Status(
        state=state, waiting=number, below=number, typing=typing, hint="F1 help"
    )
    row = plain(status_row(status, cells))
    assert (width(row), counted_cells(row)) == (cells, cells)
