"""Section 8 of the protocol: limits of space, number and time of transfers."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from chatd.admin.checks import check_stored
from chatd.core.files import sweep
from chatd.core.files.rules import MAX_BEGUN
from chatd.core.files.sealing import file_info
from chatd.core.files.tickets import MAX_PER_USER, TICKET_SECONDS
from chatd.core.files.transfers import DISK_CHECK_BYTES, STALLED_SECONDS
from chatd.protocol.entries import Draft, encode_tail
from chatd.store.commands import BeginFile, OpenDirect
from chatd.store.values import FileRecord, SealFile
from tests import PATIENCE
from tests.fakes.raw_client import DataLine, Json, RawClient, RefusedError
from tests.helpers import (
    get_file,
    logged_in,
    put_file,
    send_rest,
    sha256_of,
    ticket_at,
    upload_of,
)
from tests.service.conftest import Lab, serving

DATA = os.urandom(1_000_000)


@contextlib.asynccontextmanager
async def alice_at(
    folder: Path, **files: object
) -> AsyncIterator[tuple[Lab, RawClient]]:
    """Run a server with these settings of files, and log alice in."""
    async with (
        serving(folder, {"files": files}) as lab,
        logged_in(lab.tcp, "alice") as (alice,),
    ):
        yield lab, alice


@pytest.fixture
async def alice(lab: Lab) -> AsyncIterator[RawClient]:
    """Log alice in at the server in this process."""
    async with logged_in(lab.tcp, "alice") as (client,):
        yield client


async def refusal_of(client: RawClient, size: int) -> Json:
    """Ask for an upload of that size to alice's own notes, which must be refused."""
    request = upload_of(f"@{client.user}", b"", size=size)
    answer = await client.request("upload", **request)
    assert answer["type"] == "error", answer
    return answer


# Space ------------------------------------------------------------------------------


async def test_the_largest_file_is_told_at_the_login(tmp_path: Path) -> None:
    async with alice_at(tmp_path, size=12_345) as (_, alice):
        (ready,) = [m for m in alice.history if m["type"] == "ready"]
        assert ready["limits"]["upload"] == 12_345


async def test_a_file_over_the_limit_is_too_large(tmp_path: Path) -> None:
    async with alice_at(tmp_path, size=2_000_000) as (lab, alice):
        answer = await refusal_of(alice, 3_250_000)
        assert answer["code"] == "too_large"
        assert "it has 3.2 MB, and 2.0 MB would fit" in answer["reason"]
        answer = await refusal_of(alice, 2_000_001)
        assert "2,000,001 bytes, and 2,000,000 bytes would fit" in answer["reason"]
        await put_file(alice, lab.tcp, "@alice", b"x" * 2_000_000)


async def test_without_files_there_are_downloads_of_those_there(tmp_path: Path) -> None:
    async with alice_at(tmp_path) as (lab, alice):
        request = upload_of("@alice", DATA)
        answer = await alice.ask("upload", **request)
        stored = await send_rest(lab.tcp, answer["ticket"], DATA)
        lab.configure({"files": {"size": 0}})
        assert (await refusal_of(alice, 1))["code"] == "not_allowed"
        assert (await alice.ask("upload", **request))["seq"] == stored["seq"]
        assert await get_file(alice, lab.tcp, stored["file"]) == DATA
        async with await RawClient.connect(lab.tcp) as other:
            assert "upload" not in (await other.login("alice"))["limits"]


async def test_the_files_of_one_user_have_a_quota(tmp_path: Path) -> None:
    async with alice_at(tmp_path, user_bytes=1_500_000) as (lab, alice):
        await put_file(alice, lab.tcp, "@alice", DATA)
        begun = await alice.ask("upload", **upload_of("@alice", b"x" * 300_000))
        answer = await refusal_of(alice, 300_000)
        assert answer["code"] == "too_large"
        assert "it has 300.0 kB, and 200.0 kB would fit" in answer["reason"]
        async with logged_in(lab.tcp, "bob") as (bob,):
            await bob.ask("upload", **upload_of("@bob", b"x" * 300_000))
        await alice.ask("cancel_upload", file=begun["file"])
        await put_file(alice, lab.tcp, "@alice", b"x" * 500_000)


