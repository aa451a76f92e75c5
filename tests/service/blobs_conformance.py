"""Conformance suite for every ``Blobs``: the rules of ``chatd.store.blobs``.

An implementation is plugged in by a subclass of each class here, in a module with the
fixtures ``harness``, which returns a ``BlobsHarness``, and ``blobs``, which opens it.
"""

import asyncio
import contextlib
import hashlib
import random
from abc import ABC, abstractmethod

import pytest

from chatd.protocol.errors import ServerStoppingError, UnavailableError
from chatd.store.blobs import Blobs, Content

NO_IDS = ["", ".", "..", "../x", "a/b", "a\\b", "a.new", "é", "a\0", "a\n", "x" * 65]
NO_SHA256 = ["", "..", "ab", "A" * 64, "../" + "a" * 61, "g" * 64, "a" * 65, "a" * 63]


class BlobsHarness(ABC):
    """Opens the same contents again and again."""

    @abstractmethod
    async def open(self) -> Blobs:
        """Open them; the same place every time, the first time empty."""

    @abstractmethod
    async def kill(self, blobs: Blobs) -> Blobs:
        """Open them anew, as after a SIGKILL at this moment."""


def sha256_of(data: bytes) -> str:
    """Return the SHA-256 in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def some_bytes(count: int, seed: int = 0) -> bytes:
    """Return bytes that look random, and are the same every time."""
    return random.Random(seed).randbytes(count)


async def receive_all(blobs: Blobs, upload: str, data: bytes) -> None:
    """Receive the missing rest of an upload, a piece at a time."""
    receiving = await blobs.receive(upload)
    while receiving.offset < len(data):
        await receiving.write(data[receiving.offset :][:100_000])
    await receiving.close()


async def store(blobs: Blobs, data: bytes, upload: str = "up") -> str:
    """Store a content, as the daemon does; return its SHA-256."""
    sha256 = sha256_of(data)
    await receive_all(blobs, upload, data)
    async with blobs.lock(sha256):
        assert await blobs.seal(upload, len(data), sha256)
    await blobs.discard(upload)
    return sha256


async def read_all(content: Content, count: int = 65_536) -> bytes:
    """Return a whole content, read as a download does."""
    found = bytearray()
    while len(found) < content.size:
        data = content.read_nowait(len(found), count)
        if data is None:
            data = await content.read(len(found), count)
        assert 0 < len(data) <= count
        found += data
    return bytes(found)


async def content_of(blobs: Blobs, sha256: str) -> bytes:
    """Open a content, return all of it."""
    content = await blobs.open(sha256)
    try:
        return await read_all(content)
    finally:
        content.close()


class ReceivingRules:
    """Rules of uploads that are not complete."""

    async def test_what_was_written_is_counted_and_stays(
        self, harness: BlobsHarness, blobs: Blobs
    ) -> None:
        assert await blobs.received("up") == 0
        receiving = await blobs.receive("up")
        assert receiving.offset == 0
        for expected, data in ((5, b"12345"), (5, b""), (7, b"67")):
            await receiving.write(data)
            assert receiving.offset == expected
            assert await blobs.received("up") == expected
        await receiving.close()
        again = await harness.kill(blobs)
        assert await again.received("up") == 7
        await again.close()

    @pytest.mark.parametrize("is_killed", [False, True])
    async def test_an_upload_goes_on_from_the_last_byte(
        self, harness: BlobsHarness, blobs: Blobs, is_killed: bool
    ) -> None:
        data = some_bytes(3_000_001)
        receiving = await blobs.receive("up")
        await receiving.write(data[:2_000_000])
        if is_killed:
            blobs = await harness.kill(blobs)
        else:
            await receiving.close()
        receiving = await blobs.receive("up")
        assert receiving.offset == 2_000_000
        await receiving.write(data[2_000_000:])
        await receiving.close()
        assert await blobs.seal("up", len(data), sha256_of(data))
        assert await content_of(blobs, sha256_of(data)) == data
        await blobs.close()

    async def test_uploads_do_not_mix(self, blobs: Blobs) -> None:
        files = {f"up-{n}": some_bytes(50_000 + n, n) for n in range(10)}
        await asyncio.gather(*(receive_all(blobs, *file) for file in files.items()))
        for upload, data in files.items():
            assert await blobs.seal(upload, len(data), sha256_of(data))
        for data in files.values():
            assert await content_of(blobs, sha256_of(data)) == data

    async def test_the_newest_who_receives_takes_over(self, blobs: Blobs) -> None:
        old = await blobs.receive("up")
        await old.write(b"old")
        new = await blobs.receive("up")
        assert new.offset == 3
        with pytest.raises(UnavailableError):
            await old.write(b"late")
        await new.write(b"new")
        await old.close()
        await new.write(b"er")
        assert (old.offset, new.offset) == (3, 8)
        await new.close()
        assert await blobs.seal("up", 8, sha256_of(b"oldnewer"))

    async def test_what_was_closed_takes_nothing(self, blobs: Blobs) -> None:
        receiving = await blobs.receive("up")
        await receiving.write(b"abc")
        await receiving.close()
        await receiving.close()
        with pytest.raises(UnavailableError):
            await receiving.write(b"d")
        assert await blobs.received("up") == 3

    async def test_a_cancelled_write_is_done_or_not_and_never_half_known(
        self, blobs: Blobs
    ) -> None:
        data = some_bytes(2_000_000)
        for _ in range(5):
            receiving = await blobs.receive("up")
            start = receiving.offset
            task = asyncio.create_task(receiving.write(data[start : start + 400_000]))
            await asyncio.sleep(0)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            await receiving.close()
            assert await blobs.received("up") in (start, start + 400_000)
        await receive_all(blobs, "up", data)
        assert await blobs.seal("up", len(data), sha256_of(data))

    async def test_a_cancelled_receive_lets_another_receive(self, blobs: Blobs) -> None:
        await receive_all(blobs, "up", b"some")
        for _ in range(5):
            task = asyncio.create_task(blobs.receive("up"))
            await asyncio.sleep(0)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await receive_all(blobs, "up", b"something")
        assert await blobs.seal("up", 9, sha256_of(b"something"))

    async def test_what_is_discarded_is_gone(self, blobs: Blobs) -> None:
        receiving = await blobs.receive("up")
        await receiving.write(b"abc")
        await blobs.discard("up")
        with pytest.raises(UnavailableError):
            await receiving.write(b"d")
        await receiving.close()
        assert await blobs.received("up") == 0
        assert not await blobs.seal("up", 3, sha256_of(b"abc"))
        await blobs.discard("up")
        await blobs.discard("never")
        assert await store(blobs, b"anew") == sha256_of(b"anew")

    async def test_a_sweep_leaves_what_is_known_and_what_is_received(
        self, blobs: Blobs
    ) -> None:
        for upload in ("known", "lost", "lost-too"):
            await receive_all(blobs, upload, b"abc")
        receiving = await blobs.receive("begun-meanwhile")
        await receiving.write(b"abc")
        assert await blobs.sweep_uploads({"known", "of-which-nothing-came"}) == 2
        assert await blobs.sweep_uploads({"known"}) == 0
        assert await blobs.received("lost") == 0
        assert await blobs.received("known") == 3
        await receiving.write(b"def")
        await receiving.close()
        assert await blobs.received("begun-meanwhile") == 6

    @pytest.mark.parametrize("upload", NO_IDS)
    async def test_what_might_be_a_path_is_no_id(
        self, blobs: Blobs, upload: str
    ) -> None:
        for ask in (blobs.received, blobs.receive, blobs.discard):
            with pytest.raises(ValueError, match="id"):
                await ask(upload)
        with pytest.raises(ValueError, match="id"):
            await blobs.seal(upload, 0, sha256_of(b""))


class SealRules:
    """Rules of sealing: from an upload to a content."""

    @pytest.mark.parametrize("size", [0, 1, 4_096, 1 << 20, (1 << 20) + 1, 5_000_000])
    async def test_a_sealed_upload_is_a_content(self, blobs: Blobs, size: int) -> None:
        data = some_bytes(size)
        sha256 = await store(blobs, data)
        assert await blobs.list_contents() == [sha256]
        assert await content_of(blobs, sha256) == data
        assert await blobs.verify({sha256: size}) == []
        assert await blobs.received("up") == 0

    async def test_an_empty_file_need_not_be_received(self, blobs: Blobs) -> None:
        assert await blobs.seal("up", 0, sha256_of(b""))
        await blobs.discard("up")
        assert await content_of(blobs, sha256_of(b"")) == b""

    @pytest.mark.parametrize(
        ("size", "content"), [(4, b"abc"), (2, b"abc"), (3, b"abd"), (0, b"")]
    )
    async def test_another_size_or_sha256_is_refused_and_changes_nothing(
        self, blobs: Blobs, size: int, content: bytes
    ) -> None:
        await receive_all(blobs, "up", b"abc")
        assert not await blobs.seal("up", size, sha256_of(content))
        assert await blobs.list_contents() == []
        await receive_all(blobs, "up", b"abcdef")
        assert await blobs.seal("up", 6, sha256_of(b"abcdef"))

    async def test_sealed_twice_is_as_once(self, blobs: Blobs) -> None:
        data = some_bytes(100_000)
        await receive_all(blobs, "up", data)
        for _ in range(3):
            assert await blobs.seal("up", len(data), sha256_of(data))
            assert await content_of(blobs, sha256_of(data)) == data
        await blobs.discard("up")
        assert await content_of(blobs, sha256_of(data)) == data
        assert await blobs.sweep_uploads(()) == 0

    @pytest.mark.parametrize("is_removed", [False, True])
    async def test_a_crash_between_seal_and_discard_loses_nothing(
        self, harness: BlobsHarness, blobs: Blobs, is_removed: bool
    ) -> None:
        data = some_bytes(100_000)
        sha256 = sha256_of(data)
        await receive_all(blobs, "up", data)
        assert await blobs.seal("up", len(data), sha256)
        again = await harness.kill(blobs)
        if is_removed:
            assert await again.remove(sha256)
        assert await again.received("up") == len(data)
        receiving = await again.receive("up")
        assert receiving.offset == len(data)
        await receiving.close()
        assert await again.seal("up", len(data), sha256)
        await again.discard("up")
        assert await content_of(again, sha256) == data
        await again.close()

    @pytest.mark.parametrize("is_killed", [False, True])
    async def test_a_content_is_not_changed_by_more_bytes_of_its_upload(
        self, harness: BlobsHarness, blobs: Blobs, is_killed: bool
    ) -> None:
        await receive_all(blobs, "up", b"abc")
        receiving = await blobs.receive("up")
        assert await blobs.seal("up", 3, sha256_of(b"abc"))
        if is_killed:
            blobs = await harness.kill(blobs)
            receiving = await blobs.receive("up")
        await receiving.write(b"more")
        await receiving.write(b"!")
        await receiving.close()
        assert await content_of(blobs, sha256_of(b"abc")) == b"abc"
        assert await blobs.seal("up", 8, sha256_of(b"abcmore!"))
        assert await content_of(blobs, sha256_of(b"abc")) == b"abc"
        await blobs.close()

    async def test_two_uploads_of_the_same_content_are_one_content(
        self, blobs: Blobs
    ) -> None:
        data = some_bytes(300_000)

        async def upload(number: int) -> None:
            assert await store(blobs, data, f"up-{number}") == sha256_of(data)

        await asyncio.gather(*(upload(number) for number in range(5)))
        assert await blobs.list_contents() == [sha256_of(data)]
        assert await content_of(blobs, sha256_of(data)) == data

    @pytest.mark.parametrize("seed", range(12))
    async def test_whatever_is_cut_the_bytes_are_the_same(
        self, harness: BlobsHarness, blobs: Blobs, seed: int
    ) -> None:
        chance = random.Random(seed)
        data = some_bytes(chance.randrange(1, 6_000_000), seed)
        sha256 = sha256_of(data)
        receiving = await blobs.receive("up")
        written = 0
        while written < len(data):
            match chance.choice(("write", "write", "close", "kill", "seal", "over")):
                case "write":
                    count = chance.choice((1, 1_000, 65_536, 700_000))
                    await receiving.write(data[written:][:count])
                    written = min(len(data), written + count)
                case "close":
                    await receiving.close()
                    receiving = await blobs.receive("up")
                case "kill":
                    blobs = await harness.kill(blobs)
                    receiving = await blobs.receive("up")
                case "seal":
                    assert not await blobs.seal("up", len(data), sha256)
                case "over":
                    receiving = await blobs.receive("up")
            assert receiving.offset == written == await blobs.received("up")
        await receiving.close()
        assert await blobs.seal("up", len(data), sha256)
        assert await content_of(blobs, sha256) == data
        await blobs.close()


class ContentRules:
    """Rules of reading, removing and checking contents."""

    async def test_a_content_is_read_from_any_offset(self, blobs: Blobs) -> None:
        data = some_bytes(300_000)
        content = await blobs.open(await store(blobs, data))
        assert content.size == len(data)
        for offset in (0, 1, 4_095, 65_536, 299_999):
            for count in (1, 4_096, 100_000, 10_000_000):
                found = await content.read(offset, count)
                assert 0 < len(found) <= count
                assert data.startswith(found, offset)
                at_once = content.read_nowait(offset, count)
                if at_once is not None:
                    assert 0 < len(at_once) <= count
                    assert data.startswith(at_once, offset)
        content.close()

    async def test_at_its_end_nothing_is_read(self, blobs: Blobs) -> None:
        content = await blobs.open(await store(blobs, b"abc"))
        for offset in (3, 4, 1 << 40):
            assert await content.read(offset, 9) == b""
            assert content.read_nowait(offset, 9) == b""
        content.close()

    async def test_a_content_that_is_not_there_is_not_found(self, blobs: Blobs) -> None:
        with pytest.raises(FileNotFoundError):
            await blobs.open(sha256_of(b"never"))
        assert not await blobs.remove(sha256_of(b"never"))

    async def test_a_content_that_is_removed_is_read_to_its_end(
        self, blobs: Blobs
    ) -> None:
        data = some_bytes(500_000)
        sha256 = await store(blobs, data)
        content = await blobs.open(sha256)
        assert await blobs.remove(sha256)
        assert await read_all(content, 10_000) == data
        content.close()
        assert await blobs.list_contents() == []
        with pytest.raises(FileNotFoundError):
            await blobs.open(sha256)

    async def test_a_content_that_comes_again_is_read_to_its_end(
        self, blobs: Blobs
    ) -> None:
        data = some_bytes(500_000)
        content = await blobs.open(await store(blobs, data))
        await store(blobs, data, "again")
        assert await read_all(content, 10_000) == data
        content.close()

    async def test_a_closed_content_is_not_read(self, blobs: Blobs) -> None:
        content = await blobs.open(await store(blobs, b"abc"))
        content.close()
        content.close()
        assert content.read_nowait(0, 3) is None
        with pytest.raises(UnavailableError):
            await content.read(0, 3)

    async def test_a_missing_content_is_a_damage(self, blobs: Blobs) -> None:
        there = await store(blobs, b"there")
        gone = sha256_of(b"gone")
        (sentence,) = await blobs.verify({there: 5, gone: 4})
        assert gone in sentence
        assert "missing" in sentence

    async def test_contents_are_listed(self, blobs: Blobs) -> None:
        wanted = [await store(blobs, b"%d" % n, f"up-{n}") for n in range(20)]
        assert sorted(await blobs.list_contents()) == sorted(wanted)

    async def test_one_at_a_time_holds_the_lock_of_a_content(
        self, blobs: Blobs
    ) -> None:
        inside = 0

        async def enter() -> None:
            nonlocal inside
            async with blobs.lock(sha256_of(b"x")):
                inside += 1
                assert inside == 1
                await asyncio.sleep(0)
                inside -= 1

        async with blobs.lock(sha256_of(b"y")):
            await asyncio.gather(*(enter() for _ in range(10)))

    @pytest.mark.parametrize("sha256", NO_SHA256)
    async def test_what_is_no_sha256_names_no_content(
        self, blobs: Blobs, sha256: str
    ) -> None:
        for ask in (blobs.open, blobs.remove):
            with pytest.raises(ValueError, match="SHA-256"):
                await ask(sha256)
        with pytest.raises(ValueError, match="SHA-256"):
            await blobs.seal("up", 0, sha256)
        assert len(await blobs.verify({sha256: 0})) == 1

    async def test_the_disk_has_some_room(self, blobs: Blobs) -> None:
        assert await blobs.free_bytes() > 0

    async def test_what_is_asked_after_the_end_is_refused(self, blobs: Blobs) -> None:
        content = await blobs.open(await store(blobs, b"abc"))
        receiving = await blobs.receive("up")
        await blobs.close()
        with pytest.raises(ServerStoppingError):
            await blobs.receive("other")
        with pytest.raises(ServerStoppingError):
            await receiving.write(b"x")
        await receiving.close()
        content.close()
