"""Section 8 of the protocol: refusals, rights, tickets, lists of files."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.fakes.raw_client import (
    DataLine,
    RawClient,
    RefusedError,
    blind_tls,
    frame,
    stream_of,
)
from tests.helpers import (
    fresh_name,
    get_file,
    put_file,
    send_rest,
    sha256_of,
    ticket_at,
    upload_of,
)
from tests.service.conftest import Served
from tests.system.daemon import Daemon

pytestmark = pytest.mark.system

DATA = os.urandom(3_000_000)
EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


# Refused at the end -----------------------------------------------------------------


async def test_what_has_another_sha256_is_not_stored(
    server: Served, alice: RawClient, room: str
) -> None:
    request = upload_of(room, DATA)
    answer = await alice.ask("upload", **request)
    async with await DataLine.begin(server.tcp, answer["ticket"]) as line:
        line.send(DATA[:-1] + b"!" if DATA[-1:] != b"!" else DATA[:-1] + b"?")
        error = await line.message()
        assert (error["type"], error["code"]) == ("error", "bad_request")
        assert "changed while it was sent" in error["reason"]
    again = await alice.ask("upload", **request)
    assert again["file"] != answer["file"]
    assert again["offset"] == 0


@pytest.mark.parametrize("size", [1, 1_000, len(DATA)])
@pytest.mark.parametrize("is_apart", [False, True])
async def test_more_bytes_than_announced_are_refused(
    server: Served, alice: RawClient, room: str, size: int, is_apart: bool
) -> None:
    request = upload_of(room, DATA[:size])
    answer = await alice.ask("upload", **request)
    async with await DataLine.begin(server.tcp, answer["ticket"]) as line:
        if is_apart:
            line.send(DATA[: size - 1])
            await line.writer.drain()
            line.send(DATA[size - 1 : size] + b"!")
        else:
            line.send(DATA[:size] + b"!" * 100_000)
        error = await line.message()
        assert (error["type"], error["code"]) == ("error", "bad_request")
        assert await line.rest() == b""
    again = await alice.ask("upload", **request)
    assert (again["type"], again["offset"]) == ("upload", 0)
    assert again["file"] != answer["file"]


async def test_a_refusal_reaches_who_goes_on_sending(
    server: Served, alice: RawClient, room: str
) -> None:
    answer = await alice.ask("upload", **upload_of(room, DATA))
    async with await DataLine.begin(server.tcp, answer["ticket"]) as line:
        for _ in range(20):
            line.send(DATA)
        sending = asyncio.create_task(line.writer.drain())
        assert (await line.message())["code"] == "bad_request"
        await sending


async def test_leaving_the_room_meanwhile_ends_the_upload(
    server: Served, alice: RawClient, bob: RawClient, room: str
) -> None:
    data = os.urandom(1_000)
    answer = await bob.ask("upload", **upload_of(room, data))
    await bob.ask("leave", room=room)
    with pytest.raises(RefusedError) as caught:
        await send_rest(server.tcp, answer["ticket"], data)
    assert caught.value.code == "not_a_member"
    sha256 = sha256_of(data)
    assert not (server.data / "blobs" / sha256[:2] / sha256).exists()
    assert all(m["kind"] != "file" for m in await alice.log(room))


@pytest.mark.parametrize("early", [b"x", frame({"type": "ping"}), b"\0\0\0\0"], ids=str)
async def test_bytes_before_the_answer_to_data_are_refused(
    server: Served, alice: RawClient, room: str, early: bytes
) -> None:
    request = upload_of(room, b"x")
    answer = await alice.ask("upload", **request)
    async with await RawClient.connect(stream_of(server.tcp)) as line:
        body = {"type": "data", "id": 7, "ticket": answer["ticket"]}
        line.send_raw(frame(body) + early)
        assert (await line.expect("error", re=7))["code"] == "bad_request"
        await line.ended()
    again = await alice.ask("upload", **request)
    assert again["file"] == answer["file"]
    assert (await send_rest(server.tcp, again["ticket"], b"x"))["seq"]


# Refused before the first byte ------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "   ", "a/b", "/etc/passwd", "..\\a", "a\0b", "a\nb", "\x1b[2J"]
    + ["x" * 256, "ä" * 128, "a\u202egpj.exe", "\u200b", "\ufeffa", "\ue000", "a\x7f"],
    ids=ascii,
)
async def test_a_hostile_name_is_refused(
    alice: RawClient, room: str, name: str
) -> None:
    assert await alice.refusal("upload", **upload_of(room, b"x", name)) == "bad_name"


@pytest.mark.parametrize(
    "name",
    [
        "x" * 255,
        "ä" * 127,
        " a ",
        "...",
        "-rf",
        "a b.tar.gz",
        "CON",
        "%2e%2e",
        "日本.png",
    ],
)
async def test_an_odd_name_is_only_a_name(
    server: Served, alice: RawClient, room: str, name: str
) -> None:
    stored = await put_file(alice, server.tcp, room, b"x", name)
    assert (await alice.ask("download", file=stored["file"]))["name"] == name


@pytest.mark.parametrize(
    "members",
    [
        {"key": None},
        {"key": ""},
        {"size": -1},
        {"size": 1 << 53},
        {"size": "1"},
        {"sha256": EMPTY.upper()},
        {"sha256": EMPTY[1:]},
        {"name": None},
        {"chat": None},
    ],
    ids=str,
)
async def test_an_upload_that_does_not_fit_its_schema_is_a_bad_request(
    alice: RawClient, room: str, members: dict[str, object]
) -> None:
    request = {**upload_of(room, b"x"), **members}
    assert await alice.refusal("upload", **request) == "bad_request"


async def test_a_caption_has_the_size_of_a_text(
    server: Served, alice: RawClient, room: str
) -> None:
    code = await alice.refusal("upload", **upload_of(room, b"x", text="x" * 16_385))
    assert code == "too_large"
    await put_file(alice, server.tcp, room, b"x", text="\x01" * 16_384)
    assert len((await alice.expect("message", kind="file"))["text"]) == 16_384


async def test_who_may_not_write_may_not_upload(
    alice: RawClient, eve: RawClient, room: str
) -> None:
    private = "#" + fresh_name("private")
    await alice.ask("create", room=private, visibility="private")
    codes = {
        room: "not_a_member",
        private: "no_such_room",
        "#" + fresh_name("nowhere"): "no_such_room",
        "@" + fresh_name("nobody"): "no_such_user",
        "nonsense": "bad_name",
    }
    for chat, code in codes.items():
        assert await eve.refusal("upload", **upload_of(chat, b"x")) == code


# Rights -----------------------------------------------------------------------------


@pytest.fixture
async def private(alice: RawClient, bob: RawClient) -> str:
    """A private room of alice's, to which bob is invited."""
    address = "#" + fresh_name("private")
    await alice.ask("create", room=address, visibility="private")
    await alice.ask("invite", room=address, user=bob.user)
    return address


