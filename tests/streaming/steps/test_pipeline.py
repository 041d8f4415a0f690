"""Whole columns answer each reading exactly as the contract's rules for a single one do."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.model.scaling import Scaling
from contract.wire import images
from contract.wire.events import DeadLetter, Model, Reading, Replay, Score, Source, Times
from contract.wire.messages import Message
from contract.wire.reasons import BadReading
from contract.wire.topics import Topics
from contract.wire.values.times import FIRST_MS, LAST_MS, moment
from streaming.errors import ModelFailed
from streaming.models.routes import latest
from streaming.spark.sink import LARGEST
from streaming.spark.topic_ids import KnownTopics
from streaming.steps.columns import stamps
from streaming.steps.decode import decoded
from streaming.steps.frame import Features, Frame, Probabilities
from streaming.steps.pipeline import merged
from streaming.steps.publish import Publishing, published, weight
from streaming.steps.scale import scaled
from streaming.steps.score import scored
from streaming.steps.validate import validated
from tests.streaming.odd import ODD
from tests.streaming.records import SHAPE, STORED, TOPIC, reading, records

NOW = datetime(2026, 3, 1, 12, 0, 1, tzinfo=UTC)
CLASSES = (0, 1, 2)
MODEL = Model("digits", "3", "onnx")
SCALING = Scaling(1 / 255, 0.0)


class Ignored:
    """Metrics that nobody reads."""

    def add(self, metrics: object) -> None:
        pass


TOPICS = Topics.named("test")
TOPIC_ID, OLD = "q3JXh2k9TVK0lM3rNnQx5w", "old.readings"
KNOWN = KnownTopics(
    {TOPIC: TOPIC_ID, TOPICS.replays: TOPIC_ID[::-1], OLD: TOPIC_ID}, frozenset({OLD})
)
PUBLISHING = Publishing(TOPICS, KNOWN, MODEL, CLASSES, lambda: NOW, Ignored())


def brightness(features: Features) -> Probabilities:
    """A model whose answer to an image does not depend on the images beside it."""
    mean = features.reshape(len(features), -1).mean(axis=1, dtype=np.float64)
    return np.stack([mean / 2, 1 - mean, mean / 2], axis=1).astype(np.float32)


def by_brightness(frame: Frame) -> Probabilities:
    return brightness(frame.features)


def answers(batch: pa.RecordBatch) -> list[tuple[str, Message]]:
    frame = scaled(validated(decoded(Frame.of(batch), SHAPE, TOPICS), SHAPE), SHAPE, SCALING)
    found = published(scored(frame, "digits 3", by_brightness, len(CLASSES)), PUBLISHING)
    return [
        (
            row["topic"],
            Message(row["key"], row["value"], [tuple(h.values()) for h in row["headers"]]),
        )
        for row in found.to_pylist()
    ]


def expected(message: Message, source: Source) -> tuple[str, Message]:
    """The answer that the contract's own codecs give to a record."""
    attempt, first = 1, None
    try:
        if source.topic == TOPICS.replays:
            replay = Replay.of(*message)
            if replay.first.topic == TOPICS.replays:
                slug = "bad-header"
                detail = f"replay-of is {replay.first.id}; it must be no replay itself"
                raise BadReading(slug, detail)
            attempt, first = replay.attempt, replay.first
            message = message._replace(headers=list(replay.headers))
        found = Reading.of(*message)
        pixels = images.decode(found.payload, found.content_type, SHAPE)
    except BadReading as bad:
        key, value, headers = message
        letter = DeadLetter(
            bad.stage, bad.reason, source, attempt, key, value, tuple(headers), first
        )
        return "test.dead-letters", letter.message()
    features = SCALING.apply(pixels[None])
    row = brightness(features)[0]
    score = Score(
        id=found.id,
        device=found.device,
        prediction=CLASSES[int(row.argmax())],
        confidence=float(row.max()),
        probabilities=tuple(row.tolist()),
        model=MODEL,
        source=source,
        times=Times(found.time, STORED, NOW),
        replay_of=first,
    )
    return "test.scores", score.message()._replace(key=message.key)


