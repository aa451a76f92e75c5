"""What the actions do: a handler for each name in ``client.keys.actions``."""

from collections.abc import Callable
from itertools import islice
from typing import TYPE_CHECKING

from prompt_toolkit.key_binding import KeyPressEvent

from client.model.chat import Chat
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
from client.ui.dialogs.selection_actions import Choosing
from client.ui.sidebar import neighbour, next_activity

if TYPE_CHECKING:
    from client.ui.app import FullScreen

Handler = Callable[[KeyPressEvent], object]

_FEW = 3


class Moves:
    """The handlers of the actions that are not the composer's.

    Args:
        face: Where keys are pressed.

    Attributes:
        handlers: By name of the action.
    """

    def __init__(self, face: "FullScreen") -> None:
        self._face = face
        timeline = face.timeline
        self.handlers: dict[str, Handler] = {
            "interrupt": lambda _: self._interrupt(),
            # Chats.
            "next-activity": lambda _: self._next_activity(),
            "switcher": lambda _: open_switcher(face),
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
            "date": lambda _: open_days(face),
            "search": lambda _: open_search(face),
            **Choosing(face).handlers,
            # Boxes.
            "list-up": lambda _: self._in_box(lambda box: box.move(-1)),
            "list-down": lambda _: self._in_box(lambda box: box.move(1)),
            "list-page-up": lambda _: self._in_box(lambda box: box.page(-1)),
            "list-page-down": lambda _: self._in_box(lambda box: box.page(1)),
            "list-open": lambda _: self._in_box(lambda box: box.open()),
            "list-close": lambda _: face.close_box(),
            # The screen.
            "help": lambda _: toggle(face, HELP, lambda: open_help(face)),
            "chats-panel": lambda _: self._toggle_chats(),
            "people-panel": lambda _: self._toggle_people(),
            "mouse": lambda _: self._toggle_mouse(),
            "transfers": lambda _: toggle(face, FILES, lambda: open_transfers(face)),
            "bare": lambda _: face.set_bare(not timeline.is_bare),
            "redraw": lambda _: face.redraw(),
            "suspend": lambda _: face.app.suspend_to_background(),
            "quit": lambda _: face.quit(),
        }

    # Chats ----------------------------------------------------------------------------

    def _go_to(self, chat: Chat | None) -> None:
        if chat is not None and chat.address != self._face.workspace.current:
            self._face.workspace.switch(chat.address)

    def _go_back(self) -> None:
        if self._face.previous is not None:
            self._face.workspace.switch(self._face.previous)

    def _step(self, step: int) -> None:
        face = self._face
        self._go_to(neighbour(face.screen.chats, face.workspace.current, step))

    def _next_activity(self) -> None:
        face = self._face
        found = next_activity(face.screen.chats, face.workspace.current)
        if found is None:
            face.flash("nothing is unread elsewhere")
        self._go_to(found)

    def _nth(self, number: int) -> Handler:
        def go(_: KeyPressEvent) -> None:
            screen = self._face.screen
            chats = screen.shown_chats if screen.has_chats else screen.chats
            if number <= len(chats):
                self._go_to(chats[number - 1])

        return go

    # Reading --------------------------------------------------------------------------

    def _to_bottom(self) -> None:
        self._face.timeline.highlight = None
        self._face.timeline.to_bottom()

    def _first_unread(self) -> None:
        if not self._face.timeline.to_first_unread():
            self._face.flash("nothing is unread here")

    def _mention(self, step: int) -> None:
        face = self._face
        chat = face.workspace.chat
        at = face.timeline.middle_seq
        if chat is None or at is None:
            return
        if step > 0:
            entries = islice(chat.entries, chat.index(at + 1), None)
        else:
            entries = islice(
                reversed(chat.entries), len(chat.entries) - chat.index(at), None
            )
        mentions = (e.seq for e in entries if face.workspace.model.mentions_me(e))
        wanted = next(mentions, None)
        if wanted is None:
            face.flash("no more messages with your name in what is loaded")
        else:
            face.timeline.to_seq(wanted)

    # The screen -----------------------------------------------------------------------

    def _in_box(self, act: Callable[[ListBox], None]) -> None:
        if self._face.box is not None:
            act(self._face.box)

    def _toggle_chats(self) -> None:
        screen = self._face.screen
        screen.wants_chats = not screen.has_chats
        if screen.wants_chats and not screen.has_chats:
            self._face.flash("the window is too narrow for the list of chats")

    def _toggle_people(self) -> None:
        screen = self._face.screen
        screen.wants_people = not screen.has_people
        if screen.wants_people and not screen.has_people:
            is_room = (self._face.workspace.current or "").startswith("#")
            why = "the window is too narrow" if is_room else "that is for rooms"
            self._face.flash(f"no list of people: {why}")

    def _toggle_mouse(self) -> None:
        face = self._face
        face.is_mouse_on = not face.is_mouse_on
        face.flash(
            "the mouse scrolls and clicks; Shift+drag selects"
            if face.is_mouse_on
            else "the mouse is the terminal's"
        )

    def _interrupt(self) -> None:
        face = self._face
        if not face.composer.is_empty or face.composer.reply_to is not None:
            face.composer.clear()
        else:
            face.interrupts.press()
