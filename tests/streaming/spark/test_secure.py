"""Each program against a Kafka with security, with the rights of its own user alone."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import astuple
from pathlib import Path

import psutil
import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from contract.settings.programs import Scoring
from contract.settings.sources import load
from digitstream.accounts.topic_reader import open_reader
from digitstream.kafka import security
from digitstream.kafka.acls import PROGRAMS, grant, rights
from tests.quick_java import QUICK

pytestmark = [pytest.mark.kafka, pytest.mark.spark, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
NO_FILE = Path("no-such.toml")
READINGS = 300

# All that Spark's page would show.
DEFAULTS = """\
spark.eventLog.enabled true
spark.eventLog.dir {events}
"""


# Scores by a password and by a certificate, and says as much as classes of Java and Spark can.
LOUD = """
import os, sys, threading
from pathlib import Path
from contract.settings.sources import load
from contract.settings.programs import Scoring
from streaming.spark import source
from streaming.query.failures import scoring_failure
from streaming.query.program import score
from streaming.spark.session import session
from streaming.spark.sink import Sink

prefix, jars = sys.argv[1], [Path(jar) for jar in sys.argv[2:]]
spark = session("local[2]", jars)
spark.sparkContext.setLogLevel("INFO")
log4j = spark._jvm.org.apache.logging.log4j
for name in ("org.apache.kafka", "org.apache.spark.sql.kafka010"):
    log4j.core.config.Configurator.setAllLevels(name, log4j.Level.DEBUG)
for name in ("scorer-plain", "apart"):
    given = {"home": Path("."), "kafka_profile": name, "prefix": prefix, "name": name}
    settings = load(Scoring, {**given, "available_now": True}, os.environ)
    print(settings, score(spark, settings, threading.Event(), print))
    kafka, topics = settings.kafka, settings.topics
    readings = source.readings(spark, kafka, [topics.readings], 10)
    readings.explain(True)
    print(readings._jdf.queryExecution().toString())
    label = spark.createDataFrame([(topics.labels, b"not ours")], "topic string, value binary")
    try:
        Sink(kafka, "lz4").publish(label)
    except Exception as error:
        print(error, repr(scoring_failure(error, kafka)))