def agrees(messages: list[Message], topic: str = TOPIC) -> None:
    """Each of the messages gets the answer of the contract's codecs, to the byte and the number."""
    batch = records(messages, 40, topic)
    found = {place(message): (topic, message) for topic, message in answers(batch)}
    assert len(found) == len(messages)
    for offset, sent in enumerate(messages, 40):
        source = Source(topic, 1, offset, KNOWN.id_of(topic))
        where, message = expected(sent, source)
        assert plainly(*found[source.place]) == plainly(where, message)


def place(message: Message) -> tuple[str, int, int]:
    named = dict(message.headers)
    if "offset" not in named:
        return Source.of(named["ce_id"].decode()).place
    topic, *numbers = (named[name].decode() for name in ("topic", "partition", "offset"))
    return topic, int(numbers[0]), int(numbers[1])


def plainly(topic: str, message: Message) -> object:
    """An answer for comparison: a score's members in their order, its numbers as float32."""
    if topic.endswith("dead-letters"):
        return topic, message
    body = json.loads(message.value)
    for name in ("confidence", "probabilities"):
        body[name] = np.float32(body[name]).tolist()
    return topic, message.key, json.dumps(body), dict(message.headers)


def test_plain_readings_are_answered() -> None:
    agrees([reading(number) for number in range(50)])
    agrees([reading(number) for number in range(3)], OLD)


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
def test_odd_reading_among_plain_ones_is_answered(odd: Message) -> None:
    agrees([reading(1), odd, reading(2), odd, odd])


def test_all_odd_readings_at_once_are_answered() -> None:
    agrees(list(ODD.values()))


def test_no_reading_is_no_answer() -> None:
    assert answers(records([])) == []


NAMES = st.sampled_from(["ce_id", "ce_source", "ce_type", "ce_time", "content-type", "x", ""])
VALUES = st.none() | st.sampled_from(
    [b"a", b"", b"application/octet-stream", b"image/png", b"2026-03-01T12:00:00Z", b"\xff"]
)
FEW = st.lists(st.tuples(NAMES, VALUES), max_size=8)
HEADER_LISTS = FEW | FEW.map(lambda more: [*reading().headers, *more[:2]])
MESSAGES = st.builds(
    Message,
    key=st.none() | st.binary(max_size=9),
    value=st.none() | st.just(bytes(784)) | st.binary(max_size=9),
    headers=HEADER_LISTS,
)


@given(st.lists(MESSAGES, max_size=12))
def test_any_records_are_answered(messages: list[Message]) -> None:
    agrees(messages)


@given(st.lists(st.integers(-(2**63), 2**63 - 1), max_size=9))
def test_any_time_of_kafkas_is_written_as_one_that_its_readers_take(times: list[int]) -> None:
    written = stamps(pa.array(times, pa.int64()).cast(pa.timestamp("us", "UTC"))).to_pylist()
    first, last = FIRST_MS * 1000, LAST_MS * 1000
    assert [microseconds(moment(text)) for text in written] == [
        min(max(time, first), last) for time in times
    ]


@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=9))
def test_the_last_record_of_a_partition_may_have_any_time(times: list[int]) -> None:
    batch = records([reading()] * len(times))
    at = batch.schema.get_field_index("timestamp")
    column = pa.array(times, pa.int64()).cast(pa.timestamp("us", "UTC"))
    found = latest(batch.set_column(at, batch.schema.field(at), column))
    assert found == {(TOPIC, 1): pytest.approx(max(times) / 1e6)}


