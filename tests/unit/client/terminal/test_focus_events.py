"""Focus reports of the terminal, read as two keys."""

from prompt_toolkit.input.vt100_parser import Vt100Parser
from prompt_toolkit.key_binding import KeyPress
from prompt_toolkit.keys import Keys

from client.terminal.focus_events import FOCUS_IN, FOCUS_OUT, understand_focus


def test_gaining_and_losing_the_focus_are_keys_and_write_nothing() -> None:
    understand_focus()
    pressed: list[KeyPress] = []
    parser = Vt100Parser(pressed.append)
    parser.feed("a\x1b[I\x1b[Ob\x1b[A")
    found = [press.key for press in pressed]
    assert found == ["a", FOCUS_IN, FOCUS_OUT, "b", Keys.Up]
