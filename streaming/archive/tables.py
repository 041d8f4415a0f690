"""The four tables: their columns, and the expressions that compute them from Kafka records.

They are Spark SQL expressions, so that no row passes through Python.
"""

from __future__ import annotations

from dataclasses import dataclass

from pyspark.sql import DataFrame
from pyspark.sql.functions import expr

from contract.wire import headers, reasons
from contract.wire.events import ENGINES
from contract.wire.places import LABEL, TOPIC, TOPIC_ID, topic_label
from contract.wire.structured import CONTENT_TYPE
from contract.wire.topics import Topics
from streaming.archive.expressions import (
    class_of,
    has_attributes,
    header,
    parsed,
    readable,
    spelled,
    text,
    time,
)

_HEADERS = "ARRAY<STRUCT<key: STRING, value: BINARY>>"
_RECORD = "STRUCT<key: BINARY, value: BINARY, headers: ARRAY<STRUCT<key: STRING, value: BINARY>>>"
_OWN = f"record_partition INT, record_offset BIGINT, record_time TIMESTAMP, unread {_RECORD}"

Select = tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """A table, which holds the records of the topic of the same name.

    `selects` turn Kafka records into rows, one after another. `position` names the columns with the
    partition and offset of a row's record. Rows with the same `key` are the same event that arrived
    twice; a table without a key has a row for each record.
    """

    name: str
    schema: str
    selects: tuple[Select, ...]
    position: tuple[str, str] = ("record_partition", "record_offset")
    key: tuple[str, ...] = ()

    def topic(self, topics: Topics) -> str:
        """The topic whose records the table holds."""
        return str(getattr(topics, self.name))

    def rows(self, records: DataFrame, readings: str, readings_id: str | None) -> DataFrame:
        """One row for each record, with columns in the order of the schema.

        `readings` is the topic of the readings, `readings_id` its id: answers to the readings of an
        earlier topic with that name keep the earlier id in the column `topic`.
        """
        for select in self.selects:
            records = records.selectExpr(*select)
        if not self.key:
            return records
        return records.withColumn("topic", expr(_topic(readings, readings_id)))


def _topic(readings: str, readings_id: str | None) -> str:
    """The topic in the column `topic`, without its id unless the topic of readings has another."""
    return (
        f"CASE WHEN topic = '{topic_label(readings, readings_id)}' THEN '{readings}' "
        f"WHEN startswith(topic, '{readings}.id-') THEN topic "
        f"ELSE regexp_replace(topic, '[.]id-[A-Za-z0-9_-]{{22}}$', '') END"
    )


_AS_IT_CAME = ("key", "value", "partition", "offset", "timestamp", "headers")

_MEDIA_TYPE = f"lower(trim(substring_index({header(headers.CONTENT_TYPE)}, ';', 1)))"
_EVENT = "id STRING, source STRING, type STRING, time STRING, datacontenttype STRING"

READINGS = Table(
    name="readings",
    schema=(
        "date DATE, topic STRING, partition INT, offset BIGINT, broker_time TIMESTAMP, id STRING, "
        "device STRING, device_time TIMESTAMP, source STRING, type STRING, content_type STRING, "
        f"key BINARY, value BINARY, headers {_HEADERS}"
    ),
    selects=(
        ("*", f"{_MEDIA_TYPE} AS media_type"),
        (
            "*",
            f"if(media_type = '{CONTENT_TYPE}', {parsed(text('value'), _EVENT)}, "
            f"named_struct('id', {header(headers.ID)}, 'source', {header(headers.SOURCE)}, "
            f"'type', {header(headers.TYPE)}, 'time', {header(headers.TIME)}, "
            "'datacontenttype', media_type)) AS event",
        ),
        (
            "to_date(timestamp) AS date",
            "topic",
            "partition",
            "offset",
            "timestamp AS broker_time",
            "event.id AS id",
            f"{text('key')} AS device",
            f"{time('event.time')} AS device_time",
            "event.source AS source",
            "event.type AS type",
            "event.datacontenttype AS content_type",
            "key",
            "value",
            "headers",
        ),
    ),
    position=("partition", "offset"),
)

LABELS = Table(
    name="labels",
    schema=f"date DATE, id STRING, label STRING, label_time TIMESTAMP, {_OWN}",
    selects=(
        (
            *_AS_IT_CAME,
            f"{text('value')} AS json",
            f"{time(header(headers.TIME))} AS time",
        ),
        ("*", f"{parsed('json', 'id STRING, label STRING')} AS body"),
        ("*", f"{class_of('json', 'label', 'body.label')} AS label"),
        (
            "*",
            f"coalesce({has_attributes()} AND body.id <> '' AND label IS NOT NULL, false) "
            "AS readable",
        ),
        (
            "to_date(timestamp) AS date",
            *readable({"id": "body.id", "label": "label", "label_time": "time"}),
        ),
    ),
)

_LABEL = rf"^{LABEL.pattern}\\z"
# Decimals in the canonical spelling of a place.
_PARTITION, _OFFSET = (rf"(0|[1-9][0-9]{{0,{most}}})" for most in (8, 17))
_PLACE = f"{LABEL.pattern}/{_PARTITION}/{_OFFSET}"
_ENGINES = ", ".join(f"'{engine}'" for engine in ENGINES)
_SCORE = (
    "id STRING, device STRING, prediction STRING, confidence FLOAT, probabilities ARRAY<FLOAT>, "
    "model STRUCT<name: STRING, version: STRING, engine: STRING>, "
    "times STRUCT<device: STRING, broker: STRING, scored: STRING>, "
    "source STRUCT<topic: STRING, partition: BIGINT, offset: BIGINT>"
)

