"""Dense, Flatten and Dropout."""

from __future__ import annotations

import math

import keras
import numpy as np

from keras2dml.graph import IDENTITY, Constant, Node, Scalar, Value, Weight
from keras2dml.rules import Refusal, call, lowers, named
from keras2dml.rules.activations import activated, is_of_keras
from keras2dml.rules.layouts import of_vectors, permuted, vectors


@lowers(keras.layers.Dense, honours="units activation use_bias")
def dense(layer: keras.layers.Dense, x: Value) -> Value:
    """X %*% W + b over the last axis; the kernel's rows follow the order of X's columns, so that
    nothing is permuted at run time.
    """
    rows = vectors(layer.name, x) if len(x.shape) > 1 else x
    inputs, units = layer.kernel.shape
    kernel = Weight("W", layer.kernel, (inputs, units), rows=rows.order)
    bias = (Weight("b", layer.bias, (1, units)),) if layer.use_bias else ()
    out = call(
        layer.name,
        "dense" if layer.use_bias else "dense_unbiased",
        rows,
        to=Value.of((units,), rows=rows.rows),
        weights=(kernel, *bias),
        onnx=Node("Gemm" if layer.use_bias else "MatMul"),
    )
    if is_of_keras(layer.activation):
        return of_vectors(layer.name, activated(layer, out, layer.activation), x)
    return activated(layer, of_vectors(layer.name, out, x), layer.activation)


@lowers(keras.layers.Flatten, honours="data_format")
def flatten(layer: keras.layers.Flatten, x: Value) -> Value:
    """The same row with another shape; the value keeps track of the order of elements. Keras
    flattens channels_first images as if their channels were last.
    """
    if layer.data_format == "channels_first" and len(x.shape) > 1:
        x = permuted(x, (*range(1, len(x.shape)), 0))
    return x.seen_as((x.size,), (x.size,))


@lowers(keras.layers.Dropout, honours="rate noise_shape seed", partly="noise_shape")
def dropout(layer: keras.layers.Dropout, x: Value) -> Value:
    """Inverted dropout in training, nothing at prediction. The mask comes from SystemDS' random
    numbers, by seed, not from Keras'.
    """
    if layer.noise_shape is None:
        return dropped(layer.name, x, layer.rate)
    examples, *shape = layer.noise_shape
    if examples is not None or len(shape) != len(x.shape):
        message = (
            f"{named(layer)} has noise_shape={layer.noise_shape!r}. Each example has its own mask:"
            f" begin it with None, and give {len(x.shape)} more sizes."
        )
        raise Refusal(message)
    return dropped(layer.name, x, layer.rate, tuple(shape))


def dropped(name: str, x: Value, rate: float, shape: tuple[int | None, ...] | None = None) -> Value:
    """`x`, of which training drops a share of the elements; elements along an axis where `shape`
    has 1 are dropped together.
    """
    if rate == 0:
        return x
    if shape is None:
        return call(name, IDENTITY, x, sizes={"rate": float(rate)}, training="dropout")
    drawn = tuple(size or actual for size, actual in zip(shape, x.shape, strict=True))
    count = math.prod(drawn)
    places = np.broadcast_to(np.arange(count).reshape(drawn), x.shape).ravel()[x.order]
    cells = np.column_stack([places + 1, np.arange(1, x.size + 1), np.ones(x.size)])
    sizes: dict[str, Scalar] = {"inputs": count, "outputs": x.size}
    spread = Constant("S", cells.astype(np.float64), "sparse_map", sizes)
    return call(
        name,
        IDENTITY,
        x,
        constants=(spread,),
        sizes={"rate": float(rate)},
        training="shared_dropout",
    )
