"""Styles of text: a colour for each user, and a theme for dark and light terminals.

A line that is shown is a list of fragments, each a style and a text. Styles are named
by what they mean (``class:time``) or give a colour (``fg:#0087af``); ``THEME`` says how
the classes look. Nothing here draws: each frontend does that in its own way.
"""

import zlib
from collections.abc import Mapping
from functools import lru_cache

Fragment = tuple[str, str]
Line = list[Fragment]

# From the cube of 256 colours, so that they are the same at each depth, and each with a
# contrast of at least 3.5 to black and to white.
PEOPLE = (
    "#d70000",
    "#d75f00",
    "#af5f00",
    "#878700",
    "#5f8700",
    "#008700",
    "#00875f",
    "#008787",
    "#0087d7",
    "#005fff",
    "#5f5fff",
    "#875fd7",
    "#af5fd7",
    "#d700d7",
    "#d70087",
    "#d75f5f",
)

THEME: dict[str, str] = {
    "time": "#808080",
    "address": "bold",
    "divider": "#808080",
    "event": "#808080",
    "notice": "#808080",
    "mark": "#808080",
    "mention": "bold",
    "heading": "bold",
    "error": "#d70000",
    "good": "#008700",
    "prompt": "bold",
    "prompt.offline": "#d75f00",
}


@lru_cache(maxsize=4096)
def colour_of(name: str) -> str:
    """Return the style of a user's name: always the same for the same name."""
    return f"fg:{PEOPLE[zlib.crc32(name.encode(errors='replace')) % len(PEOPLE)]}"


def colour_depth(environment: Mapping[str, str]) -> int:
    """Return how many bits of colour the terminal takes: 1 (none), 4, 8 or 24.

    ``NO_COLOR``, if set and not empty, means none (no-color.org).
    """
    term = environment.get("TERM", "")
    if environment.get("NO_COLOR") or term in ("dumb", "unknown"):
        return 1
    if environment.get("COLORTERM", "").lower() in ("truecolor", "24bit"):
        return 24
    if term in ("linux", "xterm-16color", "vt100", "ansi", "cygwin"):
        return 4
    return 8


def plain(line: Line) -> str:
    """Return the text of a line."""
    return "".join(text for _, text in line)
