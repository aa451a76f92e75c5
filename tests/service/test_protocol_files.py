"""Section 8 of the protocol: uploads and downloads, from the first byte to the last."""

import asyncio
import os
from pathlib import Path

import pytest

from tests.fakes.raw_client import DataLine, RawClient, RefusedError, blind_tls
from tests.helpers import (
    eventually,
    get_file,
    put_file,
    send_rest,
    sha256_of,
    ticket_at,
    upload_of,
)
from tests.service.conftest import Served, device
from tests.system.daemon import Daemon

pytestmark = pytest.mark.system

DATA = os.urandom(3_000_000)
EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


# Uploads and downloads --------------------------------------------------------------


async def test_a_file_arrives_as_it_was_sent(
    server: Served, alice: RawClient, bob: RawClient, room: str
) -> None:
    stored = await put_file(alice, server.tcp, room, DATA, "core.tar", text="look")
    assert stored.keys() == {"type", "file", "seq"}
    for client in (alice, bob):
        message = await client.expect("message", kind="file")
        assert message["file"] == {
            "id": stored["file"],
            "name": "core.tar",
            "size": len(DATA),
            "sha256": sha256_of(DATA),
        }
        assert (message["text"], message["seq"]) == ("look", stored["seq"])
        assert (message["from"], message["chat"]) == (alice.user, room)
        assert await get_file(client, server.tcp, stored["file"]) == DATA


async def test_a_download_is_described_before_it_begins(
    server: Served, alice: RawClient, room: str
) -> None:
    stored = await put_file(alice, server.tcp, room, DATA, "core.tar")
    answer = await alice.ask("download", file=stored["file"])
    assert (answer["name"], answer["size"]) == ("core.tar", len(DATA))
    assert answer["sha256"] == sha256_of(DATA)


async def test_files_move_over_tls(server: Served, alice: RawClient, room: str) -> None:
    answer = await alice.ask("upload", **upload_of(room, DATA))
    stored = await send_rest(server.tls, answer["ticket"], DATA, blind_tls())
    got = await get_file(alice, server.tls, stored["file"], tls=blind_tls())
    assert got == DATA


async def test_an_empty_caption_is_left_out(
    server: Served, alice: RawClient, room: str
) -> None:
    await put_file(alice, server.tcp, room, b"x")
    message = await alice.expect("message", kind="file")
    assert "text" not in message


async def test_an_empty_file_is_a_file(
    server: Served, alice: RawClient, room: str
) -> None:
    stored = await put_file(alice, server.tcp, room, b"")
    message = await alice.expect("message", kind="file")
    assert (message["file"]["size"], message["file"]["sha256"]) == (0, EMPTY)
    assert await get_file(alice, server.tcp, stored["file"]) == b""


async def test_a_download_begins_at_any_offset(
    server: Served, alice: RawClient, room: str
) -> None:
    file = (await put_file(alice, server.tcp, room, DATA))["file"]
    for offset in (1, 2_999_999, 3_000_000):
        assert await get_file(alice, server.tcp, file, offset) == DATA[offset:]
    code = await alice.refusal("download", file=file, offset=3_000_001)
    assert code == "bad_request"


async def test_a_first_file_begins_a_direct_chat_on_all_devices(
    server: Served, alice: RawClient, bob: RawClient
) -> None:
    async with device(server.tcp, alice.user) as second:
        await put_file(alice, server.tcp, f"@{bob.user}", b"x")
        for client, other in ((alice, bob), (second, bob), (bob, alice)):
            chat = f"@{other.user}"
            await client.expect("message", kind="file", chat=chat)
            kinds = [m["type"] for m in client.history if m["type"] != "presence"]
            assert kinds[-2:] == ["joined", "message"]


async def test_a_file_counts_as_unread(
    server: Served, alice: RawClient, bob: RawClient, room: str
) -> None:
    await put_file(alice, server.tcp, room, b"x")
    await alice.expect("message", kind="file")
    async with await RawClient.connect(server.tcp) as other:
        (record,) = (await other.login(bob.user, sync="none"))["chats"]
        assert record["unread"] == 1


async def test_a_file_is_in_history_with_its_key_for_its_sender(
    server: Served, alice: RawClient, bob: RawClient, room: str
) -> None:
    await put_file(alice, server.tcp, room, b"x", key="my-key")
    for client, key in ((alice, "my-key"), (bob, None)):
        (entry,) = [m for m in await client.log(room) if m["kind"] == "file"]
        assert entry.get("key") == key
        assert entry["file"]["name"] == "a.bin"


async def test_a_note_to_self_may_be_a_file(server: Served, alice: RawClient) -> None:
    stored = await put_file(alice, server.tcp, f"@{alice.user}", b"x")
    assert await get_file(alice, server.tcp, stored["file"]) == b"x"


async def test_a_device_without_pushes_may_send_files(
    server: Served, alice: RawClient, room: str
) -> None:
    async with device(server.tcp, alice.user, sync="none") as client:
        await put_file(client, server.tcp, room, b"x")
    await alice.expect("message", kind="file")


