"""Finds layers that no longer match their arguments: a twin created from these differs."""

from __future__ import annotations

import random
from collections.abc import Iterator
from types import FunctionType
from typing import Any

import keras
from keras.src.backend.common import global_state

from keras2dml.copying.model import has_code, layer_like
from keras2dml.copying.optimizer import NO_CONFIG
from keras2dml.keras_internals import BOOKKEEPING, direct_layers_of, layers_of
from keras2dml.rules import LOWERINGS, named

_PLAIN = (bool, int, float, str)
_PASSING = BOOKKEEPING | {"name", "trainable", "built", "build", "quantize"}
"""Attributes that do not affect what a layer computes, or that are checked elsewhere: its name,
whether it is trained, Keras' records of its calls and parts, and methods that Keras replaces.
"""
_GLOBALS = ("object_name_uids", "uninitialized_variables")
"""What Keras counts and collects when it creates layers."""


def complaints(model: keras.Model) -> Iterator[str]:
    """A sentence for each Keras layer in the model that was changed after it was created, so that a
    copy of it computes something else, and parts of it contradict each other.
    """
    for layer in direct_layers_of(model):
        if isinstance(layer, keras.Model):
            yield from complaints(layer)
        elif type(layer) in LOWERINGS and _is_of_keras(layer):
            yield from _complaints(layer)


def _complaints(layer: Any) -> Iterator[str]:
    parts = layers_of(layer)
    if nameless := [part for part in parts if not callable(getattr(part, "activation", id))]:
        yield (
            f"{named(nameless[0])} was changed after it was created: its activation is"
            f" {nameless[0].activation!r}, not a function. Give it to the constructor."
        )
        return
    try:
        twin = _twin(layer)
    except NotImplementedError:  # a part without a config, which is reported elsewhere
        return
    except NO_CONFIG as error:
        if not has_code(layer) and all(_is_of_keras(part) for part in parts):
            yield (
                f"{named(layer)} was changed after it was created: Keras cannot create a layer from"
                f" its arguments ({error}). Give them to the constructor."
            )
        return
    if layer.built and not twin.built:  # Keras has not noted by which shapes
        return
    for part, its_twin in zip(layers_of(layer), layers_of(twin), strict=False):
        if names := sorted(_differences(part, its_twin)):
            yield (
                f"{named(part)} was changed after it was created: a layer with its arguments has"
                f" another {', '.join(names)}. Give them to the constructor."
            )


def _is_of_keras(layer: Any) -> bool:
    return type(layer).__module__.startswith("keras.")


def _twin(layer: Any) -> Any:
    """A layer created from the current arguments of this one. It has no weight values, and creating
    it does not advance Keras' names or random numbers.
    """
    state, before = (
        random.getstate(),
        {name: global_state.get_global_attribute(name) for name in _GLOBALS},
    )
    for name, value in before.items():
        global_state.set_global_attribute(name, None if value is None else value.copy())
    try:
        with keras.StatelessScope(initialize_variables=False):
            twin = layer_like(layer)
            if layer.built:
                twin.build_from_config(layer.get_build_config())
    finally:
        random.setstate(state)
        for name, value in before.items():
            global_state.set_global_attribute(name, value)
    return twin


def _differences(layer: Any, twin: Any) -> Iterator[str]:
    ours, others = vars(layer), vars(twin)
    for name in (ours.keys() & others.keys()) - _PASSING:
        if not _same(ours[name], others[name]):
            yield name
    for name in ours.keys() - others.keys() - _PASSING:
        if callable(ours[name]) and hasattr(type(layer), name):
            yield name


def _same(value: Any, other: Any) -> bool:
    if isinstance(value, keras.Variable) or isinstance(other, keras.Variable):
        return getattr(value, "shape", None) == getattr(other, "shape", None)
    if isinstance(value, (list, tuple)) and isinstance(other, (list, tuple)):
        return len(value) == len(other) and all(map(_same, value, other))
    if isinstance(value, _PLAIN) and isinstance(other, _PLAIN):
        return value == other
    if isinstance(value, FunctionType) and isinstance(other, FunctionType):
        return value is other
    return True
