"""The subscribers of a link: callbacks, event streams and inboxes."""

import logging
from collections.abc import Awaitable, Callable
from typing import Any

from chatd.protocol.messages import Request, ServerMessage
from client.link.reconnect import LinkState
from client.link.streams import EventStream, Inbox
from client.model.changes import Change
from client.model.model import Model

logger = logging.getLogger(__name__)

Event = Change | LinkState


class Subscribers:
    """Passes changes and states on to all subscribers.

    Args:
        on_change: Called with each change.
        on_state: Called with each state.
    """

    def __init__(
        self,
        on_change: Callable[[Change], None] | None,
        on_state: Callable[[LinkState], None] | None,
    ) -> None:
        self._on_change = on_change
        self._on_state = on_state
        self._streams: list[EventStream[Event]] = []
        self._inboxes: list[Inbox] = []

    def events(self) -> EventStream[Event]:
        """Return an iterator over all changes and states from now on."""
        stream: EventStream[Event] = EventStream()
        self._streams.append(stream)
        return stream

    def messages(
        self,
        model: Model,
        request: Callable[[Request], Awaitable[ServerMessage]],
        *,
        include_own: bool,
        include_events: bool,
    ) -> Inbox:
        """Return an iterator over entries; see ``client.link.streams.Inbox``."""
        inbox = Inbox(
            model, request, include_own=include_own, include_events=include_events
        )
        self._inboxes.append(inbox)
        return inbox

    def publish_change(self, change: Change) -> None:
        """Pass on a change that the model shows already."""
        if self._on_change is not None:
            _call(self._on_change, change)
        self._push(change)
        for inbox in self._inboxes:
            inbox.push(change)

    def publish_state(self, state: LinkState) -> None:
        """Pass on a state; ``stopped`` ends the iterators, with its error."""
        if self._on_state is not None:
            _call(self._on_state, state)
        self._push(state)
        if state.name == "stopped":
            for stream in self._streams:
                stream.end(state.error)
            for inbox in self._inboxes:
                inbox.end(state.error)
            self._streams.clear()
            self._inboxes.clear()

    def _push(self, event: Event) -> None:
        for stream in self._streams:
            stream.push(event)
        self._streams = [stream for stream in self._streams if not stream.has_ended]


def _call(listener: Callable[[Any], None], event: Event) -> None:
    try:
        listener(event)
    except Exception:
        # A frontend that fails to draw must not take the connection down with it.
        logger.exception("a subscriber of the link failed")
