"""Uploads to a scripted server: cuts, refusals, changed files, and what is kept."""

import asyncio
import io
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from chatd.protocol.errors import (
    AuthFailedError,
    BadNameError,
    BadRequestError,
    ChatError,
    NoSuchUserError,
    RateLimitedError,
    StorageFullError,
    TooManyError,
    UnavailableError,
)
from chatd.protocol.messages import Limits, Upload
from client.errors import NotConnectedError, TransferError
from client.link.link import Link
from client.model.changes import Change, TransferChanged
from client.storage.paths import Paths
from client.transfers import job_list
from tests import PATIENCE
from tests.fakes.file_server import (
    PASSWORD,
    QUICK,
    FileServer,
    Trouble,
    Watch,
    left_over,
    trust,
)
from tests.fakes.server import make_tls

DATA = os.urandom(3_000_000)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a.bin"
    path.write_bytes(DATA)
    return path


async def fails(link: Link, path: Path, chat: str = "#ops") -> TransferError:
    transfer = await link.transfers.send_file(chat, path)
    with pytest.raises(TransferError) as caught:
        await link.transfers.wait(transfer.id)
    assert caught.value.transfer is not None
    assert caught.value.transfer.state == "failed"
    return caught.value


# Sending ------------------------------------------------------------------------------


async def test_a_file_is_sent_with_its_name_and_caption(
    server: FileServer, connect: Any, file: Path, watch: Watch, paths: Paths
) -> None:
    async with connect() as link:
        begun = await link.transfers.send_file("#ops", file, text="look")
        done = await link.transfers.wait(begun.id)
    assert (done.state, done.seq, done.moved) == ("done", 1, len(DATA))
    assert (done.direction, done.chat, done.path) == ("up", "#ops", file)
    (upload,) = server.stored
    assert bytes(upload.data) == DATA
    assert (upload.request.name, upload.request.text) == ("a.bin", "look")
    states = watch.states(begun.id)
    assert states[:2] == ["waiting", "checking"]
    assert states[-1] == "done"
    assert link.transfers.items == [done]
    assert left_over(server, paths) == []


async def test_a_file_without_a_byte_is_sent(
    server: FileServer, connect: Any, tmp_path: Path
) -> None:
    (tmp_path / "empty").touch()
    async with connect() as link:
        transfer = await link.transfers.send_file("#ops", tmp_path / "empty")
        await link.transfers.wait(transfer.id)
    assert [bytes(upload.data) for upload in server.stored] == [b""]


async def test_a_name_is_made_harmless_before_it_is_sent(
    server: FileServer, connect: Any, file: Path
) -> None:
    async with connect() as link:
        transfer = await link.transfers.send_file("#ops", file, name="../\x1bb.txt")
        await link.transfers.wait(transfer.id)
    assert server.stored[0].request.name == "b.txt"


async def test_without_a_folder_for_it_everything_is_kept_in_memory(
    server: FileServer, connect: Any, file: Path
) -> None:
    async with connect(paths=None, sync="none") as link:
        transfer = await link.transfers.send_file("#ops", file)
        await link.transfers.wait(transfer.id)
    assert bytes(server.stored[0].data) == DATA


async def test_what_is_sent_while_offline_waits_for_the_link(
    server: FileServer, paths: Paths, file: Path, watch: Watch
) -> None:
    link = Link(
        server.address,
        "alice",
        paths=paths,
        password=PASSWORD,
        on_change=watch.on_change,
    )
    begun = await link.transfers.send_file("#ops", file)
    waiting = await watch.until(lambda t: t.reason is not None)
    assert (waiting.state, waiting.moved) == ("waiting", 0)
    assert "no connection" in (waiting.reason or "")
    link.start()
    await link.transfers.wait(begun.id)
    await link.close()
    assert bytes(server.stored[0].data) == DATA


