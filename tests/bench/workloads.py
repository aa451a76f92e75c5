"""The chat workloads (pairs, a room, latency) between users who are all connected.

Every run ends by waiting for all that was sent, and the counts must be exact: one
delivery for each message and receiver, and one confirmation for each message where the
server confirms; nothing lost, nothing duplicated.
"""

import time
from collections import deque
from collections.abc import Callable, Sequence

from tests.bench.load import Connection, Poller, Supply
from tests.bench.process import BenchError
from tests.bench.results import WARM_UP_SHARE, Meter, Result, percentile
from tests.bench.target import Target, close_all

# How many messages are prepared for each second, in total; a faster server ends its run
# sooner. It bounds memory and the time that preparing takes.
PAIRS_PREPARED = 250_000
ROOM_PREPARED = 100_000


class Sender:
    """A connection that sends from its supply."""

    def __init__(self, target: Target, connection: Connection, supply: Supply) -> None:
        self.connection = connection
        self.supply = supply
        self.sent = 0
        needles = [target.delivery]
        if target.confirmation is not None:
            needles.append(target.confirmation)
        connection.watch(*needles, forbidden=target.refusal)

    def send(self, count: int) -> None:
        """Send the next messages, or as many as are left."""
        chunk = self.supply.take(count)
        self.sent += self.supply.frames_in(chunk)
        self.connection.write(chunk)

    @property
    def confirmed(self) -> int:
        """How many were confirmed; all of them where the server confirms nothing."""
        counts = self.connection.counts
        return counts[1] if len(counts) > 1 else self.sent

    @property
    def received(self) -> int:
        """How many messages came to the sender, its own among them where it echoes."""
        return self.connection.counts[0]


class Pair:
    """A sender, and the partner whose receipts open its window."""

    def __init__(self, target: Target, sender: Sender, partner: Connection) -> None:
        self.sender = sender
        self.partner = partner
        partner.watch(target.delivery)

    @property
    def delivered(self) -> int:
        """How many have reached the partner."""
        return self.partner.counts[0]


def run_pairs(target: Target, count: int, window: int, seconds: float) -> Result:
    """Run ``count`` senders, each to its partner with ``window`` undelivered."""
    pairs = _make_pairs(target, count, int(seconds * PAIRS_PREPARED / count) + window)
    connections = _connections(pairs)
    poller = Poller(connections)
    for pair in pairs:
        pair.partner.on_receipt = _refilling(pair, window)
        pair.sender.send(window)
    meter = Meter(
        target.process, lambda: sum(pair.delivered for pair in pairs), seconds
    )
    while meter.goes_on() and all(pair.sender.supply.left for pair in pairs):
        poller.step()
    rates = meter.stop()
    for pair in pairs:
        pair.partner.on_receipt = None
    _finish_pairs(target, poller, pairs)
    close_all(connections)
    return Result(f"pairs W={window}", target.label, rates)


