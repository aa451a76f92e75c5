"""Conformance suite for every store: files, their records and not their contents."""

import asyncio
import hashlib
import random
from pathlib import Path

import pytest
from msgspec.structs import replace

from chatd.protocol.entries import Draft, encode_tail
from chatd.protocol.errors import NotAllowedError, TooManyError
from chatd.store.base import Store
from chatd.store.commands import (
    BeginFile,
    DropFile,
    ExpireFiles,
    FindKey,
    ForgetUser,
    OpenDirect,
)
from chatd.store.jobs import Append
from chatd.store.values import FileRecord, FileUsage, SealFile
from tests.service.store_conformance import (
    StoreHarness,
    append_each,
    make_room,
    read_all,
    text,
)

MANY = 1_000


def a_file(
    chat: int,
    number: int = 1,
    owner: str = "alice",
    size: int = 100,
    content: str = "content",
    time_ms: int = 1_000,
) -> FileRecord:
    """Return the record of a begun upload, with the number in its id and key."""
    return FileRecord(
        id=f"f-{number}",
        chat=chat,
        owner=owner,
        key=f"key-{number}",
        name=f"{number}.tar",
        size=size,
        sha256=hashlib.sha256(content.encode()).hexdigest(),
        time_ms=time_ms,
        text=f"caption {number}",
    )


def file_entry(file: FileRecord, time_ms: int = 2_000, key: str | None = None) -> Draft:
    """Return the draft of the entry that a file comes with."""
    members: dict[str, object] = {"file": {"id": file.id, "name": file.name}}
    tail = encode_tail(file.owner, "file", time_ms, members)
    return Draft(file.owner, "file", time_ms, tail, key or file.key)


async def stored(store: Store, file: FileRecord, time_ms: int = 2_000) -> FileRecord:
    """Begin and store a file; return the record that the store must have then."""
    assert await store.execute(BeginFile(file, MANY)) == file
    done = await store.append(file.chat, file_entry(file, time_ms), SealFile(file.id))
    return as_stored(file, done)


def as_stored(file: FileRecord, append: Append) -> FileRecord:
    """Return the record that the entry must have made of a begun upload."""
    return replace(file, time_ms=append.time_ms, seq=append.seq)


async def a_chat(store: Store, other: str = "bob") -> int:
    """Return the direct chat of alice and another user."""
    return (await store.execute(OpenDirect("alice", other))).id


