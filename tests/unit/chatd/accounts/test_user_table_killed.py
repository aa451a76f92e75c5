"""The user table: its file is replaced whole, whichever step a kill comes at."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from chatd.accounts.user_table import UserTable
from chatd.system.atomic_file import temporary_path
from tests.unit.chatd.accounts.fakes import creating

USERS = 1200  # three chunks, so that the file is also cut in the middle

_VICTIM = """
import asyncio, os, signal, sys
from pathlib import Path
from chatd.accounts.user_table import UserTable
from tests.unit.chatd.accounts.fakes import creating

folder, fatal, nth = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
seen = 0

def before(step):
    global seen
    seen += step == fatal
    if seen == nth:
        os.kill(os.getpid(), signal.SIGKILL)

async def main():
    table = UserTable.open(folder, before)
    await table.update("new", creating("new"))
    if fatal == "done":
        os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


async def fill(folder: Path) -> None:
    table = UserTable.open(folder)
    names = [f"user{number}" for number in range(USERS)]
    await asyncio.gather(*(table.update(name, creating(name)) for name in names))


def kill_at(folder: Path, step: str, nth: int) -> int:
    return subprocess.run(
        [sys.executable, "-c", _VICTIM, str(folder), step, str(nth)],
        check=False,
        timeout=30,
    ).returncode


@pytest.mark.parametrize(
    ("step", "nth", "is_new"),
    [
        ("open", 1, False),
        ("write", 1, False),
        ("write", 2, False),
        ("write", 4, False),
        ("write", 5, False),
        ("sync", 1, False),
        ("rename", 1, False),
        ("sync_folder", 1, True),
        ("done", 1, True),
    ],
)
async def test_killed_at_any_step_the_file_is_the_old_or_the_new_table(
    tmp_path: Path, step: str, nth: int, is_new: bool
) -> None:
    await fill(tmp_path)
    assert await asyncio.to_thread(kill_at, tmp_path, step, nth) == -signal.SIGKILL
    table = UserTable.open(tmp_path)
    assert len(table) == USERS + is_new
    assert (table.get("new") is not None) == is_new
    assert not temporary_path(tmp_path / "users.json").exists()


async def test_killed_while_the_first_table_is_made_it_is_made_again(
    tmp_path: Path,
) -> None:
    killed = await asyncio.to_thread(kill_at, tmp_path, "sync", 1)
    assert killed == -signal.SIGKILL
    assert os.listdir(tmp_path) == [".users.json.new"]
    assert len(UserTable.open(tmp_path)) == 0
    assert os.listdir(tmp_path) == ["users.json"]


async def test_the_table_goes_on_after_a_kill(tmp_path: Path) -> None:
    await fill(tmp_path)
    await asyncio.to_thread(kill_at, tmp_path, "write", 2)
    table = UserTable.open(tmp_path)
    await table.update("new", creating("new"))
    assert len(UserTable.open(tmp_path)) == USERS + 1
