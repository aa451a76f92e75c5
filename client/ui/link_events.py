"""Handles the link's events: shows changes and requests what is missing."""

import asyncio

import msgspec

from client.link.reconnect import LinkState
from client.model.changes import Change, ChatRemoved, EntriesAdded, SyncDone, TypingSeen
from client.model.chat import TYPING_SECONDS
from client.ui.bars import steady_ms
from client.ui.context import UiContext


class LinkEvents:
    """Handles the changes of the model and of the link's state for the full screen.

    Args:
        ui: The full screen.
        room: A room to join once online, None for none.

    Attributes:
        error: What stopped the link for good, None if nothing did.
        has_news: Whether something has changed since the last frame.
    """

    def __init__(self, ui: UiContext, room: str | None) -> None:
        self.error: Exception | None = None
        self.has_news = True
        self._ui = ui
        self._room = room

    def changed(self, change: Change) -> None:
        """Handle a change that the model has already applied."""
        ui = self._ui
        ui.composer.changed(change)
        ui.panels.changed(change)
        match change:
            case EntriesAdded(origin="live") if ui.read_tracker.is_watched(change.chat):
                ui.read_tracker.mark_seen()
            case TypingSeen() if change.chat == ui.workspace.current:
                # Paint again when it expires, even if nothing else happens until then.
                asyncio.get_running_loop().call_later(TYPING_SECONDS, ui.paint)
            case TypingSeen():
                return
            case ChatRemoved():
                ui.navigation.removed(change)
            case SyncDone():
                self._synced()
            case _:
                pass
        ui.messages.changed(change)
        self.has_news = True
        ui.paint_soon()

    def state_changed(self, state: LinkState) -> None:
        """Show the link's state; quit if the link has stopped for good."""
        ui = self._ui
        if state.name == "stopped" and state.error is not None:
            self.error = state.error
            ui.quit()
        elif state.name == "online" and self._room is not None:
            ui.enter(f"/join {self._room}")
            self._room = None
        if state.name == "online" and state.round_trip_ms is not None:
            shown = steady_ms(ui.state.round_trip_ms, state.round_trip_ms)
            state = msgspec.structs.replace(state, round_trip_ms=shown)
        if state != ui.state:
            ui.state = state
            ui.paint_soon()

    def load_more(self) -> None:
        """Fetch what is missing in or near the visible part of the timeline."""
        ui = self._ui
        chat = ui.workspace.current
        if chat is None or chat not in ui.workspace.model.chats:
            return
        if ui.timeline.needs_older:
            ui.loader.older(chat)
        gap = ui.timeline.visible_gap
        if gap is not None:
            ui.loader.fill(gap)

    def _synced(self) -> None:
        ui = self._ui
        ui.loader.came_online()
        ui.navigation.synced()
        chat = ui.workspace.current
        if chat is not None and chat.startswith("#"):
            ui.loader.members(chat)
        self.load_more()
