"""Checks the number types of operations, as SystemDS only computes in float64."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
from keras.src.models import Functional
from keras.src.ops import core, nn
from keras.src.ops import numpy as operations

from keras2dml.backend import is_tensorflow
from keras2dml.keras_internals import layers_of, node_of, nodes_of, origin_of
from keras2dml.rules import named
from keras2dml.rules.operations.batches import are_whole_batches
from keras2dml.rules.operations.moving import MOVING

WHOLE = frozenset(("int32", "int64"))
FLOATS = ("float32", "float64")
EXACT = frozenset(("bool", *WHOLE, *FLOATS))
"""The types whose numbers equal those of float64, within their range and up to rounding."""
KEEPING = (*MOVING, operations.Concatenate, operations.Append, operations.Hstack, operations.Stack)
"""The operations that do not change numbers."""
CASTING = (core.Cast, core.ConvertToTensor)
PRODUCTS = (operations.Matmul, operations.Dot, operations.Tensordot, operations.Einsum)
POWERS = (operations.Square, operations.Power, operations.Prod)
OF_WHOLE = (nn.HardShrink, nn.Relu, nn.Relu6, nn.Threshold)
"""The activations that also accept integers; with others Keras fails or rounds."""
OF_BITS = (
    *(operations.Add, operations.Subtract, operations.Multiply, operations.Maximum),
    *(operations.Minimum, operations.Sum, operations.Max, operations.Amax, operations.Min),
    *(operations.Amin, operations.Abs, operations.Absolute, operations.Negative),
    *(operations.Sign, operations.Square, operations.Where, operations.Clip, nn.Relu),
    *(operations.ZerosLike, operations.OnesLike, operations.FullLike, core.StopGradient),
)
"""The operations that map integers to integers, which are exact in float32 too."""
OF_SINGLES = (
    *(operations.Equal, operations.NotEqual, operations.Greater, operations.GreaterEqual),
    *(operations.Less, operations.LessEqual, operations.Isclose, operations.Logaddexp),
    *(operations.Logaddexp2, operations.Mod, operations.Arctan2),
)
"""The operations for which Keras on TensorFlow converts Python numbers to float32, whatever the
type of the other operand.
"""
OF_ORDER = (
    *(operations.Maximum, operations.Minimum, operations.Max, operations.Amax, operations.Min),
    *(operations.Amin, operations.Abs, operations.Absolute, operations.Negative, operations.Sign),
    *(operations.Where, operations.Clip, operations.ZerosLike, operations.OnesLike),
    *(operations.Floor, operations.Ceil, operations.Trunc, nn.Relu, core.StopGradient),
)
"""The operations that round nothing in float32, if their numbers are of that type."""
SMALLEST, LARGEST = (float(limit) for limit in (np.finfo("f4").tiny, np.finfo("f4").max))


def is_exact(model: Any) -> bool:
    """Whether what is rounded to float32 matters: floatx is float64, or some of what the model, or
    function, computes.
    """
    if are_whole_batches():
        return False
    return keras.config.floatx() == "float64" or of_doubles(model)


def of_doubles(model: Any) -> bool:
    """Whether something between the inputs and outputs of a model, or function, is float64."""
    nodes = (node for node in nodes_of(model) if not node.is_input)
    return any(str(tensor.dtype) == "float64" for node in nodes for tensor in node.output_tensors)


def complaints(operation: Any, node: Any, *, exact: bool) -> Iterator[str]:
    """Complaints about the types of an operation's results, which `node` has, in a model that
    `is_exact`.
    """
    input_kinds = {str(tensor.dtype) for tensor in node.input_tensors}
    kinds = {str(tensor.dtype) for tensor in node.output_tensors}
    if "float64" not in input_kinds | kinds:
        yield from _beyond_singles(operation, node)
    if isinstance(operation, CASTING):
        if "float32" in kinds and ("float64" in input_kinds or (exact and input_kinds & WHOLE)):
            kind = "float64" if "float64" in input_kinds else "integers"
            yield (
                f"{named(operation)} rounds {kind} to float32. SystemDS does not: leave it out, or"
                " use a single type for all."
            )
    elif not isinstance(operation, KEEPING):
        for kind in sorted(kinds - EXACT):
            yield (
                f"{named(operation)} computes in {kind}, which has less range or precision."
                " SystemDS computes in float64: cast its input to 'float32' or 'float64'."
            )
        if exact and _makes_single(operation, input_kinds, kinds):
            yield (
                f"{named(operation)} converts its input to float32, while all else is float64:"
                " cast the input to 'float64' first, or give it float64 arrays."
            )
        elif exact and kinds == {"float32"} and _is_rounded(operation, node):
            yield (
                f"{named(operation)} computes in float32, while all else is float64: cast its input"
                " to 'float64' first."
            )
        elif exact and isinstance(operation, OF_SINGLES) and is_tensorflow():
            yield from _of_singles(operation, node)
        if isinstance(operation, operations.FullLike) and not kinds <= {"float32", "float64"}:
            yield (
                f"{named(operation)} returns {kinds.pop()}. Give it"
                f" dtype={keras.config.floatx()!r}."
            )
        elif kinds <= {"bool", *WHOLE}:
            yield from _of_whole_numbers(operation, node)


def _makes_single(operation: Any, input_kinds: set[str], kinds: set[str]) -> bool:
    """Whether Keras converts the input of an operation to float32."""
    if isinstance(operation, operations.Var):  # computes in float32, whatever its result
        return not any("float" in kind for kind in input_kinds)
    if isinstance(operation, (operations.ZerosLike, operations.OnesLike)):
        return False
    return kinds == {"float32"} and not input_kinds & {"float32", "float64"}


def _of_singles(operation: Any, node: Any) -> Iterator[str]:
    """Complaints about Python numbers that float32 cannot represent."""
    arguments = keras.tree.flatten((node.arguments.args, node.arguments.kwargs))
    for number in arguments:
        if type(number) is float and float(np.float32(number)) != number:
            yield (
                f"{named(operation)} rounds {number!r} to float32, while all else is float64."
                f" SystemDS does not: give it np.float64({number!r})."
            )


def of_single_inputs(model: keras.Model) -> Iterator[str]:
    """Complaints about operations that round to float32, as the inputs of the model are."""
    for part in layers_of(model):
        for node in nodes_of(part) if isinstance(part, Functional) else ():
            kinds = {str(tensor.dtype) for tensor in node.output_tensors}
            if kinds == {"float32"} and _is_of_single_inputs(node) and not _keeps_singles(node):
                yield (
                    f"{named(node.operation)} computes in float32, where layers compute in float64:"
                    " cast what goes in to 'float64' first, or give the input dtype='float64'."
                )


def _is_of_single_inputs(node: Any) -> bool:
    """Whether operations alone are between a call and inputs, and all their numbers float32."""
    pending, seen = [node], set()
    while pending:
        step = pending.pop()
        if isinstance(step.operation, keras.Layer) or step in seen:
            continue
        seen.add(step)
        if any(str(tensor.dtype) == "float64" for tensor in step.input_tensors):
            return False
        origins = [origin_of(tensor) for tensor in step.input_tensors]
        pending += [node_of(tensor) for tensor in step.input_tensors]
        if any(
            isinstance(origin.operation, keras.layers.InputLayer) and str(tensor.dtype) == "float32"
            for origin, tensor in zip(origins, step.input_tensors, strict=True)
        ):
            return True
    return False


def _keeps_singles(node: Any) -> bool:
    """Whether a call rounds nothing."""
    exact = all(float(np.float32(number)) == number for number in _numbers_of(node))
    return isinstance(node.operation, (*OF_ORDER, *KEEPING, *CASTING)) and exact


def _beyond_singles(operation: Any, node: Any) -> Iterator[str]:
    """Complaints about numbers of which float32 makes 0 or infinity, or others in comparisons."""
    for number in _numbers_of(node):
        size, whole = abs(number), isinstance(number, int)
        if np.isfinite(number) and ((0 < size < SMALLEST) or size > LARGEST):
            yield (
                f"{named(operation)} takes {number!r}, which float32 does not hold. SystemDS"
                " computes in float64: give it another one."
            )
        elif whole and isinstance(operation, OF_SINGLES) and float(np.float32(number)) != number:
            kinds = {str(tensor.dtype) for tensor in node.input_tensors}
            if "float32" in kinds:
                yield (
                    f"{named(operation)} rounds {number!r} to float32. SystemDS does not: give it"
                    f" {int(np.float32(number))}."
                )


def _numbers_of(node: Any) -> Iterator[int | float]:
    """Python's numbers that a call, or its operation, has as arguments."""
    operation = node.operation
    settings = [getattr(operation, name, None) for name in ("x_min", "x_max", "initial")]
    for number in keras.tree.flatten((node.arguments.args, node.arguments.kwargs, settings)):
        if type(number) in (int, float) and not np.isnan(number):
            yield number


