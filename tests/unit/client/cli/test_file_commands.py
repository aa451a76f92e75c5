"""The private folder for files that are printed (client.cli.file_commands)."""

from pathlib import Path

import pytest

from chatd.system.file_lock import FileLock
from client.transfers.private_folder import private_folder, sweep_private


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
    with private_folder(tmp_path) as folder:
        sweep_private(tmp_path)
        assert not (tmp_path / "dead").exists()
        assert (tmp_path / "alive" / "file").exists()
        assert folder.exists()
    alive.release()


def test_where_nothing_was_ever_printed_there_is_nothing_to_remove(
    tmp_path: Path,
) -> None:
    sweep_private(tmp_path / "get")
    assert not (tmp_path / "get").exists()
