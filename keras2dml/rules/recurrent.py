"""Recurrent layers: SimpleRNN, LSTM, GRU, and RNN with their cells."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Self

import keras
import numpy as np

from keras2dml.graph import Constant, Node, Scalar, Value, Weight
from keras2dml.rules import Refusal, call, lowers, named, result
from keras2dml.rules.core import dropped
from keras2dml.rules.layouts import flipped, gathered, in_keras_order
from keras2dml.rules.masks import without
from keras2dml.rules.recurrent_nodes import activations, recurrent_nodes

# Keras' activation: its number in `gate` of recurrent.dml, and its name in ONNX.
ACTIVATIONS: dict[Any, tuple[int, str]] = {
    keras.activations.linear: (0, "Affine"),
    keras.activations.tanh: (1, "Tanh"),
    keras.activations.sigmoid: (2, "Sigmoid"),
    keras.activations.relu: (3, "Relu"),
    keras.activations.hard_sigmoid: (4, "HardSigmoid"),
    keras.activations.softsign: (5, "Softsign"),
    keras.activations.elu: (6, "Elu"),
}

HONOURED = (
    "units activation recurrent_activation use_bias unit_forget_bias return_sequences return_state"
    " go_backwards unroll reset_after dropout recurrent_dropout seed zero_output_for_mask cell"
)
CELLS = (keras.layers.SimpleRNNCell, keras.layers.LSTMCell, keras.layers.GRUCell)


@dataclass(frozen=True)
class Reading:
    """How a layer reads a sequence, and what it returns."""

    layer: Any
    sequences: bool
    backwards: bool
    zeroed: bool

    @classmethod
    def of(cls, layer: Any) -> Self:
        """From a Keras layer."""
        zeroed = bool(layer.zero_output_for_mask)
        return cls(layer, layer.return_sequences, layer.go_backwards, zeroed)


@lowers(
    keras.layers.SimpleRNN,
    keras.layers.LSTM,
    keras.layers.GRU,
    keras.layers.RNN,
    honours=HONOURED,
    partly="activation recurrent_activation cell",
    masks=True,
)
def recurrent(
    layer: keras.layers.RNN, x: Value, initial_state: Any = None, mask: Any = None
) -> tuple[Value, ...]:
    """At each step one cell after another; also returns the states of all cells if requested.
    Masked steps change no state; without initial states Keras uses an attached mask.
    """
    masks = (mask, mask) if mask is not None else (x.mask, x.recorded)
    x = x.with_masks(mask if initial_state else masks[0], None)
    stacked = type(layer.cell) is keras.layers.StackedRNNCells
    cells = layer.cell.cells if stacked else (layer.cell,)
    states = states_of(layer, initial_state, sum(map(_state_count, cells)))
    reading, last = Reading.of(layer), []
    for number, cell in enumerate(cells):
        count = _state_count(cell)
        begun, states = states[:count], states[count:]
        shows = number == len(cells) - 1
        way = reading if shows else replace(reading, sequences=True, zeroed=False)
        out, *after = RULES[type(cell)](way, cell, x, begun)
        last += after
        if not shows:
            steps = flipped(x.mask, 0) if x.mask and reading.backwards else x.mask
            x, reading = out.with_masks(steps, None), replace(reading, backwards=False)
    output = out.with_masks(*(masks if layer.return_sequences else (None, None)))
    return (output, *last) if layer.return_state else (output,)


@lowers(*CELLS, keras.layers.StackedRNNCells)
def cell(layer: Any, *inputs: Value) -> Value:
    """A cell outside of RNN, which is refused."""
    message = f"{named(layer)} is a cell, which computes one step: put it into RNN."
    raise Refusal(message)


def _simple_rnn(way: Reading, cell: Any, x: Value, states: tuple[Value, ...]) -> tuple[Value, ...]:
    """One state, which is also the output."""
    (activation, operator), bias = activation_of(way.layer, cell.activation), _bias(cell, 1)
    weights, kinds = _weights(cell, 1), {"activation": activation}
    onnx = "RNN", activations(operator)
    return _read(way, cell, "simple_rnn", x, states, weights, bias, kinds, onnx)


def _lstm(way: Reading, cell: Any, x: Value, states: tuple[Value, ...]) -> tuple[Value, ...]:
    """A state and a memory cell; Keras' gates input, forget, candidate and output are reordered for
    ONNX.
    """
    order = np.arange(4 * cell.units).reshape(4, -1)[[0, 3, 1, 2]].ravel()
    activation, operator = activation_of(way.layer, cell.activation)
    opening, opener = activation_of(way.layer, cell.recurrent_activation)
    weights, bias = _weights(cell, 4, order), _bias(cell, 4, order)
    kinds = {"activation": activation, "recurrent_activation": opening}
    onnx = "LSTM", activations(opener, operator, operator)
    return _read(way, cell, "lstm", x, states, weights, bias, kinds, onnx)


def _gru(way: Reading, cell: Any, x: Value, states: tuple[Value, ...]) -> tuple[Value, ...]:
    """One state with gates update and reset; the reset is before or after the kernel."""
    activation, operator = activation_of(way.layer, cell.activation)
    opening, opener = activation_of(way.layer, cell.recurrent_activation)
    after = bool(cell.reset_after)
    weights, bias = _weights(cell, 3), _bias(cell, 3, several=after)
    kinds = {"activation": activation, "recurrent_activation": opening}
    onnx = "GRU", {**activations(opener, operator), "linear_before_reset": int(after)}
    function = "gru" if after else "gru_reset_before"
    return _read(way, cell, function, x, states, weights, bias, kinds, onnx)


RULES: dict[type, Callable[..., tuple[Value, ...]]] = dict(
    zip(CELLS, (_simple_rnn, _lstm, _gru), strict=True)
)


def _read(
    way: Reading,
    cell: Any,
    function: str,
    x: Value,
    states: tuple[Value, ...],
    weights: tuple[Weight, ...],
    bias: Weight | Constant,
    kinds: dict[str, int],
    onnx: tuple[str, dict[str, object]],
) -> tuple[Value, ...]:
    """The output and the last states; `onnx` is the operator with its attributes.

    Masks and recurrent_dropout use another function of the library.
    """
    layer, mask = way.layer, x.mask
    x = in_keras_order(layer.name, without(x))
    # Dropout is the same for all steps of an example.
    x = dropped(layer.name, x.seen_as(x.shape, x.shape), cell.dropout, (1, None))
    steps, units = x.shape[0], cell.units
    names = ("hidden", "cell")[: _state_count(cell)]
    state = Value.of((units,), rows=x.rows)
    constants: tuple[Constant, ...] = () if isinstance(bias, Weight) else (bias,)
    inputs = {"X": x, **dict(zip("YZ", states, strict=False))}
    if not states:  # a row of zeros is the state of all examples
        constants += tuple(Constant(name, np.zeros((1, units))) for name in "YZ"[: len(names)])
    sizes: dict[str, Scalar] = {"T": steps, "first": 1, "stride": 1, **kinds}
    if way.backwards:
        sizes |= {"first": steps, "stride": -1}
    drops = cell.recurrent_dropout > 0
    if mask is not None or drops:
        sizes |= {"masked": mask is not None, "zeroed": way.zeroed, "dropping": drops}
        extra = {
            "M": mask and in_keras_order(layer.name, mask),
            "R": _left_over(cell, layer.name, x),
        }
        inputs |= {name: value for name, value in extra.items() if value is not None}
        absent = [name for name, value in extra.items() if value is None]
        constants += tuple(Constant(name, np.ones((1, 1))) for name in absent)
    biased = isinstance(bias, Weight)
    nodes = recurrent_nodes(cell, steps, bool(states), biased, way.backwards, names, *onnx)
    out = call(
        layer.name,
        function if mask is None else f"{function}_masked",
        *inputs.values(),
        to=Value.of((steps, units), rows=x.rows),
        others=dict.fromkeys(names, state),
        weights=(*weights, bias) if isinstance(bias, Weight) else weights,
        constants=constants,
        sizes=sizes,
        onnx=nodes if mask is None else (),
        training=f"{function}_masked" if drops else None,
        untrained=_untrained(layer, cell),
        arguments=tuple(inputs),
    )
    last = tuple(result(out, name, state) for name in names)
    return (out if way.sequences else _last(way, out, last, mask), *last)


def _last(way: Reading, out: Value, states: tuple[Value, ...], mask: Value | None) -> Value:
    """The output after the last step: the state, unless a mask changes that."""
    if mask is None:
        return states[0]
    steps, units = out.shape
    columns = np.arange((steps - 1) * units, steps * units)
    return gathered(way.layer.name, out, columns, Value.of((units,), rows=out.rows))


def _left_over(cell: Any, name: str, x: Value) -> Value | None:
    """The mask of recurrent_dropout for each state and gate in training; None without it."""
    if not cell.recurrent_dropout:
        return None
    columns = cell.recurrent_kernel.shape[1]
    row = np.ones((1, columns), np.float32)
    onnx = (
        Node("Reshape", ("X",), {}, (np.array([0, -1]),), ("flat",)),
        Node("ReduceSum", ("flat",), {"keepdims": 1}, (np.array([1]),), ("sum",)),
        Node("Mul", ("sum",), {}, (np.array(0, np.float32),), ("zero",)),
        Node("Add", ("zero",), {}, (row,)),
    )
    sizes = {"columns": columns, "rate": float(cell.recurrent_dropout)}
    to = Value.of((columns,), rows=x.rows)
    return call(name, "ones", x, to=to, sizes=sizes, onnx=onnx, training="left_over", constant=True)


def _untrained(layer: Any, cell: Any) -> str:
    """Why a layer is not trained, if its dropout differs between gates."""
    if not (cell.dropout and getattr(cell, "implementation", 2) == 1):
        return ""
    return (
        f"{named(layer)} has dropout besides recurrent_dropout, or implementation=1, and so drops"
        " other inputs for each gate. It is compiled for scoring only; to train it, leave one of"
        " the two out."
    )


def states_of(layer: Any, initial: Any, count: int) -> tuple[Value, ...]:
    """The initial states that the call was given."""
    states = [initial] if isinstance(initial, Value) else keras.tree.flatten(initial or ())
    if not all(isinstance(state, Value) for state in states) or len(states) not in (0, count):
        message = (
            f"{named(layer)} has an initial_state that is not the output of layers: give {count}"
            " such outputs, or leave it out."
        )
        raise Refusal(message)
    return tuple(in_keras_order(layer.name, without(state)) for state in states)


def _state_count(cell: Any) -> int:
    """The number of a cell's states; raises Refusal for a cell that is not compiled."""
    if type(cell) not in CELLS:
        compiled = ", ".join(kind.__name__ for kind in CELLS)
        message = (
            f"The cell {cell.name!r} ({type(cell).__name__}) is not compiled. Use one of"
            f" {compiled}, or StackedRNNCells of these."
        )
        raise Refusal(message)
    return 2 if isinstance(cell, keras.layers.LSTMCell) else 1


