"""A choice prompt: a few options, chosen by a letter, or with arrows and Enter."""

from collections.abc import Callable, Sequence

from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.keys import Keys
from prompt_toolkit.layout import Dimension, Window
from prompt_toolkit.layout.controls import FormattedTextControl

from client.ui.composer.paste import Option, Way

_HINT = " a letter, or arrows and Enter; Esc for nothing"

Chosen = Callable[[Way], None]


class ChoicePrompt:
    """A question in the place of the composer, while it is open.

    Attributes:
        window: Shows the question; focus it while there is one.
    """

    def __init__(self) -> None:
        self._title = ""
        self._detail = ""
        self._options: tuple[Option, ...] = ()
        self._at = 0
        self._chosen: Chosen | None = None
        control = FormattedTextControl(
            self._fragments,
            focusable=True,
            show_cursor=False,
            key_bindings=self._bindings(),
        )
        self.window = Window(
            control,
            height=lambda: Dimension.exact(len(self._options) + 3),
            dont_extend_height=True,
            style="class:overlay",
        )

    @property
    def is_open(self) -> bool:
        """Whether there is a question."""
        return self._chosen is not None

    def ask(
        self, title: str, detail: str, options: Sequence[Option], chosen: Chosen
    ) -> None:
        """Ask a question; Esc and Ctrl+C answer ``cancel``.

        Args:
            title: The question, in the display form.
            detail: A line below it, in the display form.
            options: At least one; the first is selected at first.
            chosen: Called once, with the answer.
        """
        self._title, self._detail = title, detail
        self._options = tuple(options)
        self._at = 0
        self._chosen = chosen

    def close(self, way: Way = "cancel") -> None:
        """Close the question with an answer; do nothing if there is none."""
        chosen, self._chosen = self._chosen, None
        if chosen is not None:
            chosen(way)

    def _fragments(self) -> StyleAndTextTuples:
        lines: StyleAndTextTuples = [
            ("class:overlay.title", f" {self._title}\n"),
            ("class:overlay.hint", f" {self._detail}\n"),
        ]
        for index, option in enumerate(self._options):
            is_current = index == self._at
            style = "class:overlay.current" if is_current else ""
            mark = ">" if is_current else " "
            lines.append((style, f" {mark} "))
            lines.append((f"{style} class:status.key", option.key))
            lines.append((style, f"  {option.text} \n"))
        lines.append(("class:overlay.hint", _HINT))
        return lines

    def _bindings(self) -> KeyBindings:
        keys = KeyBindings()
        keys.add("up")(lambda event: self._move(-1))
        keys.add("down")(lambda event: self._move(1))
        keys.add("s-tab")(lambda event: self._move(-1))
        keys.add("tab")(lambda event: self._move(1))
        keys.add("enter")(lambda event: self.close(self._options[self._at].way))
        keys.add("escape")(lambda event: self.close())
        keys.add("c-c")(lambda event: self.close())
        keys.add(Keys.Any)(self._letter)
        keys.add(Keys.BracketedPaste)(lambda event: None)
        return keys

    def _move(self, step: int) -> None:
        self._at = (self._at + step) % len(self._options)

    def _letter(self, event: KeyPressEvent) -> None:
        for option in self._options:
            if event.data.lower() == option.key:
                self.close(option.way)
                return
