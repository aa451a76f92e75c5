"""Files in scripts: ``chat send`` and ``get`` as real processes with a real daemon."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from tests import PATIENCE
from tests.helpers import eventually, logged_in
from tests.system.daemon import Daemon
from tests.system.terminal import Terminal
from tests.system.transfers import RetryingUser, retrying_users

pytestmark = pytest.mark.system


@pytest.fixture
async def daemon(make_daemon: Callable[..., Daemon]) -> Daemon:
    return await make_daemon().start()


@pytest.fixture
async def people(daemon: Daemon, tmp_path: Path) -> AsyncIterator[list[RetryingUser]]:
    """Two users with logins, in #ops."""
    async with retrying_users(daemon, tmp_path, "#ops", "alice", "carol") as people:
        yield people


@pytest.fixture
def alice(people: list[RetryingUser]) -> RetryingUser:
    return people[0]


@pytest.fixture
def carol(people: list[RetryingUser]) -> RetryingUser:
    return people[1]


@pytest.fixture
def core(tmp_path: Path) -> Path:
    """A file of 3 MB that does not repeat itself."""
    path = tmp_path / "core.tar"
    path.write_bytes(os.urandom(3_000_000))
    return path


async def test_a_file_that_one_sends_is_got_by_another(
    alice: RetryingUser, carol: RetryingUser, core: Path
) -> None:
    sent = await alice.run("send", "#ops", "the", "crash", "--file", str(core))
    assert sent == (0, "", "")
    status, out, errors = await carol.run("get", "#ops")
    saved = carol.home / "downloads" / "core.tar"
    assert (status, out, errors) == (0, f"{saved}\n", "")
    assert content(saved) == content(core)
    _, out, _ = await carol.run("get", "#ops", "core.tar")
    assert Path(out.rstrip("\n")).name == "core (1).tar"


async def test_files_and_history_show_the_number_that_get_takes(
    alice: RetryingUser, carol: RetryingUser, core: Path
) -> None:
    for text in ("one", "two"):
        await alice.run("send", "#ops", text, "--file", str(core))
    lists, histories, listed, told = await asyncio.gather(
        carol.run("files", "#ops"),
        carol.run("history", "#ops", "-n", "2"),
        carol.run("files", "#ops", "-n", "1", "--json"),
        carol.run("history", "#ops", "-n", "1", "--json"),
    )
    newest, oldest = (line.split() for line in lists[1].splitlines())
    assert newest[1:5] == ["core.tar", "3.0", "MB", "alice"]
    assert f"[file {oldest[0]}] core.tar  3.0 MB  application/x-tar" in histories[1]
    (item,) = map(json.loads, listed[1].splitlines())
    assert (item["seq"], item["text"]) == (int(newest[0]), "two")
    assert json.loads(told[1])["file"] == item["file"]
    target = carol.home / "first.tar"
    status, out, _ = await carol.run("get", "#ops", oldest[0], "-o", str(target))
    assert (status, out) == (0, f"{target}\n")
    assert content(target) == content(core)


async def test_the_input_is_sent_as_a_file_and_got_as_the_output(
    alice: RetryingUser, carol: RetryingUser
) -> None:
    dump = os.urandom(1_000_000)
    named = ("--file", "-", "--name", "db.sql")
    status, out, errors = await alice.pipe("send", "@carol", *named, given=dump)
    assert (status, out, errors) == (0, b"", "")
    assert await carol.pipe("get", "@alice", "-o", "-") == (0, dump, "")
    assert not (carol.home / "downloads").exists()
    assert list((carol.home / "cache" / "get").iterdir()) == []
    assert spooled(alice) == []


async def test_several_files_arrive_in_order_the_first_with_the_caption(
    daemon: Daemon, alice: RetryingUser, core: Path
) -> None:
    empty = core.with_name("empty")
    empty.touch()
    files = ("--file", str(core), "--file", str(empty))
    assert (await alice.run("send", "#ops", "look", *files))[0] == 0
    async with logged_in(daemon.tcp, "bob") as (bob,):
        await bob.ask("join", room="#ops")
        got = [entry for entry in await bob.log("#ops") if entry["kind"] == "file"]
    assert [each["file"]["name"] for each in got] == ["core.tar", "empty"]
    assert [each.get("text", "") for each in got] == ["look", ""]


