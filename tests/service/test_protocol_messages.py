"""Section 5 of the protocol: messages, keys, history, cursors."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.fakes.raw_client import RawClient
from tests.helpers import fresh_name, logged_in, texts
from tests.service.conftest import Served, device
from tests.system.daemon import Daemon

pytestmark = pytest.mark.system


@pytest.fixture
async def room(alice: RawClient, bob: RawClient) -> str:
    """A public room with alice and bob in it; both have seen all of it."""
    address = "#" + fresh_name("room")
    await alice.ask("create", room=address)
    await bob.ask("join", room=address)
    await alice.expect("message", kind="join")
    await alice.drain()
    return address


# Sending ---------------------------------------------------------------------------


async def test_an_entry_is_pushed_to_every_connection_of_every_member(
    server: Served, alice: RawClient, bob: RawClient, room: str
) -> None:
    async with device(server.tcp, bob.user) as second:
        sent = await alice.say(room, "hello")
        for client in (alice, bob, second):
            message = await client.expect("message", seq=sent["seq"])
            assert message["from"] == alice.user
            assert (message["chat"], message["text"]) == (room, "hello")
            assert (message["kind"], message["time"]) == ("text", sent["time"])


async def test_the_chain_is_the_same_for_every_member(
    alice: RawClient, bob: RawClient, room: str
) -> None:
    await asyncio.gather(
        *(client.say(room, str(n)) for n in range(50) for client in (alice, bob))
    )
    chains = []
    for client in (alice, bob):
        await client.drain()
        seen = [m for m in client.history if m["type"] == "message"]
        seen = [m for m in seen if m["kind"] == "text" and m["chat"] == room]
        chains.append([(m["prev"], m["seq"], m["text"], m["from"]) for m in seen])
    assert chains[0] == chains[1]
    assert len(chains[0]) == 100
    for one, following in zip(chains[0], chains[0][1:], strict=False):
        assert following[0] == one[1]


async def test_the_first_prev_is_0(alice: RawClient, bob: RawClient) -> None:
    await alice.say(f"@{bob.user}", "x")
    assert (await bob.expect("message"))["prev"] == 0


async def test_the_key_is_repeated_to_its_sender_alone(
    server: Served, alice: RawClient, bob: RawClient
) -> None:
    await alice.say(f"@{bob.user}", "x", key="my-key")
    for client, chat, expected in ((alice, bob, "my-key"), (bob, alice, None)):
        (entry,) = await client.log(f"@{chat.user}")
        assert entry.get("key") == expected
        async with device(server.tcp, client.user) as other:
            pushed = next(m for m in other.history if m["type"] == "message")
            assert pushed.get("key") == expected


async def test_a_key_makes_a_send_idempotent_on_any_connection(
    server: Served, alice: RawClient, bob: RawClient
) -> None:
    chat = f"@{bob.user}"
    first = await alice.say(chat, "x", key="k" * 64)
    assert "duplicate" not in first
    async with device(server.tcp, alice.user) as other:
        again = await other.say(chat, "x", key="k" * 64)
    assert (again["seq"], again["duplicate"]) == (first["seq"], True)
    assert again["time"] == first["time"]
    assert texts(await alice.log(chat)) == ["x"]


async def test_a_key_sent_twice_at_once_is_stored_once(
    alice: RawClient, bob: RawClient
) -> None:
    chat = f"@{bob.user}"
    answers = await asyncio.gather(*(alice.say(chat, "x", key="k") for _ in range(30)))
    assert len({a["seq"] for a in answers}) == 1
    assert sum("duplicate" not in a for a in answers) == 1
    assert texts(await bob.log(f"@{alice.user}")) == ["x"]


@pytest.mark.parametrize(
    "other", [{"text": "y"}, {"kind": "action"}, {"reply_to": 1}], ids=str
)
async def test_a_key_with_other_content_is_key_reused(
    alice: RawClient, bob: RawClient, other: dict[str, object]
) -> None:
    chat = f"@{bob.user}"
    await alice.say(chat, "1")
    await alice.say(chat, "x", key="k")
    members = {"chat": chat, "text": "x", "key": "k", **other}
    assert await alice.refusal("send", **members) == "key_reused"
    assert texts(await alice.log(chat)) == ["1", "x"]


@pytest.mark.parametrize("key", ["", "k" * 65, 5])
async def test_a_key_has_1_to_64_characters(alice: RawClient, key: object) -> None:
    code = await alice.refusal("send", chat=f"@{alice.user}", text="x", key=key)
    assert code == "bad_request"


async def test_a_known_key_comes_before_membership(
    alice: RawClient, bob: RawClient, room: str
) -> None:
    first = await bob.say(room, "x", key="k")
    await bob.ask("leave", room=room)
    again = await bob.say(room, "x", key="k")
    assert (again["seq"], again["duplicate"]) == (first["seq"], True)
    assert await bob.refusal("send", chat=room, text="y", key="l") == "not_a_member"


async def test_an_action_and_a_reply_are_carried(
    alice: RawClient, bob: RawClient
) -> None:
    first = await alice.say(f"@{bob.user}", "x")
    await bob.say(f"@{alice.user}", "waves", kind="action", reply_to=first["seq"])
    message = await alice.expect("message", kind="action")
    assert (message["text"], message["reply_to"]) == ("waves", first["seq"])


@pytest.mark.parametrize(
    "text",
    ["x" * 16_384, "é" * 8_192, "\0" * 16_384, "\U0001f600" * 4_096, '"\\' * 8_192],
)
async def test_a_text_of_the_limit_passes_unchanged(
    alice: RawClient, bob: RawClient, text: str
) -> None:
    await alice.say(f"@{bob.user}", text)
    assert (await bob.expect("message"))["text"] == text
    assert texts(await bob.log(f"@{alice.user}")) == [text]


@pytest.mark.parametrize("text", ["x" * 16_385, "é" * 8_193])
async def test_a_text_over_the_limit_is_too_large(alice: RawClient, text: str) -> None:
    assert await alice.refusal("send", chat=f"@{alice.user}", text=text) == "too_large"


async def test_sending_to_nobody_is_refused(alice: RawClient) -> None:
    assert await alice.refusal("send", chat="@nobody-here", text="x") == "no_such_user"
    assert await alice.refusal("send", chat="#no-room-here", text="x") == "no_such_room"


async def test_sending_to_a_room_one_is_not_in_is_refused(
    eve: RawClient, room: str
) -> None:
    assert await eve.refusal("send", chat=room, text="x") == "not_a_member"


async def test_the_first_direct_message_is_announced_by_joined(
    server: Served, alice: RawClient, bob: RawClient
) -> None:
    async with device(server.tcp, alice.user) as second:
        await alice.say(f"@{bob.user}", "x")
        for client, other in ((bob, alice), (second, bob)):
            await client.expect("message", text="x")
            kinds = [m["type"] for m in client.history if m.get("re") is None]
            joined = kinds.index("joined")
            assert joined < kinds.index("message")
            found = [m for m in client.history if m["type"] == "joined"]
            assert [m["chat"]["chat"] for m in found] == [f"@{other.user}"]


# Cursors ---------------------------------------------------------------------------


async def test_read_is_told_to_own_devices_and_to_the_other(
    server: Served, alice: RawClient, bob: RawClient
) -> None:
    seq = (await alice.say(f"@{bob.user}", "x"))["seq"]
    await bob.expect("message")
    async with device(server.tcp, bob.user) as second:
        bob.send("read", chat=f"@{alice.user}", seq=seq)
        push = await second.expect("read")
        assert (push["chat"], push["seq"]) == (f"@{alice.user}", seq)
        receipt = await alice.expect("read")
        assert (receipt["chat"], receipt["seq"]) == (f"@{bob.user}", seq)
        assert receipt["user"] == bob.user
    assert all(m["type"] != "read" for m in await bob.drain())


async def test_a_cursor_moves_forward_only_and_not_beyond_last(
    server: Served, alice: RawClient, bob: RawClient
) -> None:
    seqs = [(await alice.say(f"@{bob.user}", str(n)))["seq"] for n in range(3)]
    for seq, expected in ((seqs[1], seqs[1]), (seqs[0], seqs[1]), (2**53 - 1, seqs[2])):
        bob.send("read", chat=f"@{alice.user}", seq=seq)
        await bob.drain()
        async with await RawClient.connect(server.tcp) as other:
            (record,) = (await other.login(bob.user, sync="none"))["chats"]
            assert record["read"] == expected
    async with await RawClient.connect(server.tcp) as other:
        (record,) = (await other.login(alice.user, sync="none"))["chats"]
        assert record["peer_read"] == seqs[2]
    await alice.say(f"@{bob.user}", "later")
    async with await RawClient.connect(server.tcp) as other:
        (record,) = (await other.login(bob.user, sync="none"))["chats"]
        assert (record["read"], record["unread"]) == (seqs[2], 1)


async def test_sending_does_not_move_the_cursor(
    server: Served, alice: RawClient, bob: RawClient
) -> None:
    await alice.say(f"@{bob.user}", "x")
    await bob.say(f"@{alice.user}", "y")
    async with await RawClient.connect(server.tcp) as other:
        (record,) = (await other.login(bob.user, sync="none"))["chats"]
        assert (record["read"], record["unread"]) == (0, 1)


async def test_joining_sets_the_cursor_to_last(
    alice: RawClient, eve: RawClient, room: str
) -> None:
    await alice.say(room, "x")
    record = (await eve.ask("join", room=room))["chat"]
    assert record["read"] == record["last"]
    assert record["unread"] == 0


async def test_a_cursor_in_a_room_is_not_told_to_others(
    alice: RawClient, bob: RawClient, room: str
) -> None:
    seq = (await alice.say(room, "x"))["seq"]
    bob.send("read", chat=room, seq=seq)
    await bob.drain()
    assert all(m["type"] != "read" for m in await alice.drain())


# History ---------------------------------------------------------------------------


@pytest.fixture
async def long_chat(alice: RawClient, bob: RawClient) -> list[int]:
    """Twenty texts of alice to bob; their seqs."""
    chat = f"@{bob.user}"
    ids = [alice.send_with_id("send", chat=chat, text=str(n)) for n in range(20)]
    return [(await alice.reply(id_))["seq"] for id_ in ids]


async def test_history_before_gives_the_entries_next_to_the_bound(
    alice: RawClient, bob: RawClient, long_chat: list[int]
) -> None:
    page = await bob.ask(
        "history", chat=f"@{alice.user}", before=long_chat[10], limit=4
    )
    assert [m["seq"] for m in page["messages"]] == long_chat[6:10]
    assert (page["chat"], page["more"]) == (f"@{alice.user}", True)
    assert texts(page["messages"]) == ["6", "7", "8", "9"]


async def test_history_after_gives_the_entries_next_to_the_bound(
    alice: RawClient, bob: RawClient, long_chat: list[int]
) -> None:
    page = await bob.ask("history", chat=f"@{alice.user}", after=long_chat[10], limit=4)
    assert [m["seq"] for m in page["messages"]] == long_chat[11:15]
    assert page["more"]


async def test_history_says_when_nothing_is_left(
    alice: RawClient, bob: RawClient, long_chat: list[int]
) -> None:
    chat = f"@{alice.user}"
    for bound in ({"before": long_chat[4]}, {"after": long_chat[15]}):
        page = await bob.ask("history", chat=chat, limit=4, **bound)
        assert (len(page["messages"]), page["more"]) == (4, False)
        page = await bob.ask("history", chat=chat, limit=5, **bound)
        assert (len(page["messages"]), page["more"]) == (4, False)
    page = await bob.ask("history", chat=chat, before=long_chat[0])
    assert (page["messages"], page["more"]) == ([], False)


@pytest.mark.parametrize("bounds", [{}, {"before": 5, "after": 1}])
async def test_history_takes_exactly_one_bound(
    alice: RawClient, bounds: dict[str, int]
) -> None:
    await alice.say(f"@{alice.user}", "x")
    code = await alice.refusal("history", chat=f"@{alice.user}", **bounds)
    assert code == "bad_request"


@pytest.mark.parametrize("limit", [0, 201, -1, "5"])
async def test_the_limit_of_history_is_1_to_200(
    alice: RawClient, limit: object
) -> None:
    code = await alice.refusal("history", chat="@bob", before=5, limit=limit)
    assert code == "bad_request"


async def test_history_of_no_chat_is_refused(alice: RawClient, eve: RawClient) -> None:
    code = await alice.refusal("history", chat="#no-such-room", before=5)
    assert code == "no_such_room"
    answer = await alice.request("history", chat=f"@{eve.user}", before=5)
    assert answer.get("messages", []) == []


async def test_a_page_is_cut_to_a_frame_at_its_far_end(
    alice: RawClient, bob: RawClient
) -> None:
    # As JSON each of these texts takes six times its bytes: eleven fill a frame.
    chat = f"@{bob.user}"
    ids = [
        alice.send_with_id("send", chat=chat, text=f"{n:02}" + "\1" * 16_000)
        for n in range(40)
    ]
    seqs = [(await alice.reply(id_))["seq"] for id_ in ids]
    page = await alice.ask("history", chat=chat, before=seqs[-1], limit=200)
    found = [m["seq"] for m in page["messages"]]
    assert found == seqs[39 - len(found) : 39]
    assert 1 <= len(found) < 39
    assert page["more"]
    page = await alice.ask("history", chat=chat, after=seqs[0], limit=200)
    found = [m["seq"] for m in page["messages"]]
    assert found == seqs[1 : 1 + len(found)]
    assert page["more"]
    assert [m["seq"] for m in await alice.log(chat)] == seqs


# Typing ----------------------------------------------------------------------------


async def test_typing_is_pushed_to_others_and_never_stored(
    server: Served, alice: RawClient, bob: RawClient, room: str
) -> None:
    alice.send("typing", chat=room)
    push = await bob.expect("typing")
    assert (push["chat"], push["user"]) == (room, alice.user)
    await bob.say(f"@{alice.user}", "x")
    bob.send("typing", chat=f"@{alice.user}")
    assert (await alice.expect("typing"))["chat"] == f"@{bob.user}"
    assert texts(await alice.log(room)) == []


async def test_typing_to_strangers_says_nothing(
    alice: RawClient, eve: RawClient
) -> None:
    alice.send("typing", chat=f"@{eve.user}")
    await alice.drain()
    assert all(m["type"] != "typing" for m in await eve.drain())


# Rates and their refusals ----------------------------------------------------------

SLOW = {"limits": {"messages_per_second": 4, "messages_burst": 5}}


@pytest.fixture
async def slow(tmp_path: Path) -> AsyncIterator[RawClient]:
    """A user of a daemon that takes five messages at once, and four per second."""
    daemon = Daemon(tmp_path / "slow", SLOW)
    try:
        await daemon.start()
        async with logged_in(daemon.tcp, "alice") as (client,):
            yield client
    finally:
        daemon.stop_whatever_happened()


async def test_too_many_messages_are_answered_and_never_dropped(
    slow: RawClient,
) -> None:
    ids = [slow.send_with_id("send", chat="@alice", text=str(n)) for n in range(20)]
    answers = [await slow.reply(id_) for id_ in ids]
    refused = [a for a in answers if a["type"] == "error"]
    assert {a["code"] for a in refused} == {"rate_limited"}
    assert all(0 < a["retry_after"] <= 10_000 for a in refused)
    assert len(refused) < 20
    await slow.ask("ping")


async def test_after_a_refusal_keyed_sends_keep_their_order(slow: RawClient) -> None:
    ids = [
        slow.send_with_id("send", chat="@alice", text=str(n), key=f"k-{n}")
        for n in range(15)
    ]
    answers = [await slow.reply(id_) for id_ in ids]
    codes = [a.get("code") for a in answers]
    first = codes.index("rate_limited")
    assert codes[:first] == [None] * first
    assert set(codes[first + 1 :]) == {"out_of_order"}
    # Other chats and sends without keys were not held up by it; a new key still is.
    await asyncio.sleep(answers[first]["retry_after"] / 1000)
    code = await slow.refusal("send", chat="@alice", text="z", key="k-99")
    assert code == "out_of_order"
    for n in range(first, 15):
        while True:
            again = await slow.request("send", chat="@alice", text=str(n), key=f"k-{n}")
            if again["type"] == "sent":
                break
            assert again["code"] == "rate_limited"
            await asyncio.sleep(again["retry_after"] / 1000)
    assert texts(await slow.log("@alice")) == [str(n) for n in range(15)]
