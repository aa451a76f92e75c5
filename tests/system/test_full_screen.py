"""The full screen of two users with the real daemon: chat, resizes, kills, cuts."""

import asyncio
import os
import random
import re
import signal
import termios
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from tests.fakes.raw_client import RawClient
from tests.helpers import logged_in
from tests.system.daemon import Daemon
from tests.system.full_screen import (
    FullScreen,
    MakeFullScreen,
    register,
    starter,
    two_in_a_room,
)
from tests.system.proxy import Proxy, Trouble

pytestmark = pytest.mark.system

F1, F4 = "\x1bOP", "\x1bOS"
FOCUS_IN, FOCUS_OUT = "\x1b[I", "\x1b[O"


@pytest.fixture
async def daemon(make_daemon: Callable[..., Daemon]) -> Daemon:
    return await make_daemon().start()


@pytest.fixture
def at(daemon: Daemon, tmp_path: Path) -> Iterator[MakeFullScreen]:
    """Start ``chat`` for a user at a new terminal."""
    made: list[FullScreen] = []
    yield starter(daemon, tmp_path, made)
    for terminal in made:
        terminal.close()


@pytest.fixture
async def eve(daemon: Daemon) -> AsyncIterator[RawClient]:
    """A user whose client is not ours."""
    async with logged_in(daemon.tcp, "eve") as (client,):
        yield client


# Chatting -----------------------------------------------------------------------------


async def test_two_people_chat_and_each_window_shows_what_fits(
    daemon: Daemon, at: MakeFullScreen
) -> None:
    alice, bob = await two_in_a_room(daemon, at)
    assert len(alice.borders) == 1
    await bob.until(lambda: len(bob.borders) == 2)
    for screen in (alice, bob):
        assert screen.header.startswith(" #ops  Deploy freeze until Friday")
        await screen.until(lambda s=screen: "2 here" in s.header)  # type: ignore[misc]

    alice.type("half a sent")
    await alice.holds("half a sent")
    for number in range(30):
        bob.type(f"message {number}\r")
        await bob.says(f"message {number}")
    await alice.says("message 29")
    await alice.holds("half a sent")
    alice.type("ence for @bob\r")
    await bob.says("alice      half a sentence for @bob")
    (row,) = (row for row in bob.timeline if "half a sentence" in row)
    assert row.startswith("!")
    await alice.holds("message to #ops")


async def test_what_is_elsewhere_is_marked_and_gone_to_with_a_key(
    daemon: Daemon, at: MakeFullScreen
) -> None:
    alice, bob = await two_in_a_room(daemon, at)
    bob.type("/msg @alice psst\r")
    await alice.until(lambda: alice.frame[1].startswith("! @bob"))
    await alice.until(lambda: alice.titles == ["mine", "(1) #ops - chat"])
    alice.type("\x1ba")
    await alice.says("psst")
    assert alice.header.startswith(" @bob")
    await alice.until(lambda: "> @bob" in "\n".join(alice.frame))
    await alice.until(lambda: alice.titles == ["mine", "@bob - chat"])


async def test_what_comes_while_the_terminal_has_no_focus_stays_unread(
    daemon: Daemon, at: MakeFullScreen
) -> None:
    alice, bob = await two_in_a_room(daemon, at)
    alice.type(FOCUS_OUT)
    bob.type("anybody there, @alice?\r")
    await alice.until(lambda: alice.titles[-1] == "(1) #ops - chat")
    await alice.until(lambda: alice.bells == 1)
    alice.type(FOCUS_IN)
    await alice.until(lambda: alice.titles[-1] == "#ops - chat")
    await alice.holds("message to #ops")
    assert alice.bells == 1


async def test_a_file_is_sent_and_fetched_without_leaving_the_chat(
    daemon: Daemon, at: MakeFullScreen, tmp_path: Path
) -> None:
    alice, bob = await two_in_a_room(daemon, at)
    path = tmp_path / "my core.tar"
    path.write_bytes(os.urandom(3_000_000))
    alice.type(f"/send {tmp_path}/my\t")
    await alice.until(lambda: alice.typed.replace("\n", "").endswith("my core.tar"))
    alice.type("\r")
    await bob.says("my core.tar  3.0 MB  application/x-tar  /get")
    bob.type("/get my\t\r")
    await bob.says("saved to")
    assert (tmp_path / "bob/downloads/my core.tar").read_bytes() == path.read_bytes()


