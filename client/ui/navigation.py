"""Which chat is open: the one of last time, one that is chosen, or none."""

from typing import TYPE_CHECKING

from client.model.changes import ChatRemoved
from client.ui.status_messages import nothing_open

if TYPE_CHECKING:
    from client.ui.app import FullScreen


class Navigation:
    """Opens chats on the full screen.

    Args:
        ui: The full screen.

    Attributes:
        previous: The chat that was open before this one.
    """

    def __init__(self, ui: "FullScreen") -> None:
        self._ui = ui
        self._wanted: str | None = None
        self.previous: str | None = None

    def begin(self, room: str | None) -> None:
        """Open a room, or else the chat of last time, once it is known."""
        workspace = self._ui.workspace
        self._wanted = room or workspace.preferences.last_chat(
            workspace.server, workspace.model.me
        )
        if not self._open_wanted():
            self.open_none()

    def synced(self) -> None:
        """Open what was wanted, if nothing is open yet: now all chats are known."""
        if self._ui.workspace.current is None:
            self._open_wanted()
        self._wanted = None

    def opened(self, address: str) -> None:
        """Show the chat that is open now."""
        ui = self._ui
        before = ui.timeline.address
        if before != address:
            ui.read_tracker.mark_seen()  # of the chat before
            self.previous = before or self.previous
            ui.timeline.highlight = None
            ui.panels.opened(address)
            ui.loader.opened(address)
        ui.timeline.open(address)
        ui.composer.open(address)
        if address.startswith("#"):
            ui.loader.members(address)
        ui.place_focus()
        ui.link_events.load_more()
        ui.read_tracker.mark_seen()

    def removed(self, change: ChatRemoved) -> None:
        """Close a chat that is not there any more, and say why."""
        ui = self._ui
        if self.previous == change.chat:
            self.previous = None
        if change.chat != ui.workspace.current or change.code == "discarded":
            return
        self.open_none()
        if change.code != "left":
            text = f"you are not in {change.chat} any more ({change.code})"
            ui.workspace.say(text)

    def open_none(self) -> None:
        """Show that no chat is open."""
        ui = self._ui
        ui.workspace.current = None
        if ui.timeline.address is not None:
            ui.timeline.welcome = nothing_open(ui.config.keys)
        ui.timeline.open(None)
        ui.composer.open(None)
        ui.panels.opened(None)
        ui.place_focus()

    def _open_wanted(self) -> bool:
        """Open the chat that is wanted, if that is possible already."""
        wanted, chats = self._wanted, self._ui.workspace.model.chats
        if wanted is None or (wanted[0] == "#" and wanted not in chats):
            return False
        self._ui.workspace.switch(wanted)
        return True
