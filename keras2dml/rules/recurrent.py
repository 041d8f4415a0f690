"""Recurrent layers: SimpleRNN, LSTM and GRU, one way or both."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from keras2dml.graph import Constant, Node, Scalar, Value, Weight
from keras2dml.rules import Refusal, call, lowered, lowers, named, result
from keras2dml.rules.core import dropped
from keras2dml.rules.layouts import flipped, in_keras_order
from keras2dml.rules.merging import joined, pairwise, rescaled

# Keras' activation: its number in `gate` of recurrent.dml, and what ONNX calls it.
ACTIVATIONS: dict[Any, tuple[int, str]] = {
    keras.activations.linear: (0, "Affine"),
    keras.activations.tanh: (1, "Tanh"),
    keras.activations.sigmoid: (2, "Sigmoid"),
    keras.activations.relu: (3, "Relu"),
    keras.activations.hard_sigmoid: (4, "HardSigmoid"),
    keras.activations.softsign: (5, "Softsign"),
    keras.activations.elu: (6, "Elu"),
}
# The numbers that some of ONNX' activations take.
ALPHA = {"Affine": 1.0, "HardSigmoid": 1 / 6, "Elu": 1.0}
BETA = {"Affine": 0.0, "HardSigmoid": 0.5}

HONOURED = (
    "units activation recurrent_activation use_bias unit_forget_bias return_sequences return_state"
    " go_backwards unroll reset_after dropout seed zero_output_for_mask"
)


@lowers(keras.layers.SimpleRNN, honours=HONOURED)
def simple_rnn(
    layer: keras.layers.SimpleRNN, x: Value, initial_state: Any = None
) -> tuple[Value, ...]:
    """One state, which is also what comes out."""
    (activation, operator), bias = _activation(layer, layer.activation), _bias(layer, 1)
    return _recurrent(
        layer,
        "simple_rnn",
        x,
        _states(layer, initial_state, 1),
        weights=_weights(layer, 1),
        bias=bias,
        kinds={"activation": activation},
        onnx=("RNN", {**_activations(operator)}),
    )


@lowers(keras.layers.LSTM, honours=HONOURED)
def lstm(layer: keras.layers.LSTM, x: Value, initial_state: Any = None) -> tuple[Value, ...]:
    """A state and a memory cell; Keras' gates input, forget, candidate and output are put in ONNX'
    order.
    """
    order = np.arange(4 * layer.units).reshape(4, -1)[[0, 3, 1, 2]].ravel()
    activation, operator = _activation(layer, layer.activation)
    opening, opener = _activation(layer, layer.recurrent_activation)
    return _recurrent(
        layer,
        "lstm",
        x,
        _states(layer, initial_state, 2),
        weights=_weights(layer, 4, order),
        bias=_bias(layer, 4, order),
        kinds={"activation": activation, "recurrent_activation": opening},
        onnx=("LSTM", _activations(opener, operator, operator)),
    )


@lowers(keras.layers.GRU, honours=HONOURED)
def gru(layer: keras.layers.GRU, x: Value, initial_state: Any = None) -> tuple[Value, ...]:
    """One state, which the gates update and reset; the reset before or after the kernel."""
    activation, operator = _activation(layer, layer.activation)
    opening, opener = _activation(layer, layer.recurrent_activation)
    after = bool(layer.reset_after)
    return _recurrent(
        layer,
        "gru" if after else "gru_reset_before",
        x,
        _states(layer, initial_state, 1),
        weights=_weights(layer, 3),
        bias=_bias(layer, 3, several=after),
        kinds={"activation": activation, "recurrent_activation": opening},
        onnx=("GRU", {**_activations(opener, operator), "linear_before_reset": int(after)}),
    )


@lowers(keras.layers.Bidirectional, honours="layer backward_layer merge_mode")
def bidirectional(
    layer: keras.layers.Bidirectional, x: Value, initial_state: Any = None
) -> tuple[Value, ...]:
    """A layer that reads forwards and one that reads backwards, and what they make as one."""
    given = list(initial_state or ())
    half = len(given) // 2
    ahead, *states = lowered(layer.forward_layer, x, initial_state=given[:half] or None)
    back, *others = lowered(layer.backward_layer, x, initial_state=given[half:] or None)
    if layer.return_sequences:
        back = flipped(back, 0)
    if layer.merge_mode is None:
        return (ahead, back, *states, *others)
    if layer.merge_mode == "concat":
        merged = joined(layer, ahead, back, len(ahead.shape) - 1)
    elif layer.merge_mode == "mul":
        merged = pairwise(layer, ahead, back, "multiply", "Mul")
    else:
        merged = pairwise(layer, ahead, back, "add", "Add")
    if layer.merge_mode == "ave":
        merged = rescaled(layer, merged, 0.5, 0.0)
    return (merged, *states, *others)


def _recurrent(
    layer: Any,
    function: str,
    x: Value,
    states: tuple[Value, ...],
    *,
    weights: tuple[Weight, ...],
    bias: Weight | Constant,
    kinds: dict[str, int],
    onnx: tuple[str, dict[str, object]],
) -> tuple[Value, ...]:
    """What comes out, and the last states if they are asked for; `onnx` is the operator and its
    attributes.
    """
    x = in_keras_order(layer, x)
    # What is left out of an example is so at all of its steps.
    x = dropped(layer, x.seen_as(x.shape, x.shape), layer.dropout, (1, None))
    steps, units = x.shape[0], layer.units
    names = ("hidden", "cell")[: 2 if function == "lstm" else 1]
    state = Value.of((units,), rows=x.rows)
    # Without states given, one row of zeros is the state of all examples.
    empty = () if states else tuple(Constant(name, np.zeros((1, units))) for name in "YZ")
    learned = isinstance(bias, Weight)
    first: dict[str, Scalar] = {"first": 1, "stride": 1}
    if layer.go_backwards:
        first = {"first": steps, "stride": -1}
    out = call(
        layer,
        function,
        x,
        *states,
        to=Value.of((steps, units), rows=x.rows),
        others=dict.fromkeys(names, state),
        weights=(*weights, bias) if isinstance(bias, Weight) else weights,
        constants=(*empty[: len(names)], *(() if isinstance(bias, Weight) else (bias,))),
        sizes={"T": steps, **first, **kinds},
        onnx=_nodes(layer, steps, bool(states), learned, names, *onnx),
    )
    last = tuple(result(out, name, state) for name in names)
    shown = out if layer.return_sequences else last[0]
    return (shown, *last) if layer.return_state else (shown,)


def _states(layer: Any, given: Any, count: int) -> tuple[Value, ...]:
    """The states before the first step, as they were given in the call."""
    states = [given] if isinstance(given, Value) else list(given or ())
    if not all(isinstance(state, Value) for state in states) or len(states) not in (0, count):
        message = (
            f"{named(layer)} has an initial_state that is not the output of layers: give {count}"
            " of these, or leave it out."
        )
        raise Refusal(message)
    return tuple(in_keras_order(layer, state) for state in states)


def _weights(layer: Any, gates: int, order: np.ndarray | None = None) -> tuple[Weight, ...]:
    """The kernels with a row for each unit of each gate, as ONNX has them."""
    inputs, units = layer.cell.kernel.shape[0], layer.units
    return (
        Weight("W", layer.cell.kernel, (gates * units, inputs), (1, 0), order),
        Weight("U", layer.cell.recurrent_kernel, (gates * units, units), (1, 0), order),
    )


def _bias(
    layer: Any, gates: int, order: np.ndarray | None = None, *, several: bool = False
) -> Weight | Constant:
    """The bias of the inputs, or zeros; where there are `several`, a column each for inputs and
    states.
    """
    size = gates * layer.units
    shape = (size, 2) if several else (1, size)
    if not layer.use_bias:
        return Constant("b", np.zeros(shape))
    return Weight("b", layer.cell.bias, shape, (1, 0) if several else None, order)


def _activation(layer: Any, function: Any) -> tuple[int, str]:
    if function not in ACTIVATIONS:
        known = ", ".join(repr(known.__name__) for known in ACTIVATIONS)
        wanted = getattr(function, "__name__", repr(function))
        message = (
            f"{named(layer)} has activation {wanted!r}. Compiled for recurrent layers are {known}:"
            " use one of these."
        )
        raise Refusal(message)
    return ACTIVATIONS[function]


def _activations(*operators: str) -> dict[str, object]:
    alpha = [ALPHA[operator] for operator in operators if operator in ALPHA]
    beta = [BETA[operator] for operator in operators if operator in BETA]
    given = {"activation_alpha": alpha, "activation_beta": beta}
    return {"activations": operators, **{name: values for name, values in given.items() if values}}


def _nodes(
    layer: Any,
    steps: int,
    begun: bool,
    biased: bool,
    names: tuple[str, ...],
    operator: str,
    attributes: dict[str, object],
) -> tuple[Node, ...]:
    """ONNX' operator with its steps first and one direction."""
    swap = {"perm": (1, 0, 2)}
    first, second = (np.array([0]),), (np.array([1]),)
    backwards = (np.arange(steps)[::-1].copy(),)
    made = [
        Node("Transpose", ("X",), swap, (), ("steps",)),
        Node("Unsqueeze", ("W",), {}, first, ("kernel",)),
        Node("Unsqueeze", ("U",), {}, first, ("recurrent",)),
    ]
    if layer.go_backwards:
        made.append(Node("Gather", ("steps",), {"axis": 0}, backwards, ("reversed",)))
    if biased:
        made += _bias_nodes(layer)
    if begun:
        made.append(Node("Unsqueeze", ("Y",), {}, first, ("initial_h",)))
    if begun and len(names) > 1:
        made.append(Node("Unsqueeze", ("Z",), {}, first, ("initial_c",)))
    taken = (
        "reversed" if layer.go_backwards else "steps",
        "kernel",
        "recurrent",
        "bias" if biased else "",
        "",
        *(("initial_h", "initial_c")[: len(names)] if begun else ()),
    )
    outputs = ("sequence", *(f"last_{name}" for name in names))
    sizes = {"hidden_size": layer.units, **attributes}
    return (
        *made,
        Node(operator, taken, sizes, (), outputs),
        Node("Squeeze", ("sequence",), {}, second, ("made",)),
        Node("Transpose", ("made",), swap),
        *(Node("Squeeze", (f"last_{name}",), {}, first, (name,)) for name in names),
    )


def _bias_nodes(layer: Any) -> list[Node]:
    """ONNX' bias: that of the inputs, then that of the states, which only GRU has."""
    if len(layer.cell.bias.shape) > 1:
        flat = (np.array([1, -1]),)
        return [
            Node("Transpose", ("b",), {"perm": (1, 0)}, (), ("biases",)),
            Node("Reshape", ("biases",), {}, flat, ("bias",)),
        ]
    zeros = (np.zeros(layer.cell.bias.shape[0], np.float32),)
    return [
        Node("Concat", ("b",), {"axis": 0}, zeros, ("biases",)),
        Node("Unsqueeze", ("biases",), {}, (np.array([0]),), ("bias",)),
    ]
