"""The tours of the code (chatd/README.md, client/README.md) show what is there."""

import re
from pathlib import Path

import pytest

from tests import ROOT
from tests.unit.test_layers import CHATD, CLIENT, UI

TOURS = ["chatd/README.md", "client/README.md"]


def first_cells(page: str, heading: str) -> list[str]:
    """Return what the first column of the table after a heading names, in order."""
    table = page.partition(heading)[2].partition("|---|")[2].partition("\n\n")[0]
    rows = [line.split("|")[1] for line in table.split("\n") if line.startswith("| ")]
    return [name.rstrip("/") for row in rows for name in re.findall("`(.+?)`", row)]


@pytest.mark.parametrize(
    ("tour", "layers"),
    [("chatd/README.md", CHATD), ("client/README.md", CLIENT)],
)
def test_a_tour_names_every_layer_in_its_order(tour: str, layers: list[str]) -> None:
    named = first_cells((ROOT / tour).read_text("utf-8"), "## The layers")
    assert named == [layer for layer in layers if layer != "__main__"]


def test_the_tour_of_the_client_names_the_folders_of_the_full_screen() -> None:
    page = (ROOT / "client/README.md").read_text("utf-8")
    assert first_cells(page, "Inside `ui/`") == UI


@pytest.mark.parametrize("tour", TOURS)
def test_every_module_that_a_tour_names_is_there(tour: str) -> None:
    page = (ROOT / tour).read_text("utf-8")
    named = set(re.findall(r"`([\w./*]+\.py)", page))
    places = [ROOT, (ROOT / tour).parent, *(ROOT / tour).parent.rglob("*/")]
    missing = [
        name
        for name in named
        if not any(any(place.glob(name)) for place in places if place.is_dir())
    ]
    assert named
    assert missing == []


@pytest.mark.parametrize("tour", TOURS)
def test_every_name_in_the_table_of_layers_is_there(tour: str) -> None:
    """A name in parentheses behind a folder is a module, or something in one."""
    page, home = (ROOT / tour).read_text("utf-8"), (ROOT / tour).parent
    rows = re.findall(r"^\| `(\w+)/` \|(.*)$", page, re.MULTILINE)
    known = {path.stem for path in home.rglob("*.py")} | {
        path.name for path in home.rglob("*/")
    }
    wrong = [
        (layer, name)
        for layer, text in rows
        for name in re.findall(r"`([a-z_]{4,})`", text)
        if name not in known and not _is_defined(home, name)
    ]
    assert rows
    assert wrong == []


def _is_defined(home: Path, name: str) -> bool:
    pattern = re.compile(rf"\b(def|class) {name}\b|^{name} =", re.MULTILINE)
    return any(pattern.search(path.read_text("utf-8")) for path in home.rglob("*.py"))
