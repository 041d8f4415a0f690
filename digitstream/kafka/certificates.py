"""A certificate authority of one's own, for the embedded Kafka and its clients."""

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
"""A certificate is made anew when it is valid for fewer days than these."""

HOSTS = ("localhost", "127.0.0.1", "::1")
_SKEW = timedelta(minutes=5)


_LARGEST = 1 << 16


class SecretsDamaged(InstallationError):
    """A file by which the embedded Kafka knows its clients is missing, or holds something else."""

    def __init__(self, file: Path, fact: str) -> None:
        super().__init__(
            f"{file} cannot be used ({fact}). By it the embedded Kafka and its clients know each "
            f"other, and nothing can take its place. Restore it, or remove {file.parents[1]} to "
            f"begin with new ones: the topics in there go, too."
        )


@dataclass(frozen=True)
class Authority:
    """Who signs: the certificate that clients trust, and its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @classmethod
    def of(cls, folder: Path, now: datetime) -> Authority:
        """The authority that lies in `folder` (ca.pem, ca.key), made and kept there if none does.

        The key is written before the certificate: a folder with ca.pem is whole.
        """
        certificate, key = folder / "ca.pem", folder / "ca.key"
        if certificate.exists():
            return cls(_loaded(certificate, _certificate), _loaded(key, _key))
        made = ec.generate_private_key(ec.SECP256R1())
        name = _named("digitstream's own authority")
        signed = (
            _builder(name, name, made.public_key(), now, timedelta(days=365 * AUTHORITY_YEARS))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs=True), critical=True)
            .sign(made, hashes.SHA256())
        )
        private(key, _pem(made))
        private(certificate, signed.public_bytes(serialization.Encoding.PEM))
        return cls(signed, made)

    def issue(self, name: str, now: datetime, hosts: Sequence[str] = ()) -> bytes:
        """A new key and its certificate chain in one PEM: of a server if it has hosts."""
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
        pems = [each.public_bytes(serialization.Encoding.PEM) for each in chain]
        return b"".join([_pem(key), *pems])


def _loaded(file: Path, parse: Callable[[bytes], T]) -> T:
    """What a file of the authority holds; raises SecretsDamaged."""
    try:
        return parse(files.read(file, _LARGEST))
    except (OSError, ValueError, TypeError) as exc:
        raise SecretsDamaged(file, str(exc)) from exc


def _certificate(content: bytes) -> x509.Certificate:
    return x509.load_pem_x509_certificate(content)


def _key(content: bytes) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_pem_private_key(content, None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        message = "it holds no key of an elliptic curve"
        raise ValueError(message)
    return key


def valid(file: Path, now: datetime) -> bool:
    """Whether a certificate that was issued is there, whole, and holds for a while yet."""
    try:
        content = files.read(file, _LARGEST)
        serialization.load_pem_private_key(content, None)
        leaf = x509.load_pem_x509_certificates(content)[0]
    except (OSError, ValueError, TypeError):
        return False
    return leaf.not_valid_after_utc > now + _days(RENEWED_DAYS)


def private(file: Path, content: bytes) -> None:
    """Write a file that nobody else may read, whole or not at all."""
    draft = file.with_name(f"{file.name}.new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as opened:
        opened.write(content)
    draft.replace(file)


def now() -> datetime:
    """The time, to the second, as certificates have it."""
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
