"""A prompt_toolkit container that computes itself where its parts go.

The containers of prompt_toolkit ask each part several times in each frame for its
preferred size, and divide the space cell by cell.
"""

from abc import abstractmethod
from collections.abc import Callable, Sequence

from prompt_toolkit.layout import Container, Dimension
from prompt_toolkit.layout.mouse_handlers import MouseHandlers
from prompt_toolkit.layout.screen import Screen, WritePosition

Draw = Callable[[Container, int, int, int, int], None]
"""Draws a part at a column and a row of the container, with a width and a height.

Does nothing if the width or the height is not positive.
"""


class ManualLayout(Container):
    """Draws its parts where ``place`` says.

    Args:
        parts: All of them, shown or not.
    """

    def __init__(self, parts: Sequence[Container]) -> None:
        self._all = parts

    def reset(self) -> None:
        """Reset all parts."""
        for part in self._all:
            part.reset()

    def get_children(self) -> list[Container]:
        """Return all parts, shown or not."""
        return list(self._all)

    def preferred_width(self, max_available_width: int) -> Dimension:
        """Return that any width will do."""
        return Dimension()

    def preferred_height(self, width: int, max_available_height: int) -> Dimension:
        """Return that any height will do."""
        return Dimension()

    def write_to_screen(
        self,
        screen: Screen,
        mouse_handlers: MouseHandlers,
        write_position: WritePosition,
        parent_style: str,
        erase_bg: bool,
        z_index: int | None,
    ) -> None:
        """Draw the parts that fit."""
        at = write_position

        def draw(part: Container, x: int, y: int, width: int, height: int) -> None:
            if width > 0 and height > 0:
                place = WritePosition(at.xpos + x, at.ypos + y, width, height)
                part.write_to_screen(
                    screen, mouse_handlers, place, parent_style, erase_bg, z_index
                )

        screen.width = max(screen.width, at.xpos + at.width)
        screen.height = max(screen.height, at.ypos + at.height)
        self.place(screen, at, draw)

    @abstractmethod
    def place(self, screen: Screen, at: WritePosition, draw: Draw) -> None:
        """Draw the parts that fit.

        Args:
            screen: The screen, for what is no part, such as borders.
            at: The position and size of the container on it.
            draw: Draws a part.
        """
