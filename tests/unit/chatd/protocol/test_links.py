"""Join links and fingerprints (chatd.protocol.links)."""

import datetime
import hashlib
from base64 import urlsafe_b64encode

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from chatd.protocol.errors import BadNameError
from chatd.protocol.links import (
    JoinLink,
    LinkError,
    fingerprint_of_certificate,
    fingerprint_of_key,
    parse_host_port,
    parse_join_link,
    parse_pin,
)
from chatd.protocol.names import parse_room_name

PIN = fingerprint_of_key(b"a key")


def is_room(name: str) -> bool:
    try:
        return parse_room_name(name) == name
    except BadNameError:
        return False


hosts = st.one_of(
    st.from_regex(r"[a-z0-9][a-z0-9.-]{0,30}", fullmatch=True),
    st.ip_addresses(v=4).map(str),
    st.ip_addresses(v=6).map(str),
)
links = st.builds(
    JoinLink,
    host=hosts,
    port=st.integers(1, 65_535),
    room=st.none() | st.text("abcäß東京0_-.", min_size=1, max_size=12).filter(is_room),
    pin=st.none() | st.binary().map(fingerprint_of_key),
    invite=st.none()
    | st.text(st.characters(min_codepoint=33, max_codepoint=126))
    .filter(bool)
    .map(lambda code: code[:40]),
)


@given(links)
def test_a_formatted_link_is_parsed_to_the_same_link(link: JoinLink) -> None:
    assert parse_join_link(link.format()) == link


@given(st.text() | st.text().map("chat://".__add__))
def test_any_text_is_a_link_or_a_link_error(text: str) -> None:
    try:
        link = parse_join_link(text)
    except LinkError:
        return
    assert parse_join_link(link.format()) == link


def test_the_default_port_and_absent_members_are_left_out() -> None:
    assert JoinLink("chat.lab").format() == "chat://chat.lab/"


def test_all_members_are_written() -> None:
    link = JoinLink("fe80::1", 5000, "ops", PIN, "a code")
    assert link.format() == f"chat://[fe80::1]:5000/ops?pin={PIN}&invite=a%20code"


def test_a_room_is_decoded_and_made_canonical() -> None:
    assert parse_join_link("chat://h/%C3%84rzte").room == "ärzte"


def test_scheme_and_host_may_be_in_capitals_and_surrounded_by_blanks() -> None:
    assert parse_join_link("  CHAT://Lab.Example \n") == JoinLink("lab.example")


def test_members_that_are_not_known_are_ignored() -> None:
    assert parse_join_link("chat://h/?colour=red") == JoinLink("h")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "begins with chat://"),
        ("https://h/", "begins with chat://"),
        ("chat:///ops", "host is missing"),
        ("chat://me@h/", "is not an address"),
        ("chat://h:0/", "is not a port"),
        ("chat://h:65536/", "is not a port"),
        ("chat://h:" + "9" * 1_000, "is not a port"),
        ("chat://h:x/", "is not a port"),
        ("chat://h:/", "is not a port"),
        ("chat://::1/", "in brackets"),
        ("chat://[::1/", "not a valid address"),
        ("chat://[abc]/", "address"),
        ("chat://[::1]x/", "address"),
        ("chat://-h/", "is not a host"),
        ("chat://h/#ops", "without #"),
        ("chat://h/%23ops", "the room of the join link"),
        ("chat://h/%ff", "is not valid text"),
        ("chat://h/a/b", "the room of the join link"),
        ("chat://h/o ps", "no blanks"),
        ("chat://h/?pin=abc", "not a fingerprint"),
        ("chat://h/?pin=", "not a fingerprint"),
        (f"chat://h/?pin={PIN}&pin={PIN}", "twice"),
        ("chat://h/?invite=", "invite code"),
        ("chat://h/?invite=%0a", "invite code"),
        ("chat://h/?invite=" + "x" * 129, "invite code"),
        ("chat://h/?invite=%ff", "after ?"),
        ("chat://h/" + "x" * 3_000, "at most 2048"),
    ],
)
def test_a_link_that_is_wrong_is_refused_with_the_reason(
    text: str, reason: str
) -> None:
    with pytest.raises(LinkError) as refused:
        parse_join_link(text)
    assert reason in str(refused.value)


@pytest.mark.parametrize("change", ["*", "", "A", " ", "=A"])
def test_a_pin_that_is_not_exactly_one_fingerprint_is_refused(change: str) -> None:
    broken = PIN + change if change else PIN[:-1]
    with pytest.raises(LinkError):
        parse_pin(broken)


def test_a_pin_whose_spare_bits_are_set_is_refused() -> None:
    pin = fingerprint_of_key(b"")
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    with pytest.raises(LinkError):
        parse_pin(pin[:-1] + alphabet[alphabet.index(pin[-1]) + 1])


def test_a_pin_may_be_padded() -> None:
    assert parse_pin(PIN + "=") == PIN


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("lab", ("lab", 4747)),
        ("LAB:80", ("lab", 80)),
        ("10.0.0.1", ("10.0.0.1", 4747)),
        ("[::1]", ("::1", 4747)),
        ("[FE80:0::1%Eth0]:80", ("fe80::1%Eth0", 80)),
    ],
)
def test_host_and_port_are_parsed(text: str, expected: tuple[str, int]) -> None:
    assert parse_host_port(text) == expected


def test_the_fingerprint_of_a_certificate_is_that_of_its_key() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x")])
    now = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now, now)
        .sign(key, hashes.SHA256())
        .public_bytes(serialization.Encoding.DER)
    )
    spki = key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    expected = urlsafe_b64encode(hashlib.sha256(spki).digest())
    assert fingerprint_of_certificate(certificate).encode() + b"=" == expected
