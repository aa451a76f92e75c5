"""The error log of the full screen: errors go to a file, never to the screen."""

import logging
import subprocess
import sys
from pathlib import Path

import pytest

from client.ui.error_log import MAX_BYTES, error_log
from tests.helpers import eventually

RUN = """
import asyncio, gc, sys, threading, warnings
from pathlib import Path
from client.ui.error_log import error_log

class Failing:
    def __del__(self):
        raise ValueError("in a destructor")

def fail():
    raise ValueError("in a thread")

async def main():
    with error_log(Path(sys.argv[1]), print):
        thread = threading.Thread(target=fail)
        thread.start()
        thread.join()
        Failing()
        gc.collect()
        warnings.warn("of something", RuntimeWarning, stacklevel=1)

asyncio.run(main())
"""


def test_nothing_of_what_python_says_by_itself_reaches_the_screen(
    tmp_path: Path,
) -> None:
    path = tmp_path / "chat.log"
    arguments = [sys.executable, "-c", RUN, str(path)]
    done = subprocess.run(arguments, capture_output=True, text=True)
    assert done.stderr == ""
    noted = path.read_text("utf-8")
    for wanted in ("in a thread", "in a destructor", "RuntimeWarning: of something"):
        assert wanted in noted


async def test_an_error_is_told_with_the_place_where_it_is_noted(
    tmp_path: Path,
) -> None:
    path, said = tmp_path / "state" / "chat.log", list[str]()
    with error_log(path, said.append):
        logging.getLogger("client.any").error("the reason")
        await eventually(lambda: bool(said), "the sentence")
    assert said == [f"something went wrong inside: see {path}"]
    assert "ERROR client.any: the reason" in path.read_text("utf-8")
    assert path.stat().st_mode & 0o077 == 0


async def test_a_warning_is_noted_in_silence(tmp_path: Path) -> None:
    path, said = tmp_path / "chat.log", list[str]()
    with error_log(path, said.append):
        logging.getLogger("client.any").warning("the reason")
    assert "WARNING client.any: the reason" in path.read_text("utf-8")
    assert said == []


async def test_there_is_no_file_while_nothing_goes_wrong(tmp_path: Path) -> None:
    with error_log(tmp_path / "chat.log", print):
        logging.getLogger("client.any").info("all is well")
    assert not (tmp_path / "chat.log").exists()


async def test_a_file_that_has_grown_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "chat.log"
    path.write_bytes(b"x" * (MAX_BYTES + 1))
    with error_log(path, lambda text: None):
        logging.getLogger("client.any").warning("the reason")
    assert path.stat().st_size < 1_000


@pytest.mark.skipif(sys.platform == "win32", reason="the folder cannot be refused")
async def test_a_file_that_cannot_be_written_ends_nothing(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("not a folder")
    said = list[str]()
    with error_log(tmp_path / "state" / "chat.log", said.append):
        logging.getLogger("client.any").error("the reason")
        await eventually(lambda: bool(said), "the sentence")