def microseconds(time: datetime) -> int:
    return (time - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def test_a_batch_that_is_a_slice_of_another_is_read_at_its_place() -> None:
    whole = records([reading(number) for number in range(9)])
    assert answers(whole.slice(3, 4)) == answers(whole)[3:7]


@given(st.lists(st.integers(0, 40)), st.integers(1, 60), st.integers(1, 60_000))
def test_merged_batches_have_the_same_records_within_bounds(
    counts: list[int], rows: int, size: int
) -> None:
    whole = records([reading(number) for number in range(sum(counts))])
    begins = np.cumsum([0, *counts]).tolist()
    parts = [whole.slice(begin, count) for begin, count in zip(begins, counts, strict=False)]
    batches = [*merged(parts, rows, size)]
    assert pa.Table.from_batches(batches, whole.schema).equals(
        pa.Table.from_batches(parts, whole.schema)
    )
    for batch in batches:
        assert (len(batch) <= rows and batch.nbytes <= 1.1 * size) or len(batch) in counts
    assert len(batches) == 0 or len(batches[0]) == counts[0]
    for batch, following in pairwise(batches[1:]):
        assert len(batch) + len(following) > rows or batch.nbytes + following.nbytes > size


def test_an_answer_that_is_too_large_is_replaced_by_a_smaller_one() -> None:
    heavy = bytes(LARGEST)
    value, key = reading()._replace(value=heavy), reading()._replace(key=heavy)
    headers = reading()._replace(headers=[*reading().headers, ("x", heavy)], value=None)
    found = answers(records([value, key, headers, reading(9)]))
    assert [topic for topic, _ in found] == ["test.scores"] + ["test.dead-letters"] * 3
    letters = [DeadLetter.of(*message) for _, message in found[1:]]
    assert {letter.reason.partition(":")[0] for letter in letters} == {"too-large"}
    assert [(letter.key, letter.value) for letter in letters] == [
        (b"device-007", None),
        (None, None),
        (None, None),
    ]
    assert letters[0].headers == tuple(reading().headers)
    assert [letter.source.offset for letter in letters] == [0, 1, 2]


def test_weight_is_never_less_than_kafkas() -> None:
    """Kafka's own upper bound of a record: 21 bytes, lengths as varints, keys and values."""
    message = reading(id="x" * 70)
    batch = pa.RecordBatch.from_pydict(
        {"key": [message.key], "value": [message.value], "headers": records([message])["headers"]}
    )
    lengths = [len(message.key), len(message.value)]
    lengths += [len(part) for header in message.headers for part in header]
    kafka = 61 + 21 + sum(size + len(varint(size)) for size in lengths)
    assert kafka <= weight(batch)[0] <= kafka + 80


def varint(number: int) -> bytes:
    zigzag, written = number << 1, b""
    while zigzag > 127:
        zigzag, written = zigzag >> 7, written + b"x"
    return written + b"x"


@pytest.mark.parametrize(
    ("scorer", "says"),
    [
        (lambda frame: 1 / 0, "raised ZeroDivisionError"),
        (
            lambda frame: np.full((2, 3), np.nan),
            "gave probabilities that are not finite for 2 of 2",
        ),
        (lambda frame: np.full((2, 3), 1.5), "gave probabilities from 1.5 to 1.5, not 0 to 1"),
        (lambda frame: np.full((2, 3), -0.5), "gave probabilities from -0.5 to -0.5, not"),
        (lambda frame: np.zeros((2, 4)), r"gave \(2, 4\) for 2 images of 3 classes"),
    ],
)
def test_a_model_that_cannot_score_stops_the_stream(scorer: object, says: str) -> None:
    frame = Frame.of(records([reading(1), reading(2)]))
    frame = scaled(validated(decoded(frame, SHAPE, TOPICS), SHAPE), SHAPE, SCALING)
    with pytest.raises(ModelFailed, match=f"Model digits 3 {says}"):
        scored(frame, "digits 3", scorer, 3)


def test_probabilities_that_an_engine_rounds_above_one_are_one() -> None:
    frame = Frame.of(records([reading(1)]))
    frame = scaled(validated(decoded(frame, SHAPE, TOPICS), SHAPE), SHAPE, SCALING)
    rounded = scored(frame, "digits 3", lambda frame: np.array([[1.0000002, -1e-9, 0]]), 3)
    assert rounded.probabilities.tolist() == [[1, 0, 0]]


def test_bad_readings_never_reach_the_model() -> None:
    sizes: list[int] = []

    def counting(frame: Frame) -> Probabilities:
        sizes.append(len(frame.features))
        return by_brightness(frame)

    batch = records([reading(1), *ODD.values()])
    frame = scaled(validated(decoded(Frame.of(batch), SHAPE, TOPICS), SHAPE), SHAPE, SCALING)
    scored(frame, "digits 3", counting, 3)
    assert sizes == [frame.good.true_count]
