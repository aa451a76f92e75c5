"""What keys and the link's events need of the full screen."""

from typing import Protocol

from client.frontend.interrupts import Interrupts
from client.ui.dialogs.context import Context
from client.ui.navigation import Navigation
from client.ui.panels import Panels
from client.ui.read_tracker import ReadTracker
from client.ui.status_messages import StatusMessages


class UiContext(Context, Protocol):
    """The full screen, as the handlers of keys and of events see it.

    Attributes:
        panels: The layout of the screen, and the rows of its panels.
        navigation: Opens and closes chats.
        read_tracker: Tracks focus and activity, and marks messages as read.
        messages: Reports changes that no message in the timeline shows.
        interrupts: Handles Ctrl+C.
        is_mouse_on: Whether mouse events are handled, and not left to the terminal.
    """

    panels: Panels
    navigation: Navigation
    read_tracker: ReadTracker
    messages: StatusMessages
    interrupts: Interrupts
    is_mouse_on: bool

    @property
    def has_no_input(self) -> bool:
        """Whether there is no input: messages are being selected, or it is bare."""

    def quit(self) -> None:
        """Stop the application."""

    def suspend(self) -> None:
        """Stop the process, as Ctrl+Z does elsewhere, until it is continued."""

    def set_bare(self, is_bare: bool) -> None:
        """Switch bare mode: only text, for the terminal's own selection."""

    def paint_soon(self) -> None:
        """Paint, along with what changes in the next hundredth of a second."""

    def redraw(self) -> None:
        """Redraw the whole screen, whatever the terminal shows now."""

    def focus_changed(self, has_focus: bool) -> None:
        """Handle a change of the terminal's focus, which arrives as a key."""

    def key_pressed(self) -> None:
        """Handle the end of a key press; called after the key's own handler."""

    def before_paint(self) -> None:
        """Update what is about to be painted; called before each frame."""

    def painted(self) -> None:
        """Set the title, and load what the frame lacked; called after each frame."""
