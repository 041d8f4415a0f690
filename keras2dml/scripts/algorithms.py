"""SystemML's `train_algo` and `test_algo`: the rows of a step, and what runs in parallel."""

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
# Setting for the threads with which the parameter server answers workers on Spark; a worker that
# waits occupies one of them.
SERVER_THREADS = "spark.ps.io.serverThreads"
MODES = ("LOCAL", "REMOTE_SPARK")
UPDATES = ("BSP", "ASP")


@dataclass(frozen=True)
class Server:
    """A parameter server: `mode` is where its workers run, `utype` when the model is updated: when
    all workers have a gradient (BSP), or for each gradient (ASP).
    """

    mode: str = "LOCAL"
    utype: str = "BSP"


@dataclass(frozen=True)
class Algorithm:
    """How batches are split and run. `parallel` is the number of parts, in parallel or, if the
    batch is looped, in sequence; `parfor` are parameters of DML's parfor, `paramserv` those of its
    parameter server.
    """

    train: str = "minibatch"
    test: str = "minibatch"
    parallel: int = 1
    parfor: Mapping[str, object] = field(default_factory=dict)
    paramserv: Mapping[str, str] = field(default_factory=dict)

    def rows(self, batch_size: int, examples: int) -> int:
        """The number of rows in a step."""
        if self.train == "batch":
            return examples
        several = self.train in ("looped_minibatch", "allreduce_parallel_batches", PARAMSERV)
        return min(examples, batch_size * self.parallel) if several else batch_size

    def part(self, batch_size: int) -> int:
        """The number of rows in a part of a step."""
        return math.ceil(batch_size / self.parallel) if self.train == "allreduce" else batch_size

    def steps(self, batch_size: int, examples: int) -> int:
        """The number of steps in an epoch."""
        if self.server and self.server.utype == "ASP":
            return sum(self._batches(batch_size, examples))
        return math.ceil(examples / self.rows(batch_size, examples))

    @property
    def loop(self) -> str | None:
        """The loop over the parts of a batch, if it has parts."""
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
        """The loop over blocks of rows that are scored in parallel; None for a sequence."""
        parallel = self.test in ("allreduce", "allreduce_parallel_batches")
        return f"parfor (block in 1:blocks{self._parameters})" if parallel else None

    @property
    def _parameters(self) -> str:
        options = "".join(f", {name}={value}" for name, value in self.parfor.items())
        return f", check=0{options}" if "check" not in self.parfor else options

    def _batches(self, batch_size: int, examples: int) -> list[int]:
        """The number of batches of each worker of a parameter server."""
        share = math.ceil(examples / self.parallel)
        shares = (min(share, examples - begin) for begin in range(0, examples, share))
        return [math.ceil(rows / batch_size) for rows in shares]

    def checked(self) -> Algorithm:
        """The same algorithm; raises InvalidData for a setting that does not exist."""
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

    def check_split(self, compilation: Compilation, batch_size: int, examples: int) -> None:
        """Raise InvalidData for a model or rows with which training in parts would differ."""
        if self.loop is None and self.server is None:
            return
        objective, optimizer = compilation.objective(), compilation.optimizer
        complaints = [
            f"The loss {goal.loss.name!r} of a batch is not the sum of the losses of its parts."
            for goal in objective.goals
            if not goal.adds_up or (self.server and goal.loss.reduction == "sum")
        ]
        complaints += [
            f"The metric {metric.name!r} of a batch does not follow from the metrics of its parts."
            for goal in objective.goals
            for metric in goal.metrics
            if metric.by_batch
        ]
        if self.train != "looped_minibatch":
            complaints += [
                f"Layer {call.layer!r} uses statistics of the whole batch in training."
                for call in objective.graph.calls
                if Trait.BATCH_STATISTICS in call.traits
            ]
        slices = Slices.of(objective.graph, optimizer, objective.regularizers)
        if self.server and slices.limit and slices.weights:
            tables = ", ".join(sorted(slices.weights))
            complaints.append(
                f"The optimizer's clipvalue is for each number that {tables} looks up, in a step of"
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
                " parallel_batches with as many for each, or utype='ASP'."
            )
            raise InvalidData(message)

    def check_session(self, spark: SparkSession) -> None:
        """Raise InvalidSession if workers on Spark would wait for each other for ever, or would
        bypass the session's authentication.
        """
        if self.server is None or self.server.mode != "REMOTE_SPARK":
            return
        from keras2dml.systemds.network import is_guarded  # noqa: PLC0415  (compiling needs no Spark)

        if is_guarded(spark):
            message = (
                "Connections of this session are authenticated, but SystemDS' parameter server on"
                " Spark accepts any connection: use paramserv_parameters={'mode': 'LOCAL'}."
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
                f"{self.parallel} workers on Spark need {SERVER_THREADS} of"
                f" {self.parallel + 1} or more, but it is {threads}: create the session with it."
            )
            raise InvalidSession(message)