def _is_rounded(operation: Any, node: Any) -> bool:
    """Whether the operation's results for integers differ between float32 and float64."""
    return _is_stray(node) and not _is_of_bits(operation, node)


def _is_stray(node: Any) -> bool:
    """Whether the inputs of a call are float32 because of casts of integers, rather than from a
    layer, or from what Keras declares as float32 and computes in float64.
    """
    pending, seen = [*node.input_tensors], set()
    if any(str(tensor.dtype) == "float64" for tensor in pending):
        return False
    while pending:
        tensor = pending.pop()
        if str(tensor.dtype) != "float32" or id(tensor) in seen:
            continue
        seen.add(id(tensor))
        operation, before = _origin(tensor)
        of_doubles = any(str(argument.dtype) == "float64" for argument in before)
        if isinstance(operation, keras.Layer) or of_doubles:
            return False
        pending += before
    return True


def _origin(tensor: Any) -> tuple[Any, list[Any]]:
    """The layer or operation that computes a tensor, and its inputs."""
    node = node_of(tensor)
    return node.operation, node.input_tensors


def _is_of_bits(operation: Any, node: Any) -> bool:
    """Whether a call maps integers to integers."""
    arguments = keras.tree.flatten((node.arguments.args, node.arguments.kwargs))
    numbers = [
        *(part for part in arguments if not isinstance(part, keras.KerasTensor)),
        *(getattr(operation, name, None) for name in ("x_min", "x_max", "initial")),
    ]
    arrays = [np.asarray(number) for number in numbers if number is not None]
    whole = (part.dtype.kind in "biuf" and np.all(part == np.round(part)) for part in arrays)
    return isinstance(operation, OF_BITS) and all(whole)


