"""Readers of the last layers of a network: Softmax, and the losses."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras

from keras2dml.caffe.inputs import Absent
from keras2dml.caffe.layers.shapes import CaffeFlatten
from keras2dml.caffe.network import Head, Network, axis_of, reads
from keras2dml.caffe.phases import named
from keras2dml.rules import Refusal

FULL, VALID, BATCH_SIZE, NONE = range(4)
"""Caffe's normalizations of a loss."""
LOSS = Absent("a loss, one number per batch")


@reads("Softmax")
def softmax(network: Network, layer: Any, inputs: Sequence[Any]) -> Any:
    """Keras' Softmax along an axis, by default over the channels."""
    axis = axis_of(layer, layer.softmax_param.axis, inputs[0])
    out = keras.layers.Softmax(axis=axis, name=network.reserve_name(layer))(inputs[0])
    if axis == 1:
        network.probabilities.append(out)
    return out


@reads("SoftmaxWithLoss", labels=1)
def softmax_with_loss(network: Network, layer: Any, inputs: Sequence[Any]) -> Any:
    """The model's output is the probabilities; for images they are along the last axis."""
    x = inputs[0]
    if axis_of(layer, layer.softmax_param.axis, x) != 1:
        reason = f"{named(layer)} has axis: {layer.softmax_param.axis}. Classes must be axis 1."
        raise Refusal(reason)
    scores = classes_last(network, layer, x)
    places = math.prod(scores.shape[1:-1])
    normalization = _normalization(layer, VALID)
    loss = keras.losses.SparseCategoricalCrossentropy(reduction=_reduction(normalization))
    out = keras.layers.Softmax(name=network.reserve_name(layer))(scores)
    return add_loss(network, layer, out, loss, places if normalization == BATCH_SIZE else 1)


@reads("SigmoidCrossEntropyLoss", labels=1)
def sigmoid_cross_entropy(network: Network, layer: Any, inputs: Sequence[Any]) -> Any:
    """The model's output is the probabilities, one for each element."""
    x = inputs[0]
    normalization = _normalization(layer, BATCH_SIZE)
    # Keras averages along the last axis, and reduces over all others.
    factors = {BATCH_SIZE: math.prod(x.shape[1:]), NONE: x.shape[-1]}
    loss = keras.losses.BinaryCrossentropy(reduction=_reduction(normalization))
    out = keras.layers.Activation("sigmoid", name=network.reserve_name(layer))(x)
    return add_loss(network, layer, out, loss, factors.get(normalization, 1))


@reads("EuclideanLoss", labels=1)
def euclidean(network: Network, layer: Any, inputs: Sequence[Any]) -> Any:
    """Half of the squared distance, averaged over the examples."""
    x = inputs[0]
    return add_loss(network, layer, x, keras.losses.MeanSquaredError(), math.prod(x.shape[1:]) / 2)


def classes_last(network: Network, layer: Any, x: Any) -> Any:
    """Images with channels last; images of a single pixel as rows of channels."""
    if len(x.shape) > 2 and math.prod(x.shape[2:]) == 1:
        return CaffeFlatten(name=network.reserve_name(layer, "_flat"))(x)
    if len(x.shape) > 2:
        axes = (*range(2, len(x.shape)), 1)
        return keras.layers.Permute(axes, name=network.reserve_name(layer, "_last"))(x)
    return x


def add_loss(network: Network, layer: Any, out: Any, loss: Any, factor: float = 1.0) -> list[Any]:
    """Add a loss with weight `factor` times its loss_weight, unless that is 0; returns its tops,
    which are not blobs of examples.
    """
    target = network.target(layer)
    weight = factor * (layer.loss_weight[0] if len(layer.loss_weight) else 1.0)
    if weight:
        network.heads.append(Head(out, loss, weight, layer.bottom[0], target))
    return [LOSS] * len(layer.top)


def _reduction(normalization: int) -> str:
    return "sum" if normalization == NONE else "sum_over_batch_size"


def _normalization(layer: Any, default: int) -> int:
    param = layer.loss_param
    if param.HasField("normalization"):
        return int(param.normalization)
    if param.HasField("normalize"):
        return VALID if param.normalize else BATCH_SIZE
    return default
