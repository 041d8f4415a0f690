"""Values in JSON become columns as the contract's codecs read them, or stay unread."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from pyspark.sql import SparkSession

from contract.errors import BadEvent
from contract.wire.events import Label, Score
from contract.wire.messages import Message
from streaming.archive.failures import TablesUnreadable
from streaming.archive.place import READINGS_ID, Place
from streaming.archive.tables import LABELS, READINGS, SCORES
from tests.streaming.archive.test_archive_columns import ASKED, rows, utc

__all__ = ["utc"]

pytestmark = pytest.mark.spark

CLASSES = [
    *("3", "0", "-7", "3.0", "3e0", "30e-1", "-0", "-0.0", "1e18", "3.5", "1e30", "1E2"),
    *("9223372036854775807", "-9223372036854775808", "9223372036854775806"),
    *("9223372036854775808", "1000000000000000000000000000000"),
    *('"3"', '"3.0"', '"3e0"', '"-0"', '"9223372036854775808"', '"9223372036854775806"'),
    *("true", "false", '"true"', '"false"', "null", '""', '"a b"', "[1]", '{"a": 1}', "[]", "{}"),
    *('"[1]"', '"{x"', '"{"', '"[1"', "'3'", '"\\u00e9"'),
]
"""A member's JSON, of which some is a class."""


def of_label(value: str) -> Message:
    message = Label("r", 0, datetime(2026, 1, 31, tzinfo=UTC)).message()
    return message._replace(value=f'{{"id": "r", "label": {value}}}'.encode())


def of_score(value: str, *path: str) -> Message:
    """A score, one member of which has this JSON."""
    message = ASKED.message()
    body = json.loads(message.value or b"")
    inner = body
    for name in path[:-1]:
        inner = inner[name]
    inner[path[-1]] = "HERE"
    return message._replace(value=json.dumps(body).replace('"HERE"', value).encode())


def label_of(message: Message) -> str | None:
    try:
        return str(Label.of(*message).label)
    except BadEvent:
        return None


def prediction_of(message: Message) -> str | None:
    try:
        return str(Score.of(*message).prediction)
    except BadEvent:
        return None


def test_a_class_has_a_canonical_spelling(utc: SparkSession) -> None:
    labels, scores = [], []
    for value in CLASSES:
        labels.append(of_label(value))
        scores.append(of_score(value, "prediction"))
    found = [row["label"] for row in rows(utc, LABELS, *labels)]
    assert dict(zip(CLASSES, found, strict=True)) == dict(
        zip(CLASSES, map(label_of, labels), strict=True)
    )
    found = [row["prediction"] for row in rows(utc, SCORES, *scores)]
    assert dict(zip(CLASSES, found, strict=True)) == dict(
        zip(CLASSES, map(prediction_of, scores), strict=True)
    )


MEMBERS: list[tuple[str, tuple[str, ...]]] = [
    ('"bad"', ("times", "device")),
    ('"2026-01-31T00:00:00+00:00"', ("times", "device")),
    ('"2026-01-31T00:00:00Z"', ("times", "device")),
    ("null", ("times", "device")),
    ('"2026-01-31T00:00:00z"', ("times", "broker")),
    ('"2026-01-31T00:00:00+00:00"', ("times", "scored")),
    ("null", ("source",)),
    ('{"topic": "a b", "partition": 0, "offset": 0}', ("source",)),
    ('{"topic": "a", "partition": -1, "offset": 0}', ("source",)),
    ('{"topic": "a", "partition": 0, "offset": 1000000000000000000}', ("source",)),
    ('{"topic": "a", "partition": 0, "offset": 7}', ("source",)),
]


def test_a_record_that_is_not_a_score_is_kept_unread(utc: SparkSession) -> None:
    messages = [of_score(value, *path) for value, path in MEMBERS]
    expected = [prediction_of(message) is not None for message in messages]
    found: list[dict[str, Any]] = rows(utc, SCORES, *messages)
    assert [row["unread"] is None for row in found] == expected
    assert any(expected) and not all(expected)


def test_a_table_whose_topic_has_no_sound_id_is_not_read(
    spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Place, "properties", lambda place, table: {READINGS_ID: "7' OR '1'='1"})
    with pytest.raises(TablesUnreadable, match=r"which must be the id of a topic\. Only"):
        Place(spark, "file:/tables").readings_id(READINGS)