async def test_at_most_three_move_at_once_and_the_rest_in_order(
    server: FileServer, connect: Any, tmp_path: Path
) -> None:
    async with connect() as link:
        for number in range(8):
            path = tmp_path / str(number)
            path.write_bytes(DATA[:200_000])
            await link.transfers.send_file("#ops", path)
        for transfer in link.transfers.items:
            await link.transfers.wait(transfer.id)
    assert server.most_moving <= 3
    asked = [int(r.name) for r in server.received if isinstance(r, Upload)]
    assert sorted(asked) == list(range(8))
    # The order in which the three are read is not determined.
    assert all(number - place < 3 for place, number in enumerate(asked))


async def test_progress_is_told_while_it_moves(
    server: FileServer, connect: Any, file: Path, watch: Watch
) -> None:
    server.troubles = [Trouble(stall_after=500_000)]
    async with connect() as link:
        await link.transfers.send_file("#ops", file)
        moving = await watch.until(lambda t: t.state == "moving" and t.moved > 0)
        assert moving.moved <= moving.size == len(DATA)


# Cuts ---------------------------------------------------------------------------------


async def test_after_cuts_it_goes_on_from_the_last_stored_byte(
    server: FileServer, connect: Any, file: Path, paths: Paths
) -> None:
    server.troubles = [Trouble(cut_after=900_000)] * 3
    async with connect() as link:
        transfer = await link.transfers.send_file("#ops", file)
        await link.transfers.wait(transfer.id)
    steps = [("up", number * 900_000) for number in range(4)]
    assert server.offsets == steps
    assert bytes(server.stored[0].data) == DATA
    assert left_over(server, paths) == []


async def test_a_server_that_was_away_is_waited_for(
    server: FileServer, connect: Any, file: Path, watch: Watch
) -> None:
    server.troubles = [Trouble(stall_after=900_000)]
    async with connect() as link:
        transfer = await link.transfers.send_file("#ops", file)
        await server.until(lambda: server.offsets != [])
        await watch.until(lambda t: t.state == "moving")
        await server.stop()
        await watch.until(lambda t: t.state == "waiting" and t.reason is not None)
        await server.start()
        await link.transfers.wait(transfer.id)
    assert bytes(server.stored[0].data) == DATA


async def test_a_connection_on_which_nothing_moves_is_given_up(
    server: FileServer, connect: Any, file: Path
) -> None:
    server.troubles = [Trouble(stall_after=900_000)]
    async with connect() as link:
        link.transfers.stall_seconds = 0.2
        transfer = await link.transfers.send_file("#ops", file)
        await link.transfers.wait(transfer.id)
    assert server.offsets == [("up", 0), ("up", 900_000)]


async def test_an_answer_that_was_lost_stores_nothing_twice(
    server: FileServer, connect: Any, file: Path
) -> None:
    server.troubles = [Trouble(is_unanswered=True)]
    async with connect() as link:
        transfer = await link.transfers.send_file("#ops", file)
        done = await link.transfers.wait(transfer.id)
    assert done.seq == 1
    assert len(server.logs["#ops"]) == 1
    assert len(server.offsets) == 1


async def test_a_ticket_that_is_not_taken_is_followed_by_another_one(
    server: FileServer, connect: Any, file: Path
) -> None:
    async with connect() as link:
        server.is_forgetful = True
        transfer = await link.transfers.send_file("#ops", file)
        await server.until(lambda: server.count(Upload) == 2)
        server.is_forgetful = False
        await link.transfers.wait(transfer.id)
    assert bytes(server.stored[0].data) == DATA


async def test_another_key_never_gets_a_byte(
    paths: Paths, file: Path, tmp_path: Path, watch: Watch
) -> None:
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
    server = FileServer()
    server.tls = make_tls(tmp_path / "one")
    await server.start()
    await trust(server, paths)
    link = Link(
        server.address,
        "alice",
        password=PASSWORD,
        paths=paths,
        timing=QUICK,
        on_change=watch.on_change,
    )
    link.start()
    await link.wait_online()
    # Another server answers new connections; the link's own connection stays open.
    assert server._server is not None
    server._server.close()
    server.tls = make_tls(tmp_path / "other")
    await server.start()
    await link.transfers.send_file("#ops", file)
    waiting = await watch.until(lambda t: "has changed" in (t.reason or ""))
    assert waiting.state == "waiting"
    assert server.offsets == []
    await link.close()
    await server.stop()


