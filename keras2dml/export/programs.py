"""The scripts as standalone programs, which read files and run with SystemDS' command line on a
single machine, without Spark.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from shlex import quote

import keras
import numpy as np

from keras2dml.compilation import Compilation
from keras2dml.dml import syntax
from keras2dml.export.weights import file_names
from keras2dml.keras_internals import learning_rate_of
from keras2dml.objectives.objective import Objective
from keras2dml.rendering.forward import Script
from keras2dml.scripts import score as scoring
from keras2dml.scripts import standalone

COMMAND = (
    "java --add-modules=jdk.incubator.vector -cp {} org.apache.sysds.api.DMLScript -exec singlenode"
)
FORMAT = "format: csv (default) or binary (SystemDS' own), of inputs, targets and results"
_SCHEDULE = "schedule.mtx"
_TRAINING = "train.dml"
WEIGHTS = "weights: the folder of weights, read in the format that each file's .mtd tells"


@dataclass(frozen=True, eq=False)
class Program:
    """A script that reads its inputs from files, which its `arguments` name."""

    name: str
    text: str
    arguments: str

    def command(self, jar: Path) -> str:
        """The command that runs it in its folder, with rows in files such as X.csv there."""
        return f"{COMMAND.format(quote(str(jar)))} {self.arguments}"


@dataclass(frozen=True, eq=False)
class Programs:
    """A model's programs, and the matrices that they read, by file name."""

    scoring: Program
    training: Program | None
    """None for a model that is only scored."""
    matrices: Mapping[str, np.ndarray]

    @classmethod
    def of(cls, compilation: Compilation, iterations: int, *, trained: bool = True) -> Programs:
        """The programs of a compiled model, without training unless it is `trained`. If the
        learning rate follows a schedule, the rates of this many `iterations` are written to a file.

        Raises InvalidData and UnsupportedModel for a model that cannot be trained.
        """
        writing = _Writing(compilation, iterations)
        return writing.programs(compilation.state() if trained else None)

    def save(self, folder: Path) -> None:
        """Write `score.dml`, `train.dml` and the folder `weights`; creates the folders. A
        `train.dml` of another model is removed.
        """
        weights = folder / "weights"
        weights.mkdir(parents=True, exist_ok=True)
        (folder / _TRAINING).unlink(missing_ok=True)
        for program in filter(None, (self.scoring, self.training)):
            (folder / program.name).write_text(program.text, encoding="utf-8")
        for name, matrix in self.matrices.items():
            np.savetxt(weights / name, matrix, fmt="%.17g", delimiter=",")
            rows, columns = matrix.shape
            about = {
                "data_type": "matrix",
                "value_type": "double",
                "rows": rows,
                "cols": columns,
                "format": "csv",
                "header": False,
                "sep": ",",
            }
            (weights / f"{name}.mtd").write_text(json.dumps(about), encoding="utf-8")


