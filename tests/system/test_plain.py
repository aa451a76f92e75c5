"""Plain mode (``chat --plain``) with the real daemon: in pipes, and at a terminal."""

import asyncio
import contextlib
import os
import re
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pexpect
import pytest

from tests import PATIENCE
from tests.fakes.raw_client import PASSWORD, RawClient
from tests.helpers import eventually, logged_in
from tests.system.daemon import Daemon
from tests.system.terminal import chat_environment

pytestmark = pytest.mark.system

# Everything that moves, colours, rings or draws. A terminal ends its lines with CR LF.
ACTING = re.compile("[\x00-\x09\x0b\x0c\x0e-\x1f\x7f-\x9f\u2500-\u259f]")
HOSTILE = "\x1b[2J\x1b]0;owned\x07\x9b31m\u202e\x00 evil\r\nalice: forged"


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
async def home(daemon: Daemon, bob: RawClient, tmp_path: Path) -> Path:
    """Where alice's ``chat`` keeps everything; she has an account."""
    home = tmp_path / "alice"
    (pin,) = (line.split()[-1] for line in daemon.lines if "fingerprint" in line)
    server = f"tls://{daemon.tls[0]}:{daemon.tls[1]}"
    for arguments in (
        ("trust", server, pin),
        ("register", server, "--user", "alice"),
    ):
        process = await start(home, *arguments)
        _, errors = await process.communicate()
        assert process.returncode == 0, errors.decode()
    return home


async def start(home: Path, *arguments: str, stdout: int = PIPE) -> Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "client", *arguments),
        env={**chat_environment(home), "CHAT_PASSWORD": PASSWORD},
        stdin=PIPE,
        stdout=stdout,
        stderr=PIPE,
    )


async def run(home: Path, given: bytes, *arguments: str) -> tuple[int, str, str]:
    """Return exit status, output and errors of ``chat --plain`` with this input."""
    process = await start(home, "--plain", *arguments)
    try:
        async with asyncio.timeout(PATIENCE):
            out, errors = await process.communicate(given)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return process.returncode, out.decode(), errors.decode()


class Piped:
    """A running ``chat --plain``, with its pipes."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.written = ""

    def enter(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n".encode())

    async def says(self, line: str) -> None:
        """Wait until this line is written."""
        await self.writes(f"^{re.escape(line)}$")

    async def writes(self, pattern: str) -> None:
        """Wait until a line is written that matches a pattern."""
        assert self.process.stdout is not None
        async with asyncio.timeout(PATIENCE):
            while not re.search(pattern, self.written, re.MULTILINE):
                data = await self.process.stdout.readline()
                assert data, self.written
                self.written += data.decode()


@pytest.fixture
async def alice(home: Path) -> AsyncIterator[Piped]:
    """Alice's ``chat --plain``, in #ops."""
    piped = Piped(await start(home, "--plain"))
    piped.enter("/join #ops")
    await piped.says("alice joined")
    yield piped
    if piped.process.returncode is None:
        piped.process.kill()
    await piped.process.communicate()


async def test_lines_that_are_piped_in_are_done_in_order_and_sent_before_the_end(
    home: Path, bob: RawClient
) -> None:
    given = b"/join #ops\nhello\n" + b"".join(b"line %d\n" % n for n in range(200))
    status, out, errors = await run(home, given + b"last, without an end")
    assert (status, errors) == (0, "")
    texts = [(await bob.expect("message", kind="text"))["text"] for _ in range(202)]
    assert texts == [
        "hello",
        *(f"line {n}" for n in range(200)),
        "last, without an end",
    ]
    said = [line for line in out.splitlines() if line.startswith("alice: ")]
    assert said == [f"alice: {text}" for text in texts]


async def test_what_comes_after_quitting_is_left_alone(home: Path) -> None:
    status, _, errors = await run(home, b"/quit\n" + b"more\n" * 5_000)
    assert (status, errors) == (0, "")


