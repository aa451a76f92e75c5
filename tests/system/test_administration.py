"""The admin commands beside the running daemon, and their effect on its users."""

import asyncio
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fakes.raw_client import PASSWORD, DataLine, RawClient
from tests.helpers import get_file, logged_in, put_file, sha256_of, texts, upload_of
from tests.system.daemon import Daemon

pytestmark = pytest.mark.system


async def run(daemon: Daemon, *arguments: str, status: int = 0) -> str:
    """Run a command of ``chatd``; return what it printed; check its exit status."""
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
    assert process.returncode == status, output.decode()
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


# Files ------------------------------------------------------------------------------


def place_of(data: Path, content: bytes) -> Path:
    sha256 = sha256_of(content)
    return data / "blobs" / sha256[:2] / sha256


async def test_files_are_fetched_from_a_restored_daemon_as_they_were_sent(
    make_daemon: Callable[..., Daemon], tmp_path: Path
) -> None:
    daemon = await make_daemon().start()
    backups = tmp_path / "backups"
    backups.mkdir()
    first, second = os.urandom(1 << 20), os.urandom(1 << 20)
    async with logged_in(daemon.tcp, "alice") as (alice,):
        one = await put_file(alice, daemon.tcp, "@alice", first)
        await run(daemon, "backup", str(backups / "monday"))
        two = await put_file(alice, daemon.tcp, "@alice", second)
        half = await alice.ask("upload", **upload_of("@alice", b"half"))
        said = await run(daemon, "backup", str(backups / "tuesday"))
        assert "copied 1 content (1048576 bytes), 1 content (1048576 bytes)" in said
        assert " there already\n" in said
    restored = make_daemon()
    said = await run(restored, "restore", str(backups / "tuesday"))
    assert "2 contents of files restored (2097152 bytes)" in said
    await restored.start()
    async with await RawClient.connect(restored.tcp) as alice:
        await alice.login("alice")
        for stored, content in ((one, first), (two, second)):
            assert await get_file(alice, restored.tcp, stored["file"]) == content
        # An upload that was not complete is not promised by a backup.
        code = await alice.refusal("cancel_upload", file=half["file"])
        assert code == "no_such_message"
        (page,) = [await alice.ask("files", chat="@alice")]
        assert [item["seq"] for item in page["files"]] == [two["seq"], one["seq"]]
    assert await restored.terminate() == 0


async def test_damaged_files_are_named_and_sent_again_are_whole(
    make_daemon: Callable[..., Daemon], tmp_path: Path
) -> None:
    daemon = await make_daemon().start()
    async with logged_in(daemon.tcp, "alice") as (alice,):
        stored = await put_file(alice, daemon.tcp, "@alice", b"content", "core.tar")
        place_of(daemon.data, b"content").write_bytes(b"CONTENT")
        said = await run(daemon, "check", status=1)
        assert "'core.tar' of alice in a note to self" in said
        assert "1 problem found" in said
        said = await run(daemon, "backup", str(tmp_path / "b.tar"), status=1)
        assert "'core.tar' of alice in a note to self is damaged" in said
        assert (tmp_path / "b.tar").exists()
        await put_file(alice, daemon.tcp, "@alice", b"content")
        await run(daemon, "check")
        assert await get_file(alice, daemon.tcp, stored["file"]) == b"content"


async def test_a_check_of_the_running_daemon_leaves_uploads_alone(
    make_daemon: Callable[..., Daemon],
) -> None:
    daemon = await make_daemon().start()
    content = os.urandom(3 << 20)
    async with logged_in(daemon.tcp, "alice") as (alice,):
        wanted = upload_of("@alice", content)
        begun = await alice.ask("upload", **wanted)
        async with await DataLine.begin(daemon.tcp, begun["ticket"]) as line:
            line.send(content[: 2 << 20])
            await run(daemon, "check")
            line.send(content[2 << 20 :])
            stored = await line.message()
        assert stored["type"] == "stored"
        unused = place_of(daemon.data, b"unused")
        unused.parent.mkdir(exist_ok=True)
        unused.write_bytes(b"unused")
        said = await run(daemon, "check")
        assert "files: 1 content, 3145728 bytes; 1 left over was removed: ok" in said
        assert not unused.exists()
        assert await get_file(alice, daemon.tcp, stored["file"]) == content


async def test_old_backups_are_pruned_and_a_hole_refuses_to_be_restored(
    make_daemon: Callable[..., Daemon], tmp_path: Path
) -> None:
    daemon = await make_daemon().start()
    backups = tmp_path / "backups"
    backups.mkdir()
    async with logged_in(daemon.tcp, "alice") as (alice,):
        await put_file(alice, daemon.tcp, "@alice", b"content", "core.tar")
        await run(daemon, "backup", str(backups / "monday"))
    place_of(backups, b"old").parent.mkdir(exist_ok=True)
    place_of(backups, b"old").write_bytes(b"old")
    said = await run(daemon, "prune", str(backups))
    assert "1 content removed (3 bytes), 1 content of 1 backup kept" in said
    place_of(backups, b"content").unlink()
    restored = make_daemon()
    said = await run(restored, "restore", str(backups / "monday"), status=2)
    assert "'core.tar' of alice in a note to self is missing" in said
    said = await run(
        restored, "restore", "--incomplete", str(backups / "monday"), status=1
    )
    assert "is as it was at" in said
    assert "1 content of files missing" in said
    await restored.start()
    async with await RawClient.connect(restored.tcp) as alice:
        await alice.login("alice")
        assert [m["kind"] for m in await alice.log("@alice")] == ["file"]
