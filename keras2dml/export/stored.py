"""A layer graph as JSON: everything that its scoring script needs, without Keras.

The JSON may be malicious. Scripts generated from it only call functions of the DML library, on
variables with plain names and on numbers, so that they can do nothing but compute.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any, Literal

import numpy as np

from keras2dml.graph import (
    INPUT,
    INPUTS,
    Call,
    Constant,
    Graph,
    Named,
    Parameter,
    Shape,
    Value,
    Weight,
    source_of,
)
from keras2dml.structure import Structure

_NAME = re.compile(r"[A-Za-z]\w*", re.ASCII)
_CALLS = 50_000
_NO_ORDER = np.empty(0, np.int64)


def to_json(graph: Graph) -> dict[str, Any]:
    """The description from which `of_json` creates a graph with the same scoring script."""
    makers = [*(source_of(value) for value in graph.inputs), *graph.calls]
    numbers = {call: number for number, call in enumerate(makers)}

    def place(value: Value) -> list[object]:
        """The input or call that a value comes from, and the name of the result."""
        return [numbers[source_of(value)], value.result]

    return {
        "name": graph.name,
        "single": graph.single,  # for versions without kernels
        "float32": graph.single,
        "parameters": {
            parameter.name: list(parameter.weight.matrix) for parameter in graph.parameters
        },
        "takes": _structure(graph.takes),
        "gives": _structure(graph.gives),
        "inputs": [
            {"name": graph.input_name(value), **_end(value), **_type(value)}
            for value in graph.inputs
        ],
        "calls": [
            {
                "name": graph.names[call],
                "function": call.function,
                "inputs": [place(value) for value in call.inputs],
                **({} if call.arguments == INPUTS else {"arguments": list(call.arguments)}),
                "weights": {weight.argument: graph.names[weight] for weight in call.weights},
                "constants": [
                    _constant(graph.names[constant], constant) for constant in call.constants
                ],
                "sizes": dict(call.sizes),
            }
            for call in graph.calls
        ],
        "outputs": [{"from": place(value), **_end(value)} for value in graph.outputs],
    }


def of_json(about: Mapping[str, Any]) -> Graph:
    """The graph of a description, without layers, Keras' variables and the numbers of constants.

    Raises ValueError, KeyError or TypeError for a description that `to_json` would not write;
    unknown functions are only found when the graph is rendered.
    """
    names: dict[Named, str] = {}
    makers: list[Call] = []
    if len(about["calls"]) > _CALLS:
        message = f"it has more than {_CALLS} calls"
        raise ValueError(message)
    for entry in about["inputs"]:
        makers.append(Call(INPUT, (), "", {}, sizes=_sizes(entry.get("sizes", {}))))
        names[makers[-1]] = _name(entry["name"])
    inputs = tuple(
        _value(entry).made_by(call) for entry, call in zip(about["inputs"], makers, strict=True)
    )
    parameters = tuple(
        Parameter(_name(name), Weight("", None, _matrix(shape)), "", "", number, trainable=False)
        for number, (name, shape) in enumerate(about["parameters"].items())
    )
    matrices = {parameter.name: parameter.weight.matrix for parameter in parameters}
    for entry in about["calls"]:
        call = _read_call(entry, makers, matrices, names)
        names[call] = _name(entry["name"])
        makers.append(call)
    outputs = tuple(_result(_value(entry), entry["from"], makers) for entry in about["outputs"])
    if not inputs or not outputs:
        message = "it has no input or no output"
        raise ValueError(message)
    calls = tuple(makers[len(inputs) :])
    return Graph(
        str(about["name"]),
        inputs,
        outputs,
        calls,
        parameters,
        names,
        # Of an older version `single` says what layers compute in, whatever is between them.
        single=about.get("float32") is True,
        takes=_named(about, "inputs", "takes"),
        gives=_named(about, "outputs", "gives"),
    )


def _structure(structure: Structure) -> dict[str, object]:
    return {"names": structure.names, "keyed": structure.keyed}


def _named(about: Mapping[str, Any], kind: Literal["inputs", "outputs"], key: str) -> Structure:
    """The names of the inputs or outputs; numbers from 1 if an older version wrote none."""
    count = len(about[kind])
    numbers = {"names": [str(number) for number in range(1, count + 1)], "keyed": False}
    structure = about.get(key, numbers)
    names = tuple(structure["names"])
    if len(names) != count or not all(isinstance(name, str) for name in names):
        message = f"{key!r} has no name for each of {count} {kind}"
        raise ValueError(message)
    return Structure(kind, names, keyed=structure["keyed"] is True)


def _end(value: Value) -> dict[str, object]:
    return {"shape": value.shape, "stored": value.stored, "order": value.order.tolist()}


def _type(value: Value) -> dict[str, object]:
    """The type of an input, if it has one."""
    sizes = source_of(value).sizes
    return {"sizes": dict(sizes)} if sizes else {}


def _constant(name: str, constant: Constant) -> dict[str, object]:
    return {
        "name": name,
        "argument": constant.argument,
        "matrix": constant.matrix.shape,
        "prepared": constant.prepared,
        "sizes": dict(constant.sizes),
    }


def _read_call(
    about: Mapping[str, Any],
    makers: list[Call],
    matrices: Mapping[str, tuple[int, int]],
    names: dict[Named, str],
) -> Call:
    """A call of what was made before it; its weights and constants are named."""
    unordered = Value((), (), _NO_ORDER)
    weights, constants = [], []
    for argument, name in about["weights"].items():
        weights.append(Weight(argument, None, matrices[name]))
        names[weights[-1]] = name
    for entry in about["constants"]:
        # Its numbers are with the weights: here it only has a shape, and takes no memory.
        matrix = np.broadcast_to(0.0, _matrix(entry["matrix"]))
        constants.append(
            Constant(entry["argument"], matrix, entry["prepared"], _sizes(entry["sizes"]))
        )
        names[constants[-1]] = _name(entry["name"])
    return Call(
        _name(about["function"]),
        tuple(_result(unordered, place, makers) for place in about["inputs"]),
        "",
        {},
        tuple(weights),
        tuple(constants),
        _sizes(about["sizes"]),
        arguments=tuple(_name(name) for name in about.get("arguments", INPUTS)),
    )


def _result(value: Value, place: Any, makers: list[Call]) -> Value:
    number, result = place
    if type(number) is not int or not 0 <= number < len(makers):
        message = f"a value comes from call {number!r:.20}, which is none before it"
        raise ValueError(message)
    return value.made_by(makers[number], _name(result))


def _value(about: Mapping[str, Any]) -> Value:
    shape, stored = _extents(about["shape"]), _extents(about["stored"])
    order, size = np.asarray(about["order"], np.int64), math.prod(shape)
    fits = order.shape == (size,) and np.array_equal(np.sort(order), np.arange(order.size))
    if not fits or math.prod(stored) != size:
        message = f"a value of {shape} has no order for each of its elements"
        raise ValueError(message)
    return Value(shape, stored, order)


def _matrix(shape: Iterable[Any]) -> tuple[int, int]:
    rows, columns = _extents(shape)
    return rows, columns


def _extents(shape: Iterable[Any]) -> Shape:
    extents = tuple(shape)
    if not all(type(extent) is int and 0 < extent < 1 << 40 for extent in extents):
        message = f"{extents!r:.60} is no shape"
        raise ValueError(message)
    return extents


def _sizes(about: Mapping[str, Any]) -> dict[str, int | float]:
    for name, size in about.items():
        if type(size) not in (bool, int, float) or not math.isfinite(size):
            message = f"the size {name!r:.40} is {size!r:.40}, no number"
            raise ValueError(message)
    return dict(about)


def _name(name: Any) -> str:
    if not isinstance(name, str) or _NAME.fullmatch(name) is None or len(name) > 1_000:
        message = f"{name!r:.60} is no name of a variable"
        raise ValueError(message)
    return name