# Refusals -----------------------------------------------------------------------------


async def test_a_refusal_says_why_and_is_final(
    server: FileServer, connect: Any, file: Path, paths: Paths
) -> None:
    server.upload_refusals = [NoSuchUserError("there is no user 'bbo'")]
    async with connect() as link:
        error = await fails(link, file, "@bbo")
        assert (error.code, str(error)) == ("no_such_user", "there is no user 'bbo'")
        assert server.count(Upload) == 1
    assert left_over(server, paths) == []


@pytest.mark.parametrize(
    "refusal",
    [
        RateLimitedError("slow down", 20),
        UnavailableError("the disk is busy"),
        TooManyError("you have 8 files on their way", 20),
    ],
)
@pytest.mark.parametrize("at_ticket", [False, True])
async def test_a_passing_refusal_is_waited_out(
    server: FileServer,
    connect: Any,
    file: Path,
    watch: Watch,
    refusal: ChatError,
    at_ticket: bool,
) -> None:
    if at_ticket:
        server.troubles = [Trouble(error=refusal)]
    else:
        server.upload_refusals = [refusal]
    async with connect() as link:
        transfer = await link.transfers.send_file("#ops", file)
        waiting = await watch.until(lambda t: t.reason == refusal.reason)
        assert waiting.state == "waiting"
        await link.transfers.wait(transfer.id)
    assert bytes(server.stored[0].data) == DATA


async def test_too_many_begun_uploads_are_not_waited_for(
    server: FileServer, connect: Any, file: Path
) -> None:
    server.upload_refusals = [TooManyError("you have begun 100 uploads")]
    async with connect() as link:
        assert (await fails(link, file)).code == "too_many"


async def test_a_full_server_is_not_waited_for_and_keeps_nothing(
    server: FileServer, connect: Any, file: Path, paths: Paths
) -> None:
    full = StorageFullError("5 bytes would fit")
    server.troubles = [Trouble(cut_after=900_000, late_error=full)]
    async with connect() as link:
        error = await fails(link, file)
        assert (error.code, str(error)) == ("storage_full", "5 bytes would fit")
    assert server.cancelled == ["upload-1"]
    assert left_over(server, paths) == []


async def test_a_refusal_in_the_middle_is_final(
    server: FileServer, connect: Any, file: Path
) -> None:
    late = BadRequestError("the file changed while it was sent")
    server.troubles = [Trouble(cut_after=900_000, late_error=late)]
    async with connect() as link:
        assert (await fails(link, file)).code == "bad_request"


async def test_what_cannot_be_sent_is_refused_at_once(
    server: FileServer, connect: Any, tmp_path: Path, file: Path, paths: Paths
) -> None:
    server.limits = Limits(frame=131_072, text=100, in_flight=256, upload=999)
    async with connect() as link:
        send = link.transfers.send_file
        for path, code in [
            (tmp_path, "not_a_file"),
            (tmp_path / "missing", "no_such_file"),
            (file, "too_large"),
        ]:
            with pytest.raises(TransferError) as caught:
                await send("#ops", path)
            assert caught.value.code == code
        with pytest.raises(TransferError, match="caption"):
            await send("#ops", tmp_path / "missing", text="x" * 101)
        with pytest.raises(BadNameError):
            await send("no address", file)
        assert link.transfers.items == []
    assert not paths.transfers(server.address, "alice").exists()


async def test_a_server_without_files_is_not_even_asked(
    server: FileServer, connect: Any, file: Path
) -> None:
    server.limits = Limits(frame=131_072, text=100, in_flight=256)
    async with connect() as link:
        with pytest.raises(TransferError, match="does not take files") as caught:
            await link.transfers.send_file("#ops", file)
        assert caught.value.code == "not_allowed"


# Files that change --------------------------------------------------------------------


