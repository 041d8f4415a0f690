"""What others do to the topic of scores costs ScoreStream no score, and is never silent."""

from __future__ import annotations

import pytest

from contract.topics import Topics
from digitstream.broker import Broker
from tests.contract.test_score_stream import Scores, offsets

pytestmark = pytest.mark.kafka


@pytest.fixture
def scores(kafka_broker: Broker, topics: Topics) -> Scores:
    return Scores(kafka_broker.bootstrap_servers, topics)


def test_partitions_in_turn_are_remembered_however_little_is(scores: Scores) -> None:
    both = [scores.score(offset, part=part).message() for offset in range(50) for part in (0, 1)]
    scores.send(both * 2)
    with scores.open(remember=1) as stream:
        assert offsets(stream) == [offset for offset in range(50) for _ in range(2)]
