"""The optimizer's state for each weight: DML matrices, and the variables of Keras' optimizer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from keras2dml.backend import is_tensorflow
from keras2dml.graph import Graph, Weight
from keras2dml.keras_internals import place_of, state_of
from keras2dml.objectives.optimizers import Optimizer


@dataclass(frozen=True, eq=False)
class StateMatrix:
    """A matrix of the optimizer's state for a weight: its name in scripts, and Keras' variable.

    The variable has a single number along `axis` of the weight, unless that is None.
    """

    name: str
    weight: Weight
    variable: Any
    axis: int | None = None

    def to_dml(self) -> np.ndarray:
        """The values of Keras' variable as a DML matrix."""
        array = np.asarray(self.variable)
        if self.axis is not None:
            array = np.broadcast_to(np.expand_dims(array, self.axis), self.weight.shape)
        return self.weight.to_dml(array)

    def enter(self, matrix: np.ndarray) -> None:
        """Assign the values of a DML matrix to Keras' variable."""
        array = self.weight.to_keras(matrix)
        self.variable.assign(array if self.axis is None else array.take(0, self.axis))


def state_matrices(graph: Graph, optimizer: Optimizer, model: keras.Model) -> Iterator[StateMatrix]:
    """The state of a model's optimizer; the model is a copy of the graph's."""
    keras_optimizer: Any = model.optimizer
    for parameter in graph.parameters:
        if not parameter.trainable:
            continue
        place = place_of(keras_optimizer, model.weights[parameter.position])
        step = optimizer.step(parameter.weight)
        for state in optimizer.state(parameter.weight):
            attribute = step.attributes.get(state, state)
            variables = state_of(keras_optimizer, attribute)
            name, axis = f"{parameter.name}_{state}", step.reduced.get(state)
            yield StateMatrix(name, parameter.weight, variables[place], axis)


def initial_state(
    graph: Graph, optimizer: Optimizer, weights: Mapping[str, np.ndarray], *, eager: bool
) -> dict[str, np.ndarray]:
    """The state of the optimizer before its first step, for these weights.

    A copy of a weight is 0 unless `eager` or on another backend: Keras on TensorFlow then creates
    it while it traces the first step, without running the copy.
    """
    has_copies = eager or not is_tensorflow()
    return {
        f"{parameter.name}_{state}": weights[parameter.name].copy()
        if value is None and has_copies
        else np.full(parameter.weight.matrix, value or 0.0)
        for parameter in graph.parameters
        for state, value in optimizer.state(parameter.weight).items()
        if parameter.trainable
    }
