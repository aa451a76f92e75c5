"""Invite codes (chatd.accounts.invites): uses, expiry and revocation."""

import asyncio

import pytest

from chatd.accounts.invites import Invites
from chatd.protocol.errors import BadInviteError, BadRequestError
from tests.unit.chatd.accounts.fakes import Clock, MemoryRecordStore


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def invites(clock: Clock) -> Invites:
    return Invites(MemoryRecordStore(), clock)


async def test_a_code_serves_as_often_as_it_says(invites: Invites) -> None:
    code = (await invites.create(2, None, "root")).code
    await invites.use(code, "alice")
    await invites.use(code, "bob")
    with pytest.raises(BadInviteError, match="used up"):
        await invites.use(code, "carol")
    assert [shown.used_by for shown in await invites.codes()] == [["alice", "bob"]]


async def test_of_many_at_once_a_code_lets_in_its_number(invites: Invites) -> None:
    code = (await invites.create(3, None, "root")).code
    outcomes = await asyncio.gather(
        *(invites.use(code, f"user{number}") for number in range(10)),
        return_exceptions=True,
    )
    assert outcomes.count(None) == 3


async def test_a_use_given_back_can_be_used_again(invites: Invites) -> None:
    code = (await invites.create(1, None, "root")).code
    await invites.use(code, "alice")
    await invites.undo_use(code, "alice")
    await invites.use(code, "bob")
    assert [shown.used_by for shown in await invites.codes()] == [["bob"]]


async def test_uses_without_account_are_given_back_at_the_start(
    invites: Invites,
) -> None:
    code = (await invites.create(3, None, "root")).code
    for name in ("alice", "bob", "bob"):
        await invites.use(code, name)
    await invites.recover({"alice"})
    assert [shown.used_by for shown in await invites.codes()] == [["alice"]]


async def test_an_expired_code_is_refused(invites: Invites, clock: Clock) -> None:
    code = (await invites.create(5, clock() + 1000, "root")).code
    clock.advance(999)
    await invites.use(code, "alice")
    clock.advance(1)
    with pytest.raises(BadInviteError, match="expired"):
        await invites.use(code, "bob")


async def test_a_revoked_code_is_refused(invites: Invites) -> None:
    code = (await invites.create(5, None, "root")).code
    assert await invites.revoke(code)
    assert not await invites.revoke(code)
    with pytest.raises(BadInviteError, match="no such"):
        await invites.use(code, "alice")


@pytest.mark.parametrize("code", ["", "x", "a" * 20, "0" * 20, "é" * 20, "a" * 256])
async def test_what_is_no_code_is_refused(invites: Invites, code: str) -> None:
    with pytest.raises(BadInviteError, match="no such"):
        await invites.use(code, "alice")


async def test_a_code_may_be_typed_in_capitals(invites: Invites) -> None:
    code = (await invites.create(1, None, "root")).code
    await invites.use(f" {code.upper()} ", "alice")
    assert [shown.used_by for shown in await invites.codes()] == [["alice"]]


@pytest.mark.parametrize(("uses", "expires"), [(0, None), (1001, None), (1, 1000)])
async def test_a_code_that_could_not_serve_is_not_made(
    invites: Invites, uses: int, expires: int | None
) -> None:
    with pytest.raises(BadRequestError):
        await invites.create(uses, expires, "root")


async def test_a_code_tells_who_made_it(invites: Invites, clock: Clock) -> None:
    made = await invites.create(2, clock() + 5, "root")
    assert await invites.codes() == [made]
    assert (made.by, made.created, made.expires) == ("root", clock(), clock() + 5)
