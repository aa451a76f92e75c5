"""``chat`` in scripts: real processes, their output and their exit statuses."""

import asyncio
import json
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from tests import PATIENCE
from tests.fakes.raw_client import PASSWORD, RawClient
from tests.helpers import logged_in
from tests.system.daemon import Daemon
from tests.system.person import Person, in_ops
from tests.system.terminal import chat_environment

pytestmark = pytest.mark.system


@pytest.fixture
async def daemon(make_daemon: Callable[..., Daemon]) -> Daemon:
    return await make_daemon().start()


@pytest.fixture
async def bob(daemon: Daemon) -> AsyncIterator[RawClient]:
    """Another user, who has made #ops."""
    async with logged_in(daemon.tcp, "bob") as (client,):
        await client.ask("create", room="#ops", topic="On duty")
        yield client


@pytest.fixture
async def alice(
    daemon: Daemon, bob: RawClient, tmp_path: Path
) -> AsyncIterator[Person]:
    """A user with a login, in #ops."""
    async with in_ops(daemon, bob, tmp_path, "alice") as person:
        yield person


async def lines_of(process: Process, count: int) -> list[str]:
    assert process.stdout is not None
    async with asyncio.timeout(PATIENCE):
        return [(await process.stdout.readline()).decode() for _ in range(count)]


async def test_send_ends_well_once_the_message_is_there(
    alice: Person, bob: RawClient
) -> None:
    status, out, errors = await alice.run("send", "#ops", "hello", "world")
    assert (status, out, errors) == (0, "", "")
    assert (await bob.expect("message", kind="text"))["text"] == "hello world"


async def test_the_input_is_one_message_or_one_for_each_line(
    alice: Person, bob: RawClient
) -> None:
    assert (await alice.run("send", "#ops", given="one\ntwo\n"))[0] == 0
    assert (await bob.expect("message", kind="text"))["text"] == "one\ntwo"
    given = "".join(f"line {n}\n" for n in range(100))
    assert (await alice.run("send", "#ops", "--lines", given=given))[0] == 0
    for number in range(100):
        assert (await bob.expect("message", kind="text"))["text"] == f"line {number}"


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["send", "#ops"], 2, "nothing to send"),
        (["send", "ops", "hi"], 2, "'#ops'"),
        (["send", "#ops", "--timeout", "0", "hi"], 2, "timeout"),
        (["send", "#nope", "hi"], 1, "no room #nope"),
        (["send", "@nobody", "hi"], 1, "no user 'nobody'"),
        (["history", "#ops", "--since", "soon"], 2, "write 90s"),
        (["sned", "#ops", "hi"], 2, "did you mean 'chat send'"),
        (["trust", "localhost", "-x"], 2, "fingerprint"),
        (["who", "@bob"], 2, "begins with #"),
    ],
)
async def test_what_goes_wrong_is_one_sentence_and_a_status(
    alice: Person, arguments: list[str], status: int, said: str
) -> None:
    found, out, errors = await alice.run(*arguments)
    assert (found, out) == (status, "")
    assert said in errors
    assert "Traceback" not in errors


async def test_send_gives_up_in_time_and_does_not_send_later(
    alice: Person, daemon: Daemon
) -> None:
    await daemon.kill()
    status, _, errors = await alice.run("send", "#ops", "--timeout", "0.5", "too late")
    assert status == 75
    assert "not confirmed within 0.5 s" in errors
    await daemon.start()
    assert (await alice.run("send", "#ops", "in time"))[0] == 0
    _, out, _ = await alice.run("history", "#ops")
    assert "in time" in out
    assert "too late" not in out


async def test_send_waits_for_a_daemon_that_is_away(
    alice: Person, daemon: Daemon
) -> None:
    await daemon.kill()
    process = await alice.start("send", "#ops", "patience")
    assert process.stderr is not None
    assert b"trying again" in await process.stderr.readline()
    await daemon.start()
    async with asyncio.timeout(PATIENCE):
        assert await process.wait() == 0


async def test_tail_begins_with_what_count_and_since_both_allow(
    alice: Person, bob: RawClient
) -> None:
    for n in range(5):
        await bob.say("#ops", str(n))
    tail = await alice.start("tail", "#ops", "--since", "1h", "-n", "2", "--json")
    texts = [json.loads(line)["text"] for line in await lines_of(tail, 2)]
    tail.send_signal(signal.SIGINT)
    await tail.communicate()
    assert texts == ["3", "4"]


