"""Handlers of the key actions: one for each name in ``client.keys.actions``."""

from collections.abc import Callable
from itertools import islice

from prompt_toolkit.key_binding import KeyPressEvent

from client.model.chat import Chat
from client.ui.context import UiContext
from client.ui.dialogs.dialogs import (
    FILES,
    HELP,
    open_days,
    open_help,
    open_switcher,
    open_transfers,
    toggle,
)
from client.ui.dialogs.list_box import ListBox
from client.ui.dialogs.search import open_search
from client.ui.dialogs.selection_actions import SelectionActions
from client.ui.sidebar import neighbour, next_activity

Handler = Callable[[KeyPressEvent], object]

_FEW = 3


class ActionHandlers:
    """The handlers of all actions but the composer's.

    Args:
        ui: The full screen that they act on.

    Attributes:
        handlers: The handlers by name of the action.
    """

    def __init__(self, ui: UiContext) -> None:
        self._ui = ui
        timeline = ui.timeline
        self.handlers: dict[str, Handler] = {
            "interrupt": lambda _: self._interrupt(),
            # Chats.
            "next-activity": lambda _: self._next_activity(),
            "switcher": lambda _: open_switcher(ui),
            "next-chat": lambda _: self._step(1),
            "previous-chat": lambda _: self._step(-1),
            "last-chat": lambda _: self._go_back(),
            **{f"chat-{n}": self._nth(n) for n in range(1, 11)},
            # Reading.
            "page-up": lambda _: timeline.page(-1),
            "page-down": lambda _: timeline.page(1),
            "scroll-up": lambda _: timeline.scroll(-_FEW),
            "scroll-down": lambda _: timeline.scroll(_FEW),
            "top": lambda _: timeline.to_top(),
            "bottom": lambda _: self._to_bottom(),
            "end": lambda _: self._to_bottom(),
            "first-unread": lambda _: self._first_unread(),
            "next-mention": lambda _: self._mention(1),
            "previous-mention": lambda _: self._mention(-1),
            "date": lambda _: open_days(ui),
            "search": lambda _: open_search(ui),
            **SelectionActions(ui).handlers,
            # Dialogs.
            "list-up": lambda _: self._in_box(lambda dialog: dialog.move(-1)),
            "list-down": lambda _: self._in_box(lambda dialog: dialog.move(1)),
            "list-page-up": lambda _: self._in_box(lambda dialog: dialog.page(-1)),
            "list-page-down": lambda _: self._in_box(lambda dialog: dialog.page(1)),
            "list-open": lambda _: self._in_box(lambda dialog: dialog.open()),
            "list-close": lambda _: ui.close_dialog(),
            # The screen.
            "help": lambda _: toggle(ui, HELP, lambda: open_help(ui)),
            "chats-panel": lambda _: self._toggle_chats(),
            "people-panel": lambda _: self._toggle_people(),
            "mouse": lambda _: self._toggle_mouse(),
            "transfers": lambda _: toggle(ui, FILES, lambda: open_transfers(ui)),
            "bare": lambda _: ui.set_bare(not timeline.is_bare),
            "redraw": lambda _: ui.redraw(),
            "suspend": lambda _: ui.suspend(),
            "quit": lambda _: ui.quit(),
        }

    # Chats ----------------------------------------------------------------------------

    def _go_to(self, chat: Chat | None) -> None:
        if chat is not None and chat.address != self._ui.workspace.current:
            self._ui.workspace.switch(chat.address)

    def _go_back(self) -> None:
        if self._ui.previous is not None:
            self._ui.workspace.switch(self._ui.previous)

    def _step(self, step: int) -> None:
        ui = self._ui
        self._go_to(neighbour(ui.panels.chats, ui.workspace.current, step))

    def _next_activity(self) -> None:
        ui = self._ui
        found = next_activity(ui.panels.chats, ui.workspace.current)
        if found is None:
            ui.flash("nothing is unread elsewhere")
        self._go_to(found)

    def _nth(self, number: int) -> Handler:
        def go(_: KeyPressEvent) -> None:
            screen = self._ui.panels
            chats = screen.shown_chats if screen.has_chats else screen.chats
            if number <= len(chats):
                self._go_to(chats[number - 1])

        return go

    # Reading --------------------------------------------------------------------------

    def _to_bottom(self) -> None:
        self._ui.timeline.highlight = None
        self._ui.timeline.to_bottom()

    def _first_unread(self) -> None:
        if not self._ui.timeline.to_first_unread():
            self._ui.flash("nothing is unread here")

    def _mention(self, step: int) -> None:
        ui = self._ui
        chat = ui.workspace.chat
        at = ui.timeline.middle_seq
        if chat is None or at is None:
            return
        if step > 0:
            entries = islice(chat.entries, chat.index(at + 1), None)
        else:
            entries = islice(
                reversed(chat.entries), len(chat.entries) - chat.index(at), None
            )
        mentions = (e.seq for e in entries if ui.workspace.model.mentions_me(e))
        wanted = next(mentions, None)
        if wanted is None:
            ui.flash("no more messages with your name in what is loaded")
        else:
            ui.timeline.to_seq(wanted)

    # The screen -----------------------------------------------------------------------

    def _in_box(self, act: Callable[[ListBox], None]) -> None:
        if self._ui.dialog is not None:
            act(self._ui.dialog)

    def _toggle_chats(self) -> None:
        screen = self._ui.panels
        screen.wants_chats = not screen.has_chats
        if screen.wants_chats and not screen.has_chats:
            self._ui.flash("the window is too narrow for the list of chats")

    def _toggle_people(self) -> None:
        screen = self._ui.panels
        screen.wants_people = not screen.has_people
        if screen.wants_people and not screen.has_people:
            is_room = (self._ui.workspace.current or "").startswith("#")
            why = "the window is too narrow" if is_room else "that is for rooms"
            self._ui.flash(f"no list of people: {why}")

    def _toggle_mouse(self) -> None:
        ui = self._ui
        ui.is_mouse_on = not ui.is_mouse_on
        ui.flash(
            "the mouse scrolls and clicks; Shift+drag selects"
            if ui.is_mouse_on
            else "the mouse is the terminal's"
        )

    def _interrupt(self) -> None:
        ui = self._ui
        if not ui.composer.is_empty or ui.composer.reply_to is not None:
            ui.composer.clear()
        else:
            ui.interrupts.press()
