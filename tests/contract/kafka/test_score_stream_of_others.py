"""What others do to the topic of scores costs ScoreStream no score, and is never silent."""

from __future__ import annotations

import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.structs import OffsetAndMetadata

from contract.errors import BadEvent, RecordsLost
from contract.kafka.clients import arguments
from contract.kafka.offsets import open_log
from contract.kafka.topics import ensure
from contract.wire.messages import Message
from contract.wire.topics import Topics
from digitstream.kafka.server import Broker
from tests.contract.kafka.test_score_stream import Scores, offsets, rest, take
from tests.streaming.wire import make_compressed

pytestmark = pytest.mark.kafka


@pytest.fixture
def scores(kafka_broker: Broker, topics: Topics) -> Scores:
    return Scores(kafka_broker.bootstrap_servers, topics)


def test_partitions_in_turn_are_remembered_however_little_is(scores: Scores) -> None:
    both = [scores.score(offset, part=part).message() for offset in range(50) for part in (0, 1)]
    scores.send(both * 2)
    with scores.open(remember=1) as stream:
        assert rest(stream, 100) == [offset for offset in range(50) for _ in range(2)]


CODECS = (None, "gzip", "snappy", "lz4", "zstd")


def test_scores_of_all_compressions_come(scores: Scores) -> None:
    for number, codec in enumerate(CODECS):
        with KafkaProducer(**arguments(scores.kafka), compression_type=codec) as producer:
            for offset in range(10 * number, 10 * number + 10):
                key, value, headers = scores.score(offset).message()
                producer.send(scores.topics.scores, value, key, headers, 0)
    with scores.open(patience=60.0) as stream:
        assert take(stream, 50) == list(range(50))


@pytest.fixture
def compressed(kafka_broker: Broker, request: pytest.FixtureRequest) -> Scores:
    """Scores that the broker compresses with the codec that is the test's parameter."""
    topics = Topics.named(f"test-{uuid.uuid4().hex[:8]}")
    make_compressed(kafka_broker.kafka, topics, request.param)
    return Scores(kafka_broker.bootstrap_servers, topics)


@pytest.mark.parametrize("compressed", CODECS[1:], indirect=True)
def test_scores_that_the_broker_compresses_come(compressed: Scores) -> None:
    compressed.add(*range(10))
    with compressed.open(patience=60.0) as stream:
        assert take(stream, 10) == list(range(10))


WITHOUT_A_CODEC = """
import sys

module, servers, prefix = sys.argv[1:]
sys.modules[module] = None  # as if it was not installed
from contract import ScoreStream
from contract.errors import CodecMissing

with ScoreStream(servers, prefix, patience=60.0) as stream:
    for _ in range(2):
        try:
            next(stream)
        except CodecMissing as error:
            print(error)
"""


