"""Profiles: tables of digitstream.toml that say where a Kafka is and how it is reached.

kafka-profile = "work"

[kafka.work]
bootstrap-servers = "kafka.example:9093"
security-protocol = "SASL_SSL"
sasl-mechanism = "SCRAM-SHA-512"
sasl-username = "scorer"
sasl-password-file = "/run/secrets/kafka"
ssl-cafile = "ca.pem"
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, get_args

from contract import files
from contract.errors import SettingsError
from contract.kafka.certificates import invalidity
from contract.kafka.connection import (
    Certificate,
    Login,
    Mechanism,
    Protocol,
    Secret,
    Security,
)
from contract.settings import rules
from contract.settings.rules import home_expanded

KEYS = (
    "bootstrap-servers",
    "security-protocol",
    "sasl-mechanism",
    "sasl-username",
    "sasl-password-file",
    "sasl-password-env",
    "ssl-cafile",
    "ssl-certfile",
    "ssl-keyfile",
    "ssl-key-password-file",
    "ssl-key-password-env",
    "ssl-check-hostname",
)
INLINE = ("sasl-password", "ssl-key-password")
"""What nobody may write into a file of settings."""

SECRET_BYTES = 1 << 16
"""Of a file with a password at most."""

Tables = Mapping[str, object]
"""Profiles by name, as TOML has them."""


@dataclass(frozen=True)
class Profile:
    """A Kafka and the way to it; `servers` is None if the table does not say."""

    servers: str | None
    security: Security


def read(name: str, tables: Tables, environ: Mapping[str, str], now: datetime) -> Profile:
    """The profile of that name. Raises SettingsError with all that is wrong with it."""
    if name not in tables:
        near = difflib.get_close_matches(name, tables, n=1, cutoff=0)
        there = f"the nearest is {near[0]}" if near else "there is none at all"
        message = (
            f"kafka-profile is {name!r}, but no table [kafka.{name}] describes it; {there}. Write "
            f"one into digitstream.toml, or choose one that is there."
        )
        raise SettingsError(message)
    table = _Table(f"[kafka.{name}]", tables[name], environ)
    profile = table.profile(now)
    if table.complaints:
        raise SettingsError("; ".join(table.complaints) + ".")
    return profile


@dataclass
class _Table:
    """One table while it is read; a complaint names a value only where it cannot be secret."""

    title: str
    given: Any
    environ: Mapping[str, str]
    complaints: list[str] = field(default_factory=list)

    def profile(self, now: datetime) -> Profile:
        if not isinstance(self.given, dict):
            self.complaints.append(f"{self.title} must be a table of settings")
            self.given = {}
        self.given = {key.replace("_", "-"): value for key, value in self.given.items()}
        self._names()
        protocol: Protocol = self._one_of("security-protocol", get_args(Protocol), "PLAINTEXT")
        flag = self.given.get("ssl-check-hostname", True)
        if not isinstance(flag, bool):
            self._complain("ssl-check-hostname must be true or false")
        sasl = self._applies("sasl-", protocol.startswith("SASL"), protocol)
        security = Security(
            protocol,
            self._login() if sasl else None,
            self._file("ssl-cafile"),
            self._certificate(now),
            flag is not False,
        )
        if self._applies("ssl-", security.encrypted, protocol) and not self.complaints:
            self._try(security)
        servers = self._text("bootstrap-servers")
        if servers is not None:
            try:
                rules.servers.read(servers)
            except ValueError as exc:
                self._complain(f"bootstrap-servers is {servers!r}, but must be {exc}")
        return Profile(servers, security)

    def _names(self) -> None:
        for key in self.given:
            if key in INLINE:
                self._complain(
                    f"{key} must not be written here, where others read it. Put it into a file "
                    f"that only you may read and name that with {key}-file, or name a variable "
                    f"with {key}-env"
                )
            elif key not in KEYS:
                near = difflib.get_close_matches(key, KEYS, n=1, cutoff=0)[0]
                self._complain(f"{key} is no setting; the nearest is {near}")

    def _applies(self, prefix: str, wanted: bool, protocol: str) -> bool:
        """Whether the keys with this prefix count; they must not be there if they do not."""
        there = [key for key in self.given if key in KEYS and key.startswith(prefix)]
        if self.given.get("security-protocol", protocol) != protocol:
            return bool(there)
        if there and not wanted:
            self._complain(f"{', '.join(there)} mean nothing with security-protocol {protocol}")
        return wanted

    def _login(self) -> Login:
        mechanism: Mechanism = self._one_of("sasl-mechanism", get_args(Mechanism), None)
        username = self._text("sasl-username")
        if username is None:
            self._complain("sasl-username is missing")
        password = self._secret("sasl-password")
        if password is None:
            self._complain("sasl-password-file or sasl-password-env is missing")
        return Login(mechanism, username or "", password or Secret(""))

    def _certificate(self, now: datetime) -> Certificate | None:
        chain, key = self._file("ssl-certfile"), self._file("ssl-keyfile")
        password = self._secret("ssl-key-password")
        if chain is None:
            if key is not None or password is not None:
                self._complain("ssl-certfile is missing, whose key is given")
            return None
        fault = invalidity(chain, now)
        if fault is not None:
            self._complain(f"{chain} (ssl-certfile) {fault}")
        return Certificate(chain, key, password)

    def _try(self, security: Security) -> None:
        try:
            security.context()
        except (OSError, ValueError) as exc:
            files = [f"{key} {self.given[key]}" for key in KEYS[6:9] if key in self.given]
            reason = getattr(exc, "reason", None) or exc
            self._complain(
                f"{', '.join(files)} cannot be used ({reason}). They must be PEM files: of whom we "
                f"trust, of our certificate's chain, and of the key that belongs to it, with its "
                f"password if it has one"
            )

    def _secret(self, name: str) -> Secret | None:
        """What `name-file` holds or the variable that `name-env` names, one line."""
        file, variable = self._file(f"{name}-file"), self._text(f"{name}-env")
        if file is not None and variable is not None:
            self._complain(f"{name}-file and {name}-env are both given; leave one out")
        text = None
        if file is not None:
            try:
                text = files.read_text(file, SECRET_BYTES).removesuffix("\n").removesuffix("\r")
            except (OSError, ValueError) as exc:
                self._complain(f"{name}-file {file} cannot be read ({type(exc).__name__})")
                return Secret("")
        elif variable is not None:
            text = self.environ.get(variable)
            if text is None:
                self._complain(f"{name}-env names {variable}, but there is no such variable")
                return Secret("")
        if text is not None and (not text or not text.isprintable()):
            where = f"file {file}" if file is not None else f"env {variable}"
            self._complain(f"{name}-{where} must hold one line that is not empty")
        return None if text is None else Secret(text)

    def _file(self, key: str) -> Path | None:
        text = self._text(key)
        if text is None:
            return None
        try:
            file = home_expanded(text)
            files.check_regular(file)
        except ValueError as exc:
            self._complain(f"{key} is {text!r}, but must be {exc}")
            return None
        except OSError as exc:
            absent = isinstance(exc, FileNotFoundError | NotADirectoryError)
            why = "there is no such file" if absent else exc.strerror
            self._complain(f"{key} is {text!r}, but {why}")
            return None
        return file

    def _text(self, key: str) -> str | None:
        value = self.given.get(key)
        if value is not None and (not isinstance(value, str) or not value.strip() or "\0" in value):
            self._complain(f"{key} must be a text that is not empty")
            return None
        return value

    def _one_of(self, key: str, names: tuple[str, ...], default: str | None) -> Any:
        value = self.given.get(key, default)
        if value not in names:
            said = f"is {value!r}" if key in self.given else "is missing"
            self._complain(f"{key} {said}, but must be {' or '.join(names)}")
            return names[0]
        return value

    def _complain(self, what: str) -> None:
        complaint = f"{what} (in {self.title})"
        if complaint not in self.complaints:
            self.complaints.append(complaint)