async def test_all_files_have_a_quota_and_the_same_content_counts_once(
    tmp_path: Path,
) -> None:
    async with alice_at(tmp_path, total_bytes=2_100_000) as (lab, alice):
        for _ in range(2):
            await put_file(alice, lab.tcp, "@alice", DATA)
        answer = await refusal_of(alice, 1_200_000)
        assert answer["code"] == "storage_full"
        assert "it has 1.2 MB, and 1.1 MB would fit" in answer["reason"]
        await put_file(alice, lab.tcp, "@alice", b"x" * 1_100_000)


async def test_an_upload_that_was_begun_goes_on_over_a_lower_quota(
    tmp_path: Path,
) -> None:
    async with alice_at(tmp_path) as (lab, alice):
        request = upload_of("@alice", DATA)
        await alice.ask("upload", **request)
        lab.configure({"files": {"user_bytes": 1_000, "size": 1_000}})
        assert (await refusal_of(alice, 2))["code"] == "too_large"
        await alice.say("@alice", "the chat has entries now")
        answer = await alice.ask("upload", **request)
        assert (await send_rest(lab.tcp, answer["ticket"], DATA))["seq"]


def disk_with(lab: Lab, monkeypatch: pytest.MonkeyPatch, free_bytes: int) -> None:
    """Make the disk report that it has so much left."""

    async def free() -> int:
        return free_bytes

    monkeypatch.setattr(lab.disk, "free_bytes", free)


async def test_the_disk_keeps_its_floor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with alice_at(tmp_path, free_bytes=5_000_000) as (lab, alice):
        disk_with(lab, monkeypatch, 6_000_000)
        answer = await refusal_of(alice, 1_100_000)
        assert answer["code"] == "storage_full"
        assert "it has 1.1 MB, and 1.0 MB would fit" in answer["reason"]
        disk_with(lab, monkeypatch, 4_000_000)
        assert "0 bytes would fit" in (await refusal_of(alice, 1))["reason"]
        disk_with(lab, monkeypatch, 6_000_000)
        await put_file(alice, lab.tcp, "@alice", DATA)


async def test_what_is_still_to_come_of_others_is_not_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with alice_at(tmp_path, free_bytes=5_000_000) as (lab, alice):
        disk_with(lab, monkeypatch, 6_500_000)
        one = await alice.ask("upload", **upload_of("@alice", DATA))
        other = await alice.ask("upload", **upload_of("@alice", DATA))
        async with await DataLine.begin(lab.tcp, one["ticket"]) as line:
            line.send(DATA[:600_000])
            answer = await refusal_of(alice, 1_500_000)
            assert answer["code"] == "storage_full"
            # A begun upload does not move yet: its space is checked again when it does.
            disk_with(lab, monkeypatch, 6_000_000)
            with pytest.raises(RefusedError) as caught:
                await DataLine.begin(lab.tcp, other["ticket"])
            assert caught.value.code == "storage_full"
            line.send(DATA[600_000:])
            assert (await line.message())["type"] == "stored"


