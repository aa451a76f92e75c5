"""SCRAM-SHA-256 and -PLUS, the server's side (chatd.accounts.scram)."""

import base64
import hashlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.types import (
    CertificateIssuerPrivateKeyTypes,
)
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis import strategies as st
from scramp import ScramClient

from chatd.accounts.scram import (
    MECHANISM,
    MECHANISM_PLUS,
    ScramError,
    ScramExchange,
    Verifier,
    derive_verifier,
    tls_server_end_point,
)
from tests.unit.chatd.accounts.fakes import PASSWORD, verifier_of

BINDING = b"b" * 32
ALICE = verifier_of()


def find(name: str) -> Verifier:
    return ALICE


def client_of(
    password: str = PASSWORD, name: str = "alice", plus: bool = False
) -> ScramClient:
    if plus:
        cb = ("tls-server-end-point", BINDING)
        return ScramClient([MECHANISM_PLUS], name, password, channel_binding=cb)
    return ScramClient([MECHANISM], name, password)


def log_in(client: ScramClient, mechanism: str, binding: bytes | None) -> None:
    exchange = ScramExchange(mechanism, client.get_client_first(), find, binding)
    client.set_server_first(exchange.server_first)
    client.set_server_final(exchange.finish(client.get_client_final()))


def test_the_example_of_rfc_7677_comes_out_to_the_letter() -> None:
    verifier = derive_verifier(
        "pencil", 4096, base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
    )
    exchange = ScramExchange(
        MECHANISM,
        "n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
        lambda name: verifier,
        None,
        nonce="%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
    )
    nonce = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
    assert exchange.server_first == f"r={nonce},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
    proof = "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
    assert exchange.finish(f"c=biws,r={nonce},p={proof}") == (
        "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
    )


def test_scramps_client_logs_in_and_believes_the_server() -> None:
    client = client_of()
    log_in(client, MECHANISM, None)
    assert client.mechanism_name == MECHANISM


def test_scramps_client_logs_in_with_channel_binding() -> None:
    client = client_of(plus=True)
    log_in(client, MECHANISM_PLUS, BINDING)
    assert client.mechanism_name == MECHANISM_PLUS


def test_a_client_without_binding_may_log_in_where_it_is_offered() -> None:
    client = client_of()
    log_in(client, MECHANISM, BINDING)
    assert client.mechanism_name == MECHANISM


def test_a_wrong_password_is_refused() -> None:
    with pytest.raises(ScramError, match="match"):
        log_in(client_of("wrong horse"), MECHANISM, None)


def test_a_binding_to_another_certificate_is_refused() -> None:
    with pytest.raises(ScramError, match="bindings"):
        log_in(client_of(plus=True), MECHANISM_PLUS, b"x" * 32)


def test_a_client_that_was_told_of_no_binding_is_refused_where_there_is_one() -> None:
    with pytest.raises(ScramError, match="flag 'y'"):
        ScramExchange(MECHANISM, "y,,n=alice,r=abc", find, BINDING)


def test_flag_y_is_fine_where_no_binding_is_offered() -> None:
    exchange = ScramExchange(MECHANISM, "y,,n=alice,r=abc", find, None)
    assert exchange.server_first.startswith("r=abc")


def test_binding_under_the_name_without_plus_is_refused() -> None:
    first = client_of(plus=True).get_client_first()
    with pytest.raises(ScramError, match="-PLUS only"):
        ScramExchange(MECHANISM, first, find, BINDING)


@pytest.mark.parametrize(
    "first",
    [
        "",
        "n",
        "n,,",
        "n,,n=alice",
        "n,,r=abc",
        "n,,n=,r=abc",
        "n,,n=alice,r=",
        "n,,r=abc,n=alice",
        "n,,n=alice,n=bob,r=abc",
        "n,,m=x,n=alice,r=abc",
        "n,a=bob,n=alice,r=abc",
        "n,,n=al=ice,r=abc",
        "n,,n=alice,r=a\x00bc",
        "n,,n=alice,r=äbc",
        "n,,n=\ud800,r=abc",
        "p=tls-unique,,n=alice,r=abc",
        "p=tls-server-end-point,,n=alice,r=abc",
        "z,,n=alice,r=abc",
        "n,,n=alice,r=" + "a" * 3000,
    ],
)
def test_a_malformed_first_message_is_refused(first: str) -> None:
    with pytest.raises(ScramError):
        ScramExchange(MECHANISM, first, find, None)


def change_nonce(final: str) -> str:
    return final.replace(",r=", ",r=x")


def change_proof(final: str) -> str:
    return final[:-5] + ("AAAA=" if final[-5:] != "AAAA=" else "BBBB=")


def drop_proof(final: str) -> str:
    return final.partition(",p=")[0]


def short_proof(final: str) -> str:
    return drop_proof(final) + ",p=AAAA"


def garbage_proof(final: str) -> str:
    return drop_proof(final) + ",p=é!"


def claim_y(final: str) -> str:
    return final.replace("c=biws", "c=eSws")


def add_surrogate(final: str) -> str:
    return final.replace(",p=", ",x=\ud800,p=")


def inflate(final: str) -> str:
    return final.replace(",p=", ",x=" + "a" * 3000 + ",p=")


@pytest.mark.parametrize(
    "spoil",
    [
        change_nonce,
        change_proof,
        drop_proof,
        short_proof,
        garbage_proof,
        claim_y,
        add_surrogate,
        inflate,
        lambda final: "",
        lambda final: "c",
    ],
)
def test_a_spoilt_final_message_is_refused(spoil: Callable[[str], str]) -> None:
    client = client_of()
    exchange = ScramExchange(MECHANISM, client.get_client_first(), find, None)
    client.set_server_first(exchange.server_first)
    with pytest.raises(ScramError):
        exchange.finish(spoil(client.get_client_final()))


def test_a_proof_serves_once() -> None:
    client = client_of()
    exchange = ScramExchange(MECHANISM, client.get_client_first(), find, None)
    client.set_server_first(exchange.server_first)
    final = client.get_client_final()
    exchange.finish(final)
    with pytest.raises(ScramError, match="finished"):
        exchange.finish(final)


def test_the_name_comes_unescaped() -> None:
    names: list[str] = []

    def note(name: str) -> Verifier:
        names.append(name)
        return ALICE

    ScramExchange(MECHANISM, "n,,n=a=2Cb=3Dc,r=abc", note, None)
    assert names == ["a,b=c"]


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet=st.characters(exclude_categories=[])), st.booleans())
def test_any_text_is_answered_or_refused(text: str, after_header: bool) -> None:
    try:
        exchange = ScramExchange(
            MECHANISM, "n,,n=" + text if after_header else text, find, None
        )
    except ScramError:
        return
    assert exchange.server_first.startswith("r=")


def certificate(
    key: CertificateIssuerPrivateKeyTypes, algorithm: hashes.SHA384 | None
) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "chatd")])
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
    )
    signed = builder.sign(key, algorithm)
    return signed.public_bytes(Encoding.DER)


def test_the_binding_is_the_hash_that_signs_the_certificate() -> None:
    der = certificate(ec.generate_private_key(ec.SECP256R1()), hashes.SHA384())
    assert tls_server_end_point(der) == hashlib.sha384(der).digest()


def test_a_certificate_signed_without_hash_has_no_binding() -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    assert tls_server_end_point(certificate(key, None)) is None


def test_what_is_no_certificate_has_no_binding() -> None:
    assert tls_server_end_point(b"junk") is None
