"""A compiled model: a script and its weights, in memory or in a folder; scored without Keras."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pyspark.sql import DataFrame, SparkSession

from keras2dml import data, frames, scoring
from keras2dml.algorithms import Algorithm
from keras2dml.errors import InvalidData
from keras2dml.frames import Columns
from keras2dml.graph import Graph, Value
from keras2dml.matrices import Matrix
from keras2dml.rendering import Script
from keras2dml.systemds import SystemDS

_SCRIPT, _WEIGHTS, _ABOUT = "score.dml", "weights.npz", "model.json"


@dataclass(frozen=True, eq=False)
class CompiledModel:
    """A scoring script with its weights, as DML matrices by name, and the input that it takes."""

    script: Script
    weights: Mapping[str, np.ndarray]
    inputs: Mapping[str, Value]
    outputs: Mapping[str, Value]

    @classmethod
    def of(
        cls, graph: Graph, weights: Mapping[str, np.ndarray], algorithm: Algorithm | None = None
    ) -> CompiledModel:
        """The compiled graph with these weights."""
        test = algorithm or Algorithm()
        constants = {name: one.matrix for name, one in graph.constants()}
        inputs = {graph.input_name(value): value for value in graph.inputs}
        outputs = dict(zip(scoring.outputs(graph), graph.outputs, strict=True))
        own = {one.name: weights[one.name] for one in graph.parameters}
        script = scoring.render(graph, whole=test.test == "batch", loop=test.scoring)
        return cls(script, {**own, **constants}, inputs, outputs)

    def plan(self, rows: int) -> tuple[Script, dict[str, tuple[int, int]]]:
        """The script, and the shapes of what it reads to score so many rows."""
        shapes = {name: (rows, value.size) for name, value in self.inputs.items()}
        return self.script, {**shapes, **{name: one.shape for name, one in self.weights.items()}}

    def save(self, folder: Path | str) -> Path:
        """Write `score.dml`, `weights.npz` and `model.json` into `folder`, which is made."""
        target = Path(folder)
        target.mkdir(parents=True, exist_ok=True)
        (target / _SCRIPT).write_text(self.script.text, encoding="utf-8")
        np.savez(target / _WEIGHTS, allow_pickle=False, **self.weights)
        about = {
            "inputs": {name: _about(value) for name, value in self.inputs.items()},
            "outputs": {name: _about(value) for name, value in self.outputs.items()},
            "weights": list(self.weights),
            "single": self.script.single,
        }
        (target / _ABOUT).write_text(json.dumps(about), encoding="utf-8")
        return target

    @classmethod
    def load(cls, folder: Path | str) -> CompiledModel:
        """The model that `save` wrote; runs no code. Raises InvalidData where a file is missing or
        broken.
        """
        source = Path(folder)
        try:
            about = json.loads((source / _ABOUT).read_text(encoding="utf-8"))
            text = (source / _SCRIPT).read_text(encoding="utf-8")
            with np.load(source / _WEIGHTS, allow_pickle=False) as stored:
                weights = {name: stored[name] for name in about["weights"]}
            ends = [
                {name: _value(value) for name, value in about[end].items()}
                for end in ("inputs", "outputs")
            ]
        except (OSError, ValueError, KeyError, TypeError) as error:
            message = (
                f"{source} holds no compiled model ({error}): write one with"
                " Keras2DML.save_compiled()."
            )
            raise InvalidData(message) from error
        single = about.get("single", False)  # an older folder does not say
        script = Script(text, (*ends[0], *weights), tuple(ends[1]), single)
        return cls(script, weights, *ends)


def _about(value: Value) -> dict[str, object]:
    return {"shape": value.shape, "stored": value.stored, "order": value.order.tolist()}


def _value(about: dict[str, Any]) -> Value:
    return Value(tuple(about["shape"]), tuple(about["stored"]), np.array(about["order"]))


class Scorer:
    """Scores with a compiled model on a SparkSession; the weights stay in its JVM."""

    def __init__(
        self,
        spark: SparkSession,
        folder: Path | str | CompiledModel,
        systemds: SystemDS | None = None,
    ) -> None:
        """Raises InvalidSession, or InvalidData if `folder` holds no compiled model."""
        self.model = folder if isinstance(folder, CompiledModel) else CompiledModel.load(folder)
        self._systemds = systemds or SystemDS(spark)
        self._weights: dict[str, Matrix] = {
            name: self._systemds.matrix(matrix) for name, matrix in self.model.weights.items()
        }

    def predict_proba(self, features: object) -> np.ndarray:
        """What the model makes of features (N, *shape), or rows (N, D) in C,H,W order: (N, K)
        float64.

        Raises InvalidData for features of another shape, and for NaN.
        """
        return self.outputs(features)[0]

    def outputs(self, features: object) -> list[np.ndarray]:
        """Every output of the model, in Keras' order; `features` is a list for several inputs."""
        matrices = data.inputs(features, self.model.inputs)
        with self._systemds.holding(matrices) as rows:
            computed = self._systemds.computed(self.model.script, {**rows, **self._weights})
        return [value.as_keras(computed[name]) for name, value in self.model.outputs.items()]

    def frame(self, frame: DataFrame, columns: Columns, classes: np.ndarray | None) -> DataFrame:
        """The rows of a DataFrame with what the model makes of them, which Spark keeps as long as
        the result lives.

        Raises InvalidData for features that the model does not take.
        """
        if len(self.model.inputs) > 1 or len(self.model.outputs) > 1:
            message = "The model has several inputs or outputs: give X as a list of arrays."
            raise InvalidData(message)
        ((name, value),), (output,) = self.model.inputs.items(), self.model.outputs
        rows, numbered = frames.features(self._systemds, frame, columns.features, value)
        given = {name: rows, **self._weights}
        scores = self._systemds.frame(self.model.script, given, output)
        made = frames.with_predictions(scores, numbered, columns, classes).localCheckpoint()
        numbered.unpersist()
        self._systemds.free(rows)
        return made

    def close(self) -> None:
        """Give the weights in the JVM up; nothing is scored any more."""
        self._systemds.free(*self._weights.values())
