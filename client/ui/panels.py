"""The panels of the full screen: which are shown at which width, and their rows."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from prompt_toolkit.filters import Condition
from prompt_toolkit.layout import (
    ConditionalContainer,
    DynamicContainer,
    Float,
    FloatContainer,
    Layout,
    Window,
)
from prompt_toolkit.layout.containers import AnyContainer
from prompt_toolkit.layout.controls import FormattedTextControl

from client.keys.actions import ACTIONS, shown_keys
from client.model.changes import (
    Change,
    ChatAdded,
    ChatRemoved,
    ChatUpdated,
    ItemChanged,
    LoggedIn,
    MembersChanged,
    PresenceChanged,
    Reset,
)
from client.model.chat import Chat
from client.text.styles import Line
from client.ui.bars import Status, about, header_row, status_row
from client.ui.dialogs.context import Context
from client.ui.dialogs.list_box import MAX_CELLS, MAX_ROWS
from client.ui.member_list import (
    Person,
    count_present,
    people_cells,
    people_of,
    people_rows,
)
from client.ui.sidebar import (
    Kept,
    Place,
    chat_list,
    place_of,
    rank_of,
    sidebar_cells,
    sidebar_rows,
    visible_chats,
)
from client.ui.timeline.painting import TimelineWindow
from client.ui.toolkit.rows_control import RowsControl
from client.ui.toolkit.screen_layout import Parts, RowsWindow, ScreenLayout, Widths

CHATS_FROM = 80
"""The columns from which on the chat list is shown by default."""

PEOPLE_FROM = 120
MIN_TIMELINE = 30
HINT = (("help", "help"),)
SELECT_HINT = (
    ("select-copy", "copy"),
    ("select-reply", "reply"),
    ("select-mark", "mark"),
    ("select-end", "back"),
)
"""Actions whose keys the status line shows, each with its label."""

_ACTIONS = {action.name: action for action in ACTIONS}

_OF_PEOPLE = (LoggedIn, MembersChanged, PresenceChanged, Reset)
_OF_CHATS = (ChatAdded, ChatRemoved, LoggedIn, Reset)


class _Rows(NamedTuple):
    """The rows of a panel, and the size for which they were rendered."""

    cells: int
    height: int
    rows: list[Line]


class Panels:
    """The panels of a full screen, and the layout that holds them.

    The rows of chats and members are computed once after each change of the model, not
    in each frame.

    Args:
        ui: The full screen.

    Attributes:
        layout: The layout for the application.
        shown_chats: The part of the chat list that was painted last.
        rest: An invisible window that has the focus while there is no input.
        wants_chats: Whether the user wants the chat list; None leaves it to the width.
        wants_people: Likewise for the member list.
    """

    def __init__(self, ui: Context) -> None:
        self._ui = ui
        self.wants_chats: bool | None = None
        self.wants_people: bool | None = None
        self.rest = Window(FormattedTextControl(focusable=True), height=0)
        self.shown_chats: Sequence[Chat] = ()
        self._kept: Kept | None = None
        self._chats: list[Chat] | None = None
        self._places: dict[str, Place] = {}
        self._chats_cells: int | None = None
        self._chats_rows: _Rows | None = None
        self._people: list[Person] | None = None
        self._people_cells = 0
        self._people_rows: _Rows | None = None
        self._none = Window()
        self.layout = self._make_layout()

    # Events ---------------------------------------------------------------------------

    def changed(self, change: Change) -> None:
        """Drop the rows that a change of the model affects; costs next to nothing."""
        if isinstance(change, _OF_PEOPLE):
            self._people = self._people_rows = None
        if isinstance(change, _OF_CHATS):
            self._chats = self._chats_cells = self._chats_rows = None
        elif isinstance(change, ChatUpdated):
            self._chat_changed(change.chat)
        elif isinstance(change, ItemChanged):
            self._chat_changed(change.item.chat)

    def _chat_changed(self, address: str) -> None:
        self._chats_rows = None
        chat = self._ui.workspace.model.chats.get(address)
        # Nearly always its place is the same; then nothing has to be sorted.
        if chat is None or self._place(chat) != self._places.get(address):
            self._chats = None

    def opened(self, address: str | None) -> None:
        """Handle that another chat is open; called before it is marked as read.

        So it keeps the rank that its unread messages give it.
        """
        chat = self._ui.workspace.model.chats.get(address or "")
        if chat is None:
            self._kept = None
        else:
            self._kept = Kept(chat.address, rank_of(chat, self.is_quiet))
        self._chats = self._chats_rows = self._people = self._people_rows = None

    # Visibility and sizes -------------------------------------------------------------

    @property
    def is_bare(self) -> bool:
        """Whether only text is shown."""
        return self._ui.timeline.is_bare

    @property
    def has_chats(self) -> bool:
        """Whether the chat list is shown now."""
        columns = self._columns
        if self.is_bare or columns < self.chats_cells + 1 + MIN_TIMELINE:
            return False
        if self.wants_chats is None:
            return columns >= CHATS_FROM and bool(self.chats)
        return self.wants_chats

    @property
    def has_people(self) -> bool:
        """Whether the member list is shown now."""
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
        """The chats in the order of the chat list."""
        if self._chats is None:
            model = self._ui.workspace.model
            self._chats = chat_list(model, self.is_quiet, self._kept)
            self._places = {chat.address: self._place(chat) for chat in self._chats}
        return self._chats

    @property
    def chats_cells(self) -> int:
        """The width of the chat list, in cells."""
        if self._chats_cells is None:
            self._chats_cells = sidebar_cells(self.chats)
        return self._chats_cells

    @property
    def people(self) -> list[Person]:
        """The members of the open room; empty for other chats."""
        if self._people is None:
            workspace = self._ui.workspace
            self._people = people_of(workspace.model, workspace.chat)
            self._people_cells = people_cells(self._people)
        return self._people

    @property
    def people_cells(self) -> int:
        """The width of the member list, in cells; 0 if it is empty."""
        return self._people_cells if self.people else 0

    @property
    def timeline_columns(self) -> int:
        """The width of the timeline, in cells."""
        columns = self._columns
        if self.has_chats:
            columns -= self.chats_cells + 1
        if self.has_people:
            columns -= self.people_cells + 1
        return max(10, columns)

    @property
    def timeline_rows(self) -> int:
        """The height of the timeline, in rows, beside a composer of one row."""
        return max(3, self._ui.size.rows - 3)

    @property
    def dialog_cells(self) -> int:
        """The width of a dialog in cells, its frame included."""
        return min(MAX_CELLS, max(10, self._columns - 2))

    def chats_by_wish(self) -> list[str]:
        """Return the chats in the order in which they are likely to be wanted.

        Unread ones come first, then the chat that was open before; the open one is
        last.
        """
        current, previous = self._ui.workspace.current, self._ui.previous

        def place(chat: Chat) -> int:
            if chat.address == current:
                return 3
            if rank_of(chat, self.is_quiet) < 2:
                return 0
            return 1 if chat.address == previous else 2

        return [chat.address for chat in sorted(self.chats, key=place)]

    def is_quiet(self, chat: str) -> bool:
        """Whether a chat never notifies."""
        return self._ui.config.rule_of(chat) == "nothing"

    def _place(self, chat: Chat) -> Place:
        return place_of(chat, self.is_quiet, self._kept)

    @property
    def _columns(self) -> int:
        return self._ui.size.columns

    # Windows --------------------------------------------------------------------------

    def _make_layout(self) -> Layout:
        ui = self._ui
        chats = RowsControl(self._sidebar, on_click=self._clicked_chat)
        parts = Parts(
            header=RowsWindow(RowsControl(self._header)),
            chats=RowsWindow(chats, "class:sidebar"),
            timeline=TimelineWindow(ui.timeline),
            people=RowsWindow(RowsControl(self._members), "class:people"),
            status=RowsWindow(RowsControl(self._status)),
            composer=ui.composer.container,
            rest=self.rest,
        )
        body = ScreenLayout(
            parts,
            is_bare=lambda: self.is_bare,
            is_asking=lambda: ui.composer.is_choosing,
            widths=self._widths,
        )
        is_over = Condition(lambda: ui.dialog is not None)
        dialog = ConditionalContainer(DynamicContainer(self._dialog), filter=is_over)
        place = Float(dialog, width=lambda: self.dialog_cells, height=self._box_height)
        return Layout(
            FloatContainer(body, [*ui.composer.floats, place]),
            focused_element=ui.composer.window,
        )

    def _widths(self) -> Widths:
        return Widths(
            self.chats_cells if self.has_chats else 0,
            self.people_cells if self.has_people else 0,
        )

    def _dialog(self) -> AnyContainer:
        # Always the same window if there is none: another one would make
        # prompt_toolkit collect all key bindings again.
        return self._ui.dialog.container if self._ui.dialog is not None else self._none

    def _box_height(self) -> int:
        rows = self._ui.size.rows
        return min(MAX_ROWS, max(5, rows - 3))

    # Rows -----------------------------------------------------------------------------

    def _header(self, cells: int, _: int) -> list[Line]:
        workspace = self._ui.workspace
        hello = workspace.link.hello
        people = self.people
        present = count_present(people) if people else None
        server = (
            hello.name if hello is not None else workspace.server.partition("://")[2]
        )
        about_it = about(workspace.model, workspace.current)
        return [header_row(workspace.current, about_it, present, server, cells)]

    def _status(self, cells: int, _: int) -> list[Line]:
        ui = self._ui
        workspace = ui.workspace
        items = workspace.link.outbox.items
        typing = workspace.chat.typing(ui.now()) if workspace.chat is not None else []
        status = Status(
            state=ui.state,
            server=workspace.server,
            waiting=sum(item.state == "waiting" for item in items),
            refused=sum(item.state == "refused" for item in items),
            typing=typing,
            transfers=workspace.link.transfers.items,
            below=ui.timeline.new_below,
            below_key=self._below_key(),
            said=ui.flashed,
            hint=self._hint(SELECT_HINT if ui.timeline.is_selecting else HINT),
        )
        return [status_row(status, cells)]

    def _below_key(self) -> str:
        """Return the configured key that goes to the bottom now; "" if none does."""
        ui = self._ui
        if ui.timeline.is_selecting:
            return ""
        return (ui.composer.is_empty and self._key("end")) or self._key("bottom")

    def _hint(self, actions: Iterable[tuple[str, str]]) -> str:
        keys = [(self._key(name), said) for name, said in actions]
        return "  ".join(f"{key} {said}" for key, said in keys if key)

    def _key(self, name: str) -> str:
        """Return the first configured key of an action; "" if it has none."""
        return shown_keys(_ACTIONS[name], self._ui.config.keys).partition(", ")[0]

    def _sidebar(self, cells: int, height: int) -> list[Line]:
        kept = self._chats_rows
        if kept is None or (kept.cells, kept.height) != (cells, height):
            current = self._ui.workspace.current
            shown = visible_chats(self.chats, current, height, self.is_quiet)
            self.shown_chats = shown
            rows = sidebar_rows(shown, current, cells, self.is_quiet)
            self._chats_rows = kept = _Rows(cells, height, rows)
        return kept.rows

    def _members(self, cells: int, height: int) -> list[Line]:
        kept = self._people_rows
        if kept is None or (kept.cells, kept.height) != (cells, height):
            rows = people_rows(self.people, cells, height)
            self._people_rows = kept = _Rows(cells, height, rows)
        return kept.rows

    def _clicked_chat(self, row: int) -> None:
        if row < len(self.shown_chats):
            self._ui.close_dialog()
            self._ui.workspace.switch(self.shown_chats[row].address)
