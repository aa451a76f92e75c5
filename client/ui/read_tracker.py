"""Who looks on: what somebody has seen is read, and need not ring."""

from collections.abc import Callable

from client.commands.workspace import Workspace
from client.notify.notifier import Notifier
from client.ui.timeline.timeline import Timeline


class ReadTracker:
    """Knows whether somebody looks, and marks what they see as read.

    Args:
        workspace: Whose chats they are.
        timeline: Where they look.
        notifier: Is told who looks on.
        is_covered: Whether something lies over the timeline.
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
        """Take in that the terminal got or lost the focus, which it says as a key."""
        self._is_away = self._is_leaving = not has_focus
        self._notifier.focus_changed(has_focus)

    def key_begins(self) -> None:
        """Take in that somebody presses a key, before it does anything."""
        self._notifier.active()

    def key_pressed(self) -> None:
        """Take in that a key has done what it does: they see what there is now."""
        if self._is_leaving:
            self._is_leaving = False
            return
        if self._is_away:  # not any more, whatever the terminal says
            self.focus_changed(True)
        self.mark_seen()

    def is_watched(self, chat: str | None) -> bool:
        """Whether a chat is open, and somebody is looking."""
        current = self._workspace.current
        return chat is not None and chat == current and self._notifier.is_watched(chat)

    def mark_seen(self) -> None:
        """Move the cursor to what can be seen of the chat in the timeline."""
        link = self._workspace.link
        chat = link.model.chats.get(self._timeline.address or "")
        if chat is None or self._is_covered():
            return
        seq = self._timeline.newest_visible_seq
        if seq is not None and seq > chat.read:
            link.mark_read(chat.address, seq)
