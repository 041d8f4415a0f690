"""The security of the embedded Kafka: its authority, its users, and the profiles of its clients.

The files are in `HOME/kafka/secure`, which only its owner may read, and outlive the broker. Every
client uses TLS and authenticates with a password (SASL_SSL) or a certificate (mutual TLS). A
client that does neither (TLS alone) is anonymous, and has no rights.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from pathlib import Path

from contract import files
from contract.settings.sources import PROFILES
from digitstream.kafka import certificates
from digitstream.kafka.certificates import Authority, SecretsDamaged, write_private

_LARGEST_PASSWORD = 1 << 10

USERS = ("admin", "producer", "scorer", "reader")
"""The users: an admin who may do everything, and one user for each program."""

LISTENERS = ("SASL_SSL", "MTLS", "TLS")
SESSION_MS = 600_000
"""How long an authentication is valid. Clients that do not renew it in time are disconnected."""

MECHANISMS = ("SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN")
_SCRAM, _PLAIN = ("org.apache.kafka.common.security." + name for name in ("scram", "plain"))

_LOCKED = "authorizer.class.name="
_PROPERTIES = """\
listeners={listeners},CONTROLLER://{host}:{controller_port}
advertised.listeners={listeners}
listener.security.protocol.map=SASL_SSL:SASL_SSL,MTLS:SSL,TLS:SSL,CONTROLLER:SSL
inter.broker.listener.name=MTLS
ssl.keystore.type=PEM
ssl.keystore.location={folder}/broker.pem
ssl.truststore.type=PEM
ssl.truststore.location={folder}/ca.pem
ssl.client.auth=required
listener.name.tls.ssl.client.auth=none
listener.name.sasl_ssl.ssl.client.auth=none
ssl.principal.mapping.rules=RULE:^CN=([^,]+)$/$1/,DEFAULT
sasl.enabled.mechanisms={mechanisms}
connections.max.reauth.ms={session_ms}
listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config={scram}.ScramLoginModule required;
listener.name.sasl_ssl.scram-sha-256.sasl.jaas.config={scram}.ScramLoginModule required;
listener.name.sasl_ssl.plain.sasl.jaas.config={plain}.PlainLoginModule required {users};
{locked}org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:broker;User:admin
"""


def folder(home: Path) -> Path:
    """The folder of certificates, keys and passwords."""
    return (home / "kafka" / "secure").resolve()


def is_secure(home: Path) -> bool:
    """Whether the embedded Kafka of this home was created with security. It then stays secure, even
    if its files are damaged.
    """
    place = folder(home)
    if place.is_dir() and any(place.iterdir()):
        return True
    try:
        return _LOCKED in files.read_text(place.parent / "server.properties", 1 << 16)
    except (OSError, ValueError):
        return False


def prepare(home: Path) -> None:
    """Create what is missing of authority, passwords and certificates; renew expiring ones."""
    place, now = folder(home), certificates.now()
    is_known = (place.parent / "data" / "meta.properties").exists()
    place.mkdir(parents=True, exist_ok=True)
    # Kafka's own data hold the hashes of the passwords.
    for directory in (place.parent, place):
        directory.chmod(0o700)
    for user in USERS:
        file = _password_file(place, user)
        if file.exists():
            continue
        if is_known:
            raise SecretsDamaged(file, "it is missing, and Kafka's data depend on it")
        write_private(file, secrets.token_urlsafe(24).encode())
    if not (place / "ca.pem").exists() and (is_known or any(place.glob("*.pem"))):
        raise SecretsDamaged(place / "ca.pem", "it is missing, and clients trust it")
    authority = Authority.of(place, now)
    for name in ("broker", *USERS):
        file = place / f"{name}.pem"
        if not certificates.is_valid(file, now):
            hosts = certificates.HOSTS if name == "broker" else ()
            write_private(file, authority.issue(name, now, hosts))


def properties(
    home: Path, host: str, ports: Mapping[str, int], controller_port: int, session_ms: int
) -> str:
    """The lines of server.properties for security; they hold passwords."""
    place = folder(home)
    users = " ".join(f'user_{user}="{_password(place, user)}"' for user in USERS)
    return _PROPERTIES.format(
        locked=_LOCKED,
        listeners=",".join(f"{name}://{host}:{port}" for name, port in ports.items()),
        host=host,
        controller_port=controller_port,
        folder=place.as_posix(),
        mechanisms=",".join(MECHANISMS),
        session_ms=session_ms,
        scram=_SCRAM,
        plain=_PLAIN,
        users=users,
    )


def credentials(home: Path) -> list[str]:
    """Arguments of `kafka-storage format` that create the users; they hold passwords."""
    place = folder(home)
    return [
        word
        for user in USERS
        for mechanism in MECHANISMS
        if mechanism != "PLAIN"
        for word in (
            "--add-scram",
            f'{mechanism}=[name="{user}",password="{_password(place, user)}"]',
        )
    ]


def write_profiles(home: Path, listeners: Mapping[str, str]) -> None:
    """Write HOME/profiles.toml: each user by password (SCRAM or PLAIN) and by certificate."""
    place = folder(home)
    tables = [_table("nobody", listeners["TLS"], place, {"security-protocol": "SSL"})]
    for user in USERS:
        for suffix, mechanism in {"": MECHANISMS[0], "-plain": "PLAIN"}.items():
            login = {
                "security-protocol": "SASL_SSL",
                "sasl-mechanism": mechanism,
                "sasl-username": user,
                "sasl-password-file": _password_file(place, user).as_posix(),
            }
            tables.append(_table(f"{user}{suffix}", listeners["SASL_SSL"], place, login))
        mutual = {
            "security-protocol": "SSL",
            "ssl-certfile": (place / f"{user}.pem").as_posix(),
        }
        tables.append(_table(f"{user}-certificate", listeners["MTLS"], place, mutual))
    file = home / PROFILES
    draft = file.with_name(f"{file.name}.new")
    draft.write_text("# Written by `digitstream broker start`.\n\n" + "\n".join(tables), "utf-8")
    draft.replace(file)


def _table(name: str, servers: str, place: Path, lines: Mapping[str, str]) -> str:
    whole = {"bootstrap-servers": servers, **lines, "ssl-cafile": (place / "ca.pem").as_posix()}
    rows = "".join(f"{key} = {_toml(value)}\n" for key, value in whole.items())
    return f"[kafka.{name}]\n{rows}"


def _toml(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _password_file(place: Path, user: str) -> Path:
    return place / f"{user}.password"


def _password(place: Path, user: str) -> str:
    file = _password_file(place, user)
    try:
        password = files.read_text(file, _LARGEST_PASSWORD)
    except (OSError, ValueError) as exc:
        raise SecretsDamaged(file, str(exc)) from exc
    if re.fullmatch(r"[A-Za-z0-9_-]+", password) is None:
        raise SecretsDamaged(file, "it does not hold one of our passwords")
    return password
