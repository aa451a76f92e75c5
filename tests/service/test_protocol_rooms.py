"""Sections 6 and 7 of the protocol: rooms, presence and people."""

import asyncio
import json

import pytest

from tests.fakes.raw_client import Json, RawClient
from tests.helpers import fresh_name, logged_in, texts
from tests.service.conftest import Served, device

pytestmark = pytest.mark.system


@pytest.fixture
def room() -> str:
    return "#" + fresh_name("room")


# 6. Rooms --------------------------------------------------------------------------


async def test_create_and_join_are_answered_with_the_chats_record(
    alice: RawClient, bob: RawClient, room: str
) -> None:
    made = (await alice.ask("create", room=room, topic="tea"))["chat"]
    assert (made["chat"], made["topic"], made["role"]) == (room, "tea", "owner")
    assert (made["visibility"], made["unread"]) == ("public", 0)
    assert made["last"] == made["read"] > 0
    joined = (await bob.ask("join", room=room))["chat"]
    assert (joined["chat"], joined["topic"], joined["role"]) == (room, "tea", "member")
    assert joined["last"] > made["last"]


async def test_changes_of_a_room_are_events_in_its_log(
    alice: RawClient, bob: RawClient, room: str
) -> None:
    await alice.ask("create", room=room)
    await bob.ask("join", room=room)
    assert (await alice.ask("topic", room=room, topic="coffee"))["type"] == "ok"
    assert (await bob.ask("leave", room=room))["type"] == "ok"
    log = await alice.log(room)
    assert [m["kind"] for m in log] == ["create", "join", "topic", "leave"]
    assert [m["from"] for m in log] == [alice.user, bob.user, alice.user, bob.user]
    assert log[2]["topic"] == "coffee"


async def test_a_room_name_is_taken_once(
    alice: RawClient, bob: RawClient, room: str
) -> None:
    await alice.ask("create", room=room)
    for client in (alice, bob):
        assert await client.refusal("create", room=room.upper()) == "name_taken"


async def test_the_first_to_join_an_empty_room_owns_it(
    alice: RawClient, bob: RawClient, room: str
) -> None:
    await alice.ask("create", room=room)
    await alice.ask("leave", room=room)
    joined = (await bob.ask("join", room=room))["chat"]
    assert joined["role"] == "owner"
    assert (await bob.ask("topic", room=room, topic="mine"))["type"] == "ok"
    assert (await alice.ask("join", room=room))["chat"]["role"] == "member"


async def test_of_two_who_join_an_empty_room_at_once_one_owns_it(
    alice: RawClient, bob: RawClient, eve: RawClient, room: str
) -> None:
    await alice.ask("create", room=room)
    await alice.ask("leave", room=room)
    joining = [asyncio.create_task(each.ask("join", room=room)) for each in (bob, eve)]
    records = [(await each)["chat"] for each in joining]
    assert sorted(record["role"] for record in records) == ["member", "owner"]
    members = (await bob.ask("members", room=room))["members"]
    assert sorted(member["role"] for member in members) == ["member", "owner"]


async def test_a_page_of_rooms_with_the_longest_topics_fits_a_frame(
    alice: RawClient, room: str
) -> None:
    names = [f"{room}-{n:03}" for n in range(150)]
    for name in names:
        await alice.ask("create", room=name, topic="\x01" * 1024)
    after, found = room, []
    while True:
        page = await alice.ask("rooms", after=after)
        assert len(json.dumps(page)) < 1 << 20
        found += [item["room"] for item in page["rooms"]]
        after = found[-1]
        if not page["more"]:
            break
    assert [name for name in found if name.startswith(room)] == names


async def test_joining_twice_and_leaving_twice_say_so(
    alice: RawClient, bob: RawClient, room: str
) -> None:
    await alice.ask("create", room=room)
    await bob.ask("join", room=room)
    again = await bob.request("join", room=room)
    assert again["type"] in ("joined", "error")
    await bob.ask("leave", room=room)
    assert await bob.refusal("leave", room=room) == "not_a_member"
    assert [m["kind"] for m in await alice.log(room)] == ["create", "join", "leave"]


async def test_a_topic_has_up_to_1024_bytes(alice: RawClient, room: str) -> None:
    await alice.ask("create", room=room, topic="é" * 512)
    assert await alice.refusal("topic", room=room, topic="é" * 513) == "too_large"
    code = await alice.refusal("create", room=room + "x", topic="x" * 1_025)
    assert code == "too_large"


async def test_a_topic_is_the_members_to_change(
    alice: RawClient, eve: RawClient, room: str
) -> None:
    await alice.ask("create", room=room)
    code = await eve.refusal("topic", room=room, topic="mine")
    assert code in ("not_a_member", "not_allowed")


