"""The admin commands (chatd.admin), through the admin socket and without a daemon."""

import asyncio
import contextlib
import json
import struct
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from chatd.accounts.accounts import Accounts
from chatd.accounts.settings import wall_clock_ms
from chatd.admin import client as admin_client
from chatd.admin import commands
from chatd.admin.administration import Administration
from chatd.admin.client import AdminError, NoDaemonError, ask_daemon, carry_out
from chatd.backup.backup import BackupReport
from chatd.backup.contents import content_path
from chatd.core.files.sweep import Sweeper
from chatd.core.signals import Signals, UserEnded
from chatd.listeners.admin import MAX_COMMAND_BYTES, AdminListener
from chatd.protocol.errors import AuthFailedError, UnavailableError
from chatd.settings.config import Settings, load_config
from chatd.settings.data_folder import DataFolder, DataFolderError
from chatd.settings.tls import load_tls
from chatd.store.disk import DiskBlobs
from chatd.store.sqlite import SqliteStore
from tests.helpers import sha256_of
from tests.service.stored_files import begin_upload, store_file

PASSWORD = "correct horse"
Ended = list[tuple[str, str, str | None]]


def settings_in(folder: Path, text: str = "") -> Settings:
    path = folder / "config.toml"
    path.write_text(f"[accounts]\niterations = 4096\n{text}")
    return load_config(path)


class Daemon:
    """The parts of a daemon that the admin socket needs."""

    def __init__(
        self,
        settings: Settings,
        accounts: Accounts,
        store: SqliteStore,
        blobs: DiskBlobs,
        ended: Ended,
    ) -> None:
        self.settings = settings
        self.accounts = accounts
        self.store = store
        self.blobs = blobs
        self.ended = ended

    async def ask(self, command: commands.AnyCommand) -> Any:
        return await ask_daemon(self.settings.admin_socket, command)

    async def add(self, name: str) -> None:
        await self.ask(commands.AddUser(name, PASSWORD))

    async def raw(self, data: bytes) -> list[Any]:
        """Send bytes and return every reply until the end of stream."""
        path = str(self.settings.admin_socket)
        reader, writer = await asyncio.open_unix_connection(path)
        with contextlib.suppress(ConnectionError):
            writer.write(data)
            writer.write_eof()
        received = await reader.read()
        writer.close()
        await writer.wait_closed()
        replies = []
        while received:
            (length,) = struct.unpack_from(">I", received)
            replies.append(json.loads(received[4 : 4 + length]))
            received = received[4 + length :]
        return replies


@contextlib.asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Daemon]:
    ended: Ended = []
    with DataFolder.open(settings.data) as folder:
        tls = load_tls(folder.path, settings.tls)
        store = await SqliteStore.open(folder.database)
        blobs = DiskBlobs(folder.blobs)
        accounts = await Accounts.open(folder.path, store, settings.accounts)
        signals = Signals()
        signals.subscribe(
            UserEnded, lambda how: ended.append((how.user, how.code, how.login))
        )
        administration = Administration(
            folder.path,
            accounts,
            store,
            blobs,
            Sweeper(store, blobs, wall_clock_ms),
            settings,
            tls.fingerprint,
            signals=signals,
        )
        listener = await AdminListener.open(administration, folder.admin_socket)
        try:
            yield Daemon(settings, accounts, store, blobs, ended)
        finally:
            await listener.close()
            await accounts.close()
            await blobs.close()
            await store.close()


@pytest.fixture
async def daemon(tmp_path: Path) -> AsyncIterator[Daemon]:
    async with running(settings_in(tmp_path)) as daemon:
        yield daemon


