"""A query of the tables reads them and does nothing else: whatever else it holds is refused before
any of it runs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from digitstream.tables import sandbox_rules as rules
from digitstream.tables.sandbox import MOST_CHARACTERS, BadQuery
from digitstream.tables.sql import ask, cells, lines

pytestmark = pytest.mark.spark

VIEWS = ("readings", "scores")
EXIT = "reflect('java.lang.System', 'exit', 77)"
FILE = "text.`/etc/hostname`"

EFFECTS = {
    "shell": ("SELECT TRANSFORM(1) USING 'touch {marker}' AS (x STRING)", "TRANSFORM"),
    "map": ("MAP id USING 'touch {marker}' FROM readings", "TRANSFORM"),
    "directory": ("INSERT OVERWRITE DIRECTORY '{folder}' USING csv SELECT 1", "INSERT"),
    "local": ("INSERT OVERWRITE LOCAL DIRECTORY '{folder}' USING csv SELECT 1", "INSERT"),
    "from": ("FROM (SELECT 1) INSERT OVERWRITE DIRECTORY '{folder}' USING csv SELECT *", "INSERT"),
    "insert": ("INSERT INTO readings SELECT * FROM readings", "That is no query"),
    "with": ("WITH x AS (SELECT 1) INSERT INTO readings SELECT * FROM x", "That is no query"),
    "set": ("SET spark.sql.variable.substitute=true", "That is no query"),
    "create": ("CREATE TABLE x USING csv LOCATION '{folder}' AS SELECT 1", "That is no query"),
    "function": ("CREATE TEMPORARY FUNCTION f AS 'java.lang.System'", "That is no query"),
    "cache": ("CACHE TABLE x AS SELECT 1", "That is no query"),
    "jar": ("ADD JAR '{folder}/x.jar'", "That is no query"),
    "drop": ("DROP VIEW readings", "That is no query"),
    "hint": ("SELECT /*+ REPARTITION(100000) */ * FROM readings", "hints"),
}
"""What changes something -> what the refusal says."""

FILES = {
    "path": f"SELECT * FROM {FILE}",
    "format": "SELECT * FROM csv.`/etc/passwd`",
    "delta": "SELECT * FROM delta.`/etc`",
    "join": f"SELECT * FROM readings CROSS JOIN {FILE}",
    "alias": f"SELECT * FROM {FILE} AS readings",
    "subquery": f"SELECT * FROM (SELECT * FROM {FILE})",
    "scalar": f"SELECT (SELECT value FROM {FILE})",
    "exists": f"SELECT 1 WHERE EXISTS (SELECT 1 FROM {FILE})",
    "in": f"SELECT 1 WHERE 'x' IN (SELECT value FROM {FILE})",
    "with": f"WITH readings AS (SELECT * FROM {FILE}) SELECT * FROM readings",
    "with unused": f"WITH x AS (SELECT * FROM {FILE}) SELECT 1",
    "with within": f"SELECT * FROM (WITH x AS (SELECT * FROM {FILE}) SELECT * FROM x)",
    "lateral": f"SELECT * FROM readings, LATERAL (SELECT value FROM {FILE})",
    "union": f"SELECT id FROM readings UNION ALL SELECT value FROM {FILE}",
    "table": f"TABLE {FILE}",
    "identifier": "SELECT * FROM IDENTIFIER('text.`/etc/hostname`')",
    "catalog": "SELECT * FROM spark_catalog.default.readings",
    "global": "SELECT * FROM global_temp.readings",
    "changes": "SELECT * FROM table_changes('readings', 0)",
    "past": "SELECT * FROM readings VERSION AS OF 0",
}
"""Ways to a relation that is none of the views."""

CALLS = {
    "select": f"SELECT {EXIT}",
    "values": f"VALUES ({EXIT})",
    "where": f"SELECT 1 FROM readings WHERE {EXIT} = 'x'",
    "order": f"SELECT 1 ORDER BY {EXIT}",
    "group": f"SELECT 1 FROM readings GROUP BY {EXIT}",
    "having": f"SELECT 1 FROM readings GROUP BY id HAVING {EXIT} = 'x'",
    "limit": f"SELECT 1 LIMIT {EXIT}",
    "window": f"SELECT sum(1) OVER (PARTITION BY {EXIT}) FROM readings",
    "named window": f"SELECT sum(1) OVER w FROM readings WINDOW w AS (ORDER BY {EXIT})",
    "filter": f"SELECT count(*) FILTER (WHERE {EXIT} = 'x') FROM readings",
    "pivot": f"SELECT * FROM (SELECT id FROM readings) PIVOT (count(*) FOR id IN ({EXIT}))",
    "unpivot": f"SELECT * FROM (SELECT {EXIT} a, 'x' b) UNPIVOT (v FOR n IN (a, b))",
    "lambda": f"SELECT transform(array(1), x -> {EXIT})",
    "generator": f"SELECT explode(array({EXIT}))",
    "lateral view": f"SELECT * FROM readings LATERAL VIEW explode(array({EXIT})) t",
    "lateral": f"SELECT * FROM readings, LATERAL (SELECT {EXIT})",
    "table function": f"SELECT * FROM explode(array({EXIT}))",
    "range": f"SELECT * FROM range({EXIT})",
    "named argument": f"SELECT * FROM explode(collection => array({EXIT}))",
    "join": f"SELECT 1 FROM readings JOIN scores ON {EXIT} = 'x'",
    "case": f"SELECT CASE WHEN true THEN {EXIT} END",
    "in": f"SELECT 1 WHERE 'x' IN ({EXIT}, 'y')",
    "cast": f"SELECT CAST({EXIT} AS INT)",
    "grouping sets": f"SELECT 1 FROM readings GROUP BY GROUPING SETS (({EXIT}), ())",
    "scalar": f"SELECT (SELECT max({EXIT}) FROM scores)",
    "with": f"WITH x AS (SELECT {EXIT}) SELECT 1",
}
"""Places where a function may be called."""

TELLING = (
    "SELECT current_user",
    "SELECT `user`",
    "SELECT current_user()",
    "VALUES (current_user())",
    "SELECT java_method('java.lang.System', 'getenv', 'HOME')",
    "SELECT IDENTIFIER('reflect')('java.lang.System', 'getenv', 'HOME')",
    "SELECT input_file_name() FROM readings",
    "SELECT input_file_block_start() FROM readings",
    "SELECT current_catalog(), current_database(), version()",
    "SELECT * FROM sql_keywords()",
    "SELECT spark_partition_id(), monotonically_increasing_id()",
    "SELECT rand(), uuid()",
    "SELECT xpath('<a/>', 'a')",
    "SELECT system.builtin.abs(1)",
    "SELECT spark_catalog.default.f(1)",
    "SELECT no_such_function(1)",
)
"""Functions that run code, tell of the machine, are drawn by chance, or are none of Spark's."""


