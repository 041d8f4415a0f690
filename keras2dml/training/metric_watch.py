"""Metrics of the models that callbacks know. Nothing is counted in them here: a hook that reads
them, or resets them while Keras counts an epoch, would see or do something else than in Keras.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import keras

from keras2dml.errors import InvalidData
from keras2dml.keras_internals import users_metrics_of

_METHODS = ("result", "reset_state", "update_state")


class MetricWatch:
    """Looks at what a hook does with the metrics of some models."""

    def __init__(self, models: Sequence[keras.Model]) -> None:
        self._models = models
        self._calls: list[str] = []

    @contextmanager
    def watching(self, *, counted: bool) -> Iterator[None]:
        """Raise InvalidData, once the body has ended, for what it reads of metrics that it did not
        reset before; and for any use of them where Keras has `counted` an epoch, or a validation,
        that goes on.
        """
        self._calls.clear()
        metrics = [metric for model in self._models for metric in _metrics(model)]
        for metric in metrics:
            for name in _METHODS:
                setattr(metric, name, self._recorded(name, getattr(metric, name)))
        variables = [variable for metric in metrics for variable in metric.variables]
        try:
            with _reads(variables, lambda: self._calls.append("result")):
                yield
        finally:
            for metric in metrics:
                for name in _METHODS:
                    vars(metric).pop(name, None)
        if counted and self._calls:
            message = (
                "A callback read, reset or updated the model's metrics while they count an epoch or"
                " a validation: read `logs`, and measure in on_epoch_end or on_train_end."
            )
            raise InvalidData(message)
        if self._calls[:1] == ["result"]:
            message = (
                "A callback read the model's metrics, in which nothing is counted here: read"
                " `logs`, or call evaluate() of the model."
            )
            raise InvalidData(message)

    def _recorded(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def record(*arguments: Any, **keywords: Any) -> Any:
            self._calls.append(name)
            return method(*arguments, **keywords)

        return record


@contextmanager
def _reads(variables: Sequence[keras.Variable], record: Callable[[], None]) -> Iterator[None]:
    """Call `record` whenever the value of one of these variables is read."""
    watched = {id(variable) for variable in variables}
    value: property = keras.Variable.value
    to_text: Callable[[keras.Variable], str] = keras.Variable.__repr__

    def read(variable: keras.Variable) -> Any:
        if id(variable) in watched:
            record()
        return value.fget(variable)  # type: ignore[misc]

    def described(variable: keras.Variable) -> str:
        read(variable)
        return to_text(variable)

    patches = {"value": property(read), "__repr__": described}
    originals = {name: vars(keras.Variable).get(name) for name in patches}
    for name, patch in patches.items():
        setattr(keras.Variable, name, patch)
    try:
        yield
    finally:
        for name, original in originals.items():
            if original is None:
                delattr(keras.Variable, name)
            else:
                setattr(keras.Variable, name, original)


def _metrics(model: keras.Model) -> Iterator[keras.Metric]:
    """The metrics of a model, with those that users gave to compile(), each once."""
    pending = list(model.metrics)
    users = keras.tree.flatten(users_metrics_of(model))
    pending += [part for part in users if isinstance(part, keras.Metric)]
    seen: set[int] = set()
    while pending:
        metric = pending.pop()
        if id(metric) not in seen:
            seen.add(id(metric))
            yield metric
            pending += getattr(metric, "metrics", ())