class BegunFileRules:
    """Rules of uploads that are not complete."""

    async def test_a_begun_upload_is_found_by_its_id(
        self, harness: StoreHarness, store: Store
    ) -> None:
        file = a_file(await a_chat(store))
        assert await store.execute(BeginFile(file, 9)) == file
        assert await store.find_file("f-1") == file
        assert await store.find_file("f-2") is None
        assert not file.is_stored
        await harness.kill(store)
        again = await harness.open()
        assert await again.begun_files() == [file]
        await again.close()

    async def test_a_name_and_a_caption_come_back_as_they_were(
        self, store: Store
    ) -> None:
        chat = await a_chat(store)
        odd = ["x", "a'b\"c", "é" * 120, "\U0001f600.tar.gz", "%s \u202e", " x "]
        for number, name in enumerate(odd):
            record = FileRecord(
                id=f"f-{number}",
                chat=chat,
                owner="alice",
                key=f"k{number}",
                name=name,
                size=2**53,
                sha256="0" * 64,
                time_ms=2**50,
                text=name * 100,
            )
            await store.execute(BeginFile(record, 9))
            assert await store.find_file(record.id) == record

    async def test_the_same_key_is_answered_with_the_upload_begun_first(
        self, store: Store
    ) -> None:
        chat = await a_chat(store)
        first = await store.execute(BeginFile(a_file(chat, 1), 9))
        other = a_file(chat, 2, size=999)
        again = replace(other, key=first.key)
        assert await store.execute(BeginFile(again, 9)) == first
        assert await store.begun_files() == [first]

    async def test_the_same_key_of_another_or_elsewhere_is_another_upload(
        self, store: Store
    ) -> None:
        chat = await a_chat(store)
        elsewhere = await a_chat(store, "eve")
        records = [
            a_file(chat, 1),
            replace(a_file(elsewhere, 2), key="key-1"),
            replace(a_file(chat, 3, "bob"), key="key-1"),
        ]
        for record in records:
            assert await store.execute(BeginFile(record, 9)) == record
        assert len(await store.begun_files()) == 3

    async def test_the_same_key_from_many_tasks_begins_one_upload(
        self, store: Store
    ) -> None:
        chat = await a_chat(store)
        wanted = [replace(a_file(chat, n), key="key") for n in range(20)]
        begun = await asyncio.gather(
            *(store.execute(BeginFile(file, 9)) for file in wanted)
        )
        assert len({file.id for file in begun}) == 1
        assert await store.begun_files() == [begun[0]]

    async def test_a_stored_file_is_answered_to_its_key_too(self, store: Store) -> None:
        file = await stored(store, a_file(await a_chat(store)))
        assert await store.execute(BeginFile(a_file(file.chat), 9)) == file

    async def test_begun_uploads_have_a_cap_per_owner(self, store: Store) -> None:
        chat = await a_chat(store)
        for number in range(3):
            await store.execute(BeginFile(a_file(chat, number), 3))
        with pytest.raises(TooManyError, match="unfinished"):
            await store.execute(BeginFile(a_file(chat, 3), 3))
        assert (await store.execute(BeginFile(a_file(chat, 0), 3))).id == "f-0"
        await store.execute(BeginFile(a_file(chat, 4, "bob"), 3))
        assert await store.find_file("f-3") is None
        assert (await store.file_usage("alice")).user == 300

    async def test_an_upload_that_has_ended_does_not_count_to_the_cap(
        self, store: Store
    ) -> None:
        chat = await a_chat(store)
        await stored(store, a_file(chat, 1))
        await store.execute(BeginFile(a_file(chat, 2), 1))
        assert await store.execute(DropFile("f-2"))
        await store.execute(BeginFile(a_file(chat, 3), 1))
        assert [file.id for file in await store.begun_files()] == ["f-3"]

    async def test_a_dropped_upload_is_gone(self, store: Store) -> None:
        file = await store.execute(BeginFile(a_file(await a_chat(store)), 9))
        assert await store.execute(DropFile(file.id))
        assert not await store.execute(DropFile(file.id))
        assert await store.find_file(file.id) is None
        assert await store.file_usage("alice") == FileUsage(0, 0)
        assert await store.execute(BeginFile(file, 9)) == file

    async def test_a_stored_file_is_not_dropped(self, store: Store) -> None:
        file = await stored(store, a_file(await a_chat(store)))
        assert not await store.execute(DropFile(file.id))
        assert await store.find_file(file.id) == file


