"""Device tokens (chatd.accounts.tokens): issued, revoked, listed and bounded."""

import pytest

from chatd.accounts.tokens import MAX_PER_USER, USED_EVERY_MS, Tokens, token_id_of
from tests.unit.chatd.accounts.fakes import Clock, MemoryRecordStore

EPOCH = b"e" * 12


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def records() -> MemoryRecordStore:
    return MemoryRecordStore()


@pytest.fixture
def tokens(records: MemoryRecordStore, clock: Clock) -> Tokens:
    return Tokens(records, clock)


async def test_a_token_tells_its_user(tokens: Tokens) -> None:
    text = await tokens.issue("alice", EPOCH, "laptop", "chat 0.1.0")
    assert await tokens.check(text) == ("alice", EPOCH)


@pytest.mark.parametrize("user", ["a", "x.y-z_1", "李" * 32, "𝓪" * 32, "a." * 16])
async def test_any_user_name_fits_into_a_token(tokens: Tokens, user: str) -> None:
    text = await tokens.issue(user, EPOCH, "", "")
    assert len(text) <= 256
    assert await tokens.check(text) == (user, EPOCH)


async def test_what_is_kept_does_not_hold_the_secret(
    tokens: Tokens, records: MemoryRecordStore
) -> None:
    text = await tokens.issue("alice", EPOCH, "", "")
    secret = text.rpartition(".")[2].encode()
    assert all(secret not in value for value in records.values.values())


async def test_a_token_of_another_spelling_is_none(tokens: Tokens) -> None:
    text = await tokens.issue("alice", EPOCH, "", "")
    other = await tokens.issue("alice", EPOCH, "", "")
    head, _, secret = text.rpartition(".")
    wrong = [
        "",
        "..",
        "alice",
        head,
        head + ".",
        text + "A",
        text.replace("alice", "bob"),
        head + "." + other.rpartition(".")[2],
        head + "." + "é" * 43,
        "alice/x." + secret,
        text + "\n",
    ]
    assert [await tokens.check(each) for each in wrong] == [None] * len(wrong)


async def test_a_revoked_token_is_none(tokens: Tokens) -> None:
    text = await tokens.issue("alice", EPOCH, "", "")
    token_id = token_id_of(text)
    assert token_id is not None
    assert await tokens.revoke("alice", token_id)
    assert not await tokens.revoke("alice", token_id)
    assert await tokens.check(text) is None


async def test_revoking_all_spares_the_one_to_keep_and_other_users(
    tokens: Tokens,
) -> None:
    texts = [await tokens.issue("alice", EPOCH, "", "") for _ in range(3)]
    # A name that begins with another one must not be revoked with it.
    other = await tokens.issue("alice2", EPOCH, "", "")
    await tokens.revoke_all("alice", keep=token_id_of(texts[1]))
    found = [await tokens.check(text) is not None for text in [*texts, other]]
    assert found == [False, True, False, True]


async def test_logins_are_listed_with_device_client_and_times(
    tokens: Tokens, clock: Clock
) -> None:
    started = clock()
    text = await tokens.issue("alice", EPOCH, "laptop", "chat 0.1.0")
    clock.advance(5)
    await tokens.issue("alice", EPOCH, "phone", "bot")
    first, second = await tokens.logins_of("alice")
    assert (first.id, first.device, first.client) == (
        token_id_of(text),
        "laptop",
        "chat 0.1.0",
    )
    assert (first.created, first.used, second.created) == (
        started,
        started,
        started + 5,
    )


async def test_use_is_noted_once_a_day(
    tokens: Tokens, records: MemoryRecordStore, clock: Clock
) -> None:
    text = await tokens.issue("alice", EPOCH, "", "")
    records.writes = 0
    for _ in range(3):
        clock.advance(USED_EVERY_MS // 2)
        await tokens.check(text)
        await tokens.close()
    assert records.writes == 1
    (login,) = await tokens.logins_of("alice")
    assert login.used - login.created == USED_EVERY_MS


async def test_a_full_disk_lets_tokens_log_in(
    tokens: Tokens, records: MemoryRecordStore, clock: Clock
) -> None:
    text = await tokens.issue("alice", EPOCH, "", "")
    records.full = True
    clock.advance(USED_EVERY_MS)
    assert await tokens.check(text) == ("alice", EPOCH)
    await tokens.close()


async def test_the_least_recently_used_of_too_many_tokens_ends(
    tokens: Tokens, clock: Clock
) -> None:
    texts = []
    for _ in range(MAX_PER_USER + 1):
        texts.append(await tokens.issue("alice", EPOCH, "", ""))
        clock.advance(1)
    assert await tokens.check(texts[0]) is None
    assert await tokens.check(texts[1]) is not None
    assert len(await tokens.logins_of("alice")) == MAX_PER_USER
