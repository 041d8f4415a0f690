"""SystemML's `train_algo` and `test_algo`: which rows make a step, and what is done at once."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from keras2dml.errors import InvalidData, InvalidSession
from keras2dml.rendering.slices import Slices
from keras2dml.traits import Trait

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from keras2dml.compilation import Compilation

PARAMSERV = "paramserv"
TRAIN = (
    "minibatch",
    "batch",
    "looped_minibatch",
    "allreduce",
    "allreduce_parallel_batches",
    PARAMSERV,
)
TEST = ("minibatch", "batch", "allreduce", "allreduce_parallel_batches")
# What Spark's side of the parameter server answers with; a worker that waits keeps one of them.
SERVER_THREADS = "spark.ps.io.serverThreads"
MODES = ("LOCAL", "REMOTE_SPARK")
UPDATES = ("BSP", "ASP")


@dataclass(frozen=True)
class Server:
    """Where the workers run, `mode`, and when the model is updated, `utype`: when all of them have
    a gradient (BSP), or for each gradient (ASP).
    """

    mode: str = "LOCAL"
    utype: str = "BSP"


@dataclass(frozen=True)
class Algorithm:
    """`parallel` is how many parts are done at once, or one after another if the batch is looped;
    `parfor` are parameters of DML's loop, `paramserv` those of its parameter server.
    """

    train: str = "minibatch"
    test: str = "minibatch"
    parallel: int = 1
    parfor: Mapping[str, object] = field(default_factory=dict)
    paramserv: Mapping[str, str] = field(default_factory=dict)

    def rows(self, batch_size: int, examples: int) -> int:
        """The rows of one step."""
        if self.train == "batch":
            return examples
        several = self.train in ("looped_minibatch", "allreduce_parallel_batches", PARAMSERV)
        return min(examples, batch_size * self.parallel) if several else batch_size

    def part(self, batch_size: int) -> int:
        """The rows of one part of a step."""
        return math.ceil(batch_size / self.parallel) if self.train == "allreduce" else batch_size

    def steps(self, batch_size: int, examples: int) -> int:
        """The number of steps in an epoch."""
        if self.server and self.server.utype == "ASP":
            return sum(self._batches(batch_size, examples))
        return math.ceil(examples / self.rows(batch_size, examples))

    @property
    def loop(self) -> str | None:
        """The loop over the parts of a batch, if it has some."""
        if self.train in ("minibatch", "batch", PARAMSERV):
            return None
        return (
            "for (part in 1:parts)"
            if self.train == "looped_minibatch"
            else f"parfor (part in 1:parts{self._parameters})"
        )

    @property
    def server(self) -> Server | None:
        """The parameter server, if there is one."""
        return Server(**self.paramserv) if self.train == PARAMSERV else None

    @property
    def scoring(self) -> str | None:
        """The loop over blocks of rows that are scored at once; None for one after another."""
        parallel = self.test in ("allreduce", "allreduce_parallel_batches")
        return f"parfor (block in 1:blocks{self._parameters})" if parallel else None

    @property
    def _parameters(self) -> str:
        options = "".join(f", {name}={value}" for name, value in self.parfor.items())
        return f", check=0{options}" if "check" not in self.parfor else options

    def _batches(self, batch_size: int, examples: int) -> list[int]:
        """How many batches each worker of a parameter server has."""
        share = math.ceil(examples / self.parallel)
        shares = (min(share, examples - begin) for begin in range(0, examples, share))
        return [math.ceil(rows / batch_size) for rows in shares]

    def checked(self) -> Algorithm:
        """The same algorithm. Raises InvalidData for a setting that does not exist."""
        choices = (
            ("train_algo", self.train, TRAIN),
            ("test_algo", self.test, TEST),
            ("paramserv_parameters' mode", self.paramserv.get("mode", MODES[0]), MODES),
            ("paramserv_parameters' utype", self.paramserv.get("utype", UPDATES[0]), UPDATES),
        )
        for name, value, allowed in choices:
            if value not in allowed:
                message = f"{name} is {value!r}: give one of {', '.join(allowed)}."
                raise InvalidData(message)
        if unknown := self.paramserv.keys() - {"mode", "utype"}:
            message = f"paramserv_parameters has {sorted(unknown)}: give mode and utype."
            raise InvalidData(message)
        if self.parallel < 1:
            message = f"parallel_batches is {self.parallel}: give a whole number of 1 or more."
            raise InvalidData(message)
        return self

    def fits(self, compilation: Compilation, batch_size: int, examples: int) -> None:
        """Raise InvalidData for a model or rows that would be trained differently in parts."""
        if self.loop is None and self.server is None:
            return
        objective, optimizer = compilation.objective(), compilation.optimizer
        complaints = [
            f"The loss {goal.loss.name!r} of a batch is not the sum of those of its parts."
            for goal in objective.goals
            if not goal.adds_up or (self.server and goal.loss.reduction == "sum")
        ]
        complaints += [
            f"The metric {metric.name!r} is one number for a batch, and not made up of its parts'."
            for goal in objective.goals
            for metric in goal.metrics
            if metric.by_batch
        ]
        if self.train != "looped_minibatch":
            complaints += [
                f"Layer {call.layer!r} takes statistics of the whole batch in training."
                for call in objective.graph.calls
                if Trait.BATCH_STATISTICS in call.traits
            ]
        slices = Slices.of(objective.graph, optimizer, objective.regularizers)
        if self.server and slices.limit and slices.weights:
            tables = ", ".join(sorted(slices.weights))
            complaints.append(
                f"The optimizer's clipvalue is for each number that {tables} is given, in a step of"
                " all workers."
            )
        if complaints:
            message = (
                f"train_algo={self.train!r} splits batches. {' '.join(complaints)} Use"
                " train_algo='minibatch'."
            )
            raise InvalidData(message)
        batches = self._batches(batch_size, examples)
        even = len(batches) == self.parallel and len(set(batches)) == 1
        if self.server and self.server.utype == "BSP" and not even:
            message = (
                f"{examples} rows in batches of {batch_size} are {batches} batches for"
                f" {self.parallel} workers, which wait for each other: choose a batch_size or"
                " parallel_batches that gives each as many, or utype='ASP'."
            )
            raise InvalidData(message)

    def runs_on(self, spark: SparkSession) -> None:
        """InvalidSession where workers on Spark would wait for each other for ever, or would go
        round the session's authentication.
        """
        if self.server is None or self.server.mode != "REMOTE_SPARK":
            return
        from keras2dml.systemds.network import is_guarded  # noqa: PLC0415  (compiling needs no Spark)

        if is_guarded(spark):
            message = (
                "Connections of this session are authenticated, but SystemDS' parameter server on"
                " Spark answers whoever connects: use paramserv_parameters={'mode': 'LOCAL'}."
            )
            raise InvalidSession(message)
        slots = spark.sparkContext.defaultParallelism
        if slots < self.parallel:
            message = (
                f"{self.parallel} workers need as many cores of Spark, which has {slots}: lower"
                " parallel_batches."
            )
            raise InvalidSession(message)
        threads = int(spark.sparkContext.getConf().get(SERVER_THREADS, "1"))
        if threads <= self.parallel:
            message = (
                f"{self.parallel} workers on Spark need the setting {SERVER_THREADS} of"
                f" {self.parallel + 1} or more, which is {threads}: make the session with it."
            )
            raise InvalidSession(message)