class StoredFileRules:
    """Rules of entries of kind file, and the records that they add."""

    async def test_an_entry_makes_its_file_a_stored_one(
        self, harness: StoreHarness, store: Store
    ) -> None:
        file = await stored(store, a_file(await a_chat(store)), time_ms=7_000)
        assert (file.time_ms, file.is_stored) == (7_000, True)
        assert await store.find_file(file.id) == file
        await harness.kill(store)
        again = await harness.open()
        assert await again.find_file(file.id) == file
        found = await again.execute(FindKey(file.chat, "alice", file.key))
        assert found is not None
        assert found.seq == file.seq
        assert await again.begun_files() == []
        await again.close()

    async def test_the_file_of_a_dropped_upload_is_refused_and_nothing_stored(
        self, store: Store
    ) -> None:
        file = await store.execute(BeginFile(a_file(await a_chat(store)), 9))
        await store.execute(DropFile(file.id))
        with pytest.raises(NotAllowedError):
            await store.append(file.chat, file_entry(file), SealFile(file.id))
        assert await read_all(store, file.chat) == []
        assert await store.execute(FindKey(file.chat, "alice", file.key)) is None
        assert await store.contents() == {}
        again = await stored(store, file)
        assert [entry.seq for entry in await read_all(store, file.chat)] == [again.seq]

    async def test_a_refused_file_fails_alone_in_its_batch(self, store: Store) -> None:
        chat = await a_chat(store)
        file = await store.execute(BeginFile(a_file(chat, 1), 9))
        lost = a_file(chat, 2)
        done = await append_each(
            store,
            [
                (chat, text("alice", "before"), None),
                (chat, file_entry(lost), SealFile(lost.id)),
                (chat, file_entry(file), SealFile(file.id)),
                (chat, text("alice", "after"), None),
            ],
        )
        assert [append.error is None for append in done] == [True, False, True, True]
        assert isinstance(done[1].error, NotAllowedError)
        entries = await read_all(store, chat)
        assert [e.seq for e in entries] == [a.seq for a in done if a.error is None]
        assert await store.find_file(file.id) == as_stored(file, done[2])

    async def test_a_file_is_stored_once(self, store: Store) -> None:
        file = await stored(store, a_file(await a_chat(store)))
        with pytest.raises(NotAllowedError):
            await store.append(
                file.chat, file_entry(file, 9_000, "another"), SealFile(file.id)
            )
        assert await store.find_file(file.id) == file
        assert len(await read_all(store, file.chat)) == 1

    async def test_a_known_key_does_not_store_its_file_again(
        self, store: Store
    ) -> None:
        chat = await a_chat(store)
        file = await store.execute(BeginFile(a_file(chat), 9))
        wanted = [(chat, file_entry(file, 2_000 + n), SealFile("f-1")) for n in (0, 1)]
        done = await append_each(store, wanted)
        later = await store.append(chat, file_entry(file, 9_000), SealFile("f-1"))
        done.append(later)
        assert [append.duplicate for append in done] == [False, True, True]
        assert {append.seq for append in done} == {done[0].seq}
        assert await store.find_file("f-1") == as_stored(file, done[0])

    async def test_a_file_is_stored_in_the_chat_that_it_was_begun_for(
        self, store: Store
    ) -> None:
        file = await store.execute(BeginFile(a_file(await a_chat(store)), 9))
        elsewhere = await a_chat(store, "eve")
        with pytest.raises(NotAllowedError):
            await store.append(elsewhere, file_entry(file), SealFile(file.id))
        assert await store.find_file(file.id) == file

    async def test_a_backup_has_the_files(
        self, harness: StoreHarness, store: Store, tmp_path: Path
    ) -> None:
        chat = await a_chat(store)
        file = await stored(store, a_file(chat, 1))
        begun = await store.execute(BeginFile(a_file(chat, 2), 9))
        await store.backup(tmp_path / "copy.db")
        copy = await harness.open_copy(tmp_path / "copy.db")
        assert await copy.files_of(chat, None, 9) == [file]
        assert await copy.begun_files() == [begun]
        assert await copy.file_usage("alice") == await store.file_usage("alice")
        assert await copy.check() == []
        await copy.close()


