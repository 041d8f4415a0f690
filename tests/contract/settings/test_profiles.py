"""Profiles as files have them: what they make, and everything that is wrong with one at once."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from contract.errors import SettingsError
from contract.kafka.connection import Login, Secret
from contract.settings.programs import Settings
from contract.settings.sources import load
from digitstream.kafka.certificates import AUTHORITY_YEARS, LEAF_DAYS, Authority, now

HIDDEN = "hunter2"


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder with ca.pem, both.pem (key and chain), and each of the two alone."""
    authority = Authority.of(tmp_path, now())
    both = authority.issue("scorer", now())
    (tmp_path / "both.pem").write_bytes(both)
    key, _, chain = both.partition(b"-----BEGIN CERTIFICATE")
    (tmp_path / "key.pem").write_bytes(key)
    (tmp_path / "chain.pem").write_bytes(b"-----BEGIN CERTIFICATE" + chain)
    loaded = serialization.load_pem_private_key(key, None)
    locked = serialization.BestAvailableEncryption(HIDDEN.encode())
    form = serialization.PrivateFormat.PKCS8
    locked_key = loaded.private_bytes(serialization.Encoding.PEM, form, locked)
    (tmp_path / "locked.pem").write_bytes(locked_key)
    ended = authority.issue("scorer", now() - timedelta(days=LEAF_DAYS + 1))
    (tmp_path / "ended.pem").write_bytes(ended)
    (tmp_path / "early.pem").write_bytes(authority.issue("scorer", now() + timedelta(days=1)))
    (tmp_path / "old").mkdir()
    old = Authority.of(tmp_path / "old", now() - timedelta(days=366 * AUTHORITY_YEARS))
    (tmp_path / "old-chain.pem").write_bytes(old.issue("scorer", now()))
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "huge").touch()
    os.truncate(tmp_path / "huge", 1 << 40)
    (tmp_path / "password").write_text(f"{HIDDEN}\n")
    (tmp_path / "text").write_text("no certificate")
    return tmp_path


def settings(
    files: Path,
    *lines: str,
    flags: dict[str, object] | None = None,
    environ: dict[str, str] | None = None,
) -> Settings:
    """Settings by the profile [kafka.work] with these lines; FOLDER is that of the files."""
    file = files / "digitstream.toml"
    text = "\n".join(lines).replace("FOLDER", files.as_posix())
    file.write_text(f'bootstrap-servers = "file:1"\nkafka-profile = "work"\n[kafka.work]\n{text}\n')
    return load(Settings, {"home": files, **(flags or {})}, environ or {}, file)


SASL = (
    'security-protocol = "SASL_SSL"',
    'sasl-mechanism = "SCRAM-SHA-512"',
    'sasl-username = "scorer"',
)


def test_a_profile_says_where_kafka_is_and_who_we_are(files: Path) -> None:
    lines = ('bootstrap-servers = "work:1"', *SASL, 'sasl-password-file = "FOLDER/password"')
    made = settings(files, *lines, 'ssl-cafile = "FOLDER/ca.pem"', "ssl-check-hostname = false")
    assert made.kafka.servers == "work:1"
    assert made.kafka.security.login == Login("SCRAM-SHA-512", "scorer", Secret(HIDDEN))
    assert made.kafka.security.cafile == files / "ca.pem"
    assert made.kafka.security.check_hostname is False
    assert HIDDEN not in repr(made)


def test_a_password_may_come_by_a_variable(files: Path) -> None:
    made = settings(files, *SASL, 'sasl-password-env = "PW"', environ={"PW": HIDDEN})
    assert made.kafka.security.login == Login("SCRAM-SHA-512", "scorer", Secret(HIDDEN))
    assert made.kafka.servers == "file:1"


@pytest.mark.parametrize(
    "lines",
    [
        ('ssl-certfile = "FOLDER/both.pem"',),
        ('ssl-certfile = "FOLDER/chain.pem"', 'ssl-keyfile = "FOLDER/key.pem"'),
        (
            'ssl-certfile = "FOLDER/chain.pem"',
            'ssl-keyfile = "FOLDER/locked.pem"',
            'ssl-key-password-file = "FOLDER/password"',
        ),
    ],
)
def test_a_certificate_may_come_with_its_key_or_beside_it(files: Path, lines: list[str]) -> None:
    made = settings(files, 'security-protocol = "SSL"', *lines)
    assert made.kafka.security.certificate is not None
    assert made.kafka.arguments["ssl_context"].verify_mode.name == "CERT_REQUIRED"


def test_flags_and_variables_go_before_the_profile_and_that_before_the_file(files: Path) -> None:
    line = 'bootstrap-servers = "work:1"'
    assert settings(files, line).kafka.servers == "work:1"
    environ = {"DIGITSTREAM_BOOTSTRAP_SERVERS": "env:1"}
    assert settings(files, line, environ=environ).kafka.servers == "env:1"
    assert settings(files, line, flags={"bootstrap_servers": "f:1"}).kafka.servers == "f:1"


