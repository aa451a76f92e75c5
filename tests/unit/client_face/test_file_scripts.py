"""Where a file is gathered that is to be printed."""

from pathlib import Path

import pytest

from client.file_scripts import private_folder
from client.lockfile import FileLock


def test_a_private_folder_is_removed_at_the_end_whatever_happens(
    tmp_path: Path,
) -> None:
    def interrupted() -> None:
        with private_folder(tmp_path / "get") as folder:
            (folder / "half a file").touch()
            assert folder.stat().st_mode & 0o777 == 0o700
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list((tmp_path / "get").iterdir()) == []


def test_what_a_process_that_died_has_left_is_removed_and_nothing_else(
    tmp_path: Path,
) -> None:
    for name in ("dead", "alive"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").touch()
        (tmp_path / f"{name}.lock").touch()
    alive = FileLock(tmp_path / "alive.lock")
    assert alive.acquire()
    with private_folder(tmp_path):
        assert not (tmp_path / "dead").exists()
        assert (tmp_path / "alive" / "file").exists()
    alive.release()
