"""Login throttling: failed logins cost a growing delay per account and address.

The rules, for guessers and for the owner whom they must not lock out:

- A pair of account and address has 3 failures free; from the 4th on it waits after each
  failure: 1 s, 2 s, 4 s … up to 60 s, or up to 10 s once that pair has logged in.
- An account that fails from many addresses (10 failures free) makes a further address
  wait up to 5 s, but only once: after that wait it may try, whatever others do
  meanwhile. So a crowd of guessers delays the owner by 5 s, anywhere.
- An address that fails on many accounts (50 failures free) waits up to 10 s.
- A pair that has logged in before is exempt from the last two.
- An attempt while waiting is refused before any work, and does not lengthen the wait.
- 15 minutes without failure forgive everything.

Pure: time is passed in. Tables are bounded; the least recently used entries go first.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from ipaddress import IPv6Address
from typing import TypeVar

from chatd.protocol.errors import RateLimitedError

PAIR_FREE = 3
PAIR_CAP_MS = 60_000
TRUSTED_CAP_MS = 10_000
ACCOUNT_FREE = 10
ACCOUNT_CAP_MS = 5_000
ADDRESS_FREE = 50
ADDRESS_CAP_MS = 10_000
FORGET_MS = 15 * 60_000
FIRST_DELAY_MS = 1_000
MAX_ENTRIES = 20_000

# An account's name and a network.
Pair = tuple[str, str]

_Key = TypeVar("_Key", bound=Hashable)
_Value = TypeVar("_Value")


class _Bounded(OrderedDict[_Key, _Value]):
    """A mapping that forgets the entries least recently put into it."""

    def __init__(self, capacity: int) -> None:
        super().__init__()
        self._capacity = capacity

    def put(self, key: _Key, value: _Value) -> None:
        self[key] = value
        self.move_to_end(key)
        if len(self) > self._capacity:
            self.popitem(last=False)


class _Counts(_Bounded[_Key, tuple[int, int]]):
    """Failures by key, as (how many, when the last one was)."""

    def add(self, key: _Key, now_ms: int) -> None:
        count, last_ms = self.get(key, (0, 0))
        if now_ms - last_ms > FORGET_MS:
            count = 0
        self.put(key, (count + 1, now_ms))

    def wait_ms(self, key: _Key, now_ms: int, free: int, cap_ms: int) -> int:
        count, last_ms = self.get(key, (0, 0))
        if count <= free:
            return 0
        delay_ms = min(cap_ms, FIRST_DELAY_MS << min(count - free - 1, 10))
        return max(0, last_ms + delay_ms - now_ms)


class Throttle:
    """Counts failed logins and decides which logins have to wait.

    Args:
        ticks: Returns milliseconds that never step back.
        max_entries: The bound on each of its tables.
    """

    def __init__(
        self, ticks: Callable[[], int], max_entries: int = MAX_ENTRIES
    ) -> None:
        self._ticks = ticks
        self._pairs: _Counts[Pair] = _Counts(max_entries)
        self._accounts: _Counts[str] = _Counts(max_entries)
        self._addresses: _Counts[str] = _Counts(max_entries)
        self._trusted: _Bounded[Pair, None] = _Bounded(max_entries)
        # When a pair that has to wait because of its account may try.
        self._turns: _Bounded[Pair, int] = _Bounded(max_entries)

    def check(self, account: str, address: str | None) -> None:
        """Refuse a login attempt that comes too early.

        Call it before the work, and again before its result is reported: otherwise many
        attempts begun at once would be as many free guesses.

        Args:
            account: The canonical name, whether or not there is such an account.
            address: An IP address; None for a Unix socket.

        Raises:
            RateLimitedError: It has to wait for ``retry_after_ms``.
        """
        wait_ms = self._wait_ms((account, network_of(address)))
        if wait_ms > 0:
            raise RateLimitedError(
                f"too many failed logins: try again in {(wait_ms + 999) // 1000} s",
                wait_ms,
            )

    def failed(self, account: str, address: str | None) -> None:
        """Count a failed login."""
        now_ms = self._ticks()
        pair = (account, network_of(address))
        self._turns.pop(pair, None)
        self._pairs.add(pair, now_ms)
        self._accounts.add(account, now_ms)
        self._addresses.add(pair[1], now_ms)

    def succeeded(self, account: str, address: str | None) -> None:
        """Forget the failures of the pair, and trust it from now on.

        The address's failures are kept, or guessers would log in to accounts of their
        own to clear them; the account's are those of others than its owner.
        """
        pair = (account, network_of(address))
        self._turns.pop(pair, None)
        self._pairs.pop(pair, None)
        self._trusted.put(pair, None)

    def _wait_ms(self, pair: Pair) -> int:
        now_ms = self._ticks()
        if pair in self._trusted:
            return self._pairs.wait_ms(pair, now_ms, PAIR_FREE, TRUSTED_CAP_MS)
        return max(
            self._pairs.wait_ms(pair, now_ms, PAIR_FREE, PAIR_CAP_MS),
            self._addresses.wait_ms(pair[1], now_ms, ADDRESS_FREE, ADDRESS_CAP_MS),
            self._account_wait_ms(pair, now_ms),
        )

    def _account_wait_ms(self, pair: Pair, now_ms: int) -> int:
        wait_ms = self._accounts.wait_ms(pair[0], now_ms, ACCOUNT_FREE, ACCOUNT_CAP_MS)
        if wait_ms == 0:
            return 0
        turn_ms = self._turns.get(pair)
        if turn_ms is None or now_ms - turn_ms > FORGET_MS:
            turn_ms = now_ms + wait_ms
            self._turns.put(pair, turn_ms)
        return max(0, turn_ms - now_ms)


def network_of(address: str | None) -> str:
    """Return what counts as one address: for IPv6 its /64, which one host may own."""
    if address is None:
        return "local"
    if ":" not in address:
        return address
    try:
        parsed = IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return parsed.packed[:8].hex()
