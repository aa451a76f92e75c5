"""The content of the timeline: items of the open chat from the model, cached as rows.

``refresh`` only marks it as outdated; it is updated when rows are needed.
"""

from collections.abc import Callable, Iterable, Sequence

from client.commands.workspace import Workspace
from client.model.chat import Chat
from client.model.entries import Transfer
from client.text.styles import Line
from client.text.times import local
from client.ui.messages.head import head_rows
from client.ui.messages.rowstyle import FOLD_HINT, RowStyle, no_emoji
from client.ui.timeline.items import Items, tail_of
from client.ui.timeline.notices import Notices
from client.ui.timeline.row_cache import RowCache
from client.ui.timeline.unread_marker import UnreadMarker


class Content:
    """The messages of the open chat and what is between them, as rows.

    Args:
        workspace: The workspace whose open chat is shown.

    Attributes:
        osc8: Whether links carry their target for a ``HyperlinkOutput``.
        emoji: Returns the emoji of a shortcode; must not take long.
        fold_hint: Which keys show all of a folded message.
        welcome: What is shown while no chat is open; None for the usual welcome.
        address: The address of the open chat, None if none is open.
    """

    def __init__(self, workspace: Workspace) -> None:
        self.osc8 = False
        self.emoji: Callable[[str], str | None] = no_emoji
        self.fold_hint = FOLD_HINT
        self.welcome: Sequence[Line] | None = None
        self.address: str | None = None
        self._workspace = workspace
        self._highlight: str | None = None
        self._is_bare = False
        self._width = 80
        self._notices = Notices()
        self._unread_marker = UnreadMarker()
        self._row_cache = RowCache(self._style())
        self._items = Items()
        self._items_address: str | None = None
        self._is_stale = True

    def refresh(self) -> None:
        """Mark the content as outdated; this costs next to nothing."""
        self._is_stale = True

    def notice(self, lines: Iterable[Line]) -> None:
        """Add a notice below all entries that the open chat has now."""
        self._notices.add(self.address, self._chat, lines)
        self._is_stale = True

    def clear_notices(self) -> None:
        """Remove the notices of the open chat."""
        self._notices.clear(self.address)
        self._is_stale = True

    @property
    def highlight(self) -> str | None:
        """The word that is highlighted in all messages; None for none."""
        return self._highlight

    @highlight.setter
    def highlight(self, word: str | None) -> None:
        self._highlight = word
        self._is_stale = True

    @property
    def is_bare(self) -> bool:
        """Whether only text is shown: no names, times or colours."""
        return self._is_bare

    @is_bare.setter
    def is_bare(self, is_bare: bool) -> None:
        self._is_bare = is_bare
        self._is_stale = True

    @property
    def formatted(self) -> int:
        """How many items were rendered so far."""
        return self._row_cache.formatted

    # Inside ---------------------------------------------------------------------------

    @property
    def _chat(self) -> Chat | None:
        return self._workspace.model.chats.get(self.address or "")

    @property
    def _is_another(self) -> bool:
        """Whether the open address now has another chat, as after a new log."""
        is_same_address = self._items_address == self.address
        return is_same_address and self._chat is not self._items.chat

    def _take_over(self) -> None:
        """Update items and rows from the model; rows that are unchanged are kept."""
        model, chat, marker = self._workspace.model, self._chat, self._unread_marker
        if chat is not None:
            marker.update(chat, model.me, model.is_synced)
        transfers = self._transfers()
        notices = self._notices.of(self.address)
        self._items_address = self.address
        self._items = Items(chat, notices, tail_of(chat, transfers))
        style = self._style()
        cache = self._row_cache
        cache.restyle(style)
        cache.head = head_rows(chat, self.address, style, self.welcome)
        cache.new_seq, cache.new_count = marker.seq, marker.count
        cache.transfers = {
            transfer.seq: transfer
            for transfer in transfers
            if transfer.direction == "down" and transfer.seq is not None
        }
        cache.refresh(self._items)

    def _transfers(self) -> list[Transfer]:
        """Return the transfers of the open chat, also those that are over."""
        items = self._workspace.link.transfers.items
        return [transfer for transfer in items if transfer.chat == self.address]

    def _style(self) -> RowStyle:
        return RowStyle(
            width=self._width,
            time_format=self._workspace.preferences.time_format,
            me=self._workspace.model.me,
            is_bare=self._is_bare,
            osc8=self.osc8,
            highlight=self._highlight or "",
            emoji=self.emoji,
            fold_hint=self.fold_hint,
            today=local(self._workspace.now_ms).date(),
        )
