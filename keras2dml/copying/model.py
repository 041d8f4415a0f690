"""Copies of Keras models, including the users' functions that Keras' copies lose."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self

import keras
from keras.src.models import Functional

from keras2dml.copying.optimizer import NO_CONFIG
from keras2dml.errors import UnsupportedModel
from keras2dml.keras_internals import (
    layer_list_of,
    layers_of,
    output_shape_of,
    set_trainable,
    structure_of,
    variables_of,
)
from keras2dml.rules import config_of
from keras2dml.rules.activations import is_of_keras
from keras2dml.rules.arguments import users_parts
from keras2dml.rules.user_classes import is_users


@dataclass(frozen=True)
class Trainable:
    """Which layers and weights of a model are trainable, in Keras' order."""

    layers: tuple[bool, ...]
    weights: tuple[bool, ...]

    @classmethod
    def of(cls, model: keras.Model) -> Self:
        """As they are now."""
        layers = tuple(bool(layer.trainable) for layer in parts_of(model))
        return cls(layers, tuple(bool(weight.trainable) for weight in model.weights))

    def enter(self, copy: keras.Model) -> None:
        """Freeze and thaw the layers and weights of a copy so."""
        for layer, trainable in zip(parts_of(copy), self.layers, strict=True):
            set_trainable(layer, trainable=trainable)
        for weight, trainable in zip(copy.weights, self.weights, strict=True):
            weight.trainable = trainable

    def changed(self, model: keras.Model) -> list[str]:
        """The names of the layers, and paths of the weights, that were frozen or thawed since; none
        if the model has others since.
        """
        now = Trainable.of(model)
        if len(now.layers) != len(self.layers) or len(now.weights) != len(self.weights):
            return []
        layers = zip(parts_of(model), self.layers, now.layers, strict=True)
        weights = zip(model.weights, self.weights, now.weights, strict=True)
        return [layer.name for layer, before, after in layers if before != after] or [
            weight.path for weight, before, after in weights if before != after
        ]


def copied(model: keras.Model) -> keras.Model:
    """A copy with separate weights, not compiled; for a user's class a plain Keras model.

    Its layers and weights have the order of the model's, and the same are trainable. Raises
    UnsupportedModel if the copy has other layers or weights.
    """
    copy = _duplicate(model)
    try:
        twins = [*_twins(model, copy)]
        matching = all(
            _shapes(variables_of(layer)) == _shapes(variables_of(twin)) for layer, twin in twins
        )
        counts = {len(parts_of(root)) for root in (model, copy)}
    except (KeyError, ValueError):
        matching = False
    if not matching or len(counts) > 1 or _shapes(model.weights) != _shapes(copy.weights):
        message = (
            "A copy of it has other layers or weights than it has: layers were changed after they"
            " were built, or are both in a wrapper and outside of it. Build the model again."
        )
        raise UnsupportedModel(model.name, [message], "copied")
    Trainable.of(model).enter(copy)
    for weight, its_twin in zip(model.weights, copy.weights, strict=True):
        its_twin.regularizer, its_twin.constraint = weight.regularizer, weight.constraint
    return copy


def parts_of(model: keras.Model) -> list[Any]:
    """The model and all layers in it but inputs, of which models may share one, and copies not."""
    return [layer for layer in layers_of(model) if not _is_input(layer)]


def _twins(layer: Any, twin: Any) -> Iterator[tuple[Any, Any]]:
    """A layer and its copy, and the pairs of layers within them. Layers of a copied functional
    model are reordered like the model's: a user's class may call layers in another order than it
    has attributes.
    """
    yield layer, twin
    parts, copies = layer_list_of(layer), layer_list_of(twin)
    if isinstance(layer, Functional):
        if len(copies) != len(parts):
            message = f"{layer.name} has other layers than its copy"
            raise ValueError(message)
        entrances = iter([part for part in copies if _is_input(part)])
        by_name = {part.name: part for part in copies if not _is_input(part)}
        copies[:] = [next(entrances) if _is_input(part) else by_name[part.name] for part in parts]
    for part, its_twin in zip(parts, copies, strict=True):
        yield from _twins(part, its_twin)


