"""Garbage collection (client.cli.gc_tuning): off during the start, else as usual."""

import subprocess
import sys
from pathlib import Path

REPORT = "print(gc.isenabled(), gc.get_freeze_count() > 0)"


def run(code: str, home: Path) -> subprocess.CompletedProcess[str]:
    arguments = [sys.executable, "-c", code, str(home)]
    return subprocess.run(arguments, capture_output=True, text=True)


def said_by(code: str, home: Path) -> list[str]:
    done = run(code, home)
    assert done.stderr == ""
    return done.stdout.splitlines()


def test_what_there_is_at_the_beginning_is_never_searched(tmp_path: Path) -> None:
    code = (
        "import gc\nfrom client.cli import gc_tuning\n"
        f"gc_tuning.disable(); {REPORT[:-1]}, end=' ')\n"
        f"gc_tuning.begin(); {REPORT}"
    )
    assert said_by(code, tmp_path) == ["False False True True"]


def test_where_it_was_not_put_off_nothing_changes(tmp_path: Path) -> None:
    code = f"import gc\nfrom client.cli import gc_tuning\ngc_tuning.begin(); {REPORT}"
    assert said_by(code, tmp_path) == ["True False"]


def test_the_program_imports_without_it_and_runs_commands_with_it(
    tmp_path: Path,
) -> None:
    code = (
        "import gc, sys\nfrom client.cli import gc_tuning\n"
        "begin = gc_tuning.begin\n"
        f"def begun():\n    {REPORT[:-1]}, end=' ')\n    begin()\n    {REPORT}\n"
        "gc_tuning.begin = begun\n"
        "sys.argv = ['chat', 'trust', '--help']\n"
        "from client.__main__ import main\nmain()"
    )
    assert said_by(code, tmp_path)[0] == "False False True True"


def test_a_face_starts_without_it_and_goes_on_with_it(tmp_path: Path) -> None:
    code = """
import asyncio, gc, sys
from pathlib import Path
from client.cli import gc_tuning
from client.cli import open_chat
from client.storage.saved_logins import SavedLogins
from client.storage.paths import Paths
from client.cli.first_run import Options

class Face:
    async def run(self):
        print("enabled" if gc.isenabled() else "put off", file=sys.stderr)
        while not gc.isenabled():
            await asyncio.sleep(0)

class Terminal:
    def isatty(self): return True
    def write(self, text): pass
    def flush(self): pass

sys.stdin = sys.stdout = Terminal()
gc_tuning.START_SECONDS = 0
open_chat.make_frontend = lambda name, start: Face()
paths = Paths.under(Path(sys.argv[1]))
SavedLogins(paths.logins).remember("tls://lab:4747", "alice", "token")
open_chat.chat(paths, Options(), "full")
"""
    done = run(code, tmp_path)
    assert (done.stderr, done.returncode) == ("put off\n", 0)
