"""Where the line that says "new" stands: before what was unread when a chat was opened.

It stays there until the chat is left, also when all has been read meanwhile. Only if
older entries are loaded, or what was missing, may it turn out to belong further up.
"""

from client.changes import Entry
from client.chat import Chat

MAX_COUNTED = 1_000


class NewMark:
    """The line of the chat that is open.

    Attributes:
        seq: Before which entry it stands, None for no line.
        count: How many messages of others were unread; 1,000 may mean more.
    """

    def __init__(self) -> None:
        self.seq: int | None = None
        self.count = 0
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
        self.seq, self.count, self._place = None, 0, None
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
            self.seq = None
            return
        begin, end = chat.index(self._read + 1), chat.index(self._upto + 1)
        oldest = chat.entries[0].seq if chat.entries else 0
        if self._place == (oldest, end - begin):
            return
        self._place = (oldest, end - begin)
        unread = [e for e in chat.entries[begin:end] if _is_unread(e, me)]
        self.seq = unread[0].seq if unread else None
        is_whole = begin > 0 and len(unread) < MAX_COUNTED
        self.count = len(unread) if is_whole else max(len(unread), self._unread)


def _is_unread(entry: Entry, me: str) -> bool:
    return entry.is_talk and entry.sender != me
