"""What `model.compile` was told: losses, their weights, metrics and the optimizer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras


@dataclass(frozen=True)
class Configuration:
    """What is wanted of each output, in the model's order, and the optimizer.

    A model that is not compiled gets what SystemML gave it: cross-entropy (binary of one output),
    accuracy, and SGD with learning rate 0.01, momentum 0.95 and Nesterov's step.
    """

    losses: tuple[Any, ...]
    weights: tuple[float, ...]
    metrics: tuple[tuple[Any, ...], ...]
    weighted_metrics: tuple[tuple[Any, ...], ...]
    optimizer: keras.optimizers.Optimizer
    complaints: tuple[str, ...] = ()

    @classmethod
    def of(cls, model: keras.Model) -> Configuration:
        """The configuration of a model, with complaints about what does not fit its outputs."""
        names = output_names(model)
        if not model.compiled:
            optimizer = keras.optimizers.SGD(learning_rate=0.01, momentum=0.95, nesterov=True)
            ones, accuracy = (1.0,) * len(names), (("accuracy",),) * len(names)
            return cls(
                ("crossentropy",) * len(names),
                ones,
                accuracy,
                ((),) * len(names),
                optimizer,
            )
        given = _given(model)
        by_output = {name: _for_each(given.get(name), names) for name in MATCHED}
        complaints = [
            f"{name} is {_shown(given[name])}. The model has the outputs {', '.join(names)}: give a"
            " list with an entry for each, or a dict by their names."
            for name, found in by_output.items()
            if found is None
        ]
        found = {name: one or (None,) * len(names) for name, one in by_output.items()}
        complaints += [
            f"Output {name!r} has no loss: give it one."
            for name, loss in zip(names, found["loss"], strict=True)
            if loss is None
        ]
        return cls(
            found["loss"],
            tuple(
                1.0 if weight is None else float(*_listed(weight))
                for weight in found["loss_weights"]
            ),
            tuple(_listed(metrics) for metrics in found["metrics"]),
            tuple(_listed(metrics) for metrics in found["weighted_metrics"]),
            model.optimizer,
            tuple(complaints),
        )

    def compile(self, model: keras.Model) -> None:
        """Compile another model so, with an optimizer of its own."""
        optimizer = type(self.optimizer).from_config(self.optimizer.get_config())
        several = len(self.losses) > 1
        model.compile(
            optimizer=optimizer,
            loss=list(self.losses) if several else self.losses[0],
            loss_weights=list(self.weights) if several else self.weights[0],
            metrics=_again(self.metrics, several=several),
            weighted_metrics=_again(self.weighted_metrics, several=several),
        )


MATCHED = ("loss", "loss_weights", "metrics", "weighted_metrics")


def output_names(model: keras.Model) -> tuple[str, ...]:
    """What Keras calls the outputs: the names of their layers."""
    named = getattr(model, "output_names", None)
    outputs = getattr(model, "outputs", None) or ()
    return tuple(named or (tensor._keras_history[0].name for tensor in outputs))


def _given(model: keras.Model) -> dict[str, Any]:
    """What compile() was given, as the objects that they are: Keras' config of some leaves
    arguments out.
    """
    losses, metrics = model._compile_loss, model._compile_metrics
    return {
        "loss": model.loss,
        "loss_weights": losses._user_loss_weights if losses else None,
        "metrics": metrics._user_metrics if metrics else None,
        "weighted_metrics": metrics._user_weighted_metrics if metrics else None,
    }


def _shown(given: Any) -> str:
    """What was given, without the wrappers that Keras puts around it."""
    return repr(dict(given) if isinstance(given, Mapping) else given)


def _for_each(given: Any, names: tuple[str, ...]) -> tuple[Any, ...] | None:
    """What was given for each output; None where it does not fit them."""
    if given is None:
        return (None,) * len(names)
    if isinstance(given, Mapping):
        known = set(given) <= set(names)
        return tuple(given.get(name) for name in names) if known else None
    if len(names) == 1:
        return (given,)
    if isinstance(given, (list, tuple)):
        return tuple(given) if len(given) == len(names) else None
    return (given,) * len(names)


def _listed(given: Any) -> tuple[Any, ...]:
    if given is None:
        return ()
    return tuple(given) if isinstance(given, (list, tuple)) else (given,)


def _again(metrics: tuple[tuple[Any, ...], ...], *, several: bool) -> list[Any]:
    """The metrics for another model: objects have states, and are made anew."""
    made = [
        [
            one.from_config(one.get_config()) if isinstance(one, keras.metrics.Metric) else one
            for one in own
        ]
        for own in metrics
    ]
    return made if several else made[0]
