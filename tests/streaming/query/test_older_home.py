"""A home that an earlier release made goes on: its Kafka, its registry and its query's checkpoint.

`home-0.1.0.tar.xz` has two versions of a model, of which the second is champion, and sixty
readings, forty of which were scored.
"""

from __future__ import annotations

import tarfile
import threading
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from contract.settings.programs import Scoring
from digitstream.accounts import topic_reader
from digitstream.accounts.topics import reconcile
from digitstream.health.query_state import QueryState
from streaming.query.program import Summary, score
from tests.own_broker import OwnBroker
from tests.streaming.wire import answers

HOME = Path(__file__).parents[1] / "home-0.1.0.tar.xz"


@pytest.mark.kafka
@pytest.mark.spark
def test_a_home_of_an_earlier_release_still_works(
    spark: SparkSession, own_broker: OwnBroker, tmp_path: Path
) -> None:
    with tarfile.open(HOME) as packed:
        packed.extractall(tmp_path, filter="data")
    settings = Scoring(
        home=tmp_path, bootstrap_servers=own_broker.start(), engine="systemds", available_now=True
    )
    before = answers(settings).scores
    assert score(spark, settings, threading.Event(), print) == Summary(20, 0)
    after = answers(settings).scores
    assert (len(before), len(after)) == (40, 60)
    assert after[:40] == before and len({score.id for score in after}) == 60
    versions = {version.version: version.aliases for version in settings.registry.versions()}
    assert [*versions] == ["2", "1"] and "champion" in versions["2"]
    with topic_reader.open_reader(settings.kafka) as reader:
        state = QueryState.of(settings)
        readings, replays = (state.committed(topic) for topic in settings.topics.answered)
        accounts = reconcile(reader, settings.topics, None, readings, replays, state.ids)
    assert accounts.complete and accounts.total("scored") == 60