def _of_whole_numbers(operation: Any, node: Any) -> Iterator[str]:
    """Complaints about operations that return integers or booleans."""
    kinds = {str(tensor.dtype) for tensor in node.output_tensors}
    remedy = f"cast its input to {keras.config.floatx()!r}"
    several = [tensor for tensor in node.input_tensors if not _are_bits(tensor)]
    multiplied = isinstance(operation, (operations.Multiply, *PRODUCTS)) and len(several) > 1
    if multiplied or (isinstance(operation, POWERS) and several):
        yield (
            f"{named(operation)} multiplies integers, which in Keras wrap around beyond the range"
            f" of {kinds.pop()}. SystemDS computes in float64: {remedy}."
        )
    elif isinstance(operation, PRODUCTS) and kinds == {"bool"}:
        yield (
            f"{named(operation)} adds booleans, in Keras to at most 1. SystemDS adds numbers:"
            f" {remedy}."
        )
    elif isinstance(operation, operations.Round) and operation.decimals:
        yield (
            f"{named(operation)} has decimals={operation.decimals} and takes integers: leave the"
            f" argument out, or {remedy}."
        )
    elif type(operation).__module__ == nn.__name__ and not isinstance(operation, OF_WHOLE):
        yield (
            f"{named(operation)} takes integers, for which Keras returns integers or fails:"
            f" {remedy}."
        )


def _are_bits(tensor: Any) -> bool:
    """Whether numbers are only 0 and 1."""
    if str(tensor.dtype) == "bool":
        return True
    operation, before = _origin(tensor)
    keeps = isinstance(operation, (*CASTING, *KEEPING, operations.Multiply, operations.Square))
    return keeps and all(map(_are_bits, before))


def uncopied(operation: Any) -> Iterator[str]:
    """A complaint where Keras can neither copy nor save a model with this operation."""
    try:
        operation.get_config()
    except NotImplementedError:
        yield (
            f"{named(operation)} was created with an array, and Keras cannot copy a model with it."
            " Give it numbers or tuples, or use maximum, minimum or where, which take arrays."
        )
