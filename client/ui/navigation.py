"""Which chat is open: the one of last time, one that is chosen, or none."""

from typing import TYPE_CHECKING

from client.model.changes import ChatRemoved
from client.ui.status_messages import nothing_open

if TYPE_CHECKING:
    from client.ui.app import FullScreen


class Opening:
    """Opens chats on the full screen.

    Args:
        face: The full screen.

    Attributes:
        previous: The chat that was open before this one.
    """

    def __init__(self, face: "FullScreen") -> None:
        self._face = face
        self._wanted: str | None = None
        self.previous: str | None = None

    def begin(self, room: str | None) -> None:
        """Open a room, or else the chat of last time, once it is known."""
        ws = self._face.workspace
        self._wanted = room or ws.preferences.last_chat(ws.server, ws.model.me)
        if not self._open_wanted():
            self.open_none()

    def synced(self) -> None:
        """Open what was wanted, if nothing is open yet: now all chats are known."""
        if self._face.workspace.current is None:
            self._open_wanted()
        self._wanted = None

    def opened(self, address: str) -> None:
        """Show the chat that is open now."""
        face = self._face
        before = face.timeline.address
        if before != address:
            face.watching.mark_seen()  # of the chat before
            self.previous = before or self.previous
            face.timeline.highlight = None
            face.screen.opened(address)
            face.loader.opened(address)
        face.timeline.open(address)
        face.composer.open(address)
        if address.startswith("#"):
            face.loader.members(address)
        face.place_focus()
        face.following.load_more()
        face.watching.mark_seen()

    def removed(self, change: ChatRemoved) -> None:
        """Close a chat that is not there any more, and say why."""
        face = self._face
        if self.previous == change.chat:
            self.previous = None
        if change.chat != face.workspace.current or change.code == "discarded":
            return
        self.open_none()
        if change.code != "left":
            text = f"you are not in {change.chat} any more ({change.code})"
            face.workspace.say(text)

    def open_none(self) -> None:
        """Show that no chat is open."""
        face = self._face
        face.workspace.current = None
        if face.timeline.address is not None:
            face.timeline.welcome = nothing_open(face.wishes.keys)
        face.timeline.open(None)
        face.composer.open(None)
        face.screen.opened(None)
        face.place_focus()

    def _open_wanted(self) -> bool:
        """Open the chat that is wanted, if that is possible already."""
        wanted, chats = self._wanted, self._face.workspace.model.chats
        if wanted is None or (wanted[0] == "#" and wanted not in chats):
            return False
        self._face.workspace.switch(wanted)
        return True
