"""Who may import whom: the layers of the daemon, and the client beside it."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# A folder may import from itself and from those of a lower rank.
RANKS = {
    "chatd.protocol": 0,
    "chatd.store": 1,
    "chatd.accounts": 1,
    "chatd.core": 2,
    "chatd.listeners": 3,
}

# What belongs to the machine, and has no place in the rules of chatting.
MACHINE = {"json", "os", "pathlib", "socket", "sqlite3", "ssl", "uvloop"}


def files(package: str) -> list[Path]:
    return sorted((ROOT / package.replace(".", "/")).rglob("*.py"))


def imports(path: Path) -> Iterator[str]:
    """Yield the full name of everything imported in a file, wherever it stands."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def is_within(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def folder_of(name: str) -> str | None:
    return next((folder for folder in RANKS if is_within(name, folder)), None)


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def modules_at_the_top() -> set[str]:
    return {module_of(path) for path in (ROOT / "chatd").glob("*.py")}


def forbidden(folder: str) -> list[str]:
    """Return what files of a folder import from folders that are not below it."""
    found = []
    for path in files(folder):
        for name in imports(path):
            other = folder_of(name)
            if other not in (None, folder) and RANKS[other] >= RANKS[folder]:
                found.append(f"{module_of(path)} imports {name}")
    return found


def test_the_folders_are_those_of_the_daemon() -> None:
    there = {f"chatd.{path.parent.name}" for path in ROOT.glob("chatd/*/__init__.py")}
    assert there <= set(RANKS)


@pytest.mark.parametrize("folder", RANKS)
def test_a_folder_imports_only_from_folders_below_it(folder: str) -> None:
    assert forbidden(folder) == []


@pytest.mark.parametrize("folder", [name for name in RANKS if RANKS[name] < 3])
def test_what_is_below_the_listeners_needs_no_module_at_the_top(folder: str) -> None:
    top = modules_at_the_top() - {"chatd"}
    wrong = [
        f"{module_of(path)} imports {name}"
        for path in files(folder)
        for name in imports(path)
        if any(is_within(name, module) for module in top)
    ]
    assert wrong == []


def test_what_listeners_import_at_the_top_does_not_import_listeners() -> None:
    needed = {name for path in files("chatd.listeners") for name in imports(path)}
    seen: set[str] = set()
    queue = [m for m in modules_at_the_top() if any(is_within(n, m) for n in needed)]
    queue = [module for module in queue if module != "chatd"]
    while queue:
        module = queue.pop()
        seen.add(module)
        names = set(imports(ROOT / (module.replace(".", "/") + ".py")))
        assert not any(is_within(name, "chatd.listeners") for name in names), module
        queue += [
            m
            for m in modules_at_the_top() - seen - {"chatd"}
            if any(is_within(name, m) for name in names)
        ]
    assert "chatd.config" in seen


def test_the_core_knows_nothing_of_the_machine() -> None:
    wrong = [
        f"{module_of(path)} imports {name}"
        for path in files("chatd.core")
        for name in imports(path)
        if name.partition(".")[0] in MACHINE
    ]
    assert wrong == []


def test_the_client_imports_only_the_protocol_of_the_daemon() -> None:
    wrong = [
        f"{module_of(path)} imports {name}"
        for path in files("client")
        for name in imports(path)
        if is_within(name, "chatd")
        and not is_within(name, "chatd.protocol")
        and name != "chatd.__version__"
    ]
    assert wrong == []


def test_the_daemon_does_not_import_the_client() -> None:
    wrong = [
        module_of(path)
        for path in files("chatd")
        if any(is_within(name, "client") for name in imports(path))
    ]
    assert wrong == []


@pytest.mark.parametrize(
    "module", [*map(module_of, files("chatd.protocol")), "client.model", "client.text"]
)
def test_the_pure_modules_load_without_io(module: str) -> None:
    blocked = ("asyncio", "socket", "sqlite3", "ssl")
    block = f"import sys; sys.modules.update(dict.fromkeys({blocked!r}))\n"
    code = f"{block}import {module}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stderr == ""
    assert done.returncode == 0