def _weights(cell: Any, gates: int, order: np.ndarray | None = None) -> tuple[Weight, ...]:
    """The kernels with a row for each unit of each gate, as in ONNX."""
    inputs, units = cell.kernel.shape[0], cell.units
    return (
        Weight("W", cell.kernel, (gates * units, inputs), (1, 0), order),
        Weight("U", cell.recurrent_kernel, (gates * units, units), (1, 0), order),
    )


def _bias(
    cell: Any, gates: int, order: np.ndarray | None = None, *, several: bool = False
) -> Weight | Constant:
    """The bias of the inputs, or zeros; if there are `several`, one column each for inputs and
    states.
    """
    size = gates * cell.units
    shape = (size, 2) if several else (1, size)
    if not cell.use_bias:
        return Constant("b", np.zeros(shape))
    return Weight("b", cell.bias, shape, (1, 0) if several else None, order)


def activation_of(layer: Any, function: Any) -> tuple[int, str]:
    """An activation's number in the DML library and its ONNX name; raises Refusal for others."""
    if function not in ACTIVATIONS:
        names = ", ".join(repr(activation.__name__) for activation in ACTIVATIONS)
        name = getattr(function, "__name__", repr(function))
        message = (
            f"{named(layer)} has activation {name!r}, which is not compiled in recurrent layers:"
            f" use one of {names}."
        )
        raise Refusal(message)
    return ACTIVATIONS[function]