class _Writing:
    """The programs of one model, and what they have in common."""

    def __init__(self, compilation: Compilation, iterations: int) -> None:
        self.compilation, self.iterations = compilation, iterations
        graph, optimizer = compilation.graph, compilation.configuration.optimizer
        self.weights = file_names(graph)
        self.constants = {name: constant.matrix for name, constant in graph.constants()}
        self.files = {**self.weights, **{name: f"{name}.mtx" for name in self.constants}}
        rate = learning_rate_of(optimizer)
        changes = isinstance(rate, keras.optimizers.schedules.LearningRateSchedule)
        self.scheduled = changes or compilation.optimizer.factors is not None
        goals = tuple(
            replace(goal, of_classes=goal.loss.kind == "sparse") for goal in compilation.goals
        )
        self.objective = Objective(graph, goals, compilation.regularizers)

    def programs(self, state: Mapping[str, np.ndarray] | None) -> Programs:
        """The programs, with the matrices that they read; without the optimizer's `state` only that
        for scoring.
        """
        compilation = self.compilation
        weights = {**compilation.weights(), **self.constants}
        matrices = {self.files[name]: matrix for name, matrix in weights.items()}
        if state is None:
            return Programs(self._scoring(), None, matrices)
        if self.scheduled:
            rates = compilation.optimizer.scheduled(compilation.steps, self.iterations)
            matrices[_SCHEDULE] = rates
        # Matrices of one number need no file.
        matrices |= {f"{name}.mtx": matrix for name, matrix in state.items() if np.ptp(matrix)}
        return Programs(self._scoring(), self._training(state), matrices)

    def _scoring(self) -> Program:
        script = scoring.render(self.compilation.graph)
        several = len(script.outputs) > 1
        written = {
            name: name.replace("output", "out") if several else "out" for name in script.outputs
        }
        about = [
            *self._about_inputs(),
            WEIGHTS,
            *(
                f"{argument}: the file for {name}, a row for each example"
                for name, argument in written.items()
            ),
            FORMAT,
        ]
        names = [*self._inputs, "weights", *written.values()]
        before = standalone.reads(self.compilation.graph, self.files)
        after = [standalone.write_scores(*item) for item in written.items()]
        return _program("score.dml", "Scores rows", names, about, before, script, after)

    def _training(self, state: Mapping[str, np.ndarray]) -> Program:
        compilation = self.compilation
        script = compilation.training_script(self.objective)
        about = [
            *self._about_inputs(),
            *self._about_targets(),
            WEIGHTS,
            "out: the folder for the trained weights and for history.mtx, the sums of each step,"
            " which a comment below lists",
            "epochs: passes over the rows (default 1), in the order of the files: shuffle these"
            " first",
            "batch_size: rows per step (default 32)",
            "seed: seed of dropout (default 42)",
            *(
                [f"at most {self.iterations} steps: their learning rates are in the weights"]
                if self.scheduled
                else [f"learning_rate: default {self._rate}"]
            ),
            FORMAT,
        ]
        before = [
            *standalone.reads(compilation.graph, self.files),
            # Constants before the script prepares them under the same name.
            *(standalone.write(name, self.files[name]) for name in self.constants),
            *standalone.reads_of_targets(self.objective),
            *standalone.settings(self._inputs[0], compilation.steps),
            *(
                standalone.rates_of(_SCHEDULE, self.iterations)
                if self.scheduled
                else standalone.one_rate(self._rate)
            ),
            *(
                standalone.read(name, f"{name}.mtx")
                if np.ptp(matrix)
                else standalone.filled(name, matrix)
                for name, matrix in state.items()
            ),
        ]
        averages = compilation.optimizer.average is not None
        after = [
            *standalone.averaged(compilation.graph.parameters if averages else ()),
            *standalone.epochs(self.objective),
            *(standalone.write(name, file) for name, file in self.weights.items()),
            standalone.write("history", "history.mtx"),
        ]
        names = [*self._inputs, *self.objective.targets, "weights", "out"]
        return _program(_TRAINING, "Trains", names, about, before, script, after)

    @property
    def _rate(self) -> str:
        compilation = self.compilation
        return syntax.literal(float(compilation.optimizer.scheduled(compilation.steps, 1)[0, 0]))

    @property
    def _inputs(self) -> list[str]:
        graph = self.compilation.graph
        return [graph.input_name(value) for value in graph.inputs]

    def _about_inputs(self) -> Iterator[str]:
        for name, value in zip(self._inputs, self.compilation.graph.inputs, strict=True):
            shape = f", each {syntax.shape(value.stored)} in row-major order"
            order = shape if len(value.stored) > 1 else ""
            yield f"{name}: rows of features (N x {value.size}){order}; a file without a header"

    def _about_targets(self) -> Iterator[str]:
        for name, goal in zip(self.objective.targets, self.objective.goals, strict=True):
            kind = (
                f"class numbers from 0 to {goal.value.shape[-1] - 1} (N x {goal.vectors})"
                if goal.of_classes
                else f"numbers as Keras takes them (N x {goal.width})"
            )
            yield f"{name}: {kind}; the loss is {goal.loss.name}"


def _program(
    name: str,
    does: str,
    arguments: list[str],
    about: list[str],
    before: list[str],
    script: Script,
    after: list[str],
) -> Program:
    """A script with statements that read its inputs and write its outputs."""
    settings = [
        f"{argument}={argument if argument in ('weights', 'out') else f'{argument}.csv'}"
        for argument in arguments
    ]
    if name == "score.dml":
        settings = [setting.replace("out=out", "out=scores.csv") for setting in settings]
    called = f"-f {name} -nvargs {' '.join(settings)}"
    head = [
        f"{does} on one machine, without Spark:",
        "",
        f"  {COMMAND.format('SystemDS.jar')} \\",
        f"    {called}",
        "",
        "SystemDS.jar comes with the Python package systemds 3.4.0. The arguments:",
        *(f"  {line}" for line in about),
    ]
    parts = [syntax.comments(head), "\n".join(before), script.text.rstrip(), "\n".join(after)]
    return Program(name, "\n\n".join(parts) + "\n", called)
