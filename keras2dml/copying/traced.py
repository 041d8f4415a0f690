"""What Keras reads of a model when it traces its first training step, and a compiled script does
not: a callback that changes it has no effect here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import keras
import numpy as np

from keras2dml.errors import InvalidData
from keras2dml.keras_internals import (
    compile_arguments_of,
    excluded_from_decay,
    keywords_of_loss,
    layers_of,
    learning_rate_of,
    loss_weights_of,
    pattern_excluded_from_decay,
    users_metrics_of,
)

_PLAIN = (bool, int, float, str, type(None))


@dataclass(frozen=True)
class Name:
    """What is set: its `place` in the model, which stays the same if a layer gets another name, and
    what a user would write.
    """

    place: str
    label: str = field(compare=False)

    def of(self, attribute: str) -> Name:
        """An attribute of it."""
        return Name(f"{self.place}.{attribute}", f"{self.label}.{attribute}")

    def is_of(self, part: Name) -> bool:
        """Whether this is a part, or an attribute of it."""
        return self == part or self.place.startswith(f"{part.place}.")


_FLOATX = Name("floatx", "keras.config.floatx()")
_LAYERS = Name("layers", "layers")
_OPTIMIZER = Name("optimizer", "optimizer")


@dataclass(frozen=True, eq=False)
class Settings:
    """What is set in a model: numbers, strings, functions and arrays, by name."""

    call: Any
    """The call of compile()."""
    compiled: Mapping[Name, Any]
    """What compile() was given, and the arguments of that."""
    parts: tuple[Any, ...]
    """The layers."""
    layers: Mapping[Name, Any]
    """The arguments of the layers, their regularizers and constraints."""
    trainable: Mapping[Name, Any]

    @classmethod
    def of(cls, model: keras.Model) -> Self:
        """As they are now."""
        return cls(
            compile_arguments_of(model),
            dict(_compiled(model)),
            tuple(layers_of(model)),
            dict(_layers(model)),
            dict(_trainable(model)),
        )

    def changed(self, model: keras.Model, *, copied: bool = False) -> list[Name]:
        """The names of those that have changed since; of what is `copied` only those that copies
        take from the model as it is.
        """
        now = Settings.of(model)
        if not _same(self.parts, now.parts):
            return [_LAYERS]
        changes = _changes(self.layers, now.layers)
        if copied:
            return changes
        compiled = _changes(self.compiled, now.compiled)
        return compiled + changes + _changes(self.trainable, now.trainable)

    def check(self, model: keras.Model, *, copied: bool = False) -> None:
        """Raise InvalidData where some have changed since."""
        changes = self.changed(model, copied=copied)
        if not changes:
            return
        message = (
            f"{_listed(changes)} changed in the Keras model after the estimator was created,"
            " which trains with what it was then: create the estimator again."
        )
        if changes == [_FLOATX]:
            message = (
                f"{_FLOATX.label} changed after the estimator was created, which trains with what"
                " it was then: create the estimator again."
            )
        elif not copied and self.call is not compile_arguments_of(model):
            # A new optimizer differs in everything.
            names = [name for name in changes if not name.is_of(_OPTIMIZER)]
            listed = f" ({_listed(names)} changed)" if names else ""
            again = "" if self.call is None else " again"
            message = (
                f"The Keras model was compiled{again} after the estimator was created{listed}:"
                " create the estimator again."
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
        rate = _OPTIMIZER.of("learning_rate")
        changes = [rate] if self._rate != _rate(self._models[1]) else []
        if self.eager or not trained:
            for before, model in zip(self._settings, self._models, strict=True):
                changes += before.changed(model)
        if changes:
            message = (
                f"A callback changed {_listed(changes)}. Only weights, learning"
                " rate and stop_training of callback.model are taken over: change all else before"
                " the estimator is created."
            )
            raise InvalidData(message)


def _changes(before: Mapping[Name, Any], after: Mapping[Name, Any]) -> list[Name]:
    """The names of what has another value, or none, and of functions that are new."""
    replaced = [
        name for name, value in before.items() if name not in after or not _same(value, after[name])
    ]
    added = [name for name in after if name not in before and callable(after[name])]
    return replaced + added


def _listed(names: Iterable[Name]) -> str:
    """What a user would write, each once, and at most five."""
    labels = list(dict.fromkeys(name.label for name in names))
    return ", ".join(labels[:5]) + (f" and {len(labels) - 5} more" if len(labels) > 5 else "")


def _rate(model: keras.Model) -> Any:
    rate = learning_rate_of(model.optimizer) if model.compiled else None
    return float(rate) if isinstance(rate, keras.Variable) else rate


def _compiled(model: keras.Model) -> Iterator[tuple[Name, Any]]:
    optimizer, loss = getattr(model, "optimizer", None), getattr(model, "loss", None)
    metrics, weighted_metrics = users_metrics_of(model)
    excluded, pattern = excluded_from_decay(optimizer), pattern_excluded_from_decay(optimizer)
    settings = {
        "loss": _frozen(loss),
        "loss_weights": _frozen(loss_weights_of(model)),
        "metrics": _frozen(metrics),
        "weighted_metrics": _frozen(weighted_metrics),
        "run_eagerly": getattr(model, "run_eagerly", False),
    }
    yield _OPTIMIZER, optimizer
    yield _OPTIMIZER.of("exclude_from_weight_decay"), excluded or None
    yield _OPTIMIZER.of("exclude_from_weight_decay_pattern"), pattern or None
    for name, value in settings.items():
        yield Name(name, name), value
    yield _FLOATX, keras.config.floatx()
    if optimizer is not None:
        yield from _arguments(_OPTIMIZER, optimizer)
    for kind, parts in (("loss", loss), ("metrics", (metrics, weighted_metrics))):
        for number, part in enumerate(keras.tree.flatten(parts)):
            if isinstance(part, (keras.losses.Loss, keras.metrics.Metric)):
                argument = Name(f"{kind}.{number}", f"{kind}.{part.name}")
                yield from _arguments(argument, part)
                keywords = Name(f"{argument.place} keywords", f"{argument.label}.arguments")
                yield keywords, _frozen(keywords_of_loss(part))


def _layers(model: keras.Model) -> Iterator[tuple[Name, Any]]:
    for name, layer in _named(layers_of(model)):
        if not isinstance(layer, keras.Model):
            yield name.of("dtype_policy"), layer.dtype_policy.name
            yield from _arguments(name, layer)
            penalty = getattr(layer, "activity_regularizer", None)
            if penalty is not None:
                yield from _arguments(name.of("activity_regularizer"), penalty)
    for name, weight in _named(model.weights):
        for kind in ("regularizer", "constraint"):
            part = getattr(weight, kind)
            yield name.of(kind), part
            if part is not None:
                yield from _arguments(name.of(kind), part)


def _trainable(model: keras.Model) -> Iterator[tuple[Name, Any]]:
    for name, part in _named([*layers_of(model), *model.weights]):
        yield name.of("trainable"), part.trainable


def _named(parts: Sequence[Any]) -> Iterator[tuple[Name, Any]]:
    """Layers or weights with their names."""
    for number, part in enumerate(parts):
        is_weight = isinstance(part, keras.Variable)
        place = f"{'weight' if is_weight else 'layer'} {number}"
        yield Name(place, part.path if is_weight else part.name), part


def _arguments(name: Name, part: Any) -> Iterator[tuple[Name, Any]]:
    """The attributes of a part that are numbers, strings, functions or arrays, or lists of them."""
    for attribute, value in getattr(part, "__dict__", {}).items():
        public = not attribute.startswith("_") and attribute not in ("built", "trainable")
        if public and _is_setting(value):
            yield name.of(attribute), _frozen(value)


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
