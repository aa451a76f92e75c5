"""Following the link: what it tells is shown, and what is missing is asked for."""

import asyncio
from typing import TYPE_CHECKING

import msgspec

from client.link.reconnect import LinkState
from client.model.changes import Change, ChatRemoved, EntriesAdded, SyncDone, TypingSeen
from client.model.chat import TYPING_SECONDS
from client.ui.bars import steady_ms

if TYPE_CHECKING:
    from client.ui.app import FullScreen


class Following:
    """Takes in what a link tells the full screen.

    Args:
        face: The full screen.
        room: A room to be entered once online, None for none.

    Attributes:
        error: What stopped the link for good, None if nothing did.
        has_news: Whether something is another than in the last frame.
    """

    def __init__(self, face: "FullScreen", room: str | None) -> None:
        self.error: Exception | None = None
        self.has_news = True
        self._face = face
        self._room = room

    def changed(self, change: Change) -> None:
        """Show a change, which the model has already."""
        face = self._face
        face.composer.changed(change)
        face.screen.changed(change)
        match change:
            case EntriesAdded(origin="live") if face.watching.is_watched(change.chat):
                face.watching.mark_seen()
            case TypingSeen() if change.chat == face.workspace.current:
                # It is to go away again, also if nothing else happens meanwhile.
                asyncio.get_running_loop().call_later(TYPING_SECONDS, face.paint)
            case TypingSeen():
                return
            case ChatRemoved():
                face.opening.removed(change)
            case SyncDone():
                self._synced()
            case _:
                pass
        face.teller.changed(change)
        self.has_news = True
        face.paint_soon()

    def state_changed(self, state: LinkState) -> None:
        """Show how the link is now; end the program if it has stopped for good."""
        face = self._face
        if state.name == "stopped" and state.error is not None:
            self.error = state.error
            face.quit()
        elif state.name == "online" and self._room is not None:
            face.enter(f"/join {self._room}")
            self._room = None
        if state.name == "online" and state.round_trip_ms is not None:
            shown = steady_ms(face.state.round_trip_ms, state.round_trip_ms)
            state = msgspec.structs.replace(state, round_trip_ms=shown)
        if state != face.state:
            face.state = state
            face.paint_soon()

    def load_more(self) -> None:
        """Fetch what is about to be seen, or is missing of what is seen."""
        face = self._face
        chat = face.workspace.current
        if chat is None or chat not in face.workspace.model.chats:
            return
        if face.timeline.needs_older:
            face.loader.older(chat)
        gap = face.timeline.visible_gap
        if gap is not None:
            face.loader.fill(gap)

    def _synced(self) -> None:
        face = self._face
        face.loader.came_online()
        face.opening.synced()
        chat = face.workspace.current
        if chat is not None and chat.startswith("#"):
            face.loader.members(chat)
        self.load_more()
