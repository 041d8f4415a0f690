"""The layer graph between Keras and DML: values, weights, constants and calls, all frozen.

DML only has matrices, and stores an image as a row in C,H,W order, while Keras flattens H,W,C. So
every value and every weight knows which Keras element is in which DML cell. No other module needs
to know.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from typing import Any, Self

import numpy as np

from keras2dml.errors import InvalidGraph
from keras2dml.structure import Structure
from keras2dml.traits import Trait

Shape = tuple[int, ...]
Scalar = int | float

INPUTS = ("X", "Y", "Z")
"""The default names of a call's inputs in DML functions."""

INPUT, IDENTITY, PENALTY = "input", "identity", "activity_penalty"
"""The functions of calls that stand for an input of the model, that return their input unchanged,
and that add a penalty for their input to the loss.
"""
MAP, FOLD, UNFOLD = "linear", "fold", "unfold"
"""Those of calls that move elements or add them up, that make rows of axes, and that undo this."""
ADD, COLUMN_MEANS, SIGMOID, SOFTMAX = "add", "column_means", "sigmoid", "softmax"


@dataclass(frozen=True, eq=False)
class Value:
    """A tensor of the model, in DML a matrix with `rows` rows for each example.

    `shape` is Keras' shape of a row, `stored` the shape in DML, and `order[j]` the position in
    Keras' flattened row of the element in DML column j. `source` is the call that computes it, with
    the result name `result`. `mask` is 1 for the steps that Keras uses and 0 for others, if Keras
    attaches a mask to the tensor when the model runs; `recorded` is the mask that Keras recorded
    when the model was built.
    """

    shape: Shape
    stored: Shape
    order: np.ndarray
    rows: int = 1
    source: Call | None = None
    result: str = "out"
    mask: Value | None = None
    recorded: Value | None = None

    @classmethod
    def of(cls, shape: Shape, axes: Shape | None = None, rows: int = 1) -> Self:
        """A value whose DML row is Keras' row with the axes in the order `axes`, or unchanged."""
        axes = tuple(range(len(shape))) if axes is None else axes
        stored = tuple(shape[axis] for axis in axes)
        return cls(shape, stored, _transposed(shape, axes), rows)

    def made_by(self, call: Call, result: str = "out") -> Value:
        """A value like this one that `call` computes."""
        return replace(self, source=call, result=result)

    def with_masks(self, mask: Value | None, recorded: Value | None) -> Value:
        """The same value with these masks, or without."""
        if self.mask is mask and self.recorded is recorded:
            return self
        return replace(self, mask=mask, recorded=recorded)

    def seen_as(self, shape: Shape, stored: Shape, order: np.ndarray | None = None) -> Value:
        """The same cells with another shape, as for flattening and reshaping."""
        order = self.order if order is None else order
        return replace(self, shape=shape, stored=stored, order=order)

    @property
    def in_keras_order(self) -> bool:
        """Whether a DML row is Keras' flattened row."""
        return self.has_order(Value.of(self.shape).order)

    def has_order(self, order: np.ndarray) -> bool:
        """Whether the elements lie in this order."""
        return self.order is order or np.array_equal(self.order, order)

    def as_keras(self, matrix: np.ndarray) -> np.ndarray:
        """Rows in DML's layout, (N, D), as Keras' tensor (N, *shape)."""
        return matrix[:, self.order.argsort()].reshape(len(matrix), *self.shape)

    def as_stored(self, tensor: np.ndarray) -> np.ndarray:
        """The inverse of `as_keras`."""
        return tensor.reshape(len(tensor), self.size)[:, self.order]

    @property
    def size(self) -> int:
        """The number of elements of a row, which is the number of columns in DML."""
        return math.prod(self.shape)


@lru_cache(maxsize=256)
def _transposed(shape: Shape, axes: Shape) -> np.ndarray:
    """The order of elements of a tensor with its axes moved; cached, as models have many."""
    order = np.arange(math.prod(shape)).reshape(shape).transpose(axes).ravel()
    order.flags.writeable = False
    return order


@dataclass(frozen=True, eq=False)
class Weight:
    """A variable of a layer, in DML a matrix of shape `matrix`.

    The DML tensor is Keras' with its axes in the order `axes` and, if `rows` is given, its first
    axis gathered by it. `argument` is its name in the DML functions of its call.
    """

    argument: str
    variable: Any
    matrix: tuple[int, int]
    axes: Shape | None = None
    rows: np.ndarray | None = None

    @property
    def shape(self) -> Shape:
        """Keras' shape."""
        return tuple(self.variable.shape)

    @property
    def stored(self) -> Shape:
        """The shape of the DML tensor, which is reshaped to the matrix."""
        return tuple(self.shape[axis] for axis in self._axes)

    @property
    def _axes(self) -> Shape:
        return tuple(range(len(self.shape))) if self.axes is None else self.axes

    def to_dml(self, variable: np.ndarray) -> np.ndarray:
        """Keras' variable of `shape` as the DML matrix, in float64."""
        tensor = np.asarray(variable, dtype=np.float64).transpose(self._axes)
        gathered = tensor if self.rows is None else tensor[self.rows]
        return np.ascontiguousarray(gathered).reshape(self.matrix)

    def to_keras(self, matrix: np.ndarray) -> np.ndarray:
        """The inverse of `to_dml`."""
        tensor = np.asarray(matrix).reshape(self.stored)
        if self.rows is not None:
            tensor = tensor[np.argsort(self.rows)]
        tensor = tensor.transpose(np.argsort(self._axes))
        return np.ascontiguousarray(tensor).reshape(self.shape)

    def same_layout(self, other: Weight) -> bool:
        """Whether both say the same of one variable."""
        return (self.matrix, self.axes) == (other.matrix, other.axes) and np.array_equal(
            np.asarray(self.rows), np.asarray(other.rows)
        )