# The window ---------------------------------------------------------------------------


async def test_a_storm_of_sizes_leaves_the_screen_whole(
    daemon: Daemon, at: MakeFullScreen, eve: RawClient
) -> None:
    alice, bob = await two_in_a_room(daemon, at)
    await eve.ask("join", room="#ops")
    alice.type("half typed")
    await alice.holds("half typed")
    dice = random.Random(4)
    for number in range(60):
        columns, rows = dice.randint(2, 200), dice.randint(1, 60)
        alice.resize(columns, rows)
        bob.resize(rows + 20, columns // 4 + 1)
        await eve.say("#ops", f"storm {number} " + "of sizes " * dice.randint(0, 20))
    alice.resize(80, 24)
    bob.resize(120, 40)
    for screen in (alice, bob):
        await screen.says("storm 59")
        await screen.until(lambda s=screen: len(s.borders) > 0)  # type: ignore[misc]
    await bob.until(lambda: len(bob.borders) == 2)
    # A key is answered by a frame of its own, so those before it are there whole.
    alice.type("!")
    await alice.holds("half typed!")
    bob.type("whole")
    await bob.holds("whole")

    # The present screen must equal a full redraw.
    for screen in (alice, bob):
        shown = screen.frame
        drawn = screen.transcript.count("\x1b[2J")
        screen.type("\x0c")
        await screen.until(
            lambda s=screen, d=drawn: s.transcript.count("\x1b[2J") > d  # type: ignore[misc]
        )
        await screen.until(lambda s=screen, f=shown: s.frame == f)  # type: ignore[misc]


@pytest.mark.parametrize("size", [(60, 15), (40, 8), (20, 5)])
async def test_a_small_window_is_usable(
    size: tuple[int, int], daemon: Daemon, at: MakeFullScreen, eve: RawClient
) -> None:
    await register(daemon, "alice")
    await eve.ask("create", room="#ops")
    columns, rows = size
    alice = at("alice", columns=columns, rows=rows)
    await alice.is_online()
    alice.type("/join #ops\r")
    await alice.until(lambda: "#ops" in alice.header)
    await eve.say("#ops", "hello")
    await alice.says("hello")
    alice.type("yes")
    await alice.holds("yes")
    alice.type("\r")
    await eve.expect("message", text="yes", chat="#ops")


# Kills --------------------------------------------------------------------------------


async def test_a_restart_of_the_daemon_shows_in_the_status_line_alone(
    daemon: Daemon, at: MakeFullScreen
) -> None:
    alice, bob = await two_in_a_room(daemon, at)
    alice.type("half typed")
    await alice.holds("half typed")
    await bob.until(lambda: "2 here" in bob.header and len(bob.borders) == 2)
    screens = (alice, bob)
    before = [screen.around for screen in screens]
    await daemon.kill()
    for screen in screens:
        await screen.is_offline()
    await daemon.start()
    for screen, around in zip(screens, before, strict=True):
        await screen.is_online()
        await screen.until(lambda s=screen, a=around: s.around == a)  # type: ignore[misc]


async def test_what_is_written_while_the_daemon_is_killed_arrives_once_and_in_order(
    daemon: Daemon, at: MakeFullScreen
) -> None:
    alice, bob = await two_in_a_room(daemon, at)
    before = alice.timeline
    await daemon.kill()
    await alice.is_offline()
    for number in range(3):
        alice.type(f"offline {number}\r")
        await alice.says(f"offline {number}")
    await alice.until(lambda: "~ 3 waiting" in alice.status)
    waiting = [row for row in alice.timeline if "offline" in row]
    assert [row[0] for row in waiting] == ["~", "~", "~"]
    await daemon.start()
    await bob.says("offline 2")
    assert [row[-1] for row in bob.timeline if "offline" in row] == ["0", "1", "2"]
    await alice.until(lambda: "waiting" not in alice.status)
    sent = [row for row in alice.timeline if "offline" in row]
    assert [row[0] for row in sent] == [" ", " ", " "]
    assert [row for row in alice.timeline if row not in sent] == before


async def test_what_was_written_and_what_was_begun_survive_a_kill_of_the_client(
    daemon: Daemon, at: MakeFullScreen
) -> None:
    alice, bob = await two_in_a_room(daemon, at)
    await daemon.kill()
    await alice.is_offline()
    alice.type("from beyond\r")
    await alice.says("from beyond")
    draft = "half a thought,\nand a second line"
    alice.type(draft.replace("\n", "\x1b\r"))
    await alice.holds(draft)
    drafts = alice.home / "state" / "drafts"
    await alice.until(
        lambda: any("second line" in f.read_text() for f in drafts.rglob("*.json"))
    )
    alice.kill(signal.SIGKILL)
    await alice.until(lambda: not alice.child.isalive())

    again = at("alice")
    await again.says("from beyond")
    (row,) = (row for row in again.timeline if "from beyond" in row)
    assert row.startswith("~")
    await again.holds(draft)
    await daemon.start()
    await bob.says("alice      from beyond")
    await again.until(lambda: not any(row[0] == "~" for row in again.timeline))
    await again.holds(draft)
    assert sum("from beyond" in row for row in bob.timeline) == 1


# A slow network -----------------------------------------------------------------------


async def test_nothing_waits_for_the_network_before_it_is_painted(
    daemon: Daemon, at: MakeFullScreen, eve: RawClient
) -> None:
    await register(daemon, "alice")
    await eve.ask("create", room="#ops")
    slow = Trouble(min_delay=0.2, max_delay=0.2)
    async with Proxy(daemon.tls, slow, seed=1) as proxy:
        alice = at("alice", through=proxy.address)
        await alice.is_online()
        alice.type("/join #ops\r")
        await alice.says("alice joined")
        await eve.say("#ops", "hello")
        await alice.says("hello")
        await alice.until(lambda: bool(re.match(r" online \d{3,} ms", alice.status)))

        # What is shown from here on has not crossed the network.
        proxy.is_open.clear()
        for number in range(1, 11):
            alice.type("half typed"[number - 1])
            await alice.holds("half typed"[:number].rstrip())
        alice.type("\r")
        await alice.says("half typed")
        alice.type("/query @eve\r")
        await alice.until(lambda: alice.header.startswith(" @eve"))
        alice.type("psst\r")
        await alice.says("psst")
        alice.type("\x1b/")
        await alice.until(lambda: alice.header.startswith(" #ops"))
        alice.type(F1)
        await alice.until(lambda: "Help" in "\n".join(alice.frame))
        alice.type(F1)
        await alice.until(lambda: "Help" not in "\n".join(alice.frame))
        assert "half typed" not in str(await eve.drain())

        proxy.is_open.set()
        await eve.expect("message", text="half typed", chat="#ops")
        await eve.expect("message", text="psst", chat="@alice")


# Leaving ------------------------------------------------------------------------------

LEAVE: dict[str, Callable[[FullScreen], object]] = {
    "/quit": lambda screen: screen.type("/quit\r"),
    "Ctrl+D": lambda screen: screen.type("\x04"),
    "Ctrl+C twice": lambda screen: screen.type("\x03\x03"),
    "SIGTERM": lambda screen: screen.kill(signal.SIGTERM),
    "SIGHUP": lambda screen: screen.kill(signal.SIGHUP),
}


@pytest.mark.parametrize("way", LEAVE)
async def test_the_terminal_is_left_as_it_was(
    way: str, daemon: Daemon, at: MakeFullScreen, eve: RawClient
) -> None:
    await register(daemon, "alice")
    await eve.ask("create", room="#ops")
    alice = at("alice")
    discipline = termios.tcgetattr(alice.child.child_fd)
    await alice.is_online()
    alice.type("/join #ops\r")
    await alice.says("alice joined")
    alice.type(F4)
    await alice.until(lambda: alice.modes.get(1000, False))
    await alice.until(lambda: alice.titles == ["mine", "#ops - chat"])
    assert alice.modes[1049]
    assert alice.modes[1004]
    assert alice.modes[2004]
    LEAVE[way](alice)
    assert await alice.ended() == 0
    on = {mode for mode, is_on in alice.modes.items() if is_on}
    assert on == {7, 25}  # long lines wrap, and the cursor is shown
    assert alice.titles == ["mine"]
    assert not alice.transcript.endswith("\x1b")
    assert termios.tcgetattr(alice.child.child_fd) == discipline


async def test_an_editor_has_the_terminal_to_itself_and_sends_nothing(
    daemon: Daemon, at: MakeFullScreen, eve: RawClient, tmp_path: Path
) -> None:
    await register(daemon, "alice")
    await eve.ask("create", room="#ops")
    go_on = tmp_path / "go_on"
    editor = tmp_path / "an editor"
    editor.write_text(
        "#!/bin/sh\necho this is the editor\n"
        f"until [ -e '{go_on}' ]; do sleep 0.02; done\n"
        'tr a-z A-Z <"$1" >"$1.new" && cat "$1.new" >"$1" && rm "$1.new"\n'
    )
    editor.chmod(0o755)
    alice = at("alice", EDITOR=f"'{editor}'")
    await alice.is_online()
    alice.type("/join #ops\r")
    await alice.says("alice joined")
    alice.type(F4 + "half typed")
    await alice.holds("half typed")
    alice.type("\x18\x05")
    await alice.until(lambda: "this is the editor" in "\n".join(alice.frame))
    on = {mode for mode, is_on in alice.modes.items() if is_on}
    assert on == {7, 25}
    await eve.say("#ops", "meanwhile")
    go_on.touch()
    await alice.says("meanwhile")
    await alice.holds("HALF TYPED")
    assert alice.modes[1049]
    alice.type("\r")
    await eve.expect("message", text="HALF TYPED", chat="#ops")


async def test_a_login_that_is_refused_is_told_on_the_usual_screen(
    daemon: Daemon, at: MakeFullScreen
) -> None:
    await register(daemon, "alice")
    alice = at("alice")
    await alice.is_online()
    for file in (daemon.data / "tls").iterdir():
        file.unlink()
    await daemon.restart()
    assert await alice.ended() == 1
    assert not alice.modes[1049]
    after = alice.transcript.rpartition("\x1b[?1049l")[2]
    assert "has changed, so nothing was sent to it" in after


async def test_help_shows_every_key_and_goes_away_again(
    daemon: Daemon, at: MakeFullScreen
) -> None:
    alice, _ = await two_in_a_room(daemon, at)
    shown = alice.frame
    alice.type(F1)
    await alice.until(lambda: "Help" in "\n".join(alice.frame))
    alice.type("your name")
    await alice.until(lambda: "Alt+N" in "\n".join(alice.frame))
    alice.type(F1)
    await alice.until(lambda: alice.frame == shown)


async def test_two_clients_of_one_person_agree_on_what_is_read(
    daemon: Daemon, at: MakeFullScreen, eve: RawClient
) -> None:
    await register(daemon, "alice")
    await eve.ask("create", room="#ops")
    first = at("alice")
    await first.is_online()
    first.type("/join #ops\r")
    await first.says("alice joined")
    second = at("alice", columns=120, rows=40)
    await second.is_online()
    await second.says("alice joined")
    second.type("/query @alice\r")
    await second.until(lambda: second.header.startswith(" @alice"))
    first.type(FOCUS_OUT)
    await eve.say("#ops", "unread on both")
    for screen in (first, second):
        await screen.until(lambda s=screen: s.titles[-1].startswith("*"))  # type: ignore[misc]
    await asyncio.sleep(0)
    first.type(FOCUS_IN)
    await second.until(lambda: second.titles[-1] == "@alice - chat")
