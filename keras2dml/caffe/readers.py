"""How each layer of Caffe is read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from keras2dml.caffe.layers import (
    CaffeBatchNorm,
    CaffeFlatten,
    CaffePooling,
    CaffeScale,
    CaffeThreshold,
)
from keras2dml.caffe.network import FIRST, Blob, Network, named, reads
from keras2dml.rules import Refusal

Pair = tuple[int, int]
ELTWISE = (keras.layers.Multiply, keras.layers.Add, keras.layers.Maximum)
"""In the order of Caffe's enumeration."""


@reads("InnerProduct")
def inner_product(network: Network, layer: Any, inputs: Sequence[Any]) -> Any:
    """A Dense layer over all of an example."""
    own = layer.inner_product_param
    x = inputs[0]
    if len(x.shape) > 2:
        x = CaffeFlatten(name=f"{layer.name}_flat")(x)
    weight, bias = network.regularizers(layer)
    dense = keras.layers.Dense(
        own.num_output,
        use_bias=own.bias_term,
        name=layer.name,
        kernel_initializer=filled(layer, own.weight_filler),
        bias_initializer=filled(layer, own.bias_filler),
        kernel_regularizer=weight,
        bias_regularizer=bias,
    )
    out = dense(x)
    size, count = x.shape[1], own.num_output
    blobs: list[Blob] = [(dense.kernel, (count, size), (1, 0))]
    if own.bias_term:
        blobs.append((dense.bias, (count,), (0,)))
    network.learns(layer, blobs)
    return out


@reads("Convolution")
def convolution(network: Network, layer: Any, inputs: Sequence[Any]) -> Any:
    """A Conv2D of an image that is padded on all sides."""
    own = layer.convolution_param
    pad = _pair(own, "pad", 0)
    x = inputs[0]
    if any(pad):
        around = keras.layers.ZeroPadding2D(pad, data_format=FIRST, name=f"{layer.name}_pad")
        x = around(x)
    dilation = _pair(own, "dilation", 1)
    made = keras.layers.Conv2D(
        own.num_output,
        strides=_pair(own, "stride", 1),
        dilation_rate=dilation,
        groups=own.group,
        **_filters(network, layer),
    )
    out = made(x)
    height, width, channels, filters = made.kernel.shape
    blobs: list[Blob] = [(made.kernel, (filters, channels, height, width), (2, 3, 1, 0))]
    if own.bias_term:
        blobs.append((made.bias, (filters,), (0,)))
    network.learns(layer, blobs)
    return out


@reads("Deconvolution")
def deconvolution(network: Network, layer: Any, inputs: Sequence[Any]) -> Any:
    """A Conv2DTranspose of which the padding is cut off."""
    own = layer.convolution_param
    if own.group != 1 or set(own.dilation) - {1}:
        told = f"{named(layer)} has group or dilation. Compiled is 1: leave them out."
        raise Refusal(told)
    made = keras.layers.Conv2DTranspose(
        own.num_output, strides=_pair(own, "stride", 1), **_filters(network, layer)
    )
    out = made(inputs[0])
    pad = _pair(own, "pad", 0)
    if any(pad):
        out = keras.layers.Cropping2D(pad, data_format=FIRST, name=f"{layer.name}_cut")(out)
    height, width, filters, channels = made.kernel.shape
    blobs: list[Blob] = [(made.kernel, (channels, filters, height, width), (2, 3, 1, 0))]
    if own.bias_term:
        blobs.append((made.bias, (filters,), (0,)))
    network.learns(layer, blobs)
    return out


