"""Emoji by shortcode, as in ``:tada:``: look-up, replacement and completion.

The table comes from the package ``emoji`` and is read when it is first needed, which
takes some tens of milliseconds: ``load`` does that in the thread that calls it.
"""

import re
import threading

from client.ui.composer.prefix_index import PrefixIndex

MAX_OFFERS = 50

_NAME = re.compile(r"[a-z0-9_+-]+").fullmatch
# Code is left unchanged, after an unclosed fence up to the end, and so are colons in
# the middle of words, as in 10:30:45 and std::string::npos.
_MARKS = re.compile(
    r"^(?P<fence>`{3,})[^`]*?$.*?(?:^(?P=fence)`*[ \t]*$|\Z)"
    r"|`[^`\n]*`"
    r"|(?<![\w:])(?P<codes>(?::[\w+-]+:)+)(?![\w:])",
    re.DOTALL | re.MULTILINE,
)
_CODE = re.compile(r":([\w+-]+):")


class _Table:
    """The emoji by name, and indexes of the names by the beginnings of their words."""

    def __init__(self) -> None:
        from emoji import EMOJI_DATA, STATUS

        self.emoji: dict[str, str] = {}
        for text, facts in EMOJI_DATA.items():
            if facts["status"] != STATUS["fully_qualified"]:
                continue
            for code in (facts["en"], *facts.get("alias", ())):
                name = code.strip(":").lower()
                if _NAME(name) and not name.endswith("_skin_tone"):
                    self.emoji.setdefault(name, text)
        self.names = PrefixIndex(self.emoji)
        # Names are found by later words too: "heart" finds "red_heart".
        self.words = PrefixIndex(
            f"{name[at:]}\0{name}"
            for name in self.emoji
            for at in range(1, len(name))
            if name[at - 1] == "_"
        )


_table: _Table | None = None
_lock = threading.Lock()


def is_loaded() -> bool:
    """Whether the table is loaded, so that no function here has to load it."""
    return _table is not None


def load() -> None:
    """Load the table, unless it is loaded already; may be called in any thread."""
    _loaded()


def find(name: str) -> str | None:
    """Return the emoji of a shortcode without colons, None if there is none."""
    return _loaded().emoji.get(name.lower())


def replace(text: str) -> str:
    """Return a text with its shortcodes replaced; those in code are left as they are.

    Several in a row (``:a::b:``) are replaced only if all of them are known.
    """
    if text.count(":") < 2:
        return text
    return _MARKS.sub(_emoji_of, text)


def offers(beginning: str, limit: int = MAX_OFFERS) -> list[tuple[str, str]]:
    """Return names that have a word with this beginning, each with its emoji.

    Those that begin with it themselves come first; the work does not grow with the
    number of matches.
    """
    table = _loaded()
    low = beginning.lower()
    found = dict.fromkeys(table.names.matches(low, limit))
    for match in table.words.matches(low, limit) if low else ():
        found[match.partition("\0")[2]] = None
    return [(name, table.emoji[name]) for name in list(found)[:limit]]


def _emoji_of(found: re.Match[str]) -> str:
    codes = found["codes"]
    if codes is None:
        return found[0]
    emoji = [find(name) for name in _CODE.findall(codes)]
    known = [text for text in emoji if text is not None]
    return "".join(known) if len(known) == len(emoji) else codes


def _loaded() -> _Table:
    global _table
    if _table is None:
        with _lock:
            if _table is None:
                _table = _Table()
    return _table
