"""Questions to the tables in Spark's SQL: each table is a view, and `answers` is one of all."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from py4j.java_gateway import is_instance_of
from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.errors.exceptions.captured import CapturedException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import ArrayType, BinaryType, DataType, MapType, StructType

from contract.errors import DigitstreamError
from streaming.archive.place import Place
from streaming.archive.tables import TABLES
from streaming.failures import last_cause

_PLANS = "org.apache.spark.sql.catalyst.plans.logical"
_TIMES = "map('timestampFormat', \"yyyy-MM-dd'T'HH:mm:ss.SSSSSSXXX\", 'ignoreNullFields', 'false')"

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


class BadQuery(DigitstreamError):
    """A text that is no query, or that cannot be answered."""


def views(place: Place) -> None:
    """Make the tables known to the session by their names; raises NoTables."""
    for table in place.found:
        place.read(table).createOrReplaceTempView(table.name)
    if len(place.found) == len(TABLES):
        place.spark.sql(ANSWERS).createOrReplaceTempView("answers")


def asked(spark: SparkSession, text: str) -> DataFrame:
    """The answer to a query, not computed yet, its columns' names made different.

    Raises BadQuery for what is none, for what changes something, and for what Spark refuses.
    """
    parser: Any = spark._jsparkSession.sessionState().sqlParser()
    try:
        plan = parser.parsePlan(text)
        if changes(spark, plan):
            message = (
                "That is no query. The tables are only read here: SELECT, WITH or VALUES. "
                "`digitstream tables` compacts and vacuums them, `digitstream archive` fills them."
            )
            raise BadQuery(message)
        answer = spark.sql(text)
    except (PySparkException, Py4JJavaError) as exc:
        raise BadQuery(refusal(exc)) from exc
    names: list[str] = []
    for name in answer.columns:
        same = sum(re.fullmatch(rf"{re.escape(name)}(_\d+)?", each) is not None for each in names)
        names.append(f"{name}_{same + 1}" if same else name)
    return answer.toDF(*names)


def changes(spark: SparkSession, plan: Any) -> bool:
    """Whether a statement does anything but ask."""
    kinds = (f"{_PLANS}.Command", f"{_PLANS}.ParsedStatement")
    if any(is_instance_of(spark.sparkContext._gateway, plan, kind) for kind in kinds):
        return True
    children = plan.children()
    return any(changes(spark, children.apply(at)) for at in range(children.size()))


def refusal(error: Exception) -> str:
    """What Spark has against a query, in one sentence with the place."""
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
    if csv:
        flat = [_flat(field.name, field.dataType) for field in answer.schema.fields]
        answer = answer.selectExpr(*flat).toDF(*answer.columns)
    written = answer.selectExpr(f"{'to_csv' if csv else 'to_json'}(struct(*), {_TIMES}) AS line")
    try:
        for row in written.toLocalIterator(prefetchPartitions=True):
            yield row[0]
    except (PySparkException, Py4JJavaError) as exc:
        raise BadQuery(refusal(exc)) from exc


def cells(answer: DataFrame, limit: int) -> tuple[list[list[str]], bool]:
    """The first rows of an answer as texts, and whether there are more."""
    shown = answer.selectExpr(
        *(
            f"coalesce(cast({_flat(field.name, field.dataType)} AS STRING), '-')"
            for field in answer.schema.fields
        )
    )
    try:
        rows = shown.limit(limit + 1).collect()
    except (PySparkException, Py4JJavaError) as exc:
        raise BadQuery(refusal(exc)) from exc
    return [list(row) for row in rows[:limit]], len(rows) > limit


def _flat(name: str, kind: DataType) -> str:
    """A column as one that has no parts."""
    quoted = f"`{name.replace('`', '``')}`"
    if isinstance(kind, BinaryType):
        return f"base64({quoted})"
    if isinstance(kind, ArrayType | MapType | StructType):
        return f"to_json({quoted}, {_TIMES})"
    return quoted
