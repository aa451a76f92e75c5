"""Adoption of a killed process's transfers, and the same command given again."""

from pathlib import Path

import msgspec
import pytest

from client.transfers import adoption
from client.transfers.journal import Journal, TakenOverError
from client.transfers.records import TransferRecord

UP = TransferRecord(
    direction="up", chat="#ops", name="a.bin", size=5, path=Path("/a.bin"), mtime_ns=7
)
DOWN = TransferRecord(
    direction="down", chat="#ops", name="b", file="id", folder=Path("/downloads")
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "transfers.db"


def left_behind(path: Path, *rows: TransferRecord) -> list[TransferRecord]:
    """Let a process write journal rows, and end."""
    journal = Journal(path)
    found = [journal.add(row) for row in rows]
    journal.close()
    return found


def test_what_a_living_process_has_adopted_is_taken_over_with_its_key(
    path: Path,
) -> None:
    (left,) = left_behind(path, UP)
    adopting, asking = Journal(path), Journal(path)
    assert asking.take(msgspec.structs.replace(UP, inode=9)) == left
    assert (adopting.owns(left), asking.owns(left)) == (False, True)
    with pytest.raises(TakenOverError):
        adopting.update(left)
    # Nor is the row removed when the adopting process is done with it.
    adopting.remove(left, is_sent=True)
    asking.update(left)
    adopting.close()
    asking.close()
    assert left_adopted(path) == [left]


def left_adopted(path: Path) -> list[TransferRecord]:
    journal = Journal(path)
    journal.close()
    return journal.adopted


@pytest.mark.parametrize(
    "changes",
    [{"chat": "#dev"}, {"name": "b"}, {"path": Path("/b")}, {"text": "look"}]
    + [{"size": 6}, {"mtime_ns": 8}],
)
def test_another_file_or_another_chat_is_not_what_was_left(
    path: Path, changes: dict[str, object]
) -> None:
    left_behind(path, UP)
    adopting, asking = Journal(path), Journal(path)
    assert asking.take(msgspec.structs.replace(UP, **changes)) is None
    adopting.close()
    asking.close()


def test_what_somebody_waits_for_is_not_taken_from_them(path: Path) -> None:
    (left,) = left_behind(path, UP)
    living, asking = Journal(path), Journal(path)
    assert living.ask_again(left)
    living.add(UP)
    assert asking.take(UP) is None
    living.close()
    asking.close()


def test_what_was_taken_is_not_taken_once_more(path: Path) -> None:
    left_behind(path, UP)
    adopting, asking, third = Journal(path), Journal(path), Journal(path)
    (adopted,) = adopting.adopted
    assert asking.take(UP) == adopted
    assert not adopting.ask_again(adopted)
    assert third.take(UP) is None
    for journal in (adopting, asking, third):
        journal.close()


@pytest.mark.parametrize("row", [UP, DOWN])
def test_of_a_process_that_has_ended_since_only_what_is_asked_for_is_taken(
    path: Path, row: TransferRecord
) -> None:
    journal = Journal(path)
    left, other = left_behind(path, row, msgspec.structs.replace(UP, name="other"))
    assert journal.take(row) == left
    journal.remove(left)
    journal.close()
    assert left_adopted(path) == [other]


def test_two_processes_never_fill_one_partial_file(path: Path) -> None:
    left_behind(path, DOWN)
    adopting, asking = Journal(path), Journal(path)
    assert asking.take(DOWN) is None
    adopting.close()
    asking.close()


def test_what_was_sent_for_a_killed_process_answers_one_command(path: Path) -> None:
    left = msgspec.structs.replace(UP, sha256="0" * 64, file="id")
    (left,) = left_behind(path, left)
    adopting = Journal(path)
    adopting.remove(left, is_sent=True)
    adopting.close()
    asking = Journal(path)
    assert asking.adopted == []
    again = asking.take(UP)
    assert again is not None
    assert (again.key, again.sha256, again.file) == (left.key, left.sha256, None)
    assert asking.take(UP) is None
    # The command has claimed it, so it is no other command's answer when it is over.
    asking.remove(again, is_sent=True)
    assert asking.take(UP) is None
    asking.close()


def test_after_a_day_the_same_command_is_a_new_one(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (left,) = left_behind(path, msgspec.structs.replace(UP, sha256="0" * 64))
    adopting = Journal(path)
    adopting.remove(left, is_sent=True)
    adopting.close()
    monkeypatch.setattr(adoption, "KEPT_SECONDS", -1)
    asking = Journal(path)
    assert asking.take(UP) is None
    asking.close()


def test_what_is_not_kept_is_never_on_the_disk(path: Path) -> None:
    journal = Journal(path)
    rows = [journal.add(DOWN, is_kept=False) for _ in range(2)]
    assert len({row.id for row in rows} | {row.key for row in rows}) == 4
    journal.update(rows[0])
    assert journal.owns(rows[0])
    journal.remove(rows[1])
    journal.close()
    assert left_adopted(path) == []


def test_a_journal_of_the_first_version_is_gone_on_with(path: Path) -> None:
    (left,) = left_behind(path, UP)
    journal = Journal(path)
    for table in ("adopted", "sent"):
        journal._db.execute(f"DROP TABLE {table}")
    journal._db.execute("PRAGMA user_version = 1")
    journal.close()
    assert left_adopted(path) == [left]
