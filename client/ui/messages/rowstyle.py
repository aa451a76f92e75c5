"""The style of message rows: their width, and the columns that follow from it."""

from collections.abc import Callable
from datetime import date
from functools import lru_cache

from msgspec import Struct

from client.text.entries import MIN_TEXT_CELLS, NAME_CELLS
from client.text.times import DEFAULT_TIME_FORMAT, format_time
from client.text.wrapping import cells

GUTTER_CELLS = 2
INDENT_CELLS = 4
FOLD_HINT = "Alt+M, then Enter shows all"

_SOME_NOON_MS = 1_795_262_400_000


def no_emoji(code: str) -> str | None:
    """Return None: no shortcode is known."""
    return None


class RowStyle(Struct, frozen=True, kw_only=True):
    """The style of rows.

    Two columns of marks come first, then the time, the name and the text. Where that
    leaves too little for the text, time and name are a row of their own: the rows are
    stacked.

    Attributes:
        width: The cells of the window; rows leave the last one free, as terminals
            differ in what follows a full row.
        time_format: The format of times, for strftime.
        me: The user's own name.
        is_bare: Whether only the text is shown, for the terminal's own selection.
        osc8: Whether links carry their target for a ``HyperlinkOutput``.
        highlight: A word to highlight, in upper or lower case; "" for none.
        emoji: Returns the emoji of a shortcode (without colons), None if it is
            unknown; must not take long.
        fold_hint: Which keys show all of a folded message.
        today: Today's date, to name today and yesterday.
    """

    width: int
    time_format: str = DEFAULT_TIME_FORMAT
    me: str = ""
    is_bare: bool = False
    osc8: bool = False
    highlight: str = ""
    emoji: Callable[[str], str | None] = no_emoji
    fold_hint: str = FOLD_HINT
    today: date | None = None

    @property
    def limit(self) -> int:
        """The maximum width of a row, in cells."""
        return max(1, self.width - 1)

    @property
    def is_stacked(self) -> bool:
        """Whether time and name are above the text, not beside it."""
        beside = _beside(self.time_format)
        return self.is_bare or self.limit - beside < MIN_TEXT_CELLS

    @property
    def indent(self) -> int:
        """The cells before the text of a message."""
        if self.is_bare:
            return 0
        if self.is_stacked:
            return min(INDENT_CELLS, self.limit // 4)
        return _beside(self.time_format)

    @property
    def text_size(self) -> int:
        """The cells for the text of a message."""
        return max(1, self.limit - self.indent)


@lru_cache(maxsize=16)
def time_cells(time_format: str) -> int:
    """Return how many cells a time in this format takes, measured on a sample."""
    return cells(format_time(_SOME_NOON_MS, time_format))


def _beside(time_format: str) -> int:
    return GUTTER_CELLS + time_cells(time_format) + 1 + NAME_CELLS + 1