async def test_what_is_not_for_ones_eyes_does_not_exist(
    server: Served, alice: RawClient, bob: RawClient, eve: RawClient, private: str
) -> None:
    file = (await put_file(alice, server.tcp, private, b"x"))["file"]
    begun = (await eve.ask("upload", **upload_of(f"@{eve.user}", b"x")))["file"]
    reasons = set()
    for wanted in (file, begun, "x" * 22, "../../etc/passwd"):
        answer = await eve.request("download", file=wanted, offset=99)
        assert answer["code"] == "no_such_message"
        reasons.add(answer["reason"])
    assert len(reasons) == 1


async def test_a_file_from_before_ones_time_does_not_exist(
    server: Served, alice: RawClient, bob: RawClient, private: str
) -> None:
    before = (await put_file(alice, server.tcp, private, b"before"))["file"]
    await bob.ask("join", room=private)
    after = (await put_file(alice, server.tcp, private, b"after"))["file"]
    assert await bob.refusal("download", file=before) == "no_such_message"
    assert await get_file(bob, server.tcp, after) == b"after"
    page = await bob.ask("files", chat=private)
    assert [item["file"]["id"] for item in page["files"]] == [after]


async def test_the_files_of_a_public_room_are_for_whoever_joins(
    server: Served, alice: RawClient, eve: RawClient, room: str
) -> None:
    file = (await put_file(alice, server.tcp, room, b"x"))["file"]
    assert await eve.refusal("download", file=file) == "no_such_message"
    await eve.ask("join", room=room)
    assert await get_file(eve, server.tcp, file) == b"x"