async def test_tail_goes_on_over_a_restart_without_doubling_or_losing(
    alice: Person, bob: RawClient, daemon: Daemon
) -> None:
    await bob.say("#ops", "before")
    tail = await alice.start("tail", "#ops", "-n", "1", "--json")
    (first,) = await lines_of(tail, 1)
    assert json.loads(first)["text"] == "before"
    await bob.say("#ops", "live")
    assert json.loads((await lines_of(tail, 1))[0])["text"] == "live"
    await daemon.kill()
    await daemon.start()
    async with await RawClient.connect(daemon.tcp) as again:
        await again.expect("hello")
        await again.login("bob")
        for number in range(250):
            await again.say("#ops", f"after {number}")
        texts = [json.loads(line)["text"] for line in await lines_of(tail, 250)]
    assert texts == [f"after {number}" for number in range(250)]
    tail.send_signal(signal.SIGINT)
    async with asyncio.timeout(PATIENCE):
        out, errors = await tail.communicate()
    assert out == b""
    assert b"Traceback" not in errors


async def test_tail_ends_quietly_as_soon_as_nobody_reads_any_more(
    alice: Person, bob: RawClient
) -> None:
    await bob.say("#ops", "one")
    tail = await alice.start("tail", "#ops", "-n", "1")
    await lines_of(tail, 1)
    transport = tail._transport.get_pipe_transport(1)  # type: ignore[attr-defined]
    transport.close()
    async with asyncio.timeout(PATIENCE):
        status = await tail.wait()
    assert tail.stderr is not None
    assert (status, await tail.stderr.read()) == (0, b"")


async def test_history_takes_a_count_and_bounds(alice: Person, bob: RawClient) -> None:
    seqs = [(await bob.say("#ops", f"text {n}"))["seq"] for n in range(10)]

    async def texts(*arguments: str) -> list[str]:
        _, out, _ = await alice.run("history", "#ops", "--json", *arguments)
        return [json.loads(line)["text"][5:] for line in out.splitlines()]

    assert await texts("-n", "3") == ["7", "8", "9"]
    assert await texts("-n", "2", "--before", str(seqs[5])) == ["3", "4"]
    assert await texts("-n", "2", "--after", str(seqs[5])) == ["6", "7"]


async def test_no_text_can_act_on_the_terminal_that_a_pipe_ends_in(
    alice: Person, bob: RawClient
) -> None:
    await bob.say("#ops", "\x1b[2J\x9b\x07 evil\u202e")
    _, out, _ = await alice.run("history", "#ops")
    assert "evil" in out
    assert not set(out) & set("\x1b\x9b\x07\u202e")
    _, out, _ = await alice.run("history", "#ops", "--json")
    assert out.isascii()
    assert json.loads(out.splitlines()[-1])["text"] == "\x1b[2J\x9b\x07 evil\u202e"


async def test_rooms_and_who_list_what_there_is(alice: Person) -> None:
    _, out, _ = await alice.run("rooms")
    assert out == "* #ops      2  On duty\n"
    _, out, _ = await alice.run("who", "#ops")
    assert out == "alice  online\nbob    online\n"
    _, out, _ = await alice.run("who", "--json")
    assert [json.loads(line)["user"] for line in out.splitlines()] == ["alice", "bob"]


async def test_logins_are_listed_and_forgotten(alice: Person) -> None:
    _, out, _ = await alice.run("logins")
    assert out == f"* alice at {alice.server}: logged in\n"
    assert (await alice.run("logout"))[0] == 0
    _, out, _ = await alice.run("logins")
    assert "asks for the password" in out
    status, _, errors = await alice.run("send", "#ops", "hi")
    assert status == 1
    assert "no terminal" in errors


async def test_a_password_command_is_run_without_a_shell(alice: Person) -> None:
    await alice.run("logout")
    command = f"echo '{PASSWORD}'"
    status, _, errors = await alice.run(
        "send", "#ops", "hi", "--user", "alice", "--password-command", command
    )
    assert (status, errors) == (0, "")


async def test_pipes_do_not_load_the_library_of_the_screen(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "import client.cli.main, client.cli.script, client.cli.chat_commands\n"
        "import client.cli.first_run\n"
        "sys.exit(any(name.startswith('prompt_toolkit') for name in sys.modules))"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, env=chat_environment(tmp_path)
    )
    assert await process.wait() == 0


async def test_lines_that_the_server_lets_wait_all_arrive_and_it_is_said_why(
    make_daemon: Callable[..., Daemon], tmp_path: Path
) -> None:
    slow = {"limits": {"messages_per_second": 20, "messages_burst": 5}}
    daemon = await make_daemon(slow).start()
    (pin,) = (line.split()[-1] for line in daemon.lines if "fingerprint" in line)
    alice = Person(tmp_path / "alice", daemon, "alice")
    await alice.register(pin)
    async with logged_in(daemon.tcp, "bob") as (bob,):
        given = "".join(f"{n}\n" for n in range(12))
        status, _, errors = await alice.run("send", "@bob", "--lines", given=given)
        assert status == 0
        assert "too many messages" in errors
        got = [(await bob.expect("message", chat="@alice"))["text"] for _ in range(12)]
        assert got == [str(n) for n in range(12)]