def test_profiles_of_the_home_are_there_too(files: Path) -> None:
    (files / "profiles.toml").write_text('[kafka.own]\nbootstrap-servers = "own:1"\n')
    assert settings(files, flags={"kafka_profile": "own"}).kafka.servers == "own:1"
    with pytest.raises(SettingsError, match=r"no table \[kafka.owm\] .*the nearest is own"):
        settings(files, flags={"kafka_profile": "owm"})


def test_a_password_in_the_file_is_refused_and_not_repeated(files: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        settings(files, *SASL, f'sasl-password = "{HIDDEN}"', f'ssl-key-password = "{HIDDEN}"')
    said = str(caught.value)
    assert "set sasl-password-file to its path, or put it into an environment variable" in said
    assert "ssl-key-password must not be written here" in said
    assert HIDDEN not in said


def test_everything_wrong_is_told_at_once(files: Path) -> None:
    lines = (
        'security-protocol = "SASL_TLS"',
        'sasl-mechanism = "SCRAM"',
        'sasl-user = "x"',
        'sasl-password-file = "FOLDER/none"',
        'ssl-keyfile = "FOLDER/key.pem"',
        "ssl-check-hostname = 1",
    )
    with pytest.raises(SettingsError) as caught:
        settings(files, *lines)
    said = str(caught.value)
    for part in (
        "security-protocol is 'SASL_TLS', but must be PLAINTEXT or SSL or",
        "sasl-user is no setting; the nearest is sasl-username",
        "none', but there is no such file",
        "ssl-certfile is missing, but its key is set",
        "ssl-check-hostname must be true or false",
        "(in [kafka.work])",
    ):
        assert part in said


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (SASL, "sasl-password-file or sasl-password-env is missing"),
        (SASL[:1], "sasl-mechanism is missing.*sasl-username is missing"),
        (
            (*SASL, 'sasl-password-env = "NONE"'),
            "is NONE, but this environment variable is not set",
        ),
        ((*SASL, 'sasl-password-env = "TWO"'), "must contain one line"),
        ((*SASL, 'sasl-password-env = "EMPTY"'), "must contain one line"),
        (
            (*SASL, 'sasl-password-env = "TWO"', 'sasl-password-file = "FOLDER/password"'),
            "both set",
        ),
        (
            SASL[1:],
            "sasl-mechanism, sasl-username must be left out with security-protocol PLAINTEXT",
        ),
        (('ssl-cafile = "FOLDER/ca.pem"',), "ssl-cafile must be left out with"),
        (('security-protocol = "SSL"', 'ssl-cafile = "FOLDER/text"'), "text cannot be used"),
        (
            ('security-protocol = "SSL"', 'ssl-certfile = "FOLDER/chain.pem"'),
            "chain.pem cannot be used",
        ),
        (
            (
                'security-protocol = "SSL"',
                'ssl-certfile = "FOLDER/chain.pem"',
                'ssl-keyfile = "FOLDER/locked.pem"',
            ),
            "cannot be used .* with its password if it has one",
        ),
        (
            ('security-protocol = "SSL"', 'ssl-certfile = "FOLDER/ended.pem"'),
            r"ended.pem \(ssl-certfile\) expired at \d{4}-",
        ),
        (
            ('security-protocol = "SSL"', 'ssl-certfile = "FOLDER/early.pem"'),
            r"early.pem \(ssl-certfile\) is not valid before \d{4}-",
        ),
        (
            ('security-protocol = "SSL"', 'ssl-certfile = "FOLDER/old-chain.pem"'),
            r"has an authority \(CN=digitstream's own authority\) that expired at \d{4}-",
        ),
        ((*SASL, 'sasl-password-file = "FOLDER/pipe"'), "it is a named pipe, not a regular file"),
        ((*SASL, 'sasl-password-file = "FOLDER"'), "it is a folder, not a regular file"),
        ((*SASL, 'sasl-password-file = "/dev/zero"'), "it is a device, not a regular file"),
        ((*SASL, 'sasl-password-file = "FOLDER/huge"'), "huge cannot be read"),
        (('security-protocol = "SSL"', 'ssl-cafile = "FOLDER/pipe"'), "it is a named pipe"),
        (('security-protocol = "SSL"', 'ssl-cafile = "~nosuchuser/ca.pem"'), "no user's home"),
        (('security-protocol = "SSL"', 'ssl-cafile = "a\\u0000"'), "a text that is not empty"),
        (('bootstrap-servers = "nowhere"',), "bootstrap-servers .*HOST:PORT"),
    ],
)
def test_what_cannot_be_obeyed_is_told(files: Path, lines: list[str], told: str) -> None:
    with pytest.raises(SettingsError, match=told) as caught:
        settings(files, *lines, environ={"TWO": f"{HIDDEN}\n2", "EMPTY": ""})
    assert HIDDEN not in str(caught.value)


def test_what_is_no_table_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "digitstream.toml"
    file.write_text('kafka = "work"')
    with pytest.raises(SettingsError, match=r"is not a table. .*\[kafka.NAME\]"):
        load(Settings, {}, {}, file)
