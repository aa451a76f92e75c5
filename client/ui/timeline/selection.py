"""The selection of messages: one that keys act on, and any number of marked ones."""

from itertools import islice

from client.model.chat import Chat
from client.model.entries import Entry


class Selection:
    """The selected messages of a chat; none outside selection mode.

    Attributes:
        seq: The seq of the message that keys act on, None outside selection mode.
        marked: The seqs of the marked messages.
    """

    def __init__(self) -> None:
        self.seq: int | None = None
        self.marked: set[int] = set()

    def clear(self) -> None:
        """Select and mark nothing, and leave selection mode."""
        self.seq = None
        self.marked.clear()

    def move(self, chat: Chat, step: int) -> None:
        """Go ``step`` messages down (up if negative), at most to the last."""
        if self.seq is None or not step:
            return
        index, entries = chat.index(self.seq), chat.entries
        places = range(index + 1, len(entries)) if step > 0 else range(index)[::-1]
        talk = (entries[place].seq for place in places if entries[place].is_message)
        for seq in islice(talk, abs(step)):
            self.seq = seq

    def toggle(self) -> None:
        """Mark the selected message, or unmark it."""
        if self.seq is not None:
            self.marked ^= {self.seq}

    def sign(self, seq: int) -> str:
        """Return the sign of a message: ``>`` if selected, ``*`` if marked, else ""."""
        if seq == self.seq:
            return ">"
        return "*" if seq in self.marked else ""

    def entries(self, chat: Chat) -> list[Entry]:
        """Return the marked messages in order; if there are none, the selected one."""
        seqs = sorted(self.marked) or ([] if self.seq is None else [self.seq])
        found = (chat.entry(seq) for seq in seqs)
        return [entry for entry in found if entry is not None]