@reads("Pooling")
def pooling(network: Network, layer: Any, inputs: Sequence[Any]) -> Any:
    """The largest or the mean of windows, or of all."""
    own = layer.pooling_param
    if own.pool > 1:
        told = f"{named(layer)} has pool: STOCHASTIC. Compiled are MAX and AVE: use one of these."
        raise Refusal(told)
    kind = ("MAX", "AVE")[own.pool]
    if own.global_pooling:
        made = {
            "MAX": keras.layers.GlobalMaxPooling2D,
            "AVE": keras.layers.GlobalAveragePooling2D,
        }[kind]
        return made(data_format=FIRST, keepdims=True, name=layer.name)(inputs[0])
    kernel, pad = _sides(own, "kernel", "kernel_size"), _sides(own, "pad", "pad")
    if pad[0] >= kernel[0] or pad[1] >= kernel[1]:
        told = f"{named(layer)} has a pad as large as its kernel: make it smaller."
        raise Refusal(told)
    strides = _sides(own, "stride", "stride")
    return CaffePooling(kind, kernel, strides, pad, name=layer.name)(inputs[0])


@reads("BatchNorm")
def batch_norm(network: Network, layer: Any, inputs: Sequence[Any]) -> Any:
    """By moving statistics; in training by those of the batch."""
    own = layer.batch_norm_param
    if own.use_global_stats:
        told = f"{named(layer)} has use_global_stats: true. It follows the phase: leave it out."
        raise Refusal(told)
    made = CaffeBatchNorm(own.moving_average_fraction, own.eps, name=layer.name)
    out = made(inputs[0])
    size = (inputs[0].shape[1],)
    statistics: list[Blob] = [(made.moving_mean, size, (0,)), (made.moving_variance, size, (0,))]
    network.learns(layer, [*statistics, (made.moving_count, (1,), (0,))])
    return out


@reads("Scale")
def scale(network: Network, layer: Any, inputs: Sequence[Any]) -> Any:
    """A factor for each channel, and a bias."""
    own = layer.scale_param
    if len(inputs) != 1 or own.axis != 1 or own.num_axes != 1:
        told = f"{named(layer)} scales by another input or axis. Compiled is axis: 1 of one input."
        raise Refusal(told)
    factor = filled(layer, own.filler) if own.HasField("filler") else "ones"
    fillers = [keras.initializers.get(factor), filled(layer, own.bias_filler)]
    made = CaffeScale(own.bias_term, fillers, network.regularizers(layer), name=layer.name)
    out = made(inputs[0])
    size = (inputs[0].shape[1],)
    blobs: list[Blob] = [(made.gamma, size, (0,)), (made.beta, size, (0,))]
    network.learns(layer, blobs[: 1 + own.bias_term])
    return out


@reads("Eltwise")
def eltwise(network: Network, layer: Any, inputs: Sequence[Any]) -> Any:
    """Sum, product or maximum."""
    own = layer.eltwise_param
    if set(own.coeff) - {1.0}:
        told = f"{named(layer)} has coeff: {list(own.coeff)}. Compiled is 1: leave it out."
        raise Refusal(told)
    return ELTWISE[own.operation](name=layer.name)(list(inputs))


@reads("Concat")
def concat(network: Network, layer: Any, inputs: Sequence[Any]) -> Any:
    """One after another along the channels."""
    axis = layer.concat_param.axis
    if axis == 0:
        told = f"{named(layer)} has axis: 0, the examples. Give 1 or more."
        raise Refusal(told)
    return keras.layers.Concatenate(axis=axis, name=layer.name)(list(inputs))


@reads("Flatten")
def flatten(network: Network, layer: Any, inputs: Sequence[Any]) -> Any:
    """All of an example as a row."""
    own = layer.flatten_param
    if (own.axis, own.end_axis) != (1, -1):
        told = f"{named(layer)} has an axis. Compiled is all of an example: leave it out."
        raise Refusal(told)
    return CaffeFlatten(name=layer.name)(inputs[0])


@reads("Dropout")
def dropout(network: Network, layer: Any, inputs: Sequence[Any]) -> Any:
    """As Keras does it."""
    return keras.layers.Dropout(layer.dropout_param.dropout_ratio, name=layer.name)(inputs[0])


