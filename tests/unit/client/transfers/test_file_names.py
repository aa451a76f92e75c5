"""File names from others: harmless on every system, and never over an existing file."""

import os
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from client.transfers.file_names import FALLBACK, claim, numbered, safe_name

# Any string, with a bias to what is dangerous in file names.
NAMES = st.text(
    st.one_of(
        st.characters(),
        st.sampled_from("./\\:-~ \0\n\x1b\u202e\u200b\u2028\x7f?*|<>\"'&$"),
    ),
    max_size=300,
) | st.builds(
    "{}{}{}".format,
    st.sampled_from(["con", "NUL", "Com1", "lpt9", "COM²", "conin$", "prn "]),
    st.sampled_from(["", ".", ".txt", " .txt", ".tar.gz", ":x"]),
    st.text(max_size=5),
)

CASES = {
    "report.pdf": "report.pdf",
    "core.tar.gz": "core.tar.gz",
    "Grüße an 日本.txt": "Grüße an 日本.txt",
    "../../etc/passwd": "passwd",
    "/etc/cron.d/job": "job",
    "C:\\Windows\\system32\\x.dll": "x.dll",
    "..\\..\\x": "x",
    "folder/": "folder",
    "a:b": "a_b",
    ".bashrc": "bashrc",
    "...": FALLBACK,
    "..": FALLBACK,
    "": FALLBACK,
    "   ": FALLBACK,
    "-rf": "rf",
    "--help.txt": "help.txt",
    "x.txt. . ": "x.txt",
    "CON": "_CON",
    "con.txt": "_con.txt",
    "nul .tar.gz": "_nul .tar.gz",
    "COM1.log": "_COM1.log",
    "console.txt": "console.txt",
    "a\x1b[31mb.txt": "a[31mb.txt",
    "evil\u202etxt.exe": "eviltxt.exe",
    "two\nlines": "twolines",
    "many        blanks.exe": "many blanks.exe",
    'what?*<>|".txt': "what______.txt",
    "e\u0301.txt": "é.txt",
    "\ud800": FALLBACK,
}


@pytest.mark.parametrize(("name", "wanted"), CASES.items())
def test_a_name_becomes_harmless(name: str, wanted: str) -> None:
    assert safe_name(name) == wanted


@settings(deadline=None)
@given(NAMES)
def test_a_safe_name_is_harmless_on_every_system(name: str) -> None:
    safe = safe_name(name)
    assert 1 <= len(safe.encode()) <= 255
    assert not set(safe) & set('/\\:*?"<>|\0')
    assert not any(unicodedata.category(char)[0] == "C" for char in safe)
    assert safe[0] not in " .-"
    assert safe[-1] not in " ."
    assert os.path.basename(safe) == safe
    stem = safe.partition(".")[0].rstrip().upper()
    assert stem not in ("CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$")
    assert not (stem[:3] in ("COM", "LPT") and len(stem) == 4 and stem[3].isdigit())


@settings(deadline=None)
@given(NAMES)
def test_a_safe_name_stays_as_it_is(name: str) -> None:
    assert safe_name(safe_name(name)) == safe_name(name)


@settings(deadline=None)
@given(st.integers(1, 300), st.sampled_from(["x", "é", "日", "😀"]), st.integers(0, 9))
def test_a_long_name_keeps_its_extension(length: int, char: str, number: int) -> None:
    name = numbered(safe_name(char * length + ".tar.gz"), number)
    assert name.endswith(".tar.gz")
    assert len(name.encode()) <= 255
    assert (f" ({number})" in name) == (number > 0)


def test_what_only_looks_like_an_extension_is_cut() -> None:
    assert len(safe_name("a." + "b" * 300).encode()) == 255
    assert numbered("Mr. Smith wrote", 1) == "Mr. Smith wrote (1)"
    assert numbered(".profile", 2) == ".profile (2)"


def partial_in(folder: Path, text: str = "new") -> Path:
    path = folder / ".x.part"
    path.write_text(text)
    return path


def test_a_free_name_is_claimed(tmp_path: Path) -> None:
    found = claim(partial_in(tmp_path), tmp_path, "x.txt")
    assert found == tmp_path / "x.txt"
    assert found.read_text() == "new"


def test_a_name_that_is_taken_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("old")
    (tmp_path / "x (1).txt").mkdir()
    (tmp_path / "x (2).txt").symlink_to("nowhere")
    found = claim(partial_in(tmp_path), tmp_path, "x.txt")
    assert found == tmp_path / "x (3).txt"
    assert found.read_text() == "new"
    assert (tmp_path / "x.txt").read_text() == "old"


def test_claiming_again_finds_the_name_that_was_claimed(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("old")
    partial = partial_in(tmp_path)
    first = claim(partial, tmp_path, "x.txt")
    assert claim(partial, tmp_path, "x.txt") == first == tmp_path / "x (1).txt"


@pytest.fixture
def no_links(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)


@pytest.mark.usefixtures("no_links")
def test_without_hard_links_nothing_is_replaced_either(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("old")
    found = claim(partial_in(tmp_path), tmp_path, "x.txt")
    assert found == tmp_path / "x (1).txt"
    assert found.read_text() == "new"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["x (1).txt", "x.txt"]


@pytest.mark.usefixtures("no_links")
def test_a_claim_that_fails_leaves_no_empty_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        claim(tmp_path / "missing", tmp_path, "x.txt")
    assert list(tmp_path.iterdir()) == []
