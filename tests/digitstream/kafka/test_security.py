"""The embedded Kafka with security: what it makes, what it keeps, what its commands say."""

from __future__ import annotations

import json
import logging
import os
import stat
import subprocess
import time
import uuid
from datetime import timedelta
from pathlib import Path

import psutil
import pytest
from cryptography import x509
from kafka import KafkaProducer

from contract.errors import AccessDenied, TopicMissing
from contract.kafka.clients import arguments, connecting
from contract.settings.programs import Producing
from contract.settings.sources import PROFILES, load
from contract.wire.topics import Topics
from digitstream.accounts.topic_reader import open_reader
from digitstream.kafka import certificates, security, server
from digitstream.kafka.acls import PROGRAMS, grant, rights
from digitstream.machine import jars, java
from producers.program import run as produce
from tests.digitstream.conftest import Run
from tests.listening import Listeners
from tests.quick_java import quick_java

pytestmark = pytest.mark.kafka

NO_FILE = Path("no-such.toml")
USERS = {program: program for program in PROGRAMS}


def of(home: Path, profile: str, prefix: str = "digits") -> Producing:
    flags = {"home": home, "kafka_profile": profile, "prefix": prefix, "label_delay": 0, "count": 5}
    return load(Producing, flags, {}, NO_FILE)


@pytest.fixture
def prefix() -> str:
    return f"test-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def path(java_17: java.Java) -> list[Path]:
    return jars.ensure(jars.BROKER, java_17, jars.cache(os.environ))


def kept(home: Path) -> dict[str, bytes]:
    folder = security.folder(home)
    return {str(file): file.read_bytes() for file in sorted(folder.iterdir())}


