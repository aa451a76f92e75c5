"""Throttling of failed logins (chatd.accounts.throttle)."""

import pytest

from chatd.accounts.throttle import (
    ACCOUNT_FREE,
    ADDRESS_FREE,
    FORGET_MS,
    Throttle,
    network_of,
)
from chatd.protocol.errors import RateLimitedError
from tests.unit.chatd.accounts.fakes import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock(0)


@pytest.fixture
def throttle(clock: Clock) -> Throttle:
    return Throttle(clock, max_entries=100)


def wait_of(throttle: Throttle, account: str, address: str | None) -> int:
    try:
        throttle.check(account, address)
    except RateLimitedError as error:
        return error.retry_after_ms or 0
    return 0


def fail(throttle: Throttle, clock: Clock, times: int, address: str = "a") -> list[int]:
    """Fail again as soon as it is allowed; return the waits after each failure."""
    waits = []
    for _ in range(times):
        throttle.failed("alice", address)
        waits.append(wait_of(throttle, "alice", address))
        clock.advance(waits[-1])
    return waits


def test_the_fourth_failure_begins_a_wait_that_doubles_to_a_minute(
    throttle: Throttle, clock: Clock
) -> None:
    waits = fail(throttle, clock, 12)
    seconds = [0, 0, 0, 1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert waits == [second * 1000 for second in seconds]


def test_the_refusal_says_when_to_try_again(throttle: Throttle, clock: Clock) -> None:
    for _ in range(5):
        throttle.failed("alice", "a")
    clock.advance(500)
    with pytest.raises(RateLimitedError, match="in 2 s") as caught:
        throttle.check("alice", "a")
    assert caught.value.retry_after_ms == 1500


def test_other_accounts_and_addresses_do_not_wait(
    throttle: Throttle, clock: Clock
) -> None:
    for _ in range(8):
        throttle.failed("alice", "a")
    assert wait_of(throttle, "bob", "a") == 0
    assert wait_of(throttle, "alice", "b") == 0


def test_a_success_forgets_the_failures_of_the_pair(
    throttle: Throttle, clock: Clock
) -> None:
    fail(throttle, clock, 6)
    throttle.succeeded("alice", "a")
    assert fail(throttle, clock, 4) == [0, 0, 0, 1000]


def test_a_pair_that_has_logged_in_waits_ten_seconds_at_most(
    throttle: Throttle, clock: Clock
) -> None:
    throttle.succeeded("alice", "a")
    assert max(fail(throttle, clock, 12)) == 10_000


def test_failures_are_forgotten_after_a_quarter_of_an_hour(
    throttle: Throttle, clock: Clock
) -> None:
    fail(throttle, clock, 8)
    clock.advance(FORGET_MS + 1)
    assert fail(throttle, clock, 4) == [0, 0, 0, 1000]


def crowd(throttle: Throttle, clock: Clock, failures: int) -> None:
    for number in range(failures):
        throttle.failed("alice", f"guesser{number}")


def test_many_guessers_make_a_new_address_wait_five_seconds_at_most(
    throttle: Throttle, clock: Clock
) -> None:
    crowd(throttle, clock, ACCOUNT_FREE + 20)
    assert wait_of(throttle, "alice", "phone") == 5_000


def test_after_its_wait_an_address_may_try_whatever_guessers_do_meanwhile(
    throttle: Throttle, clock: Clock
) -> None:
    crowd(throttle, clock, ACCOUNT_FREE + 20)
    assert wait_of(throttle, "alice", "phone") == 5_000
    for _ in range(5):
        clock.advance(1_000)
        crowd(throttle, clock, 10)
    assert wait_of(throttle, "alice", "phone") == 0


def test_the_owner_at_a_known_address_does_not_wait_for_guessers(
    throttle: Throttle, clock: Clock
) -> None:
    throttle.succeeded("alice", "home")
    crowd(throttle, clock, ACCOUNT_FREE + 20)
    assert wait_of(throttle, "alice", "home") == 0


def test_an_address_that_tries_many_accounts_waits(
    throttle: Throttle, clock: Clock
) -> None:
    for number in range(ADDRESS_FREE + 20):
        throttle.failed(f"user{number}", "a")
    assert wait_of(throttle, "fresh", "a") == 10_000
    assert wait_of(throttle, "fresh", "b") == 0


def test_a_success_elsewhere_does_not_clear_an_address(
    throttle: Throttle, clock: Clock
) -> None:
    for number in range(ADDRESS_FREE + 20):
        throttle.failed(f"user{number}", "a")
    throttle.succeeded("mallory", "a")
    assert wait_of(throttle, "fresh", "a") == 10_000
    assert wait_of(throttle, "mallory", "a") == 0


def test_what_it_remembers_is_bounded(throttle: Throttle, clock: Clock) -> None:
    for number in range(1000):
        throttle.failed(f"user{number}", f"address{number}")
        throttle.succeeded(f"friend{number}", f"address{number}")
    tables = [
        table for name, table in vars(throttle).items() if hasattr(table, "move_to_end")
    ]
    assert len(tables) == 5
    assert max(len(table) for table in tables) == 100


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:10.0.0.1", "10.0.0.1", True),
        ("fe80::1%eth0", "fe80::2", True),
        ("10.0.0.1", "10.0.0.2", False),
        ("no:address", "no:address", True),
    ],
)
def test_an_ipv6_network_counts_as_one_address(
    one: str, other: str, same: bool
) -> None:
    assert (network_of(one) == network_of(other)) == same


def test_a_unix_socket_has_no_address(throttle: Throttle, clock: Clock) -> None:
    for _ in range(4):
        throttle.failed("alice", None)
    assert wait_of(throttle, "alice", None) == 1000
