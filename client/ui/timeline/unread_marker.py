"""Where the line that says "new" stands: before what was unread when a chat was opened.

It stays there until the chat is left, also when all has been read meanwhile. Only if
older entries are loaded, or what was missing, may it turn out to belong further up.
"""

from client.model.chat import Chat
from client.model.entries import Entry

MAX_COUNTED = 1_000


class UnreadMarker:
    """The line of the chat that is open.

    Attributes:
        seq: Before which entry it stands, None for no line.
        count: How many messages of others were unread; 1,000 may mean more.
        missing: Between which two seqs something that was unread is missing above the
            line, None if nothing is.
    """

    def __init__(self) -> None:
        self.seq: int | None = None
        self.count = 0
        self.missing: tuple[int, int] | None = None
        self._read = 0
        self._upto = 0  # what came later is new to nobody who looks on
        self._unread = 0
        self._is_settled = False
        self._place: tuple[int, int] | None = None

    def open(self, chat: Chat | None, is_synced: bool) -> None:
        """Note what of a chat is unread now.

        Args:
            chat: None if nothing is known of it yet.
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
        """Find the place of the line anew, in the same chat."""
        if not self._is_settled:
            self._is_settled = is_synced
            self._upto = max(self._upto, chat.last)
            self._unread = max(self._unread, chat.unread)
            # What was read on another device meanwhile.
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
        """Find the line among entries that were unread when the chat was opened."""
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
        """Whether what was missing turned out to be nothing."""
        if self.missing is None:
            return False
        index = chat.index(self.missing[1])
        return index == len(chat.entries) or not self._is_torn(chat, index)

    def _is_torn(self, chat: Chat, index: int) -> bool:
        """Whether something that was unread is missing right before an entry."""
        is_next = chat.entries[index].prev <= self._read
        return not is_next and chat.begins_after_gap(index)


def _is_unread(entry: Entry, me: str) -> bool:
    return entry.is_talk and entry.sender != me
