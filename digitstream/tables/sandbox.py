"""Allows only queries of our views, by an allow-list over everything in Spark's plans.

A text is checked twice: after parsing, before Spark looks up anything that it names, and after
analysis, before Spark computes anything. `digitstream.tables.sandbox_rules` has the list.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

from py4j.java_gateway import JavaObject, is_instance_of
from pyspark.sql import DataFrame, SparkSession

from contract.errors import UsageError
from digitstream.tables import sandbox_rules as rules

MOST_CHARACTERS = 100_000
"""Most characters of a query."""

_ANALYSIS = "org.apache.spark.sql.catalyst.analysis."
_LOGICAL = "org.apache.spark.sql.catalyst.plans.logical."
_FUNCTION = f"{_ANALYSIS}UnresolvedFunction"
_TABLE_FUNCTION = f"{_ANALYSIS}UnresolvedTableValuedFunction"
_GENERATOR = f"{_ANALYSIS}UnresolvedGenerator"
_RELATION = f"{_ANALYSIS}UnresolvedRelation"
_WITH = f"{_LOGICAL}UnresolvedWith"
_VIEW = f"{_LOGICAL}View"
_COMMANDS = (f"{_LOGICAL}Command", f"{_LOGICAL}ParsedStatement")

# Objects that are values in a plan, and never parts of the query.
_VALUE_PACKAGES = (
    "org.apache.spark.sql.types.",
    "org.apache.spark.unsafe.types.",
    "org.apache.spark.sql.catalyst.parser.AstBuilder$$Lambda",  # names a column without an alias
)
_CONTAINERS = ("scala.collection.", "scala.Some", "scala.Tuple2")


class BadQuery(UsageError):
    """A text that is not a query, or that cannot be answered."""


def analyse(spark: SparkSession, text: str, views: Collection[str]) -> DataFrame:
    """The answer to a query of these temporary views, not computed yet.

    Raises BadQuery for whatever is not on the list, before Spark opens or runs anything of it, and
    Spark's own errors for a text that it cannot parse or analyse.
    """
    if len(text) > MOST_CHARACTERS:
        message = (
            f"The query has {len(text)} characters. It may have {MOST_CHARACTERS}. Ask for less, "
            f"or use fewer VALUES."
        )
        raise BadQuery(message)
    session: Any = spark._jsparkSession
    jvm: Any = spark._jvm
    with _literal(spark):
        plan = session.sessionState().sqlParser().parsePlan(text)
    check(spark, plan, views)
    # Runs the checked plan, not the text again.
    answer = jvm.org.apache.spark.sql.Dataset.ofRows(session, plan)
    check(spark, answer.queryExecution().analyzed(), views)
    return DataFrame(answer, spark)


@contextmanager
def _literal(spark: SparkSession) -> Iterator[None]:
    """Make the parser take a text literally, without substituting ${env:HOME} and the like.

    The parser goes by the active session of its thread.
    """
    sessions: Any = spark._jvm.SparkSession  # type: ignore[union-attr]
    before = sessions.getActiveSession()
    spark.conf.set("spark.sql.variable.substitute", "false")
    sessions.setActiveSession(spark._jsparkSession)
    try:
        yield
    finally:
        if before.isDefined():
            sessions.setActiveSession(before.get())
        else:
            sessions.clearActiveSession()


def check(spark: SparkSession, plan: Any, views: Collection[str]) -> None:
    """Raise BadQuery unless every part of a plan, parsed or analysed, is on the list."""
    inspection = _Inspection(spark, plan)
    strangers = inspection.strangers(frozenset(views))
    if inspection.has_command:
        message = (
            "That is no query. This command only reads the tables: SELECT, WITH or VALUES. "
            "`digitstream tables` compacts and vacuums them, `digitstream archive` fills them."
        )
        raise BadQuery(message)
    if strangers:
        message = (
            f"A query may not use {', '.join(strangers)}. It may read {', '.join(views)} and "
            f"VALUES, with those of Spark's functions that have no effect and reveal nothing of "
            f"this machine. Leave that out."
        )
        raise BadQuery(message)


class _Inspection:
    """A walk through a plan: its nodes, and everything in their fields."""

    def __init__(self, spark: SparkSession, plan: Any) -> None:
        self._gateway: Any = spark.sparkContext._gateway
        self._jvm: Any = spark._jvm
        self._plan = plan
        self._relations: set[str] = set()
        self._names: set[str] = set()
        """The names that WITH defines."""
        self._others: dict[str, None] = {}
        self.has_command = False

    def strangers(self, views: frozenset[str]) -> list[str]:
        """The parts that are not on the list, in words."""
        waiting = [self._plan]
        while waiting:
            part = waiting.pop()
            if isinstance(part, JavaObject):
                waiting.extend(self._parts(part, views))
        names = {name.lower() for name in (*views, *self._names)}
        relations = sorted(name for name in self._relations if name.lower() not in names)
        return [*(f"the relation {name}" for name in relations), *self._others]

    def _parts(self, part: Any, views: frozenset[str]) -> Iterator[Any]:
        """The parts to inspect within a part of the plan; notes what is not on the list."""
        kind: str = self._jvm.org.apache.commons.lang3.ClassUtils.getName(part)
        if kind in rules.LEAVES or kind in rules.VALUES or kind.startswith(_VALUE_PACKAGES):
            return
        if kind.startswith(_CONTAINERS):
            yield from self._items(part)
        elif kind == _RELATION:
            self._note_relation(list(self._items(part.multipartIdentifier())))
        elif kind == _VIEW:
            table = part.desc().identifier()
            if not part.isTempView() or table.unquotedString() not in views:
                self._others[f"the view {table.unquotedString()}"] = None
        elif kind == _FUNCTION:
            self._check_function(list(self._items(part.nameParts())))
            yield from (part.arguments(), part.filter())
        elif kind == _TABLE_FUNCTION:
            self._check_table_function(list(self._items(part.name())))
            yield part.functionArgs()
        elif kind == _GENERATOR:
            self._check_function([part.name().unquotedString()])
            yield part.children()
        elif kind in rules.NODES:
            if kind == _WITH:
                self._names.update(pair._1() for pair in self._items(part.cteRelations()))
            yield from self._fields(part)
        else:
            self._refuse(part, kind)

    def _refuse(self, part: Any, kind: str) -> None:
        if any(is_instance_of(self._gateway, part, command) for command in _COMMANDS):
            self.has_command = True
        name = kind.rpartition(".")[2].removesuffix("$")
        self._others[rules.WORDS.get(name, name)] = None

    def _note_relation(self, names: list[str]) -> None:
        """Note a view's name. Paths, like text.`/etc/passwd`, and catalogs' tables have several."""
        if len(names) > 1:
            self._others[f"the relation {'.'.join(names)}"] = None
        else:
            self._relations.add(names[0])

    def _check_function(self, names: list[str]) -> None:
        """Look up a function among Spark's built-in ones; its class must be on the list."""
        catalyst = self._jvm.org.apache.spark.sql.catalyst
        identifier = catalyst.FunctionIdentifier(names[-1].lower())
        info = catalyst.analysis.FunctionRegistry.builtin().lookupFunction(identifier)
        is_pure = info.isDefined() and info.get().getClassName() in rules.NODES
        if len(names) > 1 or not is_pure:
            self._others[f"the function {'.'.join(names)}"] = None

    def _check_table_function(self, names: list[str]) -> None:
        if len(names) > 1 or names[0].lower() not in rules.TABLE_FUNCTIONS:
            self._others[f"the function {'.'.join(names)}"] = None

    def _fields(self, part: Any) -> Iterator[Any]:
        return (part.productElement(at) for at in range(part.productArity()))

    def _items(self, container: Any) -> Iterator[Any]:
        """The items of an Option, a tuple, or a Scala collection."""
        if is_instance_of(self._gateway, container, "scala.collection.Iterable"):
            items = container.toSeq()
            return (items.apply(at) for at in range(items.size()))
        return self._fields(container)