print(spark.sparkContext.getConf().toDebugString())
"""


class Installation:
    """A home whose Kafka is that of another one, and the programs that run in it."""

    def __init__(self, home: Path, broker: Path, prefix: str) -> None:
        self.home, self.broker, self.prefix = home, broker, prefix
        self.said: list[str] = []
        events, conf = home / "events", home / "conf"
        for folder in (events, conf):
            folder.mkdir()
        (conf / "spark-defaults.conf").write_text(DEFAULTS.format(events=events.as_uri()))
        shutil.copy(broker / "profiles.toml", home)

    def settings(self, profile: str) -> Scoring:
        flags = {"home": self.home, "kafka_profile": profile, "prefix": self.prefix}
        return load(Scoring, flags, {}, NO_FILE)

    def run(self, program: str, *words: str, profile: str) -> tuple[int, str]:
        """Run a program to its end; returns its exit code and its report."""
        command = [sys.executable, "-m", "digitstream", program, *words, "--json"]
        shared = {"HOME": str(self.home), "PREFIX": self.prefix, "KAFKA_PROFILE": profile}
        environ = {f"DIGITSTREAM_{name}": value for name, value in shared.items()}
        environ |= {"PYTHONPATH": str(ROOT), "SPARK_CONF_DIR": str(self.home / "conf"), **QUICK}
        with (
            (self.home / "stderr").open("a") as stderr,
            subprocess.Popen(
                command,
                env={**os.environ, **environ},
                cwd=self.home,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
            ) as started,
        ):
            self._overheard(psutil.Process(started.pid))
            report, _ = started.communicate()
        self.said.append(report)
        return started.returncode, report

    def python(self, program: str, *words: str) -> tuple[int, str]:
        """Run a program in Python; returns its exit code and all that it said."""
        shared = {"PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore", "KEY_PASSWORD": "locked"}
        done = subprocess.run(
            [sys.executable, "-c", program, *words],
            env={**os.environ, **shared},
            cwd=self.home,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout

    def _overheard(self, process: psutil.Process) -> None:
        """Note the arguments of the process and of all that it starts, while it runs."""
        while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
            for member in (process, *process.children(recursive=True)):
                try:
                    self.said.append(" ".join(member.cmdline()))
                except psutil.Error:
                    continue
            try:
                process.wait(0.5)
            except psutil.TimeoutExpired:
                continue

    def everything(self) -> bytes:
        """All that the programs printed, logged, kept and published."""
        files = [file for file in self.home.rglob("*") if file.is_file()]
        published = []
        settings = self.settings("reader")
        with open_reader(settings.kafka) as reader:
            for topic in astuple(settings.topics):
                for records in reader.records(topic):
                    published += [repr(tuple(record)).encode() for record in records]
        texts = [file.read_bytes() for file in files]
        return b"\n".join([*texts, *published, *(text.encode() for text in self.said)])


@pytest.fixture
def installation(locked_home: Path, registered: Path, tmp_path: Path) -> Installation:
    shutil.copy(registered, tmp_path)
    made = Installation(tmp_path, locked_home, f"test-{uuid.uuid4().hex[:8]}")
    admin = made.settings("admin")
    users = {program: program for program in PROGRAMS}
    grant(
        admin.kafka, list(rights(admin.topics, users, made.prefix, create=False)), admin.topics, 2
    )
    return made


@pytest.mark.parametrize("kind", ["", pytest.param("-certificate", marks=pytest.mark.long)])
def test_each_program_needs_only_its_own_rights_and_shows_no_secret(
    installation: Installation, kind: str
) -> None:
    words = ("--count", str(READINGS), "--rate", "max", "--label-delay", "0", "--faults", "5%")
    code, report = installation.run("produce", *words, profile=f"producer{kind}")
    stderr = (installation.home / "stderr").read_text
    assert code == 0, stderr()
    sent = json.loads(report)["readings"]
    scoring = ("--available-now", "--engine", "onnx")
    code, report = installation.run("score", *scoring, profile=f"scorer{kind}")
    assert code == 0, stderr()
    assert sum(json.loads(report).values()) == sent
    code, report = installation.run("reconcile", profile=f"reader{kind}")
    assert code == 0, stderr()
    found = json.loads(report)
    assert (found["complete"], found["produced"], found["in_flight"]) == (True, sent, 0)
    code, report = installation.run("status", profile=f"reader{kind}")
    assert json.loads(report)["waiting"] == 0, stderr()  # the scorer could note how far it is
    said = installation.everything()
    assert b"SparkListenerSQLExecutionStart" in said and b"kafka.bootstrap.servers" in said
    for secret in passwords(installation.broker):
        assert said.count(secret) == 0, "a secret shows"


@pytest.mark.long
def test_java_and_spark_show_no_secret_at_any_log_level(
    installation: Installation, spark_jars: list[Path]
) -> None:
    words = ("--count", str(READINGS), "--rate", "max", "--label-delay", "0")
    assert installation.run("produce", *words, profile="producer")[0] == 0
    folder = security.folder(installation.broker)
    key, begin, chain = (folder / "scorer.pem").read_text().partition("-----BEGIN CERTIFICATE")
    (installation.home / "chain.pem").write_text(begin + chain)
    apart = installation.broker / "scorer.key"
    loaded = load_pem_private_key(key.encode(), None)
    locked = BestAvailableEncryption(b"locked")
    apart.write_bytes(loaded.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, locked))
    mutual = installation.settings("scorer-certificate").kafka
    with (installation.home / "digitstream.toml").open("w") as toml:
        lines = {
            "bootstrap-servers": mutual.servers,
            "security-protocol": "SSL",
            "ssl-cafile": f"{folder}/ca.pem",
            "ssl-certfile": "chain.pem",
            "ssl-keyfile": str(apart),
            "ssl-key-password-env": "KEY_PASSWORD",
        }
        toml.write("[kafka.apart]\n" + "".join(f'{key} = "{lines[key]}"\n' for key in lines))
    code, said = installation.python(LOUD, installation.prefix, *map(str, spark_jars))
    assert code == 0, said[-3000:]
    for part in ("ConsumerConfig values", "ProducerConfig values", "Physical Plan", "AccessDenied"):
        assert said.count(part) > 0, part
    assert said.count(f"Not authorized to access topics: [{installation.prefix}.labels]") > 0
    for secret in passwords(installation.broker):
        assert said.count(secret.decode()) == 0, "a secret shows"


def passwords(home: Path) -> Iterator[bytes]:
    """What nobody may see: each password, and the first line of each key."""
    for user in security.USERS:
        yield (security.folder(home) / f"{user}.password").read_bytes()
        yield (security.folder(home) / f"{user}.pem").read_bytes().splitlines()[1]
