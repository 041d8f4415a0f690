"""ConvLSTM: an LSTM with convolutions instead of matrix products."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np

from keras2dml.graph import UNFOLD, Constant, Node, Scalar, Shape, Value, Weight
from keras2dml.rules import call, lowers, named, result
from keras2dml.rules.convolution import bias_of, convolved, kernel_axes
from keras2dml.rules.layouts import arranged, folded
from keras2dml.rules.recurrent import activation_of, states_of
from keras2dml.rules.windows import Window, image, image_axes, lined, same_padding


@lowers(
    keras.layers.ConvLSTM1D,
    keras.layers.ConvLSTM2D,
    honours="filters kernel_size strides padding data_format dilation_rate activation"
    " recurrent_activation use_bias unit_forget_bias return_sequences return_state go_backwards"
    " dropout recurrent_dropout seed unroll zero_output_for_mask cell",
    partly="activation recurrent_activation",
)
def conv_lstm(layer: Any, x: Value, initial_state: Any = None) -> tuple[Value, ...]:
    """A convolution of the inputs of all steps at once, then one of the state at each step."""
    cell, steps, rank = layer.cell, x.shape[0], len(x.shape) - 1
    inputs = image(layer, folded(layer.name, x, 1))
    window = Window.of(layer, inputs, tuple(layer.kernel_size), layer.dilation_rate)
    axes, filters = kernel_axes(inputs), layer.filters
    sizes = 4 * filters, math.prod(cell.kernel.shape) // (4 * filters)
    sums = convolved(
        layer.name, inputs, window, Weight("W", cell.kernel, sizes, axes), bias_of(cell)
    )
    gates = _of_steps(layer.name, sums, steps)
    size = window.output
    cells = lined(tuple(layer.kernel_size))
    top, bottom = same_padding(size[0], cells[0], 1)
    left, right = same_padding(size[1], cells[1], 1)
    (activation, _), (opening, _) = (
        activation_of(layer, function) for function in (cell.activation, cell.recurrent_activation)
    )
    scalars: dict[str, Scalar] = {
        **{"T": steps, "F": filters, "H": size[0], "W": size[1]},
        **{"Hf": cells[0], "Wf": cells[1]},
        **{"top": top, "left": left, "bottom": bottom, "right": right},
        **{"first": steps if layer.go_backwards else 1, "stride": -1 if layer.go_backwards else 1},
        **{"activation": activation, "recurrent_activation": opening},
    }
    state = _state(layer, filters, size[3 - rank :], x.rows)
    begun = tuple(
        arranged(layer.name, value, state) for value in states_of(layer, initial_state, 2)
    )
    empty = tuple(Constant(name, np.zeros((1, state.size))) for name in "YZ")
    recurrent = cell.recurrent_kernel
    matrix = (4 * filters, math.prod(recurrent.shape) // (4 * filters))
    out = call(
        layer.name,
        "conv_lstm",
        gates,
        *begun,
        to=_sequence(layer, state, steps),
        others={"hidden": state, "cell": state},
        weights=(Weight("U", recurrent, matrix, axes),),
        constants=() if begun else empty,
        sizes=scalars,
        untrained=_untrained(layer, cell),
    )
    last = result(out, "hidden", state), result(out, "cell", state)
    return (out if layer.return_sequences else last[0], *(last if layer.return_state else ()))


def _of_steps(name: str, x: Value, steps: int) -> Value:
    """The images of all steps as one row for each example, as they are stored."""
    size = x.size * steps
    stored = (steps, *x.stored)
    to = Value((size,), stored, np.arange(size), x.rows // steps)
    onnx = Node("Reshape", ("X",), {}, (np.array([-1, *stored]),))
    return call(name, UNFOLD, x, to=to, sizes={"factor": steps}, onnx=onnx)


def _state(layer: Any, filters: int, size: Shape, rows: int) -> Value:
    """An image of the layer's data format, with its channels first in DML."""
    axes = image_axes(layer.data_format, len(size) + 1)
    stored = (filters, *size)
    return Value.of(tuple(stored[axes.index(axis)] for axis in range(len(stored))), axes, rows)


def _sequence(layer: Any, state: Value, steps: int) -> Value:
    """Such images for each step."""
    axes = image_axes(layer.data_format, len(state.shape))
    return Value.of((steps, *state.shape), (0, *(axis + 1 for axis in axes)), state.rows)


def _untrained(layer: Any, cell: Any) -> str:
    if not (cell.dropout or cell.recurrent_dropout):
        return ""
    return (
        f"{named(layer)} has dropout or recurrent_dropout, and drops other elements for each gate."
        " It is compiled for scoring only; to train it, leave both out."
    )