@pytest.fixture(scope="module")
def tables(spark: SparkSession) -> Iterator[SparkSession]:
    own = spark.newSession()
    own.conf.set("spark.sql.ansi.enabled", "false")
    row = (
        "SELECT 'a' AS id, 1L AS offset, map('k', 1) AS pairs, array(struct('h' AS key)) AS headers"
    )
    for view in VIEWS:
        own.sql(row).createOrReplaceTempView(view)
    yield own


def answer(tables: SparkSession, query: str) -> list[list[str]]:
    return cells(ask(tables, query, VIEWS), 50)[0]


@pytest.mark.parametrize("name", EFFECTS)
def test_nothing_of_what_has_an_effect_runs(
    tables: SparkSession, tmp_path: Path, name: str
) -> None:
    query, says = EFFECTS[name]
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "kept").write_text("kept")
    marker = tmp_path / "marker"
    with pytest.raises(BadQuery, match=says):
        answer(tables, query.format(marker=marker, folder=folder))
    assert not marker.exists()
    assert [file.name for file in folder.iterdir()] == ["kept"]
    assert answer(tables, "SELECT count(*) FROM readings") == [["1"]]


@pytest.mark.parametrize("name", FILES)
def test_only_the_views_are_read(tables: SparkSession, name: str) -> None:
    with pytest.raises(BadQuery, match=r"A query may not use .*It may read readings, scores"):
        answer(tables, FILES[name])


@pytest.mark.parametrize("name", CALLS)
def test_a_function_that_runs_code_is_refused_wherever_it_stands(
    tables: SparkSession, name: str
) -> None:
    with pytest.raises(BadQuery, match="A query may not use the function reflect"):
        answer(tables, CALLS[name])


@pytest.mark.parametrize("query", TELLING)
def test_a_function_that_tells_of_the_machine_is_refused(tables: SparkSession, query: str) -> None:
    with pytest.raises(BadQuery, match="A query may not use"):
        answer(tables, query)