async def test_a_conversation_is_written_line_by_line_and_nothing_acts(
    alice: Piped, bob: RawClient
) -> None:
    await bob.say("#ops", "hello\nthere")
    await alice.says("bob: hello / there")
    await bob.say("#ops", HOSTILE)
    await bob.say("@alice", "psst")
    await alice.says("@bob: psst")
    alice.enter("/help")
    alice.enter("/rooms")
    await alice.says("* #ops  2 members  On duty")
    assert not ACTING.search(alice.written)
    (line,) = (line for line in alice.written.split("\n") if "evil" in line)
    assert line.startswith("bob: ")
    assert line.endswith("evil / alice: forged")


async def test_a_restart_of_the_daemon_loses_nothing_and_is_told_in_two_lines(
    alice: Piped, daemon: Daemon
) -> None:
    await daemon.kill()
    await alice.writes("^connection lost .*, retrying in")
    alice.enter("while it was away")
    await alice.says("alice: while it was away (waiting)")
    await daemon.start()
    await alice.says("back online")
    await alice.says('sent: "while it was away"')
    async with logged_in(daemon.tcp, "eve") as (eve,):
        await eve.ask("join", room="#ops")
        texts = [entry.get("text") for entry in await eve.log("#ops")]
    assert texts.count("while it was away") == 1
    assert alice.written.count("back online") == 1
    assert not ACTING.search(alice.written)


async def test_a_signal_ends_it_in_good_order(alice: Piped) -> None:
    alice.process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(PATIENCE):
        out, errors = await alice.process.communicate()
    assert alice.process.returncode == 0
    assert (out, errors) == (b"", b"")


async def test_a_reader_that_goes_away_ends_it(home: Path, bob: RawClient) -> None:
    out, into = os.pipe()
    process = await start(home, "--plain", stdout=into)
    os.close(into)
    assert process.stdin is not None
    process.stdin.write(b"/join #ops\n")
    await bob.expect("message", kind="join")
    os.close(out)
    await bob.say("#ops", "is anybody there?")
    async with asyncio.timeout(PATIENCE):
        _, errors = await process.communicate()
    assert (process.returncode, errors) == (0, b"")


async def test_without_a_login_and_without_a_terminal_it_says_what_to_do(
    daemon: Daemon, tmp_path: Path
) -> None:
    status, out, errors = await run(tmp_path / "nobody", b"hello\n")
    assert (status, out) == (1, "")
    assert "there is no terminal to ask on" in errors


@pytest.fixture
def terminal(home: Path) -> Iterator["pexpect.spawn[bytes]"]:
    """``chat --plain`` at a terminal."""
    child: pexpect.spawn[bytes] = pexpect.spawn(
        sys.executable,
        ["-m", "client", "--plain"],
        env={**chat_environment(home)},
        dimensions=(24, 80),
    )
    child.delaybeforesend = None
    yield child
    child.close(force=True)


async def test_at_a_terminal_nothing_is_drawn_and_lines_are_edited_by_it(
    terminal: "pexpect.spawn[bytes]", bob: RawClient
) -> None:
    written = bytearray()

    def says(text: bytes) -> bool:
        with contextlib.suppress(pexpect.TIMEOUT, pexpect.EOF):
            written.extend(terminal.read_nonblocking(65_536, timeout=0))
        return text in written

    terminal.send("/join #ops\n")
    await eventually(lambda: says(b"alice joined"), "joined")
    await bob.say("@alice", "psst")
    await bob.say("#ops", HOSTILE)
    await eventually(lambda: says(b"forged"), "hostile")
    terminal.send("helo\x7flo\n")
    assert (await bob.expect("message", kind="text", chat="#ops", text="hello"))["from"]
    terminal.setwinsize(40, 120)
    await bob.say("#ops", "after the change of size")
    await eventually(lambda: says(b"after the change of size"), "resized")
    terminal.sendeof()
    await eventually(lambda: says(b"") and not terminal.isalive(), "ended")
    assert terminal.exitstatus == 0
    # The terminal itself erases what is deleted; the bell rings for a mention.
    text = written.decode().replace("\b \b", "").replace("\a", "")
    assert not ACTING.search(text)