@pytest.mark.slow
def test_it_keeps_authority_users_and_ports_and_tells_nobody_a_password(
    java_17: java.Java, path: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_, spawned = subprocess.run, list[str]()

    def overheard(command: list[str], **options: object) -> object:
        spawned.extend(command)
        return run_(command, **options)

    monkeypatch.setattr(subprocess, "run", overheard)
    try:
        with quick_java():
            started = server.start(tmp_path, java_17, path, secure=True)
        before, profiles = kept(tmp_path), (tmp_path / PROFILES).read_text()
        assert any(word.startswith("@") for word in spawned)
        listeners = Listeners()
        listeners.look(psutil.Process(started.pid))
        assert listeners.of("kafka.Kafka") == 4  # three for clients, one for the controller
        assert listeners.elsewhere == []
        for user in security.USERS:
            password = (security.folder(tmp_path) / f"{user}.password").read_text()
            assert len(password) >= 32
            assert password not in " ".join(spawned) + profiles
        server.stop(tmp_path)
        with quick_java():
            again = server.start(tmp_path, java_17, path)
        assert again.listeners == started.listeners
        assert (kept(tmp_path), (tmp_path / PROFILES).read_text()) == (before, profiles)
        with connecting(of(tmp_path, "scorer").kafka):
            pass
    finally:
        server.stop(tmp_path)


@pytest.mark.slow
@pytest.mark.long
def test_clients_prove_who_they_are_again_and_nothing_is_lost(
    java_17: java.Java,
    path: list[Path],
    tmp_path: Path,
    prefix: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG, "kafka.net.connection")
    server.start(tmp_path, java_17, path, secure=True, session_ms=3_000)
    try:
        admin, topics = of(tmp_path, "admin", prefix), Topics.named(prefix)
        grant(admin.kafka, list(rights(topics, USERS, prefix, create=False)), topics, 2)
        for kind in ("", "-plain"):
            caplog.clear()
            way = of(tmp_path, f"producer{kind}", prefix).kafka
            with connecting(way):
                producer = KafkaProducer(**arguments(way), enable_idempotence=True)
            sent = []
            while caplog.text.count("Beginning SASL re-authentication") < 4:
                sent.append(producer.send(topics.readings, b"x"))
                time.sleep(0.01)
            producer.flush(60)
            warnings = [record for record in caplog.records if record.levelno > logging.INFO]
            producer.close(60)  # in whose midst kafka-python may prove itself once more, in vain
            records = [future.get(0) for future in sent]
            places = {(record.partition, record.offset) for record in records}
            assert len(places) == len(sent)
            assert warnings == []
        with open_reader(of(tmp_path, "reader", prefix).kafka) as reader:
            caplog.clear()
            count = 0
            while caplog.text.count("Beginning SASL re-authentication") < 4:
                count = sum(1 for records in reader.records(topics.readings) for _ in records)
            assert count == sum(reader.end(topics.readings).values()) > len(sent)
    finally:
        server.stop(tmp_path)


def test_a_password_has_to_be_proved_again_within_minutes(tmp_path: Path) -> None:
    security.prepare(tmp_path)
    ports = dict.fromkeys(security.LISTENERS, 1)
    text = security.properties(tmp_path, "localhost", ports, 2, security.SESSION_MS)
    assert "\nconnections.max.reauth.ms=600000\n" in text


def test_nobody_else_may_read_what_is_secret(locked_home: Path) -> None:
    folder = security.folder(locked_home)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    files = [*folder.iterdir(), folder.parent / "server.properties"]
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    assert not (folder.parent / "format.arguments").exists()


def test_a_certificate_that_runs_out_is_made_anew(tmp_path: Path) -> None:
    security.prepare(tmp_path)
    folder, now = security.folder(tmp_path), certificates.now()
    before = kept(tmp_path)
    old = now - timedelta(days=certificates.LEAF_DAYS - 1)
    authority = certificates.Authority.of(folder, now)
    (folder / "broker.pem").write_bytes(authority.issue("broker", old, certificates.HOSTS))
    security.prepare(tmp_path)
    leaf = x509.load_pem_x509_certificates((folder / "broker.pem").read_bytes())[0]
    assert leaf.not_valid_after_utc > now + timedelta(days=300)
    changed = {name for name, content in kept(tmp_path).items() if content != before[name]}
    assert changed == {str(folder / "broker.pem")}


def test_open_doors_are_not_locked_afterwards(
    java_17: java.Java, path: list[Path], tmp_path: Path
) -> None:
    (tmp_path / "kafka" / "data").mkdir(parents=True)
    with pytest.raises(server.NotSecured, match=r"created without security.* another --home"):
        server.start(tmp_path, java_17, path, secure=True)
    assert not security.is_secure(tmp_path)


def test_without_a_profile_nobody_comes_in_and_is_told_the_names(locked_home: Path) -> None:
    with pytest.raises(AccessDenied, match="--kafka-profile: admin, producer, scorer, reader"):
        server.address(locked_home)


def test_each_user_may_do_what_its_program_does_and_nothing_else(
    locked_home: Path, prefix: str
) -> None:
    admin, topics = of(locked_home, "admin", prefix), Topics.named(prefix)
    producer, reader = of(locked_home, "producer", prefix), of(locked_home, "reader", prefix)
    with pytest.raises(AccessDenied, match=f"producer do .* WRITE {prefix}.readings"):
        produce(producer)
    grant(admin.kafka, list(rights(topics, USERS, prefix, create=False)), topics, 2)
    assert produce(producer).readings == 5
    with open_reader(reader.kafka) as found:
        assert sum(found.end(topics.readings).values()) == 5
    for profile, topic in {
        "producer": topics.scores,
        "scorer": topics.labels,
        "nobody": topics.readings,
    }.items():
        with (
            pytest.raises(AccessDenied, match=f"may not READ {topic}"),
            open_reader(of(locked_home, profile, prefix).kafka) as found,
        ):
            list(found.records(topic))
    with pytest.raises(AccessDenied, match=f"reader do .* WRITE {prefix}.readings"):
        produce(reader)
    with pytest.raises(AccessDenied, match=r"may not DESCRIBE|may not grant rights"):
        grant(producer.kafka, [], topics, 2)


def test_who_may_write_but_not_read_is_told_when_it_reads(locked_home: Path, prefix: str) -> None:
    admin, topics = of(locked_home, "admin", prefix), Topics.named(prefix)
    grant(admin.kafka, list(rights(topics, USERS, prefix, create=False)), topics, 2)
    produce(of(locked_home, "producer", prefix))
    with (
        pytest.raises(AccessDenied, match=f"let producer do.*{topics.readings}"),
        open_reader(of(locked_home, "producer", prefix).kafka) as found,
    ):
        list(found.records(topics.readings))


def test_topics_are_made_by_a_producer_only_if_that_is_wanted(
    locked_home: Path, prefix: str
) -> None:
    admin, producer = of(locked_home, "admin", prefix), of(locked_home, "producer", prefix)
    topics = Topics.named(prefix)
    for create in (False, True):
        wanted = rights(topics, USERS, prefix, create=create)
        given = [right for right in wanted if right.user == "producer"]
        # The rights alone, as an administrator without digitstream would give them.
        grant(admin.kafka, given, Topics.named(f"{prefix}-other"), 2)
        if not create:
            with pytest.raises(TopicMissing, match=r"(?s)\(Authorization failed\).*kafka-topics"):
                produce(producer)
    assert produce(producer).readings == 5


def test_the_commands_start_tell_and_give(
    run: Run,
    locked_home: Path,
    prefix: str,
) -> None:
    where = ("--home", str(locked_home), "--prefix", prefix)
    code, report, _ = run("broker", "acls", *where, "--producer", "fleet")
    assert code == 0
    assert f"--allow-principal User:fleet --operation WRITE --topic {prefix}.readings" in report
    as_admin = (*where, "--kafka-profile", "admin")
    code, report, _ = run("broker", "acls", *as_admin, "--apply", "--json")
    assert (code, json.loads(report)["applied"], len(json.loads(report)["rights"])) == (0, True, 20)
    code, report, said = run("broker", "start", "--home", str(locked_home))
    assert code == 0 and "--kafka-profile admin" in said
    code, _, said = run("reconcile", *where)
    assert code == 1 and "--kafka-profile: admin" in said and "Traceback" not in said
    code, report, _ = run("reconcile", *where, "--kafka-profile", "reader", "--json")
    assert (code, json.loads(report)["produced"]) == (0, 0)
    code, _, said = run("reconcile", *where, "--kafka-profile", "producer")
    assert code == 1 and "may not READ" in said and "Traceback" not in said
    code, report, _ = run("doctor", *where, "--kafka-profile", "reader", "--json")
    findings = {each["name"]: each for each in json.loads(report)["findings"]}
    assert findings["Kafka"]["ok"] and findings["topics"]["ok"]


def test_a_wrong_password_is_one_sentence(
    run: Run, locked_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    way = of(locked_home, "scorer").kafka
    lines = {
        "bootstrap-servers": way.servers,
        "security-protocol": "SASL_SSL",
        "sasl-mechanism": "SCRAM-SHA-512",
        "sasl-username": "scorer",
        "sasl-password-env": "KAFKA_PASSWORD",
        "ssl-cafile": str(security.folder(locked_home) / "ca.pem"),
    }
    table = "".join(f'{key} = "{value}"\n' for key, value in lines.items())
    (tmp_path / "digitstream.toml").write_text(f'kafka-profile = "work"\n[kafka.work]\n{table}')
    monkeypatch.setenv("KAFKA_PASSWORD", "hunter2")
    for command in (["produce"], ["score"], ["reconcile"], ["dead-letters", "list"]):
        code, report, said = run(*command)
        assert (code, report) == (1, "")
        assert "refuses the login of 'scorer' by SCRAM-SHA-512" in said
        assert "hunter2" not in said and "Traceback" not in said
