"""The layers of daemon and client: which modules may import which, bottom to top.

A layer is a name one below the top: a folder, or a module that has no folder. Its
modules import one another and what is in lower layers; imports that are only for types
count as well.
"""

import ast
import re
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


def is_self(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id in ("self", "cls")


def own_names(tree: ast.Module) -> set[str]:
    """Return the names of methods and attributes that a module defines."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found.add(node.target.id)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            found |= {node.attr} if is_self(node.value) else set()
    return found


def foreign_parts(tree: ast.Module) -> set[str]:
    """Return the private attributes used in a module that are none of our own.

    Those of other objects are own if the module defines them, those of ``self`` if any
    module does: a base class may stand elsewhere.
    """
    here = own_names(tree) | {"_replace"}  # of named tuples
    return {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and re.match("_[a-z]", node.attr)
        if node.attr not in (OWN_NAMES if is_self(node.value) else here)
    }


TREES = {name: ast.parse(path.read_text("utf-8")) for name, path in MODULES.items()}
OWN_NAMES = set().union(*map(own_names, TREES.values()))

# What is used of the inside of prompt_toolkit; pyproject.toml bounds its version.
PRIVATE_PARTS = {
    "client.line.resize": {"_cursor_pos", "_on_resize"},
    "client.ui.toolkit.bounded_undo": {"_undo_stack"},
    "client.ui.toolkit.renderer": {
        *("_attrs_for_style", "_in_alternate_screen", "_last_color_depth"),
        *("_last_cursor_shape", "_last_size", "_last_style_hash"),
        *("_last_transformation_hash", "_mouse_support_enabled"),
        "_style_string_has_style",
    },
}


def test_the_inside_of_prompt_toolkit_is_used_where_it_is_known() -> None:
    found = {module: foreign_parts(tree) for module, tree in TREES.items()}
    assert {name: parts for name, parts in found.items() if parts} == PRIVATE_PARTS
    assert "<" in next(line for line in PROJECT if '"prompt_toolkit' in line)


PROJECT = (ROOT / "pyproject.toml").read_text("utf-8").splitlines()


def test_every_task_has_an_owner() -> None:
    """``chatd.system.tasks`` starts them, so that none is lost, and no failure."""
    starting = re.compile(r"\b(create_task|ensure_future)\(")
    found = {
        module
        for module, path in MODULES.items()
        if starting.search(path.read_text("utf-8"))
    }
    assert found == {"chatd.system.tasks"}
