"""Purity: modules without I/O cannot import it; the library needs no terminal."""

import subprocess
import sys

import pytest

from tests import ROOT

_BLOCKED = ("asyncio", "socket", "ssl", "sqlite3", "prompt_toolkit")


@pytest.mark.parametrize(
    "module",
    [
        "client.model.entries",
        "client.model.changes",
        "client.model.chat",
        "client.model.model",
        "client.link.send_order",
    ],
)
def test_the_pure_modules_do_no_io(module: str) -> None:
    # The package ``client.link`` imports the whole library: it is left out.
    code = (
        f"import sys, types\nsys.modules.update(dict.fromkeys({_BLOCKED!r}))\n"
        "front = types.ModuleType('client.link')\nfront.__path__ = ['client/link']\n"
        f"sys.modules['client.link'] = front\nimport {module}"
    )
    done = run(code)
    assert done.stderr == ""
    assert done.returncode == 0


def test_the_library_needs_no_terminal() -> None:
    code = (
        "import sys; sys.modules['prompt_toolkit'] = None\nimport client.link\n"
        "print(*{m.split('.')[1] for m in sys.modules if m.startswith('chatd.')})"
    )
    done = run(code)
    assert done.stderr == ""
    assert set(done.stdout.split()) <= {"protocol", "text", "system"}


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT
    )
