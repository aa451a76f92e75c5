"""Key names: parses and formats ``Alt+A``, which prompt_toolkit calls ``escape a``.

A *chord* is pressed at once; one or more chords make *keys*, such as ``Ctrl+X
Ctrl+E``. A terminal sends Alt and a key as Escape and that key, so ``Alt+A`` is
``escape a``. What a terminal cannot tell apart is one key here (Ctrl+I is Tab), and
what it cannot send at all is refused.
"""

import re
import unicodedata


class BadKeyError(ValueError):
    """Keys that no terminal sends, or that are not known; the text says why."""


_NAMES = {
    "enter": "Enter",
    "tab": "Tab",
    "escape": "Esc",
    "backspace": "Backspace",
    "space": "Space",
    "up": "Up",
    "down": "Down",
    "left": "Left",
    "right": "Right",
    "home": "Home",
    "end": "End",
    "pageup": "PageUp",
    "pagedown": "PageDown",
    "insert": "Insert",
    "delete": "Delete",
    **{f"f{number}": f"F{number}" for number in range(1, 25)},
}
_ALIASES = {
    "return": "enter",
    "esc": "escape",
    "pgup": "pageup",
    "pgdn": "pagedown",
    "pgdown": "pagedown",
    "ins": "insert",
    "del": "delete",
}
_MODIFIERS = {
    "ctrl": "c",
    "control": "c",
    "alt": "a",
    "meta": "a",
    "option": "a",
    "shift": "s",
}
_MOVING = frozenset(
    ("up", "down", "left", "right", "home", "end")
    + ("pageup", "pagedown", "insert", "delete")
)
_FUNCTIONS = frozenset(f"f{number}" for number in range(1, 13))
# With Ctrl a terminal sends these as other keys.
_SAME = {
    "i": "tab",
    "m": "enter",
    "h": "backspace",
    "[": "escape",
    "@": "c-space",
    "space": "c-space",
}
_CTRL_SIGNS = frozenset("\\]^_")
# Escape and one of these begin the sequences of other keys.
_INTRODUCERS = frozenset("[O")

_split_modifier = re.compile(r"(\w+)[+-](?=.)").match


def parse_keys(text: str) -> str:
    """Return keys in the notation of prompt_toolkit, chords separated by blanks.

    Raises:
        BadKeyError: They are no keys, or none that a terminal sends.
    """
    chords = text.split()
    if not chords:
        raise BadKeyError("a key is missing: write one, such as Alt+A or F6")
    return " ".join(_parse_chord(chord) for chord in chords)


def format_keys(keys: str) -> str:
    """Return keys of prompt_toolkit as the user writes them."""
    shown: list[str] = []
    parts = keys.split()
    while parts:
        part = parts.pop(0)
        if part == "escape" and parts and parts[0] != "escape":
            shown.append(f"Alt+{_format_chord(parts.pop(0), is_alt=True)}")
        else:
            shown.append(_format_chord(part))
    return " ".join(shown)


def is_typing(keys: str) -> bool:
    """Whether keys begin with a character that is typed into a text."""
    first = keys.split()[0]
    return len(first) == 1 or first == "space"


def _parse_chord(text: str) -> str:
    modifiers: set[str] = set()
    rest = text
    while (found := _split_modifier(rest)) is not None:
        modifier = _MODIFIERS.get(found[1].lower())
        if modifier is None:
            raise BadKeyError(f"{text!r} is no key: {found[1]!r} is none of {_LIST}")
        modifiers.add(modifier)
        rest = rest[found.end() :]
    is_alt = "a" in modifiers
    key = _parse_key(text, rest, modifiers - {"a"}, is_alt)
    if is_alt and key in _INTRODUCERS:
        raise BadKeyError(f"{text} cannot be used: other keys send the same first")
    return f"escape {key}" if is_alt else key


_LIST = "Ctrl, Alt and Shift"


def _parse_key(text: str, key: str, modifiers: set[str], is_alt: bool) -> str:
    name = _ALIASES.get(key.lower(), key.lower())
    if len(key) == 1 or name == "space":
        if name == "space":
            key = name
        return _parse_char(text, key, modifiers, is_alt)
    if name not in _NAMES:
        raise BadKeyError(
            f"{text!r} is no key: write a letter or a sign, Enter, Tab, Space, Up, "
            "PageDown, F6 or the like, with Ctrl+, Alt+ or Shift+ before it"
        )
    if not modifiers:
        return name
    prefix = "".join(f"{each}-" for each in sorted(modifiers))
    if name in _MOVING:
        return prefix + name
    if (name in _FUNCTIONS and prefix == "c-") or (name == "tab" and prefix == "s-"):
        return prefix + name
    raise BadKeyError(f"terminals do not send {text} as a key of its own")


def _parse_char(text: str, key: str, modifiers: set[str], is_alt: bool) -> str:
    if len(key) == 1 and unicodedata.category(key)[0] in "CZ":
        raise BadKeyError(f"{text!r} is no key")
    if modifiers == {"s"} and (capital := _capital(key)) is not None:
        return capital
    if not modifiers:
        # With Alt, capitals are written for the key without Shift.
        return _small(key) if is_alt else key
    if modifiers == {"c"}:
        key = key.lower()
        if key in _SAME:
            return _SAME[key]
        if (key.isascii() and key.isalpha()) or key in _CTRL_SIGNS:
            return f"c-{key}"
    raise BadKeyError(f"terminals do not send {text} as a key of its own")


def _format_chord(key: str, is_alt: bool = False) -> str:
    shown = ""
    while key[:2] in ("c-", "s-") and len(key) > 2:
        shown += "Ctrl+" if key[0] == "c" else "Shift+"
        key = key[2:]
    if key in _NAMES:
        return shown + _NAMES[key]
    if is_alt and _small(key) != key:
        return f"{shown}Shift+{key}"
    return shown + ((_capital(key) or key) if is_alt or shown else key)


def _small(key: str) -> str:
    """Return the small letter of a capital, if it is one character."""
    small = key.lower()
    return small if len(small) == 1 and small.upper() == key else key


def _capital(key: str) -> str | None:
    """Return the capital of a letter, None if there is none of one character."""
    capital = key.upper()
    is_one = len(capital) == 1 and capital.isupper() and capital.lower() == key.lower()
    return capital if is_one else None
