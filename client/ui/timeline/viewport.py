"""A viewport on a long column of blocks, anchored so that the visible rows stay put.

The anchor is a block (a message, say) and a row in it, never a row number of the whole
column: blocks may be added above and below, and change their height with the width,
while what the user reads stays in place. Only blocks in or near the viewport are ever
rendered.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from client.text.styles import Line
from client.ui.timeline.items import Key

USUAL_HEIGHT = 24
"""The height in rows, until the real one is known."""


class Block:
    """The rows of one item in the column; there is at least one.

    Attributes:
        rows: The rows as they are drawn.
        start: How many of them are separators above the item itself.
        lead: How many rows may come and go with what is above it; at least ``start``.
        sender: The sender of a message that shows one, else "".
        is_named: Whether its first row after ``start`` has the sender's name.
        has_gap_above: Whether a gap is right above it, where rows may still come in.
        painted: Cells that the painter has cached for rows, by row; opaque here.
    """

    __slots__ = (
        "is_named",
        "has_gap_above",
        "lead",
        "painted",
        "rows",
        "sender",
        "start",
    )

    def __init__(
        self,
        rows: list[Line],
        start: int = 0,
        lead: int = 0,
        sender: str = "",
        is_named: bool = True,
        has_gap_above: bool = False,
    ) -> None:
        self.rows = rows
        self.sender = sender
        self.is_named = is_named
        self.has_gap_above = has_gap_above
        self.start = start
        self.lead = lead
        self.painted: dict[int, Any] = {}


class Placed(NamedTuple):
    """A row in the column: the key of its block, the block, and the row's number."""

    key: Key
    block: Block
    number: int

    @property
    def line(self) -> Line:
        """The row as it is drawn."""
        return self.block.rows[self.number]

    @property
    def is_last(self) -> bool:
        """Whether it is the last row of its block."""
        return self.number == len(self.block.rows) - 1


class Order(Protocol):
    """The order of the blocks; there is at least one."""

    @property
    def first(self) -> Key:
        """The key of the highest block."""

    @property
    def last(self) -> Key:
        """The key of the lowest block."""

    def before(self, key: Key) -> Key | None:
        """Return the key right above, None above the highest."""

    def after(self, key: Key) -> Key | None:
        """Return the key right below, None below the lowest."""

    def nearest(self, key: Key) -> Key:
        """Return the key, or if its block is gone, that of one in its place."""


class _Anchor(NamedTuple):
    """The block that stays in place, and its distance from the top.

    Attributes:
        key: The key of the block.
        row: The highest visible row, counted from the end of the block's lead;
            negative if that end is further down.
        total: How many rows the block has after its lead.
    """

    key: Key
    row: int
    total: int


