"""What layers take in a model, beside what they were built for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras.src.ops.core import Cast

from keras2dml.backend import floatx
from keras2dml.graph import Value
from keras2dml.rules import Refusal, lowered, named
from keras2dml.rules.operations.types import FLOATS, WHOLE

ADDING = (keras.layers.Add, keras.layers.Average, keras.layers.Subtract)
MULTIPLYING = (keras.layers.Dot, keras.layers.Multiply)
AVERAGING = (
    keras.layers.BatchNormalization,
    *(keras.layers.GlobalAveragePooling1D, keras.layers.GlobalAveragePooling2D),
    keras.layers.GlobalAveragePooling3D,
)
"""The layers that compute in float32 where they take integers."""
ROUNDING = (
    *(keras.layers.GroupNormalization, keras.layers.LayerNormalization, keras.layers.LeakyReLU),
    keras.layers.RMSNormalization,
)
"""The layers that compute in float32, or return integers, where they take integers."""


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


def check_integers(layer: Any, tensors: Sequence[Any]) -> None:
    """Raise Refusal for a layer that computes with the integers or booleans that it takes, which
    Keras does not cast to the layer's type, in float32 or in their range.
    """
    if isinstance(layer, keras.layers.TimeDistributed):
        check_integers(layer.layer, tensors)
    types = [str(getattr(tensor, "dtype", "float")) for tensor in tensors]
    kinds = [kind for kind in types if "float" not in kind]
    narrow = isinstance(layer, ADDING) and not WHOLE.issuperset(kinds)
    wraps = isinstance(layer, MULTIPLYING) and len(kinds) > 1
    single = isinstance(layer, AVERAGING) and layer.compute_dtype == "float64"
    squashes = isinstance(layer, keras.layers.Activation) and layer.compute_dtype != floatx()
    rounds = isinstance(layer, ROUNDING) or (
        isinstance(layer, keras.layers.UpSampling2D) and layer.interpolation != "nearest"
    )
    if kinds and (narrow or wraps or single or squashes or rounds):
        message = (
            f"{named(layer)} computes with {kinds[0]}, where Keras has less range or precision."
            f" SystemDS computes in float64: cast its input to {layer.compute_dtype!r} first."
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
        if _rounds(before, kind):
            remedy = before if before in FLOATS else "float64"
            message = (
                f"{named(layer)} rounds {before} to the {kind} of its input. SystemDS does not:"
                f" give that dtype={remedy!r}."
            )
            raise Refusal(message)
        if "float" not in kind and before != "bool":
            typed[place] = _cast(layer, typed[place], kind)
    return typed


def _rounds(before: str, kind: str) -> bool:
    """Whether a cast from one type to another is to floats with fewer digits."""
    if kind not in FLOATS:
        return "float" in kind
    wide = ("float64", *(WHOLE if floatx() == "float64" else ()))
    return kind == "float32" and before in wide


def _cast(layer: keras.Model, x: Value, kind: str) -> Value:
    """A value in another type, with the masks that it has."""
    (numbers,) = lowered(Cast(dtype=kind, name=layer.name), x)
    return numbers.with_masks(x.mask, x.recorded)
