"""Where Kafka is, and how it is reached: what every client of ours is made of."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

from contract.errors import SettingsError

Protocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
Mechanism = Literal["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"]

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
    def arguments(self) -> dict[str, Any]:
        """What kafka-python takes."""
        return {
            "ssl_certfile": str(self.certfile),
            "ssl_keyfile": None if self.keyfile is None else str(self.keyfile),
            "ssl_password": None if self.password is None else self.password.reveal(),
        }

    @property
    def properties(self) -> dict[str, str]:
        """What Java's clients take; holds the key if that has a file of its own."""
        found = {"ssl.keystore.type": "PEM"}
        if self.keyfile is None:
            found["ssl.keystore.location"] = str(self.certfile.resolve())
        else:
            found["ssl.keystore.certificate.chain"] = _text(self.certfile)
            found["ssl.keystore.key"] = _text(self.keyfile)
        if self.password is not None:
            found["ssl.key.password"] = self.password.reveal()
        return found


@dataclass(frozen=True)
class Security:
    """How Kafka is spoken to; `cafile` is a PEM of whom we trust, None whom the system trusts."""

    protocol: Protocol = "PLAINTEXT"
    login: Login | None = None
    cafile: Path | None = None
    certificate: Certificate | None = None
    check_hostname: bool = True

    @property
    def encrypted(self) -> bool:
        """Whether it is TLS."""
        return self.protocol.endswith("SSL")


@dataclass(frozen=True)
class Kafka:
    """A Kafka, and the way to it. `str()` is its address alone, for errors; no secret shows."""

    servers: str
    """`host:port`, several with commas."""

    security: Security = field(default_factory=Security)

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
            found["ssl_check_hostname"] = security.check_hostname
            found["ssl_cafile"] = None if security.cafile is None else str(security.cafile)
            found |= {} if security.certificate is None else security.certificate.arguments
        return found

    @property
    def properties(self) -> dict[str, str]:
        """What Java's clients take, by the names of Kafka's documentation."""
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
                found["ssl.truststore.location"] = str(security.cafile.resolve())
            found |= {} if security.certificate is None else security.certificate.properties
        return found

    @property
    def options(self) -> dict[str, str]:
        """What Spark's source and sink take."""
        return {f"kafka.{name}": value for name, value in self.properties.items()}


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _text(file: Path) -> str:
    try:
        return file.read_text("ascii")
    except (OSError, ValueError) as exc:
        message = f"{file} cannot be read: {exc}. It must be a PEM file. Mend or replace it."
        raise SettingsError(message) from exc