async def test_two_who_send_the_same_share_one_content(
    server: Served, alice: RawClient, bob: RawClient, room: str
) -> None:
    data = os.urandom(500_000)
    one, other = await asyncio.gather(
        put_file(alice, server.tcp, room, data, "a.txt"),
        put_file(bob, server.tcp, room, data, "b.txt"),
    )
    assert one["file"] != other["file"]
    for file in (one["file"], other["file"]):
        assert await get_file(alice, server.tcp, file) == data
    sha256 = sha256_of(data)
    content = server.data / "blobs" / sha256[:2] / sha256
    assert content.stat().st_nlink == 1
    assert content.read_bytes() == data


async def test_nothing_is_left_of_an_upload_that_was_stored(
    server: Served, alice: RawClient, room: str
) -> None:
    stored = await put_file(alice, server.tcp, room, b"x")
    assert not (server.data / "blobs" / "incoming" / stored["file"]).exists()


# Resuming ---------------------------------------------------------------------------


async def test_an_upload_goes_on_from_the_last_byte_that_came(
    server: Served, alice: RawClient, room: str
) -> None:
    request = upload_of(room, DATA)
    first = await alice.ask("upload", **request)
    async with await DataLine.begin(server.tcp, first["ticket"]) as line:
        line.send(DATA[:1_234_567])
        await line.writer.drain()
    await ticket_at(alice, request, 1_234_567)
    again = await alice.ask("upload", **request)
    assert again["file"] == first["file"]
    async with await DataLine.begin(server.tcp, again["ticket"]) as line:
        assert line.answer["offset"] == 1_234_567
        line.send(DATA[1_234_567:])
        stored = await line.message()
    assert stored["file"] == first["file"]
    assert await get_file(alice, server.tcp, stored["file"]) == DATA


async def test_an_upload_to_a_new_chat_goes_on(
    server: Served, alice: RawClient, bob: RawClient
) -> None:
    request = upload_of(f"@{bob.user}", DATA)
    first = await alice.ask("upload", **request)
    async with await DataLine.begin(server.tcp, first["ticket"]) as line:
        line.send(DATA[:1_000_000])
        await line.writer.drain()
    ticket = await ticket_at(alice, request, 1_000_000)
    assert (await send_rest(server.tcp, ticket, DATA))["file"] == first["file"]


async def test_an_upload_goes_on_after_the_daemon_was_killed(tmp_path: Path) -> None:
    daemon = await Daemon(tmp_path).start()
    data = os.urandom(8_000_000)
    request = upload_of("@carol", data)
    try:
        async with await RawClient.connect(daemon.tcp) as carol:
            await carol.register("carol")
            await carol.login("carol")
            first = await carol.ask("upload", **request)
            line = await DataLine.begin(daemon.tcp, first["ticket"])
            line.send(data[:5_000_000])
            incoming = daemon.data / "blobs" / "incoming" / first["file"]
            await eventually(
                lambda: incoming.exists() and incoming.stat().st_size >= 3_000_000,
                "most of it was written",
            )
            await daemon.restart()
            await line.close()
        async with await RawClient.connect(daemon.tcp) as carol:
            await carol.login("carol")
            again = await carol.ask("upload", **request)
            assert again["file"] == first["file"]
            assert 3_000_000 <= again["offset"] <= 5_000_000
            stored = await send_rest(daemon.tcp, again["ticket"], data)
            assert await get_file(carol, daemon.tcp, stored["file"]) == data
            (entry,) = await carol.log("@carol")
            assert entry["seq"] == stored["seq"]
    finally:
        daemon.stop_whatever_happened()


async def test_a_newer_connection_takes_an_upload_over(
    server: Served, alice: RawClient, room: str
) -> None:
    request = upload_of(room, DATA)
    first = await alice.ask("upload", **request)
    async with await DataLine.begin(server.tcp, first["ticket"]) as old:
        old.send(DATA[:1_000_000])
        ticket = await ticket_at(alice, request, 1_000_000)
        async with await DataLine.begin(server.tcp, ticket) as new:
            assert new.answer["offset"] == 1_000_000
            await old.ended()
            new.send(DATA[1_000_000:])
            assert (await new.message())["type"] == "stored"


async def test_of_many_that_take_over_the_last_one_goes_on(
    server: Served, alice: RawClient, room: str
) -> None:
    request = upload_of(room, DATA)
    tickets = [(await alice.ask("upload", **request))["ticket"] for _ in range(6)]

    async def begin(ticket: str) -> bool:
        try:
            async with await DataLine.begin(server.tcp, ticket) as line:
                line.send(DATA[line.answer["offset"] :])
                return bool((await line.message())["type"] == "stored")
        except (EOFError, ConnectionError):
            return False

    outcomes = await asyncio.gather(*map(begin, tickets))
    assert any(outcomes)
    (entry,) = [m for m in await alice.log(room) if m["kind"] == "file"]
    assert await get_file(alice, server.tcp, entry["file"]["id"]) == DATA


