"""How the last layers of a network are read: what it predicts, and its loss."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras

from keras2dml.caffe.network import Network, named, reads
from keras2dml.rules import Refusal

FULL, VALID, BATCH_SIZE, NONE = range(4)
"""Caffe's normalizations of a loss."""


@reads("Softmax")
def softmax(network: Network, layer: Any, inputs: Sequence[Any]) -> Any:
    """Over the channels."""
    return keras.layers.Softmax(axis=layer.softmax_param.axis, name=layer.name)(inputs[0])


@reads("SoftmaxWithLoss")
def softmax_with_loss(network: Network, layer: Any, inputs: Sequence[Any]) -> Any:
    """The model's output are the probabilities; of images they lie along the last axis."""
    x = inputs[0]
    if layer.softmax_param.axis != 1:
        told = f"{named(layer)} has axis: {layer.softmax_param.axis}. Classes are axis 1."
        raise Refusal(told)
    normalization = _normalization(layer)
    if normalization == BATCH_SIZE and len(x.shape) > 2:
        told = f"{named(layer)} has normalization: BATCH_SIZE over an image. Use VALID or NONE."
        raise Refusal(told)
    if len(x.shape) > 2:
        x = keras.layers.Permute((*range(2, len(x.shape)), 1), name=f"{layer.name}_last")(x)
    network.output = keras.layers.Softmax(name=layer.name)(x)
    reduction = "sum" if normalization == NONE else "sum_over_batch_size"
    network.loss = keras.losses.SparseCategoricalCrossentropy(reduction=reduction)
    network.loss_weight = _loss_weight(layer)
    return network.output


@reads("EuclideanLoss")
def euclidean_loss(network: Network, layer: Any, inputs: Sequence[Any]) -> Any:
    """Half of the squared distance, in the mean over the examples."""
    x = inputs[0]
    network.output = x
    network.loss = keras.losses.MeanSquaredError()
    network.loss_weight = _loss_weight(layer) * math.prod(x.shape[1:]) / 2
    return x


def _normalization(layer: Any) -> int:
    own = layer.loss_param
    return int(own.normalization) if own.HasField("normalization") else VALID


def _loss_weight(layer: Any) -> float:
    return float(layer.loss_weight[0]) if len(layer.loss_weight) else 1.0