class FileListRules:
    """Rules of the lists of files of a chat."""

    async def test_files_are_listed_newest_first_page_by_page(
        self, store: Store
    ) -> None:
        chat = await a_chat(store)
        elsewhere = await a_chat(store, "eve")
        files = []
        for number in range(7):
            files.append(await stored(store, a_file(chat, number)))
            await stored(store, a_file(elsewhere, 100 + number))
            await store.append(chat, text("alice", "x"))
        await store.execute(BeginFile(a_file(chat, 50), 9))
        listed: list[FileRecord] = []
        while page := await store.files_of(chat, listed[-1].seq if listed else None, 3):
            listed += page
        assert listed == files[::-1]

    async def test_files_below_first_are_left_out(self, store: Store) -> None:
        chat = await a_chat(store)
        files = [await stored(store, a_file(chat, number)) for number in range(4)]
        listed = await store.files_of(chat, files[3].seq, 9, first=files[1].seq)
        assert listed == [files[2], files[1]]
        assert await store.files_of(chat, None, 9, first=files[3].seq + 1) == []

    async def test_a_chat_may_have_ten_thousand_files(self, store: Store) -> None:
        chat = await a_chat(store)
        # Ten thousand tasks are slow when the loop records where each was made.
        asyncio.get_running_loop().set_debug(False)
        stored_files: list[FileRecord] = []
        for start in range(0, 10_000, 500):
            numbers = range(start, start + 500)
            files = [a_file(chat, n, content=str(n % 5_000)) for n in numbers]
            await asyncio.gather(
                *(store.execute(BeginFile(file, 500)) for file in files)
            )
            done = await append_each(
                store, [(chat, file_entry(file), SealFile(file.id)) for file in files]
            )
            stored_files += map(as_stored, files, done)
        middle = stored_files[5_000].seq
        assert await store.files_of(chat, middle, 50) == stored_files[4_999:4_949:-1]
        assert await store.file_usage("alice") == FileUsage(1_000_000, 500_000)
        assert len(await store.contents()) == 5_000
        assert await store.check() == []


