"""How the composer is laid out: what one replies to, the input, or a question."""

from collections.abc import Callable

from prompt_toolkit.buffer import Buffer
from prompt_toolkit.filters import Condition
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.key_binding import KeyBindingsBase
from prompt_toolkit.layout import (
    BufferControl,
    ConditionalContainer,
    Container,
    Dimension,
    FormattedTextControl,
    HSplit,
    VSplit,
    Window,
)
from prompt_toolkit.layout.processors import (
    AfterInput,
    ConditionalProcessor,
    HighlightSelectionProcessor,
)

from client.changes import Entry
from client.colours import colour_of
from client.formatting import excerpt, gist
from client.text import display
from client.ui.choice import Choice
from client.ui.clusters import DisplayForm

MAX_ROWS = 8

_PROMPT = "> "
_END = " Esc ends it"
_MAX_EXCERPT = 200


class ComposerLayout:
    """The windows of a composer.

    Args:
        buffer: What is typed.
        choice: Takes the place of the input while it asks.
        key_bindings: The keys of the input.
        reply_to: Returns what is replied to.
        hint: Returns what is shown while nothing is typed.

    Attributes:
        container: All of it.
        window: The input alone.
    """

    def __init__(
        self,
        buffer: Buffer,
        choice: Choice,
        key_bindings: KeyBindingsBase,
        reply_to: Callable[[], Entry | None],
        hint: Callable[[], str],
    ) -> None:
        is_choosing = Condition(lambda: choice.is_open)
        is_empty = Condition(lambda: not buffer.text)
        is_replying = Condition(lambda: reply_to() is not None)

        def shown_hint() -> StyleAndTextTuples:
            return [("class:composer.hint", display(hint()))]

        def shown_reply() -> StyleAndTextTuples:
            return reply_line(reply_to())

        control = BufferControl(
            buffer,
            input_processors=[
                DisplayForm(),
                HighlightSelectionProcessor(),
                ConditionalProcessor(AfterInput(shown_hint), is_empty),
            ],
            include_default_input_processors=False,
            key_bindings=key_bindings,
            focus_on_click=True,
        )
        self.window = Window(
            control,
            height=Dimension(min=1, max=MAX_ROWS),
            wrap_lines=True,
            dont_extend_height=True,
            style="class:composer",
        )
        reply = VSplit(
            [
                Window(FormattedTextControl(shown_reply), height=1),
                Window(
                    FormattedTextControl([("class:status.key", _END)]),
                    height=1,
                    width=len(_END) + 1,
                ),
            ],
            style="class:composer.reply",
        )
        prompt = Window(
            FormattedTextControl([("class:prompt", _PROMPT)]),
            width=len(_PROMPT),
            dont_extend_height=True,
        )
        writing = HSplit(
            [
                ConditionalContainer(reply, filter=is_replying),
                VSplit([prompt, self.window]),
            ]
        )
        self.container: Container = HSplit(
            [
                ConditionalContainer(choice.window, filter=is_choosing),
                ConditionalContainer(writing, filter=~is_choosing),
            ]
        )


def reply_line(entry: Entry | None) -> StyleAndTextTuples:
    """Return whom and what one replies to, on one line."""
    if entry is None:
        return []
    return [
        ("", "re "),
        (f"class:name {colour_of(entry.sender)}", display(entry.sender)),
        ("", f": {display(excerpt(gist(entry), _MAX_EXCERPT))}"),
    ]
