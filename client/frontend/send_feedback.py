"""Feedback on the user's own messages: sent, waiting or refused, each reported once.

A message that is confirmed within a moment is shown like any other line. One that is
not is shown as ``(waiting)``; that it was sent later, or refused, is reported in a line
of its own, since lines above the prompt cannot be changed any more.
"""

from collections.abc import Callable
from typing import Protocol

from client.commands.workspace import Workspace
from client.model.entries import Entry, OutboxItem
from client.text.entries import excerpt

PATIENCE_SECONDS = 0.3
GATHER_SECONDS = 0.2


class Timer(Protocol):
    """A scheduled call."""

    def cancel(self) -> None:
        """Cancel the call."""


Later = Callable[[float, Callable[[], None]], Timer]
"""Schedules a call after some seconds, as ``loop.call_later`` does."""


class SendFeedback:
    """Shows the user's own messages and their outcome.

    Online, a new item is held back for a moment in the hope of its confirmation.

    Args:
        workspace: Where they are shown.
        later: Schedules calls.
    """

    def __init__(self, workspace: Workspace, later: Later) -> None:
        self._workspace = workspace
        self._later = later
        # Not shown yet: may be confirmed within PATIENCE_SECONDS.
        self._held_back: dict[int, tuple[OutboxItem, Timer]] = {}
        # Shown as waiting.
        self._waiting: dict[int, OutboxItem] = {}
        # Chat and seq of entries that need not be shown when they arrive: the item was.
        self._shown: set[tuple[str, int]] = set()
        # Confirmed after they were shown as waiting; reported together.
        self._confirmed: list[OutboxItem] = []

    def adopt(self, item: OutboxItem) -> None:
        """Adopt an item of an earlier run: only its outcome is reported."""
        if item.state == "waiting":
            self._waiting[item.id] = item

    def shown(self, item: OutboxItem) -> None:
        """Record that the caller has shown an item as waiting."""
        self._take(item.id)
        self.adopt(item)

    def item_changed(self, item: OutboxItem, is_discarded: bool) -> None:
        """Handle a change of an outbox item; show it or its outcome where due."""
        if is_discarded:
            self._take(item.id)
        elif item.state == "waiting":
            self._wait(item)
        elif item.state == "sent":
            self._confirm(item)
        else:
            self._refuse(item)

    def is_shown_already(self, entry: Entry) -> bool:
        """Whether an entry that arrived is the user's own and was shown already.

        An entry may arrive before its confirmation. The oldest item that was not shown
        yet and has the same chat, kind and text is then taken to be this entry: the
        item is dropped, and the entry is to be shown in its place.
        """
        place = (entry.chat, entry.seq)
        if place in self._shown:
            self._shown.discard(place)
            return True
        if entry.sender != self._workspace.model.me or not entry.is_message:
            return False
        for item_id, (item, _) in self._held_back.items():
            if _is_same(item, entry):
                self._take(item_id)
                return False
        return any(_is_same(item, entry) for item in self._waiting.values())

    def _wait(self, item: OutboxItem) -> None:
        if item.id in self._waiting:
            if item.reason and item.reason != self._waiting[item.id].reason:
                self._workspace.say(f'"{excerpt(item.text)}" waits: {item.reason}')
            self._waiting[item.id] = item
        elif item.id in self._held_back:
            if item.reason:
                self._show_waiting(item)
        elif self._workspace.is_online:
            timer = self._later(PATIENCE_SECONDS, lambda: self._lose_patience(item.id))
            self._held_back[item.id] = (item, timer)
        else:
            self._show_waiting(item)

    def _lose_patience(self, item_id: int) -> None:
        if item_id in self._held_back:
            self._show_waiting(self._held_back[item_id][0])

    def _show_waiting(self, item: OutboxItem) -> None:
        self._take(item.id)
        self._waiting[item.id] = item
        self._workspace.frontend.show(self._workspace.lines_of_item(item))

    def _confirm(self, item: OutboxItem) -> None:
        place = (item.chat, item.seq or 0)
        if item.id in self._waiting:
            self._shown.add(place)
            if not self._confirmed:
                self._later(GATHER_SECONDS, self._say_confirmed)
            self._confirmed.append(item)
        elif item.id in self._held_back:
            self._shown.add(place)
            self._workspace.frontend.show(self._workspace.lines_of_item(item))
        self._take(item.id)

    def _say_confirmed(self) -> None:
        items, self._confirmed = self._confirmed, []
        if len(items) == 1:
            self._workspace.say(f'sent: "{excerpt(items[0].text)}"')
        else:
            self._workspace.say(f"sent: {len(items)} messages that were waiting")

    def _refuse(self, item: OutboxItem) -> None:
        was_shown = item.id in self._waiting
        self._take(item.id)
        if not was_shown:
            self._workspace.frontend.show(self._workspace.lines_of_item(item))
        else:
            reason = item.reason or "the server refused it"
            self._workspace.fail(f'"{excerpt(item.text)}" was not sent: {reason}')
        self._workspace.say("/retry sends it again, /discard throws it away")

    def _take(self, item_id: int) -> None:
        _, timer = self._held_back.pop(item_id, (None, None))
        if timer is not None:
            timer.cancel()
        self._waiting.pop(item_id, None)


def _is_same(item: OutboxItem, entry: Entry) -> bool:
    return (item.chat, item.kind, item.text) == (entry.chat, entry.kind, entry.text)
