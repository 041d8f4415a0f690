from __future__ import annotations

import json
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from contract.model import bundle
from contract.model.bundle import Golden
from contract.model.registry import Registry
from contract.model.scaling import Scaling
from contract.settings.programs import Settings
from contract.wire.topics import Topics
from digitstream.kafka.server import Broker
from tests.digitstream.conftest import Run

NAMES = ("demo", "broker", "train", "produce", "score", "status", "models", "reconcile")
NAMES += ("dead-letters", "archive", "tables", "sql")


def register(home: Path, accuracy: float, name: str = "digits") -> str:
    """Register a version of a small model; returns its number."""
    folder = home / "made"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "dml").mkdir(exist_ok=True)
    (folder / "dml" / "predict.dml").write_text("")
    (folder / "model.onnx").write_text(str(accuracy))
    made = bundle.write(
        folder,
        name="digits",
        input_shape=(2, 3, 1),
        classes=[0, 1],
        scaling=Scaling(1 / 255, 0.0),
        versions={},
        data_sha256="0" * 64,
        metrics={"accuracy": accuracy},
        golden=Golden(
            inputs=np.zeros((1, 2, 3, 1), np.uint8),
            probabilities=np.full((1, 2), 0.5, np.float32),
            labels=np.zeros(1, np.int64),
        ),
    )
    registry: Registry = Settings(home=home, model=name).registry
    history = [{"accuracy": accuracy + 0.1, "val_accuracy": accuracy, "loss": 0.5}]
    return registry.register(made, parameters={}, history=history)


def test_help_names_every_command_and_loads_nothing_heavy() -> None:
    code = (
        "import sys; sys.argv = ['digitstream', '--help']\n"
        "from digitstream.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'kafka', 'keras', 'mlflow', 'numpy', 'pyspark', 'sklearn', 'tensorflow'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.splitlines()[-1] == "[]"
    assert all(name in said.stdout for name in (*NAMES, "doctor"))


def test_an_unknown_setting_is_refused_with_the_nearest(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DIGITSTREAM_ENGIN", "onnx")
    code, _, said = run("models", "list")
    assert code == 1
    assert "DIGITSTREAM_ENGIN is no setting; the nearest is DIGITSTREAM_ENGINE" in said


def test_flags_go_before_the_environment_and_the_file(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "digitstream.toml").write_text('bootstrap-servers = "127.0.0.1:7"\n')
    assert "127.0.0.1:7" in run("reconcile")[2]
    monkeypatch.setenv("DIGITSTREAM_BOOTSTRAP_SERVERS", "127.0.0.1:8")
    assert "127.0.0.1:8" in run("reconcile")[2]
    assert "127.0.0.1:9" in run("reconcile", "--bootstrap-servers", "127.0.0.1:9")[2]


def test_models_are_listed_shown_and_promoted(run: Run, tmp_path: Path) -> None:
    home = tmp_path / "home"
    first, second = register(home, 0.5), register(home, 0.75)
    flag = ("--home", str(home))
    assert (
        run("models", "promote", first, *flag)[1].strip() == "Version 1 of digits is champion now."
    )
    code, report, _ = run("models", "promote", second, *flag, "--json")
    assert (code, json.loads(report)["version"]) == (0, second)
    listed = json.loads(run("models", "list", *flag, "--json")[1])["versions"]
    assert [(each["version"], each["aliases"]) for each in listed] == [
        (second, ["champion"]),
        (first, ["previous"]),
    ]
    assert "75.00%" in run("models", "list", *flag)[1]
    shown = json.loads(run("models", "show", second, *flag, "--json")[1])
    assert shown["manifest"]["input_shape"] == [2, 3, 1]
    report = run("models", "show", second, *flag)[1]
    assert dict(re.findall(r"(?m)^(.*?accuracy \(.*?\)) +([0-9.]+)$", report)) == {
        "metrics accuracy (training images, in the last epoch)": "0.85",
        "metrics val_accuracy (held-out images, after the last epoch)": "0.75",
        "metrics test_accuracy (held-out images)": "0.75",
        "manifest metrics accuracy (held-out images)": "0.75",
    }
    code, _, said = run("models", "show", "9", *flag)
    assert code == 1
    assert "no version 9. Its versions are 2, 1." in said
    code, _, said = run("models", "promote", "9", *flag)
    assert code == 1 and "version 9" in said


def test_a_champion_is_rolled_back_and_a_challenger_dismissed(run: Run, tmp_path: Path) -> None:
    home = tmp_path / "home"
    first, second = register(home, 0.5), register(home, 0.75)
    flag = ("--home", str(home))
    code, _, said = run("models", "rollback", *flag)
    assert code == 1 and "digitstream train" in said
    for version in (first, second):
        run("models", "promote", version, *flag)
    code, report, _ = run("models", "rollback", *flag, "--json")
    assert (code, json.loads(report)["version"], json.loads(report)["rolled_back"]) == (
        0,
        first,
        second,
    )
    assert "rolled back by hand" in run("models", "list", *flag)[1]
    run("models", "promote", second, "--alias", "challenger", *flag)
    assert run("models", "dismiss", *flag)[1].strip() == (
        f"Version {second} of digits is no longer challenger."
    )
    assert run("models", "dismiss", *flag)[0] == 1


@pytest.mark.parametrize(
    "words",
    [
        ("tables", "list"),
        ("tables", "compact"),
        ("tables", "vacuum"),
        ("sql", "SELECT 1"),
        ("reconcile", "--from", "tables"),
    ],
)
def test_no_tables_is_one_sentence_without_spark(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))  # so that no JVM could start
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "tables" / "readings").mkdir(parents=True)
    code, out, said = run(*words, "--tables", "tables")
    assert (code, out) == (1, "")
    assert said.splitlines()[-1] == (
        f"There are no tables at file:{tmp_path}/tables. The archive creates them. Run "
        f"`digitstream archive`, or set --tables to where they are."
    )


