"""Connection profiles: tables of digitstream.toml with a Kafka cluster's addresses, TLS and login.

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
"""Secrets, which must not be written into a file of settings."""

SECRET_BYTES = 1 << 16
"""Largest file with a password."""

Tables = Mapping[str, object]
"""Profiles by name, as parsed from TOML."""


@dataclass(frozen=True)
class Profile:
    """A Kafka cluster's addresses and security; `servers` is None if the table has none."""

    servers: str | None
    security: Security


def read(name: str, tables: Tables, environ: Mapping[str, str], now: datetime) -> Profile:
    """The profile of that name. Raises SettingsError that lists everything wrong with it."""
    if name not in tables:
        near = difflib.get_close_matches(name, tables, n=1, cutoff=0)
        hint = f"the nearest is {near[0]}" if near else "there are no profiles"
        message = (
            f"kafka-profile is {name!r}, but no table [kafka.{name}] describes it; {hint}. Add "
            f"it to digitstream.toml, or use an existing profile."
        )
        raise SettingsError(message)
    table = _Table(f"[kafka.{name}]", tables[name], environ)
    profile = table.profile(now)
    if table.complaints:
        raise SettingsError("; ".join(table.complaints) + ".")
    return profile


@dataclass
class _Table:
    """A table being read; complaints quote a value only where it cannot be a secret."""

    title: str
    entries: Any
    environ: Mapping[str, str]
    complaints: list[str] = field(default_factory=list)

    def profile(self, now: datetime) -> Profile:
        if not isinstance(self.entries, dict):
            self.complaints.append(f"{self.title} must be a table of settings")
            self.entries = {}
        self.entries = {key.replace("_", "-"): value for key, value in self.entries.items()}
        self._check_names()
        protocol: Protocol = self._one_of("security-protocol", get_args(Protocol), "PLAINTEXT")
        check_hostname = self.entries.get("ssl-check-hostname", True)
        if not isinstance(check_hostname, bool):
            self._complain("ssl-check-hostname must be true or false")
        has_login = self._applies("sasl-", protocol.startswith("SASL"), protocol)
        security = Security(
            protocol,
            self._login() if has_login else None,
            self._file("ssl-cafile"),
            self._certificate(now),
            check_hostname is not False,
        )
        if self._applies("ssl-", security.encrypted, protocol) and not self.complaints:
            self._check_usable(security)
        servers = self._text("bootstrap-servers")
        if servers is not None:
            try:
                rules.servers.read(servers)
            except ValueError as exc:
                self._complain(f"bootstrap-servers is {servers!r}, but must be {exc}")
        return Profile(servers, security)

    def _check_names(self) -> None:
        for key in self.entries:
            if key in INLINE:
                self._complain(
                    f"{key} must not be written here, where others may read it. Put it into a file "
                    f"that only you can read and set {key}-file to its path, or put it into an "
                    f"environment variable and set {key}-env to its name"
                )
            elif key not in KEYS:
                near = difflib.get_close_matches(key, KEYS, n=1, cutoff=0)[0]
                self._complain(f"{key} is no setting; the nearest is {near}")

    def _applies(self, prefix: str, is_needed: bool, protocol: str) -> bool:
        """Whether keys with this prefix are used; complains about them if the protocol needs
        none.
        """
        keys = [key for key in self.entries if key in KEYS and key.startswith(prefix)]
        if self.entries.get("security-protocol", protocol) != protocol:
            return bool(keys)
        if keys and not is_needed:
            self._complain(f"{', '.join(keys)} must be left out with security-protocol {protocol}")
        return is_needed

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
                self._complain("ssl-certfile is missing, but its key is set")
            return None
        fault = invalidity(chain, now)
        if fault is not None:
            self._complain(f"{chain} (ssl-certfile) {fault}")
        return Certificate(chain, key, password)

    def _check_usable(self, security: Security) -> None:
        try:
            security.context()
        except (OSError, ValueError) as exc:
            files = [f"{key} {self.entries[key]}" for key in KEYS[6:9] if key in self.entries]
            reason = getattr(exc, "reason", None) or exc
            self._complain(
                f"{', '.join(files)} cannot be used ({reason}). They must be PEM files: the "
                f"trusted authorities, our certificate chain, and the private key that belongs to "
                f"it, with its password if it has one"
            )

    def _secret(self, name: str) -> Secret | None:
        """The line in the file `name-file`, or in the environment variable `name-env`."""
        file, variable = self._file(f"{name}-file"), self._text(f"{name}-env")
        if file is not None and variable is not None:
            self._complain(f"{name}-file and {name}-env are both set; remove one of them")
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
                self._complain(
                    f"{name}-env is {variable}, but this environment variable is not set"
                )
                return Secret("")
        if text is not None and (not text or not text.isprintable()):
            where = f"file {file}" if file is not None else f"env {variable}"
            self._complain(f"{name}-{where} must contain one line that is not empty")
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
            is_missing = isinstance(exc, FileNotFoundError | NotADirectoryError)
            reason = "there is no such file" if is_missing else exc.strerror
            self._complain(f"{key} is {text!r}, but {reason}")
            return None
        return file

    def _text(self, key: str) -> str | None:
        value = self.entries.get(key)
        if value is not None and (not isinstance(value, str) or not value.strip() or "\0" in value):
            self._complain(f"{key} must be a text that is not empty")
            return None
        return value

    def _one_of(self, key: str, names: tuple[str, ...], default: str | None) -> Any:
        value = self.entries.get(key, default)
        if value not in names:
            fact = f"is {value!r}" if key in self.entries else "is missing"
            self._complain(f"{key} {fact}, but must be {' or '.join(names)}")
            return names[0]
        return value

    def _complain(self, fault: str) -> None:
        complaint = f"{fault} (in {self.title})"
        if complaint not in self.complaints:
            self.complaints.append(complaint)
