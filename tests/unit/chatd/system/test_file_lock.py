"""File locks: one holder, given back however it ends, also with its file."""

import errno
import os
import threading
from pathlib import Path

import pytest

from chatd.system.file_lock import FileLock, locked


def test_one_holds_it_at_a_time(tmp_path: Path) -> None:
    one, two = FileLock(tmp_path / "lock"), FileLock(tmp_path / "lock")
    assert one.acquire()
    before = len(os.listdir("/proc/self/fd"))
    assert not two.acquire()
    assert not one.acquire()
    assert len(os.listdir("/proc/self/fd")) == before
    one.release()
    assert two.acquire()
    two.release()
    two.release()
    assert (tmp_path / "lock").stat().st_mode & 0o777 == 0o600


def test_who_waits_for_a_lock_whose_file_is_removed_makes_another(
    tmp_path: Path,
) -> None:
    one, two, three = (FileLock(tmp_path / "lock") for _ in range(3))
    assert one.acquire()
    waiting = threading.Thread(target=two.acquire, args=(True,))
    waiting.start()
    one.release(is_removed=True)
    waiting.join()
    assert not three.acquire()
    two.release(is_removed=True)
    assert list(tmp_path.iterdir()) == []


def test_a_link_to_elsewhere_is_refused(tmp_path: Path) -> None:
    (tmp_path / "lock").symlink_to(tmp_path / "other")
    with pytest.raises(OSError, match="symbolic links"):
        FileLock(tmp_path / "lock").acquire()
    assert not (tmp_path / "other").exists()


def test_where_there_are_no_locks_a_file_is_changed_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(handle: int, how: int) -> None:
        raise OSError(errno.ENOLCK, "no locks available")

    monkeypatch.setattr("chatd.system.file_lock.fcntl.flock", refuse)
    with locked(tmp_path / "file"):
        pass
    with pytest.raises(OSError, match="no locks"):
        FileLock(tmp_path / "lock").acquire()
