"""The layers of daemon and client: which modules may import which, bottom to top.

A layer is a name one below the top: a folder, or a module that has no folder. Its
modules import one another and what is in lower layers; imports that are only for types
count as well.
"""

import ast
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests import ROOT

CHATD = [
    *("system", "protocol", "text", "accounts", "settings", "store", "core"),
    *("backup", "admin", "listeners", "server", "cli_text", "cli", "__main__"),
]

CLIENT = [
    *("model", "errors", "text", "keys", "terminal", "storage", "config", "net"),
    *("transfers", "notify", "link", "commands", "frontend", "plain", "line", "ui"),
    *("cli", "__main__"),
]

# Folders of client.ui, bottom to top; above them are its own modules.
UI = ["toolkit", "messages", "timeline", "composer", "dialogs"]

# The parts of the daemon that the client may import.
SHARED = ("chatd.protocol", "chatd.text", "chatd.system", "chatd.__version__")

# Modules of the platform, which the core must not import.
MACHINE = {"json", "os", "pathlib", "socket", "sqlite3", "ssl", "uvloop"}

MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): (
        path
    )
    for top in ("chatd", "client")
    for path in sorted((ROOT / top).rglob("*.py"))
}


def imported_names(module: str) -> Iterator[str]:
    """Yield the full name of everything that a module imports, wherever it stands."""
    for node in ast.walk(ast.parse(MODULES[module].read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: a relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def is_within(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def module_of(name: str) -> str:
    """Return the module that an imported name is, or is in."""
    return name if name in MODULES else name.rpartition(".")[0]


def arrows() -> Iterator[tuple[str, str]]:
    """Yield every import of one of our modules by another, except of top packages."""
    for module in MODULES:
        for name in imported_names(module):
            target = module_of(name)
            if target in MODULES and target not in (module, "chatd", "client"):
                yield module, target


def layer_of(module: str) -> str:
    return ".".join(module.split(".")[:2])


def rank_of(module: str) -> tuple[int, int]:
    """Return the rank of a module's layer, and within ``client.ui`` of its folder."""
    top, layer, *rest = module.split(".")
    inner = rest[0] if layer == "ui" and len(rest) > 1 else ""
    place = (CHATD if top == "chatd" else CLIENT).index(layer)
    return place, UI.index(inner) if inner else len(UI)


def circles() -> list[set[str]]:
    """Return the sets of modules that reach one another by imports."""
    targets: dict[str, set[str]] = {module: set() for module in MODULES}
    for module, target in arrows():
        targets[module].add(target)

    def reached(start: str) -> set[str]:
        found: set[str] = set()
        waiting = [start]
        while waiting:
            new = targets[waiting.pop()] - found
            found |= new
            waiting += new
        return found

    reach = {module: reached(module) for module in MODULES}
    found: list[set[str]] = []
    for module in MODULES:
        circle = {other for other in reach[module] if module in reach[other]}
        if circle and circle not in found:
            found.append(circle)
    return found


@pytest.mark.parametrize(("top", "layers"), [("chatd", CHATD), ("client", CLIENT)])
def test_every_layer_has_its_place(top: str, layers: list[str]) -> None:
    there = {layer_of(name) for name in MODULES if name.startswith(f"{top}.")}
    assert there == {f"{top}.{layer}" for layer in layers}


def test_no_import_runs_up() -> None:
    up = {
        (module, target)
        for module, target in arrows()
        if module.split(".")[0] == target.split(".")[0]
        if rank_of(target) > rank_of(module)
    }
    assert up == set()


def test_no_modules_import_one_another() -> None:
    assert circles() == []


def test_the_core_knows_nothing_of_the_machine() -> None:
    wrong = [
        f"{module} imports {name}"
        for module in MODULES
        if is_within(module, "chatd.core")
        for name in imported_names(module)
        if name.partition(".")[0] in MACHINE
    ]
    assert wrong == []


def test_the_client_imports_only_what_is_shared_of_the_daemon() -> None:
    wrong = [
        f"{module} imports {name}"
        for module in MODULES
        if is_within(module, "client")
        for name in imported_names(module)
        if is_within(name, "chatd")
        and not any(is_within(name, shared) for shared in SHARED)
    ]
    assert wrong == []


def test_the_daemon_does_not_import_the_client() -> None:
    wrong = [
        module
        for module in MODULES
        if is_within(module, "chatd")
        and any(is_within(name, "client") for name in imported_names(module))
    ]
    assert wrong == []


PURE = ("chatd.protocol", "chatd.text", "client.model")


@pytest.mark.parametrize(
    "module", [name for name in MODULES if any(is_within(name, p) for p in PURE)]
)
def test_the_pure_modules_load_without_io(module: str) -> None:
    blocked = ("asyncio", "socket", "sqlite3", "ssl")
    block = f"import sys; sys.modules.update(dict.fromkeys({blocked!r}))\n"
    code = f"{block}import {module}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stderr == ""
    assert done.returncode == 0
