"""Where Kafka is, and how it is reached: what every client of ours is made of."""

from __future__ import annotations

import re
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

from contract import files
from contract.errors import SettingsError
from contract.kafka.certificates import PEM_BYTES

Protocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
Mechanism = Literal["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"]

_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)

_MODULES: dict[Mechanism, str] = {
    "SCRAM-SHA-512": "org.apache.kafka.common.security.scram.ScramLoginModule",
    "SCRAM-SHA-256": "org.apache.kafka.common.security.scram.ScramLoginModule",
    "PLAIN": "org.apache.kafka.common.security.plain.PlainLoginModule",
}


class Secret:
    """A text that shows itself only to who asks for it by `reveal`; it never leaves its process."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself."""
        return self._text

    def __repr__(self) -> str:
        return "Secret(hidden)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __reduce__(self) -> str:
        message = "A secret does not leave its process."
        raise TypeError(message)


@dataclass(frozen=True)
class Login:
    """Who we are by SASL."""

    mechanism: Mechanism
    username: str
    password: Secret

    @property
    def jaas(self) -> str:
        """The same for Java's clients; holds the password."""
        name, password = (_quoted(text) for text in (self.username, self.password.reveal()))
        return f"{_MODULES[self.mechanism]} required username={name} password={password};"


@dataclass(frozen=True)
class Certificate:
    """Who we are by mutual TLS: a PEM file with the chain, and the key there or in `keyfile`."""

    certfile: Path
    keyfile: Path | None = None
    password: Secret | None = None

    @property
    def properties(self) -> dict[str, str]:
        """What Java's clients take; holds the key.

        They know neither the usual encryption of a key nor each of its formats, and run on machines
        without these files: so they get the key bare and the chain as texts.
        """
        # Few have a certificate, and nobody else should wait for this import.
        from cryptography.hazmat.primitives import serialization as form  # noqa: PLC0415

        password = None if self.password is None else self.password.reveal().encode()
        file = self.keyfile or self.certfile
        try:
            key = form.load_pem_private_key(files.read(file, PEM_BYTES), password).private_bytes(
                form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption()
            )
        except (OSError, TypeError, ValueError) as exc:
            message = f"The key in {file} cannot be read. It must be PEM. Mend or replace it."
            raise SettingsError(message) from exc
        return {
            "ssl.keystore.type": "PEM",
            "ssl.keystore.certificate.chain": _certificates(self.certfile),
            "ssl.keystore.key": key.decode("ascii"),
        }


@dataclass(frozen=True)
class Security:
    """How Kafka is spoken to; `cafile` is a PEM of whom we trust, None whom the system trusts."""

    protocol: Protocol = "PLAINTEXT"
    login: Login | None = None
    cafile: Path | None = None
    certificate: Certificate | None = None
    check_hostname: bool = True

    def __str__(self) -> str:
        """Who we are, for errors and reports."""
        if self.login is not None:
            return self.login.username
        certificate = self.certificate
        return (
            "a client without a name" if certificate is None else f"who has {certificate.certfile}"
        )

    @property
    def encrypted(self) -> bool:
        """Whether it is TLS."""
        return self.protocol.endswith("SSL")

    def context(self) -> ssl.SSLContext:
        """TLS for Python's clients; raises OSError for files that are not what they should be."""
        made = ssl.create_default_context(cafile=self.cafile)
        made.check_hostname = self.check_hostname
        if self.certificate is not None:
            # Without a function OpenSSL would ask on the terminal.
            password = self.certificate.password or Secret("")
            made.load_cert_chain(
                self.certificate.certfile, self.certificate.keyfile, password.reveal
            )
        return made


@dataclass(frozen=True)
class Kafka:
    """A Kafka, and the way to it. `str()` is its address alone, for errors; no secret shows."""

    servers: str
    """`host:port`, several with commas."""

    security: Security = field(default_factory=Security)

    SECRET: ClassVar = frozenset({"sasl.jaas.config", "ssl.keystore.key"})
    """The properties that nobody may see."""

    def __str__(self) -> str:
        return self.servers

    @property
    def arguments(self) -> dict[str, Any]:
        """What kafka-python's clients take."""
        security = self.security
        found: dict[str, Any] = {
            "bootstrap_servers": [server.strip() for server in self.servers.split(",")],
            "security_protocol": security.protocol,
        }
        if security.login is not None:
            found |= {
                "sasl_mechanism": security.login.mechanism,
                "sasl_plain_username": security.login.username,
                "sasl_plain_password": security.login.password.reveal(),
            }
        if security.encrypted:
            found["ssl_context"] = security.context()
        return found

    @property
    def properties(self) -> dict[str, str]:
        """What Java's clients take, by the names of Kafka's documentation; SECRET ones are bare."""
        security = self.security
        found = {"bootstrap.servers": self.servers}
        if security.protocol != "PLAINTEXT":
            found["security.protocol"] = security.protocol
        if security.login is not None:
            found["sasl.mechanism"] = security.login.mechanism
            found["sasl.jaas.config"] = security.login.jaas
        if security.encrypted:
            if not security.check_hostname:
                found["ssl.endpoint.identification.algorithm"] = ""
            if security.cafile is not None:
                found["ssl.truststore.type"] = "PEM"
                found["ssl.truststore.certificates"] = _certificates(security.cafile)
            found |= {} if security.certificate is None else security.certificate.properties
        return found


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _certificates(file: Path) -> str:
    """The certificates of a PEM file, without its keys and comments."""
    try:
        found = _CERTIFICATE.findall(files.read_text(file, PEM_BYTES))
    except (OSError, ValueError) as exc:
        message = f"{file} cannot be read: {exc}. It must be a PEM file. Mend or replace it."
        raise SettingsError(message) from exc
    return "\n".join(found)
