"""Queries of the tables in Spark SQL: each table is a view, and the view `answers` joins them."""

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
"""Most characters of a value in a printed table."""

_TIMES = {"timestampFormat": "yyyy-MM-dd'T'HH:mm:ss.SSSSSSXXX", "ignoreNullFields": "false"}

# Intervals of months, days and microseconds, which Python has no type for; they become strings.
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
"""Every reading with its score or dead letter, and its last label."""


def register_views(place: Place) -> tuple[str, ...]:
    """Register the tables as views of the session; returns the views' names. Raises NoTables."""
    names = [table.name for table in place.tables]
    for table in place.tables:
        place.read(table).createOrReplaceTempView(table.name)
    if len(names) == len(TABLES):
        place.spark.sql(ANSWERS).createOrReplaceTempView("answers")
        names.append("answers")
    return tuple(names)


def ask(spark: SparkSession, text: str, names: Sequence[str]) -> DataFrame:
    """The answer to a query of these views, not computed yet, with unique column names.

    Raises BadQuery for a text that does more than query, before any of it runs, and for one that
    Spark refuses.
    """
    try:
        answer = sandbox.analyse(spark, text, names)
    except (PySparkException, Py4JJavaError) as exc:
        raise BadQuery(refusal(exc)) from exc
    fields = list(answer._jdf.schema().fields())  # PySpark's own schema fails on such an interval
    columns: list[str] = []
    for field in fields:
        name = field.name()
        same = sum(
            re.fullmatch(rf"{re.escape(name)}(_\d+)?", column) is not None for column in columns
        )
        columns.append(f"{name}_{same + 1}" if same else name)
    kinds = [field.dataType().catalogString() for field in fields]
    texts = [
        column.cast("string").alias(name) if _CALENDAR_INTERVAL.search(kind) else column
        for name, kind, column in zip(columns, kinds, map(_named, columns), strict=True)
    ]
    return answer.toDF(*columns).select(*texts)


def refusal(error: Exception) -> str:
    """Spark's error for a query, in one sentence with the position."""
    if "java.lang.StackOverflowError" in str(error):
        return "Spark cannot answer that: it is nested too deeply. Use fewer levels."
    text = error.desc if isinstance(error, CapturedException) and error.desc else str(error)
    place = re.search(r"\(?;?\s*line (\d+),? pos (\d+)\)?", text)
    if isinstance(error, Py4JJavaError) or "Job aborted" in text:
        text = last_cause(text)
    fact = re.split(r"\n|;\s*line \d|\(line \d", text.strip(), maxsplit=1)[0]
    fact = re.sub(r"^\[[\w.]+\]\s*|(\w+\.)+(?=\w+Exception: )", "", fact).strip().rstrip(".;")
    where = f" (line {place[1]}, column {int(place[2]) + 1})" if place else ""
    return f"Spark cannot answer that: {fact}{where}."


def lines(answer: DataFrame, *, csv: bool = False) -> Iterator[str]:
    """The rows of an answer, one per line: JSON objects, or CSV without a header.

    Bytes are base64, times RFC 3339 in UTC; nested values in CSV are JSON.
    """
    row = functions.struct(*(_column(field, flat=csv) for field in answer.schema.fields))
    text = functions.to_csv(row, _TIMES) if csv else functions.to_json(row, _TIMES)
    try:
        for line in answer.select(text).toLocalIterator(prefetchPartitions=True):
            yield line[0]
    except (PySparkException, Py4JJavaError) as exc:
        raise BadQuery(refusal(exc)) from exc


def cells(answer: DataFrame, limit: int) -> tuple[list[list[str]], bool]:
    """The first rows of an answer as strings, and whether there are more.

    Strings longer than LONGEST_CELL are cut.
    """
    texts = [_column(field, flat=True).cast("string") for field in answer.schema.fields]
    parts = [functions.substring(text, 1, LONGEST_CELL + 1) for text in texts]
    shortened = answer.select(*(functions.coalesce(part, functions.lit("-")) for part in parts))
    try:
        rows = shortened.limit(limit + 1).collect()
    except (PySparkException, Py4JJavaError) as exc:
        raise BadQuery(refusal(exc)) from exc
    return [list(map(_shortened, row)) for row in rows[:limit]], len(rows) > limit


def _named(name: str) -> Column:
    return functions.col(f"`{name.replace('`', '``')}`")


def _column(field: StructField, *, flat: bool) -> Column:
    """A column by its field; `flat` turns bytes and nested values into strings."""
    column = _named(field.name)
    if flat and isinstance(field.dataType, BinaryType):
        column = functions.base64(column)
    elif flat and isinstance(field.dataType, ArrayType | MapType | StructType):
        column = functions.to_json(column, _TIMES)
    return column.alias(field.name)


def _shortened(text: str) -> str:
    return text if len(text) <= LONGEST_CELL else f"{text[:LONGEST_CELL]}..."
