"""TLS material: the configured certificate, or a self-signed one made by chatd.

The key that chatd makes is made once and kept: clients know the server by the key's
fingerprint. Its certificate is made anew, with the same key, when it is missing or
about to expire.
"""

import datetime
import os
import socket
import ssl
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import (
    PrivateKeyTypes,
    PublicKeyTypes,
)
from cryptography.x509.oid import NameOID
from msgspec import Struct

from chatd.accounts.scram import tls_server_end_point
from chatd.protocol.links import fingerprint_of_key
from chatd.settings.config import TlsSettings
from chatd.settings.data_folder import TLS_FOLDER
from chatd.system.atomic_file import NotReplacedError, replace_file

ALPN = "chatd/1"
KEY_FILE = "key.pem"
CERTIFICATE_FILE = "certificate.pem"

VALID_DAYS = 20 * 365
RENEW_DAYS = 2 * 365


class TlsError(Exception):
    """A certificate or key cannot be used; the sentence says why and what to do."""


class TlsMaterial(Struct, frozen=True):
    """What a TLS listener needs.

    Attributes:
        context: The TLS context for the server's side.
        fingerprint: The fingerprint of the key; see ``chatd.protocol.links``.
        certificate_der: The server's certificate, without its chain.
        end_point_binding: The data of the channel binding ``tls-server-end-point``
            (RFC 5929, section 4.1); None if the certificate's signature does not
            determine a single hash function.
        expires: When the certificate expires.
        is_own: Whether chatd made the key and the certificate.
    """

    context: ssl.SSLContext
    fingerprint: str
    certificate_der: bytes
    end_point_binding: bytes | None
    expires: datetime.datetime
    is_own: bool


def load_tls(
    data: Path, settings: TlsSettings, now: datetime.datetime | None = None
) -> TlsMaterial:
    """Load the configured certificate, or our own, which is made if it is missing.

    Blocks for the disk, and for making a key.

    Args:
        data: The data folder, locked by the caller.
        settings: The section ``[tls]``, with absolute paths.
        now: The time to compare with the certificate's expiry; None: the current time.

    Raises:
        TlsError: A file is missing, unreadable or damaged, or key and certificate do
            not match; nothing was overwritten.
    """
    if settings.certificate:
        return read_tls(Path(settings.certificate), Path(settings.key), is_own=False)
    folder = data / TLS_FOLDER
    _make_own(folder, now or datetime.datetime.now(datetime.UTC))
    return read_tls(folder / CERTIFICATE_FILE, folder / KEY_FILE, is_own=True)


def read_tls(certificate_path: Path, key_path: Path, *, is_own: bool) -> TlsMaterial:
    """Load a certificate and its key from PEM files.

    Raises:
        TlsError: They cannot be used.
    """
    certificate = _read_certificate(certificate_path)
    key = _read_key(key_path)
    if _spki(certificate.public_key()) != _spki(key.public_key()):
        raise TlsError(
            f"the key {key_path} does not belong to the certificate {certificate_path}:"
            " give the two that were made together"
        )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols([ALPN])
    try:
        context.load_cert_chain(certificate_path, key_path)
    except (ssl.SSLError, OSError) as error:
        raise TlsError(
            f"the certificate {certificate_path} cannot be used: {error}"
        ) from error
    return TlsMaterial(
        context=context,
        fingerprint=fingerprint_of_key(_spki(certificate.public_key())),
        certificate_der=certificate.public_bytes(serialization.Encoding.DER),
        end_point_binding=tls_server_end_point(
            certificate.public_bytes(serialization.Encoding.DER)
        ),
        expires=certificate.not_valid_after_utc,
        is_own=is_own,
    )


# Our own key and certificate --------------------------------------------------------


def _make_own(folder: Path, now: datetime.datetime) -> None:
    key_path, certificate_path = folder / KEY_FILE, folder / CERTIFICATE_FILE
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        if not key_path.exists():
            if certificate_path.exists():
                raise TlsError(
                    f"the key {key_path} is gone, but its certificate is there: restore"
                    f" it from a backup, or remove {folder} for a new key, which all"
                    " clients have to accept"
                )
            replace_file(key_path, [_new_key()])
        key = _read_key(key_path)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise TlsError(
                f"{key_path} is not a key that chatd made: name your own certificate"
                " and key under [tls] in the configuration"
            )
        if _is_stale(certificate_path, key, now):
            replace_file(certificate_path, [_new_certificate(key, now)])
    except NotReplacedError as error:
        raise TlsError(f"in {folder}: {error.reason}") from error
    except OSError as error:
        raise TlsError(f"{folder} cannot be used: {error.strerror}") from error


def _new_key() -> bytes:
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _is_stale(
    path: Path, key: ec.EllipticCurvePrivateKey, now: datetime.datetime
) -> bool:
    if not path.exists():
        return True
    certificate = _read_certificate(path)
    if _spki(certificate.public_key()) != _spki(key.public_key()):
        return True
    left = certificate.not_valid_after_utc - now
    # If the clock was set back, the certificate may not be valid yet.
    return left.days < RENEW_DAYS or certificate.not_valid_before_utc > now


def _new_certificate(key: ec.EllipticCurvePrivateKey, now: datetime.datetime) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "chatd")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=VALID_DAYS))
        .add_extension(x509.SubjectAlternativeName(_own_names()), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM)


def _own_names() -> list[x509.GeneralName]:
    names: list[x509.GeneralName] = [
        x509.DNSName("localhost"),
        x509.IPAddress(ip_address("127.0.0.1")),
        x509.IPAddress(ip_address("::1")),
    ]
    host = socket.gethostname().lower()
    if host.isascii() and host not in ("", "localhost"):
        names.append(x509.DNSName(host))
    return names


# Reading ----------------------------------------------------------------------------


def _read_certificate(path: Path) -> x509.Certificate:
    data = _read(path, "certificate")
    try:
        return x509.load_pem_x509_certificate(data)
    except ValueError as error:
        raise TlsError(
            f"{path} is not a certificate in PEM form (-----BEGIN CERTIFICATE-----)"
        ) from error


def _read_key(path: Path) -> PrivateKeyTypes:
    data = _read(path, "key")
    try:
        return serialization.load_pem_private_key(data, password=None)
    except TypeError as error:
        raise TlsError(
            f"the key {path} is protected by a passphrase: store it without one, and"
            " readable only by the user that runs chatd"
        ) from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise TlsError(
            f"{path} is not a private key in PEM form, or it is damaged: restore it"
            " from a backup"
        ) from error


def _read(path: Path, what: str) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise TlsError(f"there is no {what} at {path}: correct [tls] {what}") from error
    except OSError as error:
        raise TlsError(
            f"the {what} {path} cannot be read by user {os.geteuid()}: {error.strerror}"
        ) from error


def _spki(key: PublicKeyTypes) -> bytes:
    return key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
