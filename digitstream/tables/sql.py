"""Questions to the tables in Spark's SQL: each table is a view, and `answers` is one of all."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.errors.exceptions.captured import CapturedException
from pyspark.sql import Column, DataFrame, SparkSession, functions
from pyspark.sql.types import ArrayType, BinaryType, MapType, StructField, StructType

from digitstream.tables import sandbox
from digitstream.tables.sandbox import BadQuery
from streaming.archive.place import Place
from streaming.archive.tables import TABLES
from streaming.spark.failures import last_cause

LONGEST_CELL = 2_000
"""Characters of a value that a table shows."""

_TIMES = {"timestampFormat": "yyyy-MM-dd'T'HH:mm:ss.SSSSSSXXX", "ignoreNullFields": "false"}

# The intervals of months, days and microseconds that Python has no type for; they become texts.
_CALENDAR_INTERVAL = re.compile(r"\binterval\b(?! (?:year|month|day|hour|minute|second)|:)")

ANSWERS = """
SELECT readings.date, readings.topic, readings.partition, readings.offset, readings.id,
       readings.device, prediction, confidence, label, prediction = label AS correct, model_name,
       model_version, engine, stage, reason, readings.device_time, readings.broker_time, scored_time
FROM readings
LEFT JOIN scores USING (date, topic, partition, offset)
LEFT JOIN (
    SELECT topic, partition, offset, max_by(stage, attempt) AS stage,
           max_by(reason, attempt) AS reason
    FROM dead_letters WHERE topic IS NOT NULL GROUP BY topic, partition, offset
) AS letters USING (topic, partition, offset)
LEFT JOIN (
    SELECT id, max_by(label, struct(record_time, record_partition, record_offset)) AS label
    FROM labels WHERE id IS NOT NULL GROUP BY id
) AS truths ON truths.id = readings.id
"""
"""Every reading with what became of it: its score or dead letter, and the last label it got."""


def views(place: Place) -> tuple[str, ...]:
    """Make the tables known to the session, and return the views' names; raises NoTables."""
    names = [table.name for table in place.found]
    for table in place.found:
        place.read(table).createOrReplaceTempView(table.name)
    if len(names) == len(TABLES):
        place.spark.sql(ANSWERS).createOrReplaceTempView("answers")
        names.append("answers")
    return tuple(names)


def asked(spark: SparkSession, text: str, names: Sequence[str]) -> DataFrame:
    """The answer to a query of these views, not computed yet, its columns' names made different.

    Raises BadQuery for whatever does more than ask, before anything of it runs, and for what Spark
    refuses.
    """
    try:
        answer = sandbox.analysed(spark, text, names)
    except (PySparkException, Py4JJavaError) as exc:
        raise BadQuery(refusal(exc)) from exc
    fields = list(answer._jdf.schema().fields())  # PySpark's own schema fails on such an interval
    columns: list[str] = []
    for field in fields:
        name = field.name()
        same = sum(re.fullmatch(rf"{re.escape(name)}(_\d+)?", each) is not None for each in columns)
        columns.append(f"{name}_{same + 1}" if same else name)
    kinds = [field.dataType().catalogString() for field in fields]
    texts = [
        column.cast("string").alias(name) if _CALENDAR_INTERVAL.search(kind) else column
        for name, kind, column in zip(columns, kinds, map(_named, columns), strict=True)
    ]
    return answer.toDF(*columns).select(*texts)


def refusal(error: Exception) -> str:
    """What Spark has against a query, in one sentence with the place."""
    if "java.lang.StackOverflowError" in str(error):
        return "Spark cannot answer that: it is nested too deeply. Ask in fewer levels."
    said = error.desc if isinstance(error, CapturedException) and error.desc else str(error)
    place = re.search(r"\(?;?\s*line (\d+),? pos (\d+)\)?", said)
    if isinstance(error, Py4JJavaError) or "Job aborted" in said:
        said = last_cause(said)
    fact = re.split(r"\n|;\s*line \d|\(line \d", said.strip(), maxsplit=1)[0]
    fact = re.sub(r"^\[[\w.]+\]\s*|(\w+\.)+(?=\w+Exception: )", "", fact).strip().rstrip(".;")
    where = f" (line {place[1]}, column {int(place[2]) + 1})" if place else ""
    return f"Spark cannot answer that: {fact}{where}."


def lines(answer: DataFrame, *, csv: bool = False) -> Iterator[str]:
    """The rows of an answer, a line each: JSON objects, or CSV without its header.

    Bytes are base64, times RFC 3339 in UTC; in CSV what has parts is JSON.
    """
    row = functions.struct(*(_column(field, flat=csv) for field in answer.schema.fields))
    text = functions.to_csv(row, _TIMES) if csv else functions.to_json(row, _TIMES)
    try:
        for line in answer.select(text).toLocalIterator(prefetchPartitions=True):
            yield line[0]
    except (PySparkException, Py4JJavaError) as exc:
        raise BadQuery(refusal(exc)) from exc


def cells(answer: DataFrame, limit: int) -> tuple[list[list[str]], bool]:
    """The first rows of an answer as texts, and whether there are more.

    Of a text that is longer than LONGEST_CELL, its beginning.
    """
    texts = [_column(field, flat=True).cast("string") for field in answer.schema.fields]
    parts = [functions.substring(text, 1, LONGEST_CELL + 1) for text in texts]
    shown = answer.select(*(functions.coalesce(part, functions.lit("-")) for part in parts))
    try:
        rows = shown.limit(limit + 1).collect()
    except (PySparkException, Py4JJavaError) as exc:
        raise BadQuery(refusal(exc)) from exc
    return [list(map(_shortened, row)) for row in rows[:limit]], len(rows) > limit


def _named(name: str) -> Column:
    return functions.col(f"`{name.replace('`', '``')}`")


def _column(field: StructField, *, flat: bool) -> Column:
    """A column by its name; `flat` is without parts."""
    column = _named(field.name)
    if flat and isinstance(field.dataType, BinaryType):
        column = functions.base64(column)
    elif flat and isinstance(field.dataType, ArrayType | MapType | StructType):
        column = functions.to_json(column, _TIMES)
    return column.alias(field.name)


def _shortened(text: str) -> str:
    return text if len(text) <= LONGEST_CELL else f"{text[:LONGEST_CELL]}..."
