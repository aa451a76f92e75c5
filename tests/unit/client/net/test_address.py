"""Parsing of server addresses, as users type them."""

from pathlib import Path

import pytest

from chatd.protocol.links import JoinLink
from client.errors import BadAddressError
from client.net.address import ServerAddress, parse_server_address

PIN = "A" * 43


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("Chat.Example.org", "tls://chat.example.org:4747"),
        ("chat.example.org:5000", "tls://chat.example.org:5000"),
        ("[::1]:4747", "tls://[::1]:4747"),
        ("[::1]", "tls://[::1]:4747"),
        (" tls://127.0.0.1 ", "tls://127.0.0.1:4747"),
        ("tcp://localhost:4748", "tcp://localhost:4748"),
        ("TLS://host/", "tls://host:4747"),
        ("unix:/run/chat.sock", "unix:/run/chat.sock"),
    ],
)
def test_an_address_has_one_form_that_parses_to_itself(
    text: str, canonical: str
) -> None:
    found = parse_server_address(text)
    assert str(found) == canonical
    assert parse_server_address(canonical) == found


@pytest.mark.parametrize(
    "text",
    ["", "http://host", "host:0", "host:port", "::1", "unix:", "a b", "chat://?pin=x"],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(BadAddressError):
        parse_server_address(text)


def test_a_relative_socket_path_is_made_absolute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert parse_server_address("unix:s").path == str(tmp_path / "s")


def test_a_join_link_brings_pin_room_and_invite() -> None:
    link = JoinLink("host", 5000, room="ops", pin=PIN, invite="code").format()
    assert parse_server_address(link) == ServerAddress(
        scheme="tls", host="host", port=5000, pin=PIN, room="#ops", invite="code"
    )