def framed(body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + body


# Users ------------------------------------------------------------------------------


async def test_an_added_user_can_log_in(daemon: Daemon) -> None:
    assert await daemon.ask(commands.AddUser("Alice", PASSWORD)) == "alice"
    assert await daemon.accounts.check_password("alice", PASSWORD, None) == "alice"


async def test_users_are_listed_with_role_and_state_and_without_secrets(
    daemon: Daemon,
) -> None:
    await daemon.ask(commands.AddUser("alice", PASSWORD, admin=True))
    await daemon.add("bob")
    await daemon.ask(commands.DisableUser("bob"))
    alice, bob = await daemon.ask(commands.ListUsers())
    assert (alice["role"], bob["role"]) == ("admin", "member")
    assert (alice["disabled"], bob["disabled"]) == (False, True)
    assert set(alice) == {"name", "role", "created", "disabled"}


async def test_a_refusal_keeps_its_reason(daemon: Daemon) -> None:
    await daemon.add("alice")
    with pytest.raises(AdminError, match="'alice' is taken"):
        await daemon.add("ALICE")
    with pytest.raises(AdminError, match="at least 8"):
        await daemon.ask(commands.AddUser("bob", "short"))


@pytest.mark.parametrize(
    "command",
    [
        commands.SetPassword("nobody", PASSWORD),
        commands.DisableUser("nobody"),
        commands.EnableUser("nobody"),
        commands.DeleteUser("no body"),
        commands.ListLogins("nobody"),
        commands.RevokeLogin("nobody", "x"),
    ],
    ids=lambda command: type(command).__name__,
)
async def test_a_user_that_does_not_exist_is_named(
    daemon: Daemon, command: commands.AnyCommand
) -> None:
    with pytest.raises(AdminError, match="there is no user 'no ?body'"):
        await daemon.ask(command)
    assert daemon.ended == []


async def test_a_disabled_user_is_hung_up_on_and_cannot_log_in(daemon: Daemon) -> None:
    await daemon.add("alice")
    await daemon.ask(commands.DisableUser("Alice"))
    assert daemon.ended == [("alice", "disabled", None)]
    with pytest.raises(AuthFailedError):
        await daemon.accounts.check_password("alice", PASSWORD, None)
    await daemon.ask(commands.EnableUser("alice"))
    assert await daemon.accounts.check_password("alice", PASSWORD, None)


async def test_a_new_password_ends_connections_and_logins(daemon: Daemon) -> None:
    await daemon.add("alice")
    await daemon.accounts.issue_token("alice", "laptop", "chat")
    await daemon.ask(commands.SetPassword("alice", "another one"))
    assert daemon.ended == [("alice", "revoked", None)]
    assert await daemon.ask(commands.ListLogins("alice")) == []
    assert await daemon.accounts.check_password("alice", "another one", None)


async def test_a_deleted_users_name_is_never_given_again(daemon: Daemon) -> None:
    await daemon.add("alice")
    await daemon.ask(commands.DeleteUser("alice"))
    assert daemon.ended == [
        ("alice", "disabled", None),
        ("alice", "deleted", None),
    ]
    assert await daemon.ask(commands.ListUsers()) == []
    with pytest.raises(AdminError, match="taken"):
        await daemon.add("alice")


async def test_one_login_can_be_ended(daemon: Daemon) -> None:
    await daemon.add("alice")
    for device in ("laptop", "phone"):
        await daemon.accounts.issue_token("alice", device, "chat 1")
    logins = await daemon.ask(commands.ListLogins("alice"))
    ids = {login["device"]: login["id"] for login in logins}
    await daemon.ask(commands.RevokeLogin("alice", ids["phone"]))
    (left,) = await daemon.ask(commands.ListLogins("alice"))
    assert left["device"] == "laptop"
    assert daemon.ended == [("alice", "revoked", ids["phone"])]


async def test_a_login_that_does_not_exist_is_named(daemon: Daemon) -> None:
    await daemon.add("alice")
    with pytest.raises(AdminError, match="alice has no login 'x'"):
        await daemon.ask(commands.RevokeLogin("alice", "x"))


# Invite codes -----------------------------------------------------------------------


async def test_an_invite_code_is_made_listed_and_ended(daemon: Daemon) -> None:
    made = await daemon.ask(commands.CreateInvite(uses=3, days=1))
    (listed,) = await daemon.ask(commands.ListInvites())
    assert (listed["code"], listed["uses"]) == (made["code"], 3)
    assert listed["expires"] - listed["created"] == pytest.approx(86_400_000, abs=1e4)
    await daemon.ask(commands.RevokeInvite(made["code"]))
    assert await daemon.ask(commands.ListInvites()) == []


async def test_an_invite_for_this_machine_alone_has_no_link(daemon: Daemon) -> None:
    made = await daemon.ask(commands.CreateInvite())
    assert (made["links"], made["expires"]) == ([], None)


async def test_an_invites_link_has_the_servers_fingerprint(tmp_path: Path) -> None:
    text = '[server]\nlisten = ["tls://chat.lab:4747"]'
    settings = settings_in(tmp_path, text)
    made = await carry_out(settings, commands.CreateInvite())
    pin = load_tls(settings.data, settings.tls).fingerprint
    assert made["links"] == [f"chat://chat.lab/?pin={pin}&invite={made['code']}"]


@pytest.mark.parametrize(
    "command",
    [
        commands.CreateInvite(uses=0),
        commands.CreateInvite(uses=10**9),
        commands.CreateInvite(days=0),
        commands.CreateInvite(days=-1),
        commands.CreateInvite(days=1e9),
        commands.RevokeInvite("x"),
    ],
)
async def test_an_impossible_invite_is_refused(
    daemon: Daemon, command: commands.AnyCommand
) -> None:
    with pytest.raises(AdminError, match="invite code"):
        await daemon.ask(command)


# The socket -------------------------------------------------------------------------


async def test_the_socket_is_its_owners_alone(daemon: Daemon) -> None:
    assert daemon.settings.admin_socket.stat().st_mode & 0o777 == 0o600


async def test_the_socket_is_removed_at_the_end(tmp_path: Path) -> None:
    async with running(settings_in(tmp_path)) as daemon:
        path = daemon.settings.admin_socket
        assert path.exists()
    assert not path.exists()
    with pytest.raises(NoDaemonError):
        await daemon.ask(commands.ListUsers())


async def test_a_socket_left_by_a_killed_daemon_is_replaced(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    settings.data.mkdir()
    server = await asyncio.start_unix_server(
        lambda *_: None, str(settings.admin_socket)
    )
    server.close()
    await server.wait_closed()
    settings.admin_socket.touch()
    async with running(settings) as daemon:
        assert await daemon.ask(commands.ListUsers()) == []


@pytest.mark.parametrize(
    "body",
    [
        b"x",
        b"\xff",
        b"[]",
        b"{}",
        b'{"command":"reboot"}',
        b'{"command":"user add","name":"alice"}',
        b'{"command":"user list","extra":1}',
        b'{"command":"user add","name":5,"password":"correct horse"}',
        b"[" * 10_000,
        b'{"command":' * 5_000,
    ],
)
async def test_what_is_no_command_is_refused_and_the_connection_goes_on(
    daemon: Daemon, body: bytes
) -> None:
    good = framed(b'{"command":"user list"}')
    refused, answered = await daemon.raw(framed(body) + good)
    assert refused["error"]["code"] == "bad_request"
    assert answered == {"ok": []}


@pytest.mark.parametrize("length", [0, MAX_COMMAND_BYTES + 1, 2**32 - 1])
async def test_an_impossible_length_ends_the_connection(
    daemon: Daemon, length: int
) -> None:
    (refused,) = await daemon.raw(struct.pack(">I", length))
    assert refused["error"]["code"] == "bad_frame"


async def test_half_a_command_does_nothing(daemon: Daemon) -> None:
    assert await daemon.raw(framed(b'{"command":"user list"}')[:-1]) == []


async def test_closing_does_not_wait_for_a_silent_connection(tmp_path: Path) -> None:
    async with asyncio.timeout(10), running(settings_in(tmp_path)) as daemon:
        path = str(daemon.settings.admin_socket)
        reader, writer = await asyncio.open_unix_connection(path)
        await daemon.ask(commands.ListUsers())
    assert await reader.read() == b""
    writer.close()
    await writer.wait_closed()


async def test_an_error_of_ours_is_logged_and_told_without_detail(
    daemon: Daemon, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Accounts) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(Accounts, "list_users", fail)
    with pytest.raises(AdminError, match="its log says why"):
        await daemon.ask(commands.ListUsers())
    assert "ZeroDivisionError" in caplog.text


async def test_passwords_are_not_logged(
    daemon: Daemon, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    await daemon.add("alice")
    assert "alice" in caplog.text
    assert PASSWORD not in caplog.text


# Without a daemon -------------------------------------------------------------------


async def test_without_a_daemon_the_same_commands_work(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    assert await carry_out(settings, commands.AddUser("Bob", PASSWORD)) == "bob"
    async with running(settings):
        (bob,) = await carry_out(settings, commands.ListUsers())
    assert bob["name"] == "bob"


async def test_a_folder_that_is_locked_without_answering_says_so(
    tmp_path: Path,
) -> None:
    settings = settings_in(tmp_path)
    with (
        DataFolder.open(settings.data),
        pytest.raises(AdminError, match="in use by another chatd .* try again"),
    ):
        await carry_out(settings, commands.ListUsers())


async def test_a_daemon_that_hangs_up_is_told_from_one_that_is_not_there(
    tmp_path: Path,
) -> None:
    settings = settings_in(tmp_path)
    settings.data.mkdir()
    server = await asyncio.start_unix_server(
        lambda _, writer: writer.close(), str(settings.admin_socket)
    )
    with pytest.raises(AdminError, match="hung up before it answered"):
        await carry_out(settings, commands.ListUsers())
    server.close()
    await server.wait_closed()


# Checking ---------------------------------------------------------------------------


async def problems(settings: Settings) -> dict[str, list[str]]:
    checked = await carry_out(settings, commands.Check())
    return {each["part"]: each["problems"] for each in checked}


async def test_a_sound_folder_has_no_problems_with_and_without_a_daemon(
    tmp_path: Path,
) -> None:
    settings = settings_in(tmp_path)
    async with running(settings):
        found = await problems(settings)
    assert found == await problems(settings)
    assert found == {
        "data folder": [],
        "TLS key": [],
        "user table": [],
        "database": [],
        "files": [],
    }


async def test_checking_makes_nothing(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    assert await problems(settings) == {"data folder": []}
    assert not settings.data.exists()


async def test_a_secret_that_others_can_read_is_a_problem(tmp_path: Path) -> None:
    async with running(settings_in(tmp_path)) as daemon:
        table = daemon.settings.data / "users.json"
        for path in (daemon.settings.data, table):
            path.chmod(0o755)
        found = (await problems(daemon.settings))["data folder"]
    assert any(f"{table} can be read or written by others" in each for each in found)


async def test_every_damage_is_found_at_once(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    async with running(settings):
        pass
    for name in ("users.json", "tls/key.pem", "chatd.db"):
        settings.data.joinpath(name).write_bytes(b"damage " * 1_000)
    found = await problems(settings)
    assert {part for part, sentences in found.items() if sentences} == {
        "TLS key",
        "user table",
        "database",
    }


async def files_line(settings: Settings) -> dict[str, Any]:
    """Check, and return the finding about the files."""
    checked = await carry_out(settings, commands.Check())
    (line,) = (each for each in checked if each["part"] == "files")
    found: dict[str, Any] = line
    return found


@pytest.mark.parametrize("is_running", [True, False])
async def test_files_that_are_missing_or_damaged_are_named(
    tmp_path: Path, is_running: bool
) -> None:
    settings = settings_in(tmp_path)
    async with running(settings) as daemon:
        for name in ("whole", "lost", "cut", "changed"):
            await store_file(daemon.store, daemon.blobs, name.encode(), name)
        places = {
            name: content_path(settings.data / "blobs", sha256_of(name.encode()))
            for name in ("lost", "cut", "changed")
        }
        places["lost"].unlink()
        places["cut"].write_bytes(b"cu")
        places["changed"].write_bytes(b"CHANGED")
    async with running(settings) if is_running else contextlib.nullcontext():
        found = await files_line(settings)
    assert found["summary"] == "4 contents, 19 bytes"
    whose = "of alice in the chat of alice and bob: the content"
    starts = sorted(each.partition(whose)[0] for each in found["problems"])
    assert starts == ["'changed' ", "'cut' ", "'lost' "]


@pytest.mark.parametrize("is_running", [True, False])
async def test_contents_and_uploads_that_nobody_needs_are_removed(
    tmp_path: Path, is_running: bool
) -> None:
    settings = settings_in(tmp_path)
    async with running(settings) as daemon:
        await store_file(daemon.store, daemon.blobs, b"needed")
        # Long enough ago that it has expired.
        begun = await begin_upload(daemon.store, daemon.blobs, b"half")
        await begin_upload(daemon.store, daemon.blobs, b"unused")
        unused = content_path(settings.data / "blobs", sha256_of(b"unused"))
        unused.parent.mkdir(exist_ok=True)
        unused.write_bytes(b"unused")
    async with running(settings) if is_running else contextlib.nullcontext():
        found = await files_line(settings)
    assert found == {
        "part": "files",
        "summary": "1 content, 6 bytes; 3 left over were removed",
        "problems": [],
    }
    assert not unused.exists()
    assert not (settings.data / "blobs/incoming" / begun.id).exists()
    assert (await files_line(settings))["summary"] == "1 content, 6 bytes"


async def test_of_a_damaged_database_no_content_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(settings_in(tmp_path)) as daemon:
        unused = content_path(daemon.settings.data / "blobs", sha256_of(b"unused"))
        unused.parent.mkdir()
        unused.write_bytes(b"unused")

        async def damaged() -> list[str]:
            return ["the database is damaged"]

        monkeypatch.setattr(daemon.store, "check", damaged)
        found = await files_line(daemon.settings)
        assert "not looked at" in found["summary"]
        assert unused.exists()


async def test_what_cannot_be_removed_is_a_problem(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(_: object) -> None:
        raise UnavailableError("the disk is gone")

    monkeypatch.setattr(daemon.blobs, "sweep_uploads", fail)
    (problem,) = (await files_line(daemon.settings))["problems"]
    assert problem == "what is left over could not be removed: the disk is gone"


async def test_a_file_in_place_of_the_folder_of_contents_is_a_problem(
    tmp_path: Path,
) -> None:
    settings = settings_in(tmp_path)
    async with running(settings):
        pass
    (settings.data / "blobs/incoming").rmdir()
    (settings.data / "blobs").rmdir()
    (settings.data / "blobs").write_text("mine")
    (problem,) = (await files_line(settings))["problems"]
    assert f"{settings.data / 'blobs'} for files cannot be made" in problem


async def test_contents_that_others_can_read_are_a_problem(tmp_path: Path) -> None:
    async with running(settings_in(tmp_path)) as daemon:
        blobs = daemon.settings.data / "blobs"
        for path in (daemon.settings.data, blobs):
            path.chmod(0o755)
        found = (await problems(daemon.settings))["data folder"]
    assert any(f"{blobs} can be read or written by others" in each for each in found)


# Backups ----------------------------------------------------------------------------


async def test_a_backup_through_the_socket_tells_what_it_came_to(
    daemon: Daemon, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for content in (b"one", b"two two"):
        await store_file(daemon.store, daemon.blobs, content)
    content_path(daemon.settings.data / "blobs", sha256_of(b"one")).unlink()
    answer = await daemon.ask(commands.Backup(str(tmp_path / "b.tar")))
    report = msgspec.convert(answer, BackupReport)
    assert report.size == (tmp_path / "b.tar").stat().st_size
    assert (report.copied, report.copied_bytes, report.missing) == (1, 7, 1)
    assert "1 contents of files are missing or damaged" in caplog.text


async def test_a_backup_that_is_under_way_ends_with_the_daemon(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "backups").mkdir()
    async with asyncio.timeout(10), running(settings_in(tmp_path)) as daemon:
        await store_file(daemon.store, daemon.blobs, b"one")
        is_copying, loop = asyncio.Event(), asyncio.get_running_loop()

        def copy(*arguments: Any) -> None:
            loop.call_soon_threadsafe(is_copying.set)
            *_, is_stopped = arguments
            while not is_stopped():
                pass
            raise InterruptedError

        monkeypatch.setattr("chatd.backup.contents.copy_content", copy)
        path = str(tmp_path / "backups/b.tar")
        asking = asyncio.create_task(daemon.ask(commands.Backup(path)))
        await is_copying.wait()
    with pytest.raises(AdminError, match="hung up before it answered"):
        await asking
    assert list((tmp_path / "backups").iterdir()) == []


async def test_a_user_table_that_is_gone_is_a_problem(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    async with running(settings):
        pass
    settings.data.joinpath("users.json").unlink()
    assert "is gone" in (await problems(settings))["user table"][0]


async def test_a_database_that_is_gone_while_there_are_files_is_a_problem(
    tmp_path: Path,
) -> None:
    settings = settings_in(tmp_path)
    async with running(settings) as daemon:
        await store_file(daemon.store, daemon.blobs, b"content")
    settings.data.joinpath("chatd.db").unlink()
    (problem,) = (await problems(settings))["database"]
    assert "chatd.db is gone, but there are files" in problem


async def test_a_data_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    settings.data.touch()
    with pytest.raises(DataFolderError, match="is not a folder"):
        await admin_client.carry_out(settings, commands.ListUsers())
