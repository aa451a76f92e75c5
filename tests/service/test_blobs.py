"""File contents on disk (chatd.store.disk): the conformance suite, and disk errors."""

import asyncio
import errno
import os
import stat
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from chatd.protocol.errors import (
    ServerStoppingError,
    StorageFullError,
    TemporaryError,
    UnavailableError,
)
from chatd.store.base import StoreError
from chatd.store.blobs import Blobs
from chatd.store.disk import DiskBlobs, receiving
from chatd.store.disk import blobs as disk
from chatd.store.disk.files import Hashed
from tests.helpers import fill_up, small_disk
from tests.service.blobs_conformance import (
    BlobsHarness,
    ContentRules,
    ReceivingRules,
    SealRules,
    content_of,
    read_all,
    receive_all,
    sha256_of,
    some_bytes,
    store,
)

DATA = some_bytes(200_000)
SHA256 = sha256_of(DATA)


class DiskHarness(BlobsHarness):
    """Opens blobs in a folder; a kill leaves what the old ones have written by then."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._killed: list[Blobs] = []

    async def open(self) -> DiskBlobs:
        return DiskBlobs(self.folder)

    async def kill(self, blobs: Blobs) -> DiskBlobs:
        self._killed.append(blobs)
        return DiskBlobs(self.folder)

    async def bury(self) -> None:
        """End the threads of the killed ones."""
        for blobs in self._killed:
            await blobs.close()


@pytest.fixture
async def harness(tmp_path: Path) -> AsyncIterator[DiskHarness]:
    made = DiskHarness(tmp_path / "blobs")
    yield made
    await made.bury()
    assert open_files(tmp_path) == []


@pytest.fixture
async def blobs(harness: DiskHarness) -> AsyncIterator[DiskBlobs]:
    opened = await harness.open()
    yield opened
    await opened.close()


class TestReceiving(ReceivingRules):
    """On a disk."""


class TestSeal(SealRules):
    """On a disk."""


class TestContents(ContentRules):
    """On a disk."""


def open_files(folder: Path) -> list[str]:
    """Return which files of a folder this process has open."""
    found = []
    for name in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{name}")
        except FileNotFoundError:
            continue
        if target.startswith(f"{folder}{os.sep}"):
            found.append(target)
    return found


def names(folder: Path) -> set[str]:
    """Return the relative paths of all that is in a folder."""
    return {os.fspath(path.relative_to(folder)) for path in folder.rglob("*")}


def path_of(harness: DiskHarness, sha256: str) -> Path:
    """Return the path of a content."""
    return harness.folder / sha256[:2] / sha256


# Layout on the disk -------------------------------------------------------------------


async def test_nothing_but_contents_and_uploads_lies_there_and_for_nobody_else(
    harness: DiskHarness, blobs: DiskBlobs
) -> None:
    await store(blobs, DATA)
    await receive_all(blobs, "other", b"abc")
    part = SHA256[:2]
    assert names(harness.folder) == {
        "incoming",
        "incoming/other",
        part,
        f"{part}/{SHA256}",
    }
    for path in (harness.folder, *harness.folder.rglob("*")):
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o700 if path.is_dir() else 0o600)


async def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "blobs").write_text("a file")
    with pytest.raises(StoreError, match="blobs"):
        DiskBlobs(tmp_path / "blobs")


async def test_foreign_names_are_neither_listed_nor_swept(
    harness: DiskHarness, blobs: DiskBlobs
) -> None:
    sha256 = await store(blobs, DATA)
    other = "ab" * 32
    for foreign in (
        "README",
        f"{sha256[:2]}/README",
        f"{sha256[:2]}/{sha256.upper()}",
        f"{sha256[:2]}/{other}",
        "AB/" + other.upper(),
        "incoming/a.txt",
        "incoming/.hidden",
    ):
        path = harness.folder / foreign
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"foreign")
    (harness.folder / "cd" / ("cd" * 32)).mkdir(parents=True)
    (harness.folder / "incoming" / "folder").mkdir()
    before = names(harness.folder)
    assert await blobs.list_contents() == [sha256]
    assert await blobs.sweep_uploads(()) == 0
    assert names(harness.folder) == before


async def test_what_a_crash_left_of_sealing_is_swept(
    harness: DiskHarness, blobs: DiskBlobs
) -> None:
    await receive_all(blobs, "known", b"abc")
    for name in ("lost", "lost.new", "gone.new"):
        (harness.folder / "incoming" / name).write_bytes(b"abc")
    assert await blobs.sweep_uploads({"known"}) == 2
    assert names(harness.folder) == {"incoming", "incoming/known"}


async def test_a_folder_in_place_of_a_file_is_an_error(
    harness: DiskHarness, blobs: DiskBlobs
) -> None:
    (harness.folder / "incoming" / "up").mkdir()
    path_of(harness, SHA256).mkdir(parents=True)
    for asking in (
        blobs.received("up"),
        blobs.receive("up"),
        blobs.seal("up", 0, sha256_of(b"")),
        blobs.discard("up"),
        blobs.open(SHA256),
        blobs.remove(SHA256),
    ):
        with pytest.raises(UnavailableError):
            await asking
    await receive_all(blobs, "good", DATA)
    with pytest.raises(UnavailableError):
        await blobs.seal("good", len(DATA), SHA256)
    assert await blobs.received("good") == len(DATA)
    (sentence,) = await blobs.verify({SHA256: len(DATA)})
    assert "cannot be read" in sentence


async def test_a_link_or_a_pipe_in_place_of_a_file_is_an_error(
    harness: DiskHarness, blobs: DiskBlobs, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_bytes(DATA)
    path = path_of(harness, SHA256)
    path.parent.mkdir()
    path.symlink_to(tmp_path / "secret")
    os.mkfifo(harness.folder / "incoming" / "pipe")
    with pytest.raises(UnavailableError):
        await blobs.open(SHA256)
    with pytest.raises(UnavailableError):
        await blobs.receive("pipe")


async def test_an_upload_goes_on_apart_from_a_snapshot_made_of_links(
    harness: DiskHarness, blobs: DiskBlobs, tmp_path: Path
) -> None:
    await receive_all(blobs, "up", DATA[:1_000])
    os.link(harness.folder / "incoming" / "up", tmp_path / "snapshot")
    again = await harness.kill(blobs)
    await receive_all(again, "up", DATA)
    assert await again.seal("up", len(DATA), SHA256)
    assert (tmp_path / "snapshot").read_bytes() == DATA[:1_000]
    assert await content_of(again, SHA256) == DATA
    await again.close()


# Threads and memory -------------------------------------------------------------------


async def test_the_loop_waits_for_no_disk(
    harness: DiskHarness, blobs: DiskBlobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_the_loop = []
    in_threads = set()

    def watched(name: str) -> None:
        original = getattr(os, name)

        def call(file: Any, *args: Any, **kwargs: Any) -> Any:
            if threading.current_thread() is not threading.main_thread():
                in_threads.add(name)
            elif isinstance(file, int) or harness.folder in Path(file).parents:
                on_the_loop.append(name)
            return original(file, *args, **kwargs)

        monkeypatch.setattr(os, name, call)

    wanted = {"open", "pread", "pwrite", "fsync", "fstat", "stat", "link", "unlink"}
    wanted |= {"replace", "mkdir", "scandir", "statvfs"}
    for name in wanted:
        watched(name)
    sha256 = await store(blobs, DATA)
    assert await content_of(blobs, sha256) == DATA
    await blobs.verify({sha256: len(DATA)})
    await blobs.list_contents()
    await blobs.sweep_uploads(())
    await blobs.free_bytes()
    await blobs.remove(sha256)
    assert on_the_loop == []
    assert in_threads == wanted


@pytest.fixture
def pieces(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that gets the offset of every piece that is read to be hashed."""
    read: list[int] = []
    read_piece = Hashed.read_piece

    def noted(self: Hashed, fd: int, end: int) -> int:
        read.append(self.offset)
        return read_piece(self, fd, end)

    monkeypatch.setattr(Hashed, "read_piece", noted)
    return read


