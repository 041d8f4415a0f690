"""Writes the outputs of all layers for scored rows, each to a file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
from pyspark.sql import SparkSession

from keras2dml.check import check
from keras2dml.compilation import Compilation
from keras2dml.estimators.scorer import CompiledModel, Scorer
from keras2dml.export.weights import stem
from keras2dml.keras_internals import nodes_of, operations_of
from keras2dml.reader import read
from keras2dml.systemds.context import SystemDS


class Activations:
    """A model in which every layer is an output. `write` writes `<layer>.csv` to a folder: a row
    for each example, with the layer's output in the order in which Keras flattens it.

    A layer that is called several times also has `<layer>_2.csv` and so on, with numbers that do
    not clash with other layers' names.
    """

    def __init__(self, compilation: Compilation, folder: Path) -> None:
        self.folder = folder
        outputs = dict(_layer_outputs(compilation.model))
        self._layers = tuple(outputs)
        shapes = [value.shape for value in compilation.graph.inputs]
        layers = keras.Model(compilation.model.inputs, list(outputs.values()))
        self._graph = check(read(layers, shapes))
        places = _places(compilation.model)
        mine = {parameter.position: parameter.name for parameter in compilation.graph.parameters}
        self._names = {
            parameter.name: mine[places[id(parameter.weight.variable)]]
            for parameter in self._graph.parameters
        }

    def write(
        self,
        spark: SparkSession,
        systemds: SystemDS,
        weights: Mapping[str, np.ndarray],
        features: object,
        *,
        drawn: bool = False,
    ) -> None:
        """Score these features, and write the outputs of the layers."""
        matrices = {name: weights[source] for name, source in self._names.items()}
        scorer = Scorer(spark, CompiledModel.of(self._graph, matrices), systemds)
        self.folder.mkdir(parents=True, exist_ok=True)
        for layer, output in zip(self._layers, scorer.outputs(features, drawn=drawn), strict=True):
            rows = output.reshape(len(output), -1)
            np.savetxt(self.folder / f"{stem(layer)}.csv", rows, "%.17g", ",")
        scorer.close()


def _layer_outputs(model: keras.Model) -> Iterator[tuple[str, Any]]:
    """The tensors that a model's layers compute, in execution order."""
    calls: Counter[str] = Counter()
    names = {operation.name for operation in operations_of(model)}
    for node in nodes_of(model):
        layer = node.operation
        if isinstance(layer, keras.layers.InputLayer):
            continue
        calls[layer.name] += 1
        while calls[layer.name] > 1 and f"{layer.name}_{calls[layer.name]}" in names:
            calls[layer.name] += 1
        number = f"_{calls[layer.name]}" if calls[layer.name] > 1 else ""
        several = len(node.outputs) > 1
        for place, tensor in enumerate(node.outputs):
            column = tensor if len(tensor.shape) > 1 else keras.ops.expand_dims(tensor, -1)
            yield f"{layer.name}{number}{f'_output_{place + 1}' if several else ''}", column


def _places(model: keras.Model) -> dict[int, int]:
    return {id(variable): place for place, variable in enumerate(model.weights)}
