"""A buffer whose undo stack is bounded, in steps and in text."""

from prompt_toolkit.buffer import Buffer

MAX_UNDONE = 1_000
MAX_UNDO_CHARACTERS = 4_000_000
"""How many steps, and how much text in all of them, can be undone; always one step."""


class BoundedUndoBuffer(Buffer):
    """A buffer that forgets the oldest undo steps beyond the bounds."""

    def save_to_undo_stack(self, clear_redo_stack: bool = True) -> None:
        """Save the text as an undo step, and drop the oldest beyond the bounds."""
        super().save_to_undo_stack(clear_redo_stack)
        steps = MAX_UNDO_CHARACTERS // (len(self.text) + 1)
        del self._undo_stack[: -max(1, min(steps, MAX_UNDONE))]