async def test_a_member_of_a_public_room_sees_its_whole_log(
    alice: RawClient, bob: RawClient, room: str
) -> None:
    await alice.ask("create", room=room)
    await alice.say(room, "long ago")
    await bob.ask("join", room=room)
    assert texts(await bob.log(room)) == ["long ago"]


async def test_to_an_outsider_a_private_room_does_not_exist(
    alice: RawClient, eve: RawClient, room: str
) -> None:
    await alice.ask("create", room=room, visibility="private")
    about_room: list[tuple[str, Json]] = [
        ("join", {}),
        ("leave", {}),
        ("members", {}),
        ("topic", {"topic": "x"}),
        ("invite", {"user": alice.user}),
        ("decline", {}),
    ]
    for type_, members in about_room:
        there = await eve.request(type_, room=room, **members)
        not_there = await eve.request(type_, room="#no-such-room", **members)
        assert there["code"] == not_there["code"] == "no_such_room"
        assert there["reason"].replace(room, "") == not_there["reason"].replace(
            "#no-such-room", ""
        )
    about_chat: list[tuple[str, Json]] = [
        ("send", {"text": "x"}),
        ("send", {"text": "x", "key": "k"}),
        ("history", {"before": 5}),
        ("read", {"seq": 1}),
        ("typing", {}),
    ]
    for type_, members in about_chat:
        assert await eve.refusal(type_, chat=room, **members) == "no_such_room"


async def test_a_member_of_a_private_room_sees_it_from_the_latest_join_on(
    server: Served, alice: RawClient, bob: RawClient, room: str
) -> None:
    await alice.ask("create", room=room, visibility="private")
    await alice.say(room, "before")
    await alice.ask("invite", room=room, user=bob.user)
    record = (await bob.ask("join", room=room))["chat"]
    await alice.say(room, "after")
    log = await bob.log(room)
    assert [m["kind"] for m in log] == ["join", "text"]
    assert record["first"] == log[0]["seq"]
    page = await bob.ask("history", chat=room, before=log[0]["seq"])
    assert (page["messages"], page["more"]) == ([], False)
    async with device(server.tcp, bob.user, sync="ask") as other:
        await other.ask("sync", have={room: 1})
        assert "before" not in texts(other.history)


async def test_an_invitation_is_pushed_listed_and_ended_by_joining(
    server: Served, alice: RawClient, bob: RawClient, room: str
) -> None:
    await alice.ask("create", room=room, visibility="private")
    assert (await alice.ask("invite", room=room, user=bob.user))["type"] == "ok"
    push = await bob.expect("invited")
    assert (push["room"], push["by"]) == (room, alice.user)
    for expected in ([{"room": room, "by": alice.user}], []):
        async with await RawClient.connect(server.tcp) as other:
            ready = await other.login(bob.user)
            assert ready.get("invites", []) == expected
        if expected:
            await bob.ask("join", room=room)
    await bob.ask("leave", room=room)
    assert await bob.refusal("join", room=room) == "no_such_room"


async def test_an_invitation_is_ended_by_declining(
    alice: RawClient, bob: RawClient, room: str
) -> None:
    await alice.ask("create", room=room, visibility="private")
    await alice.ask("invite", room=room, user=bob.user)
    assert (await bob.ask("decline", room=room))["type"] == "ok"
    assert await bob.refusal("join", room=room) == "no_such_room"


async def test_inviting_nobody_is_refused(alice: RawClient, room: str) -> None:
    await alice.ask("create", room=room, visibility="private")
    code = await alice.refusal("invite", room=room, user="nobody-here")
    assert code == "no_such_user"


async def test_other_devices_are_told_of_a_chat_gained_and_lost(
    server: Served, alice: RawClient, bob: RawClient, room: str
) -> None:
    await alice.ask("create", room=room)
    async with device(server.tcp, bob.user) as second:
        await bob.ask("join", room=room)
        joined = await second.expect("joined")
        assert joined["chat"]["chat"] == room
        await alice.say(room, "x")
        await second.expect("message", text="x")
        await bob.ask("leave", room=room)
        left = await second.expect("left")
        assert left["chat"] == room
        kinds = [(m["type"], m.get("kind")) for m in second.history[-10:]]
        assert kinds.index(("message", "leave")) < kinds.index(("left", None))
        await alice.say(room, "unheard")
        assert "unheard" not in texts(await second.drain())
        assert "unheard" not in texts(await bob.drain())


