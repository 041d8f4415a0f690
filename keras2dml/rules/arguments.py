"""The arguments of layers, read from Keras, and their names in complaints."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator
from typing import Any

import keras
import numpy as np
from keras.src.ops.numpy import Clip

from keras2dml.backend import is_tensorflow
from keras2dml.keras_internals import attribute_of, layers_of

NUMBERS = (
    *("alpha", "b", "decimals", "default_value", "epsilon", "max_value", "negative_slope", "ord"),
    "threshold",
)
"""The arguments of operations for which numbers are compiled."""
PARTS = ("_initializer", "_regularizer", "_constraint")
"""Suffixes of the arguments that are objects attached to a layer's variables."""


def misfits(operation: Any) -> Iterator[str]:
    """A complaint about each argument of an operation that is a tensor, or is not a number where
    only a number is compiled.
    """
    for name, value in vars(operation).items():
        parts = keras.tree.flatten(value) if isinstance(value, (list, tuple, dict)) else [value]
        if name.startswith("_"):
            continue
        if any(isinstance(part, keras.KerasTensor) for part in parts):
            yield (f"{named(operation)} has {name} that layers compute. {_remedy(operation, name)}")
        elif name in NUMBERS and np.ndim(value):
            yield f"{named(operation)} has several numbers as {name}. {_remedy(operation, name)}"


def _remedy(operation: Any, name: str) -> str:
    if isinstance(operation, Clip):
        return "Give it a number, or use maximum and minimum, which take arrays and tensors."
    return f"It is only compiled with a number as {name}: give it one."


def config_of(layer: Any) -> dict[str, Any]:
    """A layer's arguments. A user's initializers, regularizers and constraints are left
    unserialized, as Keras finds their classes only if they are registered; so is an activation
    without a name, for which Keras warns, and fails if its source cannot be found.
    """
    nameless = {
        part: part.activation
        for part in (layers_of(layer) if isinstance(layer, keras.Layer) else ())
        if getattr(getattr(part, "activation", None), "__name__", "") == "<lambda>"
    }
    for part in nameless:
        part.activation = keras.activations.linear
    try:
        config: dict[str, Any] = layer.get_config()
    finally:
        for part, activation in nameless.items():
            part.activation = activation
    config |= users_parts(layer, config)
    return {**config, "activation": nameless[layer]} if layer in nameless else config


def users_parts(layer: Any, arguments: Iterable[str]) -> dict[str, Any]:
    """The user's own initializers, regularizers and constraints among a layer's arguments."""
    names = (name for name in arguments if name.endswith(PARTS))
    parts = {name: attribute_of(layer, name) for name in names}
    return {name: part for name, part in parts.items() if callable(part) and not _is_keras(part)}


def _is_keras(part: Any) -> bool:
    return str(getattr(part, "__module__", "")).startswith("keras.")


def without_config(layer: keras.Layer) -> str:
    """The name, for a complaint, of what has no `get_config`: the layer, or one of its
    regularizers, constraints or initializers.
    """
    kinds = (keras.Regularizer, keras.constraints.Constraint, keras.Initializer)
    for part in vars(layer).values():
        base = next((kind for kind in kinds if isinstance(part, kind)), None)
        if base is not None and type(part).get_config is base.get_config:
            return f"The {base.__name__.lower()} {type(part).__name__} of {named(layer)}"
    return named(layer)


def named(layer: Any) -> str:
    """The name and type of a layer or an operation, for complaints."""
    kind = "Layer" if isinstance(layer, keras.Layer) else "Operation"
    return f"{kind} {layer.name!r} ({type(layer).__name__})"


def defaults_of(layer: type) -> dict[str, object]:
    """The default values of the arguments of a layer's class."""
    parameters = inspect.signature(layer.__init__).parameters  # type: ignore[misc]
    return {name: p.default for name, p in parameters.items() if p.default is not p.empty}


def shown(value: object) -> str:
    """A value for a complaint; Keras objects are shown with class and constants."""
    config = value.get_config() if hasattr(value, "get_config") else None
    if not isinstance(config, dict):
        return repr(value)
    constants = ", ".join(f"{name}={constant!r}" for name, constant in config.items())
    return f"{type(value).__name__}({constants})"


def is_default(value: object, default: object) -> bool:
    """Whether a value of a config equals the default; Keras normalises 1 to (1, 1)."""
    if isinstance(value, (tuple, list)) and not isinstance(default, (tuple, list)):
        return all(item == default for item in value)
    return value == default or (isinstance(value, list) and tuple(value) == default)


def strengths(regularizer: Any) -> dict[str, float]:
    """The factors l1 and l2 of a Keras regularizer, which Keras rounds to float32."""
    return {name: float(np.float32(getattr(regularizer, name, 0.0))) for name in ("l1", "l2")}


def rounded(number: float) -> float:
    """A number after Keras' cast, which on TensorFlow rounds to float32 even for float64 models."""
    return float(np.float32(number)) if is_tensorflow() else float(number)
