"""A private certificate authority for the embedded Kafka and its clients."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import TypeVar

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from contract import files
from contract.errors import InstallationError

T = TypeVar("T")

AUTHORITY_YEARS = 10
LEAF_DAYS = 365
RENEWED_DAYS = 30
"""A certificate is renewed when it is valid for fewer days than this."""

HOSTS = ("localhost", "127.0.0.1", "::1")
_SKEW = timedelta(minutes=5)


_LARGEST = 1 << 16


class SecretsDamaged(InstallationError):
    """A file with which the embedded Kafka and its clients authenticate is missing or damaged."""

    def __init__(self, file: Path, fact: str) -> None:
        super().__init__(
            f"{file} cannot be used ({fact}). The embedded Kafka and its clients authenticate with "
            f"it, and nothing can replace it. Restore it, or remove {file.parents[1]} to start "
            f"with new ones, which deletes the topics in it too."
        )


@dataclass(frozen=True)
class Authority:
    """The authority that signs: the certificate that clients trust, and its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @classmethod
    def of(cls, folder: Path, now: datetime) -> Authority:
        """Load the authority in `folder` (ca.pem, ca.key), or create it there.

        The key is written before the certificate, so a folder with ca.pem is complete.
        """
        certificate, key = folder / "ca.pem", folder / "ca.key"
        if certificate.exists():
            return cls(_load(certificate, _certificate), _load(key, _key))
        private_key = ec.generate_private_key(ec.SECP256R1())
        name = _named("digitstream's own authority")
        signed = (
            _builder(
                name, name, private_key.public_key(), now, timedelta(days=365 * AUTHORITY_YEARS)
            )
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs=True), critical=True)
            .sign(private_key, hashes.SHA256())
        )
        write_private(key, _pem(private_key))
        write_private(certificate, signed.public_bytes(serialization.Encoding.PEM))
        return cls(signed, private_key)

    def issue(self, name: str, now: datetime, hosts: Sequence[str] = ()) -> bytes:
        """A new key and its certificate chain in one PEM, for a server if it has hosts."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = (
            _builder(
                _named(name), self.certificate.subject, key.public_key(), now, _days(LEAF_DAYS)
            )
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs=False), critical=True)
            .add_extension(_purposes(bool(hosts)), critical=False)
        )
        if hosts:
            names = x509.SubjectAlternativeName([_host(host) for host in hosts])
            builder = builder.add_extension(names, critical=False)
        chain = [builder.sign(self.key, hashes.SHA256()), self.certificate]
        pems = [certificate.public_bytes(serialization.Encoding.PEM) for certificate in chain]
        return b"".join([_pem(key), *pems])


def _load(file: Path, parse: Callable[[bytes], T]) -> T:
    """Read and parse a file of the authority; raises SecretsDamaged."""
    try:
        return parse(files.read(file, _LARGEST))
    except (OSError, ValueError, TypeError) as exc:
        raise SecretsDamaged(file, str(exc)) from exc


def _certificate(content: bytes) -> x509.Certificate:
    return x509.load_pem_x509_certificate(content)


def _key(content: bytes) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_pem_private_key(content, None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        message = "it does not hold an elliptic-curve key"
        raise ValueError(message)
    return key


def is_valid(file: Path, now: datetime) -> bool:
    """Whether a file holds an issued certificate that is intact and need not be renewed yet."""
    try:
        content = files.read(file, _LARGEST)
        serialization.load_pem_private_key(content, None)
        leaf = x509.load_pem_x509_certificates(content)[0]
    except (OSError, ValueError, TypeError):
        return False
    return leaf.not_valid_after_utc > now + _days(RENEWED_DAYS)


def write_private(file: Path, content: bytes) -> None:
    """Write a file that only its owner may read, completely or not at all."""
    draft = file.with_name(f"{file.name}.new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as opened:
        opened.write(content)
    draft.replace(file)


def now() -> datetime:
    """The current time, to the second, as certificates store it."""
    return datetime.now(UTC).replace(microsecond=0)


def _days(count: int) -> timedelta:
    return timedelta(days=count)


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    begin: datetime,
    lasts: timedelta,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin - _SKEW)
        .not_valid_after(begin + lasts)
    )


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs,
        crl_sign=signs,
        encipher_only=False,
        decipher_only=False,
    )


def _purposes(server: bool) -> x509.ExtendedKeyUsage:
    # The broker is a client of itself.
    return x509.ExtendedKeyUsage(
        [ExtendedKeyUsageOID.CLIENT_AUTH, *([ExtendedKeyUsageOID.SERVER_AUTH] if server else [])]
    )


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
