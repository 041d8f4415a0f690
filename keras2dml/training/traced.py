"""What Keras reads of a model when it traces its first training step, and a compiled script does
not: a callback that changes it has no effect here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import keras

from keras2dml.errors import InvalidData
from keras2dml.keras_internals import (
    excluded_from_decay,
    layers_of,
    learning_rate_of,
    pattern_excluded_from_decay,
)

_PLAIN = (bool, int, float, str, type(None))


def settings(model: keras.Model) -> dict[str, Any]:
    """Arguments of layers, of the optimizer, and of regularizers and constraints, and what is
    trainable, by the names that a user would write.
    """
    return dict(_settings(model))


class Watch:
    """What callbacks change beside the weights, the learning rate and stop_training of the model
    that they see; and of the `users` own model, which they may know by themselves, beside its
    weights and stop_training.
    """

    def __init__(self, model: keras.Model, users: keras.Model, *, eager: bool) -> None:
        """An `eager` model reads its settings in each step."""
        self._models, self.eager = (model, users), eager
        self._settings = [settings(model) for model in self._models]
        self._rate = _rate(users)

    def check(self, *, trained: bool) -> None:
        """Raise InvalidData for what Keras would regard: it reads all but the learning rate when it
        traces the first step, so what is changed once it has `trained` has no effect there.
        """
        changes = ["optimizer.learning_rate"] if self._rate != _rate(self._models[1]) else []
        if self.eager or not trained:
            for before, model in zip(self._settings, self._models, strict=True):
                changes += _changes(before, settings(model))
        if changes:
            message = (
                f"A callback changed {', '.join(dict.fromkeys(changes))}. Only weights, learning"
                " rate and stop_training of callback.model are taken over: change all else before"
                " the estimator is made."
            )
            raise InvalidData(message)


def _changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """The names of what has another value, and of functions that are new."""
    replaced = [name for name, value in before.items() if not _same(value, after.get(name))]
    return replaced + [name for name in after if name not in before and callable(after[name])]


def _rate(model: keras.Model) -> Any:
    rate = learning_rate_of(model.optimizer) if model.compiled else None
    return float(rate) if isinstance(rate, keras.Variable) else rate


def _settings(model: keras.Model) -> Iterator[tuple[str, Any]]:
    optimizer = getattr(model, "optimizer", None)
    yield "optimizer", optimizer
    yield "loss", getattr(model, "loss", None)
    excluded, pattern = excluded_from_decay(optimizer), pattern_excluded_from_decay(optimizer)
    yield "optimizer.exclude_from_weight_decay", excluded or None
    yield "optimizer.exclude_from_weight_decay_pattern", pattern or None
    if optimizer is not None:
        yield from _arguments("optimizer", optimizer)
    for layer in layers_of(model):
        yield f"{layer.name}.trainable", layer.trainable
        if not isinstance(layer, keras.Model):
            yield from _arguments(layer.name, layer)
    for weight in model.weights:
        yield f"{weight.path}.trainable", weight.trainable
        for kind in ("regularizer", "constraint"):
            part = getattr(weight, kind)
            yield f"{weight.path}.{kind}", part
            if part is not None:
                yield from _arguments(f"{weight.path}.{kind}", part)


def _arguments(name: str, part: Any) -> Iterator[tuple[str, Any]]:
    """The attributes of a part that are numbers, strings or functions."""
    for attribute, value in vars(part).items():
        public = not attribute.startswith("_") and attribute != "built"
        if public and (isinstance(value, _PLAIN) or callable(value)):
            yield f"{name}.{attribute}", value


def _same(before: Any, after: Any) -> bool:
    plain = isinstance(before, (*_PLAIN, set)) and type(before) is type(after)
    return before is after or (plain and before == after)
