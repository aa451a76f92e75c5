"""Reading a chat: which of its messages are seen, and what that means.

The model is the truth; here is only a place in it, what the program said, and what is
chosen. ``refresh`` just notes that something changed: rows are made when they are
painted, or when somebody asks for them.
"""

import contextlib
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date
from itertools import islice

from client.changes import Entry, Gap, Transfer
from client.chat import Chat
from client.colours import Line
from client.times import local
from client.ui.blocks import Blocks
from client.ui.feed import Feed, is_entry, tail_of
from client.ui.head import head_rows
from client.ui.new_mark import NewMark
from client.ui.notices import Notices
from client.ui.rowstyle import FOLD_HINT, RowStyle, no_emoji
from client.ui.seen import Seen, name_sender, see, see_chosen, see_target
from client.ui.selection import Selection
from client.ui.viewport import Placed, Viewport
from client.workspace import Workspace

MAX_NEW_BELOW = 999
PAGES_AHEAD = 2


class Reading:
    """What somebody sees of the open chat.

    Args:
        workspace: Whose chat is shown.
        clock: The wall clock, in seconds; it says which day is today.

    Attributes:
        osc8: Whether links carry their target for a ``HyperlinkOutput``.
        emoji: Returns the emoji of a shortcode; must not take long.
        fold_hint: Which keys show all of a folded message.
        welcome: What is shown while no chat is open; None for the usual.
        address: Of the open chat.
    """

    def __init__(self, workspace: Workspace, clock: Callable[[], float]) -> None:
        self.osc8 = False
        self.emoji: Callable[[str], str | None] = no_emoji
        self.fold_hint = FOLD_HINT
        self.welcome: Sequence[Line] | None = None
        self.address: str | None = None
        self._workspace = workspace
        self._clock = clock
        self._highlight: str | None = None
        self._is_bare = False
        self._width = 80
        self._notices = Notices()
        self._known = 0  # the newest that was there while the bottom was seen
        self._target: int | None = None
        self._new = NewMark()
        self._selection = Selection()
        self._blocks = Blocks(self._style())
        self._viewport = Viewport(lambda: self._feed, self._blocks.block)
        self._feed = Feed()
        self._feed_address: str | None = None
        self._is_stale = True
        self._seen: list[Seen] | None = None

    # What is shown --------------------------------------------------------------------

    def open(self, address: str | None) -> None:
        """Show a chat, at its bottom; None for the welcome.

        The chat that is open already stays as it is, with its "new" line.
        """
        if address != self.address:
            self.address = address
            self._begin()
        self.refresh()

    def refresh(self) -> None:
        """Note that the model has changed; this costs next to nothing."""
        self._is_stale = True

    def notice(self, lines: Iterable[Line]) -> None:
        """Show what the program says, below what is in the open chat now."""
        self._notices.add(self.address, self._chat, lines)
        self._is_stale = True

    def clear_notices(self) -> None:
        """Forget what the program said in the open chat."""
        self._notices.clear(self.address)
        self._is_stale = True

    @property
    def highlight(self) -> str | None:
        """The word that is highlighted wherever it stands."""
        return self._highlight

    @highlight.setter
    def highlight(self, word: str | None) -> None:
        self._highlight = word
        self._is_stale = True

    @property
    def is_bare(self) -> bool:
        """Whether only text is shown: no names, no times, no colours."""
        return self._is_bare

    @is_bare.setter
    def is_bare(self, is_bare: bool) -> None:
        self._is_bare = is_bare
        self._is_stale = True

    @property
    def formatted(self) -> int:
        """How many messages and other things were made into rows so far."""
        return self._blocks.formatted

    # Moving ---------------------------------------------------------------------------

    def scroll(self, rows: int) -> None:
        """Move down by some rows, or up if that is negative."""
        with self._moving():
            self._viewport.scroll(rows)

    def page(self, pages: float) -> None:
        """Move by so many windows; one row of before stays in view."""
        height = self._viewport.height
        rows = round(pages * max(1, height - 1))
        self.scroll(rows or (1 if pages > 0 else -1))

    def to_top(self) -> None:
        """Go to the oldest that is loaded."""
        with self._moving():
            self._viewport.show_first()

    def to_bottom(self) -> None:
        """Go to the newest, and stay there; nothing is chosen any more."""
        with self._moving():
            self._selection.clear()
            self._viewport.release()
            self._viewport.follow()

    def to_first_unread(self) -> bool:
        """Go to the line that says "new"; whether there is something unread."""
        self._update()
        chat = self._feed.chat
        unread = chat.first_unread() if chat is not None else None
        seq = self._new.seq or (unread.seq if unread is not None else None)
        return seq is not None and self._show(seq)

    def to_seq(self, seq: int) -> bool:
        """Go to a message and point at it; False if it is not loaded."""
        self._update()
        if not self._show(seq):
            return False
        self._target = seq
        return True

    def to_date(self, day: date) -> bool:
        """Go to the first entry of a day, or after it; False if it is not loaded.

        What is loaded begins with its oldest entry before which something is missing.
        """
        self._update()
        chat = self._feed.chat
        if chat is None or not chat.entries:
            return False
        index = _index_of_day(chat.entries, day)
        is_before = index == 0 and chat.begins_after_gap(0)
        if index == len(chat.entries) or (is_before and _day_of(chat.entries[0]) > day):
            return False
        return self._show(chat.entries[index].seq)

    # Where it is ----------------------------------------------------------------------

    @property
    def is_at_bottom(self) -> bool:
        """Whether the newest is seen, and what comes will be."""
        return self._viewport.is_following

    @property
    def new_below(self) -> int:
        """How many messages came while the bottom was not seen; 999 may mean more."""
        chat, newest = self._chat, self.newest_visible_seq
        if self.is_at_bottom or chat is None:
            return 0
        me = self._workspace.model.me
        begin = chat.index(max(newest or 0, self._known) + 1)
        below = islice(chat.entries, begin, None)
        talk = (entry for entry in below if entry.is_talk and entry.sender != me)
        return sum(1 for _ in islice(talk, MAX_NEW_BELOW))

    @property
    def newest_visible_seq(self) -> int | None:
        """The newest entry that is seen to its end; None if there is none."""
        chat = self._chat
        if self.is_at_bottom:
            return chat.newest.seq if chat is not None and chat.newest else None
        whole = (s.placed for s in reversed(self._rows) if s.placed.is_last)
        return next((p.key[0] for p in whole if is_entry(p.key)), None)

    @property
    def middle_seq(self) -> int | None:
        """Where somebody reads: what is before it was read, what is after it not yet.

        It is the message that is pointed at, if it is seen; else in the middle, or
        behind the newest at the bottom.
        """
        seqs = [s.placed.key[0] for s in self._rows if is_entry(s.placed.key)]
        if not seqs:
            return None
        if self._target in seqs:
            return self._target
        return seqs[-1] + 1 if self.is_at_bottom else seqs[len(seqs) // 2]

    @property
    def needs_older(self) -> bool:
        """Whether the oldest that is loaded is near, and something is before it."""
        chat = self._chat
        if chat is None or chat.older() is None:
            return False
        rows = self._rows
        index = chat.index(rows[0].placed.key[0]) if rows else 0
        return index < PAGES_AHEAD * self._viewport.height

    @property
    def visible_gap(self) -> Gap | None:
        """What is missing between two entries that are seen, the lowest if several."""
        chat = self._chat
        if chat is None:
            return None
        for seen in reversed(self._rows):
            seq, number = seen.placed.key
            index = chat.index(seq)
            if number or not 0 < index < len(chat.entries):
                continue
            if chat.entries[index].seq == seq and chat.begins_after_gap(index):
                return Gap(chat.address, chat.entries[index - 1].seq, seq)
        return None

    # Inside ---------------------------------------------------------------------------

    @property
    def _chat(self) -> Chat | None:
        return self._workspace.model.chats.get(self.address or "")

    @property
    def _rows(self) -> list[Seen]:
        """The rows that are seen, as things are now."""
        self._update()
        if self._seen is None:
            places = self._viewport.rows()
            self._seen = [self._see(placed) for placed in places]
            self._seen[0] = name_sender(self._seen[0], self._blocks.style)
            self._note_bottom()
        return self._seen

    @contextlib.contextmanager
    def _moving(self) -> Iterator[None]:
        """Go elsewhere; what was pointed at is so no more."""
        self._update()
        self._note_bottom()
        yield
        self._target = None
        self._seen = None
        self._note_bottom()

    def _note_bottom(self) -> None:
        """Note what is known to somebody who sees the bottom."""
        if self.is_at_bottom and self._feed.entries:
            self._known = self._feed.entries[-1].seq

    def _see(self, placed: Placed) -> Seen:
        """Return a row as it is drawn; that of a chosen message says so."""
        style, seq = self._blocks.style, placed.key[0]
        if not is_entry(placed.key):
            return see(placed)
        if sign := self._selection.sign(seq):
            return see_chosen(placed, sign, style)
        return see_target(placed, style) if seq == self._target else see(placed)

    def _begin(self) -> None:
        """Forget what belongs to the chat that was open before."""
        chat = self._chat
        self._new.open(chat, self._workspace.model.is_synced)
        self._selection.clear()
        self._target = None
        self._known = 0
        self._blocks.unfolded.clear()
        self._viewport.release()
        self._viewport.follow()

    def _update(self) -> None:
        """Take over what has changed, if anything has."""
        if not self._is_stale:
            return
        self._is_stale = False
        self._seen = None
        model, chat = self._workspace.model, self._chat
        if chat is not self._feed.chat and self._feed_address == self.address:
            self._begin()
        self._feed_address = self.address
        if chat is not None:
            self._new.update(chat, model.me, model.is_synced)
        transfers = self._transfers()
        notices = self._notices.of(self.address)
        self._feed = Feed(chat, notices, tail_of(chat, transfers))
        style = self._style()
        blocks = self._blocks
        blocks.restyle(style)
        blocks.head = head_rows(chat, self.address, style, self.welcome)
        blocks.new_seq, blocks.new_count = self._new.seq, self._new.count
        blocks.transfers = {
            transfer.seq: transfer
            for transfer in transfers
            if transfer.direction == "down" and transfer.seq is not None
        }
        blocks.refresh(self._feed)
        self._viewport.changed()

    def _transfers(self) -> list[Transfer]:
        """Return the files of the open chat that are on their way, or were."""
        items = self._workspace.link.transfers.items
        return [transfer for transfer in items if transfer.chat == self.address]

    def _style(self) -> RowStyle:
        return RowStyle(
            width=self._width,
            time_format=self._workspace.settings.time_format,
            me=self._workspace.model.me,
            is_bare=self._is_bare,
            osc8=self.osc8,
            highlight=self._highlight or "",
            emoji=self.emoji,
            fold_hint=self.fold_hint,
            today=local(int(self._clock() * 1_000)).date(),
        )

    def _show(self, seq: int) -> bool:
        """Bring a message into view, with some of what is above; False if not here."""
        if self._feed.item((seq, 0)) is None:
            return False
        with self._moving():
            self._viewport.show((seq, 0), self._viewport.height // 3)
        return True

    def _show_whole(self, seq: int, is_up: bool) -> None:
        """Bring all rows of a message into view, if they are not; move little."""
        key, height = (seq, 0), self._viewport.height
        block = self._blocks.block(key)
        count = min(len(block.rows) - block.start, height)
        seen = [s for s in self._rows if s.placed.key == key]
        whole = [s for s in seen if s.placed.number >= block.start]
        if len(whole) < count:
            self._viewport.show(key, 0 if is_up else height - count)
        self._seen = None


def _index_of_day(entries: Sequence[Entry], day: date) -> int:
    """Return the index of the first entry of a day or after it."""
    return bisect_left(entries, day, key=_day_of)


def _day_of(entry: Entry) -> date:
    return local(entry.time_ms).date()
