"""InnerProduct: a Dense layer over all axes from a given one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras

from keras2dml.caffe.fillers import filled
from keras2dml.caffe.layers.shapes import CaffeFlatten
from keras2dml.caffe.network import Network, axis_of, reads
from keras2dml.caffe.weights import Blob


@reads("InnerProduct")
def inner_product(network: Network, layer: Any, inputs: Sequence[Any]) -> Any:
    """A Dense layer along the last axis, into which all axes from `axis` are flattened."""
    param, x = layer.inner_product_param, inputs[0]
    axis = axis_of(layer, param.axis, x)
    size, count = math.prod(x.shape[axis:]), param.num_output
    if axis == 1 and len(x.shape) > 2:
        x = CaffeFlatten(name=network.reserve_name(layer, "_flat"))(x)
    elif axis < len(x.shape) - 1:
        shape = (*x.shape[1:axis], size)
        x = keras.layers.Reshape(shape, name=network.reserve_name(layer, "_flat"))(x)
    shape = (size, count) if param.transpose else (count, size)
    weight, bias = network.regularizers(layer)
    keras_layer = network.sharing.keras_layer(
        layer,
        1 + param.bias_term,
        lambda: keras.layers.Dense(
            count,
            use_bias=param.bias_term,
            name=network.reserve_name(layer),
            kernel_initializer=filled(layer, param.weight_filler, shape),
            bias_initializer=filled(layer, param.bias_filler, (count,)),
            kernel_regularizer=weight,
            bias_regularizer=bias,
        ),
    )
    out = keras_layer(x)
    blobs = [Blob(keras_layer.kernel, shape, (0, 1) if param.transpose else (1, 0))]
    if param.bias_term:
        blobs.append(Blob(keras_layer.bias, (count,), (0,)))
    network.add_blobs(layer, blobs)
    return out
