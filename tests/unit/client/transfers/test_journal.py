"""The transfer journal: rows survive kills and damage, and have one owner."""

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from client.transfers.journal import Journal, JournalError
from client.transfers.records import TransferRecord

UP = TransferRecord(
    direction="up", chat="#ops", name="a.bin", size=5, path=Path("/a.bin")
)
DOWN = TransferRecord(
    direction="down",
    chat="@bob",
    name="b.bin",
    size=7,
    sha256="0" * 64,
    file="id",
    seq=3,
    text="caption",
    folder=Path("/downloads"),
    partial=Path("/downloads/.b.bin.1.part"),
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "transfers.db"


def adopted(path: Path) -> list[TransferRecord]:
    journal = Journal(path)
    journal.close()
    return journal.adopted


def test_what_is_written_down_is_adopted_as_it_was(path: Path) -> None:
    journal = Journal(path)
    rows = [journal.add(UP), journal.add(DOWN)]
    journal.close()
    assert adopted(path) == rows
    assert rows[0].id < rows[1].id


def test_a_path_may_be_no_valid_unicode(path: Path) -> None:
    strange = Path("/tmp/\udcff")
    journal = Journal(path)
    row = journal.add(msgspec.structs.replace(UP, path=strange))
    journal.close()
    assert adopted(path) == [row]


def test_changes_are_kept_and_what_is_over_is_not(path: Path) -> None:
    journal = Journal(path)
    kept, over = journal.add(UP), journal.add(DOWN)
    kept = msgspec.structs.replace(kept, file="id", sha256="1" * 64, is_cancelled=True)
    journal.update(kept)
    journal.remove(over)
    journal.close()
    assert adopted(path) == [kept]


def test_every_key_begins_with_many_random_bits(path: Path) -> None:
    one, other = Journal(path), Journal(path)
    keys = [one.new_key(), one.add(UP).key, other.new_key()]
    prefixes = [key.rpartition("-")[0] for key in keys]
    assert prefixes[0] == prefixes[1] != prefixes[2]
    assert all(len(prefix) * 6 >= 96 for prefix in prefixes)
    assert len(set(keys)) == 3
    assert all(len(key) <= 64 for key in keys)
    one.close()
    other.close()


def test_the_rows_of_a_living_process_are_left_alone(path: Path) -> None:
    one = Journal(path)
    row = one.add(UP)
    other = Journal(path)
    assert other.adopted == []
    one.close()
    third = Journal(path)
    assert third.adopted == [row]
    other.close()
    third.close()


def test_a_killed_process_loses_nothing(path: Path) -> None:
    code = (
        "import os, signal, sys, pathlib\n"
        "from client.transfers.journal import Journal\n"
        "from client.transfers.records import TransferRecord\n"
        "journal = Journal(pathlib.Path(sys.argv[1]))\n"
        "for i in range(3):\n"
        "    journal.add(TransferRecord(direction='up', chat='#ops', name=str(i)))\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], timeout=30)
    assert done.returncode == -9
    assert [row.name for row in adopted(path)] == ["0", "1", "2"]
    assert [row.name for row in adopted(path)] == ["0", "1", "2"]


def test_no_lock_file_of_a_process_is_left_behind(path: Path) -> None:
    journal = Journal(path)
    row = journal.add(UP)
    journal.close()
    # The lock of a process that was killed when it had no transfers.
    path.with_name(f"{path.name}.killed.lock").touch()
    journal = Journal(path)
    journal.remove(row)
    journal.close()
    assert list(path.parent.glob(f"{path.name}.*.lock")) == []


def test_it_is_readable_by_its_owner_alone(path: Path) -> None:
    Journal(path).close()
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_a_damaged_journal_is_moved_aside_and_its_rows_saved(path: Path) -> None:
    journal = Journal(path)
    rows = [
        journal.add(msgspec.structs.replace(UP, text="x" * 500)) for _ in range(200)
    ]
    journal.close()
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(size * 3 // 4)
        file.write(b"\xff" * (size // 4))
    notices: list[str] = []
    journal = Journal(path, notices.append)
    saved = journal.adopted
    journal.close()
    assert 0 < len(saved) < len(rows)
    assert saved == rows[: len(saved)]
    assert f"{len(saved)} transfers could be saved" in notices[0]
    assert [p for p in path.parent.iterdir() if "damaged" in p.name]


def test_what_is_no_database_is_moved_aside(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"this is no database" * 100)
    notices: list[str] = []
    Journal(path, notices.append).close()
    assert len(notices) == 1


def test_a_journal_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file where a folder should be")
    with pytest.raises(JournalError, match="journal"):
        Journal(tmp_path / "state" / "transfers.db")


def test_a_journal_of_a_newer_version_is_left_alone(path: Path) -> None:
    journal = Journal(path)
    journal._db.execute("PRAGMA user_version = 99")
    journal.close()
    with pytest.raises(JournalError, match="newer version"):
        Journal(path)


def test_after_close_nothing_is_written_any_more(path: Path) -> None:
    journal = Journal(path)
    journal.close()
    with pytest.raises(JournalError):
        journal.add(UP)


def test_what_could_not_be_written_is_no_part_of_what_is_written_later(
    path: Path,
) -> None:
    journal = Journal(path)
    kept = journal.add(UP)
    with pytest.raises(JournalError):
        journal.add(msgspec.structs.replace(UP, key=kept.key, name="the same key"))
    other = journal.add(DOWN)
    journal.close()
    assert adopted(path) == [kept, other]


def test_in_memory_it_works_too() -> None:
    journal = Journal(None)
    assert journal.add(UP).id > 0
    journal.close()
