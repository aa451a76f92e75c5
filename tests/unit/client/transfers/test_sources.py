"""The source file of an upload: refusals, changes while it is sent; stream copies."""

import hashlib
import io
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from client.errors import TransferError
from client.transfers.journal import Journal
from client.transfers.records import TransferRecord
from client.transfers.recovery import take_over
from client.transfers.source import Source, Stamp, look_at
from client.transfers.stream_copy import StreamCopy

DATA = b"0123456789"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "a.bin"
    path.write_bytes(DATA)
    return path


def refusal(path: Path) -> TransferError:
    with pytest.raises(TransferError) as caught:
        look_at(path)
    return caught.value


def test_a_file_is_looked_at_without_being_read(path: Path) -> None:
    found, stamp = look_at(path)
    assert found == path
    assert stamp == Stamp.of(path.stat())
    assert stamp.size == len(DATA)


def test_a_folder_is_refused_with_what_to_do(tmp_path: Path) -> None:
    error = refusal(tmp_path)
    assert error.code == "not_a_file"
    assert "tar" in str(error)


def test_a_pipe_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    error = refusal(tmp_path / "pipe")
    assert error.code == "not_a_file"
    assert "standard input" in str(error)


def test_what_is_not_there_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path / "missing").code == "no_such_file"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read_is_refused(path: Path) -> None:
    path.chmod(0)
    assert refusal(path).code == "unreadable"


@pytest.fixture
def source(path: Path) -> Iterator[Source]:
    source = Source(path, Stamp.of(path.stat()))
    yield source
    source.close()


def test_any_part_can_be_read(source: Source) -> None:
    source.open()
    assert source.read(3, 4) == DATA[3:7]
    assert source.read(8, 100) == DATA[8:]
    assert source.read(10, 100) == b""


def change_size(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def change_time(path: Path) -> None:
    stat = path.stat()
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))


def change_file(path: Path) -> None:
    stat = path.stat()
    other = path.with_name("other")
    other.write_bytes(DATA[::-1])
    os.utime(other, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    os.replace(other, path)


@pytest.mark.parametrize("change", [change_size, change_time, change_file])
def test_a_file_that_changed_is_noticed_when_it_is_opened(
    path: Path, source: Source, change: object
) -> None:
    assert callable(change)
    change(path)
    with pytest.raises(TransferError, match="changed") as caught:
        source.open()
    assert caught.value.code == "changed"


@pytest.mark.parametrize("change", [change_size, change_time])
def test_a_file_that_changes_is_noticed_while_it_is_read(
    path: Path, source: Source, change: object
) -> None:
    assert callable(change)
    source.open()
    source.read(0, 5)
    change(path)
    with pytest.raises(TransferError, match="changed"):
        source.read(5, 5)


# Stream copies ------------------------------------------------------------------------


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return tmp_path / "spool" / "1"


def test_a_stream_is_copied_privately_and_hashed(copy: Path) -> None:
    data = os.urandom(3_000_000)
    spool = StreamCopy(io.BytesIO(data), copy)
    spool.open()
    while spool.copy():
        pass
    stamp, sha256 = spool.finish()
    assert copy.read_bytes() == data
    assert copy.stat().st_mode & 0o777 == 0o600
    assert copy.parent.stat().st_mode & 0o777 == 0o700
    assert stamp == Stamp.of(copy.stat())
    assert sha256 == hashlib.sha256(data).hexdigest()
    assert spool.size == len(data)


def test_a_pipe_that_is_silent_does_not_hold_anybody_up(copy: Path) -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as stream, os.fdopen(writing, "wb", 0) as other:
        spool = StreamCopy(stream, copy)
        spool.open()
        assert spool.copy()
        assert spool.size == 0
        other.write(DATA)
        assert spool.copy()
        assert spool.size == len(DATA)
        other.close()
        assert not spool.copy()
        spool.close()


def test_what_a_slow_program_writes_is_copied_to_its_end(copy: Path) -> None:
    reading, writing = os.pipe()

    def write() -> None:
        with os.fdopen(writing, "wb", 0) as other:
            for _ in range(100):
                other.write(DATA * 100)

    thread = threading.Thread(target=write)
    with os.fdopen(reading, "rb") as stream:
        spool = StreamCopy(stream, copy)
        spool.open()
        thread.start()
        while spool.copy():
            pass
        spool.finish()
    thread.join()
    assert copy.read_bytes() == DATA * 10_000


def test_a_stream_that_cannot_be_read_is_an_error(copy: Path) -> None:
    stream = io.BytesIO()
    stream.close()
    spool = StreamCopy(stream, copy)
    spool.open()
    with pytest.raises(TransferError, match="input"):
        spool.copy()
    spool.close()


def test_a_copy_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "spool").write_text("a file where a folder should be")
    with pytest.raises(TransferError, match="spool"):
        StreamCopy(io.BytesIO(), tmp_path / "spool" / "1").open()


def test_of_copies_those_are_kept_that_can_be_sent(tmp_path: Path) -> None:
    spool, state = tmp_path / "spool", tmp_path / "transfers.db"
    spool.mkdir()
    for name in ("whole", "half", "cancelled", "stray", "others"):
        (spool / name).write_text(name)

    def row(
        name: str, sha256: str | None, is_cancelled: bool = False
    ) -> TransferRecord:
        return TransferRecord(
            direction="up",
            chat="#ops",
            name=name,
            sha256=sha256,
            file="id" if is_cancelled else None,
            path=spool / name,
            is_spool=True,
            is_cancelled=is_cancelled,
        )

    living, dead = Journal(state), Journal(state)
    living.add(row("others", None))
    dead.add(row("whole", "0" * 64))
    dead.add(row("half", None))
    dead.add(row("cancelled", "0" * 64, is_cancelled=True))
    dead.close()
    journal = take_over(state, spool, lambda _: None)
    assert [row.name for row in journal.adopted] == ["whole", "cancelled"]
    assert sorted(path.name for path in spool.iterdir()) == ["others", "whole"]
    journal.close()
    living.close()
