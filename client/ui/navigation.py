"""Navigation between chats: opens the last one at the start, a chosen one, or none."""

from collections.abc import Callable

from client.model.changes import ChatRemoved
from client.ui.dialogs.context import Context
from client.ui.panels import Panels
from client.ui.read_tracker import ReadTracker
from client.ui.status_messages import nothing_open


class Navigation:
    """Opens and closes chats on the full screen.

    Args:
        ui: The full screen.
        panels: Its panels.
        read_tracker: Marks as read what was seen of the chat before.
        load_more: Fetches what is missing of the chat that was opened.

    Attributes:
        previous: The chat that was open before this one.
    """

    def __init__(
        self,
        ui: Context,
        panels: Panels,
        read_tracker: ReadTracker,
        load_more: Callable[[], None],
    ) -> None:
        self._ui = ui
        self._panels = panels
        self._read_tracker = read_tracker
        self._load_more = load_more
        self._wanted: str | None = None
        self.previous: str | None = None

    def begin(self, room: str | None) -> None:
        """Open a room, or else the chat that was open last time.

        A room that the model does not know yet is opened by ``synced``.
        """
        workspace = self._ui.workspace
        self._wanted = room or workspace.preferences.last_chat(
            workspace.server, workspace.model.me
        )
        if not self._open_wanted():
            self.open_none()

    def synced(self) -> None:
        """Open the chat that ``begin`` asked for, unless another is open.

        Called after each sync, when all chats are known.
        """
        if self._ui.workspace.current is None:
            self._open_wanted()
        self._wanted = None

    def opened(self, address: str) -> None:
        """Show a chat that has just become the open one."""
        ui = self._ui
        before = ui.timeline.address
        if before != address:
            self._read_tracker.mark_seen()  # of the chat before
            self.previous = before or self.previous
            ui.timeline.highlight = None
            self._panels.opened(address)
            ui.loader.opened(address)
        ui.timeline.open(address)
        ui.composer.open(address)
        if address.startswith("#"):
            ui.loader.members(address)
        ui.place_focus()
        self._load_more()
        self._read_tracker.mark_seen()

    def removed(self, change: ChatRemoved) -> None:
        """Handle the removal of a chat: close it if it is open, and report why."""
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
        self._panels.opened(None)
        ui.place_focus()

    def _open_wanted(self) -> bool:
        """Open the wanted chat, if that is possible yet; return whether it was."""
        wanted, chats = self._wanted, self._ui.workspace.model.chats
        if wanted is None or (wanted[0] == "#" and wanted not in chats):
            return False
        self._ui.workspace.switch(wanted)
        return True
