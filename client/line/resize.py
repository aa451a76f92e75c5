"""Erasing the prompt after a resize, on terminals that reflow lines.

Most terminals reflow lines (break them anew) when the window gets narrower, so the
prompt then takes more rows than it was drawn on, and prompt_toolkit erases only a part
of it. How such a terminal has reflowed it can be computed: then nothing of the prompt
stays behind. Terminals that do not reflow are left to prompt_toolkit.
"""

from collections.abc import Mapping, Sequence

from prompt_toolkit.application import Application
from prompt_toolkit.data_structures import Point
from prompt_toolkit.layout.screen import Screen

# Set by terminals (and tmux) that are known to reflow lines.
_SIGNS = (
    "TMUX",
    "VTE_VERSION",
    "KITTY_WINDOW_ID",
    "ALACRITTY_WINDOW_ID",
    "KONSOLE_VERSION",
    "WT_SESSION",
    "WEZTERM_PANE",
    "GHOSTTY_RESOURCES_DIR",
    "ITERM_SESSION_ID",
)


def is_reflowing(environment: Mapping[str, str]) -> bool:
    """Whether the terminal is known to reflow lines when its width changes."""
    return any(environment.get(sign) for sign in _SIGNS)


def rows_above(lengths: Sequence[int], cursor: int, columns: int) -> int:
    """Return how many rows are above the cursor once the lines were reflowed.

    Args:
        lengths: The width in cells of each line that was drawn above the cursor's.
        cursor: The column in which the cursor was.
        columns: The new width.
    """
    return sum(max(1, -(-length // columns)) for length in lengths) + cursor // columns


def follow_resizes(app: Application[None]) -> None:
    """Make an application erase its whole prompt after a resize (not full screen)."""
    renderer = app.renderer
    redraw = app._on_resize

    def resized() -> None:
        screen = renderer.last_rendered_screen
        columns = app.output.get_size().columns
        if screen is not None and columns:
            cursor = renderer._cursor_pos
            lengths = [_length(screen, row) for row in range(cursor.y)]
            row = rows_above(lengths, cursor.x, columns)
            renderer._cursor_pos = Point(x=cursor.x % columns, y=row)
        redraw()

    app._on_resize = resized  # type: ignore[method-assign]


def _length(screen: Screen, row: int) -> int:
    cells = screen.data_buffer[row]
    return max((x + c.width for x, c in cells.items() if c.char != " "), default=0)
