"""What is said to be without I/O cannot even reach it."""

import subprocess
import sys

import pytest

_BLOCKED = ("asyncio", "socket", "ssl", "sqlite3", "prompt_toolkit")


@pytest.mark.parametrize(
    "module", ["client.model", "client.chat", "client.changes", "client.drain"]
)
def test_the_pure_modules_do_no_io(module: str) -> None:
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({_BLOCKED!r}))\nimport {module}"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stderr == ""
    assert done.returncode == 0


def test_the_library_needs_no_terminal() -> None:
    code = (
        "import sys; sys.modules['prompt_toolkit'] = None\nimport client.link\n"
        "assert not any(m.startswith('chatd.') and not m.startswith('chatd.protocol')"
        " for m in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stderr == ""
