"""The administrator's commands beside the running daemon, seen by its users."""

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.helpers import PASSWORD, RawClient, logged_in, texts
from tests.system.daemon import Daemon

pytestmark = pytest.mark.system


async def run(daemon: Daemon, *arguments: str) -> str:
    """Run a command of ``chatd``; return what it printed; it must succeed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "chatd",
        "--config",
        str(daemon.config),
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
    return output.decode()


async def test_a_deleted_user_is_hung_up_on_and_the_name_is_never_given_again(
    make_daemon: Callable[..., Daemon],
) -> None:
    daemon = await make_daemon().start()
    async with logged_in(daemon.tcp, "alice", "bob") as (alice, bob):
        await alice.say("@bob", "remember me")
        await run(daemon, "user", "delete", "alice", "--yes")
        await alice.expect("closing")
        assert texts(await bob.log("@alice")) == ["remember me"]
        assert await bob.refusal("send", chat="@alice", text="x") == "no_such_user"
    await daemon.restart()
    async with await RawClient.connect(daemon.tcp) as client:
        code = await client.refusal("register", user="Alice", password=PASSWORD)
        assert code == "name_taken"
        code = await client.refusal(
            "auth", mechanism="PLAIN", user="alice", password=PASSWORD
        )
        assert code == "auth_failed"


async def test_a_disabled_user_is_hung_up_on_and_comes_back_when_enabled(
    make_daemon: Callable[..., Daemon],
) -> None:
    daemon = await make_daemon().start()
    async with logged_in(daemon.tcp, "alice") as (alice,):
        await run(daemon, "user", "disable", "alice")
        await alice.expect("closing", code="disabled")
    async with await RawClient.connect(daemon.tcp) as alice:
        code = await alice.refusal(
            "auth", mechanism="PLAIN", user="alice", password=PASSWORD
        )
        assert code in ("auth_failed", "not_allowed")
        await run(daemon, "user", "enable", "alice")
        await alice.login("alice")


async def test_a_backup_under_load_has_all_that_was_answered_before(
    make_daemon: Callable[..., Daemon], tmp_path: Path
) -> None:
    daemon = await make_daemon().start()
    async with logged_in(daemon.tcp, "alice") as (alice,):
        for n in range(50):
            await alice.say("@alice", str(n))
        is_over = False

        async def talk() -> None:
            while not is_over:
                await alice.say("@alice", "later")

        talking = asyncio.create_task(talk())
        await run(daemon, "backup", str(tmp_path / "copy"))
        is_over = True
        await talking
    restored = make_daemon()
    await run(restored, "restore", str(tmp_path / "copy"))
    await restored.start()
    async with await RawClient.connect(restored.tcp) as again:
        ready = await again.login("alice")
        found = texts(await again.log("@alice"))
        assert found[:50] == [str(n) for n in range(50)]
    async with await RawClient.connect(daemon.tcp) as alice:
        assert (await alice.login("alice"))["log"] != ready["log"]


async def test_check_finds_nothing_wrong_beside_the_running_daemon(
    make_daemon: Callable[..., Daemon],
) -> None:
    daemon = await make_daemon().start()
    async with logged_in(daemon.tcp, "alice") as (alice,):
        await alice.say("@alice", "x")
        await run(daemon, "check")
        await alice.say("@alice", "y")
