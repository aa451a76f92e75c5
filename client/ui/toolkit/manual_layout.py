"""A container that knows where its parts go, and takes no time to find it out.

What prompt_toolkit has for this asks each part several times in each frame how large it
wants to be, and shares out the room cell by cell.
"""

from abc import abstractmethod
from collections.abc import Callable, Sequence

from prompt_toolkit.layout import Container, Dimension
from prompt_toolkit.layout.mouse_handlers import MouseHandlers
from prompt_toolkit.layout.screen import Screen, WritePosition

Draw = Callable[[Container, int, int, int, int], None]
"""Draws a part at a column and a row of the container, with a width and a height."""


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
        """Draw what there is room for."""
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
        """Draw the parts for which there is room.

        Args:
            screen: Where else to draw.
            at: Where the container is on it.
            draw: Draws a part.
        """
