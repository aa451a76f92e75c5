"""The completion menu at the cursor: opens while typing, and with Tab.

What can be looked up at once is offered in the same frame as the key. What takes time
(a folder, the table of emoji) is found in a thread, and shown if it still applies.
"""

import asyncio

from prompt_toolkit.application.current import get_app
from prompt_toolkit.buffer import Buffer, CompletionState
from prompt_toolkit.document import Document
from prompt_toolkit.layout import Float, Window
from prompt_toolkit.layout.menus import CompletionsMenu

from chatd.system.tasks import Tasks
from client.commands.slow_folders import look
from client.ui.composer.completion import ChatCompleter, Offers, SlowOffers

MAX_ROWS = 8
NOTHING: Offers = []


class CompletionMenu:
    """The completion menu of one buffer.

    Args:
        buffer: The buffer of the composer.
        completer: Finds the offers.

    Attributes:
        is_quiet: Whether nothing is offered without a request, as while a text is
            recalled.
    """

    def __init__(self, buffer: Buffer, completer: ChatCompleter) -> None:
        self._buffer = buffer
        self._completer = completer
        self._state: CompletionState | None = None
        # The start of the word for which offers were requested, and were refused.
        self._asked_at: int | None = None
        self._refused_at: int | None = None
        self._tasks = Tasks()
        self._task: asyncio.Task[None] | None = None
        self.is_quiet = False
        buffer.on_text_changed += self._text_changed
        buffer.on_cursor_position_changed += self._cursor_moved

    @property
    def is_open(self) -> bool:
        """Whether the menu is open."""
        return self._buffer.complete_state is not None

    @property
    def is_chosen(self) -> bool:
        """Whether an offer is selected, and so is in the text already."""
        state = self._buffer.complete_state
        return state is not None and state.complete_index is not None

    def float_in(self, window: Window) -> Float:
        """Return the menu as a float at the cursor of a window."""
        return Float(
            CompletionsMenu(max_height=MAX_ROWS, scroll_offset=1),
            xcursor=True,
            ycursor=True,
            attach_to_window=window,
        )

    def advance(self, step: int) -> None:
        """Select the next offer, or the one before (-1); if it is closed, open it."""
        state = self._buffer.complete_state
        if state is None:
            self._asked_at = _word_start(self._buffer.document)
            self._refused_at = None
            self._find(is_asked=True, step=step)
        elif len(state.completions) == 1 and state.complete_index is None:
            self._show(state.completions, step)
        elif step > 0:
            self._buffer.complete_next()
        else:
            self._buffer.complete_previous()

    def accept(self) -> None:
        """Close the menu; the selected offer stays in the text."""
        self._drop()

    def refuse(self) -> None:
        """Close the menu, restore what was typed, and offer nothing for this word."""
        self._buffer.cancel_completion()
        self._drop()
        self._refused_at = _word_start(self._buffer.document)

    def close(self) -> None:
        """Close the menu, cancel a search, and offer again from the next key on."""
        self._drop()
        self._refused_at = None
        if self._task is not None:
            self._task.cancel()

    # Following what is typed ----------------------------------------------------------

    def _text_changed(self, buffer: Buffer) -> None:
        if self._is_browsing():
            return
        self._state = None
        start = _word_start(buffer.document)
        if start != self._refused_at:
            self._refused_at = None
        if start != self._asked_at:
            self._asked_at = None
        if self._refused_at is None and not self.is_quiet and buffer.text:
            self._find(is_asked=self._asked_at is not None)

    def _cursor_moved(self, buffer: Buffer) -> None:
        if self._is_browsing():
            # The buffer drops its completion state with every move of the cursor.
            buffer.complete_state = self._state
        else:
            self._state = buffer.complete_state = None

    def _is_browsing(self) -> bool:
        """Whether the text is as the menu left it, so that nothing was typed since."""
        if self._state is None:
            return False
        made = self._state.new_text_and_position()
        return made == (self._buffer.text, self._buffer.cursor_position)

    def _drop(self) -> None:
        self._state = self._buffer.complete_state = None
        self._asked_at = None

    # Finding and showing --------------------------------------------------------------

    def _find(self, is_asked: bool, step: int = 0) -> None:
        found = self._completer.find(self._buffer.document, is_asked)
        if isinstance(found, SlowOffers):
            self._wait_for(found, is_asked, step)
        else:
            self._show(found, step)

    def _show(self, offers: Offers, step: int) -> None:
        buffer = self._buffer
        if not offers:
            return
        self._state = CompletionState(buffer.document, offers)
        buffer.complete_state = self._state
        if step:
            buffer.go_to_completion(0 if step > 0 else len(offers) - 1)
        if step and len(offers) == 1:
            self._drop()

    def _wait_for(self, slow: SlowOffers, is_asked: bool, step: int) -> None:
        if self._task is not None and not self._task.done():
            if not step:
                return  # the search under way starts another if the text has changed
            self._task.cancel()
        document = self._buffer.document
        self._task = self._tasks.start(self._look(slow, document, is_asked, step))

    async def _look(
        self, slow: SlowOffers, document: Document, is_asked: bool, step: int
    ) -> None:
        offers = await asyncio.wrap_future(look(slow.find, NOTHING))
        self._task = None
        now = self._buffer.document
        if (now.text, now.cursor_position) == (document.text, document.cursor_position):
            self._show(offers, step)
        elif not step and _word_start(now) == _word_start(document):
            self._find(is_asked)
        get_app().invalidate()


def _word_start(document: Document) -> int:
    line = document.current_line_before_cursor
    return document.cursor_position - len(line.rpartition(" ")[2])