@pytest.mark.parametrize(
    "words",
    [("--version", "3"), ("--to-timestamp", "2026-01-31T09:15:00Z"), ("--from", "tables")],
)
def test_what_belongs_to_scoring_the_past_needs_a_topic(run: Run, words: tuple[str, str]) -> None:
    code, _, said = run("score", *words)
    assert code == 1
    assert "--topic" in said and "Traceback" not in said


def test_doctor_says_what_is_missing_and_the_remedy(run: Run) -> None:
    code, report, _ = run("doctor", "--json")
    findings = {each["name"]: each for each in json.loads(report)["findings"]}
    assert code == 1
    well = {name for name, each in findings.items() if each["ok"]}
    assert well >= {"Python", "Java", "SystemDS", "BLAS", "kernels", "jars"}
    assert re.search("Vector API|with which training takes", findings["kernels"]["detail"])
    assert re.search("OpenBLAS, /|only costs speed", findings["BLAS"]["detail"])
    assert "digitstream broker start" in findings["Kafka"]["detail"]
    assert "digitstream train" in findings["champion"]["detail"]
    assert "digitstream train" in run("doctor")[1].replace("\n", " ")


@pytest.mark.kafka
def test_no_champion_stops_scoring_before_it_begins(
    run: Run, kafka_broker: Broker, topics: Topics
) -> None:
    prefix = topics.readings.removesuffix(".readings")
    servers = kafka_broker.bootstrap_servers
    code, _, said = run("score", "--bootstrap-servers", servers, "--prefix", prefix)
    assert code == 1
    assert "digitstream train" in said and "Traceback" not in said