async def test_a_disk_that_fills_up_meanwhile_keeps_what_came(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with alice_at(tmp_path, free_bytes=5_000_000) as (lab, alice):
        data = bytes(DISK_CHECK_BYTES + 8_000_000)
        request = upload_of("@alice", data)
        answer = await alice.ask("upload", **request)
        async with await DataLine.begin(lab.tcp, answer["ticket"]) as line:
            disk_with(lab, monkeypatch, 4_999_999)
            line.send(data)
            error = await line.message()
            assert (error["type"], error["code"]) == ("error", "storage_full")
        disk_with(lab, monkeypatch, 100_000_000)
        again = await alice.ask("upload", **request)
        assert again["offset"] >= DISK_CHECK_BYTES
        assert (await send_rest(lab.tcp, again["ticket"], data))["seq"]


async def test_an_upload_that_is_refused_makes_no_chat(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with logged_in(lab.tcp, "alice", "bob") as (alice, bob):
        for members in ({"size": 1 << 40}, {"name": "a/b"}, {"text": "x" * 20_000}):
            request = {**upload_of("@bob", b"x"), **members}
            assert (await alice.request("upload", **request))["type"] == "error"
        await alice.ask("upload", **upload_of("@bob", b"x"))
        for client in (alice, bob):
            assert all(m["type"] != "joined" for m in await client.drain())
            async with await RawClient.connect(lab.tcp) as other:
                assert (await other.login(client.user))["chats"] == []


# Numbers ----------------------------------------------------------------------------


async def test_unfinished_uploads_of_one_user_are_bounded(
    lab: Lab, alice: RawClient
) -> None:
    requests = [upload_of("@alice", b"x") for _ in range(MAX_BEGUN)]
    ids = [alice.send_with_id("upload", **request) for request in requests]
    answers = [await alice.reply(id_) for id_ in ids]
    assert {answer["type"] for answer in answers} == {"upload"}
    assert (await refusal_of(alice, 1))["code"] == "too_many"
    again = await alice.ask("upload", **requests[0])
    assert again["file"] == answers[0]["file"]
    await send_rest(lab.tcp, again["ticket"], b"x")
    await alice.ask("upload", **upload_of("@alice", b"x"))


async def test_transfers_of_one_user_are_bounded(tmp_path: Path) -> None:
    async with alice_at(tmp_path, user_transfers=1) as (lab, alice):
        file = (await put_file(alice, lab.tcp, "@alice", DATA))["file"]
        up = await alice.ask("upload", **upload_of("@alice", DATA + b"x"))
        async with await DataLine.begin(lab.tcp, up["ticket"]) as line:
            down = await alice.ask("download", file=file)
            async with await DataLine.connect(lab.tcp, down["ticket"]) as other:
                assert other.answer["code"] == "too_many"
                assert other.answer["retry_after"] > 0
            async with logged_in(lab.tcp, "bob") as (bob,):
                await put_file(bob, lab.tcp, "@bob", DATA)
            line.send(DATA + b"x")
            assert (await line.message())["type"] == "stored"
            await line.rest()
        assert await get_file(alice, lab.tcp, file) == DATA


async def test_transfers_of_all_are_bounded(tmp_path: Path) -> None:
    async with alice_at(tmp_path, transfers=1) as (lab, alice):
        up = await alice.ask("upload", **upload_of("@alice", DATA))
        async with await DataLine.begin(lab.tcp, up["ticket"]) as line:
            async with logged_in(lab.tcp, "bob") as (bob,):
                with pytest.raises(RefusedError) as caught:
                    await put_file(bob, lab.tcp, "@bob", DATA)
                assert caught.value.code == "too_many"
            line.send(DATA)
            assert (await line.message())["type"] == "stored"


async def test_taking_an_upload_over_needs_no_room_for_another(tmp_path: Path) -> None:
    async with alice_at(tmp_path, transfers=1) as (lab, alice):
        request = upload_of("@alice", DATA)
        first = await alice.ask("upload", **request)
        async with await DataLine.begin(lab.tcp, first["ticket"]) as line:
            again = await alice.ask("upload", **request)
            assert (await send_rest(lab.tcp, again["ticket"], DATA))["seq"]
            await line.ended()


async def test_a_transfer_that_stands_still_makes_way(tmp_path: Path) -> None:
    async with alice_at(tmp_path, user_transfers=1) as (lab, alice):
        file = (await put_file(alice, lab.tcp, "@alice", DATA))["file"]
        up = await alice.ask("upload", **upload_of("@alice", DATA + b"x"))
        async with await DataLine.begin(lab.tcp, up["ticket"]) as line:
            lab.clock.skipped_seconds += STALLED_SECONDS
            assert await get_file(alice, lab.tcp, file) == DATA
            await line.ended()


# Time -------------------------------------------------------------------------------


async def test_a_ticket_is_good_for_a_minute(lab: Lab, alice: RawClient) -> None:
    request = upload_of("@alice", DATA)
    answer = await alice.ask("upload", **request)
    lab.clock.skipped_seconds += TICKET_SECONDS
    async with await DataLine.connect(lab.tcp, answer["ticket"]) as line:
        assert line.answer["code"] == "not_allowed"
    again = await alice.ask("upload", **request)
    assert (await send_rest(lab.tcp, again["ticket"], DATA))["seq"]


async def test_unused_tickets_of_one_user_are_bounded(
    lab: Lab, alice: RawClient
) -> None:
    file = (await put_file(alice, lab.tcp, "@alice", b"x"))["file"]
    ids = [alice.send_with_id("download", file=file) for _ in range(MAX_PER_USER + 1)]
    tickets = [(await alice.reply(id_))["ticket"] for id_ in ids]
    codes = []
    for ticket in (tickets[0], tickets[1], tickets[-1]):
        async with await DataLine.connect(lab.tcp, ticket) as line:
            codes.append(line.answer.get("code", "good"))
    assert codes == ["not_allowed", "good", "good"]


async def test_an_upload_that_is_not_finished_is_removed_after_a_day(
    lab: Lab, alice: RawClient
) -> None:
    request = upload_of("@alice", DATA)
    answer = await alice.ask("upload", **request)
    async with await DataLine.begin(lab.tcp, answer["ticket"]) as line:
        line.send(DATA[:500_000])
        await line.writer.drain()
    await ticket_at(alice, request, 500_000)
    lab.clock.skipped_seconds += TICKET_SECONDS
    lab.clock.skipped_days += 0.999
    assert await lab.service.files.sweep() == 0
    assert lab.blobs() == [f"incoming/{answer['file']}"]
    lab.clock.skipped_days += 0.002
    assert await lab.service.files.sweep() == 1
    assert lab.blobs() == []
    again = await alice.ask("upload", **request)
    assert again["file"] != answer["file"]
    assert again["offset"] == 0


async def test_an_upload_that_moves_is_not_removed_however_old(
    lab: Lab, alice: RawClient
) -> None:
    old = await alice.ask("upload", **upload_of("@alice", DATA))
    lab.clock.skipped_days += 0.01
    moving = await alice.ask("upload", **upload_of("@alice", DATA))
    young = await alice.ask("upload", **upload_of("@alice", DATA))
    async with await DataLine.begin(lab.tcp, moving["ticket"]) as line:
        lab.clock.skipped_seconds += TICKET_SECONDS
        lab.clock.skipped_days += 1.001
        assert await lab.service.files.sweep() == 1
        for each, is_left in ((old, False), (moving, True), (young, True)):
            store = lab.service.files._store
            assert (await store.find_file(each["file"]) is not None) == is_left
        line.send(DATA)
        assert (await line.message())["type"] == "stored"


async def test_files_expire_and_their_messages_stay(tmp_path: Path) -> None:
    async with alice_at(tmp_path, expire_days=2.5) as (lab, alice):
        stored = await put_file(alice, lab.tcp, "@alice", DATA)
        lab.clock.skipped_days += 2.4
        newer = await put_file(alice, lab.tcp, "@alice", DATA[1:])
        await lab.service.files.sweep()
        assert await get_file(alice, lab.tcp, stored["file"]) == DATA
        lab.clock.skipped_days += 0.2
        assert await lab.service.files.sweep() == 1
        code = await alice.refusal("download", file=stored["file"])
        assert code == "no_such_message"
        page = await alice.ask("files", chat="@alice")
        assert [item["seq"] for item in page["files"]] == [newer["seq"]]
        assert [m["seq"] for m in await alice.log("@alice")] == [
            stored["seq"],
            newer["seq"],
        ]
        assert len(lab.blobs()) == 1


async def test_a_content_stays_as_long_as_any_of_its_files(tmp_path: Path) -> None:
    async with alice_at(tmp_path, expire_days=2.0) as (lab, alice):
        await put_file(alice, lab.tcp, "@alice", DATA, "old")
        lab.clock.skipped_days += 1
        newer = await put_file(alice, lab.tcp, "@alice", DATA, "new")
        lab.clock.skipped_days += 1.5
        assert await lab.service.files.sweep() == 0
        page = await alice.ask("files", chat="@alice")
        assert [item["file"]["name"] for item in page["files"]] == ["new"]
        assert await get_file(alice, lab.tcp, newer["file"]) == DATA


async def test_the_key_of_an_expired_file_is_still_known(tmp_path: Path) -> None:
    async with alice_at(tmp_path, expire_days=1.0) as (lab, alice):
        request = upload_of("@alice", DATA)
        answer = await alice.ask("upload", **request)
        stored = await send_rest(lab.tcp, answer["ticket"], DATA)
        lab.clock.skipped_days += 2
        await lab.service.files.sweep()
        again = await alice.ask("upload", **request)
        assert (again["file"], again["seq"]) == (stored["file"], stored["seq"])


async def test_a_download_goes_on_though_its_file_is_removed(tmp_path: Path) -> None:
    data = os.urandom(1 << 20) * 24
    async with alice_at(tmp_path, expire_days=1.0) as (lab, alice):
        file = (await put_file(alice, lab.tcp, "@alice", data))["file"]
        answer = await alice.ask("download", file=file)
        late = await alice.ask("download", file=file)
        async with await DataLine.begin(lab.tcp, answer["ticket"]) as line:
            got = await line.reader.readexactly(1_000_000)
            lab.clock.skipped_days += 2
            assert await lab.service.files.sweep() == 1
            assert lab.blobs() == []
            assert got + await line.rest() == data
        code = await alice.refusal("download", file=file, offset=1_000_000)
        assert code == "no_such_message"
        async with await DataLine.connect(lab.tcp, late["ticket"]) as line:
            assert line.answer["type"] == "error"


async def test_an_expired_file_between_ticket_and_bytes_is_no_such_message(
    tmp_path: Path,
) -> None:
    async with alice_at(tmp_path, expire_days=0.0001) as (lab, alice):
        file = (await put_file(alice, lab.tcp, "@alice", DATA))["file"]
        answer = await alice.ask("download", file=file)
        lab.clock.skipped_days += 0.001
        assert await lab.service.files.sweep() == 1
        async with await DataLine.connect(lab.tcp, answer["ticket"]) as line:
            assert line.answer["code"] == "no_such_message"


async def test_nothing_is_removed_while_removals_are_held(tmp_path: Path) -> None:
    async with alice_at(tmp_path, expire_days=1.0) as (lab, alice):
        await put_file(alice, lab.tcp, "@alice", DATA)
        lab.clock.skipped_days += 2
        async with lab.service.files.holding_removals():
            assert await lab.service.files.sweep() == 0
            assert len(lab.blobs()) == 1
        assert await lab.service.files.sweep() == 1
        assert lab.blobs() == []


async def test_what_nobody_refers_to_is_swept_at_the_start(tmp_path: Path) -> None:
    sha256 = sha256_of(b"orphan")
    async with alice_at(tmp_path) as (lab, alice):
        stored = await put_file(alice, lab.tcp, "@alice", DATA)
        begun = await alice.ask("upload", **upload_of("@alice", DATA[1:]))
        async with await DataLine.begin(lab.tcp, begun["ticket"]) as line:
            line.send(DATA[1:1_000])
            await line.writer.drain()
    folder = tmp_path / "data" / "blobs"
    (folder / sha256[:2]).mkdir(exist_ok=True)
    (folder / sha256[:2] / sha256).write_bytes(b"orphan")
    (folder / "incoming" / "orphan").write_bytes(b"orphan")
    async with serving(tmp_path) as lab:
        await lab.service.files.sweep()
        content = sha256_of(DATA)
        assert lab.blobs() == [
            f"{content[:2]}/{content}",
            f"incoming/{begun['file']}",
        ]
        async with await RawClient.connect(lab.tcp) as alice:
            await alice.login("alice")
            assert await get_file(alice, lab.tcp, stored["file"]) == DATA


async def test_files_that_a_new_database_does_not_know_are_kept(tmp_path: Path) -> None:
    sha256 = sha256_of(b"known to the lost one")
    folder = tmp_path / "data" / "blobs" / sha256[:2]
    folder.mkdir(parents=True)
    (folder / sha256).write_bytes(b"known to the lost one")
    async with serving(tmp_path) as lab:
        assert await lab.service.files.sweep() == 0
        assert lab.blobs() == [f"{sha256[:2]}/{sha256}"]
        checked = await check_stored(
            lab.data, lab.service._store, lab.disk, lab.service.files
        )
        (problem,) = checked[1].problems
        assert "the database knows no file" in problem
        assert lab.blobs() == [f"{sha256[:2]}/{sha256}"]


async def test_old_files_are_removed_without_being_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "SWEEP_SECONDS", 0.01)
    async with alice_at(tmp_path, expire_days=1.0) as (lab, alice):
        await put_file(alice, lab.tcp, "@alice", DATA)
        lab.clock.skipped_days += 2
        async with asyncio.timeout(PATIENCE):
            while lab.blobs():
                await alice.ask("ping")


async def test_expiry_goes_in_bites(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "BITE", 10)
    async with alice_at(tmp_path, expire_days=1.0) as (lab, alice):
        await fill(lab, alice, 25)
        lab.clock.skipped_days += 2
        await lab.service.files.sweep()
        page = await alice.ask("files", chat="@alice")
        assert page["files"] == []


# Many -------------------------------------------------------------------------------


async def fill(lab: Lab, client: RawClient, count: int) -> None:
    """Store so many files in a user's notes, all of one content, not by protocol."""
    await put_file(client, lab.tcp, f"@{client.user}", b"x")
    store = lab.service.files._store
    chat = (await store.execute(OpenDirect(client.user, client.user))).id
    now_ms = lab.clock.now_ms()

    async def add(number: int) -> None:
        record = FileRecord(
            id=f"file-{number}",
            chat=chat,
            owner=client.user,
            key=f"key-{number}",
            name=f"{number}.txt",
            size=1,
            sha256=sha256_of(b"x"),
            time_ms=now_ms,
        )
        await store.execute(BeginFile(record, count))
        members: dict[str, object] = {"file": file_info(record)}
        tail = encode_tail(client.user, "file", now_ms, members)
        draft = Draft(client.user, "file", now_ms, tail, record.key)
        await store.append(chat, draft, SealFile(record.id))

    for start in range(1, count, 1_000):
        await asyncio.gather(*map(add, range(start, min(start + 1_000, count))))
        await client.drain()


async def test_ten_thousand_files_are_listed_in_pages(
    lab: Lab, alice: RawClient
) -> None:
    asyncio.get_running_loop().set_debug(False)
    await fill(lab, alice, 10_000)
    names: list[str] = []
    before = None
    while True:
        page = await alice.ask("files", chat="@alice", before=before, limit=200)
        names += [item["file"]["name"] for item in page["files"]]
        if not page["more"]:
            break
        before = page["files"][-1]["seq"]
    assert len(names) == len(set(names)) == 10_000
    assert sorted(names[:-1]) == sorted(f"{n}.txt" for n in range(1, 10_000))
    newest = (await alice.ask("files", chat="@alice", limit=1))["files"][0]
    assert await get_file(alice, lab.tcp, newest["file"]["id"]) == b"x"
