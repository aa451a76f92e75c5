"""Which rows of a long column are seen: a place in it that stays where it is.

The place is a block (a message, say) and a row in it, never a row number of the whole:
blocks may come above and below, and change their height when the width changes, and
what one reads stays where it is. Only what is seen is ever asked for.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from client.text.styles import Line
from client.ui.timeline.items import Key

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
        is_torn: Whether something is missing right above it, which may still come.
    """

    __slots__ = ("is_named", "is_torn", "lead", "painted", "rows", "sender", "start")

    def __init__(
        self,
        rows: list[Line],
        start: int = 0,
        lead: int = 0,
        sender: str = "",
        is_named: bool = True,
        is_torn: bool = False,
    ) -> None:
        self.rows = rows
        self.sender = sender
        self.is_named = is_named
        self.is_torn = is_torn
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
    """What stays where it is: a block, and how far it is from the top.

    Attributes:
        key: Of the block.
        row: The highest row that is seen, counted from behind the block's lead;
            negative if the block begins below it.
        total: The rows of the block behind its lead.
    """

    key: Key
    row: int
    total: int


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

    @property
    def kept(self) -> Key | None:
        """The block that stays in place, whatever comes; None while one follows."""
        return self._anchor.key if self._anchor is not None else None

    def rows(self) -> list[Placed]:
        """Return what is seen, from the top; fewer than ``height`` if that is all."""
        rows: list[Placed] = []
        if self._anchor is not None:
            rows = self._downwards(self._top(self._anchor), self.height)
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
        self._anchor = self._anchor_in(self.rows(), self.kept)
        self._is_held = True

    def release(self) -> None:
        """Follow again, if the bottom is seen."""
        self._is_held = False
        if self._anchor is not None:
            self._go(self._top(self._anchor), self._anchor.key)

    def scroll(self, count: int) -> None:
        """Move down by ``count`` rows, or up if that is negative.

        Where something is missing one stops first, so that nothing is passed unseen
        which is just being loaded.
        """
        old = self.rows()[0]
        if count < 0:
            top = self._above(old, -count)
            rows = self._downwards(top, self.height - count)
            moved = rows.index(old)
            ends = range(moved + self.height - 2, self.height - 1, -1)
            torn = next((i for i in ends if _is_tear(rows[i])), None)
            self._go(top if torn is None else rows[torn - self.height + 1])
        elif self._anchor is not None:
            rows = self._downwards(old, count + self.height)
            end = max(0, len(rows) - self.height)
            torn = next((i for i in range(2, end + 1) if _is_tear(rows[i])), end + 1)
            self._go(rows[torn - 1], is_down=True)

    def show(self, key: Key, rows_above: int = 0) -> None:
        """Bring a block to the top, but for some rows above it; there it stays."""
        key = self._order().nearest(key)
        block = self._block(key)
        self._go(self._above(Placed(key, block, block.start), rows_above), key)

    def show_first(self) -> None:
        """Go to the very top, and stay there when something comes above."""
        key = self._order().first
        self._go(Placed(key, self._block(key), 0), key)

    def _go(
        self, top: Placed, key: Key | None = None, *, is_down: bool = False
    ) -> None:
        """Let a row be the highest.

        Args:
            top: That row.
            key: The block that is to stay in place, if that is not to be found out.
            is_down: Whether somebody reads on below.
        """
        rows = self._downwards(top, self.height + 1)
        is_all = len(rows) <= self.height
        self._was_at_bottom = is_all
        if is_all and not self._is_held:
            self._anchor = None
        else:
            self._anchor = self._anchor_in(rows[: self.height], key, is_down=is_down)

    def _anchor_in(
        self, rows: list[Placed], key: Key | None = None, *, is_down: bool = False
    ) -> _Anchor:
        """Return what is to stay where it is, whatever comes between these rows."""
        if key is None:
            index = self._seam(rows, is_down)
        else:
            index = next((i for i, row in enumerate(rows) if row.key == key), 0)
        found, block, number = rows[index]
        row = number - block.lead - index
        return _Anchor(found, row, len(block.rows) - block.lead)

    def _seam(self, rows: list[Placed], is_down: bool) -> int:
        """Return the highest row above which nothing may come in, but what is unseen.

        Who reads downwards stays at what is above a gap, who reads upwards at what is
        below it. Above the very first block nobody reads anything.
        """
        if not is_down:
            for index in range(len(rows) - 1, -1, -1):
                if _is_tear(rows[index]):
                    return index
        first = self._order().first
        return next((i for i, row in enumerate(rows) if row.key != first), 0)

    def _above(self, place: Placed, count: int) -> Placed:
        """Return the row that is so many rows higher, or else the highest."""
        key, block, number = place.key, place.block, place.number - count
        while number < 0:
            above = self._order().before(key)
            if above is None:
                number = 0
                break
            key, block = above, self._block(above)
            number += len(block.rows)
        return Placed(key, block, number)

    def _downwards(self, top: Placed, count: int) -> list[Placed]:
        """Return rows from one on."""
        order = self._order()
        key: Key | None
        key, block, begin = top
        rows: list[Placed] = []
        while True:
            end = min(len(block.rows), begin + count - len(rows))
            rows += [Placed(key, block, number) for number in range(begin, end)]
            key, begin = order.after(key), 0
            if key is None or len(rows) >= count:
                return rows
            block = self._block(key)

    def _top(self, anchor: _Anchor) -> Placed:
        """Return the highest row that is seen, as things are now."""
        key, row = self._order().nearest(anchor.key), anchor.row
        block = self._block(key)
        total = len(block.rows) - block.lead
        if key != anchor.key:
            row = min(row, -block.lead)
        elif row > 0:
            # As much of it stays above the window, however wide that is now.
            row = row * total // anchor.total
        number = min(block.lead + row, len(block.rows) - 1)
        place = Placed(key, block, max(0, number))
        return self._above(place, -number) if number < 0 else place

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


def _is_tear(row: Placed) -> bool:
    """Whether something is missing right above a row."""
    return row.block.is_torn and not row.number