@pytest.mark.kafka
def test_a_gap_makes_reconcile_fail_and_is_listed(
    run: Run, kafka_broker: Broker, topics: Topics
) -> None:
    from kafka import KafkaProducer

    producer = KafkaProducer(bootstrap_servers=kafka_broker.bootstrap_servers)
    for _ in range(3):
        producer.send(topics.readings, b"pixels", partition=0)
    answer = [("ce_id", f"{topics.readings}/0/2".encode())]
    producer.send(topics.scores, b"{}", headers=answer, partition=0)
    producer.send(topics.labels, b"pixels", partition=1)
    producer.close()
    where = ("--bootstrap-servers", kafka_broker.bootstrap_servers)
    where += ("--prefix", topics.readings.removesuffix(".readings"))
    code, report, _ = run("reconcile", *where, "--json")
    found = json.loads(report)
    assert (code, found["complete"], found["missing"], found["produced"]) == (1, False, 2, 3)
    assert found["topics"][0]["partitions"][0]["gaps"] == [[0, 1]]
    code, report, _ = run("reconcile", *where)
    assert code == 1 and "0-1" in report
    both = f"{topics.readings}, {topics.labels}"  # any topic may have readings
    code, report, _ = run("reconcile", *where, "--subscribe", both, "--json")
    found = json.loads(report)
    assert (code, found["missing"], found["produced"], found["in_flight"]) == (1, 2, 4, 1)
    assert [each["topic"] for each in found["topics"]] == [topics.readings, topics.labels]
    code, report, _ = run("dead-letters", "list", *where, "--json")
    assert (code, json.loads(report)["total"]) == (0, 0)


@pytest.mark.kafka
def test_the_broker_starts_tells_where_it_is_and_stops(run: Run) -> None:
    assert run("broker", "status")[0] == 1
    try:
        code, report, _ = run("broker", "start", "--json")
        assert (code, json.loads(report)["running"]) == (0, True)
        assert json.loads(run("broker", "status", "--json")[1]) == json.loads(report)
    finally:
        code, stopped, _ = run("broker", "stop")
    servers = json.loads(report)["bootstrap_servers"]
    assert code == 0
    assert re.fullmatch(rf"Kafka at {servers} \(process \d+\) was stopped\.\n", stopped)
    assert run("broker", "stop")[:2] == (0, "No Kafka of .digitstream was running.\n")
    assert json.loads(run("broker", "stop", "--json")[1]) == {"running": False, "stopped": None}
    assert run("broker", "status")[0] == 1


@pytest.mark.kafka
def test_status_tells_what_waits_and_whether_anybody_works(
    run: Run, kafka_broker: Broker, topics: Topics, tmp_path: Path
) -> None:
    from kafka import KafkaProducer

    from contract.kafka.offsets import open_log
    from contract.settings.programs import Scoring
    from contract.wire.events import Model
    from contract.wire.progress import Agreement, Lag, Progress

    prefix = topics.readings.removesuffix(".readings")
    where = ("--bootstrap-servers", kafka_broker.bootstrap_servers, "--prefix", prefix)
    where += ("--home", str(tmp_path))
    producer = KafkaProducer(bootstrap_servers=kafka_broker.bootstrap_servers)
    for _ in range(5):
        producer.send(topics.readings, b"pixels", partition=0)
    producer.flush()
    code, report, _ = run("status", *where, "--json")
    found = json.loads(report)
    assert (code, found["running"], found["last"], found["waiting"]) == (1, None, None, 5)
    assert "no scorer ran yet" in run("status", *where)[1]

    model, lag = Model("digits", "3", "openvino"), Lag(4, 90.0, None, None, 7200.0)
    progress = Progress(
        "scoring", 7, datetime.now(UTC), 1, 1, 0, 1.0, 2.0, {"triggerExecution": 40}, model, lag,
        {"shadow": Agreement(4, 3)}, 192.0,
    )  # fmt: skip
    key, value, headers = progress.message()
    producer.send(topics.progress, value, key, headers)
    producer.close()
    with open_log(kafka_broker.kafka) as log:
        log.commit(Scoring(prefix=prefix).group, {topics.readings: {0: 2, 1: 0}})
    lock = tmp_path / "checkpoints" / "scoring.lock"
    lock.parent.mkdir()
    lock.touch()
    code, report, _ = run("status", *where, "--json")
    found = json.loads(report)
    assert (code, found["running"], found["waiting"]) == (1, False, 3)
    assert found["last"]["lag"]["overtaken_s"] == 7200.0
    report = run("status", *where)[1]
    assert "digits 3 with openvino" in report and "3 readings" in report
    assert "not at this pace" in report and "2.0 h" in report and "same class for 3 of 4" in report
    assert "no answer for 3.2 min: no version takes over" in report