async def test_a_file_is_stored_though_its_sender_is_gone_after_the_last_byte(
    server: Served, alice: RawClient, room: str
) -> None:
    request = upload_of(room, DATA)
    answer = await alice.ask("upload", **request)
    async with await DataLine.begin(server.tcp, answer["ticket"]) as line:
        line.send(DATA)
        await line.writer.drain()
    # The end may not have been noticed before the line was closed, so it may also have
    # to be asked for.
    while (answer := await alice.ask("upload", **request))["type"] == "upload":
        if answer["offset"] == len(DATA):
            async with await DataLine.connect(server.tcp, answer["ticket"]) as line:
                assert line.answer["offset"] == len(DATA)
                answer = await line.message()
                break
    message = await alice.expect("message", kind="file")
    assert (answer["type"], answer["seq"]) == ("stored", message["seq"])


async def test_an_upload_that_has_all_its_bytes_is_stored_without_more(
    server: Served, alice: RawClient, room: str
) -> None:
    request = upload_of(room, b"")
    tickets = [(await alice.ask("upload", **request))["ticket"] for _ in range(2)]
    seqs = []
    for ticket in tickets:
        async with await DataLine.begin(server.tcp, ticket) as line:
            assert (line.answer["offset"], line.answer["size"]) == (0, 0)
            seqs.append((await line.message())["seq"])
            assert await line.rest() == b""
    assert seqs[0] == seqs[1]


async def test_a_download_goes_on_with_a_new_ticket(
    server: Served, alice: RawClient, room: str
) -> None:
    file = (await put_file(alice, server.tcp, room, DATA))["file"]
    answer = await alice.ask("download", file=file)
    line = await DataLine.begin(server.tcp, answer["ticket"])
    got = await line.reader.readexactly(700_000)
    await line.abort()
    got += await get_file(alice, server.tcp, file, len(got))
    assert got == DATA


# Keys -------------------------------------------------------------------------------


async def test_a_known_key_is_answered_stored(
    server: Served, alice: RawClient, room: str
) -> None:
    request = upload_of(room, b"x", text="look")
    answer = await alice.ask("upload", **request)
    stored = await send_rest(server.tcp, answer["ticket"], b"x")
    async with device(server.tcp, alice.user) as other:
        for client in (alice, other):
            again = await client.ask("upload", **request)
            assert again["type"] == "stored"
            assert (again["file"], again["seq"]) == (stored["file"], stored["seq"])


OTHERS = [{"name": "b.bin"}, {"size": 2}, {"sha256": EMPTY}, {"text": "y"}]


@pytest.mark.parametrize("other", OTHERS, ids=str)
async def test_a_key_of_another_file_is_key_reused(
    server: Served, alice: RawClient, room: str, other: dict[str, object]
) -> None:
    request = upload_of(room, b"x")
    answer = await alice.ask("upload", **request)
    assert await alice.refusal("upload", **{**request, **other}) == "key_reused"
    await send_rest(server.tcp, answer["ticket"], b"x")
    assert await alice.refusal("upload", **{**request, **other}) == "key_reused"


async def test_a_key_never_serves_a_message_and_a_file(
    server: Served, alice: RawClient, room: str
) -> None:
    await alice.say(room, "x", key="one")
    code = await alice.refusal("upload", **upload_of(room, b"x", key="one"))
    assert code == "key_reused"
    await put_file(alice, server.tcp, room, b"x", key="two")
    assert await alice.refusal("send", chat=room, text="x", key="two") == "key_reused"


async def test_a_message_that_takes_an_uploads_key_ends_the_upload(
    server: Served, alice: RawClient, room: str
) -> None:
    data = os.urandom(1_000)
    request = upload_of(room, data)
    answer = await alice.ask("upload", **request)
    await alice.say(room, "quicker", key=str(request["key"]))
    with pytest.raises(RefusedError) as caught:
        await send_rest(server.tcp, answer["ticket"], data)
    assert caught.value.code == "key_reused"
    sha256 = sha256_of(data)
    assert not (server.data / "blobs" / sha256[:2] / sha256).exists()
    assert not (server.data / "blobs" / "incoming" / answer["file"]).exists()


async def test_a_key_that_is_used_twice_at_once_is_one_upload(
    alice: RawClient, room: str
) -> None:
    request = upload_of(room, b"x")
    ids = [alice.send_with_id("upload", **request) for _ in range(10)]
    assert len({(await alice.reply(id_))["file"] for id_ in ids}) == 1


async def test_the_same_key_serves_each_user_and_chat(
    server: Served, alice: RawClient, bob: RawClient, room: str
) -> None:
    files = [
        (await put_file(client, server.tcp, chat, b"x", key="k"))["file"]
        for client in (alice, bob)
        for chat in (room, f"@{client.user}")
    ]
    assert len(set(files)) == 4


async def test_a_known_key_comes_before_membership(
    server: Served, alice: RawClient, bob: RawClient, room: str
) -> None:
    request = upload_of(room, b"x")
    answer = await bob.ask("upload", **request)
    stored = await send_rest(server.tcp, answer["ticket"], b"x")
    await bob.ask("leave", room=room)
    assert (await bob.ask("upload", **request))["seq"] == stored["seq"]
