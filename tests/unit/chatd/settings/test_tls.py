"""TLS certificates and keys (chatd.settings.tls)."""

import datetime
import hashlib
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID

from chatd.accounts.scram import tls_server_end_point
from chatd.protocol.links import fingerprint_of_certificate
from chatd.settings.config import TlsSettings
from chatd.settings.tls import (
    VALID_DAYS,
    TlsError,
    TlsMaterial,
    load_tls,
)

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
OWN = TlsSettings()

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey


def write_pair(
    folder: Path, key: Key, algorithm: hashes.HashAlgorithm | None
) -> TlsSettings:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "lab")])
    certificate = x509.CertificateBuilder(
        name, name, key.public_key(), 1, NOW, NOW + datetime.timedelta(days=9)
    ).sign(key, algorithm)  # type: ignore[arg-type]  # any pair that fits is given
    settings = TlsSettings(str(folder / "c.pem"), str(folder / "k.pem"))
    Path(settings.certificate).write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM)
    )
    Path(settings.key).write_bytes(pem(key))
    return settings


def pem(
    key: Key,
    encryption: serialization.KeySerializationEncryption | None = None,
) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        encryption or serialization.NoEncryption(),
    )


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def handshake(
    material: TlsMaterial, alpn: list[str]
) -> tuple[bytes | None, str | None]:
    """Return the certificate and the protocol that a client sees."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(alpn)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(to_client, to_server)
    server = material.context.wrap_bio(to_server, to_client, server_side=True)
    waiting = [client, server]
    while waiting:
        for side in list(waiting):
            try:
                side.do_handshake()
                waiting.remove(side)
            except ssl.SSLWantReadError:
                pass
    return client.getpeercert(binary_form=True), client.selected_alpn_protocol()


def test_our_own_key_and_certificate_are_made_for_their_owner_alone(
    tmp_path: Path,
) -> None:
    material = load_tls(tmp_path, OWN, NOW)
    assert material.is_own
    assert (tmp_path / "tls").stat().st_mode & 0o777 == 0o700
    for name in ("key.pem", "certificate.pem"):
        assert (tmp_path / "tls" / name).stat().st_mode & 0o777 == 0o600


def test_our_own_certificate_is_kept_over_restarts(tmp_path: Path) -> None:
    first, second = (load_tls(tmp_path, OWN, NOW) for _ in range(2))
    assert first.certificate_der == second.certificate_der


def test_an_expiring_certificate_is_renewed_with_the_same_key(tmp_path: Path) -> None:
    first = load_tls(tmp_path, OWN, NOW)
    later = NOW + datetime.timedelta(days=VALID_DAYS - 100)
    second = load_tls(tmp_path, OWN, later)
    assert second.fingerprint == first.fingerprint
    assert second.expires > first.expires


def test_a_certificate_from_the_future_is_renewed(tmp_path: Path) -> None:
    load_tls(tmp_path, OWN, NOW)
    material = load_tls(tmp_path, OWN, NOW - datetime.timedelta(days=1_000))
    certificate = x509.load_der_x509_certificate(material.certificate_der)
    assert certificate.not_valid_before_utc < NOW - datetime.timedelta(days=1_000)


def test_a_certificate_that_is_gone_is_made_again_by_the_same_key(
    tmp_path: Path,
) -> None:
    first = load_tls(tmp_path, OWN, NOW)
    (tmp_path / "tls/certificate.pem").unlink()
    assert load_tls(tmp_path, OWN, NOW).fingerprint == first.fingerprint


def test_our_own_certificate_is_for_local_names(tmp_path: Path) -> None:
    material = load_tls(tmp_path, OWN, NOW)
    certificate = x509.load_der_x509_certificate(material.certificate_der)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert "localhost" in names.value.get_values_for_type(x509.DNSName)


def test_a_key_that_is_gone_is_not_replaced(tmp_path: Path) -> None:
    load_tls(tmp_path, OWN, NOW)
    (tmp_path / "tls/key.pem").unlink()
    with pytest.raises(TlsError, match="is gone"):
        load_tls(tmp_path, OWN, NOW)
    assert not (tmp_path / "tls/key.pem").exists()


def test_a_damaged_key_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    load_tls(tmp_path, OWN, NOW)
    (tmp_path / "tls/key.pem").write_bytes(b"damage")
    with pytest.raises(TlsError, match="damaged: restore it"):
        load_tls(tmp_path, OWN, NOW)
    assert (tmp_path / "tls/key.pem").read_bytes() == b"damage"


def test_a_damaged_certificate_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    load_tls(tmp_path, OWN, NOW)
    (tmp_path / "tls/certificate.pem").write_bytes(b"damage")
    with pytest.raises(TlsError, match="is not a certificate"):
        load_tls(tmp_path, OWN, NOW)
    assert (tmp_path / "tls/certificate.pem").read_bytes() == b"damage"


def test_a_configured_pair_is_used(tmp_path: Path) -> None:
    material = load_tls(tmp_path, write_pair(tmp_path, new_key(), hashes.SHA256()))
    assert not material.is_own
    assert not (tmp_path / "tls").exists()
    assert fingerprint_of_certificate(material.certificate_der) == material.fingerprint


@pytest.mark.parametrize("file", ["certificate", "key"])
def test_a_configured_file_that_is_missing_is_named(tmp_path: Path, file: str) -> None:
    settings = write_pair(tmp_path, new_key(), hashes.SHA256())
    Path(getattr(settings, file)).unlink()
    with pytest.raises(TlsError, match=rf"there is no {file} at .*\[tls\] {file}"):
        load_tls(tmp_path, settings)


@pytest.mark.parametrize("file", ["certificate", "key"])
def test_a_configured_file_that_cannot_be_read_is_named(
    tmp_path: Path, file: str
) -> None:
    settings = write_pair(tmp_path, new_key(), hashes.SHA256())
    Path(getattr(settings, file)).unlink()
    Path(getattr(settings, file)).mkdir()
    with pytest.raises(TlsError, match=f"the {file} .* cannot be read"):
        load_tls(tmp_path, settings)


def test_a_key_of_another_certificate_is_refused(tmp_path: Path) -> None:
    settings = write_pair(tmp_path, new_key(), hashes.SHA256())
    Path(settings.key).write_bytes(pem(new_key()))
    with pytest.raises(TlsError, match="does not belong to the certificate"):
        load_tls(tmp_path, settings)


def test_a_key_with_a_passphrase_is_refused_without_asking(tmp_path: Path) -> None:
    key = new_key()
    settings = write_pair(tmp_path, key, hashes.SHA256())
    Path(settings.key).write_bytes(
        pem(key, serialization.BestAvailableEncryption(b"secret"))
    )
    with pytest.raises(TlsError, match="protected by a passphrase"):
        load_tls(tmp_path, settings)


@pytest.mark.parametrize(
    ("algorithm", "expected"),
    [
        (hashes.SHA256(), "sha256"),
        (hashes.SHA384(), "sha384"),
        (hashes.SHA512(), "sha512"),
    ],
)
def test_the_channel_binding_is_the_hash_of_the_signature(
    tmp_path: Path, algorithm: hashes.HashAlgorithm, expected: str
) -> None:
    material = load_tls(tmp_path, write_pair(tmp_path, new_key(), algorithm))
    hashed = hashlib.new(expected, material.certificate_der).digest()
    assert material.end_point_binding == hashed


def test_the_binding_of_a_certificate_signed_with_sha1_is_by_sha256(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Signed:  # no library signs like this any more
        signature_hash_algorithm = hashes.SHA1()

    monkeypatch.setattr(x509, "load_der_x509_certificate", lambda _: Signed())
    assert tls_server_end_point(b"der") == hashlib.sha256(b"der").digest()


def test_a_signature_without_one_hash_gives_no_channel_binding(tmp_path: Path) -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    material = load_tls(tmp_path, write_pair(tmp_path, key, None))
    assert material.end_point_binding is None


def test_a_client_sees_that_certificate_and_the_protocols_name(tmp_path: Path) -> None:
    material = load_tls(tmp_path, OWN)
    assert handshake(material, ["chatd/1"]) == (material.certificate_der, "chatd/1")


def test_a_client_that_offers_other_protocols_is_let_in(tmp_path: Path) -> None:
    material = load_tls(tmp_path, OWN)
    assert handshake(material, ["other"]) == (material.certificate_der, None)


def test_versions_before_1_2_are_not_spoken(tmp_path: Path) -> None:
    context = load_tls(tmp_path, OWN).context
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
