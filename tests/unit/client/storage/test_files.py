"""The client's files: paths, pins, saved logins, locks; private, replaced whole."""

from pathlib import Path

import pytest

from chatd.system.file_lock import FileLock
from client.storage.json_file import DamagedFileError
from client.storage.paths import Paths
from client.storage.pins import AUTHORITY, PinStore
from client.storage.saved_logins import SavedLogins

PIN = "A" * 43
SERVER = "tls://host:4747"


def test_everything_is_under_chat_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHAT_HOME", str(tmp_path))
    paths = Paths.from_environment()
    found = [paths.config, paths.pins, paths.logins, paths.outbox("s", "u")]
    found += [paths.downloads, paths.transfers("s", "u"), paths.spool("s", "u")]
    assert all(path.is_relative_to(tmp_path) for path in found)


def test_without_chat_home_the_platform_decides(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("CHAT_HOME", raising=False)
    paths = Paths.from_environment()
    assert "chat" in str(paths.state)


def test_users_and_servers_never_share_a_file(tmp_path: Path) -> None:
    paths = Paths.under(tmp_path)
    pairs = [("tls://a:1", "b"), ("tls://a:1", "B"), ("tls://a:11", "b"), ("x", "é/..")]
    names = {paths.outbox(server, user) for server, user in pairs}
    assert len(names) == 4
    assert {name.parent for name in names} == {tmp_path / "state" / "outbox"}


def test_pins_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "servers.json"
    PinStore(path).trust(SERVER, PIN + "=")
    PinStore(path).trust_authority("tls://other:4747")
    pins = PinStore(path)
    assert pins.find(SERVER) == PIN
    assert pins.find("tls://other:4747") == AUTHORITY
    pins.forget(SERVER)
    assert pins.find(SERVER) is None


def test_what_is_no_fingerprint_is_not_trusted() -> None:
    with pytest.raises(ValueError, match="fingerprint"):
        PinStore(None).trust(SERVER, "short")


def test_a_damaged_file_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "servers.json"
    path.write_text("{")
    pins = PinStore(path)
    with pytest.raises(DamagedFileError, match="servers.json"):
        pins.find(SERVER)
    with pytest.raises(DamagedFileError):
        pins.trust(SERVER, PIN)
    assert path.read_text() == "{"


def test_logins_remember_tokens_and_who_was_last(tmp_path: Path) -> None:
    logins = SavedLogins(tmp_path / "logins.json")
    logins.remember(SERVER, "alice", "token-a")
    logins.remember(SERVER, "bob", "token-b")
    logins.remember(SERVER, "bob", None)
    again = SavedLogins(tmp_path / "logins.json")
    assert again.last() == (SERVER, "bob")
    assert again.users(SERVER) == ["bob", "alice"]
    assert again.token(SERVER, "bob") == "token-b"


def test_a_forgotten_token_leaves_the_name(tmp_path: Path) -> None:
    logins = SavedLogins(tmp_path / "logins.json")
    logins.remember(SERVER, "alice", "token")
    logins.forget(SERVER, "alice")
    assert logins.token(SERVER, "alice") is None
    assert logins.users(SERVER) == ["alice"]


def test_a_lock_is_held_by_one(tmp_path: Path) -> None:
    one, other = FileLock(tmp_path / "lock"), FileLock(tmp_path / "lock")
    assert one.acquire()
    assert not other.acquire()
    one.release()
    assert other.acquire()
    other.release(is_removed=True)
    assert not (tmp_path / "lock").exists()
