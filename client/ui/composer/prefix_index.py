"""A sorted index of names, which finds those with a given prefix by binary search."""

from bisect import bisect_left, insort
from collections.abc import Iterable

_FEW = 16
_LAST = "\U0010ffff"  # sorts after every character that may be in a name


class PrefixIndex:
    """Names, each once, sorted.

    Args:
        names: The initial names.
    """

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._known = set(names)
        self._sorted = sorted(self._known)

    def __len__(self) -> int:
        return len(self._sorted)

    def __contains__(self, name: str) -> bool:
        return name in self._known

    def update(self, names: Iterable[str]) -> None:
        """Add names; those that are in it already cost next to nothing."""
        new = set(names) - self._known
        if not new:
            return
        self._known |= new
        if len(new) <= _FEW:
            for name in new:
                insort(self._sorted, name)
        else:
            # Two runs that are sorted already are merged in linear time.
            self._sorted += sorted(new)
            self._sorted.sort()

    def replace(self, names: Iterable[str]) -> None:
        """Replace all names; if few differ, the cost depends on those alone."""
        wanted = set(names)
        gone = self._known - wanted
        if len(gone) <= _FEW:
            for name in gone:
                self.remove(name)
            self.update(wanted)
        else:
            self._known = wanted
            self._sorted = sorted(wanted)

    def remove(self, name: str) -> None:
        """Remove a name, if it is in the index."""
        if name in self._known:
            self._known.remove(name)
            del self._sorted[bisect_left(self._sorted, name)]

    def matches(self, beginning: str, limit: int) -> list[str]:
        """Return the first names with this prefix, in O(log n + limit)."""
        begin = bisect_left(self._sorted, beginning)
        end = bisect_left(self._sorted, f"{beginning}{_LAST}", begin)
        return self._sorted[begin : min(end, begin + limit)]
