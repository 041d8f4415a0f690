"""What Keras makes of X where an input has another type than X, as DML statements."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from keras2dml.dml import syntax
from keras2dml.graph import Scalar, Value, source_of

_SPLITTER = 2**29 + 1
"""By Veltkamp's way of halving a number: what it leaves has the 24 bits of float32."""


def statements(variable: str, value: Value) -> Iterator[str]:
    """What makes of a matrix what `keras2dml.input_types.as_typed` makes of an array, without the
    check. Where arrays of floats are rounded first, whole numbers are taken for integers.
    """
    sizes: Mapping[str, Scalar] = source_of(value).sizes
    if "single" in sizes or "rounded" in sizes:
        yield f"split = {variable} * {_SPLITTER}"
        single = "split - (split - {0})"
        if "rounded" in sizes:
            single = "ifelse({0} == floor({0}), {0}, split - (split - {0}))"
        yield f"{variable} = {single.format(variable)}"
    if "bits" in sizes:
        yield f"{variable} = {variable} != 0"
    elif "lowest" in sizes:
        yield f"{variable} = sign({variable}) * floor(abs({variable}))"


def outside(variable: str, value: Value) -> str:
    """An expression for the count of numbers that the type of an input does not hold."""
    sizes = source_of(value).sizes
    if "lowest" not in sizes:
        return "0"
    limits = (syntax.literal(float(sizes[name])) for name in ("lowest", "highest"))
    return "sum({0} < {1}) + sum({0} > {2})".format(variable, *limits)