async def test_a_file_that_changed_is_not_sent_on(
    server: FileServer, connect: Any, file: Path, paths: Paths
) -> None:
    server.troubles = [Trouble(stall_after=900_000)]
    async with connect() as link:
        transfer = await link.transfers.send_file("#ops", file)
        await server.until(lambda: server.offsets != [])
        with file.open("ab") as more:
            more.write(b"more")
        server.cut_data()
        with pytest.raises(TransferError, match="send it again") as caught:
            await link.transfers.wait(transfer.id)
        assert caught.value.code == "changed"
        assert server.cancelled == ["upload-1"]
        assert server.stored == []
    assert left_over(server, paths) == []


async def test_a_file_that_is_gone_is_not_sent_on(
    server: FileServer, connect: Any, file: Path
) -> None:
    server.troubles = [Trouble(stall_after=900_000)]
    async with connect() as link:
        transfer = await link.transfers.send_file("#ops", file)
        await server.until(lambda: server.offsets != [])
        os.remove(file)
        server.cut_data()
        with pytest.raises(TransferError, match="there is no file") as caught:
            await link.transfers.wait(transfer.id)
        assert caught.value.code == "no_such_file"
        assert server.cancelled == ["upload-1"]


# Cancelling ---------------------------------------------------------------------------


async def test_a_cancelled_upload_leaves_nothing_anywhere(
    server: FileServer, connect: Any, file: Path, paths: Paths
) -> None:
    server.troubles = [Trouble(stall_after=900_000)]
    async with connect() as link:
        transfer = await link.transfers.send_file("#ops", file)
        await server.until(lambda: server.offsets != [])
        assert link.transfers.cancel(transfer.id).state == "cancelled"
        with pytest.raises(TransferError) as caught:
            await link.transfers.wait(transfer.id)
        assert caught.value.code == "cancelled"
        # Cancelling again changes nothing.
        assert link.transfers.cancel(transfer.id).state == "cancelled"
    assert server.cancelled == ["upload-1"]
    assert left_over(server, paths) == []


async def test_what_is_cancelled_before_it_has_begun_leaves_nothing(
    server: FileServer, connect: Any, file: Path, paths: Paths
) -> None:
    def cancel(change: Change) -> None:
        if isinstance(change, TransferChanged) and not change.transfer.is_over:
            link.transfers.cancel(change.transfer.id)

    async with connect(on_change=cancel) as link:
        await link.transfers.send_file("#ops", file)
        assert [item.state for item in link.transfers.items] == ["cancelled"]
    async with connect() as link:
        begun = await link.transfers.send_file("#ops", file)
        link.transfers.cancel(begun.id)
    assert server.count(Upload) == 0
    assert left_over(server, paths) == []


async def test_what_was_cancelled_while_offline_is_told_by_the_next_process(
    server: FileServer, connect: Any, file: Path, watch: Watch, paths: Paths
) -> None:
    server.troubles = [Trouble(stall_after=900_000)]
    async with connect() as link:
        transfer = await link.transfers.send_file("#ops", file)
        await server.until(lambda: server.offsets != [])
        await server.stop()
        await watch.until(lambda t: t.state == "waiting" and t.reason is not None)
        link.transfers.cancel(transfer.id)
    await server.start()
    async with connect() as link:
        await server.until(lambda: server.cancelled == ["upload-1"])
        assert link.transfers.items == []
    assert left_over(server, paths) == []


async def test_what_is_over_cannot_be_cancelled(connect: Any, file: Path) -> None:
    async with connect() as link:
        transfer = await link.transfers.send_file("#ops", file)
        await link.transfers.wait(transfer.id)
        assert link.transfers.cancel(transfer.id).state == "done"


async def test_an_unknown_transfer_is_an_error(connect: Any) -> None:
    async with connect() as link:
        with pytest.raises(TransferError, match="no such"):
            link.transfers.cancel(99)
        with pytest.raises(TransferError, match="no such"):
            await link.transfers.wait(99)


