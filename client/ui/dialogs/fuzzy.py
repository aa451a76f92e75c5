"""Fuzzy matching: finds names by some of their letters, in order."""

from collections.abc import Iterable
from heapq import nsmallest

from msgspec import Struct

MAX_FOUND = 50

_STARTS = frozenset("#@-_. ")


class Found(Struct, frozen=True):
    """A name that matches; ``at`` has the indices of the letters that were typed."""

    name: str
    at: tuple[int, ...]


def find(typed: str, names: Iterable[str], limit: int = MAX_FOUND) -> list[Found]:
    """Return the names that match best, best first; equals stay in the given order.

    The typed letters must be in the name in that order, in any case; spaces are
    ignored. The closer together they are, the nearer to the beginning of a word, and
    the shorter the name, the better.
    """
    wanted = "".join(typed.lower().split())
    scored = []
    for order, name in enumerate(names):
        at = _match(wanted, name.lower())
        if at is not None:
            scored.append((_cost(at, name), order, name, at))
    best = nsmallest(limit, scored)
    return [Found(name, at) for _, _, name, at in best]


def _match(wanted: str, name: str) -> tuple[int, ...] | None:
    whole = name.find(wanted)
    if whole >= 0:
        # In one piece, at the beginning of a word if possible.
        starts = [i for i in _places(wanted, name) if i == 0 or name[i - 1] in _STARTS]
        first = starts[0] if starts else whole
        return tuple(range(first, first + len(wanted)))
    at: list[int] = []
    for letter in wanted:
        place = name.find(letter, at[-1] + 1 if at else 0)
        if place < 0:
            return None
        at.append(place)
    return tuple(at)


def _places(wanted: str, name: str) -> Iterable[int]:
    place = name.find(wanted)
    while place >= 0 and wanted:
        yield place
        place = name.find(wanted, place + 1)


def _cost(at: tuple[int, ...], name: str) -> tuple[int, int, int]:
    if not at:
        return 0, 0, 0
    gaps = at[-1] - at[0] - len(at) + 1
    is_inside = int(at[0] > 0 and name[at[0] - 1] not in _STARTS)
    return gaps * 2 + is_inside, at[0], len(name)
