"""Sections 1 and 2 of the protocol: frames, requests and replies."""

import asyncio
import json
import ssl
import struct
import time
from pathlib import Path

import pytest

from tests.fakes.raw_client import RawClient, blind_tls, frame
from tests.helpers import fresh_name, logged_in
from tests.service.conftest import Served
from tests.system.daemon import Daemon

pytestmark = pytest.mark.system


def padded(size: int, **members: object) -> bytes:
    """Return a ping whose body has exactly ``size`` bytes."""
    empty = json.dumps({"type": "ping", **members, "x": ""}).encode()
    return empty[:-2] + b"y" * (size - len(empty)) + b'"}'


# 1. Frames -------------------------------------------------------------------------


async def test_4096_bytes_are_accepted_before_login(stranger: RawClient) -> None:
    stranger.send_raw(frame(padded(4_096, id=5)))
    await stranger.expect("pong", re=5)


async def test_4097_bytes_are_a_bad_frame_before_login(stranger: RawClient) -> None:
    stranger.send_raw(frame(padded(4_097, id=5)))
    await stranger.expect("error", code="bad_frame")
    await stranger.expect("closing", code="bad_frame")
    await stranger.ended()


async def test_limits_frame_counts_after_login(alice: RawClient) -> None:
    alice.send_raw(frame(padded(131_072, id=5)))
    await alice.expect("pong", re=5)
    alice.send_raw(frame(padded(131_073, id=6)))
    await alice.expect("closing", code="bad_frame")


async def test_a_failed_login_does_not_raise_the_limit(stranger: RawClient) -> None:
    code = await stranger.refusal(
        "auth", mechanism="PLAIN", user="nobody", password="wrong horse"
    )
    assert code == "auth_failed"
    stranger.send_raw(frame(padded(4_097)))
    await stranger.expect("closing", code="bad_frame")


async def test_hanging_up_is_error_then_closing_then_the_end(
    stranger: RawClient,
) -> None:
    await stranger.expect("hello")
    stranger.send_raw(b"\0\0\0\0")
    assert [m["type"] for m in await stranger.ended()] == ["error", "closing"]


async def test_input_is_drained_while_hanging_up(stranger: RawClient) -> None:
    # Unread input would make the system reset the connection and drop the last frames.
    stranger.send_raw(struct.pack(">I", 1 << 30) + b"x" * 400_000)
    await stranger.expect("closing", code="bad_frame")
    await stranger.ended()


async def test_what_came_before_a_bad_frame_is_still_answered(
    alice: RawClient,
) -> None:
    alice.send_raw(frame({"type": "ping", "id": 1}) + b"\0\0\0\0")
    await alice.ended()
    kinds = [m["type"] for m in alice.history[-3:]]
    assert kinds == ["pong", "error", "closing"]


async def test_a_frame_may_come_in_any_pieces(alice: RawClient) -> None:
    data = frame({"type": "ping", "id": 1}) * 3
    for byte in data:
        alice.send_raw(bytes([byte]))
        await alice.writer.drain()
        await asyncio.sleep(0)
    for _ in range(3):
        await alice.expect("pong", re=1)


async def test_alpn_is_offered_and_not_insisted_on(server: Served) -> None:
    for offered in (["chatd/1"], ["http/1.1"], []):
        context = blind_tls()
        if offered:
            context.set_alpn_protocols(offered)
        async with await RawClient.connect(server.tls, tls=context) as client:
            await client.expect("hello")
            tls = client.writer.get_extra_info("ssl_object")
            assert tls.selected_alpn_protocol() == (
                "chatd/1" if offered == ["chatd/1"] else None
            )


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_tls_1_2_and_1_3_are_spoken(
    server: Served, version: ssl.TLSVersion
) -> None:
    context = blind_tls()
    context.minimum_version = context.maximum_version = version
    async with await RawClient.connect(server.tls, tls=context) as client:
        await client.expect("hello")


async def test_a_wrong_member_is_named(alice: RawClient) -> None:
    answer = await alice.request("send", chat="@bob", text=5)
    assert answer["code"] == "bad_request"
    assert "text" in answer["reason"]


async def test_of_duplicate_members_the_last_counts(alice: RawClient) -> None:
    alice.send_raw(frame(b'{"type":"whois","id":1,"id":9,"type":"ping"}'))
    await alice.expect("pong", re=9)


