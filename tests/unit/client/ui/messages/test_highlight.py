"""Syntax highlighting: known languages only, and the code is never changed."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.text.wrapping import Piece
from client.ui.messages import highlight as module
from client.ui.messages.highlight import MAX_CHARS, PLAIN, highlight, load, missing

LANGUAGES = ["python", "c", "bash", "yaml", "json", "diff", "rust", "nosuch", ""]


@pytest.fixture(autouse=True, scope="module")
def _loaded() -> None:
    for language in LANGUAGES:
        highlight(("",), language)
    load(missing())


@pytest.fixture
def unloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_loaded", set())
    monkeypatch.setattr(module, "_missing", set())


def plain(lines: list[list[Piece]]) -> list[str]:
    return ["".join(piece.text for piece in line) for line in lines]


@given(
    st.lists(st.text(st.characters(exclude_characters="\n"))),
    st.sampled_from(LANGUAGES),
)
def test_code_is_never_changed(lines: list[str], language: str) -> None:
    given_lines = tuple(lines) or ("",)
    assert plain(highlight(given_lines, language)) == list(given_lines)


@pytest.mark.parametrize(
    ("language", "line", "text", "style"),
    [
        ("python", "def f(): return 1  # why", "def", "class:code.keyword"),
        ("py", "def f(): return 1  # why", "f", "class:code.name"),
        ("PY", "def f(): return 1  # why", "1", "class:code.number"),
        ("python", "def f(): return 1  # why", "# why", "class:code.comment"),
        ("c++", 'return "a";', '"a"', "class:code.string"),
        ("sh", "if true; then x=1; fi", "if", "class:code.keyword"),
        ("diff", "-old", "-old", "class:code.number"),
    ],
)
def test_what_means_something_has_its_style(
    language: str, line: str, text: str, style: str
) -> None:
    assert Piece(f"{PLAIN} {style}", text) in highlight((line,), language)[0]


def test_of_a_long_block_only_the_beginning_is_read() -> None:
    lines = ("x = 1",) * MAX_CHARS
    found = highlight(lines, "python")
    assert len(found[0]) > 1
    assert found[-1] == [Piece(PLAIN, "x = 1")]


def test_a_language_that_nobody_knows_is_plain() -> None:
    assert highlight(("def f",), "klingon") == [[Piece(PLAIN, "def f")]]


@pytest.mark.usefixtures("unloaded")
def test_code_is_plain_until_what_is_missing_was_loaded() -> None:
    code = ("def f():", "", "    pass")
    assert highlight(code, "Python") == [
        [Piece(PLAIN, "def f():")],
        [],
        [Piece(PLAIN, "    pass")],
    ]
    load(missing())
    assert Piece(f"{PLAIN} class:code.keyword", "def") in highlight(code, "py")[0]


@pytest.mark.usefixtures("unloaded")
def test_only_what_was_to_be_shown_is_missing_and_only_once() -> None:
    highlight(("def f",), "klingon")
    highlight(("x",), "")
    assert missing() == set()
    highlight(("x",), "py")
    highlight(("x",), "python3")
    highlight(("x",), "c++")
    assert missing() == {"python", "d"}
    assert missing() == set()


@pytest.mark.parametrize("language", ["console", "dockerfile", "make", "traceback"])
@pytest.mark.usefixtures("unloaded")
def test_a_language_brings_along_the_one_that_stands_in_it(language: str) -> None:
    highlight(("x",), language)
    load(missing())
    highlight(("x",), "sh")
    highlight(("x",), "python")
    assert len(missing()) == 1


def test_nothing_of_pygments_is_imported_while_code_is_to_be_shown() -> None:
    code = (
        "import sys; from client.ui.messages.highlight import highlight\n"
        "highlight(('x = 1',), 'python')\n"
        "assert not any(name.startswith('pygments') for name in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stderr == ""