class FileUsageRules:
    """Rules of sums, contents, and the removal of old files."""

    async def test_an_upload_counts_with_its_whole_size_from_the_beginning(
        self, store: Store
    ) -> None:
        chat = await a_chat(store)
        assert await store.file_usage("alice") == FileUsage(0, 0)
        await store.execute(BeginFile(a_file(chat, 1, size=10), 9))
        await store.execute(BeginFile(a_file(chat, 2, "bob", size=5), 9))
        assert await store.file_usage("alice") == FileUsage(10, 15)
        assert await store.file_usage("bob") == FileUsage(5, 15)
        assert await store.file_usage("eve") == FileUsage(0, 15)

    async def test_in_all_the_same_stored_content_counts_once(
        self, store: Store
    ) -> None:
        chat = await a_chat(store)
        await stored(store, a_file(chat, 1))
        await store.execute(BeginFile(a_file(chat, 2), 9))
        assert await store.file_usage("alice") == FileUsage(200, 200)
        await store.append(chat, file_entry(a_file(chat, 2)), SealFile("f-2"))
        await stored(store, a_file(chat, 3, "bob"))
        assert await store.file_usage("alice") == FileUsage(200, 100)
        assert await store.file_usage("bob") == FileUsage(100, 100)

    async def test_a_content_is_used_as_long_as_a_stored_file_has_it(
        self, store: Store
    ) -> None:
        chat = await a_chat(store)
        begun = await store.execute(BeginFile(a_file(chat, 1), 9))
        assert not await store.is_content_used(begun.sha256)
        await store.append(chat, file_entry(begun, 1_000), SealFile("f-1"))
        await stored(store, a_file(chat, 2), time_ms=2_000)
        other = await stored(store, a_file(chat, 3, content="other", size=7))
        assert await store.contents() == {begun.sha256: 100, other.sha256: 7}
        assert [f.id for f in await store.execute(ExpireFiles(0, 1_500, 9))] == ["f-1"]
        assert await store.is_content_used(begun.sha256)
        gone = await store.execute(ExpireFiles(0, 2_500, 9))
        assert len(gone) == 2
        assert not await store.is_content_used(begun.sha256)
        assert await store.contents() == {}
        assert await store.file_usage("alice") == FileUsage(0, 0)

    async def test_begun_and_stored_files_expire_each_at_their_time(
        self, store: Store
    ) -> None:
        chat = await a_chat(store)
        old = await store.execute(BeginFile(a_file(chat, 1, time_ms=1_000), 9))
        young = await store.execute(BeginFile(a_file(chat, 2, time_ms=3_000), 9))
        older = await stored(store, a_file(chat, 3), time_ms=1_000)
        younger = await stored(store, a_file(chat, 4), time_ms=3_000)
        assert await store.execute(ExpireFiles(1_000, 1_000, 9)) == []
        assert await store.execute(ExpireFiles(3_000, 0, 9)) == [old]
        assert await store.execute(ExpireFiles(0, 3_000, 9)) == [older]
        assert await store.find_file(old.id) is None
        assert await store.find_file(older.id) is None
        assert await store.begun_files() == [young]
        assert await store.files_of(chat, None, 9) == [younger]

    async def test_no_more_files_expire_at_once_than_asked_for(
        self, store: Store
    ) -> None:
        chat = await a_chat(store)
        for number in range(3):
            await store.execute(BeginFile(a_file(chat, number), 9))
            await stored(store, a_file(chat, 10 + number))
        seen: set[str] = set()
        for count in (4, 2, 0):
            expired = await store.execute(ExpireFiles(9_000, 9_000, 4))
            assert len(expired) == count
            seen.update(file.id for file in expired)
        assert seen == {f"f-{n}" for n in (0, 1, 2, 10, 11, 12)}

    async def test_the_entry_and_the_key_of_an_expired_file_stay(
        self, store: Store
    ) -> None:
        file = await stored(store, a_file(await a_chat(store)))
        assert await store.execute(ExpireFiles(0, 9_000, 9)) == [file]
        (entry,) = await read_all(store, file.chat)
        assert entry.seq == file.seq
        assert await store.execute(FindKey(file.chat, "alice", file.key)) == entry
        again = await store.append(file.chat, file_entry(file), SealFile(file.id))
        assert (again.seq, again.duplicate) == (file.seq, True)

    async def test_of_a_forgotten_user_only_the_stored_files_stay(
        self, store: Store
    ) -> None:
        room = (await make_room(store)).id
        file = await stored(store, a_file(room, 1, "bob"))
        await store.execute(BeginFile(a_file(room, 2, "bob"), 9))
        other = await store.execute(BeginFile(a_file(room, 3), 9))
        await store.execute(ForgetUser("bob"))
        assert await store.begun_files() == [other]
        assert await store.files_of(room, None, 9) == [file]
        assert await store.file_usage("bob") == FileUsage(100, 200)

    @pytest.mark.parametrize("seed", range(5))
    async def test_sums_are_true_whatever_happens(
        self, store: Store, seed: int
    ) -> None:
        chance = random.Random(seed)
        chat = await a_chat(store)
        model: dict[str, FileRecord] = {}
        for number in range(150):
            what = chance.choice(("begin", "begin", "store", "drop", "expire"))
            begun = [file for file in model.values() if not file.is_stored]
            if what == "begin":
                owner = chance.choice(("alice", "bob"))
                size = chance.randrange(4)
                file = a_file(
                    chat, number, owner, size, f"content {size}", time_ms=number
                )
                model[file.id] = await store.execute(BeginFile(file, MANY))
            elif what == "expire":
                old = number - chance.randrange(10, 100)
                for file in await store.execute(ExpireFiles(old, old - 5, 3)):
                    del model[file.id]
            elif begun:
                file = chance.choice(begun)
                if what == "drop":
                    assert await store.execute(DropFile(file.id))
                    del model[file.id]
                else:
                    draft = file_entry(file, number)
                    done = await store.append(chat, draft, SealFile(file.id))
                    model[file.id] = as_stored(file, done)
            await assert_same(store, model)
        assert await store.check() == []


async def assert_same(store: Store, model: dict[str, FileRecord]) -> None:
    """Check sums and contents against what the records add up to."""
    records = model.values()
    contents = {file.sha256: file.size for file in records if file.is_stored}
    begun = sum(file.size for file in records if not file.is_stored)
    total = begun + sum(contents.values())
    for owner in ("alice", "bob"):
        mine = sum(file.size for file in records if file.owner == owner)
        assert await store.file_usage(owner) == FileUsage(mine, total)
    assert await store.contents() == contents


class FileRules(BegunFileRules, StoredFileRules, FileListRules, FileUsageRules):
    """All rules of files."""
