"""The help text: all keys and all commands, under headings."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby

from msgspec import structs

from chatd.text.safe import width
from client.commands.registry import NOTES, Registry
from client.keys.actions import (
    ACTIONS,
    SHELL_KEYS,
    WRITING,
    Action,
    keys_of,
    shown_keys,
)
from client.text.entries import Look, table_lines
from client.text.styles import Line


def help_lines(
    look: Look,
    overrides: Mapping[str, tuple[str, ...]] | None = None,
    registry: Registry | None = None,
    actions: Iterable[Action] | None = None,
    wanted: str = "",
) -> list[Line]:
    """Return all keys, and all commands if there is a registry, under headings.

    Args:
        look: The width of the lines.
        overrides: The user's configured keys, as ``check_keys`` returns them.
        registry: The commands.
        actions: Those whose keys are listed; all if left out.
        wanted: Only rows that contain this are listed, and sections whose heading does.
    """
    if actions is None:
        actions = _with_shell_keys(overrides or {})
    keys = {
        group: list(_help_rows(found, overrides))
        for group, found in groupby(actions, key=lambda action: action.group)
    }
    commands = {
        f"Commands: {heading.lower()}": [(each.title, each.help) for each in found]
        for heading, found in (registry.groups() if registry else {}).items()
    }
    if registry is not None:
        commands["Instead of a command"] = list(NOTES)
    return [
        *_section_lines(keys, look, wanted.lower()),
        *_section_lines(commands, look, wanted.lower()),
    ]


def _with_shell_keys(overrides: Mapping[str, tuple[str, ...]]) -> list[Action]:
    """Return all actions, and the shell's editing keys that have no other meaning."""
    taken = {keys for given in overrides.values() for keys in given}
    shell = [
        structs.replace(each, keys=tuple(k for k in each.keys if k not in taken))
        for each in SHELL_KEYS
    ]
    end = sum(action.group == WRITING for action in ACTIONS)
    return [*ACTIONS[:end], *shell, *ACTIONS[end:]]


def _section_lines(
    sections: Mapping[str, Sequence[tuple[str, str]]], look: Look, wanted: str
) -> list[Line]:
    """Return sections in two columns; a first cell that is too long has a line."""
    firsts = [width(first) for rows in sections.values() for first, _ in rows]
    limit = look.columns // 2 - 4 if look.columns else max(firsts, default=0)
    size = max((cells for cells in firsts if cells <= limit), default=0)
    lines: list[Line] = []
    for heading, rows in sections.items():
        shown = [
            row
            for row in rows
            if wanted in heading.lower() or wanted in "  ".join(row).lower()
        ]
        if shown:
            lines.append([("class:heading", heading)])
        for first, second in shown:
            if width(first) > size:
                lines.append([("", f"  {first}")])
                first = ""
            lines += table_lines([(first, second)], look, size)
    return lines


def _help_rows(
    actions: Iterable[Action], overrides: Mapping[str, tuple[str, ...]] | None
) -> Iterator[tuple[str, str]]:
    with_keys = (action for action in actions if keys_of(action, overrides))
    for text, same in groupby(with_keys, key=lambda action: action.help):
        first, *others = (shown_keys(action, overrides) for action in same)
        yield (f"{first} … {others[-1]}" if others else first), text