@reads("ReLU")
def relu(network: Network, layer: Any, inputs: Sequence[Any]) -> Any:
    """With a slope below zero, if it is given one."""
    slope = layer.relu_param.negative_slope
    return keras.layers.ReLU(negative_slope=slope, name=layer.name)(inputs[0])


@reads("Sigmoid")
def sigmoid(network: Network, layer: Any, inputs: Sequence[Any]) -> Any:
    """As Keras does it."""
    return keras.layers.Activation("sigmoid", name=layer.name)(inputs[0])


@reads("TanH")
def tanh(network: Network, layer: Any, inputs: Sequence[Any]) -> Any:
    """As Keras does it."""
    return keras.layers.Activation("tanh", name=layer.name)(inputs[0])


@reads("Threshold")
def threshold(network: Network, layer: Any, inputs: Sequence[Any]) -> Any:
    """Ones and zeros."""
    return CaffeThreshold(layer.threshold_param.threshold, name=layer.name)(inputs[0])


@reads("Upsample")
def upsample(network: Network, layer: Any, inputs: Sequence[Any]) -> Any:
    """SystemML's: each element several times."""
    size = (layer.upsample_param.size_h, layer.upsample_param.size_w)
    return keras.layers.UpSampling2D(size, data_format=FIRST, name=layer.name)(inputs[0])


@reads("Padding")
def padding(network: Network, layer: Any, inputs: Sequence[Any]) -> Any:
    """SystemML's: zeros around."""
    own = layer.padding_param
    edges = ((own.top_pad, own.bottom_pad), (own.left_pad, own.right_pad))
    return keras.layers.ZeroPadding2D(edges, data_format=FIRST, name=layer.name)(inputs[0])


def filled(layer: Any, filler: Any) -> Any:
    """Keras' initializer of a filler."""
    kinds: dict[str, Any] = {
        "constant": lambda: keras.initializers.Constant(filler.value),
        "uniform": lambda: keras.initializers.RandomUniform(filler.min, filler.max),
        "gaussian": lambda: keras.initializers.RandomNormal(filler.mean, filler.std),
        "xavier": lambda: keras.initializers.VarianceScaling(1.0, "fan_in", "uniform"),
        "msra": lambda: keras.initializers.VarianceScaling(2.0, "fan_in", "untruncated_normal"),
    }
    if filler.type not in kinds:
        told = f"{named(layer)} has the filler {filler.type!r}: use one of {', '.join(kinds)}."
        raise Refusal(told)
    return kinds[filler.type]()


def _filters(network: Network, layer: Any) -> dict[str, Any]:
    """The arguments that both convolutions have."""
    own = layer.convolution_param
    weight, bias = network.regularizers(layer)
    return {
        "kernel_size": _pair(own, "kernel", 0, "kernel_size"),
        "padding": "valid",
        "data_format": FIRST,
        "use_bias": own.bias_term,
        "name": layer.name,
        "kernel_initializer": filled(layer, own.weight_filler),
        "bias_initializer": filled(layer, own.bias_filler),
        "kernel_regularizer": weight,
        "bias_regularizer": bias,
    }


def _pair(own: Any, name: str, default: int, repeated: str = "") -> Pair:
    """Height and width of what a convolution gives once, twice, or by sides."""
    if name != "dilation" and (own.HasField(f"{name}_h") or own.HasField(f"{name}_w")):
        return int(getattr(own, f"{name}_h")), int(getattr(own, f"{name}_w"))
    given = list(getattr(own, repeated or name)) or [default]
    return int(given[0]), int(given[-1])


def _sides(own: Any, name: str, both: str) -> Pair:
    """Height and width of what a pooling gives for both sides or for each."""
    if own.HasField(f"{name}_h") or own.HasField(f"{name}_w"):
        return int(getattr(own, f"{name}_h")), int(getattr(own, f"{name}_w"))
    return int(getattr(own, both)), int(getattr(own, both))