@pytest.mark.parametrize(
    ("compressed", "codec", "module", "package"),
    [
        ("snappy", "snappy", "snappy", "python-snappy"),
        ("lz4", "lz4", "lz4", "lz4"),
        ("zstd", "zstd", "zstandard", "zstandard"),
    ],
    indirect=["compressed"],
)
def test_a_compression_that_cannot_be_undone_is_named(
    compressed: Scores, codec: str, module: str, package: str
) -> None:
    compressed.add(0)
    ended = subprocess.run(
        [sys.executable, "-c", WITHOUT_A_CODEC, module, compressed.servers, compressed.prefix],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    scores = compressed.topics.scores
    sentence = f"Records of {scores} are compressed, and this Python cannot decompress {codec} "
    assert [line.startswith(sentence) for line in ended.stdout.splitlines()] == [True, True]
    assert f"`pip install {package}`" in ended.stdout


class Foreign(str):
    """A header's name as a client in another language may send it."""

    def encode(self, *_: object) -> bytes:
        return b"\xff\xfe"


def test_a_header_whose_name_is_no_text_is_told_once(scores: Scores) -> None:
    scores.add(0)
    scores.send([Message(None, b"{}", [(Foreign("x"), b"")])])
    scores.add(1)
    with scores.open(patience=60.0) as stream:
        assert offsets([next(stream)]) == [0]
        with pytest.raises(BadEvent, match="/0/1: A record does not hold a score"):
            next(stream)
        assert offsets([next(stream)]) == [1]


def test_a_damaged_batch_is_told_at_each_call(scores: Scores, kafka_broker: Broker) -> None:
    scores.add(0)
    [log] = Path(kafka_broker.data).rglob(f"{scores.topics.scores}-0/*.log")
    content = bytearray(log.read_bytes())
    content[-3] ^= 1
    log.write_bytes(content)
    with scores.open(patience=60.0) as stream:
        for _ in range(2):
            with pytest.raises(BadEvent, match=r"Records of .* are damaged"):
                next(stream)


@pytest.mark.parametrize("group", [None, "some"])
def test_a_topic_that_is_recreated_is_told_and_none_of_it_is_skipped(
    scores: Scores, group: str | None
) -> None:
    scores.add(*range(10))
    with scores.open(group=group, patience=60.0) as stream:
        assert take(stream, 10) == list(range(10))
        made_anew(scores)
        scores.add(*range(20, 40))
        with pytest.raises(RecordsLost, match="was deleted and created again while it was read"):
            list(stream)  # within a second or two: it is Kafka's client that looks
    with scores.open(group=group, patience=60.0) as stream:
        assert take(stream, 20) == list(range(20, 40))


def test_a_group_of_an_earlier_topic_takes_the_new_one_from_its_beginning(scores: Scores) -> None:
    scores.add(*range(10))
    place = TopicPartition(scores.topics.scores, 0)
    for mark, first in (("", 4), (f"topic-id={uuid.uuid4()}", 0), ("of another client", 4)):
        group = f"group-{first}-{len(mark)}"
        with KafkaConsumer(**arguments(scores.kafka), group_id=group) as consumer:
            consumer.assign([place])
            consumer.commit({place: OffsetAndMetadata(4, mark, -1)})
        with scores.open(group=group, recall=0, from_beginning=False, patience=60.0) as stream:
            assert take(stream, 10 - first) == list(range(first, 10))


def made_anew(scores: Scores) -> None:
    """Delete the topic of scores and recreate it."""
    with KafkaAdminClient(**arguments(scores.kafka)) as admin:
        admin.delete_topics([scores.topics.scores])
    deadline = time.monotonic() + 60
    with open_log(scores.kafka) as log:
        while log.topic_ids([scores.topics.scores]) and time.monotonic() < deadline:
            time.sleep(0.1)
    ensure(scores.kafka, scores.topics)


@pytest.fixture
def transactions(scores: Scores) -> Iterator[KafkaProducer]:
    """A producer that sends what is sent in transactions."""
    name = scores.topics.scores
    with KafkaProducer(**arguments(scores.kafka), transactional_id=name, acks="all") as producer:
        producer.init_transactions()
        yield producer


def send(producer: KafkaProducer, scores: Scores, *offsets: int) -> None:
    for offset in offsets:
        key, value, headers = scores.score(offset).message()
        producer.send(scores.topics.scores, value, key, headers, 0)
    producer.flush()


def test_scores_of_aborted_transactions_never_come(
    scores: Scores, transactions: KafkaProducer
) -> None:
    for number in range(3):
        transactions.begin_transaction()
        send(transactions, scores, 10 * number, 10 * number + 1)
        transactions.commit_transaction()
        transactions.begin_transaction()
        send(transactions, scores, 10 * number + 2, 10 * number + 3)
        transactions.abort_transaction()
    scores.add(100)
    with scores.open(patience=60.0) as stream:
        assert take(stream, 7) == [0, 1, 10, 11, 20, 21, 100]


def test_scores_of_a_transaction_come_when_it_is_committed(
    scores: Scores, transactions: KafkaProducer
) -> None:
    scores.add(0)
    transactions.begin_transaction()
    send(transactions, scores, 1)
    scores.add(2)
    with scores.open(group=scores.prefix, patience=60.0) as stream:
        assert take(stream, 1) == [0]
        assert stream.poll(2.0) is None
        stream.commit()
        transactions.commit_transaction()
        assert take(stream, 2) == [1, 2]
    with scores.open(from_beginning=False) as stream:
        assert stream.poll(1.0) is None
        transactions.begin_transaction()
        send(transactions, scores, 3)
        transactions.commit_transaction()
        assert offsets([stream.poll(60.0)]) == [3]