async def test_who_leaves_between_ticket_and_bytes_gets_none(
    server: Served, alice: RawClient, bob: RawClient, private: str
) -> None:
    await bob.ask("join", room=private)
    file = (await put_file(alice, server.tcp, private, b"x"))["file"]
    answer = await bob.ask("download", file=file)
    await bob.ask("leave", room=private)
    async with await DataLine.connect(server.tcp, answer["ticket"]) as line:
        assert line.answer["code"] == "no_such_message"
        assert await line.rest() == b""


# Tickets ----------------------------------------------------------------------------


async def test_a_ticket_is_good_once(
    server: Served, alice: RawClient, room: str
) -> None:
    file = (await put_file(alice, server.tcp, room, b"x"))["file"]
    ticket = (await alice.ask("download", file=file))["ticket"]
    async with await DataLine.begin(server.tcp, ticket) as line:
        assert await line.rest() == b"x"
    async with await DataLine.connect(server.tcp, ticket) as line:
        assert line.answer["code"] == "not_allowed"


@pytest.mark.parametrize("ticket", ["", "x" * 32, "ä", "x" * 256])
async def test_after_a_ticket_that_is_not_valid_one_may_still_log_in(
    alice: RawClient, stranger: RawClient, ticket: str
) -> None:
    assert await stranger.refusal("data", ticket=ticket) == "not_allowed"
    assert (await stranger.login(alice.user))["user"] == alice.user


async def test_data_is_not_for_who_is_logged_in(
    server: Served, alice: RawClient, room: str
) -> None:
    answer = await alice.ask("upload", **upload_of(room, b"x"))
    assert await alice.refusal("data", ticket=answer["ticket"]) == "not_allowed"
    await alice.ask("ping")
    assert (await send_rest(server.tcp, answer["ticket"], b"x"))["type"] == "stored"


async def test_file_requests_need_a_login(stranger: RawClient) -> None:
    requests = {
        "upload": upload_of("#a", b"x"),
        "download": {"file": "x"},
        "cancel_upload": {"file": "x"},
        "files": {"chat": "#a"},
    }
    for type_, members in requests.items():
        assert await stranger.refusal(type_, **members) == "not_authenticated"


async def test_a_download_takes_nothing_in(
    server: Served, alice: RawClient, room: str
) -> None:
    file = (await put_file(alice, server.tcp, room, DATA))["file"]
    ticket = (await alice.ask("download", file=file))["ticket"]
    async with await DataLine.begin(server.tcp, ticket) as line:
        line.send(b"wrong way")
        assert await line.reader.readexactly(len(DATA)) == DATA
    assert await get_file(alice, server.tcp, file) == DATA


# Cancelling -------------------------------------------------------------------------


async def test_nothing_is_left_of_a_cancelled_upload(
    server: Served, alice: RawClient, room: str
) -> None:
    request = upload_of(room, DATA)
    answer = await alice.ask("upload", **request)
    async with await DataLine.begin(server.tcp, answer["ticket"]) as line:
        line.send(DATA[:1_000_000])
        ticket = await ticket_at(alice, request, 1_000_000)
        done = await alice.ask("cancel_upload", file=answer["file"])
        assert done["type"] == "ok"
        error = await line.message()
        assert (error["type"], error["code"]) == ("error", "not_allowed")
    assert not (server.data / "blobs" / "incoming" / answer["file"]).exists()
    async with await DataLine.connect(server.tcp, ticket) as line:
        assert line.answer["code"] == "not_allowed"
    again = await alice.ask("upload", **request)
    assert again["file"] != answer["file"]
    assert again["offset"] == 0


