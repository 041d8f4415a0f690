"""Convolutions over images and sequences."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import keras
import numpy as np

from keras2dml.graph import Constant, Node, Value, Weight
from keras2dml.rules import Refusal, call, lowers, named
from keras2dml.rules.activations import activated
from keras2dml.rules.windows import Window, image, padded, sized


@lowers(
    keras.layers.Conv1D,
    keras.layers.Conv2D,
    honours="filters kernel_size strides padding dilation_rate groups data_format activation"
    " use_bias",
)
def convolution(layer: Any, x: Value) -> Value:
    """Cross-correlation with Keras' kernel (Hf, Wf, C, F), in DML (F, C * Hf * Wf).

    A dilated kernel is one with zeros between its cells, put there by a map of columns.
    """
    if layer.groups != 1:
        message = f"{named(layer)} has groups={layer.groups}. Compiled is 1: leave it out."
        raise Refusal(message)
    x = image(layer, x)
    rank = len(x.shape)
    window = Window.of(layer, x, tuple(layer.kernel_size), layer.dilation_rate)
    if not window.symmetric:
        window, x = padded(layer, window, x, fill=0.0)
    shape, filters = tuple(layer.kernel.shape), layer.filters
    axes = (rank, rank - 1, *range(rank - 1))
    kernel = Weight("W", layer.kernel, (filters, math.prod(shape[:-1])), axes)
    bias = (Weight("b", layer.bias, (filters, 1)),) if layer.use_bias else ()
    dilated = window.dilation != (1, 1)
    attributes = {**window.attributes(rank), "dilations": window.dilation[3 - rank :]}
    out = call(
        layer,
        ("conv2d" if layer.use_bias else "conv2d_unbiased") + ("_dilated" if dilated else ""),
        x,
        to=sized(layer, filters, window.output, x),
        weights=(kernel, *bias),
        constants=(_spaced(window),) if dilated else (),
        sizes={**window.sizes, "F": filters},
        onnx=Node("Conv", ("X", "W", *(weight.argument for weight in bias)), attributes),
    )
    return activated(layer, out, layer.activation)


def _spaced(window: Window) -> Constant:
    """The map from a kernel's columns to those of the same with zeros between."""
    dense = replace(window, dilation=(1, 1))
    covered = np.arange(window.channels * math.prod(window.window))
    grid = covered.reshape(window.channels, *window.window)
    columns = grid[:, :: window.dilation[0], :: window.dilation[1]].ravel()
    cells = np.column_stack([np.arange(columns.size), columns, np.ones(columns.size)])
    sizes = {"inputs": window.channels * math.prod(dense.window), "outputs": covered.size}
    return Constant("S", cells + np.array([1, 1, 0]), "sparse_map", sizes)
