"""The data folder and its lock (chatd.settings.data_folder)."""

import errno
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from chatd.settings.data_folder import (
    RESTORE_FOLDER,
    DataFolder,
    DataFolderError,
    LockedError,
)


def test_the_folder_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    with DataFolder.open(tmp_path / "a/b") as folder:
        assert folder.path.stat().st_mode & 0o777 == 0o700
        assert (folder.path / "lock").stat().st_mode & 0o777 == 0o600


def test_a_second_one_is_refused_and_told_the_process(tmp_path: Path) -> None:
    with (
        DataFolder.open(tmp_path),
        pytest.raises(LockedError, match=f"process {os.getpid()}"),
    ):
        DataFolder.open(tmp_path)


def test_a_closed_folder_can_be_opened_again(tmp_path: Path) -> None:
    folder = DataFolder.open(tmp_path)
    folder.close()
    folder.close()
    DataFolder.open(tmp_path).close()


def test_the_lock_ends_with_the_process(tmp_path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path;"
        "from chatd.settings.data_folder import DataFolder;"
        "DataFolder.open(Path(sys.argv[1])); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    assert (tmp_path / "lock").read_text().strip().isdigit()
    DataFolder.open(tmp_path).close()


def test_a_file_in_its_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x").touch()
    with pytest.raises(DataFolderError, match="is not a folder"):
        DataFolder.open(tmp_path / "x")
    with pytest.raises(DataFolderError, match="is not a folder"):
        DataFolder.open(tmp_path / "x/y")


def test_a_lock_that_is_a_link_to_elsewhere_is_refused(tmp_path: Path) -> None:
    (tmp_path / "lock").symlink_to(tmp_path / "other")
    with pytest.raises(DataFolderError):
        DataFolder.open(tmp_path)
    assert not (tmp_path / "other").exists()


def test_a_folder_with_half_a_restore_is_refused_and_not_kept_locked(
    tmp_path: Path,
) -> None:
    (tmp_path / RESTORE_FOLDER).mkdir()
    for _ in range(2):
        with pytest.raises(DataFolderError, match="broken off"):
            DataFolder.open(tmp_path)


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (errno.EROFS, "read-only disk: mount it for writing"),
        (errno.ENOSPC, "the disk is full: make room"),
        (errno.EACCES, "is not allowed to: give the folder to that user"),
        (errno.EIO, "error"),
    ],
)
def test_what_the_system_refuses_is_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, reason: str
) -> None:
    def refuse(*_: Any) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("chatd.settings.data_folder.os.open", refuse)
    with pytest.raises(DataFolderError, match=reason):
        DataFolder.open(tmp_path)


def test_a_full_disk_does_not_matter_once_there_is_a_lock_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> int:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr("chatd.settings.data_folder.os.pwrite", refuse)
    DataFolder.open(tmp_path).close()