WRONG = [
    (["send", "#nope", "--file", "{core}"], "no room #nope"),
    (["send", "@nobody", "--file", "{core}"], "no user 'nobody'"),
    (["send", "#ops", "--file", "/no/such/file"], "there is no file"),
    (["send", "#ops", "--file", "/tmp"], "is a folder"),
    (["get", "#ops"], "nobody else has sent a file"),
    (["get", "#ops", "nothing.tar"], "there is no file nothing.tar in #ops"),
    (["get", "#ops", "-o", "{core}"], "is there already"),
    (["get", "#nope"], "no room #nope"),
    (["files", "#nope"], "no room #nope"),
]


async def test_what_goes_wrong_with_files_is_one_sentence_and_a_status(
    alice: RetryingUser, core: Path
) -> None:
    async def check(arguments: list[str], said: str) -> None:
        outcome = await alice.run(*(word.format(core=core) for word in arguments))
        status, out, errors = outcome
        assert (status, out) == (1, ""), arguments
        assert said in errors, arguments
        assert len(errors.splitlines()) == 1, arguments

    async with asyncio.TaskGroup() as group:
        for arguments, said in WRONG:
            group.create_task(check(arguments, said))


async def test_a_file_that_was_given_up_in_time_is_not_sent_later(
    alice: RetryingUser, daemon: Daemon, core: Path
) -> None:
    await daemon.kill()
    status, _, errors = await alice.run(
        "send", "#ops", "--file", str(core), "--timeout", "0.5"
    )
    assert status == 75
    assert "not sent within 0.5 s" in errors
    await daemon.start()
    assert (await alice.run("send", "#ops", "in time"))[0] == 0
    assert (await alice.run("files", "#ops"))[1] == ""


async def test_a_file_waits_for_a_daemon_that_is_away(
    alice: RetryingUser, daemon: Daemon, core: Path
) -> None:
    await daemon.kill()
    process = await alice.start("send", "#ops", "--file", str(core))
    assert process.stderr is not None
    assert b"trying again" in await process.stderr.readline()
    await daemon.start()
    async with asyncio.timeout(PATIENCE):
        assert await process.wait() == 0
    assert b"is back" in await process.stderr.read()


@pytest.mark.parametrize("is_away", [True, False])
async def test_ctrl_c_ends_a_file_and_leaves_nothing_behind(
    alice: RetryingUser, daemon: Daemon, core: Path, is_away: bool
) -> None:
    # The input never ends, so that it cannot have been sent completely meanwhile.
    what = ("--file", str(core)) if is_away else ("--file", "-", "--name", "x")
    if is_away:
        await daemon.kill()
    process = await alice.start("send", "#ops", *what)
    assert process.stdin is not None
    assert process.stderr is not None
    if is_away:
        assert b"trying again" in await process.stderr.readline()
    else:
        process.stdin.write(b"so far")
        await eventually(lambda: spooled(alice) != [], "the input is not read")
    process.send_signal(signal.SIGINT)
    async with asyncio.timeout(PATIENCE):
        assert await process.wait() == 130
    assert await process.stderr.read() == b""
    if is_away:
        await daemon.start()
    assert (await alice.run("send", "#ops", "something else"))[0] == 0
    assert (await alice.run("files", "#ops"))[1] == ""
    assert spooled(alice) == []


def content(path: Path) -> bytes:
    return path.read_bytes()


def spooled(person: RetryingUser) -> list[Path]:
    return [p for p in (person.home / "state" / "spool").rglob("*") if p.is_file()]


async def test_progress_is_shown_on_a_terminal_and_taken_off(
    alice: RetryingUser, carol: RetryingUser, core: Path
) -> None:
    for person, arguments, said in (
        (alice, ("send", "#ops", "--file", str(core)), "core.tar to #ops"),
        (carol, ("get", "#ops", "-o", str(core.with_name("got"))), "got from #ops"),
    ):
        terminal = Terminal(person.home, *arguments)
        try:
            assert await terminal.ended() == 0
            assert said in terminal.transcript
            assert not any(said in line for line in terminal.lines)
        finally:
            terminal.close()
    assert content(core.with_name("got")) == content(core)
