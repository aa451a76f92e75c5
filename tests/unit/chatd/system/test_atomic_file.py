"""Replacing a file: the old one or the new one; the user table's tests kill it too."""

from pathlib import Path

import pytest

from chatd.system.atomic_file import NotReplacedError, Step, replace_file


def test_a_replaced_file_is_private_and_leaves_no_litter(tmp_path: Path) -> None:
    path = tmp_path / "file"
    replace_file(path, [b"o", b"ne"])
    path.chmod(0o644)
    replace_file(path, [b"two"])
    assert path.read_bytes() == b"two"
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("failing", ["open", "write", "sync", "rename", "sync_folder"])
def test_a_failure_is_an_error_with_a_sentence(tmp_path: Path, failing: Step) -> None:
    def fail(step: Step) -> None:
        if step == failing:
            raise OSError(28, "No space left on device")

    path = tmp_path / "file"
    replace_file(path, [b"old"])
    with pytest.raises(NotReplacedError) as caught:
        replace_file(path, [b"new"], fail)
    what = "may not have been" if failing == "sync_folder" else "could not be"
    assert caught.value.reason == f"file {what} saved, because the disk is full"
    assert caught.value.strerror == "No space left on device"
    assert path.read_bytes() == (b"new" if failing == "sync_folder" else b"old")
    assert list(tmp_path.iterdir()) == [path]
