"""Code in colours, by Pygments.

Pygments, and each of its lexers, takes some tens of milliseconds to load, so no frame
waits for that: code is plain until somebody has loaded what ``missing`` names, in
whatever thread.

What others send is hostile until shown otherwise, and some lexers take for ever on the
wrong input: so only those languages are read that were tried with such, and of a long
or difficult block only the beginning; the rest is shown plainly. Those of C, C++ and
INI files failed; others, of languages that look alike, stand in for them.
"""

import time
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

from client.text.wrapping import Piece

MAX_CHARS = 1_500
MAX_SECONDS = 0.02
"""How much of a block is read, and how long the processor may take for it."""

PLAIN = "class:code.block"

# By the names and aliases that people write, the lexer of Pygments.
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
# Those that leave a part of the code to another one.
_INNER = {"console": "bash", "docker": "bash", "make": "bash", "pytb": "python"}
# Of a type of token, the first that it is a kind of.
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
    """Return the lines of a block of code as pieces; nothing of them is changed.

    Args:
        lines: The code, clean.
        language: As its writer called it; one that is not known, or not loaded yet,
            stays plain.
    """
    lexer = _LEXERS.get(language.lower(), "")
    if lexer in _loaded:
        return _highlighted(tuple(lines), lexer)
    if lexer:
        _missing.add(lexer)
    return [[Piece(PLAIN, line)] if line else [] for line in lines]


def missing() -> frozenset[str]:
    """Return what is to be loaded for code that was to be shown, once each."""
    found = frozenset(_missing - _loaded)
    _missing.clear()
    return found


def load(names: Iterable[str]) -> None:
    """Load what ``missing`` named; may be called in any thread."""
    for name in names:
        if name in _INNER:
            load([_INNER[name]])
        list(_tokens("", name))
        _loaded.add(name)


@lru_cache(maxsize=64)
def _highlighted(lines: tuple[str, ...], lexer: str) -> list[list[Piece]]:
    # Some lexers know what a line is only by its end.
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
