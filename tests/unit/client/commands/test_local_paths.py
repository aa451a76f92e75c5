"""Local paths: which file a typed path means, and where a download may be saved."""

import os
from pathlib import Path

import pytest

from client.commands.local_paths import (
    LocalPathError,
    Target,
    check_source,
    find_target,
    is_folder_name,
    split_source,
    typed_path,
)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, which is that of ``~`` too."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    "typed",
    [
        "my notes.txt",
        "'my notes.txt'",
        '"my notes.txt"',
        "my\\ notes.txt",
        "~/my notes.txt",
        "'./my notes.txt'",
        "~/'my notes.txt'",
    ],
)
def test_blanks_quotes_and_the_home_are_understood(home: Path, typed: str) -> None:
    (home / "my notes.txt").touch()
    assert typed_path(typed).samefile(home / "my notes.txt")


@pytest.mark.parametrize("name", ["it's.txt", "a\\b.txt", '"x".txt', "~no-such-person"])
def test_a_name_that_exists_is_taken_as_it_stands(home: Path, name: str) -> None:
    (home / name).touch()
    assert typed_path(name).samefile(home / name)


@pytest.mark.parametrize(
    ("typed", "path", "to"),
    [
        ("a.txt", "a.txt", ""),
        ("a.txt #ops", "a.txt", "#ops"),
        ("a.txt  @bob", "a.txt", "@bob"),
        ("my notes.txt #ops", "my notes.txt", "#ops"),
        ("'my notes.txt' #ops", "my notes.txt", "#ops"),
        ("plan #2", "plan #2", ""),
        ("#1", "#1", ""),
        ("missing.txt #ops", "missing.txt", "#ops"),
    ],
)
def test_the_last_word_is_an_address_unless_it_belongs_to_a_file(
    home: Path, typed: str, path: str, to: str
) -> None:
    for name in ("a.txt", "my notes.txt", "plan #2", "#1"):
        (home / name).touch()
    assert split_source(typed) == (Path(path), to)


def test_a_file_is_sent_by_its_absolute_path(home: Path) -> None:
    (home / "a.txt").touch()
    assert check_source(Path("a.txt")) == home / "a.txt"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("missing", "there is no file missing"),
        ("x" * 300, "there is no file"),
        ("a\0b", "there is no file"),
        ("folder", "folder is a folder: pack it"),
        ("pipe", "no plain file"),
        ("dangling", "no plain file"),
    ],
)
def test_what_cannot_be_sent_is_refused_with_the_reason(
    home: Path, name: str, said: str
) -> None:
    (home / "folder").mkdir()
    os.mkfifo(home / "pipe")
    (home / "dangling").symlink_to("nowhere")
    with pytest.raises(LocalPathError, match=said):
        check_source(Path(name))


def test_a_file_that_may_not_be_read_is_refused(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "secret").touch()
    monkeypatch.setattr("os.access", lambda path, mode: False)
    with pytest.raises(LocalPathError, match="secret may not be read by you"):
        check_source(Path("secret"))


def test_a_target_is_a_folder_or_a_name_that_is_free(home: Path) -> None:
    (home / "folder").mkdir()
    assert find_target(Path("folder")) == Target(folder=home / "folder")
    assert find_target(Path("new.txt")) == Target(path=home / "new.txt")


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("taken", "taken is there already"),
        ("nowhere/x", "no folder .*nowhere"),
        ("nowhere/", "no folder nowhere"),
    ],
)
def test_a_target_that_is_taken_or_nowhere_is_refused(
    home: Path, typed: str, said: str
) -> None:
    (home / "taken").touch()
    with pytest.raises(LocalPathError, match=said):
        find_target(Path(typed), is_folder_name(typed))
