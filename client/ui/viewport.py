"""Which rows of a long column are seen: a place in it that stays where it is.

The place is a block (a message, say) and a row in it, never a row number of the whole:
blocks may come above and below, and change their height when the width changes, and
what one reads stays where it is. Only what is seen is ever asked for.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from client.colours import Line
from client.ui.feed import Key

USUAL_HEIGHT = 24
"""Rows that are seen, until it is known how many."""


class Block:
    """The rows of one thing in the column; there is at least one.

    Attributes:
        rows: As they are drawn.
        start: How many of them are lines before the thing itself.
        lead: How many may come and go with what is above it; at least ``start``.
        sender: Who wrote it, if that is said.
        is_named: Whether its first row says so itself.
    """

    __slots__ = ("is_named", "lead", "painted", "rows", "sender", "start")

    def __init__(
        self,
        rows: list[Line],
        start: int = 0,
        lead: int = 0,
        sender: str = "",
        is_named: bool = True,
    ) -> None:
        self.rows = rows
        self.sender = sender
        self.is_named = is_named
        self.start = start
        self.lead = lead
        # What the painter made of each row; only it knows what that is.
        self.painted: dict[int, Any] = {}


class Placed(NamedTuple):
    """A row that is seen: of which block, and which of its rows."""

    key: Key
    block: Block
    number: int

    @property
    def line(self) -> Line:
        """What is drawn."""
        return self.block.rows[self.number]

    @property
    def is_last(self) -> bool:
        """Whether it is the last of its block."""
        return self.number == len(self.block.rows) - 1


class Order(Protocol):
    """In which order the blocks are; there is at least one."""

    @property
    def first(self) -> Key:
        """The highest."""

    @property
    def last(self) -> Key:
        """The lowest."""

    def before(self, key: Key) -> Key | None:
        """The one above."""

    def after(self, key: Key) -> Key | None:
        """The one below."""

    def nearest(self, key: Key) -> Key:
        """The key, or what is in its place."""


class _Anchor(NamedTuple):
    """What is at the top: a row of a block, counted from behind its lead."""

    key: Key
    row: int
    total: int  # the rows of the block behind its lead


class Viewport:
    """A window on a column of blocks.

    Args:
        order: Returns the order of the blocks as it is now.
        block: Returns the rows of a key.

    Attributes:
        height: How many rows are seen.
    """

    def __init__(
        self, order: Callable[[], Order], block: Callable[[Key], Block]
    ) -> None:
        self._order = order
        self._block = block
        self._anchor: _Anchor | None = None  # None follows the lowest row
        self._was_at_bottom = True
        self._is_held = False
        self.height = USUAL_HEIGHT

    @property
    def is_following(self) -> bool:
        """Whether the bottom is seen, and will be when something comes below."""
        return self._anchor is None and not self._is_held

    def rows(self) -> list[Placed]:
        """Return what is seen, from the top; fewer than ``height`` if that is all."""
        rows: list[Placed] = []
        if self._anchor is not None:
            rows = self._downwards(self._anchor, self.height)
        if len(rows) < self.height:
            rows = self._lowest(self.height)
        lowest = rows[-1]
        self._was_at_bottom = lowest.is_last and lowest.key == self._order().last
        return rows

    def follow(self) -> None:
        """Go to the bottom, and stay there when something comes below."""
        self._anchor = None
        self._was_at_bottom = True

    def changed(self) -> None:
        """Note that the blocks may be others now: who saw the bottom stays there."""
        if self._was_at_bottom and not self._is_held:
            self._anchor = None

    def hold(self) -> None:
        """Stay in place, also at the bottom, until ``release``."""
        self._anchor = _anchor(self.rows()[0])
        self._is_held = True

    def release(self) -> None:
        """Follow again, if the bottom is seen."""
        self._is_held = False
        if self._anchor is not None:
            self._go(self._anchor)

    def scroll(self, count: int) -> None:
        """Move down by ``count`` rows, or up if that is negative."""
        top = self.rows()[0]
        if count < 0:
            self._go(self._above(top, -count))
        elif self._anchor is not None:
            below = self._downwards(_anchor(top), count + self.height)
            self._go(_anchor(below[max(0, len(below) - self.height)]))

    def show(self, key: Key, rows_above: int = 0) -> None:
        """Bring a block to the top, but for some rows above it."""
        key = self._order().nearest(key)
        block = self._block(key)
        self._go(self._above(Placed(key, block, block.start), rows_above))

    def show_first(self) -> None:
        """Go to the very top."""
        key = self._order().first
        self._go(_anchor(Placed(key, self._block(key), 0)))

    def _go(self, anchor: _Anchor) -> None:
        is_all = len(self._downwards(anchor, self.height + 1)) <= self.height
        self._anchor = None if is_all and not self._is_held else anchor
        self._was_at_bottom = is_all

    def _above(self, place: Placed, count: int) -> _Anchor:
        """Return the place that is so many rows higher, or else the highest."""
        key, block, number = place.key, place.block, place.number - count
        while number < 0:
            above = self._order().before(key)
            if above is None:
                number = 0
                break
            key, block = above, self._block(above)
            number += len(block.rows)
        return _anchor(Placed(key, block, number))

    def _downwards(self, anchor: _Anchor, count: int) -> list[Placed]:
        """Return the rows from an anchor on."""
        order = self._order()
        key: Key | None
        key, begin = self._find(anchor)
        rows: list[Placed] = []
        while key is not None and len(rows) < count:
            block = self._block(key)
            end = min(len(block.rows), begin + count - len(rows))
            rows += [Placed(key, block, number) for number in range(begin, end)]
            key, begin = order.after(key), 0
        return rows

    def _find(self, anchor: _Anchor) -> tuple[Key, int]:
        """Return the key and the row that an anchor means, as things are now."""
        key = self._order().nearest(anchor.key)
        if key != anchor.key:
            return key, 0
        block = self._block(key)
        row, total = anchor.row, len(block.rows) - block.lead
        if row > 0 and total != anchor.total:
            row = row * total // anchor.total
        number = min(block.lead + row, len(block.rows) - 1)
        if number < 0:
            # A line that was above the block is there no more.
            above = self._above(Placed(key, block, 0), -number)
            return above.key, above.row + self._block(above.key).lead
        return key, number

    def _lowest(self, count: int) -> list[Placed]:
        order = self._order()
        key: Key | None = order.last
        rows: list[Placed] = []  # from the bottom
        while key is not None and len(rows) < count:
            block = self._block(key)
            end = len(block.rows)
            begin = max(0, end - count + len(rows))
            numbers = range(end - 1, begin - 1, -1)
            rows += [Placed(key, block, number) for number in numbers]
            key = order.before(key)
        rows.reverse()
        return rows


def _anchor(top: Placed) -> _Anchor:
    block = top.block
    return _Anchor(top.key, top.number - block.lead, len(block.rows) - block.lead)
