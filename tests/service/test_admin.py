"""The administrator's commands, through the socket and without a daemon."""

import asyncio
import contextlib
import json
import struct
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from chatd import admin_client, commands
from chatd.accounts.accounts import Accounts
from chatd.admin_client import AdminError, NoDaemonError, ask_daemon, carry_out
from chatd.administration import Administration
from chatd.config import Settings, load_config
from chatd.datadir import DataFolder, DataFolderError
from chatd.listeners.admin import MAX_COMMAND_BYTES, AdminListener
from chatd.protocol.errors import AuthFailedError
from chatd.store.sqlite import SqliteStore
from chatd.tls import load_tls

PASSWORD = "correct horse"
Ended = list[tuple[str, str, str | None]]


def settings_in(folder: Path, text: str = "") -> Settings:
    path = folder / "config.toml"
    path.write_text(f"[accounts]\niterations = 4096\n{text}")
    return load_config(path)


class Daemon:
    """As much of a daemon as the admin socket needs."""

    def __init__(self, settings: Settings, accounts: Accounts, ended: Ended) -> None:
        self.settings = settings
        self.accounts = accounts
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
        accounts = await Accounts.open(folder.path, store, settings.accounts)
        administration = Administration(
            folder.path,
            accounts,
            store,
            settings,
            tls.fingerprint,
            on_user_ended=lambda *how: ended.append(how),
        )
        listener = await AdminListener.open(administration, folder.admin_socket)
        try:
            yield Daemon(settings, accounts, ended)
        finally:
            await listener.close()
            await accounts.close()
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


async def test_a_user_table_that_is_gone_is_a_problem(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    async with running(settings):
        pass
    settings.data.joinpath("users.json").unlink()
    assert "is gone" in (await problems(settings))["user table"][0]


async def test_a_data_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    settings.data.touch()
    with pytest.raises(DataFolderError, match="is not a folder"):
        await admin_client.carry_out(settings, commands.ListUsers())
