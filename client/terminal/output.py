"""Terminal output for prompt_toolkit, without requests for the cursor position."""

import os
from collections.abc import Mapping
from typing import TextIO

from prompt_toolkit.data_structures import Size
from prompt_toolkit.output import Output

from client.terminal.combining_output import CombiningOutput


def make_output(stdout: TextIO, environment: Mapping[str, str]) -> Output:
    """Return an output that never asks the terminal where the cursor is.

    The answer would take a round trip over ssh, and each print would wait for it.
    """

    def size() -> Size:
        try:
            columns, rows = os.get_terminal_size(stdout.fileno())
        except OSError:
            columns, rows = 80, 24
        return Size(rows=rows or 24, columns=columns or 80)

    return CombiningOutput(stdout, size, term=environment.get("TERM"), enable_cpr=False)
