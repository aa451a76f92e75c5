"""The reading position in the open chat: which rows are visible, and moving it.

The model is the truth; here is only a place in it, and the selection. Rows are rendered
when they are painted, or when a property needs them.
"""

import contextlib
from collections.abc import Iterator
from datetime import date
from itertools import islice
from typing import Literal

from client.commands.workspace import Workspace
from client.model.entries import Gap
from client.ui.timeline.content import Content
from client.ui.timeline.items import NearGap, day_of, index_of_day, is_entry
from client.ui.timeline.selection import Selection
from client.ui.timeline.viewport import Placed, Viewport
from client.ui.timeline.visible_rows import (
    VisibleRow,
    middle_of,
    name_sender,
    near_gap,
    newest_whole,
    see,
    see_chosen,
    see_target,
)

MAX_NEW_BELOW = 1_000
PAGES_AHEAD = 2

MAX_HELD = 20_000
"""What is read further up stays in memory until this many entries are below it."""

_AT_ONCE = 1_000  # so many may arrive between two updates


class Position(Content):
    """The reading position in the open chat, and the visible rows.

    Args:
        workspace: The workspace whose open chat is shown.
    """

    def __init__(self, workspace: Workspace) -> None:
        super().__init__(workspace)
        self._newest_seen = 0  # the newest seq while the bottom was visible
        self._held = 0  # how many more entries the model was asked to keep
        self._target: int | None = None  # the seq of the message that is pointed at
        # Where the user wants to go, although it is not loaded yet.
        self._pending_goal: Literal["new", "top"] | None = None
        self._selection = Selection()
        self._viewport = Viewport(lambda: self._items, self._row_cache.block)
        self._visible: list[VisibleRow] | None = None

    def open(self, address: str | None) -> None:
        """Show a chat, at its bottom; None for the welcome.

        A chat that is open already keeps its position and its unread marker.
        """
        if address != self.address:
            self.address = address
            self._begin()
        self.refresh()

    # Moving ---------------------------------------------------------------------------

    def scroll(self, rows: int) -> None:
        """Scroll down by some rows, or up if that is negative."""
        with self._moving():
            self._viewport.scroll(rows)

    def page(self, pages: float) -> None:
        """Scroll by whole windows, less one row that stays visible."""
        height = self._viewport.height
        rows = round(pages * max(1, height - 1))
        self.scroll(rows or (1 if pages > 0 else -1))

    def to_top(self) -> None:
        """Go to the oldest loaded entry, and request those before it."""
        with self._moving():
            self._viewport.show_first()
        chat = self._chat
        if chat is not None and chat.older() is not None:
            self._pending_goal = "top"

    def to_bottom(self) -> None:
        """Go to the bottom and follow it; the selection is cleared."""
        with self._moving():
            self._selection.clear()
            self._viewport.release()
            self._viewport.follow()

    def to_first_unread(self) -> bool:
        """Go to the unread marker; return False if there is nothing to go to.

        If unread entries above it are still missing, they are requested; then the
        marker moves up, and the view follows it.
        """
        self._update()
        chat = self._items.chat
        unread = chat.first_unread() if chat is not None else None
        seq = self._unread_marker.seq or (unread.seq if unread is not None else None)
        if seq is None or not self._show(seq):
            return False
        self._pending_goal = "new" if self._unread_marker.missing is not None else None
        return True

    def to_seq(self, seq: int) -> bool:
        """Go to a message and point at it; return False if it is not loaded."""
        self._update()
        if not self._show(seq):
            return False
        self._target = seq
        return True

    def to_date(self, day: date) -> bool:
        """Go to the first entry of a day, or after it; False if it is not loaded.

        It is not loaded if all loaded entries are older, or if the oldest of them is
        younger and entries are missing before it.
        """
        self._update()
        chat = self._items.chat
        if chat is None or not chat.entries:
            return False
        index = index_of_day(chat.entries, day)
        is_before = index == 0 and chat.begins_after_gap(0)
        if index == len(chat.entries) or (is_before and day_of(chat.entries[0]) > day):
            return False
        return self._show(chat.entries[index].seq)

    # Where it is ----------------------------------------------------------------------

    @property
    def is_at_bottom(self) -> bool:
        """Whether the bottom is visible, and is followed when entries are added."""
        return self._viewport.is_following

    @property
    def new_below(self) -> int:
        """How many messages of others came while the bottom was not visible.

        Only those below the visible rows count; 1,000 may mean more.
        """
        chat, newest = self._chat, self.newest_visible_seq
        if self.is_at_bottom or chat is None:
            return 0
        me, entries = self._workspace.model.me, chat.entries
        begin = chat.index(max(newest or 0, self._newest_seen) + 1)
        below = (entries[index] for index in range(begin, len(entries)))
        talk = (entry for entry in below if entry.is_message and entry.sender != me)
        return sum(1 for _ in islice(talk, MAX_NEW_BELOW))

    @property
    def newest_visible_seq(self) -> int | None:
        """The newest entry that is visible to its end; None if there is none."""
        chat = self._chat
        if self.is_at_bottom:
            return chat.newest.seq if chat is not None and chat.newest else None
        return newest_whole(self._rows)

    @property
    def middle_seq(self) -> int | None:
        """The seq from which to search for the next or previous mention.

        It is that of the message that is pointed at, if it is visible; else the one in
        the middle, or at the bottom the one after the newest. None without an entry.
        """
        return middle_of(self._rows, self._target, self.is_at_bottom)

    @property
    def needs_older(self) -> bool:
        """Whether the oldest loaded entry is near, and entries before it exist."""
        chat = self._chat
        if chat is None or chat.older() is None:
            return False
        rows = self._rows
        if self._pending_goal == "new":
            return True
        index = chat.index(rows[0].placed.key[0]) if rows else 0
        return index < PAGES_AHEAD * self._viewport.height

    @property
    def visible_gap(self) -> Gap | None:
        """The gap to load next: in or near the visible rows, or where the user goes."""
        chat = self._chat
        if chat is None:
            return None
        rows, missing, older = self._rows, self._unread_marker.missing, chat.older()
        if self._pending_goal == "new" and missing is not None:
            return NearGap(chat.address, *missing, is_from_above=True)
        if self._pending_goal == "top" and older is not None:
            return NearGap(chat.address, older.after, older.before, is_from_above=True)
        ahead = PAGES_AHEAD * self._viewport.height
        return near_gap(rows, chat, self._viewport.kept, ahead)

    # Inside ---------------------------------------------------------------------------

    @property
    def _rows(self) -> list[VisibleRow]:
        """The visible rows, up to date."""
        self._update()
        if self._visible is None:
            places = self._viewport.rows()
            self._visible = [self._see(placed) for placed in places]
            self._visible[0] = name_sender(self._visible[0], self._row_cache.style)
            self._note_bottom()
        return self._visible

    @contextlib.contextmanager
    def _moving(self) -> Iterator[None]:
        """Wrap a movement of the viewport; it clears the target and a pending move."""
        self._update()
        self._note_bottom()
        yield
        self._target = None
        self._pending_goal = None
        self._visible = None
        self._note_bottom()
        self._hold()

    def _note_bottom(self) -> None:
        """Record the newest entry if the bottom is visible: it is not "new below"."""
        if self.is_at_bottom and self._items.entries:
            self._newest_seen = self._items.entries[-1].seq

    def _hold(self) -> None:
        """Keep the visible entries in memory while new ones arrive below them.

        The model drops the oldest entries of a chat beyond a bound; here that bound is
        raised while the user reads further up, and reset at the bottom.
        """
        chat, model = self._chat, self._workspace.model
        if chat is None:
            return
        if self.is_at_bottom:
            if self._held:
                model.shrink(chat.address)
                self._held = 0
                self._is_stale = True
            return
        below = len(chat.entries) - chat.index(self._newest_seen + 1)
        wanted = min(MAX_HELD, below + _AT_ONCE)
        if wanted > self._held:
            model.expect_older(chat.address, wanted - self._held)
            self._held = wanted

    def _see(self, placed: Placed) -> VisibleRow:
        """Return a row as it is drawn: selected, marked, pointed at, or unchanged."""
        style, seq = self._row_cache.style, placed.key[0]
        if not is_entry(placed.key):
            return see(placed)
        if sign := self._selection.sign(seq):
            return see_chosen(placed, sign, style)
        return see_target(placed, style) if seq == self._target else see(placed)

    def _begin(self) -> None:
        """Reset what belongs to the chat that was open before."""
        chat = self._chat
        self._unread_marker.open(chat, self._workspace.model.is_synced)
        self._selection.clear()
        self._target = None
        self._pending_goal = None
        self._newest_seen = self._held = 0
        self._row_cache.unfolded.clear()
        self._viewport.release()
        self._viewport.follow()

    def _update(self) -> None:
        """Update content and viewport, if the model has changed."""
        if not self._is_stale:
            return
        self._is_stale = False
        self._visible = None
        if self._is_another:
            self._begin()
        self._take_over()
        self._viewport.changed()
        if self._pending_goal == "new" and self._unread_marker.seq is not None:
            self._viewport.show(
                (self._unread_marker.seq, 0), self._viewport.height // 3
            )
            self._pending_goal = (
                "new" if self._unread_marker.missing is not None else None
            )
        self._hold()

    def _show(self, seq: int) -> bool:
        """Scroll to a message, with some rows above it; False if it is not loaded."""
        if self._items.item((seq, 0)) is None:
            return False
        with self._moving():
            self._viewport.show((seq, 0), self._viewport.height // 3)
        return True

    def _show_whole(self, seq: int, is_up: bool) -> None:
        """Scroll as little as possible until all rows of a message are visible."""
        key, height = (seq, 0), self._viewport.height
        block = self._row_cache.block(key)
        count = min(len(block.rows) - block.start, height)
        seen = [s for s in self._rows if s.placed.key == key]
        whole = [s for s in seen if s.placed.number >= block.start]
        if len(whole) < count:
            self._viewport.show(key, 0 if is_up else height - count)
        self._visible = None
