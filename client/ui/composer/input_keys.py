"""The editing keys of the composer: Enter and Tab by context, pastes and undo."""

from collections.abc import Callable

from prompt_toolkit.application.current import get_app
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.filters import Condition
from prompt_toolkit.key_binding import (
    KeyBindings,
    KeyBindingsBase,
    KeyPressEvent,
    merge_key_bindings,
)
from prompt_toolkit.keys import Keys

from client.ui.composer.completion_menu import CompletionMenu
from client.ui.composer.graphemes import cluster_after, cluster_bindings
from client.ui.composer.paste_burst import PasteBurst
from client.ui.toolkit.bounded_undo import BoundedUndoBuffer


class InputBuffer(BoundedUndoBuffer):
    """A buffer in which only Enter can send."""

    def validate_and_handle(self) -> None:
        """Do nothing: some shell keys call this to send, which here only Enter does.

        The base class would clear the text.
        """

    def delete(self, count: int = 1) -> str:
        """Delete after the cursor; a count of 1 deletes a whole grapheme cluster."""
        if count == 1:
            count = cluster_after(self.text, self.cursor_position)
        return super().delete(count)


class InputKeys:
    """The editing keys of one composer.

    Args:
        buffer: The text that is typed.
        menu: The completion menu of the buffer.
        clock: Any steady clock, in seconds.
        submit: Sends what is typed.
        paste: Handles a bracketed paste.
    """

    def __init__(
        self,
        buffer: Buffer,
        menu: CompletionMenu,
        clock: Callable[[], float],
        submit: Callable[[], None],
        paste: Callable[[str], None],
    ) -> None:
        self._buffer = buffer
        self._menu = menu
        self._paste_burst = PasteBurst(clock)
        self._submit = submit
        self._paste = paste
        buffer.on_text_insert += self._inserted

    def bindings(self) -> KeyBindingsBase:
        """Return the bindings of keys that are no actions and cannot be configured."""
        keys = KeyBindings()
        is_open = Condition(lambda: self._menu.is_open)
        is_burst = Condition(self._paste_burst.is_on)
        keys.add(Keys.BracketedPaste)(lambda event: self._paste(event.data))
        keys.add(Keys.Any, filter=is_burst)(self._take)
        keys.add("up", filter=is_open)(lambda event: self._menu.advance(-1))
        keys.add("down", filter=is_open)(lambda event: self._menu.advance(1))
        return merge_key_bindings([keys, cluster_bindings()])

    def enter(self, event: KeyPressEvent) -> None:
        """Accept the selected offer, continue a paste that comes as keys, or send."""
        if self._menu.is_chosen:
            self._menu.accept()
        elif self._paste_burst.is_on() or self._paste_burst.begins(event):
            self._take(event)
        else:
            self._submit()

    def tab(self, event: KeyPressEvent) -> None:
        """Complete the word, or continue a paste that comes as keys."""
        if self._paste_burst.is_on() or self._paste_burst.begins(event):
            self._take(event)
        else:
            self._menu.advance(1)

    def _inserted(self, _: Buffer) -> None:
        self._paste_burst.typed(len(get_app().key_processor.input_queue))

    def _take(self, event: KeyPressEvent) -> None:
        self._paste_burst.take(event, self._buffer)
