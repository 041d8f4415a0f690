"""The last step: turns each reading of a frame into the record that answers it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyspark.sql.types import ArrayType, BinaryType, StringType, StructType

from contract.wire import events, headers, reasons
from contract.wire.messages import attributes
from contract.wire.reasons import BadReading
from contract.wire.topics import Topics
from contract.wire.values.times import stamp
from streaming.spark.sink import LARGEST
from streaming.spark.topic_ids import KnownTopics
from streaming.steps.columns import (
    HEADERS,
    Headers,
    joined,
    mapped,
    quoted,
    sources,
    stamps,
    true,
    wire_size,
)
from streaming.steps.frame import Frame
from streaming.steps.metrics import BatchMetrics, Metrics

_HEADER = StructType().add("key", StringType()).add("value", BinaryType())
COLUMNS = (
    StructType()
    .add("key", BinaryType())
    .add("value", BinaryType())
    .add("topic", StringType())
    .add("headers", ArrayType(_HEADER))
)
"""The columns of answers for Spark's Kafka sink."""

# Maximum overhead of a Kafka batch with one record, besides the record's key, value and headers.
_BATCH_BYTES = 96

# Columns that are removed from a dead letter until it fits, in this order.
_CUTS = (("value",), ("key", "headers"))

# The attempt of a record that is not a replay.
_FIRST_ATTEMPT = "1"


@dataclass(frozen=True)
class Publishing:
    """What all answers to a micro-batch have in common."""

    topics: Topics
    topic_ids: KnownTopics
    model: events.Model
    classes: tuple[int | str, ...]
    clock: Callable[[], datetime]
    metrics: Metrics


def published(frame: Frame, publishing: Publishing) -> pa.RecordBatch:
    """The scores of the good readings, then the dead letters of the others: one record each.

    Answers that are too large for a topic are replaced: a score by a dead letter, and a dead letter
    by one without the original's value or, if that is not enough, without key and headers as well.
    """
    records = scores(frame, publishing)
    light = weight(records) <= LARGEST
    if not light.all():
        heavy = np.flatnonzero(true(frame.good))[~light].tolist()
        fault = BadReading(reasons.TOO_LARGE, f"its score has more than {LARGEST} bytes")
        frame = frame.failed(dict.fromkeys(heavy, fault))
        records = records.filter(pa.array(light))
    letters = _dead_letters(frame, publishing)
    publishing.metrics.add(BatchMetrics(scored=len(records), dead_letters=len(letters)))
    return pa.concat_batches([records, letters])


def refused(records: pa.RecordBatch, fault: BadReading, publishing: Publishing) -> pa.RecordBatch:
    """The dead letters of records for which a step raised: with key, value and headers, or without
    if that raises as well.
    """
    frame = Frame.of(records)
    faults = dict.fromkeys(range(len(records)), fault)
    try:
        letters = _dead_letters(frame.failed(faults), publishing)
    except Exception:
        bare = _without(frame, ("key", "value", "headers"), np.arange(len(records)))
        letters = _dead_letters(bare.failed(faults), publishing)
    publishing.metrics.add(BatchMetrics(dead_letters=len(letters)))
    return letters


def weight(answers: pa.RecordBatch) -> NDArray[np.int64]:
    """Bytes of each answer (N) in a separate, uncompressed Kafka batch; at most 80 too many."""
    listed = Headers.of(answers["headers"])
    of_headers = np.bincount(
        listed.record, wire_size(listed.key) + wire_size(listed.value), len(answers)
    )
    return _BATCH_BYTES + wire_size(answers["key"]) + wire_size(answers["value"]) + of_headers


