"""Many cases as one model: compiled once, trained once, and compared output by output."""

from __future__ import annotations

from collections.abc import Mapping
from weakref import WeakKeyDictionary

import keras


def together(cases: Mapping[str, keras.Model]) -> keras.Model:
    """One model with the layers and outputs of all these, which share inputs of one shape: compiled
    once, run once. Where it differs from Keras, the message names the case.
    """
    inputs: dict[object, keras.KerasTensor] = {}
    outputs: list[keras.KerasTensor] = []
    names: list[str] = []
    paths: dict[str, str] = {}
    for name, case in cases.items():
        own = [
            inputs.setdefault(
                (place, tensor.shape, tensor.dtype),
                keras.Input(tensor.shape[1:], dtype=tensor.dtype),
            )
            for place, tensor in enumerate(case.inputs)
        ]
        returned = case.call(own if len(own) > 1 else own[0])
        outputs += [*returned] if isinstance(returned, (list, tuple)) else [returned]
        names += [name] * (len(outputs) - len(names))
        paths |= {weight.path: name for weight in case.weights}
    entrances = [*inputs.values()]
    built = keras.Model(entrances if len(entrances) > 1 else entrances[0], outputs)
    _CASES[built] = names, paths
    return built


_CASES: WeakKeyDictionary[keras.Model, tuple[list[str], dict[str, str]]] = WeakKeyDictionary()
"""Of models that `together` joined: the case of each output, and of each weight by its path."""


def names_of(built: keras.Model) -> tuple[list[str], list[str]]:
    """The outputs and the weights of a model, in messages: with the case that they are of."""
    cases, paths = _CASES.get(built, ([""] * len(built.outputs), {}))
    weights = [f"{paths.get(weight.path, '')} {weight.path}" for weight in built.weights]
    return [f"{case} output {n}" for n, case in enumerate(cases)], weights
