"""What Keras reads of a model when it traces its first training step, and a compiled script does
not: a callback that changes it has no effect here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

import keras
import numpy as np

from keras2dml.errors import InvalidData
from keras2dml.keras_internals import (
    excluded_from_decay,
    keywords_of_loss,
    layers_of,
    learning_rate_of,
    loss_weights_of,
    pattern_excluded_from_decay,
    users_metrics_of,
)

_PLAIN = (bool, int, float, str, type(None))


@dataclass(frozen=True, eq=False)
class Settings:
    """What is set in a model: numbers, strings, functions and arrays, by the names that a user
    would write. Layers in different models may have one name, so each has a tuple.
    """

    compiled: Mapping[str, tuple[Any, ...]]
    """What compile() was given, and the arguments of that."""
    layers: Mapping[str, tuple[Any, ...]]
    """The layers, and the arguments of them, their regularizers and constraints."""
    trainable: Mapping[str, tuple[Any, ...]]

    @classmethod
    def of(cls, model: keras.Model) -> Self:
        """As they are now."""
        return cls(*(_by_name(kind(model)) for kind in (_compiled, _layers, _trainable)))

    def changed(self, model: keras.Model, *, copied: bool = False) -> list[str]:
        """The names of those that have changed since; of what is `copied` only those that copies
        take from the model as it is.
        """
        now = Settings.of(model)
        if not _same(self.layers["layers"], now.layers["layers"]):
            return ["layers"]
        changes = _changes(self.layers, now.layers)
        if copied:
            return changes
        compiled = _changes(self.compiled, now.compiled)
        return compiled + changes + _changes(self.trainable, now.trainable)

    def check(self, model: keras.Model, *, copied: bool = False) -> None:
        """Raise InvalidData where some have changed since."""
        if changes := self.changed(model, copied=copied):
            message = (
                f"{', '.join(changes[:5])} changed in the Keras model after the estimator was made,"
                " which trains with what it was then: make the estimator again."
            )
            raise InvalidData(message)


class Watch:
    """What callbacks change beside the weights, the learning rate and stop_training of the model
    that they see; and of the `users` own model, which they may know by themselves, beside its
    weights and stop_training.
    """

    def __init__(self, model: keras.Model, users: keras.Model, *, eager: bool) -> None:
        """An `eager` model reads its settings in each step."""
        self._models, self.eager = (model, users), eager
        self._settings = [Settings.of(model) for model in self._models]
        self._rate = _rate(users)

    def check(self, *, trained: bool) -> None:
        """Raise InvalidData for what Keras would regard: it reads all but the learning rate when it
        traces the first step, so what is changed once it has `trained` has no effect there.
        """
        changes = ["optimizer.learning_rate"] if self._rate != _rate(self._models[1]) else []
        if self.eager or not trained:
            for before, model in zip(self._settings, self._models, strict=True):
                changes += before.changed(model)
        if changes:
            message = (
                f"A callback changed {', '.join(dict.fromkeys(changes))}. Only weights, learning"
                " rate and stop_training of callback.model are taken over: change all else before"
                " the estimator is made."
            )
            raise InvalidData(message)


def _by_name(pairs: Iterator[tuple[str, Any]]) -> dict[str, tuple[Any, ...]]:
    values: dict[str, tuple[Any, ...]] = defaultdict(tuple)
    for name, value in pairs:
        values[name] += (value,)
    return dict(values)


def _changes(
    before: Mapping[str, tuple[Any, ...]], after: Mapping[str, tuple[Any, ...]]
) -> list[str]:
    """The names of what has another value, and of functions that are new."""
    replaced = [name for name, values in before.items() if not _same(values, after.get(name))]
    added = [name for name in after if name not in before and any(map(callable, after[name]))]
    return replaced + added


def _rate(model: keras.Model) -> Any:
    rate = learning_rate_of(model.optimizer) if model.compiled else None
    return float(rate) if isinstance(rate, keras.Variable) else rate


def _compiled(model: keras.Model) -> Iterator[tuple[str, Any]]:
    optimizer, loss = getattr(model, "optimizer", None), getattr(model, "loss", None)
    metrics, weighted_metrics = users_metrics_of(model)
    yield "optimizer", optimizer
    yield "loss", _frozen(loss)
    yield "loss_weights", _frozen(loss_weights_of(model))
    yield "metrics", _frozen(metrics)
    yield "weighted_metrics", _frozen(weighted_metrics)
    yield "keras.config.floatx()", keras.config.floatx()
    yield "run_eagerly", getattr(model, "run_eagerly", False)
    excluded, pattern = excluded_from_decay(optimizer), pattern_excluded_from_decay(optimizer)
    yield "optimizer.exclude_from_weight_decay", excluded or None
    yield "optimizer.exclude_from_weight_decay_pattern", pattern or None
    if optimizer is not None:
        yield from _arguments("optimizer", optimizer)
    for kind, parts in (("loss", loss), ("metrics", (metrics, weighted_metrics))):
        for part in keras.tree.flatten(parts):
            if isinstance(part, (keras.losses.Loss, keras.metrics.Metric)):
                yield from _arguments(f"{kind}.{part.name}", part)
                yield f"{kind}.{part.name}.arguments", _frozen(keywords_of_loss(part))


def _layers(model: keras.Model) -> Iterator[tuple[str, Any]]:
    layers = layers_of(model)
    yield "layers", tuple(layers)
    for layer in layers:
        if not isinstance(layer, keras.Model):
            yield f"{layer.name}.dtype_policy", layer.dtype_policy.name
            yield from _arguments(layer.name, layer)
            penalty = getattr(layer, "activity_regularizer", None)
            if penalty is not None:
                yield from _arguments(f"{layer.name}.activity_regularizer", penalty)
    for weight in model.weights:
        for kind in ("regularizer", "constraint"):
            part = getattr(weight, kind)
            yield f"{weight.path}.{kind}", part
            if part is not None:
                yield from _arguments(f"{weight.path}.{kind}", part)


def _trainable(model: keras.Model) -> Iterator[tuple[str, Any]]:
    for layer in layers_of(model):
        yield f"{layer.name}.trainable", layer.trainable
    for weight in model.weights:
        yield f"{weight.path}.trainable", weight.trainable


def _arguments(name: str, part: Any) -> Iterator[tuple[str, Any]]:
    """The attributes of a part that are numbers, strings, functions or arrays, or lists of them."""
    for attribute, value in getattr(part, "__dict__", {}).items():
        public = not attribute.startswith("_") and attribute not in ("built", "trainable")
        if public and _is_setting(value):
            yield f"{name}.{attribute}", _frozen(value)


def _is_setting(value: Any) -> bool:
    if isinstance(value, (list, tuple, set)):
        return all(map(_is_setting, value))
    if isinstance(value, dict):
        return all(map(_is_setting, value.values()))
    return isinstance(value, (*_PLAIN, np.ndarray, np.generic)) or callable(value)


def _frozen(value: Any) -> Any:
    """A value as it is now, whatever becomes of the list, dict or array that it is."""
    if isinstance(value, (list, tuple)):
        return tuple(map(_frozen, value))
    if isinstance(value, dict):
        return tuple((name, _frozen(part)) for name, part in value.items())
    if isinstance(value, set):
        return frozenset(value)
    if isinstance(value, (np.ndarray, np.generic)):
        return str(value.dtype), value.shape, value.tobytes()
    return value


def _same(before: Any, after: Any) -> bool:
    if isinstance(before, tuple) and isinstance(after, tuple):
        return len(before) == len(after) and all(map(_same, before, after))
    plain = isinstance(before, (*_PLAIN, set, frozenset, bytes)) and type(before) is type(after)
    return before is after or (plain and before == after)
