"""Scoring as a process of its own: stopped, killed, on a cluster."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from pyspark.sql import SparkSession

from contract.settings.programs import Scoring
from contract.wire.events import Score, Source
from streaming.query.program import score
from streaming.spark.locks import CheckpointInUse, claim
from tests.listening import Listeners, overheard
from tests.streaming.processes import log, process
from tests.streaming.records import reading
from tests.streaming.wire import answers, messages, send, until_stored

pytestmark = [pytest.mark.kafka, pytest.mark.spark, pytest.mark.slow]

PROGRAM = """
import json, sys
from pathlib import Path
from contract.errors import DigitstreamError
from contract.settings.programs import Scoring
from streaming.query.program import run

settings, jars = json.loads(sys.argv[1]), [Path(jar) for jar in sys.argv[2:]]
try:
    run(Scoring(**{**settings, "home": Path(settings["home"])}), jars, sys.stderr.write)
except DigitstreamError as error:
    sys.exit(str(error))
"""

CLUSTER = """
import json, os, sys, threading
from pathlib import Path
from contract.settings.programs import Scoring
from streaming.query.program import score
from streaming.spark.session import session

settings, jars = json.loads(sys.argv[1]), [Path(jar) for jar in sys.argv[2:]]
spark = session(settings["master"], jars, secret_file=Path(settings["spark_secret_file"]))
score(spark, Scoring(**{**settings, "home": Path(settings["home"])}), threading.Event(), print)
decode = spark.sparkContext.range(1).map(lambda _: __import__("streaming.steps.decode"))
where = decode.map(lambda package: package.steps.decode.__file__)
print(where.collect(), file=sys.stderr)
known = spark.sparkContext.range(1).map(lambda _: len(os.environ["_SPARK_AUTH_SECRET"]))
print("of the secret", known.collect(), file=sys.stderr)
print(spark.sparkContext.getConf().getAll(), file=sys.stderr)
spark.sql("SET").show(10_000, False)
"""

SECRET = "known to driver and executors alone"


def scored(settings: Scoring) -> int:
    return len(messages(settings, settings.topics.scores))


@pytest.mark.parametrize(
    "kind", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.long)]
)
def test_a_signal_stops_after_the_micro_batch_that_runs(
    spark: SparkSession, scoring: Scoring, spark_jars: list[Path], kind: signal.Signals
) -> None:
    small = replace(scoring, max_offsets_per_trigger=20, available_now=False)
    sent = send(scoring, [reading(number) for number in range(1000)])
    with process(PROGRAM, small, spark_jars) as scorer:
        until_stored(scoring, 101, scoring.topics.scores)
        with (
            pytest.raises(CheckpointInUse, match="Another process scores"),
            claim(spark, scoring.home / "checkpoints" / "scoring", lambda seconds: None),
        ):
            pass
        listeners = Listeners()
        listeners.look(psutil.Process(scorer.pid))
        assert listeners.elsewhere == []
        assert listeners.of("pyspark.daemon") and listeners.of("pyspark-shell")
        family = psutil.Process(scorer.pid).children(recursive=True)
        for member in family:  # as a terminal or a service manager does
            with suppress(psutil.NoSuchProcess):  # some end with the one before them
                member.send_signal(kind)
        scorer.send_signal(kind)
        assert scorer.wait(30) == 0, log(scoring)
        psutil.wait_procs(family, 10)
        assert not [member for member in family if member.is_running()]
    assert 100 < scored(scoring) < 1000
    score(spark, scoring, threading.Event(), lambda sentence: None)
    assert sorted(answers(scoring).sources) == sorted(sent)


@pytest.mark.parametrize("kills", [1, pytest.param(2, marks=pytest.mark.long)])
def test_a_killed_process_loses_nothing_and_repeats_only_ids(
    spark: SparkSession, scoring: Scoring, spark_jars: list[Path], kills: int
) -> None:
    small = replace(scoring, max_offsets_per_trigger=50, available_now=False)
    sent = send(scoring, [reading(number) for number in range(600 * kills)])
    for _ in range(kills):
        before = scored(scoring)
        with process(PROGRAM, small, spark_jars) as scorer:
            until_stored(scoring, before + 101, scoring.topics.scores)
            os.kill(scorer.pid, signal.SIGKILL)
    score(spark, scoring, threading.Event(), lambda sentence: None)
    found = answers(scoring)
    assert set(found.sources) == set(sent)
    first_answers: dict[Source, Score] = {}
    for answer in found.scores:
        again = first_answers.setdefault(answer.source, answer)
        assert replace(again, times=answer.times) == answer


@pytest.mark.long
def test_remote_executors_get_the_packages_and_the_model(
    scoring: Scoring, spark_jars: list[Path]
) -> None:
    """Authenticated and encrypted, by a secret that nobody sees."""
    sent = send(scoring, [reading(number) for number in range(300)])
    secret = scoring.home / "secret"
    secret.write_text(f"{SECRET}\n")
    cluster = replace(scoring, master="local-cluster[1,1,1024]", spark_secret_file=secret)
    with process(CLUSTER, cluster, spark_jars) as scorer, overheard(scorer.pid) as listeners:
        output, _ = scorer.communicate(timeout=500)
    assert scorer.returncode == 0, log(scoring)
    assert "digitstream.zip/streaming/decode.py" in log(scoring)
    assert f"of the secret [{len(SECRET)}]" in log(scoring)
    assert "('spark.network.crypto.enabled', 'true')" in log(scoring)
    assert listeners.of("CoarseGrainedExecutorBackend") and listeners.elsewhere == []
    assert SECRET not in log(scoring) + output + str(listeners.seen)
    assert sorted(answers(scoring).sources) == sorted(sent)
    assert not answers(scoring).letters