async def test_what_this_process_received_is_not_read_again(
    harness: DiskHarness, blobs: DiskBlobs, pieces: list[int]
) -> None:
    for end in (50_000, 150_000, len(DATA)):
        await receive_all(blobs, "up", DATA[:end])
    assert await blobs.seal("up", len(DATA), SHA256)
    assert pieces == []
    again = await harness.kill(blobs)
    assert await again.seal("up", len(DATA), SHA256)
    assert pieces == [0]
    await again.close()


async def test_of_some_uploads_only_the_sha256_so_far_is_kept(
    blobs: DiskBlobs, pieces: list[int]
) -> None:
    count = disk.KEPT_UPLOADS + 5
    for number in range(count):
        await receive_all(blobs, f"up-{number}", b"abc")
    assert len(blobs._uploads) <= disk.KEPT_UPLOADS
    for number in range(count - 1, -1, -1):
        await receive_all(blobs, f"up-{number}", b"abcdef")
    assert len(pieces) == 5
    assert len(blobs._uploads) <= disk.KEPT_UPLOADS


async def test_locks_are_not_kept(blobs: DiskBlobs) -> None:
    for number in range(100):
        async with blobs.lock(sha256_of(b"%d" % number)):
            assert len(blobs._locks) == 1
    assert len(blobs._locks) == 0


