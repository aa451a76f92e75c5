"""What the program said in each chat, and after which message."""

from collections.abc import Iterable, Sequence

from client.model.chat import Chat
from client.text.styles import Line
from client.ui.timeline.items import Notice

MAX_NOTICES = 200
"""How many are kept of each chat."""


class Notices:
    """The notices of all chats, by the address; None is where no chat is open."""

    def __init__(self) -> None:
        self._kept: dict[str | None, list[Notice]] = {}
        self._count = 0

    def of(self, address: str | None) -> Sequence[Notice]:
        """Return the notices of a chat, in order."""
        return self._kept.get(address, ())

    def add(
        self, address: str | None, chat: Chat | None, lines: Iterable[Line]
    ) -> None:
        """Add a notice below all that is in the chat now."""
        self._count += 1
        after = 0
        if chat is not None:
            after = chat.entries[-1].seq if chat.entries else chat.last
        kept = self._kept.setdefault(address, [])
        # A log that was begun anew has lower numbers, and is another.
        if kept and kept[-1].key[0] > after:
            kept.clear()
        kept.append(Notice((after, self._count), tuple(lines)))
        del kept[:-MAX_NOTICES]

    def clear(self, address: str | None) -> None:
        """Forget the notices of a chat."""
        self._kept.pop(address, None)