def run_latency(target: Target, count: int, rate: int, seconds: float) -> Result:
    """Send ``rate`` messages a second in total, evenly, and time each to its receipt.

    Times count from when a message was due, so delays of the sender count too.
    """
    total = max(count, int(rate * seconds))
    pairs = _make_pairs(target, count, total // count + 1)
    connections = _connections(pairs)
    poller = Poller(connections)
    latencies: list[float] = []
    dues: list[deque[float]] = [deque() for _ in pairs]
    for pair, due in zip(pairs, dues, strict=True):
        pair.partner.on_receipt = _timing(pair, due, latencies)
    start = time.perf_counter() + 0.01
    number = 0
    while number < total:
        due_at = start + number / rate
        if time.perf_counter() >= due_at:
            dues[number % count].append(due_at)
            pairs[number % count].sender.send(1)
            number += 1
        poller.once(0)
    _finish_pairs(target, poller, pairs)
    close_all(connections)
    ordered = sorted(latencies[int(len(latencies) * WARM_UP_SHARE) :])
    figures = {
        "p50_ms": percentile(ordered, 0.50) * 1_000,
        "p99_ms": percentile(ordered, 0.99) * 1_000,
    }
    return Result(f"latency at {rate:,}/s", target.label, figures)


def run_room(
    target: Target, members: int, senders: int, window: int, seconds: float
) -> Result:
    """Run ``senders`` members of a room, each with ``window`` undelivered.

    A message is delivered when the last receiver has it. Deliveries to others than its
    sender are counted, as the servers compared differ in sending it back.
    """
    connections = [target.log_in(number) for number in range(members)]
    address = target.make_room(connections)
    target.settle(connections)
    prepared = int(seconds * ROOM_PREPARED / senders) + window
    writing = [
        Sender(target, connection, target.supply(address, prepared))
        for connection in connections[:senders]
    ]
    listening = connections[senders:]
    for listener in listening:
        listener.watch(target.delivery)

    def slowest() -> int:
        return min(listener.counts[0] for listener in listening)

    poller = Poller(connections)
    meter = Meter(target.process, slowest, seconds)
    while meter.goes_on() and all(sender.supply.left for sender in writing):
        under_way = sum(sender.sent for sender in writing) - slowest()
        if (space := window - -(-under_way // senders)) > 0:
            for sender in writing:
                sender.send(space)
        poller.step()
    rates = meter.stop(factor=members - 1)
    _finish_room(target, poller, writing, listening)
    close_all(connections)
    return Result("room", target.label, rates)


def _make_pairs(target: Target, count: int, prepared: int) -> list[Pair]:
    connections = [target.log_in(number) for number in range(2 * count)]
    target.settle(connections)
    pairs = []
    for number in range(count):
        supply = target.supply(target.address(count + number), prepared)
        sender = Sender(target, connections[number], supply)
        pairs.append(Pair(target, sender, connections[count + number]))
    return pairs


def _connections(pairs: Sequence[Pair]) -> list[Connection]:
    connections = [pair.sender.connection for pair in pairs]
    return connections + [pair.partner for pair in pairs]


def _refilling(pair: Pair, window: int) -> Callable[[], None]:
    sender, counts = pair.sender, pair.partner.counts

    def refill() -> None:
        space = window - sender.sent + counts[0]
        if space > 0:
            sender.send(space)

    return refill


def _timing(
    pair: Pair, due: deque[float], latencies: list[float]
) -> Callable[[], None]:
    counts = pair.partner.counts
    seen = 0

    def note() -> None:
        nonlocal seen
        now = time.perf_counter()
        latencies.extend(now - due.popleft() for _ in range(counts[0] - seen))
        seen = counts[0]

    return note


def _finish_pairs(target: Target, poller: Poller, pairs: Sequence[Pair]) -> None:
    def is_done() -> bool:
        return all(
            pair.delivered >= pair.sender.sent
            and pair.sender.confirmed >= pair.sender.sent
            for pair in pairs
        )

    poller.until(is_done, "the last messages")
    poller.close()
    target.settle(_connections(pairs))
    for pair in pairs:
        sent = pair.sender.sent
        _check("delivered", pair.delivered, sent)
        _check("confirmed", pair.sender.confirmed, sent)
        _check("echoed", pair.sender.received, sent if target.echoes else 0)


def _finish_room(
    target: Target,
    poller: Poller,
    writing: Sequence[Sender],
    listening: Sequence[Connection],
) -> None:
    total = sum(sender.sent for sender in writing)

    def is_done() -> bool:
        return all(listener.counts[0] >= total for listener in listening) and all(
            sender.confirmed >= sender.sent for sender in writing
        )

    poller.until(is_done, "the last messages")
    poller.close()
    target.settle([*[sender.connection for sender in writing], *listening])
    for listener in listening:
        _check("delivered", listener.counts[0], total)
    for sender in writing:
        _check("confirmed", sender.confirmed, sender.sent)
        expected = total if target.echoes else total - sender.sent
        _check("delivered to a sender", sender.received, expected)


def _check(what: str, count: int, expected: int) -> None:
    if count != expected:
        raise BenchError(f"of {expected} messages {count} were {what}")