def _is_input(layer: keras.Layer) -> bool:
    """Whether it is an input, which has another name in a copy, and no weights."""
    return isinstance(layer, keras.layers.InputLayer)


def _shapes(weights: list[Any]) -> list[tuple[int, ...]]:
    return [tuple(weight.shape) for weight in weights]


def _duplicate(model: keras.Model, again: _Again | None = None) -> keras.Model:
    """A copy as Keras makes it, with the functions that it would lose, and with one copy of a layer
    that is in several models.
    """
    compiled = model.compiled
    model.compiled = False  # or Keras looks for the loss' and the metrics' functions by their names
    try:
        if again is None and is_shared(model):
            again = _Again()
        if again is None and not has_code(model):
            return keras.models.clone_model(model)
        copy = keras.models.clone_model(model, clone_function=again or layer_like)
    finally:
        model.compiled = compiled
    if is_users(copy):  # of a class whose constructor is Keras' own
        inputs, outputs = structure_of(copy, "inputs"), structure_of(copy, "outputs")
        copy = keras.Model(inputs, outputs, name=copy.name)
    return copy


class _Again:
    """Copies layers, each once."""

    def __init__(self) -> None:
        self._copies: dict[int, Any] = {}

    def __call__(self, layer: Any) -> Any:
        """The one copy of a layer."""
        if id(layer) not in self._copies:
            self._copies[id(layer)] = self._of(layer)
        return self._copies[id(layer)]

    def _of(self, layer: Any) -> Any:
        if isinstance(layer, keras.Model):
            return _duplicate(layer, self)
        if type(layer) is keras.layers.TimeDistributed:
            return keras.layers.TimeDistributed(self(layer.layer), **_base(layer))
        return layer_like(layer)


def is_shared(model: keras.Model) -> bool:
    """Whether a layer is in several of the models and wrappers that are in one another."""
    pending, seen = [model], set()
    while pending:
        layer = pending.pop()
        if id(layer) in seen:
            return True
        seen.add(id(layer))
        pending += getattr(layer, "cells", None) or layer_list_of(layer)  # with cells twice
    return False


def layer_like(layer: Any) -> Any:
    """A new layer like this one. Keras serializes functions by name or as code, without what they
    refer to; this copy has the same functions.
    """
    kind = type(layer)
    if not isinstance(layer, keras.Layer) or not has_code(layer):
        return kind.from_config(config_of(layer))
    if isinstance(layer, keras.Model):
        return copied(layer)
    base = _base(layer)
    if isinstance(layer, keras.layers.Lambda):
        shape, arguments = output_shape_of(layer), layer.arguments
        return kind(layer.function, output_shape=shape, arguments=arguments, **base)
    if isinstance(layer, keras.layers.TimeDistributed):
        return kind(layer_like(layer.layer), **base)
    function = {"activation": layer.activation} if hasattr(layer, "activation") else {}
    return kind.from_config({**config_of(layer), **function})


def _base(layer: Any) -> dict[str, Any]:
    """The arguments that every layer has."""
    return {"name": layer.name, "trainable": layer.trainable, "dtype": layer.dtype_policy}


def has_code(layer: Any) -> bool:
    """Whether a layer, or one within it, has a user's function, initializer, regularizer or
    constraint, or is a model of a user's class.
    """
    return any(
        isinstance(part, keras.layers.Lambda)
        or is_users(part)
        or users_parts(part, (name.removeprefix("_") for name in vars(part)))
        or not is_of_keras(getattr(part, "activation", None) or keras.activations.linear)
        for part in layers_of(layer)
    )


def metric_like(metric: keras.Metric) -> keras.Metric:
    """A metric like this one, with a separate state; the metric itself if it is of a user's class
    whose constructor has other arguments than its config.
    """
    try:
        return type(metric).from_config(metric.get_config())
    except NO_CONFIG:
        return metric