def test_nothing_is_put_in_for_variables(tables: SparkSession) -> None:
    texts = "${env:HOME}", "${system:user.home}", "${spark.app.name}", "${hiveconf:x:-y}"
    query = ", ".join(f"'{text}' AS `{text}`" for text in texts)
    frame = ask(tables, f"SELECT {query}", VIEWS)
    assert frame.columns == list(texts)
    assert cells(frame, 1)[0] == [list(texts)]


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        ("TABLE readings", 1),
        ("FROM readings SELECT id WHERE offset = 1", 1),
        ("VALUES (1, current_date()), (2, now())", 2),
        ("SELECT * FROM readings TABLESAMPLE (100 PERCENT) CROSS JOIN range(3) AS t(x)", 3),
        ("WITH a AS (SELECT * FROM readings), b(x) AS (SELECT id FROM a) "
         "SELECT * FROM b JOIN SCORES s ON s.id = b.x LEFT ANTI JOIN a USING (offset)", 0),
        ("SELECT r.id, x.n FROM readings r, LATERAL (SELECT count(*) n FROM scores) x", 1),
        ("SELECT h.key, pairs['k'] FROM readings LATERAL VIEW OUTER explode(headers) t AS h", 1),
        ("SELECT id, sum(offset) OVER w FROM readings WINDOW w AS (PARTITION BY id)", 1),
        ("SELECT id, count(*) FROM readings GROUP BY CUBE (id) HAVING count(*) > 0 ORDER BY 1", 2),
        ("SELECT * FROM (SELECT id FROM readings) PIVOT (count(*) FOR id IN ('a', 'b'))", 1),
        ("SELECT * FROM (SELECT 1 a, 2 b) UNPIVOT (v FOR n IN (a, b))", 2),
        ("SELECT id FROM readings UNION SELECT id FROM scores EXCEPT SELECT 'b' LIMIT 5", 1),
        ("SELECT date'2026-01-02' - interval 1 day, timestampadd(HOUR, 1, now()), id || 'x', "
         "id LIKE ANY ('a%'), TRY_CAST(id AS INT), percentile_cont(0.5) WITHIN GROUP (ORDER BY "
         "offset) OVER (), extract(hour FROM now()), trim(BOTH 'a' FROM id) FROM readings", 1),
        ("SELECT offset + 1 AS a, a * 2 AS b, headers.key FROM readings", 1),
        ("SELECT count(DISTINCT id, offset) AS n, n + 1, max(struct(id, offset)).id, first(id) "
         "IGNORE NULLS FROM readings GROUP BY id", 1),
        ("SELECT now() - current_date(), current_date() - 1, interval 1 day * 2, 1.5BD / 3, "
         "offset IS DISTINCT FROM 1, id NOT IN ('b'), offset BETWEEN 0 AND 1, "
         "explode_outer(array(1)) FROM readings r FULL JOIN scores s USING (id, offset)", 1),
        ("SELECT lead(id) OVER w, nth_value(id, 1) OVER (ORDER BY offset RANGE BETWEEN 1 "
         "PRECEDING AND CURRENT ROW) FROM readings WINDOW w AS (ORDER BY offset)", 1),
        ("SELECT 1 WHERE (SELECT max(offset) FROM scores) IN (SELECT offset FROM readings)", 1),
    ],
)  # fmt: skip
def test_queries_are_answered(tables: SparkSession, query: str, rows: int) -> None:
    assert len(answer(tables, query)) == rows


def test_a_query_has_a_length(tables: SparkSession) -> None:
    with pytest.raises(BadQuery, match=f"It may have {MOST_CHARACTERS}"):
        answer(tables, f"SELECT {'1, ' * MOST_CHARACTERS} 1")
    for deep in (f"SELECT {'(' * 9_000}1{')' * 9_000}", f"SELECT 1{' + 1' * 9_000}"):
        with pytest.raises(BadQuery):
            answer(tables, deep)


def test_every_class_on_the_list_is_one_of_sparks(tables: SparkSession) -> None:
    jvm: Any = tables._jvm
    for name in rules.NODES | rules.VALUES:
        jvm.java.lang.Class.forName(name)  # raises for what is not there
    known = _functions(tables)
    unused = rules.SCALARS - {classname for classname, _ in known.values()}
    assert not unused
    assert not {"reflect", "java_method", "input_file_name", "current_user", "rand"} & {
        name for name, (classname, _) in known.items() if classname in rules.NODES
    }


def test_intervals_that_python_has_no_type_for_are_texts(tables: SparkSession) -> None:
    query = "SELECT make_interval(1, 2) AS i, array(make_interval(0, 1)) AS i, interval 1 day AS d"
    answer = ask(tables, query, VIEWS)
    assert list(lines(answer)) == [
        """{"i":"1 years 2 months","i_2":"[1 months]","d":"INTERVAL '1' DAY"}"""
    ]


@pytest.mark.slow
@pytest.mark.long
def test_the_documented_examples_of_every_function_on_the_list_are_analysed(
    tables: SparkSession,
) -> None:
    examples = [
        example
        for classname, text in _functions(tables).values()
        if classname in rules.NODES
        for example in re.findall(r"^\s*> (.*?);\s*$", text, re.MULTILINE | re.DOTALL)
        if not example.startswith("SET ")
    ]
    assert len(examples) > 700
    for example in examples:
        ask(tables, example, VIEWS)


def _functions(spark: SparkSession) -> dict[str, tuple[str, str]]:
    """Spark's own functions: name -> class, and examples of their use."""
    jvm: Any = spark._jvm
    registry = jvm.org.apache.spark.sql.catalyst.analysis.FunctionRegistry.builtin()
    found = {}
    for identifier in jvm.scala.collection.JavaConverters.seqAsJavaList(registry.listFunction()):
        info = registry.lookupFunction(identifier).get()
        found[info.getName()] = (info.getClassName(), info.getExamples())
    return found