async def test_who_waits_is_told_when_the_link_is_closed(
    server: FileServer, connect: Any, file: Path
) -> None:
    server.troubles = [Trouble(stall_after=900_000)]
    async with connect() as link:
        transfer = await link.transfers.send_file("#ops", file)
        waiting = asyncio.create_task(link.transfers.wait(transfer.id))
        await server.until(lambda: server.offsets != [])
    with pytest.raises(NotConnectedError):
        await waiting


async def test_who_waits_is_told_when_the_login_is_refused(
    server: FileServer, paths: Paths, file: Path
) -> None:
    link = Link(server.address, "alice", password="wrong", paths=paths, timing=QUICK)
    begun = await link.transfers.send_file("#ops", file)
    waiting = asyncio.create_task(link.transfers.wait(begun.id))
    link.start()
    with pytest.raises(AuthFailedError):
        await waiting
    with pytest.raises(AuthFailedError):
        await link.transfers.wait(begun.id)
    assert not link.transfers.items[0].is_over
    await link.close()
    assert left_over(server, paths) == ["a.bin"]


async def test_of_those_over_a_bounded_number_is_remembered(
    connect: Any, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_list, "MAX_OVER", 2)
    async with connect() as link:
        for _ in range(5):
            begun = await link.transfers.send_file("#ops", file)
            await link.transfers.wait(begun.id)
        assert [item.id for item in link.transfers.items] == [3, 4, 5]


# The next process ---------------------------------------------------------------------


async def test_the_next_process_goes_on_by_itself(
    server: FileServer, connect: Any, file: Path, watch: Watch, paths: Paths
) -> None:
    server.troubles = [Trouble(stall_after=900_000)]
    async with connect() as link:
        await link.transfers.send_file("#ops", file, text="look")
        await server.until(lambda: server.offsets != [])
        await server.until(lambda: len(next(iter(server.uploads.values())).data) > 0)
    (upload,) = server.uploads.values()
    stored = len(upload.data)
    async with connect() as link:
        await watch.until(lambda t: t.state == "done")
        assert [item.name for item in link.transfers.items] == ["a.bin"]
    assert server.offsets == [("up", 0), ("up", stored)]
    assert bytes(server.stored[0].data) == DATA
    assert left_over(server, paths) == []


SEND = """
import asyncio, sys
from client.link.link import Link
from client.storage.paths import Paths
from pathlib import Path

async def main(address, home, file):
    paths = Paths.under(Path(home))
    async with Link.open(address, "alice", password="correct horse", paths=paths) as l:
        transfer = await l.transfers.send_file("#ops", file)
        await l.transfers.wait(transfer.id)

asyncio.run(main(*sys.argv[1:]))
"""


async def kill_while_it_sends(server: FileServer, paths: Paths, file: Path) -> int:
    """Have a process send a file and kill it; return how much the server has."""
    server.troubles = [Trouble(stall_after=900_000)]
    home = paths.state.parent
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SEND, server.address, os.fspath(home), os.fspath(file)
    )

    def is_stalled() -> bool:
        return any(len(u.data) == 900_000 for u in server.uploads.values())

    await server.until(is_stalled)
    process.kill()
    await process.wait()
    return 900_000


async def test_after_a_kill_the_next_process_goes_on_from_the_last_byte(
    server: FileServer, connect: Any, file: Path, watch: Watch, paths: Paths
) -> None:
    stored = await kill_while_it_sends(server, paths, file)
    async with connect():
        await watch.until(lambda t: t.state == "done")
    assert server.offsets == [("up", 0), ("up", stored)]
    assert bytes(server.stored[0].data) == DATA
    assert left_over(server, paths) == []


@pytest.mark.parametrize("is_copied", [False, True])
async def test_the_same_command_again_goes_on_with_the_killed_one(
    server: FileServer,
    connect: Any,
    file: Path,
    paths: Paths,
    watch: Watch,
    is_copied: bool,
) -> None:
    stored = await kill_while_it_sends(server, paths, file)
    if is_copied:
        replace_keeping_time(file, DATA)
        # What was left must not find the copy before the command is given again.
        server.upload_refusals = [RateLimitedError("not now", 600_000)]
    async with connect() as link:
        if is_copied:
            await watch.until(lambda t: t.reason == "not now")
        transfer = await link.transfers.send_file("#ops", file)
        await link.transfers.wait(transfer.id)
        assert len(link.transfers.items) == 1
        # From now on a command is a new one.
        other = await link.transfers.send_file("#ops", file)
        assert other.id != transfer.id
        await link.transfers.wait(other.id)
    assert ("up", stored) in server.offsets
    assert [bytes(upload.data) for upload in server.stored] == [DATA, DATA]


