"""Decoy verifiers for unknown users (chatd.accounts.decoy)."""

from collections import Counter

from chatd.accounts.decoy import make_decoy

SECRET = b"s" * 32


def test_a_name_always_gets_the_same_verifier() -> None:
    counts = {4096: 10, 600_000: 30}
    assert make_decoy(SECRET, "eve", counts, 4096) == make_decoy(
        SECRET, "eve", counts, 4096
    )


def test_names_and_tables_have_salts_of_their_own() -> None:
    salts = {
        make_decoy(secret, name, {}, 4096).salt
        for secret in (SECRET, b"t" * 32)
        for name in ("eve", "mallory")
    }
    assert len(salts) == 4


def test_an_empty_table_gives_the_configured_iterations() -> None:
    assert make_decoy(SECRET, "eve", {4096: 0}, 600_000).iterations == 600_000


def test_a_table_with_one_count_gives_that_one() -> None:
    assert make_decoy(SECRET, "eve", {4096: 3}, 600_000).iterations == 4096


def test_counts_come_in_the_proportion_of_the_users() -> None:
    counts = {4096: 100, 600_000: 300}
    chosen = Counter(
        make_decoy(SECRET, f"name{number}", counts, 1).iterations
        for number in range(2000)
    )
    assert 400 < chosen[4096] < 600


def test_one_more_user_changes_the_count_of_few_names() -> None:
    names = [f"name{number}" for number in range(1000)]
    before = [make_decoy(SECRET, name, {4096: 50, 8192: 50}, 1) for name in names]
    after = [make_decoy(SECRET, name, {4096: 50, 8192: 51}, 1) for name in names]
    changed = [
        (one, other) for one, other in zip(before, after, strict=True) if one != other
    ]
    assert len(changed) < 20
    assert all(one.salt != other.salt for one, other in changed)
