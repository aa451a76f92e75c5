"""CombiningOutput: combining marks that terminals give a cell of their own."""

import io
import re

import pyte
import pytest
import wcwidth
from hypothesis import given
from hypothesis import strategies as st
from prompt_toolkit.data_structures import Size

from chatd.text.safe import cells, clean, display
from client.terminal.combining_output import CombiningOutput
from tests.system.terminal import Screen

SIZE = Size(rows=3, columns=80)
_ESCAPES = re.compile("\x1b(?:[78]|\\[[XC])")
SIGNS = st.text(st.sampled_from("ab कक्ीािংাবாசெ漢မာြ\u094d\u0301e"), max_size=15)


class Spacing(Screen):
    """A screen on which each of these marks has a cell of its own."""

    def draw(self, data: str) -> None:
        """Write text at the cursor."""
        for char in data:
            takes_none = wcwidth.wcwidth(char) == 0
            is_sign = takes_none and wcwidth.width(f"x{char}") == 2
            super().draw("§" if is_sign else char)


def written(text: str) -> str:
    """Return what goes to the terminal."""
    stream = io.StringIO()
    output = CombiningOutput(stream, lambda: SIZE, enable_cpr=False)
    output.write(text)
    output.flush()
    return stream.getvalue()


@pytest.mark.parametrize("kind", [Screen, Spacing])
@given(text=SIGNS)
def test_what_follows_is_in_its_column_whoever_counts(
    kind: type[pyte.Screen], text: str
) -> None:
    screen = kind(SIZE.columns, SIZE.rows)
    pyte.Stream(screen).feed(written(f"{display(text)}│"))
    row = screen.buffer[0]
    assert [x for x in range(SIZE.columns) if row[x].data == "│"] == [
        cells(display(text))
    ]


@given(text=SIGNS)
def test_the_signs_themselves_are_written(text: str) -> None:
    signs = _ESCAPES.sub("", written(display(text)))
    assert signs.replace("\u200c", "") == clean(text)


def test_what_was_in_the_cell_of_a_sign_is_gone() -> None:
    screen = Screen(SIZE.columns, SIZE.rows)
    stream = pyte.Stream(screen)
    stream.feed("xxxx\r" + written(display("की")))
    assert screen.display[0].rstrip() == "की xx"


def test_escape_sequences_in_a_text_do_nothing() -> None:
    assert written("\x1b[2J") == "?[2J"
    assert "\x1b[2J" not in written(display("की") + "\x1b[2J")
