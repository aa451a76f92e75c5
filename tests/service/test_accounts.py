"""The accounts (chatd.accounts): table, passwords, logins, tokens and invite codes."""

import asyncio
import errno
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from scramp import ScramClient

from chatd.accounts.accounts import Accounts
from chatd.accounts.scram import MECHANISM, MECHANISM_PLUS, MIN_ITERATIONS
from chatd.accounts.settings import AccountSettings
from chatd.accounts.tokens import token_id_of
from chatd.accounts.user_table import DamagedTableError
from chatd.protocol.errors import (
    AuthFailedError,
    BadInviteError,
    BadNameError,
    BadRequestError,
    ChatError,
    NameTakenError,
    NoSuchUserError,
    RateLimitedError,
    RegistrationClosedError,
    ServerStoppingError,
    StorageFullError,
    WeakPasswordError,
)
from chatd.system.atomic_file import Step
from tests.unit.chatd.accounts.fakes import PASSWORD, Clock, MemoryRecordStore

QUICK = AccountSettings("open", MIN_ITERATIONS)
BY_INVITE = AccountSettings("invite", MIN_ITERATIONS)
HOME = "192.0.2.1"


class World:
    """A data folder, a store and clocks that outlive the accounts."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.records = MemoryRecordStore()
        self.clock = Clock()
        self.steady = Clock(0)

    async def open(self, settings: AccountSettings = QUICK) -> Accounts:
        return await Accounts.open(
            self.folder, self.records, settings, self.clock, self.steady
        )


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture
async def accounts(world: World) -> AsyncIterator[Accounts]:
    accounts = await world.open()
    yield accounts
    await accounts.close()


def scram(
    accounts: Accounts,
    user: str,
    password: str = PASSWORD,
    address: str | None = HOME,
) -> str:
    client = ScramClient([MECHANISM], user, password)
    login = accounts.start_scram(
        MECHANISM, client.get_client_first(), None, False, address
    )
    client.set_server_first(login.challenge)
    name, final = login.finish(client.get_client_final())
    client.set_server_final(final)
    return name


def salt_and_iterations(accounts: Accounts, user: str) -> str:
    login = accounts.start_scram(MECHANISM, f"n,,n={user},r=abc", None, False, HOME)
    return login.challenge.partition(",")[2]


# Registering ------------------------------------------------------------------------


async def test_a_registered_user_logs_in_by_every_mechanism(accounts: Accounts) -> None:
    assert await accounts.register("Alice", PASSWORD, None, HOME) == "alice"
    token = await accounts.issue_token("alice", "laptop", "chat 0.1.0")
    assert scram(accounts, "Alice") == "alice"
    assert await accounts.check_password("ALICE", PASSWORD, HOME) == "alice"
    assert await accounts.check_token(token, HOME) == "alice"


async def test_accounts_outlive_a_restart(world: World) -> None:
    accounts = await world.open()
    await accounts.register("alice", PASSWORD, None, HOME)
    token = await accounts.issue_token("alice", "", "")
    await accounts.close()
    accounts = await world.open()
    assert scram(accounts, "alice") == "alice"
    assert await accounts.check_token(token, HOME) == "alice"
    await accounts.close()


async def test_a_name_is_registered_once_whatever_its_case(accounts: Accounts) -> None:
    outcomes = await asyncio.gather(
        *(
            accounts.register(name, PASSWORD, None, HOME)
            for name in ("bob", "Bob", "BOB")
        ),
        return_exceptions=True,
    )
    assert sorted(type(outcome).__name__ for outcome in outcomes) == [
        "NameTakenError",
        "NameTakenError",
        "str",
    ]


@pytest.mark.parametrize(
    ("user", "password", "error"),
    [("a b", PASSWORD, BadNameError), ("alice", "short", WeakPasswordError)],
)
async def test_a_bad_name_or_password_is_refused(
    accounts: Accounts, user: str, password: str, error: type[ChatError]
) -> None:
    with pytest.raises(error):
        await accounts.register(user, password, None, HOME)
    assert accounts.names() == []


async def test_a_closed_server_takes_no_registrations_but_its_administrators(
    accounts: Accounts,
) -> None:
    accounts.reconfigure(AccountSettings("closed", MIN_ITERATIONS))
    with pytest.raises(RegistrationClosedError):
        await accounts.register("alice", PASSWORD, None, HOME)
    await accounts.add("alice", PASSWORD, "admin")
    assert accounts.role("alice") == "admin"


async def test_registering_by_invitation_needs_a_code(accounts: Accounts) -> None:
    accounts.reconfigure(BY_INVITE)
    for code in (None, "", "wrong"):
        with pytest.raises(BadInviteError):
            await accounts.register("alice", PASSWORD, code, HOME)
    code = (await accounts.create_invite(1, None, "root")).code
    assert await accounts.register("alice", PASSWORD, code, HOME) == "alice"
    with pytest.raises(BadInviteError, match="used up"):
        await accounts.register("bob", PASSWORD, code, HOME)


async def test_a_refused_registration_costs_no_invitation(world: World) -> None:
    accounts = await world.open(BY_INVITE)
    code = (await accounts.create_invite(2, None, "root")).code
    await accounts.register("alice", PASSWORD, code, HOME)
    outcomes = await asyncio.gather(
        accounts.register("alice", PASSWORD, code, HOME),
        accounts.register("bob", PASSWORD, code, HOME),
        accounts.register("Bob", PASSWORD, code, HOME),
        return_exceptions=True,
    )
    assert outcomes.count("bob") == 1
    (shown,) = await accounts.list_invites()
    assert shown.used_by == ["alice", "bob"]
    await accounts.close()


async def test_a_registration_that_a_kill_cut_off_costs_no_invitation(
    world: World,
) -> None:
    accounts = await world.open(BY_INVITE)
    code = (await accounts.create_invite(1, None, "root")).code
    # As after a kill between the two steps: the use is recorded, the account not.
    await accounts._invites.use(code, "alice")
    await accounts.close()
    accounts = await world.open(BY_INVITE)
    assert await accounts.register("bob", PASSWORD, code, HOME) == "bob"
    await accounts.close()


async def test_a_full_disk_does_not_keep_the_accounts_from_opening(
    world: World,
) -> None:
    accounts = await world.open(BY_INVITE)
    code = (await accounts.create_invite(1, None, "root")).code
    await accounts._invites.use(code, "alice")
    await accounts.close()
    world.records.full = True
    accounts = await world.open(BY_INVITE)
    assert [shown.used_by for shown in await accounts.list_invites()] == [["alice"]]
    await accounts.close()


async def test_a_client_that_hangs_up_while_registering_gets_what_it_asked_for(
    world: World,
) -> None:
    accounts = await world.open(BY_INVITE)
    code = (await accounts.create_invite(1, None, "root")).code
    task = asyncio.create_task(accounts.register("alice", PASSWORD, code, HOME))
    await asyncio.sleep(0)
    task.cancel()
    await accounts._tasks.settled()
    assert task.cancelled()
    assert accounts.names() == ["alice"]
    (shown,) = await accounts.list_invites()
    assert shown.used_by == ["alice"]
    await accounts.close()


async def test_a_full_disk_refuses_a_registration_and_gives_the_invitation_back(
    world: World,
) -> None:
    accounts = await world.open(BY_INVITE)
    code = (await accounts.create_invite(1, None, "root")).code

    def full(step: Step) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    good, accounts._table._before_step = accounts._table._before_step, full
    with pytest.raises(StorageFullError):
        await accounts.register("alice", PASSWORD, code, HOME)
    accounts._table._before_step = good
    assert await accounts.register("alice", PASSWORD, code, HOME) == "alice"
    await accounts.close()


async def test_too_many_registrations_at_once_are_refused_for_now(
    accounts: Accounts,
) -> None:
    accounts._pool._max_queued = 3 * MIN_ITERATIONS
    outcomes = await asyncio.gather(
        *(accounts.register(f"user{n}", PASSWORD, None, HOME) for n in range(5)),
        return_exceptions=True,
    )
    assert [type(outcome) for outcome in outcomes].count(RateLimitedError) == 2
    assert await accounts.register("later", PASSWORD, None, HOME) == "later"


# Logging in -------------------------------------------------------------------------


async def log_in_by_scram(accounts: Accounts, user: str, password: str) -> None:
    scram(accounts, user, password)


async def log_in_by_password(accounts: Accounts, user: str, password: str) -> None:
    await accounts.check_password(user, password, HOME)


LogIn = Callable[[Accounts, str, str], Awaitable[None]]
both = pytest.mark.parametrize("log_in", [log_in_by_scram, log_in_by_password])


@both
async def test_every_failed_login_is_refused_in_the_same_words(
    accounts: Accounts, log_in: LogIn
) -> None:
    for name in ("alice", "bob", "carol"):
        await accounts.add(name, PASSWORD)
    await accounts.disable("bob")
    await accounts.delete("carol")
    reasons = set()
    for user, password in [
        ("alice", "wrong horse"),
        ("bob", PASSWORD),
        ("carol", PASSWORD),
        ("nobody", PASSWORD),
        ("no name!", PASSWORD),
        ("x" * 500, PASSWORD),
    ]:
        with pytest.raises(AuthFailedError) as caught:
            await log_in(accounts, user, password)
        reasons.add(caught.value.reason)
    assert len(reasons) == 1


async def test_an_unknown_user_costs_one_derivation(
    accounts: Accounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    await accounts.add("alice", PASSWORD)
    counts: list[int] = []
    derive = accounts._pool.derive

    async def counting(password: str, iterations: int, salt: bytes | None) -> object:
        counts.append(iterations)
        return await derive(password, iterations, salt)

    monkeypatch.setattr(accounts._pool, "derive", counting)
    for user in ("alice", "nobody", "no name!"):
        with pytest.raises(AuthFailedError):
            await accounts.check_password(user, "wrong horse", HOME)
    assert counts == [MIN_ITERATIONS] * 3


async def test_a_challenge_for_a_name_is_the_same_after_a_restart(world: World) -> None:
    accounts = await world.open()
    await accounts.add("alice", PASSWORD)
    before = [salt_and_iterations(accounts, name) for name in ("alice", "nobody")]
    await accounts.close()
    accounts = await world.open(AccountSettings("open", 600_000))
    after = [salt_and_iterations(accounts, name) for name in ("alice", "nobody")]
    assert after == before
    assert len({len(challenge) for challenge in after}) == 1
    await accounts.close()


async def test_case_does_not_give_away_an_unknown_user(accounts: Accounts) -> None:
    await accounts.add("alice", PASSWORD)
    for name in ("alice", "nobody"):
        assert salt_and_iterations(accounts, name) == salt_and_iterations(
            accounts, name.upper()
        )


async def test_a_disabled_user_gets_the_challenge_as_before(accounts: Accounts) -> None:
    await accounts.add("alice", PASSWORD)
    before = salt_and_iterations(accounts, "alice")
    await accounts.disable("alice")
    assert salt_and_iterations(accounts, "alice") == before


async def test_channel_binding_logs_in(accounts: Accounts) -> None:
    await accounts.add("alice", PASSWORD)
    binding = b"b" * 32
    client = ScramClient(
        [MECHANISM_PLUS], "alice", PASSWORD, ("tls-server-end-point", binding)
    )
    login = accounts.start_scram(
        MECHANISM_PLUS, client.get_client_first(), binding, True, HOME
    )
    client.set_server_first(login.challenge)
    assert login.finish(client.get_client_final())[0] == "alice"


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-1", "", MECHANISM_PLUS])
async def test_a_mechanism_that_was_not_offered_is_refused(
    accounts: Accounts, mechanism: str
) -> None:
    with pytest.raises(BadRequestError, match="not offered"):
        accounts.start_scram(mechanism, "n,,n=alice,r=abc", b"b" * 32, False, HOME)


async def test_a_downgrade_from_plus_is_refused(accounts: Accounts) -> None:
    first = "y,,n=alice,r=abc"
    with pytest.raises(AuthFailedError):
        accounts.start_scram(MECHANISM, first, b"b" * 32, True, HOME)
    assert accounts.start_scram(MECHANISM, first, b"b" * 32, False, HOME).challenge


@both
async def test_the_fourth_failure_makes_the_next_attempt_wait(
    accounts: Accounts, world: World, log_in: LogIn
) -> None:
    await accounts.add("alice", PASSWORD)
    for _ in range(4):
        with pytest.raises(AuthFailedError):
            await log_in(accounts, "alice", "wrong horse")
    with pytest.raises(RateLimitedError) as caught:
        await log_in(accounts, "alice", PASSWORD)
    assert caught.value.retry_after_ms == 1000
    world.steady.advance(1000)
    await log_in(accounts, "alice", PASSWORD)


async def test_attempts_begun_at_once_are_no_free_guesses(accounts: Accounts) -> None:
    await accounts.add("alice", PASSWORD)
    outcomes = await asyncio.gather(
        *(accounts.check_password("alice", f"guess {n}", HOME) for n in range(10)),
        return_exceptions=True,
    )
    kinds = [type(outcome) for outcome in outcomes]
    assert kinds.count(AuthFailedError) == 4
    assert kinds.count(RateLimitedError) == 6


async def test_scram_logins_begun_at_once_are_no_free_guesses(
    accounts: Accounts,
) -> None:
    await accounts.add("alice", PASSWORD)
    logins = [
        accounts.start_scram(MECHANISM, "n,,n=alice,r=abc", None, False, HOME)
        for _ in range(10)
    ]
    kinds = []
    for login in logins:
        nonce = login.challenge.partition(",")[0]
        with pytest.raises((AuthFailedError, RateLimitedError)) as caught:
            login.finish(f"c=biws,{nonce},p={'A' * 43}=")
        kinds.append(caught.type)
    assert kinds == [AuthFailedError] * 4 + [RateLimitedError] * 6


async def test_a_token_is_not_throttled_by_failed_passwords(accounts: Accounts) -> None:
    await accounts.add("alice", PASSWORD)
    token = await accounts.issue_token("alice", "", "")
    for _ in range(4):
        with pytest.raises(AuthFailedError):
            scram(accounts, "alice", "wrong horse")
    assert await accounts.check_token(token, HOME) == "alice"


async def test_a_password_changed_during_a_login_ends_it(accounts: Accounts) -> None:
    await accounts.add("alice", PASSWORD)
    client = ScramClient([MECHANISM], "alice", PASSWORD)
    login = accounts.start_scram(
        MECHANISM, client.get_client_first(), None, False, HOME
    )
    client.set_server_first(login.challenge)
    await accounts.set_password("alice", "another horse")
    with pytest.raises(AuthFailedError):
        login.finish(client.get_client_final())


async def test_the_log_names_users_but_not_what_may_be_a_password(
    accounts: Accounts, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "chatd")
    await accounts.add("alice", PASSWORD)
    for user in ("alice", "hunter2hunter2"):
        with pytest.raises(AuthFailedError):
            scram(accounts, user, "wrong horse")
    assert "failed login of 'alice' from 192.0.2.1" in caplog.text
    assert "failed login of an unknown user from 192.0.2.1" in caplog.text
    assert "hunter2" not in caplog.text
    assert "horse" not in caplog.text


# Administration ---------------------------------------------------------------------


async def test_another_password_ends_the_tokens_but_the_one_kept(
    accounts: Accounts,
) -> None:
    await accounts.add("alice", PASSWORD)
    mine, other = [await accounts.issue_token("alice", "", "") for _ in range(2)]
    await accounts.set_password("alice", "another horse", keep=token_id_of(mine))
    assert scram(accounts, "alice", "another horse") == "alice"
    assert await accounts.check_token(mine, HOME) == "alice"
    with pytest.raises(AuthFailedError):
        await accounts.check_token(other, HOME)
    assert [login.id for login in await accounts.logins("alice")] == [token_id_of(mine)]


async def test_another_password_ends_tokens_even_if_they_cannot_be_removed(
    accounts: Accounts, world: World
) -> None:
    await accounts.add("alice", PASSWORD)
    token = await accounts.issue_token("alice", "", "")
    world.records.full = True
    await accounts.set_password("alice", "another horse")
    with pytest.raises(AuthFailedError):
        await accounts.check_token(token, HOME)
    assert await accounts.logins("alice") == []


async def test_a_disabled_user_is_out_until_enabled(accounts: Accounts) -> None:
    await accounts.add("alice", PASSWORD)
    token = await accounts.issue_token("alice", "", "")
    await accounts.disable("Alice")
    with pytest.raises(AuthFailedError):
        await accounts.check_token(token, HOME)
    await accounts.enable("Alice")
    assert await accounts.check_token(token, HOME) == "alice"
    assert scram(accounts, "alice") == "alice"


async def test_a_deleted_user_is_gone_and_the_name_never_given_again(
    world: World,
) -> None:
    accounts = await world.open()
    await accounts.add("alice", PASSWORD)
    token = await accounts.issue_token("alice", "", "")
    await accounts.delete("alice")
    await accounts.close()
    accounts = await world.open()
    assert accounts.get("alice") is None
    assert accounts.list_users() == []
    with pytest.raises(AuthFailedError):
        await accounts.check_token(token, HOME)
    with pytest.raises(NameTakenError):
        await accounts.register("alice", PASSWORD, None, HOME)
    await accounts.close()


@pytest.mark.parametrize("user", ["nobody", "gone", "no name!"])
async def test_what_is_asked_of_no_user_is_refused_with_the_name(
    accounts: Accounts, user: str
) -> None:
    await accounts.add("gone", PASSWORD)
    await accounts.delete("gone")
    for ask in (
        accounts.set_password(user, PASSWORD),
        accounts.disable(user),
        accounts.enable(user),
        accounts.delete(user),
        accounts.logins(user),
        accounts.revoke_login(user, "x"),
        accounts.issue_token(user, "", ""),
    ):
        with pytest.raises(NoSuchUserError, match=f"there is no user '{user}'"):
            await ask


async def test_a_login_is_revoked_by_its_id(accounts: Accounts) -> None:
    await accounts.add("alice", PASSWORD)
    token = await accounts.issue_token("alice", "laptop", "chat 0.1.0")
    (login,) = await accounts.logins("alice")
    assert await accounts.revoke_login("alice", login.id)
    assert not await accounts.revoke_login("alice", login.id)
    with pytest.raises(AuthFailedError):
        await accounts.check_token(token, HOME)


async def test_users_are_listed_by_name_with_what_they_are(
    accounts: Accounts, world: World
) -> None:
    await accounts.add("bob", PASSWORD, "admin")
    await accounts.add("alice", PASSWORD)
    await accounts.disable("alice")
    shown = [(user.name, user.role, user.disabled) for user in accounts.list_users()]
    assert shown == [("alice", "member", True), ("bob", "admin", False)]
    assert accounts.names() == ["alice", "bob"]
    record = accounts.get("bob")
    assert record is not None
    assert record.created == world.clock()


async def test_a_lost_table_is_refused_rather_than_begun_anew(world: World) -> None:
    accounts = await world.open()
    await accounts.close()
    (world.folder / "users.json").unlink()
    with pytest.raises(DamagedTableError, match="is gone"):
        await world.open()


async def test_close_carries_out_or_refuses_what_was_begun(world: World) -> None:
    accounts = await world.open()
    tasks = [
        asyncio.create_task(accounts.add(f"user{number}", PASSWORD))
        for number in range(20)
    ]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await accounts.close()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} <= {str, ServerStoppingError}
    accounts = await world.open()
    assert len(accounts.names()) == sum(isinstance(each, str) for each in outcomes)
    await accounts.close()


@pytest.mark.parametrize("iterations", [0, 4095, 10_000_001])
def test_iterations_out_of_bounds_are_refused(iterations: int) -> None:
    with pytest.raises(ValueError, match="iterations must be 4096 to 10000000"):
        AccountSettings("open", iterations)
