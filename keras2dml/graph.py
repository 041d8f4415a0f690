"""The layer graph between Keras and DML: values, weights and calls, all frozen.

DML knows matrices only, and stores an image as one row in C,H,W order, while Keras flattens H,W,C.
So every value and every weight carries which Keras element sits in which DML cell. Nobody else
needs to know.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

Shape = tuple[int, ...]
Scalar = int | float


@dataclass(frozen=True, eq=False)
class Value:
    """One tensor of the model, a DML matrix with a row for each example.

    `shape` is Keras' shape of one example, `stored` the shape in which a DML row holds it, and
    `order[j]` the position in Keras' flattened example of the element in DML column j.
    """

    name: str
    shape: Shape
    stored: Shape
    order: np.ndarray

    @classmethod
    def transposed(cls, name: str, shape: Shape, axes: Shape) -> Value:
        """A value whose DML row is Keras' example with its axes in the order `axes`."""
        order = np.arange(math.prod(shape)).reshape(shape).transpose(axes)
        return cls(name, shape, order.shape, order.ravel())

    @classmethod
    def vector(cls, name: str, size: int) -> Value:
        """A value of rank 1, in Keras' own order."""
        return cls.transposed(name, (size,), (0,))

    @property
    def in_keras_order(self) -> bool:
        """Whether a DML row is Keras' flattened example as it is."""
        return np.array_equal(self.order, np.arange(self.size)) and self.stored == self.shape

    def as_keras(self, matrix: np.ndarray) -> np.ndarray:
        """Rows as DML stores them, (N, D), as Keras' tensor (N, *shape)."""
        return matrix[:, self.order.argsort()].reshape(len(matrix), *self.shape)

    def as_stored(self, tensor: np.ndarray) -> np.ndarray:
        """The inverse of `as_keras`."""
        return tensor.reshape(len(tensor), self.size)[:, self.order]

    @property
    def size(self) -> int:
        """The number of elements of one example, and of columns of the DML matrix."""
        return math.prod(self.shape)


@dataclass(frozen=True, eq=False)
class Weight:
    """One variable of a layer: in Keras of `shape`, in DML a matrix of `matrix` cells.

    The DML tensor is Keras' with its axes in the order `axes` (of shape `stored`) and, where `rows`
    is given, its first axis gathered by it. `argument` is what the DML functions of its layer call
    it, `role` what Keras does; the reader adds the variable's name in the script and its position
    in `model.weights`.
    """

    argument: str
    role: str
    shape: Shape
    axes: Shape
    matrix: tuple[int, int]
    rows: np.ndarray | None = None
    layer: str = ""
    name: str = ""
    position: int = -1
    trainable: bool = True

    @property
    def stored(self) -> Shape:
        """The shape of the DML tensor, of which the matrix is a view."""
        return tuple(self.shape[axis] for axis in self.axes)

    def to_dml(self, variable: np.ndarray) -> np.ndarray:
        """Keras' variable of `shape` as the DML matrix, in float64."""
        tensor = np.asarray(variable, dtype=np.float64).transpose(self.axes)
        return np.ascontiguousarray(tensor if self.rows is None else tensor[self.rows]).reshape(
            self.matrix
        )

    def to_keras(self, matrix: np.ndarray) -> np.ndarray:
        """The inverse of `to_dml`."""
        tensor = np.asarray(matrix).reshape(self.stored)
        if self.rows is not None:
            scattered = np.empty_like(tensor)
            scattered[self.rows] = tensor
            tensor = scattered
        return np.ascontiguousarray(tensor.transpose(np.argsort(self.axes)))


@dataclass(frozen=True)
class Node:
    """The ONNX operator that computes what a call does, on tensors stored as DML stores them."""

    operator: str
    attributes: Mapping[str, object] = field(default_factory=dict)
    constants: tuple[np.ndarray, ...] = ()


@dataclass(frozen=True, eq=False)
class Call:
    """One step of the model: the functions `<function>_forward`, `_backward` and `_gradients` of
    the DML library.

    Their arguments are bound by name: X is the input, `weights` and `sizes` bring the rest. `onnx`
    is the same step as an ONNX operator, None where it does nothing at prediction (as in
    `training_only` calls).
    """

    function: str
    inputs: tuple[Value, ...]
    output: Value
    layer: str
    weights: tuple[Weight, ...] = ()
    sizes: Mapping[str, Scalar] = field(default_factory=dict)
    onnx: Node | None = None
    training_only: bool = False


@dataclass(frozen=True, eq=False)
class Graph:
    """A model: its input, the calls in an order in which they can run, and its output."""

    name: str
    input: Value
    calls: tuple[Call, ...]
    output: Value

    def weights(self) -> Iterator[Weight]:
        """Every weight once, in the order in which the calls use them."""
        seen: set[str] = set()
        for call in self.calls:
            for weight in call.weights:
                if weight.name not in seen:
                    seen.add(weight.name)
                    yield weight

    def producer(self, value: Value) -> Call | None:
        """The call that makes `value`; None for the input."""
        return next((call for call in self.calls if call.output is value), None)