SCORES = Table(
    name="scores",
    schema=(
        "date DATE, topic STRING, partition INT, offset BIGINT, id STRING, device STRING, "
        "prediction STRING, confidence FLOAT, probabilities ARRAY<FLOAT>, model_name STRING, "
        "model_version STRING, engine STRING, device_time TIMESTAMP, broker_time TIMESTAMP, "
        f"scored_time TIMESTAMP, {_OWN}"
    ),
    selects=(
        (
            *_AS_IT_CAME,
            f"split({header(headers.ID)}, '/') AS source",
            f"{text('value')} AS json",
        ),
        ("*", f"{parsed('json', _SCORE)} AS body"),
        (
            "*",
            f"{class_of('json', 'prediction', 'body.prediction')} AS prediction",
            "try_cast(source[1] AS INT) AS source_partition",
            "try_cast(source[2] AS BIGINT) AS source_offset",
            f"{time('body.times.device')} AS device_time",
            f"{time('body.times.broker')} AS broker_time",
            f"{time('body.times.scored')} AS scored_time",
        ),
        (
            "*",
            f"coalesce({has_attributes()} AND size(source) = 3 AND source[0] RLIKE '{_LABEL}' "
            rf"AND source[1] RLIKE '^{_PARTITION}\\z' AND source[2] RLIKE '^{_OFFSET}\\z' "
            "AND body.id <> '' AND prediction IS NOT NULL "
            "AND body.confidence BETWEEN 0 AND 1 AND size(body.probabilities) >= 2 "
            "AND forall(body.probabilities, p -> coalesce(p BETWEEN 0 AND 1, false)) "
            "AND body.model.name <> '' AND body.model.version <> '' "
            f"AND body.model.engine IN ({_ENGINES}) "
            "AND endswith(body.times.broker, 'Z') AND endswith(body.times.scored, 'Z') "
            "AND broker_time IS NOT NULL AND scored_time IS NOT NULL "
            "AND (body.times.device IS NULL "
            "OR endswith(body.times.device, 'Z') AND device_time IS NOT NULL) "
            f"AND body.source.topic RLIKE '^{TOPIC.pattern}\\\\z' "
            "AND body.source.partition BETWEEN 0 AND 999999999 "
            "AND body.source.offset BETWEEN 0 AND 999999999999999999, false) AS readable",
        ),
        (
            "to_date(if(readable, broker_time, timestamp)) AS date",
            *readable(
                {
                    "topic": "source[0]",
                    "partition": "source_partition",
                    "offset": "source_offset",
                    "id": "body.id",
                    "device": "body.device",
                    "prediction": "prediction",
                    "confidence": "body.confidence",
                    "probabilities": "body.probabilities",
                    "model_name": "body.model.name",
                    "model_version": "body.model.version",
                    "engine": "body.model.engine",
                    "device_time": "device_time",
                    "broker_time": "broker_time",
                    "scored_time": "scored_time",
                }
            ),
        ),
    ),
    key=("topic", "partition", "offset"),
)

_REASON = rf"^({'|'.join(reasons.REASONS)}): [ -~]+\\z"
_STAGES = ", ".join(f"'{stage}'" for stage in reasons.STAGES)
_ORIGINAL = (
    f"transform(filter(headers, h -> startswith(h.key, '{headers.ORIGINAL}')), "
    f"h -> struct(substring(h.key, {len(headers.ORIGINAL) + 1}) AS key, h.value AS value))"
)

DEAD_LETTERS = Table(
    name="dead_letters",
    schema=(
        "date DATE, topic STRING, partition INT, offset BIGINT, attempt INT, stage STRING, "
        f"reason STRING, key BINARY, value BINARY, headers {_HEADERS}, {_OWN}"
    ),
    selects=(
        (
            *_AS_IT_CAME,
            f"{spelled(headers.TOPIC, TOPIC.pattern)} || "
            f"if(exists(headers, h -> h.key = '{headers.TOPIC_ID}'), "
            f"'.id-' || {spelled(headers.TOPIC_ID, TOPIC_ID.pattern)}, '') AS source_topic",
            f"cast({spelled(headers.PARTITION, _PARTITION)} AS INT) AS source_partition",
            f"cast({spelled(headers.OFFSET, _OFFSET)} AS BIGINT) AS source_offset",
            f"cast({spelled(headers.ATTEMPT, _PARTITION)} AS INT) AS attempt",
            f"{header(headers.STAGE)} AS stage",
            f"{header(headers.REASON)} AS reason",
        ),
        (
            "*",
            f"coalesce(source_topic RLIKE '{_LABEL}' AND source_partition >= 0 "
            f"AND source_offset >= 0 AND attempt > 0 AND stage IN ({_STAGES}) "
            f"AND (NOT exists(headers, h -> h.key = '{headers.REPLAY_OF}') "
            f"OR {spelled(headers.REPLAY_OF, _PLACE)} IS NOT NULL) "
            f"AND reason RLIKE '{_REASON}', false) AS readable",
        ),
        (
            "to_date(timestamp) AS date",
            *readable(
                {
                    "topic": "source_topic",
                    "partition": "source_partition",
                    "offset": "source_offset",
                    "attempt": "attempt",
                    "stage": "stage",
                    "reason": "reason",
                    "key": "key",
                    "value": "value",
                    "headers": _ORIGINAL,
                }
            ),
        ),
    ),
    key=("topic", "partition", "offset", "attempt"),
)

TABLES = (READINGS, LABELS, SCORES, DEAD_LETTERS)
"""All tables; the name of each is the name of its topic's field in `Topics`."""