@pytest.mark.parametrize("is_elsewhere", [False, True])
async def test_a_killed_command_that_came_to_its_end_is_not_sent_twice(
    server: FileServer,
    connect: Any,
    file: Path,
    paths: Paths,
    watch: Watch,
    is_elsewhere: bool,
) -> None:
    await kill_while_it_sends(server, paths, file)
    async with connect() as link:
        done = await watch.until(lambda t: t.state == "done")
        if not is_elsewhere:
            await sends(link, file, seq=done.seq)
    if is_elsewhere:
        async with connect() as link:
            await sends(link, file, seq=done.seq)
    assert [bytes(upload.data) for upload in server.stored] == [DATA]
    async with connect() as link:
        # From now on a command is a new one.
        await sends(link, file, seq=2)
    assert len(server.stored) == 2
    assert left_over(server, paths) == []


async def test_what_another_process_goes_on_with_is_taken_over_from_there(
    server: FileServer, connect: Any, file: Path, paths: Paths
) -> None:
    stored = await kill_while_it_sends(server, paths, file)
    server.troubles = [Trouble(stall_after=0)]
    async with connect() as adopting, connect() as link:
        await server.until(lambda: len(server.offsets) == 2)
        await sends(link, file, seq=1)
        server.cut_data()
        (taken,) = adopting.transfers.items
        with pytest.raises(TransferError, match="another chat of yours") as caught:
            await adopting.transfers.wait(taken.id)
    assert (caught.value.code, server.cancelled) == ("taken", [])
    assert server.offsets == [("up", 0), ("up", stored), ("up", stored)]
    assert [bytes(upload.data) for upload in server.stored] == [DATA]
    assert left_over(server, paths) == []


async def test_what_was_taken_over_cannot_be_cancelled_where_it_was(
    server: FileServer, connect: Any, file: Path, paths: Paths
) -> None:
    await kill_while_it_sends(server, paths, file)
    server.troubles = [Trouble(stall_after=0)] * 2
    async with connect() as adopting, connect() as link:
        await server.until(lambda: len(server.offsets) == 2)
        begun = await link.transfers.send_file("#ops", file)
        await server.until(lambda: len(server.offsets) == 3)
        (taken,) = adopting.transfers.items
        adopting.transfers.cancel(taken.id)
        await adopting.close()
        server.cut_data()
        await link.transfers.wait(begun.id)
    assert server.cancelled == []
    assert [bytes(upload.data) for upload in server.stored] == [DATA]


async def test_what_was_left_and_cancelled_is_sent_anew_when_it_is_asked_for(
    server: FileServer, connect: Any, file: Path, paths: Paths, watch: Watch
) -> None:
    await kill_while_it_sends(server, paths, file)
    server.troubles = [Trouble(stall_after=0)]
    async with connect() as link:
        await server.until(lambda: len(server.offsets) == 2)
        (left,) = link.transfers.items
        await server.stop()
        await watch.until(lambda t: t.state == "waiting" and t.reason is not None)
        link.transfers.cancel(left.id)
        begun = await link.transfers.send_file("#ops", file)
        assert begun.id != left.id
        await server.start()
        await link.transfers.wait(begun.id)
    assert server.cancelled == ["upload-1"]
    assert [bytes(upload.data) for upload in server.stored] == [DATA]
    assert left_over(server, paths) == []


async def sends(link: Link, path: Path, seq: int | None) -> None:
    """Send a file to #ops, which must be stored as a certain entry."""
    transfer = await link.transfers.send_file("#ops", path)
    assert (await link.transfers.wait(transfer.id)).seq == seq


