"""Operations on two operands: values, numbers or arrays, on either side."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import numpy as np
from keras.src.ops import numpy as operations

from keras2dml.graph import ADD, Constant, Node, Value
from keras2dml.rules import Refusal, call, lowers, named, nodes
from keras2dml.rules.biases import check_added
from keras2dml.rules.merging import rescaled
from keras2dml.rules.operations.batches import is_whole
from keras2dml.rules.operations.operands import Operand, beside, operands, row_of, together
from keras2dml.rules.preprocessing import affine
from keras2dml.traits import KINK, Trait

TRUTHS = nodes("Equal X 0 > no_x", "Not no_x > x", "Equal Y 0 > no_y", "Not no_y > y")

# Keras' operation: the DML function of two values, and the ONNX operators. What compares is a
# constant to gradients.
COMPARISONS = {
    operations.Equal: ("equal", nodes("Equal X Y > so", "Cast so")),
    operations.NotEqual: ("not_equal", nodes("Equal X Y > so", "Not so > not", "Cast not")),
    operations.Greater: ("greater", nodes("Greater X Y > so", "Cast so")),
    operations.GreaterEqual: ("greater_equal", nodes("GreaterOrEqual X Y > so", "Cast so")),
    operations.Less: ("less", nodes("Less X Y > so", "Cast so")),
    operations.LessEqual: ("less_equal", nodes("LessOrEqual X Y > so", "Cast so")),
    operations.LogicalAnd: ("logical_and", (*TRUTHS, *nodes("And x y > so", "Cast so"))),
    operations.LogicalOr: ("logical_or", (*TRUTHS, *nodes("Or x y > so", "Cast so"))),
    operations.LogicalXor: ("logical_xor", (*TRUTHS, *nodes("Xor x y > so", "Cast so"))),
    operations.FloorDivide: ("floor_divide", nodes("Div X Y > ratio", "Floor ratio")),
}
PAIRED = {
    operations.Add: (ADD, nodes("Add X Y")),
    operations.Subtract: ("subtract", nodes("Sub X Y")),
    operations.Multiply: ("multiply", nodes("Mul X Y")),
    operations.Divide: ("divide", nodes("Div X Y")),
    operations.TrueDivide: ("divide", nodes("Div X Y")),
    operations.Power: ("power", nodes("Pow X Y")),
    operations.Maximum: ("maximum", nodes("Max X Y")),
    operations.Minimum: ("minimum", nodes("Min X Y")),
    operations.Logaddexp: (
        "logaddexp",
        nodes(
            "Max X Y > largest",
            "Sub X Y > apart",
            "Abs apart > distance",
            "Neg distance > below",
            "Exp below > power",
            "Add power 1 > more",
            "Log more > over",
            "Add largest over",
        ),
    ),
    operations.DivideNoNan: (
        "divide_no_nan",
        nodes(
            "Equal Y 0 > none",
            "Cast none > no",
            "Add Y no > divisor",
            "Div X divisor > ratio",
            "Neg no > minus",
            "Add minus 1 > yes",
            "Mul ratio yes",
        ),
    ),
}
COMMUTING = (operations.Add, operations.Multiply)
RATIOS = (operations.Divide, operations.TrueDivide)
BOUNDS = {operations.Maximum: "maximum", operations.Minimum: "minimum"}
TRAITS = dict.fromkeys((*BOUNDS, operations.Logaddexp), KINK)
ONE, NOTHING = np.array(1.0), np.array(0.0)
# What a value is multiplied by, and what is added to it, where the second operand are numbers.
SCALED: dict[Any, Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]] = {
    operations.Add: lambda y: (ONE, y),
    operations.Subtract: lambda y: (ONE, -y),
    operations.Multiply: lambda y: (y, NOTHING),
    # TensorFlow's graphs, which fit and predict run, multiply by the inverse.
    operations.Divide: lambda y: (1 / y, NOTHING),
    operations.TrueDivide: lambda y: (1 / y, NOTHING),
}


@lowers(*PAIRED, *COMPARISONS)
def paired(layer: Any, x1: Any, x2: Any) -> Value:
    """An elementwise function of two operands whose shapes are equal or broadcast."""
    if type(layer) in COMPARISONS:
        x1, x2 = _single(x1), _single(x2)
    x, y = operands(layer, x1, x2)
    if isinstance(y, Value) and not isinstance(x, Value):
        if type(layer) in COMMUTING:
            x, y = y, x
        elif type(layer) is operations.Subtract:
            return scaled(layer, y, -ONE, x)
        elif type(layer) in BOUNDS:
            return bounded(layer, BOUNDS[type(layer)], y, x, ties=0.0)
    if isinstance(x, Value) and isinstance(y, np.ndarray):
        return _with_numbers(layer, x, y)
    if type(layer) is operations.Add and isinstance(x, Value) and is_whole(y):
        _check_bias(layer, x, y)
    function, onnx = {**PAIRED, **COMPARISONS}[type(layer)]
    return call(
        layer.name,
        function,
        *together(layer, x, y),
        onnx=onnx,
        constant=type(layer) in COMPARISONS,
        traits=TRAITS.get(type(layer), ()),
    )


def _single(operand: Any) -> Any:
    """Python numbers as Keras compares them: rounded to float32."""
    return np.float32(operand) if type(operand) is float else operand


def _with_numbers(layer: Any, x: Value, y: np.ndarray) -> Value:
    """An elementwise function of a value and of numbers that are the same for all examples."""
    kind = type(layer)
    if kind in (*RATIOS, operations.FloorDivide) and (y == 0).any():
        message = f"{named(layer)} divides by 0. Give it other numbers."
        raise Refusal(message)
    if kind is operations.Add:
        _check_bias(layer, x, y)
    if kind in SCALED:
        return scaled(layer, x, *SCALED[kind](y))
    if kind is operations.Power and y.ndim == 0:
        onnx = Node("Pow", ("X",), {}, (y.astype(np.float32),))
        return call(layer.name, "power_of_number", x, sizes={"exponent": float(y)}, onnx=onnx)
    if kind in BOUNDS:
        return bounded(layer, BOUNDS[kind], x, y)
    function, onnx_of_two = {**PAIRED, **COMPARISONS}[kind]
    constant, traits = kind in COMPARISONS, TRAITS.get(kind, ())
    return _with_row(layer, function, x, y, onnx_of_two, constant=constant, traits=traits)


def _check_bias(layer: Any, x: Value, y: Operand) -> None:
    """Raise Refusal for numbers that Keras treats as a bias of the wrong axis."""
    shape = x.shape[1:] if is_whole(x) else x.shape
    check_added(layer, shape, y.shape, "repeat it to the shape of an example")


def bounded(layer: Any, function: str, x: Value, bound: np.ndarray, ties: float = 1.0) -> Value:
    """The maximum or minimum of a value and numbers. Where they are equal, the value's share of the
    gradient is `ties`: 1 or 0.
    """
    operator = {"maximum": "Max", "minimum": "Min"}[function]
    if bound.ndim == 0 and np.isfinite(bound):
        onnx = Node(operator, ("X",), {}, (bound.astype(np.float32),))
        sizes = {"number": float(bound), "ties": ties}
        function = f"{function}_of_number"
        return call(layer.name, function, x, sizes=sizes, onnx=onnx, traits=KINK)
    operators = nodes(f"{operator} X Y")
    if ties:
        return _with_row(layer, function, x, bound, operators, traits=KINK)
    x, y = together(layer, bound, x)
    return call(layer.name, function, x, y, onnx=operators, traits=KINK)


def _with_row(
    layer: Any,
    function: str,
    x: Value,
    numbers: np.ndarray,
    onnx: tuple[Node, ...],
    *,
    constant: bool = False,
    traits: Iterable[Trait] = (),
) -> Value:
    """A function of a value and of numbers that are the same for all examples, a row Y."""
    x, numbers = beside(layer, x, numbers)
    shaped = Node("Reshape", ("Y",), {}, (np.array([1, *x.stored]),), ("row",))
    later = (
        replace(node, inputs=tuple("row" if name == "Y" else name for name in node.inputs))
        for node in onnx
    )
    return call(
        layer.name,
        function,
        x,
        constants=(Constant("Y", row_of(numbers, x)),),
        onnx=(shaped, *later),
        constant=constant,
        traits=traits,
    )


def scaled(layer: Any, x: Value, scale: np.ndarray, offset: np.ndarray) -> Value:
    """All elements times `scale`, plus `offset`: numbers, or arrays that broadcast to examples."""
    if not (np.isfinite(scale).all() and np.isfinite(offset).all()):
        message = f"{named(layer)} takes infinite numbers. Give it finite ones."
        raise Refusal(message)
    if scale.ndim == offset.ndim == 0:
        return rescaled(layer.name, x, float(scale), float(offset))
    x, scale = beside(layer, x, scale)
    x, offset = beside(layer, x, offset)
    return affine(layer.name, x, np.zeros(()), scale, offset)
