"""The viewport on a column of blocks: the reading position stays where it is."""

from bisect import bisect_left, bisect_right

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from client.ui.timeline.items import Key
from client.ui.timeline.viewport import Block, Placed, Viewport

HEIGHTS = st.lists(st.integers(1, 7), min_size=1, max_size=12)


class Column:
    """Blocks by key, whose rows name their block; counts the lookups."""

    def __init__(self, heights: list[int]) -> None:
        self.blocks = {(n * 10, 0): make(n * 10, h) for n, h in enumerate(heights)}
        self.asked = 0

    @property
    def keys(self) -> list[Key]:
        return sorted(self.blocks)

    @property
    def first(self) -> Key:
        return self.keys[0]

    @property
    def last(self) -> Key:
        return self.keys[-1]

    def before(self, key: Key) -> Key | None:
        place = bisect_left(self.keys, key)
        return self.keys[place - 1] if place else None

    def after(self, key: Key) -> Key | None:
        place = bisect_right(self.keys, key)
        return self.keys[place] if place < len(self.keys) else None

    def nearest(self, key: Key) -> Key:
        return key if key in self.blocks else self.after(key) or self.last

    def block(self, key: Key) -> Block:
        self.asked += 1
        return self.blocks[key]

    @property
    def texts(self) -> list[str]:
        return [text for key in self.keys for text in texts(self.blocks[key])]


def make(number: int, height: int, lead: int = 0, has_gap_above: bool = False) -> Block:
    rows = [[("", f"{number}{row:+d}")] for row in range(-lead, height)]
    return Block(list(rows), start=lead, lead=lead, has_gap_above=has_gap_above)


def texts(block: Block) -> list[str]:
    return [line[0][1] for line in block.rows]


def view(column: Column, height: int) -> Viewport:
    viewport = Viewport(lambda: column, column.block)
    viewport.height = height
    return viewport


def seen(rows: list[Placed]) -> list[str]:
    return [row.line[0][1] for row in rows]


@given(HEIGHTS, st.integers(1, 20))
def test_it_begins_at_the_bottom(heights: list[int], height: int) -> None:
    column = Column(heights)
    assert seen(view(column, height).rows()) == column.texts[-height:]


@given(HEIGHTS, st.integers(1, 9), st.lists(st.integers(-9, 9), max_size=9))
def test_scrolling_moves_by_rows_and_stops_at_the_ends(
    heights: list[int], height: int, steps: list[int]
) -> None:
    column = Column(heights)
    viewport = view(column, height)
    all_rows = column.texts
    lowest = max(0, len(all_rows) - height)
    top = lowest
    for step in steps:
        viewport.scroll(step)
        top = min(max(0, top + step), lowest)
        assert seen(viewport.rows()) == all_rows[top : top + height]


class ViewportMachine(RuleBasedStateMachine):
    """The reading position stays through any change; at the bottom the view follows."""

    @initialize(heights=HEIGHTS, height=st.integers(1, 9))
    def begin(self, heights: list[int], height: int) -> None:
        self.column = Column(heights)
        self.viewport = view(self.column, height)
        self.rows = seen(self.viewport.rows())

    @property
    def is_at_bottom(self) -> bool:
        return self.rows[-1:] == self.column.texts[-1:]

    def after_change(self, was_at_bottom: bool) -> None:
        self.viewport.changed()
        rows = seen(self.viewport.rows())
        if was_at_bottom:
            assert rows == self.column.texts[-self.viewport.height :]
        else:
            assert rows == self.rows
        self.rows = rows

    @rule(step=st.integers(-9, 9))
    def scroll(self, step: int) -> None:
        self.viewport.scroll(step)
        self.rows = seen(self.viewport.rows())

    @rule(height=st.integers(1, 7))
    def something_comes_below(self, height: int) -> None:
        was_at_bottom = self.is_at_bottom
        number = self.column.last[0] + 10
        self.column.blocks[number, 0] = make(number, height)
        self.after_change(was_at_bottom)

    @rule(heights=HEIGHTS)
    def older_ones_come_above(self, heights: list[int]) -> None:
        was_at_bottom = self.is_at_bottom
        for height in heights:
            number = self.column.first[0] - 10
            self.column.blocks[number, 0] = make(number, height)
        self.after_change(was_at_bottom)

    @rule()
    def a_line_comes_before_the_oldest(self) -> None:
        key, block = self.column.first, self.column.blocks[self.column.first]
        if self.is_at_bottom or self.rows[0] in (f"{key[0]}-1", f"{key[0]}+0"):
            return
        self.column.blocks[key] = make(key[0], len(block.rows) - block.lead, 1)
        self.after_change(False)

    @invariant()
    def the_window_is_full(self) -> None:
        if hasattr(self, "column"):
            wanted = min(self.viewport.height, len(self.column.texts))
            assert len(self.rows) == wanted


TestReading = ViewportMachine.TestCase


def test_the_same_message_stays_at_the_top_when_the_width_changes() -> None:
    column = Column([3, 10, 10, 10])
    viewport = view(column, 5)
    viewport.show((20, 0))
    viewport.scroll(4)
    assert seen(viewport.rows())[0] == "20+4"
    for n in range(4):
        column.blocks[n * 10, 0] = make(n * 10, 20)
    viewport.changed()
    assert seen(viewport.rows())[0] == "20+8"
    for n in range(4):
        column.blocks[n * 10, 0] = make(n * 10, 10)
    assert seen(viewport.rows())[0] == "20+4"


