"""A registry that is slow, locked or away: the stream goes on, and what it found out is kept."""

from __future__ import annotations

import shutil
import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from sqlalchemy import Engine, event

from contract.errors import RegistryUnavailable
from contract.model import bundle
from contract.model.bundle import Bundle
from contract.model.registry import CHALLENGER, CHAMPION
from contract.settings.programs import Scoring
from contract.wire import images
from contract.wire.progress import Progress
from streaming.engines import trials
from streaming.engines.in_workers import InWorkers
from streaming.engines.trials import Kind
from streaming.models.loaded import Loader
from streaming.models.polling import Poller
from streaming.query.program import Summary, score
from tests.streaming.lasting import answered, heard, running, some
from tests.streaming.onnx_models import endless, moody, registered_as, upsetting
from tests.streaming.records import reading
from tests.streaming.wire import answers, messages, send, until

pytestmark = pytest.mark.spark

LOCK_MS = 20_000
"""How long MLflow waits for a database that somebody has locked."""


@pytest.fixture
def installed(registered: Path, tmp_path: Path) -> Scoring:
    shutil.copy(registered, tmp_path)
    return Scoring(home=tmp_path)


@contextmanager
def locked(settings: Scoring) -> Iterator[None]:
    """The registry's file, locked while the body runs."""
    with closing(sqlite3.connect(settings.home / "mlflow.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield
        other.execute("ROLLBACK")


@pytest.fixture
def impatient() -> Iterator[None]:
    """MLflow gives up at once where a database is locked, not after LOCK_MS."""

    def at_once(
        connection: object, cursor: object, statement: str, parameters: object, *_: object
    ) -> tuple[str, object]:
        return statement.replace(f"busy_timeout = {LOCK_MS}", "busy_timeout = 50"), parameters

    event.listen(Engine, "before_cursor_execute", at_once, retval=True)
    yield
    event.remove(Engine, "before_cursor_execute", at_once)


@contextmanager
def polling(spark: SparkSession, settings: Scoring, sentences: list[str]) -> Iterator[Poller]:
    loader = Loader(spark, "onnx", sentences.append, threading.Event())
    poller = Poller(settings.registry, loader, sentences.append, lambda: None, has_challenger=True)
    with closing(poller):
        poller.begin(watched=True)
        yield poller


@pytest.mark.kafka
def test_no_micro_batch_waits_for_a_registry_that_is_locked(
    spark: SparkSession, scoring: Scoring, sealed: Bundle
) -> None:
    with running(spark, replace(scoring, guard_agreement=0.0, guard_slowness=1e9)) as sentences:
        sent = some(scoring, 0)
        answered(scoring, sent)
        scoring.registry.promote(registered_as(scoring, sealed, moody()))
        heard(sentences, "Version 2 of digits scores from now on.")
        sentences.clear()
        with locked(scoring):
            for first in (30, 60, 100):  # none of them upsets the model
                sent |= some(scoring, first)
                answered(scoring, sent)
            waited = [*sentences]
            upset = [reading(999, payload=images.encode(upsetting()))]
            sent |= send(scoring, upset)
            answered(scoring, sent)
            heard(sentences, "Version 2 failed a micro-batch")
        until(lambda: scoring.registry.resolve().version == "1")
    assert sorted(set(answers(scoring).sources)) == sorted(sent)
    told = [Progress.of(*message) for message in messages(scoring, scoring.topics.progress)]
    under_lock = [event for event in told if event.registry_silent_s > 1]
    quickest = min(event.durations_ms["triggerExecution"] for event in told[-len(under_lock) :])
    # Either the first question is still open, or micro-batches took less time than an answer.
    assert not waited or quickest < LOCK_MS
    [removed] = [version for version in scoring.registry.versions() if version.version == "2"]
    assert removed.removed is not None and "failed a micro-batch" in removed.removed


@pytest.mark.usefixtures("impatient")
def test_a_registry_that_does_not_answer_is_reported_once_and_when_it_is_back(
    spark: SparkSession, installed: Scoring
) -> None:
    sentences: list[str] = []
    with polling(spark, installed, sentences) as poller:
        aliases = poller.aliases
        with locked(installed):
            heard(sentences, "The registry sqlite:")
            until(lambda: poller.silent_s > 2)  # some questions later
            assert poller.aliases is aliases
            assert sentences[0].endswith(
                "Version 1 continues as champion. Retrying until it answers."
            )
        heard(sentences, "The registry answers again.")
        assert len(sentences) == 2
        assert poller.silent_s < 2


@pytest.mark.usefixtures("impatient")
def test_writes_to_the_registry_are_retried_until_it_answers(
    spark: SparkSession, installed: Scoring, sealed: Bundle
) -> None:
    installed.registry.promote(installed.registry.register(sealed, parameters={}), CHALLENGER)
    sentences: list[str] = []
    with polling(spark, installed, sentences) as poller:
        challenger = poller.aliases.challenger
        assert challenger is not None
        with locked(installed):
            heard(sentences, "The registry sqlite:")
            poller.remove(CHALLENGER, challenger, "it was worse", None)
            assert poller.aliases.challenger is None
        until(lambda: is_free(installed, CHALLENGER))
        [version, _] = installed.registry.versions()
        assert version.removed == "it was worse"
        until(lambda: poller.silent_s == 0.0)
        assert poller.aliases.challenger is None
        installed.registry.promote("2", CHALLENGER)  # all the same
        until(lambda: poller.aliases.challenger is not None)


def is_free(settings: Scoring, alias: str) -> bool:
    """Whether no version has the alias; False where the poller just writes, too."""
    try:
        return not any(alias in version.aliases for version in settings.registry.versions())
    except RegistryUnavailable:
        return False


@pytest.mark.usefixtures("impatient")
def test_failed_writes_to_the_registry_are_reported_at_the_end(
    spark: SparkSession, installed: Scoring, sealed: Bundle
) -> None:
    installed.registry.promote(installed.registry.register(sealed, parameters={}))
    sentences: list[str] = []
    with polling(spark, installed, sentences) as poller, locked(installed):
        new = poller.aliases.champion
        poller.remove(CHAMPION, new, "it was worse", replace(new))
        poller.confirm(new)
        poller.close()
    assert sentences[-2:] == [
        "The registry could not record that version 2 is no longer champion. Do it with "
        "`digitstream models rollback`.",
        "The registry could not record that version 2 did as well as the previous one. The next "
        "start watches it again.",
    ]


@pytest.mark.kafka
def test_a_trial_ends_when_the_query_is_to_stop(
    spark: SparkSession, scoring: Scoring, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = threading.Event()

    def make(session: SparkSession, found: Bundle, title: str) -> InWorkers:
        tried.set()
        return InWorkers.of(session, endless, found.read(bundle.ONNX))

    monkeypatch.setattr(trials, "ENGINES", {"onnx": Kind(make)})
    stop = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        summary = pool.submit(score, spark, scoring, stop, print)
        assert tried.wait(60)
        stop.set()
        assert summary.result(60) == Summary(0, 0)
