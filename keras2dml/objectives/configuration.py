"""The arguments of `model.compile`: losses, their weights, metrics and the optimizer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import keras

from keras2dml.copying.model import metric_like
from keras2dml.copying.optimizer import arguments_of, optimizer_like
from keras2dml.errors import InvalidData
from keras2dml.keras_internals import loss_weights_of, users_metrics_of
from keras2dml.rules.models import gives_of
from keras2dml.rules.user_classes import untrained
from keras2dml.structure import Structure


@dataclass(frozen=True)
class Configuration:
    """The losses and metrics of each output, in the model's order, and the optimizer. The loss is
    None for a user's class that overrides training.

    A model that was not compiled gets SystemML's defaults: cross-entropy (binary for a single
    output), accuracy, and SGD with learning rate 0.01, momentum 0.95 and Nesterov momentum.
    """

    losses: tuple[Any, ...]
    weights: tuple[float, ...]
    metrics: tuple[tuple[Any, ...], ...]
    weighted_metrics: tuple[tuple[Any, ...], ...]
    optimizer: keras.optimizers.Optimizer
    outputs: Structure
    complaints: tuple[str, ...] = ()
    given_loss: Any = None
    eager: bool = False
    """Whether Keras runs the model eagerly, and so knows the size of each batch."""
    recorded: Mapping[str, Any] | None = None
    """The optimizer's arguments when the model was compiled to DML; None before."""

    @classmethod
    def of(cls, model: keras.Model) -> Configuration:
        """The configuration of a model, with complaints about misfitting settings."""
        outputs = gives_of(model)
        names = outputs.names
        if not model.compiled:
            optimizer = keras.optimizers.SGD(learning_rate=0.01, momentum=0.95, nesterov=True)
            ones, accuracy = (1.0,) * len(names), (("accuracy",),) * len(names)
            return cls(
                ("crossentropy",) * len(names),
                ones,
                accuracy,
                ((),) * len(names),
                optimizer,
                outputs,
            )
        arguments = _arguments(model)
        # Keras assigns metrics in a list to outputs by keys that equal a layer's name.
        layers = tuple(getattr(model, "output_names", None) or names)
        order = layers if outputs.keyed and {*layers} == {*names} else names
        by_output = {
            name: _for_each(arguments.get(name), names, order if "metrics" in name else names)
            for name in MATCHED
        }
        complaints = [
            f"{name} is {_shown(arguments[name])}. The model has the outputs {', '.join(names)}:"
            " give a list with an entry for each, or a dict with their names as keys."
            for name, values in by_output.items()
            if values is None
        ]
        weights, losses = arguments["loss_weights"], arguments["loss"]
        # Keras would match them by position, in the order of the dict's keys.
        mixed = isinstance(weights, Mapping) is not isinstance(losses, Mapping)
        if weights is not None and len(keras.tree.flatten(weights)) != len(names):
            complaints.append(f"loss_weights are {_shown(weights)}. Give one for each output.")
        elif weights is not None and len(names) > 1 and mixed:
            complaints.append(
                f"loss_weights are {_shown(weights)}, but losses are {_shown(losses)}. Give both as"
                " lists, or both as dicts."
            )
        settings = {name: values or (None,) * len(names) for name, values in by_output.items()}
        complaints += [
            f"Output {name!r} has no loss: give it one."
            for name, loss in zip(names, settings["loss"], strict=True)
            if loss is None and not untrained(model)
        ]
        return cls(
            settings["loss"],
            tuple(float(next(iter(_listed(weight)), 1.0)) for weight in settings["loss_weights"]),
            tuple(_listed(metrics) for metrics in settings["metrics"]),
            tuple(_listed(metrics) for metrics in settings["weighted_metrics"]),
            model.optimizer,
            outputs,
            tuple(complaints),
            losses,
            bool(model.run_eagerly),
        )

    @property
    def loss_order(self) -> tuple[str, ...]:
        """The outputs in the order in which Keras lists their losses: that of the dict, if any."""
        by_key = self.outputs.keyed and isinstance(self.given_loss, Mapping)
        return tuple(self.given_loss) if by_key else self.outputs.names

    @property
    def arguments(self) -> Mapping[str, Any]:
        """The optimizer's arguments by name; the learning rate may be a schedule."""
        return arguments_of(self.optimizer) if self.recorded is None else self.recorded

    @property
    def changed_arguments(self) -> list[str]:
        """The optimizer's arguments that have changed since they were recorded."""
        now = arguments_of(self.optimizer)
        return [
            name
            for name, before in (self.recorded or {}).items()
            if before is not now.get(name) and (before != now.get(name) or callable(before))
        ]

    def tuned(self, changes: Mapping[str, object]) -> Configuration:
        """The same configuration with a new optimizer of the same class with changed arguments."""
        config, kind = self.arguments, type(self.optimizer)
        try:
            if unknown := changes.keys() - config.keys():
                message = f"there is no {', '.join(sorted(unknown))}"
                raise TypeError(message)
            return replace(self, optimizer=optimizer_like(self.optimizer, {**config, **changes}))
        except (TypeError, ValueError) as error:
            message = (
                f"{kind.__name__} takes no arguments {dict(changes)} ({error}): give some of"
                f" {', '.join(config)}."
            )
            raise InvalidData(message) from error

    def compile(self, copy: keras.Model, model: keras.Model) -> None:
        """Compile a copy of the model with this configuration, its way of running, and a separate
        optimizer.
        """
        twins = zip(model.weights, copy.weights, strict=True)
        eager = bool(model.run_eagerly)
        jit_compile = model.jit_compile if model.compiled and not eager else "auto"
        optimizer = optimizer_like(self.optimizer, self.arguments, twins)
        keras.Model.compile(  # a user's class may have other arguments
            copy,
            optimizer=optimizer,
            loss=self.outputs.packed(self.losses),
            loss_weights=self.outputs.packed(self.weights),
            metrics=self.outputs.packed(_again(self.metrics)),
            weighted_metrics=self.outputs.packed(_again(self.weighted_metrics)),
            run_eagerly=eager,
            steps_per_execution=model.steps_per_execution,
            jit_compile=jit_compile,
        )


