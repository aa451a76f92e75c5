"""Syntax highlighting of code blocks, by Pygments.

Pygments, and each of its lexers, takes some tens of milliseconds to load, so no frame
waits for that: code is plain until the lexers that ``missing`` names have been loaded,
in any thread.

Messages of others are untrusted, and some lexers take forever on hostile input: so
only lexers that were tested with such input are used, and of a long or difficult block
only the beginning is highlighted. The lexers of C, C++ and INI files failed the tests;
those of similar languages replace them.
"""

import time
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

from client.text.wrapping import Piece

MAX_CHARS = 1_500
MAX_SECONDS = 0.02
"""How much of a block is highlighted, and the CPU time that this may take."""

PLAIN = "class:code.block"

# Pygments lexers, by the language names and aliases that are used in messages.
_LEXERS = {
    name: lexer
    for lexer, names in {
        "bash": "bash sh shell zsh",
        "console": "console shell-session",
        "csharp": "csharp cs c#",
        "d": "d c h cpp c++ cc hpp",
        "diff": "diff patch udiff",
        "docker": "docker dockerfile",
        "go": "go golang",
        "java": "java",
        "javascript": "javascript js node",
        "json": "json jsonc",
        "kotlin": "kotlin kt",
        "lua": "lua",
        "make": "make makefile",
        "pytb": "pytb py3tb traceback",
        "python": "python py python3",
        "ruby": "ruby rb",
        "rust": "rust rs",
        "sql": "sql",
        "toml": "toml ini cfg conf",
        "typescript": "typescript ts tsx jsx",
        "yaml": "yaml yml",
    }.items()
    for name in names.split()
}
# Lexers that delegate a part of the code to another one.
_INNER = {"console": "bash", "docker": "bash", "make": "bash", "pytb": "python"}
# The style of a token type is that of the first prefix here.
_STYLES = (
    ("Comment", "comment"),
    ("Keyword", "keyword"),
    ("Name.Builtin", "name"),
    ("Name.Class", "name"),
    ("Name.Decorator", "name"),
    ("Name.Function", "name"),
    ("Name.Tag", "keyword"),
    ("Literal.String", "string"),
    ("Literal.Number", "number"),
    ("Operator", "operator"),
    ("Punctuation", "operator"),
    ("Generic.Deleted", "number"),
    ("Generic.Inserted", "string"),
    ("Generic.Heading", "keyword"),
    ("Generic.Subheading", "keyword"),
    ("Generic.Prompt", "comment"),
)


_loaded: set[str] = set()
_missing: set[str] = set()


def highlight(lines: Sequence[str], language: str) -> list[list[Piece]]:
    """Return the lines of a code block as styled pieces; their text is unchanged.

    Args:
        lines: The code, clean.
        language: The language as its writer named it; the code stays plain if it is
            unknown or its lexer is not loaded yet.
    """
    lexer = _LEXERS.get(language.lower(), "")
    if lexer in _loaded:
        return _highlighted(tuple(lines), lexer)
    if lexer:
        _missing.add(lexer)
    return [[Piece(PLAIN, line)] if line else [] for line in lines]


def missing() -> frozenset[str]:
    """Return the lexers that ``highlight`` lacked since the last call."""
    found = frozenset(_missing - _loaded)
    _missing.clear()
    return found


def load(names: Iterable[str]) -> None:
    """Load lexers that ``missing`` returned; may be called in any thread."""
    for name in names:
        if name in _INNER:
            load([_INNER[name]])
        list(_tokens("", name))
        _loaded.add(name)


@lru_cache(maxsize=64)
def _highlighted(lines: tuple[str, ...], lexer: str) -> list[list[Piece]]:
    # Some lexers recognise a line only by its line end.
    code = "\n".join(lines) + "\n"
    read = code[: code.rfind("\n", 0, MAX_CHARS) + 1]
    pieces = list(_tokens(read, lexer))
    done = "".join(piece.text for piece in pieces)
    if not code.startswith(done):
        pieces, done = [], ""
    return _split([*pieces, Piece(PLAIN, code[len(done) :])])[:-1]


def _tokens(code: str, lexer: str) -> Iterator[Piece]:
    from pygments.lexers import get_lexer_by_name

    found = get_lexer_by_name(lexer, stripnl=False, ensurenl=False)
    deadline = time.thread_time() + MAX_SECONDS
    for token, text in found.get_tokens(code):
        name = ".".join(token)
        style = next((s for kind, s in _STYLES if name.startswith(kind)), "")
        yield Piece(f"{PLAIN} class:code.{style}" if style else PLAIN, text)
        if time.thread_time() > deadline:
            return


def _split(pieces: list[Piece]) -> list[list[Piece]]:
    lines: list[list[Piece]] = [[]]
    for piece in pieces:
        first, *others = piece.text.split("\n")
        if first:
            lines[-1].append(piece._replace(text=first))
        lines += [[piece._replace(text=text)] if text else [] for text in others]
    return lines