@dataclass(frozen=True, eq=False)
class Constant:
    """A matrix that a call needs and that training does not change.

    `prepared` names the library function that converts it, once per script, to what the call takes.
    """

    argument: str
    matrix: np.ndarray
    prepared: str | None = None
    sizes: Mapping[str, Scalar] = field(default_factory=dict)


@dataclass(frozen=True)
class Node:
    """An ONNX operator on tensors in DML's layout.

    `inputs` names inputs, weights and constants of the call as in its DML function, or outputs of
    earlier nodes; if empty, it takes all inputs, then all weights. `constants` come after them.
    """

    operator: str
    inputs: tuple[str, ...] = ()
    attributes: Mapping[str, object] = field(default_factory=dict)
    constants: tuple[np.ndarray, ...] = ()
    outputs: tuple[str, ...] = ("out",)


@dataclass(frozen=True, eq=False)
class Call:
    """A step of the model: the functions `<function>_forward`, `_backward` and `_gradients` of the
    DML library.

    Arguments are passed by name: `arguments` are the inputs; `weights`, `constants` and `sizes` are
    the others. `results` has the stored shape of each result, the first of which is `out`.
    `training` is the function for training, if it is another one, and `untrained` says why no model
    with this call is trained, if that is so. `onnx` is the same step for prediction as ONNX
    operators; some calls have none. A `constant` call has no backward function: its result is
    constant for gradients. `traits` is what others ask of it.
    """

    function: str
    inputs: tuple[Value, ...]
    layer: str
    results: Mapping[str, Shape]
    weights: tuple[Weight, ...] = ()
    constants: tuple[Constant, ...] = ()
    sizes: Mapping[str, Scalar] = field(default_factory=dict)
    onnx: tuple[Node, ...] = ()
    training: str | None = None
    untrained: str = ""
    arguments: tuple[str, ...] = INPUTS
    constant: bool = False
    traits: frozenset[Trait] = frozenset()


@dataclass(frozen=True, eq=False)
class Parameter:
    """A variable of the model: its name in scripts, its layer, its name in the layer, and its index
    in `model.weights`.
    """

    name: str
    weight: Weight
    layer: str
    role: str
    position: int
    trainable: bool


Named = Call | Weight | Constant


@dataclass(frozen=True, eq=False)
class Graph:
    """A model: its inputs, its calls in execution order, its outputs and parameters.

    `names` has the names in scripts of calls, including those that stand for inputs, of weights and
    of constants; a weight that two calls share has a single name. A `single` model computes in
    float32. `takes` and `gives` have the users' names of inputs and outputs.
    """

    name: str
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    calls: tuple[Call, ...]
    parameters: tuple[Parameter, ...]
    names: Mapping[Named, str]
    single: bool
    takes: Structure
    gives: Structure

    def input_name(self, value: Value) -> str:
        """The name of an input in scripts."""
        return self.names[source_of(value)]

    @cached_property
    def trained(self) -> frozenset[str]:
        """The names of the parameters that training changes."""
        return frozenset(parameter.name for parameter in self.parameters if parameter.trainable)

    def constants(self) -> Iterator[tuple[str, Constant]]:
        """All constants with their names."""
        for call in self.calls:
            for constant in call.constants:
                yield self.names[constant], constant

    @property
    def input(self) -> Value:
        """The input of a model with a single one."""
        return self.inputs[0]

    @property
    def output(self) -> Value:
        """The output of a model with a single one."""
        return self.outputs[0]


def source_of(value: Value) -> Call:
    """The call that computes a value of a graph; raises InvalidGraph if there is none."""
    if value.source is None:
        message = f"A value of shape {value.shape} is made by no call: its rule gave none."
        raise InvalidGraph(message)
    return value.source


def calls_of(outputs: tuple[Value, ...]) -> tuple[Call, ...]:
    """The calls that compute these values in execution order, without inputs."""
    order: dict[Call, None] = {}
    for output in outputs:
        pending = [source_of(output)]
        while pending:
            call = pending[-1]
            sources = (source_of(value) for value in call.inputs)
            missing = [source for source in sources if source not in order]
            if call not in order and missing:
                pending.extend(reversed(missing))
            else:
                order.setdefault(call)
                pending.pop()
    return tuple(call for call in order if call.function != INPUT)
