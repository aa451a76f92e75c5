"""The layout of the composer: the reply line and the input, or a question."""

from collections.abc import Callable

from prompt_toolkit.buffer import Buffer
from prompt_toolkit.key_binding import KeyBindingsBase
from prompt_toolkit.layout import Container, Dimension, Window
from prompt_toolkit.layout.screen import Screen, WritePosition

from chatd.text.safe import display
from client.model.entries import Entry
from client.text.entries import excerpt, gist
from client.text.styles import Line, colour_of
from client.text.wrapping import Piece, cells, clip
from client.ui.composer.choice_prompt import ChoicePrompt
from client.ui.composer.input_control import InputControl
from client.ui.toolkit.manual_layout import Draw, ManualLayout
from client.ui.toolkit.rows_control import RowsControl
from client.ui.toolkit.screen_layout import RowsWindow

MAX_ROWS = 8

_PROMPT = "> "
_END = " Esc ends it"
_MAX_EXCERPT = 200


class ComposerLayout:
    """The windows of a composer.

    Args:
        buffer: The text that is typed.
        choice: Takes the place of the input while it is open.
        key_bindings: The keys of the input.
        reply_to: Returns the message that is replied to, None for none.
        hint: Returns the placeholder that is shown while nothing is typed.

    Attributes:
        container: The whole composer.
        window: The input alone.
    """

    def __init__(
        self,
        buffer: Buffer,
        choice: ChoicePrompt,
        key_bindings: KeyBindingsBase,
        reply_to: Callable[[], Entry | None],
        hint: Callable[[], str],
    ) -> None:
        control = InputControl(buffer, hint, key_bindings)
        self.window = Window(
            control,
            height=Dimension(min=1, max=MAX_ROWS),
            wrap_lines=True,
            dont_extend_height=True,
            style="class:composer",
        )
        self.container: Container = _Places(
            choice,
            reply=RowsWindow(
                RowsControl(lambda cells, _: [reply_line(reply_to(), cells)]),
                "class:composer.reply",
            ),
            prompt=RowsWindow(RowsControl(lambda *_: [[("class:prompt", _PROMPT)]])),
            window=self.window,
            is_replying=lambda: reply_to() is not None,
        )


class _Places(ManualLayout):
    """Places the parts of a composer.

    Args:
        choice: Takes all of the space while it is open.
        reply: One row above the input, during a reply.
        prompt: To the left of the input.
        window: The input.
        is_replying: Returns whether the user is replying.
    """

    def __init__(
        self,
        choice: ChoicePrompt,
        reply: Container,
        prompt: Container,
        window: Window,
        is_replying: Callable[[], bool],
    ) -> None:
        super().__init__([choice.window, reply, prompt, window])
        self._choice = choice
        self._reply = reply
        self._prompt = prompt
        self._window = window
        self._is_replying = is_replying

    def preferred_height(self, width: int, max_available_height: int) -> Dimension:
        """Return the preferred height, in rows."""
        if self._choice.is_open:
            return self._choice.window.preferred_height(width, max_available_height)
        inner = max(1, width - len(_PROMPT))
        wanted = self._window.preferred_height(inner, max_available_height).preferred
        return Dimension.exact(wanted + self._is_replying())

    def place(self, screen: Screen, at: WritePosition, draw: Draw) -> None:
        """Draw the parts that fit; the input has the last row."""
        if self._choice.is_open:
            draw(self._choice.window, 0, 0, at.width, at.height)
            return
        top = int(self._is_replying() and at.height > 1)
        left = len(_PROMPT)
        draw(self._reply, 0, 0, at.width, top)
        draw(self._prompt, 0, top, left, at.height - top)
        draw(self._window, left, top, at.width - left, at.height - top)


def reply_line(entry: Entry | None, columns: int) -> Line:
    """Return the line that shows sender and text replied to, ``columns`` cells wide."""
    if entry is None:
        return []
    line = [
        Piece("", "re "),
        Piece(f"class:name {colour_of(entry.sender)}", display(entry.sender)),
        Piece("", f": {display(excerpt(gist(entry), _MAX_EXCERPT))}"),
    ]
    space = max(0, columns - len(_END) - 1)
    shown = clip(line, space)
    size = sum(cells(piece.text) for piece in shown)
    return [
        *((piece.style, piece.text) for piece in shown),
        ("", " " * (space - size)),
        ("class:status.key", _END),
    ]
