"""What layers take in a model, beside what they were built for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras.src.ops.core import Cast

from keras2dml.graph import Value
from keras2dml.rules import Refusal, lowered, named


def check_shape(layer: Any, tensor: Any, value: Value) -> None:
    """Raise Refusal for a value with a shape other than the layer that takes it was built for."""
    shape = tuple(tensor.shape[1:])
    fits = len(shape) == len(value.shape) and all(
        size in (None, actual) for size, actual in zip(shape, value.shape, strict=True)
    )
    if not fits and value.rows == 1:
        message = (
            f"{named(layer)} takes examples of {value.shape}, but was built for {shape}: a function"
            " before it changes the shape. Replace that function by operations of the model."
        )
        raise Refusal(message)


def check_count(layer: Any, node: Any, values: tuple[Value, ...]) -> None:
    """Raise Refusal for a layer with another number of outputs than when the model was built."""
    built = len(node.output_tensors)
    if len(values) != built:
        message = (
            f"{named(layer)} returns {len(values)} tensors, but returned {built} when the model was"
            " built: it was changed since. Give its arguments to the constructor."
        )
        raise Refusal(message)


def in_types(layer: keras.Model, arguments: Sequence[Any], kinds: Sequence[str]) -> list[Any]:
    """What a nested model takes, of these types, as Keras casts it to those of its inputs."""
    typed = list(arguments)
    inputs = getattr(layer, "inputs", None) or ()
    for place, (before, declared) in enumerate(zip(kinds, inputs, strict=False)):
        kind = str(declared.dtype)
        if kind == before or not isinstance(typed[place], Value):
            continue
        if before == "float64" and kind == "float32":
            message = (
                f"{named(layer)} rounds float64 to the float32 of its input. SystemDS does not:"
                " give that dtype='float64'."
            )
            raise Refusal(message)
        if "float" not in kind and before != "bool":
            typed[place] = _cast(layer, typed[place], kind)
    return typed


def _cast(layer: keras.Model, x: Value, kind: str) -> Value:
    """A value in another type, with the masks that it has."""
    (numbers,) = lowered(Cast(dtype=kind, name=layer.name), x)
    return numbers.with_masks(x.mask, x.recorded)
