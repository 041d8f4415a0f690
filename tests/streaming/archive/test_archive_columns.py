"""Records as rows: what the contract's codecs read, the expressions read, and nothing is lost."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyspark.sql import DataFrame, SparkSession

from contract.errors import BadEvent
from contract.wire import structured
from contract.wire.events import DeadLetter, Label, Model, Reading, Score, Source, Times
from contract.wire.headers import CONTENT_TYPE, ID, TIME
from contract.wire.images import RAW
from contract.wire.messages import Message
from contract.wire.values.times import moment
from streaming.archive.query import novel
from streaming.archive.tables import DEAD_LETTERS, LABELS, READINGS, SCORES, TABLES, Table
from tests.streaming.records import STORED, TOPIC, reading

pytestmark = pytest.mark.spark

RECORD = (
    "key BINARY, value BINARY, topic STRING, partition INT, offset BIGINT, timestamp TIMESTAMP, "
    "headers ARRAY<STRUCT<key: STRING, value: BINARY>>"
)
TOPIC_ID = "q3JXh2k9TVK0lM3rNnQx5w"
TAKEN = datetime(2026, 2, 28, 23, 59, 59, 123_456, tzinfo=UTC)
ASKED = Score(
    id="reading-7",
    device="device-007",
    prediction=7,
    confidence=0.75,
    probabilities=(0.25, 0.75),
    model=Model("digits", "3", "onnx"),
    source=Source(TOPIC, 1, 41),
    times=Times(TAKEN, datetime(2026, 3, 1, 0, 0, 1, tzinfo=UTC), STORED),
)
LETTER = DeadLetter(
    stage="decode",
    reason="empty: no bytes",
    source=Source(TOPIC, 0, 5),
    attempt=1,
    key=b"\xff\x00",
    value=None,
    headers=((ID, b"reading-9"), ("stage", None), (ID, b"again")),
)


def kafka(spark: SparkSession, messages: list[Message]) -> DataFrame:
    """The messages as Spark reads them from partition 1."""
    rows = [
        (message.key, message.value, TOPIC, 1, at, STORED, list(message.headers) or None)
        for at, message in enumerate(messages)
    ]
    return spark.createDataFrame(rows, RECORD)


def rows(spark: SparkSession, table: Table, *messages: Message) -> list[dict[str, Any]]:
    """The rows of the messages, in their order."""
    made = table.rows(kafka(spark, list(messages)), TOPIC, TOPIC_ID)
    return [row.asDict(recursive=True) for row in made.collect()]


@pytest.fixture
def utc(spark: SparkSession) -> SparkSession:
    own = spark.newSession()
    own.conf.set("spark.sql.session.timeZone", "UTC")
    return own


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_rows_have_the_columns_of_the_schema(utc: SparkSession, table: Table) -> None:
    made = table.rows(kafka(utc, []), TOPIC, TOPIC_ID).schema
    wanted = utc.createDataFrame([], table.schema).schema
    assert [(field.name, field.dataType.simpleString()) for field in made] == [
        (field.name, field.dataType.simpleString()) for field in wanted
    ]


def test_a_reading_keeps_its_bytes_and_has_its_attributes(utc: SparkSession) -> None:
    sent = reading(3, time=TAKEN)
    (row,) = rows(utc, READINGS, sent)
    assert (row["key"], row["value"]) == (sent.key, sent.value)
    assert [(header["key"], bytes(header["value"])) for header in row["headers"]] == sent.headers
    read = Reading.of(*sent)
    assert (row["id"], row["device"], row["source"], row["type"], row["content_type"]) == (
        read.id,
        read.device,
        read.source,
        read.type,
        read.content_type,
    )
    assert row["device_time"].astimezone(UTC) == TAKEN
    assert (row["topic"], row["partition"], row["offset"]) == (TOPIC, 1, 0)
    assert str(row["date"]) == "2026-03-01"


def test_a_reading_in_structured_mode_has_its_attributes(utc: SparkSession) -> None:
    event = {"id": "s-1", "source": "/s", "type": "t", "time": "2026-02-28T23:59:59.123456Z"}
    event |= {"specversion": "1.0", "datacontenttype": "application/json", "data": {"pixels": []}}
    header = [(CONTENT_TYPE, f"{structured.CONTENT_TYPE}; charset=utf-8".encode())]
    (row,) = rows(utc, READINGS, Message(None, json.dumps(event).encode(), header))
    assert (row["id"], row["source"], row["content_type"]) == ("s-1", "/s", "application/json")
    assert (row["device"], row["device_time"].astimezone(UTC)) == (None, TAKEN)


SPELLED = [
    "2026-01-31T12:00:00Z",
    "2026-01-31t12:00:00.5z",
    "2026-01-31T12:00:00.1234569999+02:30",
    "2026-01-31T12:00:00-23:59",
    "2016-12-31T23:59:60Z",
    "2016-12-31T23:59:60.25+01:00",
    "0001-01-01T00:00:00Z",
    "0001-01-01T00:00:00+00:01",
    "0000-12-31T23:59:59-12:00",
    "1500-02-29T12:00:00Z",
    "1582-10-10T12:00:00Z",
    "1883-11-18T12:00:00.000001Z",
    "9999-12-31T23:59:59.999999Z",
    "9999-12-31T23:59:60Z",
    "9999-12-31T23:59:59-00:01",
    "2026-02-30T12:00:00Z",
    "2026-01-31T24:00:00Z",
    "2026-01-31T12:00:61Z",
    "2026-01-31T12:00:00+24:00",
    "2026-01-31T12:00:00",
    "2026-01-31 12:00:00Z",
    "yesterday",
]
DIGITS = st.integers(0, 99).map(lambda number: f"{number:02}")
TEXTS = st.builds(
    "{:04}-{}-{}{}{}:{}:{}{}{}".format,
    st.integers(0, 9999),
    *[DIGITS.filter(lambda text: text < "15"), DIGITS.filter(lambda text: text < "33")],
    st.sampled_from("Tt "),
    *[DIGITS.filter(lambda text: text < "26"), *[DIGITS.filter(lambda text: text < "62")] * 2],
    st.just("") | st.integers(0).map(lambda digits: f".{digits}"),
    st.sampled_from("Zz") | st.builds("{}{}:{}".format, st.sampled_from("+-"), DIGITS, DIGITS),
)


def microseconds(text: str) -> int | None:
    """The moment that the contract reads in a text."""
    try:
        return (moment(text) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    except ValueError:
        return None


@given(st.lists(TEXTS, min_size=200, max_size=200))
@settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck))
def test_the_archive_reads_the_times_that_the_contract_reads(
    spark: SparkSession, texts: list[str]
) -> None:
    own = spark.newSession()
    own.conf.set("spark.sql.session.timeZone", "UTC")
    said = [*SPELLED, *texts]
    sent = [Message(None, None, [(TIME, text.encode())]) for text in said]
    rows = READINGS.rows(kafka(own, sent), TOPIC, TOPIC_ID)
    made = rows.selectExpr("offset", "unix_micros(device_time) AS time")
    found = dict(sorted(tuple(row) for row in made.collect()))
    assert {text: found[at] for at, text in enumerate(said)} == {
        text: microseconds(text) for text in said
    }


ODD = [
    Message(None, None, []),
    Message(b"\xff\xfe", b"\xff", [(ID, b"\xff"), (TIME, b"yesterday"), (CONTENT_TYPE, None)]),
    Message(b"d", b"", [(ID, b"a"), (ID, b"b"), (CONTENT_TYPE, RAW.encode())]),
    Message(b"d", b"[1", [(CONTENT_TYPE, structured.CONTENT_TYPE.encode())]),
    Message(b"d", b'{"id": 1', [(ID, b"x/1/2"), (TIME, b"2026-02-30T00:00:00Z")]),
    Message(b"d", b"{}", [("stage", b"decode"), ("topic", b"t"), ("partition", b"-1")]),
]


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_an_unreadable_record_is_kept_unchanged(utc: SparkSession, table: Table) -> None:
    for number, (sent, row) in enumerate(zip(ODD, rows(utc, table, *ODD), strict=True)):
        partition, offset = table.position
        assert (row[partition], row[offset]) == (1, number)
        raw = row if table is READINGS else row["unread"]
        listed = [(each["key"], each["value"]) for each in raw["headers"] or ()]
        assert (raw["key"], raw["value"], listed) == (sent.key, sent.value, sent.headers)
        typed = set(row) - {"date", "unread", "record_time", "key", "value", "headers"}
        known = {"topic", "broker_time"} if table is READINGS else set()
        typed -= {*table.position, *known}
        if table is not READINGS:
            assert all(row[name] is None for name in typed)
    if table is READINGS:
        ids = [row["id"] for row in rows(utc, table, *ODD)]
        assert ids == [None, None, None, None, "x/1/2", None]


def test_a_score_is_read_as_the_contract_reads_it(utc: SparkSession) -> None:
    names = replace(ASKED, prediction="seven", device=None, times=replace_device(ASKED.times))
    first, second = rows(utc, SCORES, ASKED.message(), names.message())
    assert (first["topic"], first["partition"], first["offset"]) == ASKED.source.place
    assert (first["prediction"], first["confidence"]) == ("7", 0.75)
    assert tuple(first["probabilities"]) == ASKED.probabilities
    assert (first["model_name"], first["model_version"], first["engine"]) == ASKED.model
    times = (first["device_time"], first["broker_time"], first["scored_time"])
    assert tuple(time.astimezone(UTC) for time in times) == ASKED.times
    assert (str(first["date"]), first["unread"]) == ("2026-03-01", None)
    assert (second["prediction"], second["device"], second["device_time"]) == ("seven", None, None)
    assert second["unread"] is None


NO_SCORES: list[dict[str, Any]] = [
    {"confidence": "0.75"},
    {"confidence": 7},
    {"probabilities": [0.5, 10**400]},
    {"probabilities": [0.5, None]},
    {"probabilities": [1]},
    {"model": {"name": "digits", "version": "3", "engine": "abacus"}},
    {"times": {"device": None, "broker": None, "scored": "2026-03-01T00:00:00Z"}},
    {"id": ""},
]


def test_a_score_that_the_contract_refuses_is_not_one_in_the_table(utc: SparkSession) -> None:
    key, value, headers = ASKED.message()
    sent = [
        Message(key, json.dumps(json.loads(value or b"") | wrong).encode(), headers)
        for wrong in NO_SCORES
    ]
    for message, row in zip(sent, rows(utc, SCORES, *sent), strict=True):
        with pytest.raises(BadEvent):
            Score.of(*message)
        assert bytes(row["unread"]["value"]) == message.value


def replace_device(times: Times) -> Times:
    return times._replace(device=None)


def test_a_label_is_read_as_the_contract_reads_it(utc: SparkSession) -> None:
    number, text = rows(
        utc, LABELS, Label("a", 7, TAKEN).message(), Label("b", "cat", TAKEN).message()
    )
    assert (number["id"], number["label"], number["unread"]) == ("a", "7", None)
    assert (text["label"], text["label_time"].astimezone(UTC)) == ("cat", TAKEN)


def test_a_dead_letter_is_read_as_the_contract_reads_it(utc: SparkSession) -> None:
    (row,) = rows(utc, DEAD_LETTERS, LETTER.message())
    assert (row["topic"], row["partition"], row["offset"]) == LETTER.source.place
    assert (row["stage"], row["reason"], row["attempt"]) == ("decode", "empty: no bytes", 1)
    assert (row["key"], row["value"], row["unread"]) == (LETTER.key, None, None)
    headers = [(each["key"], each["value"]) for each in row["headers"]]
    assert tuple(headers) == LETTER.headers


def test_an_answer_that_arrives_twice_is_stored_once(utc: SparkSession) -> None:
    def score(offset: int, topic: str = TOPIC) -> Message:
        return replace(ASKED, source=Source(topic, 1, offset)).message()

    stored = kafka(utc, [score(1), score(2), ODD[0]])
    held = SCORES.rows(stored, TOPIC, TOPIC_ID).localCheckpoint()  # computed once, as in a table
    sent = [score(2), score(3), score(3), score(2, "other"), ODD[0], ODD[0]]
    found = novel(SCORES.rows(kafka(utc, sent), TOPIC, TOPIC_ID), held, SCORES).collect()
    answered = sorted((row.topic, row.offset) for row in found if row.topic)
    assert answered == [("other", 2), (TOPIC, 3)]
    assert sum(row.topic is None for row in found) == 2
    alone = novel(SCORES.rows(kafka(utc, [score(9)]), TOPIC, TOPIC_ID), held, SCORES).collect()
    assert [row.offset for row in alone] == [9]


def test_answers_to_a_topic_of_the_same_name_are_distinguished(utc: SparkSession) -> None:
    ids = (None, TOPIC_ID, TOPIC_ID[::-1])
    places = [Source(TOPIC, 1, 41, id) for id in ids]
    expected = [TOPIC, TOPIC, f"{TOPIC}.id-{ids[2]}"]
    for table, message in ((SCORES, ASKED), (DEAD_LETTERS, LETTER)):
        answers = [replace(message, source=place).message() for place in places]
        assert [row["topic"] for row in rows(utc, table, *answers)] == expected
    elsewhere = replace(LETTER, source=Source("lab.replays", 1, 41, TOPIC_ID)).message()
    assert rows(utc, DEAD_LETTERS, elsewhere)[0]["topic"] == "lab.replays"


def test_another_attempt_is_another_dead_letter(utc: SparkSession) -> None:
    letters = [LETTER.message(), replace(LETTER, attempt=2).message(), LETTER.message()]
    records = DEAD_LETTERS.rows(kafka(utc, letters), TOPIC, TOPIC_ID)
    found = novel(records, None, DEAD_LETTERS).collect()
    assert sorted(row.attempt for row in found) == [1, 2]
