"""Normalizations of an example by its own elements, which are the same in training and prediction.

Each normalizes vectors of elements, which become rows, and then applies learned factors.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras.src.applications.convnext import LayerScale

from keras2dml.graph import Node, Shape, Value, Weight
from keras2dml.rules import Refusal, call, lowers, named, nodes
from keras2dml.rules.layouts import arranged, axes_of, folded, last, of_vectors, unfolded, vectors
from keras2dml.traits import KINK


@lowers(
    keras.layers.LayerNormalization,
    honours="axis epsilon center scale rms_scaling",
    partly="axis rms_scaling",
)
def layer_normalization(layer: keras.layers.LayerNormalization, x: Value) -> Value:
    """Normalizes to mean 0 and variance 1 along axes, with a gamma and a beta for each element."""
    if layer.rms_scaling:
        message = f"{named(layer)} has rms_scaling=True. Use RMSNormalization."
        raise Refusal(message)
    axes = axes_of(layer, x, layer.axis)
    rows = standardized(layer, vectors(layer.name, x, axes))
    return of_vectors(layer.name, learned(layer.name, rows, layer.gamma, layer.beta), x, axes)


@lowers(keras.layers.RMSNormalization, honours="axis epsilon", partly="axis")
def rms_normalization(layer: keras.layers.RMSNormalization, x: Value) -> Value:
    """Normalizes to a mean square of 1, with a scale for each element."""
    axes = axes_of(layer, x, layer.axis)
    if axes != _trailing(x, axes):
        message = (
            f"{named(layer)} has axis={layer.axis!r}, but its scale applies to the last axes. Give"
            " those, or put Permute before the layer."
        )
        raise Refusal(message)
    rows = _rms(layer, vectors(layer.name, x, axes))
    return of_vectors(layer.name, learned(layer.name, rows, layer.scale, None), x, axes)


@lowers(keras.layers.UnitNormalization, honours="axis", partly="axis")
def unit_normalization(layer: keras.layers.UnitNormalization, x: Value) -> Value:
    """Normalizes to length 1 along axes."""
    axes = axes_of(layer, x, layer.axis)
    return of_vectors(layer.name, unit(layer.name, vectors(layer.name, x, axes), 1e-12), x, axes)


@lowers(keras.layers.GroupNormalization, honours="groups axis epsilon center scale", partly="axis")
def group_normalization(layer: keras.layers.GroupNormalization, x: Value) -> Value:
    """Normalizes each group of consecutive channels to mean 0 and variance 1, with a gamma and a
    beta for each channel.
    """
    (axis,) = axes_of(layer, x, layer.axis)
    # The axis of channels comes first, so that a group is a part of a row.
    axes = last(x, axis)
    first = arranged(layer.name, x, Value.of(x.shape, (axes[-1], *axes[:-1])))
    channels, groups = first.stored[0], layer.groups
    flat = Value.of((groups, x.size // groups), rows=x.rows)
    rows = folded(layer.name, first.seen_as(flat.shape, flat.stored, flat.order), 1)
    out = unfolded(layer.name, standardized(layer, rows), (groups,))
    gamma, beta = (layer.gamma if layer.scale else None, layer.beta if layer.center else None)
    stored = (channels, x.size // channels)
    result = learned(layer.name, out.seen_as(stored, stored), gamma, beta)
    return result.seen_as(x.shape, first.stored, first.order)


def standardized(layer: Any, rows: Value) -> Value:
    """Each row with mean 0 and variance 1, up to the layer's epsilon."""
    onnx = nodes("ReduceMean X > mean", "Sub X mean")
    return _rms(layer, call(layer.name, "centered", rows, onnx=onnx))


def unit(name: str, rows: Value, epsilon: float) -> Value:
    """Each row divided by its length, or by `epsilon` if it is shorter."""
    onnx = nodes("ReduceL2 X > length", f"Max length {epsilon} > divisor", "Div X divisor")
    return call(name, "unit_length", rows, sizes={"epsilon": epsilon}, onnx=onnx, traits=KINK)


@lowers(LayerScale, honours="init_values projection_dim")
def layer_scale(layer: Any, x: Value) -> Value:
    """Each channel times a learned factor; from ConvNeXt."""
    axes = (len(x.shape) - 1, *range(len(x.shape) - 1))
    moved = arranged(layer.name, x, Value.of(x.shape, axes))
    return learned(layer.name, moved, layer.gamma, None)


def learned(name: str, x: Value, gamma: Any, beta: Any) -> Value:
    """Each element times its channel's gamma, plus its beta, if there are any; channels are the
    first stored axis of `x`.
    """
    shape = (x.stored[0], *(1 for _ in x.stored[1:]))
    if gamma is not None:
        x = _by_channel(name, "channel_scaled", x, "gamma", gamma, shape, "Mul")
    if beta is not None:
        x = _by_channel(name, "channel_shifted", x, "beta", beta, shape, "Add")
    return x


def _by_channel(
    name: str, function: str, x: Value, argument: str, variable: Any, shape: Shape, operator: str
) -> Value:
    weight = Weight(argument, variable, (shape[0], 1))
    onnx = (
        Node("Reshape", (argument,), {}, (np.array(shape),), ("shaped",)),
        Node(operator, ("X", "shaped")),
    )
    return call(name, function, x, weights=(weight,), sizes={"C": shape[0]}, onnx=onnx)


def _rms(layer: Any, rows: Value) -> Value:
    epsilon = float(layer.epsilon)
    onnx = nodes(
        "Mul X X > squares",
        "ReduceMean squares > mean",
        f"Add mean {epsilon} > more",
        "Sqrt more > root",
        "Div X root",
    )
    return call(layer.name, "rms_normal", rows, sizes={"epsilon": epsilon}, onnx=onnx)


def _trailing(x: Value, axes: Shape) -> Shape:
    return tuple(range(len(x.shape)))[-len(axes) :]