async def test_unknown_members_are_ignored(alice: RawClient) -> None:
    await alice.ask("ping", colour="green", more={"a": [1]})


# 2. Requests and replies -----------------------------------------------------------


async def test_without_id_the_reply_has_no_re_but_comes(alice: RawClient) -> None:
    alice.send("send", chat=f"@{alice.user}", text="x")
    assert "re" not in await alice.expect("sent")
    alice.send("whois", user="nobody-of-that-name")
    assert "re" not in await alice.expect("error", code="no_such_user")


@pytest.mark.parametrize("id_", [1, 2**53 - 1])
async def test_an_id_in_range_comes_back(alice: RawClient, id_: int) -> None:
    alice.send("ping", id=id_)
    await alice.expect("pong", re=id_)


@pytest.mark.parametrize("id_", [0, -1, 2**53, 1.5, "7", True, [], {}])
async def test_an_id_out_of_range_is_a_bad_request_without_re(
    alice: RawClient, id_: object
) -> None:
    alice.send("ping", id=id_)
    assert "re" not in await alice.expect("error", code="bad_request")


async def test_re_is_given_with_bad_request_and_unknown_type(alice: RawClient) -> None:
    alice.send("send", id=3)
    await alice.expect("error", re=3, code="bad_request")
    alice.send("dance", id=4)
    await alice.expect("error", re=4, code="unknown_type")
    alice.send_raw(frame(b'{"type":"ping","id":5,"x":"\\ud800"}'))
    await alice.expect("error", re=5, code="bad_request")


async def test_no_reply_requests_are_answered_only_by_an_error_and_with_an_id(
    alice: RawClient,
) -> None:
    chat = f"@{alice.user}"
    seq = (await alice.say(chat, "x"))["seq"]
    await alice.expect("message")
    alice.send("read", id=50, chat=chat, seq=seq)
    alice.send("typing", id=51, chat=chat)
    alice.send("read", chat="#no-such-room", seq=1)
    alice.send("typing", chat="#no-such-room")
    assert await alice.drain() == []
    alice.send("read", id=52, chat="#no-such-room", seq=1)
    assert (await alice.expect("error", re=52))["code"] == "no_such_room"
    alice.send("typing", id=53, chat="#no-such-room")
    assert (await alice.expect("error", re=53))["code"] == "no_such_room"


async def test_replies_come_in_the_order_of_the_requests(alice: RawClient) -> None:
    room = "#" + fresh_name("r")
    await alice.ask("create", room=room)
    wanted = []
    for n in range(40):
        wanted += [
            alice.send_with_id("send", chat=room, text=str(n), key=f"key-{n}"),
            alice.send_with_id("ping"),
            alice.send_with_id("whois", user=alice.user),
            alice.send_with_id("send", chat=f"@{alice.user}", text="x"),
            alice.send_with_id("members", room=room),
            alice.send_with_id("topic", room=room, topic=str(n)),
            alice.send_with_id("rooms"),
            alice.send_with_id("send", chat="@nobody-here", text="x"),
        ]
    wanted.append(alice.send_with_id("dance"))
    await alice.reply(wanted[-1])
    assert [m["re"] for m in alice.history if "re" in m][-len(wanted) :] == wanted


async def test_a_ping_is_answered_with_the_time_in_ms(stranger: RawClient) -> None:
    pong = await stranger.ask("ping")
    assert abs(pong["time"] - time.time() * 1000) < 60_000
    assert isinstance(pong["time"], int)


async def test_a_pong_is_not_answered(alice: RawClient) -> None:
    alice.send("pong", re=1, time=5)
    assert await alice.drain() == []


async def test_who_says_nothing_for_long_is_closed_as_idle(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path / "idle", {"limits": {"idle_seconds": 1}})
    try:
        await daemon.start()
        async with logged_in(daemon.tcp, "silent", "lively") as (silent, lively):
            while not silent.is_ended:
                await lively.ask("ping")
                await asyncio.sleep(0.05)
            assert silent.history[-1]["type"] == "closing"
            assert silent.history[-1]["code"] == "idle"
            await lively.ask("ping")
    finally:
        daemon.stop_whatever_happened()
