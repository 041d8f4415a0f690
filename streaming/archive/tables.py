"""The four tables: their columns, and the expressions that make them of Kafka's records.

Expressions are Spark's own, so that no row passes through Python.
"""

from __future__ import annotations

from dataclasses import dataclass

from pyspark.sql import DataFrame
from pyspark.sql.functions import expr

from contract import headers, reasons, times
from contract.events import ENGINES
from contract.sources import LABEL, labelled
from contract.structured import CONTENT_TYPE
from contract.topics import Topics

_HEADERS = "ARRAY<STRUCT<key: STRING, value: BINARY>>"
_RECORD = "STRUCT<key: BINARY, value: BINARY, headers: ARRAY<STRUCT<key: STRING, value: BINARY>>>"
_OWN = f"record_partition INT, record_offset BIGINT, record_time TIMESTAMP, unread {_RECORD}"

Select = tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """One table, which holds the records of the topic of the same name.

    `selects` lead from records as Kafka has them to rows. `position` tells where a row's own record
    lies, by partition and offset. Rows of the same `key` are the same event that came twice; a
    table without one has a row for each record.
    """

    name: str
    schema: str
    selects: tuple[Select, ...]
    position: tuple[str, str] = ("record_partition", "record_offset")
    key: tuple[str, ...] = ()

    def topic(self, topics: Topics) -> str:
        """The topic whose records it holds."""
        return str(getattr(topics, self.name))

    def rows(self, records: DataFrame, readings: str, readings_id: str | None) -> DataFrame:
        """The rows of these records, one each, in the order of the schema's columns.

        `readings` is the topic of the readings, `readings_id` its id: answers to the readings of an
        earlier topic of that name keep the id of that one in the column `topic`.
        """
        for select in self.selects:
            records = records.selectExpr(*select)
        if not self.key:
            return records
        return records.withColumn("topic", expr(_topic(readings, readings_id)))


def _topic(readings: str, readings_id: str | None) -> str:
    """The topic in the column `topic`, without its id unless that of the readings is another."""
    return (
        f"CASE WHEN topic = '{labelled(readings, readings_id)}' THEN '{readings}' "
        f"WHEN startswith(topic, '{readings}.id-') THEN topic "
        f"ELSE regexp_replace(topic, '[.]id-[A-Za-z0-9_-]{{22}}$', '') END"
    )


def _once(value: str, name: str, then: str) -> str:
    """An expression of `name`, which stands for a value that is computed once."""
    return f"transform(array({value}), {name} -> {then})[0]"


def _text(value: str) -> str:
    """Bytes as text; null where they are no UTF-8, which other readers of the tables refuse."""
    whole = "if(encode(decode(b, 'UTF-8'), 'UTF-8') = b, decode(b, 'UTF-8'), null)"
    return _once(value, "b", whole)


def _header(name: str) -> str:
    """The value of the one header of this name as text; null unless there is exactly one."""
    found = f"filter(headers, h -> h.key = '{name}')"
    return _text(_once(found, "f", "if(size(f) = 1, f[0].value, null)"))


_RFC_3339 = (
    r"^(?!0000)\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d(\\.\\d+)?"
    r"(Z|[+-]([01]\\d|2[0-3]):[0-5]\\d)$"
)


def _time(text: str) -> str:
    """The moment that an RFC 3339 text names, as `contract.times` reads it, else null."""
    zone = "if(endswith(t, 'Z'), 'Z', right(t, 6))"
    # A leap second is the one after it; of a fraction six digits count.
    leap, fraction = "substr(t, 18, 2) = '60'", "substr(t, 20, length(t) - 19 - length(zone))"
    seconds = f"if({leap}, '59', substr(t, 18, 2))"
    plain = f"concat(left(t, 17), {seconds}, left({fraction}, 7), 'Z')"
    ahead = "int(concat(left(zone, 1), substr(zone, 2, 2) * 60 + substr(zone, 5, 2)))"
    moment = (
        f"unix_micros(try_cast({plain} AS TIMESTAMP)) + if({leap}, 1000000, 0) "
        f"- if(zone = 'Z', 0, {ahead}) * 60000000L"
    )
    within = f"if(m BETWEEN {times.EARLIEST_US} AND {times.LATEST_US}, timestamp_micros(m), null)"
    found = _once(zone, "zone", _once(moment, "m", within))
    return _once(f"upper({text})", "t", f"if(t RLIKE '{_RFC_3339}', {found}, null)")


