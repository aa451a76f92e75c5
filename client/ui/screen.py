"""How the screen is arranged: which panels there are, and where they go away first."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from prompt_toolkit.filters import Condition
from prompt_toolkit.layout import (
    ConditionalContainer,
    Dimension,
    DynamicContainer,
    Float,
    FloatContainer,
    HSplit,
    Layout,
    VSplit,
    Window,
)
from prompt_toolkit.layout.containers import AnyContainer
from prompt_toolkit.layout.controls import FormattedTextControl
from prompt_toolkit.layout.mouse_handlers import MouseHandlers
from prompt_toolkit.layout.screen import Screen as Canvas
from prompt_toolkit.layout.screen import WritePosition

from client.changes import (
    Change,
    LoggedIn,
    MembersChanged,
    PresenceChanged,
    Reset,
    TransferChanged,
    TypingSeen,
)
from client.chat import Chat
from client.colours import Line
from client.ui.bars import Status, header_row, status_row
from client.ui.boxes import MAX_CELLS, MAX_ROWS
from client.ui.control import RowsControl
from client.ui.painting import TimelineWindow
from client.ui.people import Person, count_present, people_cells, people_of, people_rows
from client.ui.sidebar import (
    Kept,
    chat_list,
    rank_of,
    sidebar_cells,
    sidebar_rows,
    visible_chats,
)

if TYPE_CHECKING:
    from client.ui.app import FullScreen

CHATS_FROM = 80
"""From so many columns on the list of chats is shown by itself."""

PEOPLE_FROM = 120
MIN_TIMELINE = 30
HINT = "F1 help"
SELECT_HINT = "c copy  r reply  Space mark  Esc back"

_OF_PEOPLE = (LoggedIn, MembersChanged, PresenceChanged, Reset)
_NOT_OF_CHATS = (MembersChanged, PresenceChanged, TransferChanged, TypingSeen)


class _RoomyTimeline(TimelineWindow):
    """The timeline, which is not drawn at all where there is no row for it."""

    def write_to_screen(
        self,
        screen: Canvas,
        mouse_handlers: MouseHandlers,
        write_position: WritePosition,
        parent_style: str,
        erase_bg: bool,
        z_index: int | None,
    ) -> None:
        """Draw what is seen, if anything can be."""
        at = write_position
        if at.width > 0 and at.height > 0:
            super().write_to_screen(
                screen, mouse_handlers, at, parent_style, erase_bg, z_index
            )


class Screen:
    """The arrangement of a full screen.

    What it says of chats and people is worked out once after each change of the model,
    not in each frame.

    Args:
        face: Whose it is.

    Attributes:
        layout: For the application.
        rest: What has the keys while nothing is to be typed into.
        wants_chats: Whether the list of chats is wanted; None leaves it to the width.
        wants_people: Likewise for who is here.
    """

    def __init__(self, face: "FullScreen") -> None:
        self._face = face
        self.wants_chats: bool | None = None
        self.wants_people: bool | None = None
        self.rest = Window(FormattedTextControl(focusable=True), height=0)
        self._shown_chats: Sequence[Chat] = ()
        self._kept: Kept | None = None
        self._chats: list[Chat] | None = None
        self._chats_cells = 0
        self._people: list[Person] | None = None
        self._people_cells = 0
        self.layout = self._make_layout()

    # What is told ---------------------------------------------------------------------

    def changed(self, change: Change) -> None:
        """Take in a change of the model; this costs next to nothing."""
        if isinstance(change, _OF_PEOPLE):
            self._people = None
        if not isinstance(change, _NOT_OF_CHATS):
            self._chats = None

    def opened(self, address: str | None) -> None:
        """Take in that another chat is open, which is not marked as read yet."""
        chat = self._face.workspace.model.chats.get(address or "")
        if chat is None:
            self._kept = None
        else:
            self._kept = Kept(chat.address, rank_of(chat, self.is_quiet))
        self._chats = self._people = None

    # What fits ------------------------------------------------------------------------

    @property
    def is_bare(self) -> bool:
        """Whether only text is shown."""
        return self._face.timeline.is_bare

    @property
    def has_chats(self) -> bool:
        """Whether the list of chats is shown now."""
        columns = self._columns
        if self.is_bare or columns < self.chats_cells + 1 + MIN_TIMELINE:
            return False
        wants = self.wants_chats
        return columns >= CHATS_FROM if wants is None else wants

    @property
    def has_people(self) -> bool:
        """Whether the list of people is shown now."""
        columns = self._columns
        if self.is_bare or not self.people:
            return False
        left = self.chats_cells + 1 if self.has_chats else 0
        if columns - left < self.people_cells + 1 + MIN_TIMELINE:
            return False
        wants = self.wants_people
        return columns >= PEOPLE_FROM if wants is None else wants

    @property
    def chats(self) -> list[Chat]:
        """The chats in the order of the list."""
        if self._chats is None:
            model = self._face.workspace.model
            self._chats = chat_list(model, self.is_quiet, self._kept)
            self._chats_cells = sidebar_cells(self._chats)
        return self._chats

    @property
    def chats_cells(self) -> int:
        """How wide the list of chats is."""
        return self._chats_cells if self.chats else sidebar_cells([])

    @property
    def people(self) -> list[Person]:
        """Who is in the open room."""
        if self._people is None:
            ws = self._face.workspace
            self._people = people_of(ws.model, ws.chat)
            self._people_cells = people_cells(self._people)
        return self._people

    @property
    def people_cells(self) -> int:
        """How wide the list of people is."""
        return self._people_cells if self.people else 0

    @property
    def timeline_columns(self) -> int:
        """How many cells a line of the timeline may have."""
        columns = self._columns
        if self.has_chats:
            columns -= self.chats_cells + 1
        if self.has_people:
            columns -= self.people_cells + 1
        return max(10, columns)

    @property
    def timeline_rows(self) -> int:
        """How many lines the timeline has."""
        return max(3, self._face.app.output.get_size().rows - 3)

    @property
    def box_cells(self) -> int:
        """How wide a box over the chat is, its frame included."""
        return min(MAX_CELLS, max(10, self._columns - 2))

    def is_quiet(self, chat: str) -> bool:
        """Whether a chat is never to notify."""
        return self._face.wishes.rule_of(chat) == "nothing"

    @property
    def _columns(self) -> int:
        return self._face.app.output.get_size().columns

    # Windows --------------------------------------------------------------------------

    def _make_layout(self) -> Layout:
        is_dressed = Condition(lambda: not self.is_bare)
        middle = VSplit(
            [
                self._panel(
                    Window(
                        RowsControl(
                            self._sidebar,
                            on_click=self._clicked_chat,
                        ),
                        width=lambda: Dimension.exact(self.chats_cells),
                        style="class:sidebar",
                    ),
                    is_left=True,
                    is_shown=Condition(lambda: self.has_chats),
                ),
                _RoomyTimeline(self._face.timeline),
                self._panel(
                    Window(
                        RowsControl(self._people_rows),
                        width=lambda: Dimension.exact(self.people_cells),
                        style="class:people",
                    ),
                    is_left=False,
                    is_shown=Condition(lambda: self.has_people),
                ),
            ]
        )
        body = HSplit(
            [
                ConditionalContainer(
                    Window(RowsControl(self._header), height=1), filter=is_dressed
                ),
                middle,
                self.rest,
                ConditionalContainer(
                    Window(RowsControl(self._status), height=1), filter=is_dressed
                ),
                ConditionalContainer(self._face.composer.container, filter=is_dressed),
            ]
        )
        box = ConditionalContainer(
            DynamicContainer(self._box), filter=Condition(lambda: bool(self._face.box))
        )
        floats = [
            *self._face.composer.floats,
            Float(
                box,
                width=lambda: self.box_cells,
                height=self._box_height,
            ),
        ]
        return Layout(
            FloatContainer(body, floats), focused_element=self._face.composer.window
        )

    @staticmethod
    def _panel(window: Window, *, is_left: bool, is_shown: Condition) -> AnyContainer:
        border = Window(width=1, char="│", style="class:border")
        parts = [window, border] if is_left else [border, window]
        return ConditionalContainer(VSplit(parts), filter=is_shown)

    def _box(self) -> AnyContainer:
        box = self._face.box
        return box.container if box is not None else Window()

    def _box_height(self) -> int:
        rows = self._face.app.output.get_size().rows
        return min(MAX_ROWS, max(5, rows - 3))

    # Rows -----------------------------------------------------------------------------

    def _header(self, cells: int, _: int) -> list[Line]:
        ws = self._face.workspace
        hello = ws.link.hello
        people = self.people
        present = count_present(people) if people else None
        server = hello.name if hello is not None else ws.server.partition("://")[2]
        return [header_row(ws.chat, ws.current, present, server, cells)]

    def _status(self, cells: int, _: int) -> list[Line]:
        face = self._face
        ws = face.workspace
        items = ws.link.outbox_items()
        typing = ws.chat.typing(face.now()) if ws.chat is not None else []
        status = Status(
            state=face.state,
            waiting=sum(item.state == "waiting" for item in items),
            refused=sum(item.state == "refused" for item in items),
            typing=typing,
            transfers=ws.link.transfers.items,
            below=face.timeline.new_below,
            said=face.flashed,
            hint=SELECT_HINT if face.timeline.is_selecting else HINT,
        )
        return [status_row(status, cells)]

    def _sidebar(self, cells: int, height: int) -> list[Line]:
        ws = self._face.workspace
        self._shown_chats = visible_chats(self.chats, ws.current, height, self.is_quiet)
        return sidebar_rows(self._shown_chats, ws.current, cells, self.is_quiet)

    def _people_rows(self, cells: int, height: int) -> list[Line]:
        return people_rows(self.people, cells, height)

    def _clicked_chat(self, row: int) -> None:
        if row < len(self._shown_chats):
            self._face.workspace.switch(self._shown_chats[row].address)