async def test_another_file_of_the_same_name_and_time_is_sent_as_such(
    server: FileServer, connect: Any, file: Path, paths: Paths
) -> None:
    await kill_while_it_sends(server, paths, file)
    replace_keeping_time(file, DATA[::-1])
    async with connect() as link:
        transfer = await link.transfers.send_file("#ops", file)
        await link.transfers.wait(transfer.id)
    assert [bytes(upload.data) for upload in server.stored] == [DATA[::-1]]
    assert server.cancelled == ["upload-1"]
    assert left_over(server, paths) == []


def replace_keeping_time(file: Path, data: bytes) -> None:
    stat = file.stat()
    other = file.with_name("other")
    other.write_bytes(data)
    os.utime(other, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    os.replace(other, file)


# Streams ------------------------------------------------------------------------------


async def test_a_stream_is_sent_like_a_file(
    server: FileServer, connect: Any, paths: Paths
) -> None:
    async with connect() as link:
        transfer = await link.transfers.send_stream(
            "#ops", io.BytesIO(DATA), "db.sql", text="the dump"
        )
        assert (transfer.size, transfer.path) == (len(DATA), None)
        await link.transfers.wait(transfer.id)
    (upload,) = server.stored
    assert bytes(upload.data) == DATA
    assert (upload.request.name, upload.request.text) == ("db.sql", "the dump")
    assert left_over(server, paths) == []


async def test_a_stream_that_ended_is_sent_by_the_next_process(
    server: FileServer, connect: Any, paths: Paths, watch: Watch
) -> None:
    server.troubles = [Trouble(stall_after=900_000)]
    async with connect() as link:
        await link.transfers.send_stream("#ops", io.BytesIO(DATA), "db.sql")
        await server.until(lambda: server.offsets != [])
    async with connect():
        await watch.until(lambda t: t.state == "done")
    assert bytes(server.stored[0].data) == DATA
    assert left_over(server, paths) == []


async def test_a_stream_that_is_given_up_leaves_nothing(
    server: FileServer, connect: Any, paths: Paths, watch: Watch
) -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as stream, os.fdopen(writing, "wb", 0) as other:
        async with connect() as link:
            sending = asyncio.create_task(
                link.transfers.send_stream("#ops", stream, "db.sql")
            )
            other.write(b"some")
            await watch.until(lambda t: t.state == "checking" and t.moved == 4)
            sending.cancel()
            with pytest.raises(asyncio.CancelledError):
                await sending
            assert [t.state for t in link.transfers.items] == ["cancelled"]
    assert server.uploads == {}
    assert left_over(server, paths) == []


async def test_a_link_that_is_closed_gives_a_stream_up(
    server: FileServer, connect: Any, paths: Paths, watch: Watch
) -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as stream, os.fdopen(writing, "wb", 0):
        async with connect() as link:
            sending = asyncio.create_task(
                link.transfers.send_stream("#ops", stream, "db.sql")
            )
            await watch.until(lambda t: t.state == "checking")
        with pytest.raises(TransferError) as caught:
            await sending
        assert caught.value.code == "cancelled"
    assert left_over(server, paths) == []


async def test_a_stream_that_is_too_long_is_refused(
    server: FileServer, connect: Any, paths: Paths
) -> None:
    server.limits = Limits(frame=131_072, text=100, in_flight=256, upload=1_000_000)
    async with connect() as link:
        with pytest.raises(TransferError, match="1.0 MB at most") as caught:
            await link.transfers.send_stream("#ops", io.BytesIO(DATA), "db.sql")
        assert caught.value.code == "too_large"
    assert left_over(server, paths) == []


async def test_a_link_closes_in_no_time_while_files_move(
    server: FileServer, connect: Any, file: Path
) -> None:
    server.troubles = [Trouble(stall_after=1)] * 3
    async with connect() as link:
        for _ in range(5):
            await link.transfers.send_file("#ops", file)
        await server.until(lambda: len(server.offsets) == 3)
        async with asyncio.timeout(PATIENCE):
            await link.close()
        assert not any(item.is_over for item in link.transfers.items)
