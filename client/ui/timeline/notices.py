"""The notices of each chat: messages of the program itself, each after some entry."""

from collections.abc import Iterable, Sequence

from client.model.chat import Chat
from client.text.styles import Line
from client.ui.timeline.items import Notice

MAX_NOTICES = 200
"""How many are kept for each chat; older ones are dropped."""


class Notices:
    """The notices of all chats, by address; None is the timeline without a chat."""

    def __init__(self) -> None:
        self._kept: dict[str | None, list[Notice]] = {}
        self._count = 0

    def of(self, address: str | None) -> Sequence[Notice]:
        """Return the notices of a chat, in order."""
        return self._kept.get(address, ())

    def add(
        self, address: str | None, chat: Chat | None, lines: Iterable[Line]
    ) -> None:
        """Add a notice below all entries that the chat has now."""
        self._count += 1
        after = 0
        if chat is not None:
            after = chat.entries[-1].seq if chat.entries else chat.last
        kept = self._kept.setdefault(address, [])
        # With a lower seq, the chat has another log: the old notices have no place.
        if kept and kept[-1].key[0] > after:
            kept.clear()
        kept.append(Notice((after, self._count), tuple(lines)))
        del kept[:-MAX_NOTICES]

    def clear(self, address: str | None) -> None:
        """Remove the notices of a chat."""
        self._kept.pop(address, None)