async def test_public_rooms_are_listed_page_by_page(
    alice: RawClient, bob: RawClient
) -> None:
    stem = fresh_name("list")
    rooms = [f"#{stem}-{n}" for n in range(5)]
    for address in rooms:
        await alice.ask("create", room=address, topic="x")
    await alice.ask("create", room=f"#{stem}-3a", visibility="private")
    await bob.ask("join", room=rooms[1])
    found: list[Json] = []
    after = f"#{stem}"
    while len(found) < 5:
        page = await bob.ask("rooms", after=after, limit=2)
        assert len(page["rooms"]) <= 2
        found += page["rooms"]
        after = found[-1]["room"]
        if not page["more"]:
            break
    assert [r["room"] for r in found[:5]] == rooms
    assert [r["members"] for r in found[:5]] == [1, 2, 1, 1, 1]
    assert found[0]["topic"] == "x"


async def test_members_are_listed_page_by_page_with_their_presence(
    server: Served, alice: RawClient, room: str
) -> None:
    await alice.ask("create", room=room)
    users = sorted(fresh_name("member") for _ in range(5))
    async with logged_in(server.tcp, *users) as clients:
        for client in clients:
            await client.ask("join", room=room)
        await clients[0].close()
        found: list[Json] = []
        after: str | None = None
        more = True
        while more:
            page = await alice.ask("members", room=room, after=after, limit=2)
            found += page["members"]
            after, more = found[-1]["user"], page["more"]
        listed = {m["user"]: m for m in found}
    assert [m["user"] for m in found] == sorted([alice.user, *users])
    assert listed[alice.user]["role"] == "owner"
    assert listed[users[1]] == {"user": users[1], "role": "member", "status": "online"}


async def test_an_outsider_sees_the_members_of_a_public_room_or_is_told_why(
    alice: RawClient, eve: RawClient, room: str
) -> None:
    await alice.ask("create", room=room)
    answer = await eve.request("members", room=room)
    assert answer["type"] == "members" or answer["code"] == "not_a_member"


# 7. Presence and people ------------------------------------------------------------


async def test_presence_goes_to_those_who_share_a_chat(
    server: Served, alice: RawClient, eve: RawClient
) -> None:
    async with logged_in(server.tcp, fresh_name()) as (bob,):
        user = bob.user
        await bob.say(f"@{alice.user}", "x")
        await alice.expect("message")
        assert (await bob.ask("status", status="away", text="lunch"))["type"] == "ok"
        push = await alice.take(
            lambda m: (
                m["type"] == "presence"
                and m["users"].get(user, {}).get("status") == "away"
            ),
            "away",
        )
        assert push["users"][user]["text"] == "lunch"
    push = await alice.take(
        lambda m: (
            m["type"] == "presence"
            and m["users"].get(user, {}).get("status") == "offline"
        ),
        "offline",
    )
    assert isinstance(push["users"][user]["seen"], int)
    for message in await eve.drain():
        assert user not in message.get("users", {})


async def test_presence_is_gathered_and_the_latest_counts(
    alice: RawClient, bob: RawClient
) -> None:
    await bob.say(f"@{alice.user}", "x")
    await alice.expect("message")
    ids = [
        bob.send_with_id("status", status=("away", "busy")[n % 2], text=str(n))
        for n in range(60)
    ]
    for id_ in ids:
        await bob.reply(id_)
    await alice.take(
        lambda m: (
            m["type"] == "presence" and m["users"].get(bob.user, {}).get("text") == "59"
        ),
        "the last status",
    )
    told = [m for m in alice.history if bob.user in m.get("users", {})]
    assert len(told) < 20


async def test_a_second_device_keeps_a_user_online(
    server: Served, alice: RawClient, bob: RawClient
) -> None:
    await bob.say(f"@{alice.user}", "x")
    async with device(server.tcp, bob.user):
        pass
    whois = await alice.ask("whois", user=bob.user)
    assert whois["status"] == "online"


async def test_whois_tells_what_may_be_known(alice: RawClient, bob: RawClient) -> None:
    await bob.say(f"@{alice.user}", "x")
    whois = await alice.ask("whois", user=bob.user.upper())
    assert (whois["user"], whois["role"]) == (bob.user, "member")
    assert await alice.refusal("whois", user="nobody-here") == "no_such_user"
    assert await alice.refusal("whois", user="not a name") in (
        "bad_name",
        "no_such_user",
    )


@pytest.mark.parametrize("status", ["offline", "asleep", "", 5])
async def test_a_status_is_online_away_or_busy(
    alice: RawClient, status: object
) -> None:
    assert await alice.refusal("status", status=status) == "bad_request"
