"""Choosing messages: one that keys act on, and others that are marked as well."""

from itertools import islice

from client.model.chat import Chat
from client.model.entries import Entry


class Selection:
    """Which messages of a chat are chosen; none while nobody is choosing.

    Attributes:
        seq: Of the message that keys act on, None while nobody is choosing.
        marked: Of those that are marked.
    """

    def __init__(self) -> None:
        self.seq: int | None = None
        self.marked: set[int] = set()

    def clear(self) -> None:
        """Choose none, and stop choosing."""
        self.seq = None
        self.marked.clear()

    def move(self, chat: Chat, step: int) -> None:
        """Go ``step`` messages down (up, if negative), as far as there are any."""
        if self.seq is None or not step:
            return
        index, entries = chat.index(self.seq), chat.entries
        places = range(index + 1, len(entries)) if step > 0 else range(index)[::-1]
        talk = (entries[place].seq for place in places if entries[place].is_talk)
        for seq in islice(talk, abs(step)):
            self.seq = seq

    def toggle(self) -> None:
        """Mark the message, or mark it no more."""
        if self.seq is not None:
            self.marked ^= {self.seq}

    def sign(self, seq: int) -> str:
        """Return what stands before a message: ``>``, ``*`` if marked, or nothing."""
        if seq == self.seq:
            return ">"
        return "*" if seq in self.marked else ""

    def entries(self, chat: Chat) -> list[Entry]:
        """Return the marked messages in order, or else the one that keys act on."""
        seqs = sorted(self.marked) or ([] if self.seq is None else [self.seq])
        found = (chat.entry(seq) for seq in seqs)
        return [entry for entry in found if entry is not None]
