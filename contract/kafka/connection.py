"""Kafka's address, TLS and login, as arguments for Python's and Java's clients."""

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
    """A text that only `reveal` shows; it cannot be pickled."""

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
    """A SASL login."""

    mechanism: Mechanism
    username: str
    password: Secret

    @property
    def jaas(self) -> str:
        """The login for Java's clients; contains the password."""
        name, password = (_quoted(text) for text in (self.username, self.password.reveal()))
        return f"{_MODULES[self.mechanism]} required username={name} password={password};"


@dataclass(frozen=True)
class Certificate:
    """A client certificate: a PEM file with the chain, and the key there or in `keyfile`."""

    certfile: Path
    keyfile: Path | None = None
    password: Secret | None = None

    @property
    def properties(self) -> dict[str, str]:
        """The certificate as properties of Java's clients; contains the key.

        Java's clients do not support the usual key encryption and all key formats, and run on
        machines without these files. So they get the chain and the decrypted key as text.
        """
        # A slow import, needed only with client certificates.
        from cryptography.hazmat.primitives import serialization as form  # noqa: PLC0415

        password = None if self.password is None else self.password.reveal().encode()
        file = self.keyfile or self.certfile
        try:
            key = form.load_pem_private_key(files.read(file, PEM_BYTES), password).private_bytes(
                form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption()
            )
        except (OSError, TypeError, ValueError) as exc:
            message = f"The key in {file} cannot be read. It must be PEM. Fix or replace it."
            raise SettingsError(message) from exc
        return {
            "ssl.keystore.type": "PEM",
            "ssl.keystore.certificate.chain": _certificates(self.certfile),
            "ssl.keystore.key": key.decode("ascii"),
        }


@dataclass(frozen=True)
class Security:
    """Protocol, login and TLS; `cafile` is a PEM file of trusted CAs, None for the system's."""

    protocol: Protocol = "PLAINTEXT"
    login: Login | None = None
    cafile: Path | None = None
    certificate: Certificate | None = None
    check_hostname: bool = True

    def __str__(self) -> str:
        """The client's name, for errors and reports."""
        if self.login is not None:
            return self.login.username
        certificate = self.certificate
        return (
            "an anonymous client"
            if certificate is None
            else f"the client of {certificate.certfile}"
        )

    @property
    def encrypted(self) -> bool:
        """Whether connections use TLS."""
        return self.protocol.endswith("SSL")

    def context(self) -> ssl.SSLContext:
        """The TLS context for Python's clients; raises OSError or ValueError for unusable files."""
        context = ssl.create_default_context(cafile=self.cafile)
        context.check_hostname = self.check_hostname
        if self.certificate is not None:
            # Without a callback OpenSSL would prompt on the terminal.
            password = self.certificate.password or Secret("")
            context.load_cert_chain(
                self.certificate.certfile, self.certificate.keyfile, password.reveal
            )
        return context


@dataclass(frozen=True)
class Kafka:
    """A Kafka cluster's address and security. `str()` is the address only, for messages."""

    servers: str
    """`host:port`, several separated by commas."""

    security: Security = field(default_factory=Security)

    SECRET: ClassVar = frozenset({"sasl.jaas.config", "ssl.keystore.key"})
    """The names of the properties that contain secrets."""

    def __str__(self) -> str:
        return self.servers

    @property
    def arguments(self) -> dict[str, Any]:
        """Arguments for kafka-python's clients."""
        security = self.security
        arguments: dict[str, Any] = {
            "bootstrap_servers": [server.strip() for server in self.servers.split(",")],
            "security_protocol": security.protocol,
        }
        if security.login is not None:
            arguments |= {
                "sasl_mechanism": security.login.mechanism,
                "sasl_plain_username": security.login.username,
                "sasl_plain_password": security.login.password.reveal(),
            }
        if security.encrypted:
            arguments["ssl_context"] = security.context()
        return arguments

    @property
    def properties(self) -> dict[str, str]:
        """Properties of Java's clients, named as in Kafka's documentation; secrets in plain
        text.
        """
        security = self.security
        properties = {"bootstrap.servers": self.servers}
        if security.protocol != "PLAINTEXT":
            properties["security.protocol"] = security.protocol
        if security.login is not None:
            properties["sasl.mechanism"] = security.login.mechanism
            properties["sasl.jaas.config"] = security.login.jaas
        if security.encrypted:
            if not security.check_hostname:
                properties["ssl.endpoint.identification.algorithm"] = ""
            if security.cafile is not None:
                properties["ssl.truststore.type"] = "PEM"
                properties["ssl.truststore.certificates"] = _certificates(security.cafile)
            if security.certificate is not None:
                properties |= security.certificate.properties
        return properties


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _certificates(file: Path) -> str:
    """The certificates in a PEM file, without keys and comments."""
    try:
        certificates = _CERTIFICATE.findall(files.read_text(file, PEM_BYTES))
    except (OSError, ValueError) as exc:
        message = f"{file} cannot be read: {exc}. It must be a PEM file. Fix or replace it."
        raise SettingsError(message) from exc
    return "\n".join(certificates)
