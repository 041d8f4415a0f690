"""The lowering rules: one function for each Keras layer, found by the layer's class."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import keras

from keras2dml.graph import Call, Value

Rule = Callable[[Any, Value], tuple[Call, ...]]

# What every layer has and what changes nothing of what a built layer computes.
HARMLESS = frozenset(
    ("name", "trainable", "dtype", "kernel_initializer", "bias_initializer", "quantization_config")
)


class Refusal(Exception):
    """A rule's complaints about one layer."""

    def __init__(self, *complaints: str) -> None:
        super().__init__(*complaints)
        self.complaints = complaints


@dataclass(frozen=True)
class Lowering:
    """A rule and the layer's arguments that it honours."""

    rule: Rule
    honours: frozenset[str]

    def complaints(self, layer: keras.Layer) -> Iterator[str]:
        """Every argument of `layer` that differs from Keras' default and that the rule ignores."""
        defaults = _defaults(type(layer))
        for argument, value in layer.get_config().items():
            if (
                argument in self.honours
                or argument in HARMLESS
                or _same(value, defaults.get(argument))
            ):
                continue
            shown = _shown(getattr(layer, argument, value))
            yield (
                f"{named(layer)} has {argument}={shown}. keras2dml compiles this layer only with"
                f" {argument}={defaults.get(argument)!r}: leave the argument out."
            )
        policy = layer.dtype_policy
        if policy.compute_dtype != policy.variable_dtype or policy.compute_dtype not in (
            "float32",
            "float64",
        ):
            yield (
                f"{named(layer)} has dtype {policy.name!r}. SystemDS computes in float64: use"
                " 'float32' or 'float64'."
            )


LOWERINGS: dict[type[keras.Layer], Lowering] = {}


def lowers(*layers: type[keras.Layer], honours: str = "") -> Callable[[Rule], Rule]:
    """Make the decorated function the rule of `layers`; `honours` lists the arguments that it takes
    into account.

    The rule is called with the Keras layer and the Value that goes in, and returns the Calls that
    it becomes. It may raise Refusal. An argument that it does not honour and that is not at Keras'
    default is refused for it.
    """

    def register(rule: Rule) -> Rule:
        for layer in layers:
            LOWERINGS[layer] = Lowering(rule, frozenset(honours.split()))
        return rule

    return register


def named(layer: keras.Layer) -> str:
    """How a complaint names a layer."""
    return f"Layer {layer.name!r} ({type(layer).__name__})"


def _defaults(layer: type[keras.Layer]) -> dict[str, object]:
    parameters = inspect.signature(layer.__init__).parameters
    return {name: p.default for name, p in parameters.items() if p.default is not p.empty}


def _shown(value: object) -> str:
    """A value for a complaint: objects of Keras by their class and constants."""
    config = value.get_config() if hasattr(value, "get_config") else None
    if not isinstance(config, dict):
        return repr(value)
    constants = ", ".join(f"{name}={constant!r}" for name, constant in config.items())
    return f"{type(value).__name__}({constants})"


def _same(value: object, default: object) -> bool:
    """Whether a config's value says what the default says; Keras normalises 1 to (1, 1)."""
    if isinstance(value, (tuple, list)) and not isinstance(default, (tuple, list)):
        return all(item == default for item in value)
    return value == default or (isinstance(value, list) and tuple(value) == default)
