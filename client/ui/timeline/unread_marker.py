"""The unread marker: the "new" line above what was unread when a chat was opened.

It stays in place until the chat is left, even when all has been read meanwhile. It only
moves up, if older unread entries are loaded or a gap is filled.
"""

from client.model.chat import Chat
from client.model.entries import Entry

MAX_COUNTED = 1_000


class UnreadMarker:
    """The unread marker of the open chat.

    Attributes:
        seq: The entry right below it, None for no marker.
        count: How many messages of others were unread; 1,000 may mean more.
        missing: The two seqs between which unread entries are missing above the
            marker, None if none are.
    """

    def __init__(self) -> None:
        self.seq: int | None = None
        self.count = 0
        self.missing: tuple[int, int] | None = None
        self._read = 0
        self._upto = 0  # entries after it came while the chat was open
        self._unread = 0
        self._is_settled = False
        self._place: tuple[int, int] | None = None

    def open(self, chat: Chat | None, is_synced: bool) -> None:
        """Record what is unread in a chat that is opened.

        Args:
            chat: The chat, None if nothing is known of it yet.
            is_synced: Whether the backlog is complete; until then, what comes was
                unread when the chat was opened.
        """
        self.seq, self.count, self.missing, self._place = None, 0, None, None
        self._is_settled = is_synced
        self._read = self._upto = self._unread = 0
        if chat is not None:
            self._read, self._upto = chat.read, chat.last
            self._unread = chat.unread

    def update(self, chat: Chat, me: str, is_synced: bool) -> None:
        """Find the place of the marker again, after the open chat has changed."""
        if not self._is_settled:
            self._is_settled = is_synced
            self._upto = max(self._upto, chat.last)
            self._unread = max(self._unread, chat.unread)
            # Another device may have read some of it meanwhile.
            self._read = max(self._read, chat.read_at_server)
        if self._upto <= self._read:
            self.seq = self.missing = None
            return
        begin, end = chat.index(self._read + 1), chat.index(self._upto + 1)
        oldest = chat.entries[0].seq if chat.entries else 0
        place = (oldest, end - begin)
        if place != self._place or self._is_found(chat):
            self._place = place
            self._find(chat, range(begin, end), me)

    def _find(self, chat: Chat, indices: range, me: str) -> None:
        """Place the marker among entries that were unread when the chat was opened."""
        places = [n for n in indices if _is_unread(chat.entries[n], me)]
        self.seq = chat.entries[places[0]].seq if places else None
        gaps = [n for n in indices if self._is_torn(chat, n)]
        self.missing = None
        if places and gaps and gaps[0] <= places[0]:
            is_inside = gaps[0] > indices[0]
            above = chat.entries[gaps[0] - 1].seq if is_inside else self._read
            self.missing = (above, chat.entries[gaps[0]].seq)
        is_all = not gaps and len(places) < MAX_COUNTED
        self.count = len(places) if is_all else max(len(places), self._unread)

    def _is_found(self, chat: Chat) -> bool:
        """Whether the gap in ``missing`` turned out to be empty, or to be closed."""
        if self.missing is None:
            return False
        index = chat.index(self.missing[1])
        return index == len(chat.entries) or not self._is_torn(chat, index)

    def _is_torn(self, chat: Chat, index: int) -> bool:
        """Whether unread entries are missing right before an entry."""
        is_next = chat.entries[index].prev <= self._read
        return not is_next and chat.begins_after_gap(index)


def _is_unread(entry: Entry, me: str) -> bool:
    return entry.is_message and entry.sender != me
