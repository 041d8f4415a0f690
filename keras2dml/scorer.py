"""A compiled model: a script and its weights, in memory or in a folder; scored without Keras."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pyspark.sql import SparkSession

from keras2dml import data, scoring
from keras2dml.errors import InvalidData
from keras2dml.graph import Graph, Value
from keras2dml.rendering import Script
from keras2dml.systemds import SystemDS

_SCRIPT, _WEIGHTS, _ABOUT = "score.dml", "weights.npz", "model.json"


@dataclass(frozen=True, eq=False)
class CompiledModel:
    """A scoring script with its weights, as DML matrices by name, and the input that it takes."""

    script: Script
    weights: Mapping[str, np.ndarray]
    input: Value
    output: Value

    @classmethod
    def of(cls, graph: Graph, weights: Mapping[str, np.ndarray]) -> CompiledModel:
        """The compiled graph with these weights."""
        return cls(scoring.render(graph), weights, graph.input, graph.output)

    def save(self, folder: Path | str) -> Path:
        """Write `score.dml`, `weights.npz` and `model.json` into `folder`, which is made."""
        target = Path(folder)
        target.mkdir(parents=True, exist_ok=True)
        (target / _SCRIPT).write_text(self.script.text, encoding="utf-8")
        np.savez(target / _WEIGHTS, allow_pickle=False, **self.weights)
        about = {
            "input": _about(self.input),
            "output": _about(self.output),
            "weights": list(self.weights),
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
            ends = [_value(about[end]) for end in ("input", "output")]
        except (OSError, ValueError, KeyError, TypeError) as error:
            message = (
                f"{source} holds no compiled model ({error}): write one with"
                " Keras2DML.save_compiled()."
            )
            raise InvalidData(message) from error
        return cls(Script(text, ("X", *weights), ("output",)), weights, *ends)


def _about(value: Value) -> dict[str, object]:
    return {
        "name": value.name,
        "shape": value.shape,
        "stored": value.stored,
        "order": value.order.tolist(),
    }


def _value(about: dict[str, Any]) -> Value:
    return Value(
        about["name"], tuple(about["shape"]), tuple(about["stored"]), np.array(about["order"])
    )


class Scorer:
    """Scores with a compiled model on a SparkSession; the weights stay in its JVM."""

    def __init__(self, spark: SparkSession, folder: Path | str | CompiledModel) -> None:
        """Raises InvalidSession, or InvalidData if `folder` holds no compiled model."""
        self.model = folder if isinstance(folder, CompiledModel) else CompiledModel.load(folder)
        self._systemds = SystemDS(spark)
        self._weights: dict[str, Any] = {
            name: self._systemds.matrix(matrix) for name, matrix in self.model.weights.items()
        }

    def predict_proba(self, features: object) -> np.ndarray:
        """What the model makes of features (N, *shape), or rows (N, D) in C,H,W order: (N, K)
        float64.

        Raises InvalidData for features of another shape, and for NaN.
        """
        with self._systemds.holding({"X": data.rows(features, self.model.input)}) as rows:
            computed = self._systemds.computed(self.model.script, {**rows, **self._weights})
        return self.model.output.as_keras(computed["output"])

    def close(self) -> None:
        """Give the weights in the JVM up; nothing is scored any more."""
        self._systemds.free(*self._weights.values())
