"""Terminal output for combining vowel signs, whose width terminals disagree on.

In some terminals the vowel signs of Devanagari, Tamil, Burmese and many other scripts
take a cell of their own, in others they belong to the letter before. In the display
form (``chatd.text.safe.display``) a stand-in for each takes one cell. Here the sign
itself is drawn into that cell, and the cursor is put where all terminals agree.
"""

from collections.abc import Iterator

import wcwidth
from prompt_toolkit.output.vt100 import Vt100_Output

from chatd.text.safe import has_stand_ins, is_stand_in, signs_of

_ERASE_CELL = "\x1b[X"
_SAVE_CURSOR = "\x1b7"
_RESTORE_CURSOR = "\x1b8"
_TO_NEXT_CELL = "\x1b[C"


class CombiningOutput(Vt100_Output):
    """A terminal output for text in the display form."""

    def write(self, data: str) -> None:
        """Write text without escape sequences."""
        if not has_stand_ins(data):
            super().write(data)
            return
        for cell in _cells(data):
            if is_stand_in(cell[0]):
                self._draw(signs_of(cell))
            else:
                super().write(cell)

    def _draw(self, signs: str) -> None:
        # If they join the letter before, their own cell stays empty.
        self.write_raw(_ERASE_CELL + _SAVE_CURSOR)
        super().write(signs)
        self.write_raw(_RESTORE_CURSOR + _TO_NEXT_CELL)


def _cells(text: str) -> Iterator[str]:
    """Yield each character that takes cells, with the zero-width ones after it."""
    cell = ""
    for char in text:
        if cell and wcwidth.wcwidth(char):
            yield cell
            cell = ""
        cell += char
    yield cell