class Viewport:
    """A viewport on a column of blocks.

    It either follows the bottom, or keeps an anchor in place. ``hold`` keeps it in
    place at the bottom too.

    Args:
        order: Returns the order of the blocks as it is now.
        block: Returns the block of a key.

    Attributes:
        height: The height in rows.
    """

    def __init__(
        self, order: Callable[[], Order], block: Callable[[Key], Block]
    ) -> None:
        self._order = order
        self._block = block
        self._anchor: _Anchor | None = None  # None follows the bottom
        self._was_at_bottom = True
        self._is_held = False
        self.height = USUAL_HEIGHT

    @property
    def is_following(self) -> bool:
        """Whether the bottom is visible, and stays so when blocks are added below."""
        return self._anchor is None and not self._is_held

    @property
    def kept(self) -> Key | None:
        """The key of the block that stays in place; None while it follows."""
        return self._anchor.key if self._anchor is not None else None

    def rows(self) -> list[Placed]:
        """Return the visible rows, top first; fewer than ``height`` if that is all."""
        rows: list[Placed] = []
        if self._anchor is not None:
            rows = self._downwards(self._top(self._anchor), self.height)
        if len(rows) < self.height:
            rows = self._lowest(self.height)
        lowest = rows[-1]
        self._was_at_bottom = lowest.is_last and lowest.key == self._order().last
        return rows

    def follow(self) -> None:
        """Go to the bottom, and stay there when blocks are added below."""
        self._anchor = None
        self._was_at_bottom = True

    def changed(self) -> None:
        """Handle a change of the blocks: if the bottom was visible, follow it."""
        if self._was_at_bottom and not self._is_held:
            self._anchor = None

    def hold(self) -> None:
        """Stay in place, even at the bottom, until ``release``."""
        self._anchor = self._anchor_in(self.rows(), self.kept)
        self._is_held = True

    def release(self) -> None:
        """End ``hold``: follow again, if the bottom is visible."""
        self._is_held = False
        if self._anchor is not None:
            self._go(self._top(self._anchor), self._anchor.key)

    def scroll(self, count: int) -> None:
        """Scroll down by ``count`` rows, or up if that is negative.

        At a gap it stops first, so that the user does not scroll past entries that are
        just being loaded.
        """
        old = self.rows()[0]
        if count < 0:
            top = self._above(old, -count)
            rows = self._downwards(top, self.height - count)
            moved = rows.index(old)
            ends = range(moved + self.height - 2, self.height - 1, -1)
            torn = next((i for i in ends if _has_gap_above(rows[i])), None)
            self._go(top if torn is None else rows[torn - self.height + 1])
        elif self._anchor is not None:
            rows = self._downwards(old, count + self.height)
            end = max(0, len(rows) - self.height)
            torn = next(
                (i for i in range(2, end + 1) if _has_gap_above(rows[i])), end + 1
            )
            self._go(rows[torn - 1], is_down=True)

    def show(self, key: Key, rows_above: int = 0) -> None:
        """Scroll a block to ``rows_above`` rows below the top, and anchor it there."""
        key = self._order().nearest(key)
        block = self._block(key)
        self._go(self._above(Placed(key, block, block.start), rows_above), key)

    def show_first(self) -> None:
        """Go to the very top, and stay there when blocks are added above."""
        key = self._order().first
        self._go(Placed(key, self._block(key), 0), key)

    def _go(
        self, top: Placed, key: Key | None = None, *, is_down: bool = False
    ) -> None:
        """Make a row the highest visible one, and choose the anchor.

        Args:
            top: That row.
            key: The block to anchor; None chooses one.
            is_down: Whether the user scrolls down.
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
        """Return the anchor for these rows: of a certain block, or of the best one."""
        if key is None:
            index = self._seam(rows, is_down)
        else:
            index = next((i for i, row in enumerate(rows) if row.key == key), 0)
        found, block, number = rows[index]
        row = number - block.lead - index
        return _Anchor(found, row, len(block.rows) - block.lead)

    def _seam(self, rows: list[Placed], is_down: bool) -> int:
        """Return the index of the row to anchor.

        Entries that fill a gap push away the rows on its other side. So a user who
        reads downwards is anchored above a gap, one who reads upwards below it. The
        very first block is no anchor: older entries come in right below it.
        """
        if not is_down:
            for index in range(len(rows) - 1, -1, -1):
                if _has_gap_above(rows[index]):
                    return index
        first = self._order().first
        return next((i for i, row in enumerate(rows) if row.key != first), 0)

    def _above(self, place: Placed, count: int) -> Placed:
        """Return the row ``count`` rows higher, or else the highest."""
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
        """Return up to ``count`` rows, from one on."""
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
        """Return the highest visible row for an anchor, with the present blocks."""
        key, row = self._order().nearest(anchor.key), anchor.row
        block = self._block(key)
        total = len(block.rows) - block.lead
        if key != anchor.key:
            row = min(row, -block.lead)
        elif row > 0:
            # The same share of it stays above the window, at any width.
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


def _has_gap_above(row: Placed) -> bool:
    """Whether a gap is right above a row."""
    return row.block.has_gap_above and not row.number