MATCHED = ("loss", "loss_weights", "metrics", "weighted_metrics")


def _arguments(model: keras.Model) -> dict[str, Any]:
    """The arguments of compile() as the user's objects, as Keras' config omits some."""
    metrics, weighted_metrics = users_metrics_of(model)
    return {
        "loss": model.loss,
        "loss_weights": loss_weights_of(model),
        "metrics": metrics,
        "weighted_metrics": weighted_metrics,
    }


def _shown(value: Any) -> str:
    """A setting as text, without Keras' wrappers."""
    if isinstance(value, Mapping):
        return repr(dict(value))
    return repr(list(value) if isinstance(value, (list, tuple)) else value)


def _for_each(
    setting: Any, names: tuple[str, ...], order: tuple[str, ...]
) -> tuple[Any, ...] | None:
    """A setting for each output, from a dict by names or a list in an order; None if it does not
    fit the outputs.
    """
    if setting is None:
        return (None,) * len(names)
    if isinstance(setting, Mapping):
        fits = set(setting) <= set(names)
        return tuple(setting.get(name) for name in names) if fits else None
    if len(names) == 1:
        return (setting,)
    if isinstance(setting, (list, tuple)):
        if len(setting) != len(names):
            return None
        return tuple(setting if order == names else (setting[order.index(name)] for name in names))
    return (setting,) * len(names)


def _listed(value: Any) -> tuple[Any, ...]:
    if value is None:
        return ()
    return tuple(value) if isinstance(value, (list, tuple)) else (value,)


def _again(metrics: tuple[tuple[Any, ...], ...]) -> list[Any]:
    """The metrics for another model: new objects, since metrics have state."""
    return [
        [
            metric_like(metric) if isinstance(metric, keras.metrics.Metric) else metric
            for metric in output_metrics
        ]
        for output_metrics in metrics
    ]
