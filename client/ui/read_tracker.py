"""Tracks terminal focus and activity; marks visible messages as read."""

from collections.abc import Callable

from client.commands.workspace import Workspace
from client.notify.notifier import Notifier
from client.ui.timeline.timeline import Timeline


class ReadTracker:
    """Tracks whether the user is watching, and marks what is visible as read.

    Args:
        workspace: Has the chats and the link.
        timeline: Knows which messages are visible.
        notifier: Is called with focus and activity: what is watched does not notify.
        is_covered: Returns whether a dialog covers the timeline.
    """

    def __init__(
        self,
        workspace: Workspace,
        timeline: Timeline,
        notifier: Notifier,
        is_covered: Callable[[], bool],
    ) -> None:
        self._workspace = workspace
        self._timeline = timeline
        self._notifier = notifier
        self._is_covered = is_covered
        self._is_away = False
        self._is_leaving = False

    def focus_changed(self, has_focus: bool) -> None:
        """Handle a change of the terminal's focus, which arrives as a key."""
        self._is_away = self._is_leaving = not has_focus
        self._notifier.focus_changed(has_focus)

    def key_begins(self) -> None:
        """Record activity; called with each key, before its handler."""
        self._notifier.active()

    def key_pressed(self) -> None:
        """Mark what is visible as read; called after the handler of each key."""
        if self._is_leaving:  # this "key" was the loss of focus itself
            self._is_leaving = False
            return
        if self._is_away:  # a key proves the focus, whatever the terminal reported
            self.focus_changed(True)
        self.mark_seen()

    def is_watched(self, chat: str | None) -> bool:
        """Whether a chat is the open one, and the user is watching."""
        current = self._workspace.current
        return chat is not None and chat == current and self._notifier.is_watched(chat)

    def mark_seen(self) -> None:
        """Move the cursor to the newest entry that is fully visible.

        Does nothing while the timeline is covered.
        """
        link = self._workspace.link
        chat = link.model.chats.get(self._timeline.address or "")
        if chat is None or self._is_covered():
            return
        seq = self._timeline.newest_visible_seq
        if seq is not None and seq > chat.read:
            link.mark_read(chat.address, seq)
