"""Downloads from a scripted server: cuts, corruption, names, and what is kept."""

import asyncio
import errno
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from chatd.protocol.errors import (
    NoSuchMessageError,
    RateLimitedError,
    TooManyError,
)
from chatd.protocol.messages import FileInfo
from client.errors import TransferError
from client.link.link import Link
from client.model.entries import Transfer
from client.storage.paths import Paths
from client.transfers.journal import Journal
from client.transfers.partial_file import PartialFile
from client.transfers.source import unwritable
from tests import PATIENCE
from tests.fakes.file_server import FileServer, Trouble, Watch, left_over

DATA = os.urandom(3_000_000)


async def fetch(link: Link, info: FileInfo, **where: Any) -> Transfer:
    begun = await link.transfers.get_file("@bob", 7, info, **where)
    return await link.transfers.wait(begun.id)


async def fails(link: Link, info: FileInfo) -> TransferError:
    begun = await link.transfers.get_file("@bob", 7, info)
    with pytest.raises(TransferError) as caught:
        await link.transfers.wait(begun.id)
    assert caught.value.transfer is not None
    assert caught.value.transfer.state == "failed"
    return caught.value


def names(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


# Downloading --------------------------------------------------------------------------


async def test_a_file_is_saved_to_the_download_folder(
    server: FileServer, connect: Any, paths: Paths, watch: Watch
) -> None:
    info = server.add_file(DATA)
    async with connect() as link:
        done = await fetch(link, info)
        assert link.transfers.items == [done]
    assert (done.state, done.moved, done.seq) == ("done", len(DATA), 7)
    assert (done.direction, done.chat, done.name) == ("down", "@bob", "a.bin")
    assert done.path == paths.downloads / "a.bin"
    assert done.path.read_bytes() == DATA
    assert names(paths.downloads) == ["a.bin"]
    assert watch.states(done.id)[0] == "waiting"
    assert left_over(server, paths) == []


async def test_a_file_without_a_byte_is_saved(
    server: FileServer, connect: Any, paths: Paths
) -> None:
    async with connect() as link:
        await fetch(link, server.add_file(b""))
    assert (paths.downloads / "a.bin").read_bytes() == b""
    assert server.offsets == [("down", 0)]


async def test_a_file_is_readable_as_any_other_that_one_makes(
    server: FileServer, connect: Any, tmp_path: Path
) -> None:
    (tmp_path / "other").touch()
    async with connect() as link:
        done = await fetch(link, server.add_file(DATA))
    assert done.path is not None
    assert done.path.stat().st_mode == (tmp_path / "other").stat().st_mode
    assert done.path.stat().st_nlink == 1


async def test_nothing_is_replaced_and_names_are_harmless(
    server: FileServer, connect: Any, paths: Paths
) -> None:
    async with connect(sync="none") as link:
        found = []
        for name in ("a.txt", "../../a.txt", "CON", ".a.txt", "\u202ea.txt"):
            done = await fetch(link, server.add_file(name.encode(), name))
            assert done.path is not None
            found.append(done.path.name)
            assert done.path.read_bytes() == name.encode()
            assert done.path.parent == paths.downloads
    assert found == ["a.txt", "a (1).txt", "_CON", "a (2).txt", "a (3).txt"]


async def test_several_of_the_same_name_come_at_once(
    server: FileServer, connect: Any, paths: Paths
) -> None:
    infos = [server.add_file(DATA[: 100_000 * n], "x.bin") for n in range(1, 7)]
    async with connect() as link:
        begun = [await link.transfers.get_file("@bob", 1, info) for info in infos]
        await asyncio.gather(*(link.transfers.wait(each.id) for each in begun))
    assert server.most_moving <= 3
    sizes = sorted(path.stat().st_size for path in paths.downloads.iterdir())
    assert sizes == [info.size for info in infos]


async def test_where_to_save_it_may_be_said(
    server: FileServer, connect: Any, tmp_path: Path, paths: Paths
) -> None:
    info = server.add_file(DATA)
    async with connect() as link:
        done = await fetch(link, info, folder=tmp_path)
        assert done.path == tmp_path / "a.bin"
        done = await fetch(link, info, path=tmp_path / ".b")
        assert done.path == tmp_path / ".b"
        with pytest.raises(TransferError) as caught:
            await link.transfers.get_file("@bob", 1, info, path=tmp_path / ".b")
        assert caught.value.code == "exists"
    assert not paths.downloads.exists()


# Cuts ---------------------------------------------------------------------------------


async def test_after_cuts_it_goes_on_from_the_last_byte(
    server: FileServer, connect: Any, paths: Paths
) -> None:
    server.troubles = [Trouble(cut_after=900_000)] * 3
    async with connect() as link:
        await fetch(link, server.add_file(DATA))
    assert server.offsets == [("down", number * 900_000) for number in range(4)]
    assert (paths.downloads / "a.bin").read_bytes() == DATA
    assert names(paths.downloads) == ["a.bin"]


async def test_a_connection_on_which_nothing_moves_is_given_up(
    server: FileServer, connect: Any
) -> None:
    server.troubles = [Trouble(stall_after=900_000)]
    async with connect() as link:
        link.transfers.stall_seconds = 0.2
        await fetch(link, server.add_file(DATA))
    assert server.offsets == [("down", 0), ("down", 900_000)]


async def test_the_next_process_goes_on_by_itself(
    server: FileServer, connect: Any, watch: Watch, paths: Paths
) -> None:
    server.troubles = [Trouble(stall_after=900_000)]
    info = server.add_file(DATA)
    async with connect() as link:
        await link.transfers.get_file("@bob", 7, info)
        await watch.until(lambda t: t.moved == 900_000)
    async with connect() as link:
        done = await watch.until(lambda t: t.state == "done")
        assert link.transfers.items == [done]
    assert done.seq == 7
    assert server.offsets == [("down", 0), ("down", 900_000)]
    assert (paths.downloads / "a.bin").read_bytes() == DATA
    assert names(paths.downloads) == ["a.bin"]
    assert left_over(server, paths) == []


FETCH = """
import asyncio, sys
from chatd.protocol.messages import FileInfo
from client.model.changes import TransferChanged
from client.link.link import Link
from client.storage.paths import Paths
from pathlib import Path

def tell(change):
    if isinstance(change, TransferChanged):
        print(change.transfer.moved, flush=True)

async def main(address, home, id, size, sha256):
    paths = Paths.under(Path(home))
    info = FileInfo(id=id, name="a.bin", size=int(size), sha256=sha256)
    how = {"password": "correct horse", "paths": paths, "on_change": tell}
    async with Link.open(address, "alice", **how) as l:
        transfer = await l.transfers.get_file("@bob", 7, info)
        await l.transfers.wait(transfer.id)

asyncio.run(main(*sys.argv[1:]))
"""


async def test_after_a_kill_the_same_command_goes_on_from_the_last_byte(
    server: FileServer, connect: Any, paths: Paths
) -> None:
    server.troubles = [Trouble(stall_after=900_000)]
    info = server.add_file(DATA)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        FETCH,
        server.address,
        os.fspath(paths.state.parent),
        info.id,
        str(info.size),
        info.sha256,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    async with asyncio.timeout(PATIENCE):
        await process.stdout.readuntil(b"\n900000\n")
    process.kill()
    await process.communicate()
    async with connect() as link:
        await fetch(link, info)
        assert len(link.transfers.items) == 1
    assert server.offsets == [("down", 0), ("down", 900_000)]
    assert (paths.downloads / "a.bin").read_bytes() == DATA
    assert names(paths.downloads) == ["a.bin"]


async def test_what_had_its_name_when_the_process_was_killed_has_it_once(
    server: FileServer, connect: Any, paths: Paths, watch: Watch
) -> None:
    info = server.add_file(DATA)
    server.troubles = [Trouble(stall_after=900_000)]
    async with connect() as link:
        await link.transfers.get_file("@bob", 7, info)
        await watch.until(lambda t: t.moved == 900_000)
    # As if killed between naming the file and the end.
    journal = Journal(paths.transfers(server.address, "alice"))
    (row,) = journal.adopted
    assert row.partial is not None
    row.partial.write_bytes(DATA)
    final = paths.downloads / "a.bin"
    os.link(row.partial, final)
    journal.close()
    async with connect():
        await watch.until(lambda t: t.state == "done")
    assert names(paths.downloads) == ["a.bin"]
    # And as if only the journal had not been updated any more.
    journal = Journal(paths.transfers(server.address, "alice"))
    journal.add(msgspec.structs.replace(row, id=0, key="", path=final))
    journal.close()
    async with connect() as link:
        watch.seen.clear()
        done = await watch.until(lambda t: t.state == "done")
        assert done.path == final
        # This transfer is the one that is asked for, although it is over already.
        again = await link.transfers.get_file("@bob", 7, info, path=final)
        assert (again.id, again.state) == (done.id, "done")
    assert names(paths.downloads) == ["a.bin"]
    assert server.offsets == [("down", 0)]


# Corruption ---------------------------------------------------------------------------


async def test_bytes_that_are_wrong_are_not_saved(
    server: FileServer, connect: Any, paths: Paths
) -> None:
    server.troubles = [Trouble(is_wrong=True)]
    async with connect() as link:
        error = await fails(link, server.add_file(DATA))
        assert error.code == "damaged"
    assert len(server.offsets) == 1
    assert names(paths.downloads) == []
    assert left_over(server, paths) == []


async def test_of_a_resumed_file_that_is_wrong_all_is_fetched_again(
    server: FileServer, connect: Any, paths: Paths
) -> None:
    server.troubles = [Trouble(is_wrong=True, cut_after=900_000)]
    async with connect() as link:
        await fetch(link, server.add_file(DATA))
    assert server.offsets == [("down", 0), ("down", 900_000), ("down", 0)]
    assert (paths.downloads / "a.bin").read_bytes() == DATA


async def test_what_is_wrong_twice_is_given_up(
    server: FileServer, connect: Any, paths: Paths
) -> None:
    wrong, cut = Trouble(is_wrong=True), Trouble(is_wrong=True, cut_after=900_000)
    server.troubles = [cut, wrong, cut, wrong]
    async with connect() as link:
        assert (await fails(link, server.add_file(DATA))).code == "damaged"
    assert [offset for _, offset in server.offsets] == [0, 900_000, 0, 900_000]
    assert names(paths.downloads) == []


async def test_a_message_that_does_not_fit_its_file_is_noticed(
    server: FileServer, connect: Any, paths: Paths
) -> None:
    info = server.add_file(DATA)
    async with connect() as link:
        for lie in ({"size": 5}, {"sha256": "0" * 64}):
            wrong = msgspec.structs.replace(info, **lie)
            assert (await fails(link, wrong)).code == "damaged"
    assert server.offsets == []


# Refusals -----------------------------------------------------------------------------


async def test_a_file_that_is_gone_is_not_asked_for_again(
    server: FileServer, connect: Any, paths: Paths
) -> None:
    server.download_refusals = [NoSuchMessageError("there is no such file")]
    async with connect() as link:
        error = await fails(link, server.add_file(DATA))
        assert (error.code, str(error)) == ("no_such_message", "there is no such file")
    assert names(paths.downloads) == []
    assert left_over(server, paths) == []


async def test_a_file_that_goes_away_in_the_middle_leaves_nothing(
    server: FileServer, connect: Any, paths: Paths
) -> None:
    gone = NoSuchMessageError("there is no such file, or not any more")
    server.troubles = [Trouble(cut_after=900_000), Trouble(error=gone)]
    async with connect() as link:
        assert (await fails(link, server.add_file(DATA))).code == "no_such_message"
    assert names(paths.downloads) == []


@pytest.mark.parametrize("error", [RateLimitedError("slow", 20), TooManyError("q", 20)])
async def test_a_passing_refusal_is_waited_out(
    server: FileServer, connect: Any, error: RateLimitedError | TooManyError
) -> None:
    server.download_refusals = [error]
    server.troubles = [Trouble(error=error)]
    async with connect() as link:
        await fetch(link, server.add_file(DATA))


async def test_a_disk_that_gets_full_leaves_nothing_behind(
    server: FileServer, connect: Any, paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = PartialFile.write

    def write_some(partial: PartialFile, data: bytes | memoryview) -> None:
        if partial.offset > 500_000:
            full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            raise unwritable(partial.path, full)
        write(partial, data)

    monkeypatch.setattr(PartialFile, "write", write_some)
    async with connect() as link:
        error = await fails(link, server.add_file(DATA))
        assert error.code == "storage_full"
        assert "make some" in str(error)
    assert names(paths.downloads) == []
    assert left_over(server, paths) == []


async def test_a_file_that_cannot_fit_is_refused_before_its_first_byte(
    server: FileServer, connect: Any, paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(paths.state.parent.parent)._replace(free=1_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    async with connect() as link:
        error = await fails(link, server.add_file(DATA))
        assert error.code == "storage_full"
        assert "3.0 MB are to come, and 1.0 kB are free" in str(error)
    assert server.offsets == []


async def test_a_download_folder_that_cannot_be_made_is_refused(
    server: FileServer, connect: Any, paths: Paths
) -> None:
    paths.downloads.parent.mkdir(parents=True)
    paths.downloads.write_text("a file where a folder should be")
    async with connect() as link:
        with pytest.raises(TransferError, match="there is no folder"):
            await link.transfers.get_file("@bob", 1, server.add_file(DATA))


# Cancelling ---------------------------------------------------------------------------


async def test_a_cancelled_download_leaves_nothing(
    server: FileServer, connect: Any, paths: Paths, watch: Watch
) -> None:
    server.troubles = [Trouble(stall_after=900_000)]
    async with connect() as link:
        begun = await link.transfers.get_file("@bob", 7, server.add_file(DATA))
        await watch.until(lambda t: t.moved == 900_000)
        assert link.transfers.cancel(begun.id).state == "cancelled"
        with pytest.raises(TransferError) as caught:
            await link.transfers.wait(begun.id)
        assert caught.value.code == "cancelled"
    assert names(paths.downloads) == []
    assert left_over(server, paths) == []


async def test_a_download_that_waits_its_turn_can_be_cancelled(
    server: FileServer, connect: Any, paths: Paths
) -> None:
    server.troubles = [Trouble(stall_after=10)] * 3
    async with connect() as link:
        info = server.add_file(DATA)
        for _ in range(4):
            await link.transfers.get_file("@bob", 7, info)
        await server.until(lambda: server.moving == 3)
        link.transfers.cancel(link.transfers.items[-1].id)
        assert [item.is_over for item in link.transfers.items] == [0, 0, 0, 1]
    assert left_over(server, paths) == ["a.bin"] * 3