def test_a_window_that_was_made_higher_and_lower_again_shows_the_same() -> None:
    column = Column([5] * 6)
    viewport = view(column, 5)
    viewport.scroll(-7)
    before = seen(viewport.rows())
    viewport.height = 30
    assert seen(viewport.rows()) == column.texts
    viewport.height = 5
    assert seen(viewport.rows()) == before


def test_a_message_that_is_gone_leaves_its_place_to_the_next() -> None:
    column = Column([2] * 9)
    viewport = view(column, 4)
    viewport.show((30, 0))
    for number in (0, 10, 20, 30):
        del column.blocks[number, 0]
    viewport.changed()
    assert seen(viewport.rows())[0] == "40+0"


def test_a_block_is_shown_with_what_is_above_it() -> None:
    column = Column([2] * 9)
    column.blocks[40, 0] = make(40, 2, lead=1)
    viewport = view(column, 6)
    viewport.show((40, 0), rows_above=3)
    assert seen(viewport.rows())[:4] == ["30+0", "30+1", "40-1", "40+0"]
    viewport.show((10, 0), rows_above=9)
    assert seen(viewport.rows())[0] == "0+0"


def test_the_top_and_the_bottom_are_reached_at_once() -> None:
    column = Column([2] * 500)
    viewport = view(column, 10)
    viewport.show_first()
    assert seen(viewport.rows())[0] == "0+0"
    viewport.follow()
    assert seen(viewport.rows())[-1] == "4990+1"
    assert column.asked < 60


def test_only_what_is_seen_is_asked_for() -> None:
    column = Column([1] * 5_000)
    viewport = view(column, 40)
    viewport.scroll(-100)
    column.asked = 0
    viewport.rows()
    assert column.asked <= 41


# Insertions ---------------------------------------------------------------------------


def insert(column: Column, viewport: Viewport, numbers: range) -> list[str]:
    """Insert blocks of one row; return what is visible then."""
    for number in numbers:
        column.blocks[number, 0] = make(number, 1)
    viewport.changed()
    return seen(viewport.rows())


def test_what_comes_below_the_head_does_not_move_what_is_read() -> None:
    column = Column([1, 2, 2, 2, 2, 2])
    viewport = view(column, 5)
    viewport.scroll(-99)
    before = seen(viewport.rows())
    assert before[:2] == ["0+0", "10+0"]
    assert insert(column, viewport, range(1, 9)) == ["8+0", *before[1:]]
    viewport.scroll(-99)
    assert seen(viewport.rows())[:2] == ["0+0", "1+0"]


def test_who_went_to_the_very_top_stays_there() -> None:
    column = Column([1, 2, 2, 2, 2, 2])
    viewport = view(column, 5)
    viewport.show_first()
    assert insert(column, viewport, range(1, 9))[:2] == ["0+0", "1+0"]
    viewport.scroll(1)
    assert seen(viewport.rows())[0] == "1+0"
    assert insert(column, viewport, range(-9, -1))[0] == "1+0"


def torn_column() -> Column:
    """Return twenty blocks of one row each, with a gap above the eleventh."""
    column = Column([1] * 20)
    column.blocks[100, 0] = make(100, 1, lead=1, has_gap_above=True)
    return column


def close(column: Column) -> None:
    column.blocks[100, 0] = make(100, 1)


def test_reading_upwards_one_stays_at_what_is_below_a_gap() -> None:
    column = torn_column()
    viewport = view(column, 6)
    viewport.scroll(-8)
    assert seen(viewport.rows())[-3:] == ["100-1", "100+0", "110+0"]
    close(column)
    rows = insert(column, viewport, range(91, 99))
    assert rows[-3:] == ["98+0", "100+0", "110+0"]


def test_reading_downwards_one_stays_at_what_is_above_a_gap() -> None:
    column = torn_column()
    viewport = view(column, 6)
    viewport.show_first()
    viewport.scroll(6)
    viewport.scroll(2)
    assert seen(viewport.rows())[:4] == ["80+0", "90+0", "100-1", "100+0"]
    close(column)
    rows = insert(column, viewport, range(91, 99))
    assert rows[:4] == ["80+0", "90+0", "91+0", "92+0"]


def test_a_gap_is_not_passed_before_it_was_at_the_edge() -> None:
    column = torn_column()
    viewport = view(column, 6)
    viewport.show_first()
    for top in ("50+0", "90+0", "130+0"):
        viewport.scroll(5)
        assert seen(viewport.rows())[0] == top
    for bottom in ("140+0", "100+0", "100-1", "60+0"):
        viewport.scroll(-4)
        assert seen(viewport.rows())[-1] == bottom


def test_what_was_looked_for_stays_in_its_row() -> None:
    column = torn_column()
    viewport = view(column, 6)
    viewport.show((90, 0), rows_above=2)
    before = seen(viewport.rows())
    assert before == ["70+0", "80+0", "90+0", "100-1", "100+0", "110+0"]
    insert(column, viewport, range(71, 79))
    insert(column, viewport, range(91, 99))
    assert seen(viewport.rows())[:4] == ["78+0", "80+0", "90+0", "91+0"]
    assert viewport.kept == (90, 0)


def test_while_somebody_chooses_all_of_it_stays_at_the_bottom_too() -> None:
    column = torn_column()
    viewport = view(column, 12)
    before = seen(viewport.rows())
    viewport.hold()
    assert insert(column, viewport, range(191, 199)) == before
    viewport.release()
    assert not viewport.is_following


def test_what_is_held_in_a_window_that_was_made_higher_stays() -> None:
    column = Column([1] * 20)
    viewport = view(column, 5)
    viewport.scroll(-3)
    viewport.height = 12
    before = seen(viewport.rows())
    viewport.hold()
    assert insert(column, viewport, range(191, 199)) == before
