"""A Keras model compiled: its graph, loss and optimizer, and its weights both ways."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import keras
import numpy as np

from keras2dml import training
from keras2dml.check import check
from keras2dml.errors import InvalidData, UnsupportedModel
from keras2dml.graph import Graph
from keras2dml.losses import Loss, loss_of
from keras2dml.optimizers import Optimizer, optimizer_of
from keras2dml.reader import read
from keras2dml.rendering import Script
from keras2dml.training import Objective

ACCURACIES = frozenset(("accuracy", "acc", "categorical_accuracy", "sparse_categorical_accuracy"))


@dataclass(frozen=True, eq=False)
class Compilation:
    """Everything that is known of a model once it is compiled; the Keras model is only read."""

    model: keras.Model
    graph: Graph
    losses: tuple[Loss, ...]
    optimizer: Optimizer

    @classmethod
    def of(cls, model: keras.Model) -> Compilation:
        """The model compiled; UnsupportedModel with all complaints about layers, loss, optimizer
        and metrics.
        """
        complaints: list[str] = []
        graph: Graph | None = None
        losses: list[Loss | None] = []
        wanted = _wanted(model)
        try:
            graph = check(read(model))
            for configured, output in zip(wanted.losses, graph.outputs, strict=True):
                loss, about_loss = loss_of(configured, output)
                losses.append(loss)
                complaints += about_loss
        except UnsupportedModel as refused:
            complaints += refused.complaints
        optimizer, about_optimizer = optimizer_of(wanted.optimizer)
        complaints += [*about_optimizer, *wanted.complaints]
        found = tuple(loss for loss in losses if loss is not None)
        if complaints or graph is None or optimizer is None:
            raise UnsupportedModel(model.name, complaints)
        return cls(model, graph, found, optimizer)

    def weights(self) -> dict[str, np.ndarray]:
        """The model's weights as DML matrices, by name."""
        variables = self.model.get_weights()
        return {
            one.name: one.weight.to_dml(variables[one.position]) for one in self.graph.parameters
        }

    def keras_model(self, matrices: Mapping[str, np.ndarray]) -> keras.Model:
        """A copy of the Keras model, compiled as it was, with these weights."""
        variables = self.model.get_weights()
        for one in self.graph.parameters:
            dtype = variables[one.position].dtype
            variables[one.position] = one.weight.to_keras(matrices[one.name]).astype(dtype)
        copy = keras.models.clone_model(self.model)
        copy.set_weights(variables)
        if self.model.compiled:
            copy.compile_from_config(self.model.get_compile_config())
        return copy

    def state_shapes(self) -> dict[str, tuple[int, int]]:
        """The shapes of the optimizer's matrices, by name."""
        return {
            f"{one.name}_{kept}": one.weight.matrix
            for one in self.graph.parameters
            for kept in self.optimizer.state
            if one.trainable
        }

    def objective(self, of_classes: tuple[bool, ...]) -> Objective:
        """What training makes small, for targets that are class numbers, or probabilities."""
        return Objective(self.graph, self.losses, output_names(self.model), of_classes)

    def training_script(self, of_classes: tuple[bool, ...]) -> Script:
        """The training script for such targets."""
        return training.render(self.objective(of_classes), self.optimizer)

    def evaluation_script(self, of_classes: tuple[bool, ...]) -> Script:
        """The script that measures losses and accuracies."""
        return training.evaluation(self.objective(of_classes))

    def agrees_with(self, input_shape: tuple[int, ...]) -> None:
        """InvalidData if the model's input is another one than `input_shape`, (C, H, W)."""
        if len(self.graph.inputs) > 1:
            count = len(self.graph.inputs)
            message = f"input_shape is of one input, the model has {count}: leave it out."
            raise InvalidData(message)
        stored, size = self.graph.input.stored, self.graph.input.size
        if tuple(input_shape) == stored or (len(stored) == 1 and math.prod(input_shape) == size):
            return
        message = (
            f"input_shape is {tuple(input_shape)}, in the order C,H,W; the model takes"
            f" {stored}: give that, or leave it out."
        )
        raise InvalidData(message)


@dataclass(frozen=True)
class _Wanted:
    """What `model.compile` was told, or SystemML's default; and what of it would be ignored."""

    losses: tuple[object, ...]
    optimizer: keras.optimizers.Optimizer
    complaints: tuple[str, ...] = ()


def _wanted(model: keras.Model) -> _Wanted:
    count = len(getattr(model, "outputs", None) or ())
    if not model.compiled:
        optimizer = keras.optimizers.SGD(learning_rate=0.01, momentum=0.95, nesterov=True)
        return _Wanted(("categorical_crossentropy",) * count, optimizer)
    config = model.get_compile_config() or {}
    complaints = [
        f"It is compiled with {name}={config[name]!r}. Loss and accuracy are computed:"
        f" leave {name} out."
        for name in ("loss_weights", "weighted_metrics")
        if config.get(name)
    ]
    metrics = config.get("metrics") or []
    others = (
        [metric for metric in metrics if metric not in ACCURACIES]
        if isinstance(metrics, list)
        else [metrics]
    )
    complaints += [
        f"It is compiled with the metric {other!r}. Accuracy is computed: leave it out."
        for other in others
    ]
    return _Wanted(_losses(model, count), model.optimizer, tuple(complaints))


def output_names(model: keras.Model) -> tuple[str, ...]:
    """What Keras calls the outputs: the names of their layers."""
    named = getattr(model, "output_names", None)
    return tuple(named or (tensor._keras_history[0].name for tensor in model.outputs))


def _losses(model: keras.Model, count: int) -> tuple[object, ...]:
    """The loss of each output, as Keras hands them out."""
    given = model.loss
    if isinstance(given, dict):
        return tuple(given.get(name) for name in output_names(model))
    return tuple(given) if isinstance(given, (list, tuple)) else (given,) * count