def scores(frame: Frame, publishing: Publishing) -> pa.RecordBatch:
    """The score of each good reading, of any size: what `events.Score` writes, by columns."""
    records, now = frame.records.filter(frame.good), publishing.clock()
    topic, partition, offset = (records[name] for name in ("topic", "partition", "offset"))
    classes = pa.array([json.dumps(label) for label in publishing.classes])
    likeliest = frame.probabilities.argmax(axis=1)
    body = {
        "id": quoted(frame.id.filter(frame.good)),
        "device": quoted(frame.device.filter(frame.good)),
        "prediction": classes.take(pa.array(likeliest)),
        "confidence": _numbers(frame.probabilities.max(axis=1, initial=0)),
        "probabilities": _lists(frame.probabilities),
        "model": json.dumps(publishing.model._asdict(), separators=(",", ":")),
        "source": _object({"topic": quoted(topic), "partition": partition, "offset": offset}),
        "times": _object(
            {
                "device": quoted(frame.time.filter(frame.good)),
                "broker": quoted(stamps(records["timestamp"])),
                "scored": json.dumps(stamp(now)),
            }
        ),
    }
    own = attributes("", events.SCORING_SOURCE, events.SCORE, now)
    named = {name: pa.repeat(value, len(records)) for name, value in own}
    named[headers.ID], others = sources(records, publishing.topic_ids.label), None
    first = frame.first.filter(frame.good)
    if first.null_count < len(first):
        named[headers.ID] = pc.coalesce(first, named[headers.ID])
        place = {
            headers.TOPIC: topic,
            headers.PARTITION: joined(partition),
            headers.OFFSET: joined(offset),
            headers.TOPIC_ID: mapped(topic, publishing.topic_ids.id_of),
        }
        is_replay = first.is_valid()
        replayed = {name: pc.if_else(is_replay, column, None) for name, column in place.items()}
        others = Headers.of(pa.nulls(len(records), HEADERS)).beside(replayed)
    return _answers(records["key"], _object(body), publishing.topics.scores, named, others)


def _dead_letters(frame: Frame, publishing: Publishing) -> pa.RecordBatch:
    """The dead letter of each bad reading: what `events.DeadLetter` writes, by columns."""
    bad = pc.invert(frame.good)
    letters = _letters(frame, bad, publishing)
    for columns in _CUTS:
        light = weight(letters) <= LARGEST
        if light.all():
            break
        heavy = np.flatnonzero(true(bad))[~light]
        frame = _without(frame, columns, heavy)
        letters = _letters(frame, bad, publishing)
    return letters


def _without(frame: Frame, columns: tuple[str, ...], rows: NDArray[np.int64]) -> Frame:
    """The frame with null in these columns of these rows, which fail as too large."""
    mask = np.zeros(len(frame.records), bool)
    mask[rows] = True
    records = frame.records
    for name in columns:
        at = records.schema.get_field_index(name)
        emptied = pc.if_else(pa.array(mask), None, records[name])
        records = records.set_column(at, records.schema.field(at), emptied)
    fault = BadReading(reasons.TOO_LARGE, f"over {LARGEST} bytes; see its topic and offset")
    return replace(frame, records=records).failed(dict.fromkeys(rows.tolist(), fault))


def _letters(frame: Frame, bad: pa.BooleanArray, publishing: Publishing) -> pa.RecordBatch:
    records = frame.records.filter(bad)
    named = {
        headers.STAGE: frame.stage.filter(bad),
        headers.REASON: frame.reason.filter(bad),
        headers.TOPIC: records["topic"],
        headers.PARTITION: joined(records["partition"]),
        headers.OFFSET: joined(records["offset"]),
        headers.ATTEMPT: frame.attempt.filter(bad).fill_null(_FIRST_ATTEMPT),
    }
    others = Headers.of(records["headers"]).prefixed(headers.ORIGINAL)
    ids = mapped(records["topic"], publishing.topic_ids.id_of)
    others = others.beside({headers.TOPIC_ID: ids, headers.REPLAY_OF: frame.first.filter(bad)})
    return _answers(records["key"], records["value"], publishing.topics.dead_letters, named, others)


def _answers(
    key: pa.BinaryArray,
    value: pa.Array,
    topic: str,
    named: Mapping[str, pa.Array],
    others: Headers | None = None,
) -> pa.RecordBatch:
    rows = len(key)
    following = others or Headers.of(pa.nulls(rows, HEADERS))
    columns = {
        "key": key,
        "value": value.cast(pa.binary()),
        "topic": pa.repeat(topic, rows),
        "headers": following.after(named),
    }
    return pa.RecordBatch.from_pydict(columns)


def _object(members: Mapping[str, pa.Array | str]) -> pa.StringArray:
    """JSON objects with these members, whose values are JSON."""
    parts = [part for name, member in members.items() for part in (f',"{name}":', member)]
    parts[0] = "{" + parts[0].removeprefix(",")
    return joined(*parts, "}")


def _numbers(values: NDArray[np.float32]) -> pa.StringArray:
    """The shortest decimals for these numbers."""
    return pa.array(values, pa.float32()).cast(pa.string())


def _lists(rows: NDArray[np.float32]) -> pa.StringArray:
    """JSON lists of the numbers of each row (M, K)."""
    numbers = _numbers(rows.ravel())
    ends = pa.array(np.arange(0, rows.size + 1, rows.shape[1]), pa.int32())
    return joined("[", pc.binary_join(pa.ListArray.from_arrays(ends, numbers), ","), "]")