async def test_only_ones_own_unfinished_upload_can_be_cancelled(
    server: Served, alice: RawClient, bob: RawClient, room: str
) -> None:
    begun = (await alice.ask("upload", **upload_of(room, b"x")))["file"]
    stored = (await put_file(alice, server.tcp, room, b"x"))["file"]
    for client, file in ((bob, begun), (alice, stored), (alice, "x" * 22)):
        code = await client.refusal("cancel_upload", file=file)
        assert code == "no_such_message"
    await alice.ask("cancel_upload", file=begun)
    assert await alice.refusal("cancel_upload", file=begun) == "no_such_message"
    assert await get_file(bob, server.tcp, stored) == b"x"


# Listing ----------------------------------------------------------------------------


async def test_the_files_of_a_chat_are_listed_newest_first(
    server: Served, alice: RawClient, bob: RawClient, room: str
) -> None:
    stored = [
        await put_file(alice, server.tcp, room, b"x" * n, f"{n}", text="t" * (n % 2))
        for n in range(5)
    ]
    await bob.ask("upload", **upload_of(room, b"unfinished"))
    page = await bob.ask("files", chat=room, limit=3)
    assert (page["chat"], page["more"]) == (room, True)
    assert [item["file"]["name"] for item in page["files"]] == ["4", "3", "2"]
    newest = page["files"][0]
    message = (await alice.log(room))[-1]
    for member in ("seq", "from", "time", "file"):
        assert newest[member] == message[member]
    assert "text" not in newest
    assert page["files"][1]["text"] == "t"
    rest = await bob.ask("files", chat=room, before=page["files"][-1]["seq"])
    assert [item["seq"] for item in rest["files"]] == [
        stored[1]["seq"],
        stored[0]["seq"],
    ]
    assert rest["more"] is False


async def test_a_list_of_files_is_cut_to_what_a_frame_carries(
    server: Served, alice: RawClient, room: str
) -> None:
    for _ in range(12):
        await put_file(alice, server.tcp, room, b"x", text="\x01" * 16_000)
    seqs: list[int] = []
    while True:
        before = seqs[-1] if seqs else None
        page = await alice.ask("files", chat=room, before=before, limit=200)
        seqs += [item["seq"] for item in page["files"]]
        if not page["more"]:
            break
        assert 0 < len(page["files"]) < 12
    assert len(seqs) == 12
    assert seqs == sorted(seqs, reverse=True)


async def test_only_ones_own_chats_have_lists_of_files(
    alice: RawClient, eve: RawClient, room: str, private: str
) -> None:
    assert await eve.refusal("files", chat=room) == "not_a_member"
    assert await eve.refusal("files", chat=private) == "no_such_room"
    assert await eve.refusal("files", chat="@" + fresh_name()) == "no_such_user"
    page = await alice.ask("files", chat=room)
    assert (page["files"], page["more"]) == ([], False)


# Bounds -----------------------------------------------------------------------------


@pytest.fixture
async def daemon(tmp_path: Path) -> AsyncIterator[Daemon]:
    """Run a daemon for one test that allows many transfers of one user."""
    daemon = await Daemon(tmp_path, {"files": {"user_transfers": 64}}).start()
    yield daemon
    daemon.stop_whatever_happened()


async def test_many_files_on_their_way_take_little_memory(daemon: Daemon) -> None:
    mebibytes = 48
    data = os.urandom(1 << 20) * mebibytes
    async with await RawClient.connect(daemon.tcp) as carol:
        await carol.register("carol")
        await carol.login("carol")
        file = (await put_file(carol, daemon.tcp, "@carol", data))["file"]
        before = daemon.resident_kib()
        lines = []
        for tls in [None, blind_tls()] * 8:
            ticket = (await carol.ask("download", file=file))["ticket"]
            address = daemon.tcp if tls is None else daemon.tls
            line = await DataLine.begin(address, ticket, tls)
            line.writer.transport.pause_reading()  # type: ignore[attr-defined]
            lines.append(line)
        other = os.urandom(1 << 20) * mebibytes
        await asyncio.gather(
            *(put_file(carol, daemon.tcp, "@carol", other, key=str(n)) for n in "ab")
        )
        # 16 downloads that nobody reads, and two uploads of 48 MiB.
        assert daemon.resident_kib() - before < 48 * 1024
        for line in lines:
            await line.abort()
    assert "Traceback" not in daemon.errors()