async def blocked_hashing(
    monkeypatch: pytest.MonkeyPatch,
) -> tuple[asyncio.Event, threading.Event]:
    """Hold up the next piece to be hashed; return its two events: reached, go on."""
    loop = asyncio.get_running_loop()
    has_begun = asyncio.Event()
    may_go_on = threading.Event()
    read_piece = Hashed.read_piece

    def wait(self: Hashed, fd: int, end: int) -> int:
        monkeypatch.setattr(Hashed, "read_piece", read_piece)
        loop.call_soon_threadsafe(has_begun.set)
        may_go_on.wait(10)
        return read_piece(self, fd, end)

    monkeypatch.setattr(Hashed, "read_piece", wait)
    return has_begun, may_go_on


async def test_a_check_ends_when_the_daemon_does(
    blobs: DiskBlobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    sha256 = await store(blobs, DATA)
    has_begun, may_go_on = await blocked_hashing(monkeypatch)
    checking = asyncio.create_task(blobs.verify({sha256: len(DATA)}))
    await has_begun.wait()
    closing = asyncio.create_task(blobs.close())
    await asyncio.sleep(0)
    may_go_on.set()
    await closing
    with pytest.raises(ServerStoppingError):
        await checking


async def test_a_cancelled_check_does_not_go_on(
    blobs: DiskBlobs, monkeypatch: pytest.MonkeyPatch, pieces: list[int]
) -> None:
    sizes = {await store(blobs, b"%d" % n, f"up-{n}"): len(b"%d" % n) for n in range(9)}
    has_begun, may_go_on = await blocked_hashing(monkeypatch)
    checking = asyncio.create_task(blobs.verify(sizes))
    await has_begun.wait()
    checking.cancel()
    await asyncio.wait([checking])
    may_go_on.set()
    await blobs.close()
    assert len(pieces) == 1


async def test_who_is_overtaken_while_the_beginning_is_read_does_not_go_on(
    harness: DiskHarness, monkeypatch: pytest.MonkeyPatch, blobs: DiskBlobs
) -> None:
    await receive_all(blobs, "up", DATA)
    again = await harness.kill(blobs)
    has_begun, may_go_on = await blocked_hashing(monkeypatch)
    old = asyncio.create_task(again.receive("up"))
    await has_begun.wait()
    new = asyncio.create_task(again.receive("up"))
    await asyncio.sleep(0)
    may_go_on.set()
    with pytest.raises(UnavailableError):
        await old
    taken = await new
    assert taken.offset == len(DATA)
    await taken.close()
    assert await again.seal("up", len(DATA), SHA256)
    await again.close()


async def test_an_opening_that_is_cancelled_leaves_nothing_open(
    harness: DiskHarness, blobs: DiskBlobs
) -> None:
    sha256 = await store(blobs, DATA)
    for _ in range(10):
        opening = asyncio.create_task(blobs.open(sha256))
        await asyncio.sleep(0)
        opening.cancel()
        await asyncio.wait([opening])
    await blobs.free_bytes()
    await blobs.close()
    assert open_files(harness.folder) == []


# Reading ------------------------------------------------------------------------------


def failing(number: int) -> Callable[..., int]:
    """Return a function that fails with an OSError."""

    def fail(*args: object, **kwargs: object) -> int:
        raise OSError(number, os.strerror(number))

    return fail


@pytest.mark.parametrize("number", [errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS])
async def test_what_cannot_be_asked_is_asked_once(
    blobs: DiskBlobs, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    content = await blobs.open(await store(blobs, DATA))
    with monkeypatch.context() as patch:
        patch.setattr(os, "preadv", failing(number))
        assert content.read_nowait(0, 100) is None
    assert content.read_nowait(0, 100) is None
    assert await read_all(content) == DATA
    content.close()


async def test_what_is_not_in_memory_is_asked_of_the_disk(
    blobs: DiskBlobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = await blobs.open(await store(blobs, DATA))
    with monkeypatch.context() as patch:
        patch.setattr(os, "preadv", failing(errno.EAGAIN))
        assert content.read_nowait(0, 100) is None
        assert await read_all(content) == DATA
    assert content.read_nowait(0, 100) in (DATA[:100], None)
    content.close()


async def test_a_content_that_became_shorter_is_an_error_and_no_end(
    harness: DiskHarness, blobs: DiskBlobs
) -> None:
    content = await blobs.open(await store(blobs, DATA))
    os.truncate(path_of(harness, SHA256), 100)
    assert len(await content.read(0, 4_096)) == 100
    assert content.read_nowait(100, 4_096) is None
    with pytest.raises(UnavailableError):
        await content.read(100, 4_096)
    content.close()


async def test_a_disk_that_fails_while_reading_is_an_error(
    blobs: DiskBlobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = await blobs.open(await store(blobs, DATA))
    monkeypatch.setattr(os, "preadv", failing(errno.EIO))
    monkeypatch.setattr(os, "pread", failing(errno.EIO))
    assert content.read_nowait(0, 100) is None
    with pytest.raises(UnavailableError):
        await content.read(0, 100)
    (sentence,) = await blobs.verify({SHA256: len(DATA)})
    assert "cannot be read" in sentence
    content.close()


# Damage -------------------------------------------------------------------------------


def flip(path: Path) -> None:
    """Flip a byte in the middle of a file."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


HARMS: list[tuple[Callable[[Path], object], str]] = [
    (flip, "damaged"),
    (lambda path: os.truncate(path, 100), "100 bytes"),
    (lambda path: path.write_bytes(DATA + b"x"), "200001 bytes"),
    (lambda path: path.unlink(), "missing"),
]


@pytest.mark.parametrize(("harm", "words"), HARMS)
async def test_a_damage_is_found_and_healed_by_the_same_file_sent_again(
    harness: DiskHarness,
    blobs: DiskBlobs,
    harm: Callable[[Path], object],
    words: str,
) -> None:
    sizes = {await store(blobs, DATA): len(DATA), await store(blobs, b"good"): 4}
    harm(path_of(harness, SHA256))
    (sentence,) = await blobs.verify(sizes)
    assert SHA256 in sentence
    assert words in sentence
    await store(blobs, DATA)
    assert await blobs.verify(sizes) == []


# Full and failing disks ---------------------------------------------------------------


def short_of_room(room: int, number: int = errno.ENOSPC) -> Callable[..., int]:
    """Return an ``os.pwrite`` for a disk with space for so many bytes."""
    pwrite = os.pwrite
    left = room

    def write(fd: int, data: memoryview, offset: int) -> int:
        nonlocal left
        if left == 0:
            raise OSError(number, os.strerror(number))
        written = pwrite(fd, data[: min(left, 1_000)], offset)
        left -= written
        return written

    return write


@pytest.mark.parametrize(
    ("number", "error"),
    [
        (errno.ENOSPC, StorageFullError),
        (errno.EDQUOT, StorageFullError),
        (errno.EIO, UnavailableError),
    ],
)
async def test_what_was_written_before_the_disk_was_full_counts(
    blobs: DiskBlobs,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    error: type[TemporaryError],
) -> None:
    receiving = await blobs.receive("up")
    await receiving.write(DATA[:1_000])
    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", short_of_room(2_500, number))
        with pytest.raises(error):
            await receiving.write(DATA[1_000:])
        assert receiving.offset == 3_500
        with pytest.raises(error):
            await receiving.write(DATA[3_500:])
    assert await blobs.received("up") == receiving.offset == 3_500
    await receiving.write(DATA[3_500:10_000])
    await receiving.close()
    await receive_all(blobs, "up", DATA)
    assert await blobs.seal("up", len(DATA), SHA256)


async def test_a_failed_sync_takes_back_what_may_not_be_on_the_disk(
    harness: DiskHarness, blobs: DiskBlobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receiving, "SYNC_BYTES", 50_000)
    writing = await blobs.receive("up")
    await writing.write(DATA[:60_000])
    await writing.write(DATA[60_000:80_000])
    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", failing(errno.ENOSPC))
        with pytest.raises(StorageFullError):
            await writing.write(DATA[80_000:120_000])
    assert await blobs.received("up") == writing.offset == 60_000
    await writing.write(DATA[60_000:70_000])
    await writing.close()
    await receive_all(blobs, "up", DATA)
    assert await blobs.seal("up", len(DATA), SHA256)


@pytest.mark.parametrize("name", ["fsync", "link"])
@pytest.mark.parametrize(
    ("number", "error"),
    [(errno.ENOSPC, StorageFullError), (errno.EIO, UnavailableError)],
)
async def test_a_seal_that_fails_can_be_repeated(
    harness: DiskHarness,
    blobs: DiskBlobs,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    number: int,
    error: type[TemporaryError],
) -> None:
    await receive_all(blobs, "up", DATA)
    with monkeypatch.context() as patch:
        patch.setattr(os, name, failing(number))
        with pytest.raises(error):
            await blobs.seal("up", len(DATA), SHA256)
    assert await blobs.list_contents() == []
    assert await blobs.seal("up", len(DATA), SHA256)
    await blobs.discard("up")
    assert await content_of(blobs, SHA256) == DATA


@pytest.mark.parametrize("number", [errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK])
async def test_a_disk_without_links_gets_a_copy(
    harness: DiskHarness,
    blobs: DiskBlobs,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
) -> None:
    monkeypatch.setattr(os, "link", failing(number))
    await receive_all(blobs, "up", DATA)
    for _ in range(2):
        assert await blobs.seal("up", len(DATA), SHA256)
    assert path_of(harness, SHA256).stat().st_nlink == 1
    await blobs.discard("up")
    assert await content_of(blobs, SHA256) == DATA
    assert await blobs.sweep_uploads(()) == 0


async def test_a_copy_that_has_no_room_leaves_nothing(
    harness: DiskHarness, blobs: DiskBlobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    await receive_all(blobs, "up", DATA)
    monkeypatch.setattr(os, "link", failing(errno.EPERM))
    monkeypatch.setattr(os, "write", failing(errno.ENOSPC))
    with pytest.raises(StorageFullError):
        await blobs.seal("up", len(DATA), SHA256)
    assert names(harness.folder) == {"incoming", "incoming/up"}


async def test_a_disk_that_is_really_full_keeps_what_came(tmp_path: Path) -> None:
    data = some_bytes(3_000_000)
    with small_disk(tmp_path / "disk", mebibytes=8) as folder:
        blobs = DiskBlobs(folder / "blobs")
        receiving = await blobs.receive("up")
        await receiving.write(data[:1_000_000])
        fill_up(folder / "ballast")
        with pytest.raises(StorageFullError):
            await receiving.write(data[1_000_000:])
        await receiving.close()
        assert 1_000_000 <= receiving.offset < len(data)
        assert await blobs.received("up") == receiving.offset
        assert await blobs.free_bytes() == 0
        (folder / "ballast").unlink()
        assert await store(blobs, data) == sha256_of(data)
        assert await content_of(blobs, sha256_of(data)) == data
        await blobs.close()
