"""The partial file of a download: resumed, hashed, named."""

import errno
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from client.errors import TransferError
from client.transfers.download import choose_target
from client.transfers.partial_file import PartialFile, partial_path

DATA = os.urandom(2_500_000)
SHA256 = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def partial(tmp_path: Path) -> Iterator[PartialFile]:
    partial = PartialFile(tmp_path / ".x.part", len(DATA))
    yield partial
    partial.close()


def absorb(partial: PartialFile) -> None:
    partial.open()
    while not partial.is_absorbed:
        partial.absorb()
    partial.rewind()


def test_what_is_written_is_hashed_and_named(
    partial: PartialFile, tmp_path: Path
) -> None:
    absorb(partial)
    for at in range(0, len(DATA), 700_000):
        partial.write(memoryview(DATA)[at : at + 700_000])
        partial.hash(memoryview(DATA)[at : at + 700_000])
    assert partial.is_complete
    assert partial.has(SHA256)
    assert not partial.was_resumed
    assert partial.finish(tmp_path, "x").read_bytes() == DATA


def test_what_an_earlier_process_wrote_is_gone_on_with(
    partial: PartialFile, tmp_path: Path
) -> None:
    partial.path.write_bytes(DATA[:1_600_000])
    absorb(partial)
    assert partial.offset == 1_600_000
    assert partial.was_resumed
    partial.write(DATA[1_600_000:])
    partial.hash(DATA[1_600_000:])
    assert partial.has(SHA256)
    assert partial.finish(tmp_path, "x").read_bytes() == DATA


def test_more_than_there_should_be_is_of_no_use(partial: PartialFile) -> None:
    partial.path.write_bytes(DATA + b"more")
    absorb(partial)
    assert partial.offset == 0
    assert partial.path.stat().st_size == 0


def test_a_restart_drops_all_bytes(partial: PartialFile) -> None:
    partial.path.write_bytes(b"wrong" * 1000)
    absorb(partial)
    partial.restart()
    assert not partial.was_resumed
    partial.write(DATA)
    partial.hash(DATA)
    assert partial.has(SHA256)
    assert partial.path.read_bytes() == DATA


def test_a_link_in_its_place_is_not_followed(
    partial: PartialFile, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text("secret")
    partial.path.symlink_to(tmp_path / "secret")
    with pytest.raises(TransferError):
        partial.open()
    assert (tmp_path / "secret").read_text() == "secret"


class FullFile:
    """A file on a disk that is full."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def write(self, data: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def test_a_full_disk_is_an_error_that_says_so(partial: PartialFile) -> None:
    partial.open()
    partial._file = FullFile(partial._file)  # type: ignore[assignment]
    with pytest.raises(TransferError, match="no room") as caught:
        partial.write(DATA)
    assert caught.value.code == "storage_full"


def test_its_name_is_hidden_and_fits(tmp_path: Path) -> None:
    one, other = (partial_path(tmp_path, "é" * 127) for _ in range(2))
    assert one != other
    assert one.name.startswith(".é")
    assert one.name.endswith(".part")
    assert len(one.name.encode()) <= 255


# The place to save it -----------------------------------------------------------------


def test_a_file_is_saved_under_its_own_name_made_harmless(tmp_path: Path) -> None:
    default = tmp_path / "new" / "downloads"
    assert choose_target("../a:b", None, None, default) == (default, "a_b")
    assert default.is_dir()


def test_a_folder_may_be_chosen(tmp_path: Path) -> None:
    found = choose_target("x", tmp_path, None, tmp_path / "downloads")
    assert found == (tmp_path, "x")
    assert not (tmp_path / "downloads").exists()


def test_a_path_may_be_chosen(tmp_path: Path) -> None:
    found = choose_target("x", None, tmp_path / ".Y ", tmp_path)
    assert found == (tmp_path, ".Y ")


def refusal(folder: Path | None, path: Path | None) -> str:
    with pytest.raises(TransferError) as caught:
        choose_target("x", folder, path, Path("/nowhere"))
    return caught.value.code


def test_where_nothing_can_be_saved_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("old")
    assert refusal(tmp_path / "missing", None) == "no_such_file"
    assert refusal(tmp_path / "file", None) == "no_such_file"
    assert refusal(None, tmp_path / "missing" / "x") == "no_such_file"
    assert refusal(None, tmp_path / "file") == "exists"
    assert refusal(None, tmp_path) == "exists"
