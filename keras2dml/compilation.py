"""A compiled Keras model: its graph, losses and optimizer, and the transfer of weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np

from keras2dml.check import check
from keras2dml.copying.model import Trainable, copied, is_shared
from keras2dml.copying.traced import Settings
from keras2dml.data.labels import Targets
from keras2dml.errors import InvalidData, UnsupportedModel, positive
from keras2dml.graph import Graph
from keras2dml.input_shapes import InputShape, fixed_shapes
from keras2dml.keras_internals import compiled_trainable_of, iterations_of, layers_of
from keras2dml.objectives import kinks
from keras2dml.objectives.configuration import Configuration
from keras2dml.objectives.goals import goals_of, rounded_losses
from keras2dml.objectives.objective import Goal, Objective
from keras2dml.objectives.optimizer_state import StateMatrix, initial_state, state_matrices
from keras2dml.objectives.optimizers import Optimizer, optimizer_of
from keras2dml.objectives.regularizers import Constraint, Regularizer, penalties_of
from keras2dml.reader import read
from keras2dml.rendering.backward import unlearned
from keras2dml.rendering.forward import Script
from keras2dml.rules.user_classes import unmeasured, unpredicted, untrained
from keras2dml.scripts import parameter_server, train
from keras2dml.scripts.algorithms import Algorithm
from keras2dml.scripts.updates import AVERAGE


@dataclass(frozen=True, eq=False)
class Compilation:
    """A compiled model; the Keras model is only read."""

    model: keras.Model
    configuration: Configuration
    graph: Graph
    goals: tuple[Goal, ...]
    regularizers: Mapping[str, Regularizer]
    constraints: Mapping[str, Constraint]
    optimizer: Optimizer
    trainable: Trainable
    """Which layers and weights were trainable when the model was compiled."""
    settings: Settings

    @classmethod
    def of(
        cls,
        model: keras.Model,
        tuned: Mapping[str, object] | None = None,
        input_shape: InputShape | None = None,
    ) -> Compilation:
        """Compile a model. Raises UnsupportedModel with all complaints about layers, losses,
        metrics, regularizers, constraints and the optimizer, and InvalidData for arguments that the
        optimizer does not have and for an `input_shape` that does not fit the model.
        """
        shapes = fixed_shapes(model, input_shape)
        configuration = Configuration.of(model)
        configuration = configuration.tuned(tuned) if tuned else configuration
        complaints: list[str] = []
        graph: Graph | None = None
        goals: tuple[Goal, ...] = ()
        try:
            graph = check(read(model, shapes))
        except UnsupportedModel as refused:
            complaints += refused.complaints
        complaints += configuration.complaints
        if not configuration.complaints:
            goals, about = goals_of(model, graph, configuration)
            complaints += about
        parameters = graph.parameters if graph else ()
        regularizers, constraints, about = penalties_of(parameters)
        complaints += about
        optimizer, about_optimizer = optimizer_of(configuration.optimizer)
        complaints += about_optimizer
        if complaints or graph is None or optimizer is None:
            raise UnsupportedModel(model.name, complaints)
        return cls(
            model,
            replace(configuration, recorded=configuration.arguments),
            graph,
            goals,
            regularizers,
            constraints,
            optimizer,
            Trainable.of(model),
            Settings.of(model),
        )

    def decayed(self, factor: float, kind: str) -> Compilation:
        """The same compilation with SystemML's regularizer for all kernels, "L1" or "L2": its
        gradient is `factor` times the kernel's signs, or the kernel.
        """
        if kind not in ("L1", "L2") or factor < 0:
            message = (
                f"weight_decay is {factor} with regularization_type {kind!r}: give a factor of 0"
                " or more, and 'L1' or 'L2'."
            )
            raise InvalidData(message)
        if not factor:
            return self
        kernels = [
            parameter
            for parameter in self.graph.parameters
            if parameter.trainable and parameter.role.endswith("kernel")
        ]
        complaints = [
            f"Layer {kernel.layer!r} has its own kernel_regularizer besides weight_decay: leave one"
            " of the two out."
            for kernel in kernels
            if kernel.name in self.regularizers
        ]
        if complaints:
            raise UnsupportedModel(self.model.name, complaints)
        l1, l2 = (factor, 0.0) if kind == "L1" else (0.0, factor / 2)
        regularizer = Regularizer("l1_l2_penalty", {"l1": l1, "l2": l2})
        added = dict.fromkeys((kernel.name for kernel in kernels), regularizer)
        return replace(self, regularizers={**self.regularizers, **added})

    def weights(self) -> dict[str, np.ndarray]:
        """The model's weights as DML matrices, by name."""
        variables = self.model.get_weights()
        return {
            parameter.name: parameter.weight.to_dml(variables[parameter.position])
            for parameter in self.graph.parameters
        }

    def check_steps(self, **steps: int | None) -> None:
        """Raise InvalidData for steps that are not a multiple of the model's
        steps_per_execution.
        """
        group = int(self.model.steps_per_execution) if self.model.compiled else 1
        for name, count in steps.items():
            if count is not None and positive(name, count) % group:
                message = f"{name} is {count}: give a multiple of steps_per_execution={group}."
                raise InvalidData(message)

    def check_trainable(self) -> None:
        """Raise UnsupportedModel for layers that are compiled for scoring only, for `kinks`, and
        for a model that cannot be copied; InvalidData if layers were frozen or unfrozen since Keras
        compiled the model, where what Keras trains depends on what it did before, or since this
        compilation.
        """
        self._check_layers()
        before = compiled_trainable_of(self.model)
        changed = [
            layer.name
            for layer in layers_of(self.model)
            if before.get(layer, layer.trainable) != layer.trainable
        ]
        if changed:
            message = (
                f"trainable was changed after compile() for {_listed(changed)}:"
                " compile() the model again, and create the estimator again."
            )
            raise InvalidData(message)
        if changed := self.trainable.changed(self.model):
            message = (
                "trainable was changed after the estimator was created for"
                f" {_listed(changed)}: create the estimator again."
            )
            raise InvalidData(message)
        if changed := self.configuration.changed_arguments:
            message = (
                f"The optimizer of the Keras model has a different {', '.join(changed)} than when"
                " the estimator was created, which trains with the old value: create the estimator"
                " again, or give it optimizer={...}."
            )
            raise InvalidData(message)
        self.settings.check(self.model)
        if is_shared(self.model):
            copied(self.model)  # not only when it has been trained
        losses = [goal.loss for goal in self.goals]
        if complaints := [*kinks.complaints(self.graph, losses, self.regularizers)]:
            raise UnsupportedModel(self.model.name, complaints, "trained")

    def check_scorable(self) -> None:
        """Raise UnsupportedModel if the model overrides how Keras' `predict` calls it."""
        if reasons := unpredicted(self.model):
            raise UnsupportedModel(self.model.name, reasons, "scored")

    def check_measurable(self) -> None:
        """Raise UnsupportedModel if Keras' `evaluate` would not measure the compiled loss."""
        if reasons := unmeasured(self.model):
            raise UnsupportedModel(self.model.name, reasons, "evaluated")

    def _check_layers(self) -> None:
        reasons = [call.untrained for call in self.graph.calls if call.untrained]
        reasons += [*untrained(self.model), *rounded_losses(self.model, self.goals)]
        reasons += unlearned(self.graph, (goal.loss.takes for goal in self.goals))
        if reasons:
            raise UnsupportedModel(self.model.name, dict.fromkeys(reasons), "trained")

    def state(
        self, weights: Mapping[str, np.ndarray] | None = None, steps: int | None = None
    ) -> dict[str, np.ndarray]:
        """The optimizer's state by name: that of the Keras model's optimizer, or before the first
        of its `steps`, the initial one. Raises InvalidData if it was made for other variables.
        """
        count = self.steps if steps is None else steps
        if self.configuration.optimizer.built and (count or not self.steps):
            try:
                return {
                    matrix.name: matrix.to_dml() for matrix in self.optimizer_matrices(self.model)
                }
            except KeyError as error:
                message = (
                    "The optimizer was made for other variables than this model has, such as those"
                    " of a clone or an .h5 file: compile() the model with a new one to train it."
                )
                raise InvalidData(message) from error
        eager = self.configuration.eager
        return initial_state(self.graph, self.optimizer, weights or self.weights(), eager=eager)

    def averages(self, state: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The averages with which Keras replaces the weights when training ends."""
        if self.optimizer.average is None:
            return {}
        averages = {
            parameter.name: f"{parameter.name}_{AVERAGE}" for parameter in self.graph.parameters
        }
        return {name: state[average] for name, average in averages.items() if average in state}

    @property
    def steps(self) -> int:
        """The number of steps of the Keras model's optimizer so far."""
        optimizer: Any = self.configuration.optimizer
        return int(iterations_of(optimizer))

    def optimizer_matrices(self, model: keras.Model) -> Iterator[StateMatrix]:
        """The optimizer state of a copy of the model."""
        return state_matrices(self.graph, self.optimizer, model)

    def objective(self, targets: Sequence[Targets] | None = None) -> Objective:
        """The objective of training, for targets of this form; by default class numbers."""
        goals = self.goals
        if targets is not None:
            goals = tuple(
                replace(goal, of_classes=target.of_classes, weighted=target.weighted)
                for goal, target in zip(goals, targets, strict=True)
            )
        return Objective(self.graph, goals, self.regularizers)

    def training_script(
        self,
        objective: Objective | None = None,
        *,
        shuffled: bool = False,
        algorithm: Algorithm | None = None,
    ) -> Script:
        """The training script for an objective, or for class numbers. Raises UnsupportedModel."""
        self._check_layers()
        task = objective or self.objective(), self.optimizer, self.constraints
        algorithm = algorithm or Algorithm()
        if algorithm.server:
            return parameter_server.render(*task, algorithm.server, shuffled=shuffled)
        return train.render(*task, shuffled=shuffled, loop=algorithm.loop)

    def training_plan(
        self, rows: int, batch_size: int, algorithm: Algorithm
    ) -> tuple[Script, dict[str, tuple[int, int] | int]]:
        """The training script, and the shapes of its inputs for this many rows."""
        objective = self.objective()
        graph = self.graph
        shapes: dict[str, tuple[int, int] | int] = {
            **{graph.input_name(value): (rows, value.size) for value in graph.inputs},
            **{
                target: (rows, goal.width)
                for target, goal in zip(objective.targets, objective.goals, strict=True)
            },
            **{parameter.name: parameter.weight.matrix for parameter in graph.parameters},
            **{name: matrix.shape for name, matrix in self.state().items()},
            **{name: constant.matrix.shape for name, constant in graph.constants()},
            "schedule": (1, 1 + (self.optimizer.factors is not None)),
            **dict.fromkeys((*train.SCALARS, *parameter_server.SCALARS), 1),
            "batch_size": algorithm.rows(batch_size, rows),
            "part_size": algorithm.part(batch_size),
            "workers": algorithm.parallel,
        }
        return self.training_script(objective, algorithm=algorithm), shapes


def fresh(model: keras.Model) -> keras.Model:
    """A copy of the model, compiled in the same way, with new initial weights."""
    copy = copied(model)
    if model.compiled:
        Configuration.of(model).compile(copy, model)
    return copy


def _listed(names: Sequence[str]) -> str:
    """The first few names, and the number of others, in words."""
    more = len(names) - 5
    return ", ".join(map(repr, names[:5])) + (f" and {more} more" if more > 0 else "")
