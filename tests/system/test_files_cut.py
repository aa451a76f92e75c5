"""Transfers over a link that is cut, and processes that die at the worst moments."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from tests.fakes.raw_client import Json, RawClient
from tests.helpers import (
    eventually,
    get_file,
    logged_in,
    put_file,
    send_rest,
    sha256_of,
    upload_of,
)
from tests.system.daemon import Daemon
from tests.system.proxy import Trouble
from tests.system.transfers import (
    KILLED,
    Link,
    RetryingUser,
    check,
    contents_of,
    dying_at,
    files_in,
    files_of,
    incoming_of,
    retrying_users,
    trouble_in,
    until,
)

pytestmark = pytest.mark.system

ROOM = "#files"
CUTS = 5
LARGE = 64 << 20
CREEPING = Trouble(max_delay=0.1, min_delay=0.1, max_piece=16_384)
"""Some 160 kB/s for each connection: not over before something else has happened."""
DATA = os.urandom(3_000_000)


@pytest.fixture
async def daemon(make_daemon: Callable[..., Daemon]) -> Daemon:
    asyncio.get_running_loop().set_debug(False)
    return await make_daemon({"files": {"free_bytes": 0}}).start()


@pytest.fixture
async def link(daemon: Daemon) -> AsyncIterator[Link]:
    """The network between the users and the daemon."""
    async with Link(daemon.tls, Trouble(), seed=0) as found:
        yield found


@pytest.fixture
async def alice(
    daemon: Daemon, link: Link, tmp_path: Path
) -> AsyncIterator[RetryingUser]:
    async with retrying_users(daemon, tmp_path, ROOM, "alice", link=link) as (person,):
        yield person


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "core.tar"
    path.write_bytes(DATA)
    return path


async def stored_files(daemon: Daemon) -> list[Json]:
    """Return the files of the room."""
    async with await RawClient.connect(daemon.tcp) as client:
        await client.login("alice", sync="none")
        return await files_of(client, ROOM)


async def check_one_is_stored(daemon: Daemon, data: bytes = DATA) -> None:
    """Check that a file is in the room once, and nothing else is on the disk."""
    (stored,) = await stored_files(daemon)
    assert stored["file"]["sha256"] == sha256_of(data)
    assert contents_of(daemon) == {sha256_of(data)}
    await eventually(lambda: incoming_of(daemon) == [], "an upload stays")


def cut_often(link: Link, size: int) -> None:
    """Cut the link five times while so many bytes cross it, from now on."""
    link.passed = link.cuts = 0
    link.cuts_at = [size * n // (CUTS + 1) for n in range(1, CUTS + 1)]


# The link -----------------------------------------------------------------------------


async def test_a_large_file_goes_both_ways_over_a_link_that_is_cut_five_times(
    daemon: Daemon, link: Link, alice: RetryingUser, source: Path
) -> None:
    data = os.urandom(LARGE)
    await asyncio.to_thread(source.write_bytes, data)
    target = source.with_name("got")
    for command in (
        ("send", ROOM, "--file", str(source)),
        ("get", ROOM, source.name, "-o", str(target)),
    ):
        cut_often(link, LARGE)
        outcome = await alice.attempt(*command)
        assert (outcome.status, trouble_in(outcome)) == (0, [])
        # Each loss and return of the connection is reported, in two lines.
        assert len(outcome.errors.splitlines()) <= 2 * CUTS
        assert link.cuts_at == []
        assert link.passed < 1.3 * LARGE, "it was begun anew"
    assert target.read_bytes() == data
    assert (alice.journal(), alice.leftovers()) == ([], [])
    await check_one_is_stored(daemon, data)


async def test_standard_input_and_output_survive_a_link_that_is_cut_five_times(
    daemon: Daemon, link: Link, alice: RetryingUser
) -> None:
    cut_often(link, len(DATA))
    source = ("--file", "-", "--name", "db.sql")
    outcome = await alice.attempt("send", ROOM, *source, given=DATA)
    assert (outcome.status, trouble_in(outcome), link.cuts_at) == (0, [], [])
    cut_often(link, len(DATA))
    outcome = await alice.attempt("get", ROOM, "db.sql", "-o", "-")
    assert (outcome.status, trouble_in(outcome), link.cuts_at) == (0, [], [])
    assert outcome.out == DATA
    assert (alice.journal(), alice.leftovers()) == ([], [])
    await check_one_is_stored(daemon)


# A daemon that dies -------------------------------------------------------------------

DEATHS_OF_THE_DAEMON = [
    ("chatd.store.disk.receiving", "Upload.seal"),
    ("chatd.core.files.sealing", "Sealer._append"),
    ("chatd.store.disk.blobs", "DiskBlobs.discard"),
]
"""Before a content has its name; then before, and after, its entry is in the log."""


async def let_die(daemon: Daemon, environment: dict[str, str], request: Json) -> None:
    """Upload DATA to a daemon that dies of it, and restart the daemon without that."""
    with pytest.MonkeyPatch.context() as patched:
        for name, value in environment.items():
            patched.setenv(name, value)
        await daemon.restart()
    async with await RawClient.connect(daemon.tcp) as client:
        await client.login("alice")
        answer = await client.ask("upload", **request)
        with pytest.raises((EOFError, ConnectionError)):
            await send_rest(daemon.tcp, answer["ticket"], DATA)
    assert await daemon.wait() == KILLED
    await daemon.start()


@pytest.mark.parametrize("death", DEATHS_OF_THE_DAEMON)
async def test_a_daemon_that_dies_while_it_stores_a_file_stores_it_once(
    daemon: Daemon, tmp_path: Path, death: tuple[str, str]
) -> None:
    async with logged_in(daemon.tcp, "alice") as (alice,):
        await alice.ask("create", room=ROOM)
    request = upload_of(ROOM, DATA)
    await let_die(daemon, dying_at(tmp_path / "doom", *death), request)
    async with await RawClient.connect(daemon.tcp) as alice:
        await alice.login("alice")
        answer = await alice.ask("upload", **request)
        if answer["type"] == "upload":
            assert answer["offset"] == len(DATA)
            answer = await send_rest(daemon.tcp, answer["ticket"], b"")
        assert await get_file(alice, daemon.tcp, answer["file"]) == DATA
        assert [m["kind"] for m in await alice.log(ROOM)] == ["create", "file"]
    await check_one_is_stored(daemon)
    assert await daemon.terminate() == 0
    assert "left over" not in await check(daemon)


@pytest.mark.parametrize("death", DEATHS_OF_THE_DAEMON[:2])
async def test_nothing_is_left_of_what_is_given_up_after_the_daemon_died(
    daemon: Daemon, tmp_path: Path, death: tuple[str, str]
) -> None:
    async with logged_in(daemon.tcp, "alice") as (alice,):
        await put_file(alice, daemon.tcp, "@alice", b"another")
    request = upload_of("@alice", DATA)
    await let_die(daemon, dying_at(tmp_path / "doom", *death), request)
    async with await RawClient.connect(daemon.tcp) as alice:
        await alice.login("alice")
        answer = await alice.ask("upload", **request)
        await alice.ask("cancel_upload", file=answer["file"])
    await eventually(
        lambda: contents_of(daemon) == {sha256_of(b"another")}, "the content stays"
    )
    assert incoming_of(daemon) == []
    assert await daemon.terminate() == 0
    assert "files: 1 content, 7 bytes: ok" in await check(daemon)


# A client that dies -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("death", "is_written_down"),
    [
        (("client.transfers.journal", "Journal.add"), False),
        (("client.transfers.job", "Job._keep"), True),
        (("client.transfers.upload", "open_data"), True),
        (("client.transfers.upload_connection", "UploadConnection.send"), True),
        (("client.transfers.journal", "Journal.remove"), True),
    ],
)
async def test_a_send_that_dies_and_is_given_again_sends_once(
    daemon: Daemon,
    alice: RetryingUser,
    source: Path,
    death: tuple[str, str],
    is_written_down: bool,
) -> None:
    command = ("send", ROOM, "--file", str(source))
    doom = dying_at(source.with_name("doom"), *death)
    assert (await alice.attempt(*command, **doom)).status == KILLED
    assert len(alice.journal()) == is_written_down
    assert (await alice.attempt(*command)).status == 0
    assert (alice.journal(), alice.leftovers()) == ([], [])
    await check_one_is_stored(daemon)


@pytest.mark.parametrize("is_over", [False, True])
async def test_a_send_that_dies_and_another_command_goes_on_with_is_sent_once(
    daemon: Daemon, link: Link, alice: RetryingUser, source: Path, is_over: bool
) -> None:
    command = ("send", ROOM, "--file", str(source))
    doom = dying_at(
        source.with_name("doom"),
        "client.transfers.upload_connection",
        "UploadConnection.send",
    )
    assert (await alice.attempt(*command, **doom)).status == KILLED
    # The command that resumes it keeps running; unless the send is to be over by then,
    # its connection is slow.
    link.trouble = Trouble() if is_over else CREEPING
    other = await alice.start("tail", ROOM, "-n", "0")
    if is_over:
        await until(lambda: not alice.journal(), "nobody goes on with it")
    else:
        await until(lambda: incoming_of(daemon) != [], "nobody goes on with it")
    link.trouble = Trouble()
    outcome = await alice.attempt(*command)
    assert (outcome.status, outcome.errors) == (0, "")
    # If it still belonged to the other command, it would be sent again from there.
    link.cut_all()
    await alice.attempt("send", ROOM, "that was it")
    assert other.returncode is None
    other.send_signal(signal.SIGINT)
    await other.communicate()
    assert (alice.journal(), alice.leftovers()) == ([], [])
    await check_one_is_stored(daemon)


@pytest.mark.parametrize("is_copied", [True, False])
async def test_a_stream_is_sent_by_the_next_command_once_it_was_copied(
    daemon: Daemon, alice: RetryingUser, tmp_path: Path, is_copied: bool
) -> None:
    command = ("send", ROOM, "--file", "-", "--name", "db.sql")
    module, name = "upload", "open_data"
    if not is_copied:
        module, name = "stream_copy", "StreamCopy.finish"
    doom = dying_at(tmp_path / "doom", f"client.transfers.{module}", name)
    assert (await alice.attempt(*command, given=DATA, **doom)).status == KILLED
    assert len(files_in(alice.home / "state" / "spool")) == 1
    await alice.finish(ROOM)
    assert (alice.journal(), alice.leftovers()) == ([], [])
    if is_copied:
        await check_one_is_stored(daemon)
    else:
        assert await stored_files(daemon) == []


@pytest.mark.parametrize(
    ("death", "is_named"),
    [
        (("client.transfers.download", "open_data"), False),
        (("client.transfers.partial_file", "PartialFile.finish"), False),
        (("client.transfers.partial_file", "sync_folder"), True),
        (("client.transfers.download", "remove"), True),
        (("client.transfers.journal", "Journal.remove"), True),
    ],
)
async def test_a_get_that_dies_and_is_given_again_saves_once(
    daemon: Daemon,
    alice: RetryingUser,
    source: Path,
    death: tuple[str, str],
    is_named: bool,
) -> None:
    assert (await alice.attempt("send", ROOM, "--file", str(source))).status == 0
    folder = source.with_name("got")
    folder.mkdir()
    target = folder / "core.tar"
    command = ("get", ROOM, source.name, "-o", str(target))
    doom = dying_at(source.with_name("doom"), *death)
    assert (await alice.attempt(*command, **doom)).status == KILLED
    assert target.exists() == is_named
    assert len(alice.journal()) == 1
    again = await alice.attempt(*command)
    if is_named:
        # It was complete, and a repeated command reports so.
        assert again.status == 1
        assert "is there already" in again.errors
    else:
        assert (again.status, trouble_in(again)) == (0, [])
    await alice.finish(ROOM)
    assert (alice.journal(), alice.leftovers()) == ([], [])
    assert files_in(folder) == [target]
    assert target.read_bytes() == DATA


async def test_a_get_to_the_output_that_dies_is_not_gone_on_with(
    link: Link, alice: RetryingUser, source: Path
) -> None:
    assert (await alice.attempt("send", ROOM, "--file", str(source))).status == 0
    printed = alice.home / "cache" / "get"
    link.trouble = CREEPING
    command = ("get", ROOM, source.name, "-o", "-")
    getting = asyncio.create_task(alice.attempt(*command))
    await until(lambda: any(printed.rglob("*.part")), "it is not fetched")
    assert alice.kill()
    assert (await getting).status == KILLED
    assert alice.journal() == []
    link.trouble = Trouble()
    # Any command of the same account removes what no process reads any more.
    link.passed = 0
    assert (await alice.attempt("send", ROOM, "again")).status == 0
    assert link.passed < len(DATA) // 2
    assert (alice.leftovers(), files_in(printed)) == ([], [])
