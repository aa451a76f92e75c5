"""Reading TOML: the line of a mistake; both configurations test the sentences."""

from pathlib import Path

import pytest
from msgspec import Struct

from chatd.system.toml_file import TomlFile, find_line


class RefusedError(Exception):
    """A file was refused."""


class Lamp(Struct, frozen=True):
    """A section."""

    is_on: bool = False
    watts: int = 5


def test_a_section_is_a_struct_and_a_missing_one_its_defaults(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_bytes(b"\xef\xbb\xbf[lamp]\nwatts = 7\n")
    file = TomlFile.read(path, {"lamp": Lamp, "other": Lamp}, RefusedError)
    assert file.section("lamp", Lamp) == Lamp(watts=7)
    assert file.section("other", Lamp) == Lamp()


def test_long_lists_of_what_there_is_are_left_to_the_overview() -> None:
    file = TomlFile("", "a.toml", {"lamp": Lamp}, RefusedError, "see the manual")
    few = file.unknown("lamp", "x", "colour", ["red", "blue"])
    many = file.unknown("lamp", "x", "colour", [f"{n:04}" for n in range(99)])
    assert str(few) == "a.toml: [lamp] x: there is no such colour: there are red, blue"
    assert str(many) == "a.toml: [lamp] x: there is no such colour: see the manual"
    assert isinstance(few, RefusedError)


def test_no_file_is_not_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        TomlFile.read(tmp_path / "a.toml", {}, RefusedError)


def test_the_line_of_a_key_is_that_in_its_own_section() -> None:
    text = "[a]\nx = 1\n[b] # x = 2\nx = 2\n'y z' = 3"
    assert find_line(text, "a", "x") == 2
    assert find_line(text, "b", "x") == 4
    assert find_line(text, "b", "y z") == 5
    assert find_line(text, "", "b") == 3
    assert find_line(text, "c", "x") is None