def _readable(columns: dict[str, str]) -> Select:
    """The columns where `readable` is true, else the record in `unread`."""
    shown = (f"if(readable, {value}, null) AS {name}" for name, value in columns.items())
    raw = "if(readable, null, named_struct('key', key, 'value', value, 'headers', headers))"
    own = ("partition AS record_partition", "offset AS record_offset", "timestamp AS record_time")
    return (*shown, *own, f"{raw} AS unread")


_AS_IT_CAME = ("key", "value", "partition", "offset", "timestamp", "headers")

_MEDIA_TYPE = f"lower(trim(substring_index({_header(headers.CONTENT_TYPE)}, ';', 1)))"
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
            f"if(media_type = '{CONTENT_TYPE}', from_json({_text('value')}, '{_EVENT}'), "
            f"named_struct('id', {_header(headers.ID)}, 'source', {_header(headers.SOURCE)}, "
            f"'type', {_header(headers.TYPE)}, 'time', {_header(headers.TIME)}, "
            "'datacontenttype', media_type)) AS event",
        ),
        (
            "to_date(timestamp) AS date",
            "topic",
            "partition",
            "offset",
            "timestamp AS broker_time",
            "event.id AS id",
            f"{_text('key')} AS device",
            f"{_time('event.time')} AS device_time",
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
            f"from_json({_text('value')}, 'id STRING, label STRING') AS body",
            f"{_time(_header(headers.TIME))} AS time",
        ),
        ("*", "body.id IS NOT NULL AND body.label IS NOT NULL AND time IS NOT NULL AS readable"),
        (
            "to_date(timestamp) AS date",
            *_readable({"id": "body.id", "label": "body.label", "label_time": "time"}),
        ),
    ),
)

_LABEL = f"^{LABEL.pattern}$"
_ENGINES = ", ".join(f"'{engine}'" for engine in ENGINES)
_SCORE = (
    "id STRING, device STRING, prediction STRING, confidence FLOAT, probabilities ARRAY<FLOAT>, "
    "model STRUCT<name: STRING, version: STRING, engine: STRING>, "
    "times STRUCT<device: STRING, broker: STRING, scored: STRING>"
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
            f"split({_header(headers.ID)}, '/') AS source",
            f"from_json({_text('value')}, '{_SCORE}') AS body",
        ),
        (
            "*",
            "try_cast(source[1] AS INT) AS source_partition",
            "try_cast(source[2] AS BIGINT) AS source_offset",
            f"{_time('body.times.device')} AS device_time",
            f"{_time('body.times.broker')} AS broker_time",
            f"{_time('body.times.scored')} AS scored_time",
        ),
        (
            "*",
            f"coalesce(size(source) = 3 AND source[0] RLIKE '{_LABEL}' "
            "AND source_partition >= 0 AND source_offset >= 0 "
            "AND body.id <> '' AND body.prediction IS NOT NULL "
            "AND body.confidence BETWEEN 0 AND 1 AND size(body.probabilities) >= 2 "
            "AND forall(body.probabilities, p -> coalesce(p BETWEEN 0 AND 1, false)) "
            "AND body.model.name <> '' AND body.model.version <> '' "
            f"AND body.model.engine IN ({_ENGINES}) "
            "AND broker_time IS NOT NULL AND scored_time IS NOT NULL, false) AS readable",
        ),
        (
            "to_date(if(readable, broker_time, timestamp)) AS date",
            *_readable(
                {
                    "topic": "source[0]",
                    "partition": "source_partition",
                    "offset": "source_offset",
                    "id": "body.id",
                    "device": "body.device",
                    "prediction": "body.prediction",
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

_REASON = f"^({'|'.join(reasons.REASONS)}): [ -~]+$"
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
            f"{_header(headers.TOPIC)} || "
            f"coalesce('.id-' || {_header(headers.TOPIC_ID)}, '') AS source_topic",
            f"try_cast({_header(headers.PARTITION)} AS INT) AS source_partition",
            f"try_cast({_header(headers.OFFSET)} AS BIGINT) AS source_offset",
            f"try_cast({_header(headers.ATTEMPT)} AS INT) AS attempt",
            f"{_header(headers.STAGE)} AS stage",
            f"{_header(headers.REASON)} AS reason",
        ),
        (
            "*",
            f"coalesce(source_topic RLIKE '{_LABEL}' AND source_partition >= 0 "
            f"AND source_offset >= 0 AND attempt > 0 AND stage IN ({_STAGES}) "
            f"AND reason RLIKE '{_REASON}', false) AS readable",
        ),
        (
            "to_date(timestamp) AS date",
            *_readable(
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
"""All of them; a table is named as its topic's field of `Topics` is."""
