"""Line mode of two users at real terminals, with the real daemon between them."""

import asyncio
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.fakes.raw_client import PASSWORD
from tests.system.daemon import Daemon, free_ports
from tests.system.terminal import Terminal

pytestmark = pytest.mark.system

MakeTerminal = Callable[..., Terminal]


@pytest.fixture
def at(tmp_path: Path) -> Iterator[MakeTerminal]:
    """Start ``chat`` for a user at a new terminal."""
    made: list[Terminal] = []

    def start(who: str, *arguments: str, columns: int = 80, rows: int = 24) -> Terminal:
        if arguments[:1] not in (("trust",), ("logout",)):
            arguments = ("--line", *arguments)
        made.append(Terminal(tmp_path / who, *arguments, columns=columns, rows=rows))
        return made[-1]

    yield start
    for terminal in made:
        terminal.close()


def address_of(daemon: Daemon) -> str:
    return f"{daemon.tls[0]}:{daemon.tls[1]}"


async def administer(daemon: Daemon, *arguments: str) -> str:
    """Run a command of ``chatd`` beside the daemon; return what it printed."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "chatd", "--config", str(daemon.config), *arguments),
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0
    return output.decode()


async def first_run(terminal: Terminal, name: str) -> None:
    """Answer all questions of the first run, and wait for the prompt."""
    await terminal.answer("Do you trust it?", "yes")
    await terminal.answer("new account?", "yes")
    await terminal.answer("Which name", name)
    await terminal.answer("Password (at least", PASSWORD)
    await terminal.answer("The same password again", PASSWORD)
    await terminal.shows(f"online as {name}")


@pytest.fixture
async def daemon(make_daemon: Callable[..., Daemon]) -> Daemon:
    return await make_daemon().start()


async def two_in_a_room(daemon: Daemon, at: MakeTerminal) -> tuple[Terminal, Terminal]:
    alice = at("alice", address_of(daemon))
    await first_run(alice, "alice")
    bob = at("bob", address_of(daemon), columns=120, rows=40)
    await first_run(bob, "bob")
    alice.type("/create #ops\r")
    await alice.prompts("#ops>")
    bob.type("/join #ops\r")
    await bob.prompts("#ops>")
    await alice.shows("bob joined")
    return alice, bob


async def test_two_people_chat_and_what_is_half_typed_survives_everything(
    daemon: Daemon, at: MakeTerminal
) -> None:
    alice, bob = await two_in_a_room(daemon, at)
    alice.type("half a sent")
    await alice.prompts("#ops> half a sent")
    for number in range(30):
        bob.type(f"message {number}\r")
    await alice.shows("bob        message 29")
    await alice.prompts("#ops> half a sent")

    alice.resize(60, 20)
    bob.type("after the change of size\r")
    await alice.shows("after the change of size")
    await alice.prompts("#ops> half a sent")

    await daemon.restart()
    await alice.shows("back online")
    await bob.shows("back online")
    await alice.prompts("#ops> half a sent")
    alice.type("ence\r")
    await bob.shows("alice      half a sentence")
    await alice.prompts("#ops>")
    assert alice.transcript.count("alice      half a sentence") <= 1


async def test_what_is_written_while_the_daemon_is_down_arrives_once_and_in_order(
    daemon: Daemon, at: MakeTerminal
) -> None:
    alice, bob = await two_in_a_room(daemon, at)
    await daemon.kill()
    await alice.prompts("(offline) #ops>")
    for number in range(3):
        alice.type(f"offline {number}\r")
        await alice.shows(f"offline {number}  (waiting)")
    await daemon.start()
    await alice.shows("sent: 3 messages that were waiting")
    await bob.shows("offline 2")
    shown = [line for line in bob.lines if "offline" in line and "alice" in line]
    assert [line[-1] for line in shown] == ["0", "1", "2"]


async def test_what_waits_is_sent_after_the_client_was_killed(
    daemon: Daemon, at: MakeTerminal
) -> None:
    alice, bob = await two_in_a_room(daemon, at)
    await daemon.kill()
    await alice.prompts("(offline) #ops>")
    alice.type("from beyond\r")
    await alice.shows("from beyond  (waiting)")
    alice.close()
    again = at("alice")
    await again.shows("from beyond  (waiting)")
    await daemon.start()
    await bob.shows("alice      from beyond")
    await again.shows('sent: "from beyond"')


async def test_a_second_start_asks_nothing_and_shows_the_chat_without_the_server(
    daemon: Daemon, at: MakeTerminal
) -> None:
    alice, bob = await two_in_a_room(daemon, at)
    bob.type("remember me\r")
    await alice.shows("remember me")
    alice.type("/quit\r")
    assert await alice.ended() == 0
    await daemon.kill()
    again = at("alice")
    await again.shows("bob        remember me")
    await again.prompts("(offline) #ops>")


async def test_a_changed_key_is_refused_with_both_fingerprints_and_a_way_on(
    daemon: Daemon, at: MakeTerminal
) -> None:
    alice = at("alice", address_of(daemon))
    await first_run(alice, "alice")
    alice.type("/quit\r")
    await alice.ended()
    (old,) = (line.split()[-1] for line in daemon.lines if "fingerprint" in line)
    await daemon.kill()
    for file in (daemon.data / "tls").iterdir():
        file.unlink()
    await daemon.start()
    (new,) = (line.split()[-1] for line in daemon.lines if "fingerprint" in line)

    again = at("alice", columns=100)
    assert await again.ended() == 1
    said = "\n".join(again.lines)
    assert f"expected  {old}" in said
    assert f"chat trust tls://{address_of(daemon)} {new}" in said

    trusting = at("alice", "trust", address_of(daemon), new)
    assert await trusting.ended() == 0
    third = at("alice")
    await third.shows("online as alice")


async def test_a_join_link_registers_with_its_invite_and_enters_its_room(
    make_daemon: Callable[..., Daemon], at: MakeTerminal
) -> None:
    daemon = await make_daemon().start()
    alice = at("alice", address_of(daemon))
    await first_run(alice, "alice")
    alice.type("/create #ops\r")
    await alice.prompts("#ops>")
    (pin,) = (line.split()[-1] for line in daemon.lines if "fingerprint" in line)

    bob = at("bob", f"chat://{address_of(daemon)}/ops?pin={pin}")
    await bob.answer("new account?", "yes")
    await bob.answer("Which name", "bob")
    await bob.answer("Password (at least", PASSWORD)
    await bob.answer("The same password again", PASSWORD)
    await bob.prompts("#ops>")
    await alice.shows("bob joined")
    assert "trust" not in bob.transcript


async def test_a_wrong_pin_ends_before_anything_is_sent(
    daemon: Daemon, at: MakeTerminal
) -> None:
    bob = at("bob", f"chat://{address_of(daemon)}/?pin={'A' * 43}", columns=200)
    assert await bob.ended() == 1
    assert "has changed" in " ".join(bob.lines)


async def test_a_wrong_password_is_asked_again(
    daemon: Daemon, at: MakeTerminal
) -> None:
    alice = at("alice", address_of(daemon))
    await first_run(alice, "alice")
    other = at("elsewhere", address_of(daemon))
    await other.answer("Do you trust it?", "yes")
    await other.answer("new account?", "no")
    await other.answer("Your name", "alice")
    await other.answer("Password", "wrong horse")
    await other.answer("Your name [alice]", "")
    await other.answer("Password", PASSWORD)
    await other.shows("online as alice")


async def test_a_second_person_on_the_same_machine_can_make_an_account(
    daemon: Daemon, at: MakeTerminal
) -> None:
    alice = at("home", address_of(daemon))
    await first_run(alice, "alice")
    bob = at("home", "--user", "bob")
    await bob.answer("Which server?", "")
    await bob.answer("bob is not known on this device. Do you want to make a", "yes")
    await bob.answer("Password (at least", PASSWORD)
    await bob.answer("The same password again", PASSWORD)
    await bob.shows("online as bob")


async def test_a_name_that_was_here_before_is_asked_for_its_password_alone(
    daemon: Daemon, at: MakeTerminal
) -> None:
    alice = at("home", address_of(daemon))
    await first_run(alice, "alice")
    alice.type("/quit\r")
    await alice.ended()
    assert await at("home", "logout").ended() == 0
    again = at("home", address_of(daemon), "--user", "Alice")
    await again.answer("Password:", PASSWORD)
    await again.shows("online as alice")


async def test_who_is_disabled_is_told_so_and_asked_nothing(
    daemon: Daemon, at: MakeTerminal
) -> None:
    alice = at("alice", address_of(daemon))
    await first_run(alice, "alice")
    await administer(daemon, "user", "disable", "alice")
    assert await alice.ended() == 1
    assert "Error: the server ended this login: the account was disabled" in alice.lines


async def test_who_is_logged_out_by_the_server_is_asked_for_the_password_alone(
    daemon: Daemon, at: MakeTerminal
) -> None:
    alice = at("alice", address_of(daemon))
    await first_run(alice, "alice")
    listed = await administer(daemon, "user", "logins", "alice")
    login_id = listed.splitlines()[1].split()[0]
    await administer(daemon, "user", "logins", "alice", "--revoke", login_id)
    await alice.answer("Password:", PASSWORD)
    await alice.until(lambda: "".join(alice.lines).count("online as alice") == 2)
    assert "Which server" not in alice.transcript


async def test_a_server_that_is_not_there_is_asked_for_again(
    daemon: Daemon, at: MakeTerminal
) -> None:
    alice = at("alice")
    (port,) = free_ports(1)
    question = "Which server? (its address, or a join link) [localhost]"
    await alice.prompts(question)
    alice.type(f"localhost:{port}\r")
    await alice.shows("cannot be reached: no server is running there.")
    await alice.prompts(question)
    alice.type(f"{address_of(daemon)}\r")
    await first_run(alice, "alice")


async def test_a_file_goes_from_one_terminal_to_the_other(
    daemon: Daemon, at: MakeTerminal, tmp_path: Path
) -> None:
    alice, bob = await two_in_a_room(daemon, at)
    path = tmp_path / "my core.tar"
    path.write_bytes(os.urandom(3_000_000))
    alice.type(f"/send {tmp_path}/my\t\r")
    await alice.shows("my core.tar was sent to #ops")
    await alice.prompts("#ops>")
    await bob.shows("my core.tar  3.0 MB  application/x-tar  /get")
    bob.type("/get my\t\r")
    await bob.shows("saved to")
    await bob.prompts("#ops>")
    assert (tmp_path / "bob/downloads/my core.tar").read_bytes() == path.read_bytes()


async def test_a_file_goes_on_after_the_client_was_killed(
    daemon: Daemon, at: MakeTerminal, tmp_path: Path
) -> None:
    alice, bob = await two_in_a_room(daemon, at)
    (tmp_path / "core.tar").write_bytes(os.urandom(3_000_000))
    await daemon.kill()
    await alice.prompts("(offline) #ops>")
    alice.type(f"/send {tmp_path}/core.tar\r")
    await alice.shows("core.tar to #ops  waits")
    alice.close()
    again = at("alice")
    await daemon.start()
    await again.shows("core.tar was sent to #ops")
    await bob.shows("core.tar  3.0 MB  application/x-tar  /get")


async def test_ctrl_c_cancels_a_file_and_not_the_chat(
    daemon: Daemon, at: MakeTerminal, tmp_path: Path
) -> None:
    alice, _ = await two_in_a_room(daemon, at)
    (tmp_path / "core.tar").touch()
    await daemon.kill()
    await alice.prompts("(offline) #ops>")
    alice.type(f"/send {tmp_path}/core.tar\r")
    await alice.shows("core.tar to #ops  waits")
    alice.type("\x03")
    await alice.shows("Ctrl+C again cancels core.tar")
    alice.type("\x03")
    await alice.shows("core.tar to #ops was cancelled")
    await daemon.start()
    await alice.shows("back online")
    alice.type("/files\r")
    await alice.shows("no files in #ops")
