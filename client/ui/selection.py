"""Choosing messages: one that keys act on, and others that are marked as well."""

from client.changes import Entry
from client.chat import Chat
from client.colours import Line
from client.ui.hyperlinks import ESCAPE_STYLE
from client.ui.wrapping import cells


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
        index = chat.index(self.seq)
        if step > 0:
            following = (e for e in chat.entries[index + 1 :] if e.is_talk)
        else:
            following = (e for e in reversed(chat.entries[:index]) if e.is_talk)
        for _, entry in zip(range(abs(step)), following, strict=False):
            self.seq = entry.seq

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


def chosen_line(line: Line, sign: str, style: str, size: int, is_first: bool) -> Line:
    """Return a row of a chosen message as it is drawn.

    Args:
        line: The row, which begins with a cell for a sign.
        sign: What goes into that cell on the first row.
        style: A further style of the row.
        size: The cells that have this style, also where there is no text.
        is_first: Whether it is the first row of the message.
    """
    marked = list(line)
    if is_first and marked:
        first_style, text = marked[0]
        marked[0] = (first_style, sign + text[1:])
    if not style:
        return marked
    shown = sum(cells(text) for part, text in line if part != ESCAPE_STYLE)
    marked.append(("", " " * max(0, size - shown)))
    return [
        (part if part == ESCAPE_STYLE else f"{part} {style}".lstrip(), text)
        for part, text in marked
    ]
