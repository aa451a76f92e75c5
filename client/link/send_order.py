"""Send order of the outbox, sans I/O: items are never reordered within a chat.

Each chat is a lane. Items of a lane are sent in order and pipelined; a temporary
refusal stalls the lane until everything that was in flight behind it is answered, for
the server refuses that as out of order until the refused item comes again. Then the
lane resumes with its first item alone, and at full speed once that was accepted.
"""

from collections.abc import Iterator
from itertools import islice

from chatd.protocol.errors import ChatError, OutOfOrderError, TemporaryError
from client.model.entries import OutboxItem

FIRST_DELAY_SECONDS = 0.5
MAX_DELAY_SECONDS = 30.0


class _Lane:
    def __init__(self) -> None:
        self.items: dict[int, OutboxItem] = {}
        self.in_flight: set[int] = set()
        self.is_stalled = False
        self.is_probing = False
        self.resume_at = 0.0
        self.failures = 0

    def due(self, now: float) -> Iterator[OutboxItem]:
        if self.is_stalled:
            if self.in_flight or now < self.resume_at:
                return
            self.is_stalled = False
            self.is_probing = True
        for item in islice(self.items.values(), 1 if self.is_probing else None):
            if item.id not in self.in_flight:
                yield item


class SendOrder:
    """Decides which items of the outbox are sent, and when.

    Args:
        max_in_flight: How many unanswered items there may be at once.
    """

    def __init__(self, max_in_flight: int = 64) -> None:
        self.max_in_flight = max_in_flight
        self._lanes: dict[str, _Lane] = {}
        self._in_flight = 0

    def add(self, item: OutboxItem) -> None:
        """Queue an item behind those of its chat."""
        self._lanes.setdefault(item.chat, _Lane()).items[item.id] = item

    def discard(self, item: OutboxItem) -> bool:
        """Drop an item; return whether it was waiting here.

        One that is in flight may be on the server already.
        """
        lane = self._lanes.get(item.chat)
        if lane is None:
            return False
        self._land(lane, item)
        return lane.items.pop(item.id, None) is not None

    def disconnect(self) -> None:
        """Forget what was in flight: it is all to be sent again, in order."""
        for lane in self._lanes.values():
            lane.in_flight.clear()
            lane.is_stalled = lane.is_probing = False
            lane.resume_at, lane.failures = 0.0, 0
        self._in_flight = 0

    def due(self, now: float) -> list[OutboxItem]:
        """Return the items to send now, in order, and count them as in flight."""
        found: list[OutboxItem] = []
        for lane in self._lanes.values():
            space = self.max_in_flight - self._in_flight
            batch = list(islice(lane.due(now), max(0, space)))
            lane.in_flight |= {item.id for item in batch}
            self._in_flight += len(batch)
            found += batch
        return found

    def next_time(self) -> float | None:
        """Return when a stalled lane may resume, None if none is waiting to."""
        times = [
            lane.resume_at
            for lane in self._lanes.values()
            if lane.is_stalled and lane.items and not lane.in_flight
        ]
        return min(times, default=None)

    def answer(self, item: OutboxItem, error: ChatError | None, now: float) -> bool:
        """Handle the server's answer; return whether the item is done with.

        Args:
            item: What was answered.
            error: None if it was sent.
            now: The time of the clock that ``due`` is given.
        """
        lane = self._lanes.get(item.chat)
        if lane is None:
            return True
        self._land(lane, item)
        if isinstance(error, TemporaryError):
            self._stall(lane, error, now)
            return False
        lane.items.pop(item.id, None)
        if not lane.is_stalled:
            lane.is_probing = False
            lane.failures = 0
        if not lane.items and not lane.in_flight:
            del self._lanes[item.chat]
        return True

    def _stall(self, lane: _Lane, error: TemporaryError, now: float) -> None:
        if lane.is_stalled and isinstance(error, OutOfOrderError):
            return  # a consequence of the refusal that stalled the lane
        delay = min(FIRST_DELAY_SECONDS * 2.0**lane.failures, MAX_DELAY_SECONDS)
        if error.retry_after_ms is not None:
            delay = error.retry_after_ms / 1_000
        lane.failures = min(lane.failures + 1, 10)
        lane.is_stalled = True
        lane.resume_at = max(lane.resume_at, now + delay)

    def _land(self, lane: _Lane, item: OutboxItem) -> None:
        if item.id in lane.in_flight:
            lane.in_flight.discard(item.id)
            self._in_flight -= 1
