"""Code in colours: of what is known, and never changed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.ui.highlight import MAX_CHARS, PLAIN, highlight
from client.ui.wrapping import Piece

LANGUAGES = ["python", "c", "bash", "yaml", "json", "diff", "rust", "nosuch", ""]


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
