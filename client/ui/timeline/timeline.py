"""The timeline: the messages of the open chat, as a control on the screen.

Only what is visible is ever rendered, and only once: see ``position``, ``row_cache``.
"""

from collections.abc import Callable, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.layout.controls import UIContent, UIControl
from prompt_toolkit.mouse_events import MouseEvent, MouseEventType

from chatd.text.safe import clean, display
from client.commands.workspace import Workspace
from client.model.entries import Entry
from client.terminal.hyperlinks import ESCAPE_STYLE
from client.text.styles import Line
from client.text.wrapping import cells
from client.ui.messages.markup import links
from client.ui.timeline.position import Position
from client.ui.timeline.visible_rows import VisibleRow

if TYPE_CHECKING:
    from prompt_toolkit.key_binding.key_bindings import NotImplementedOrNone

WHEEL_ROWS = 3


class Timeline(Position, UIControl):
    """Shows the open chat of a workspace, and lets the user select messages.

    Put it into a ``painting.TimelineWindow``; a plain ``Window`` works too,
    but copies every character in each frame.

    Args:
        workspace: The workspace whose open chat is shown.

    Attributes:
        on_link: Called with each link that is clicked.
    """

    def __init__(self, workspace: Workspace) -> None:
        super().__init__(workspace)
        self.on_link: Callable[[str], None] = lambda link: None

    # Selection ------------------------------------------------------------------------

    @property
    def is_selecting(self) -> bool:
        """Whether it is in selection mode."""
        return self._selection.seq is not None

    @property
    def selected(self) -> list[Entry]:
        """The marked messages in order; if there are none, the selected one."""
        chat = self._chat
        return self._selection.entries(chat) if chat is not None else []

    def select_start(self) -> bool:
        """Enter selection mode, at the lowest visible message; False if there is none.

        In selection mode the view stays in place, whatever arrives.
        """
        if self.is_selecting:
            return True
        items = (self._items.item(s.placed.key) for s in reversed(self._rows))
        talk = (item for item in items if isinstance(item, Entry) and item.is_message)
        entry = next(talk, None)
        if entry is None:
            return False
        self._target = None
        self._pending_goal = None
        self._selection.seq = entry.seq
        self._viewport.hold()
        self._show_whole(entry.seq, is_up=True)
        return True

    def select_move(self, step: int) -> None:
        """Select the message ``step`` further down (up if negative)."""
        chat = self._chat
        if chat is not None and self._selection.seq is not None:
            self._selection.move(chat, step)
            self._show_whole(self._selection.seq, is_up=step < 0)

    def select_toggle(self) -> None:
        """Mark the selected message, or unmark it."""
        self._selection.toggle()
        self._visible = None

    def select_clear(self) -> None:
        """Leave selection mode; nothing is selected or marked any more."""
        self._selection.clear()
        self._viewport.release()
        self._visible = None

    def fold_toggle(self, seq: int) -> None:
        """Unfold a long message, or fold it again."""
        places = [seen.placed for seen in self._rows]
        top = next((i for i, place in enumerate(places) if place.key == (seq, 0)), None)
        self._row_cache.unfolded ^= {seq}
        if top is not None:
            # Its beginning stays where it is, if it is visible.
            hidden = places[top].number - places[top].block.start
            self._viewport.show((seq, 0), top - hidden if hidden <= 0 else 0)
        self._visible = None

    # Drawing --------------------------------------------------------------------------

    def seen(self, width: int, height: int) -> Sequence[VisibleRow | None]:
        """Return the rows of a window, from the top; None is an empty row."""
        if width != self._width:
            self._width = width
            self._is_stale = True
        if height != self._viewport.height:
            self._viewport.height = height
            self._visible = None
        rows = self._rows
        return [*[None] * (height - len(rows)), *rows]

    def create_content(self, width: int, height: int) -> UIContent:
        """Return the visible rows, for a plain ``Window``."""
        rows = self.seen(width, height)

        def get_line(number: int) -> StyleAndTextTuples:
            row = rows[number]
            return list(row.line) if row is not None else []

        return UIContent(get_line, line_count=height, show_cursor=False)

    def is_focusable(self) -> bool:
        """Return False: it never has the focus."""
        return False

    def mouse_handler(self, mouse_event: MouseEvent) -> "NotImplementedOrNone":
        """Handle a mouse event of a plain ``Window``."""
        place = mouse_event.position
        return self.clicked(mouse_event.event_type, place.x, place.y)

    def clicked(self, event: MouseEventType, x: int, y: int) -> "NotImplementedOrNone":
        """Handle a mouse event: the wheel scrolls, a click opens a link.

        Args:
            event: What the mouse did.
            x: The cell within the window.
            y: The row within the window.
        """
        match event:
            case MouseEventType.SCROLL_UP:
                self.scroll(-WHEEL_ROWS)
            case MouseEventType.SCROLL_DOWN:
                self.scroll(WHEEL_ROWS)
            case MouseEventType.MOUSE_UP if link := self.link_at(x, y):
                self.on_link(link)
            case _:
                return NotImplemented
        return None

    def link_at(self, x: int, y: int) -> str | None:
        """Return the whole link that has a part at a cell of the window."""
        rows = self._rows
        number = y - (self._viewport.height - len(rows))
        if not 0 <= number < len(rows):
            return None
        placed = rows[number].placed
        part, item = _link_part(placed.line, x), self._items.item(placed.key)
        if not part or not isinstance(item, Entry):
            return None
        found = links(clean(item.text, is_multiline=True))
        return next((link for link in found if part in display(link)), None)


def _link_part(line: Line, x: int) -> str:
    """Return the text of the link part at a cell of a row, or ""."""
    shown = [(style, text) for style, text in line if style != ESCAPE_STYLE]
    end = 0
    for style, group in groupby(shown, lambda part: part[0]):
        text = "".join(part for _, part in group)
        end += cells(text)
        if x < end:
            return text if "class:link" in style else ""
    return ""
