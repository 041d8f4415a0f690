"""The script that takes the columns of a DataFrame apart: features, labels, weights of examples."""

from __future__ import annotations

from collections.abc import Mapping

from keras2dml.graph import Value
from keras2dml.rendering import input_types
from keras2dml.rendering.forward import Script


def render(parts: Mapping[str, int], value: Value, *, ordered: bool) -> Script:
    """The script that makes of the matrix `all` its `parts` of so many columns each, `features` as
    the input `value` takes them; `ordered`, their columns are put into the order of the numbers
    `order` (D, 1). It counts what is `broken`, no finite number, and what is `outside` the input's
    type.
    """
    lines = [*apart("all", parts)]
    lines.append(broken("all"))
    if ordered:
        lines.append(
            "features = features %*% table(order, seq(1, nrow(order)), nrow(order), nrow(order))"
        )
    lines += cast("features", value)
    inputs = ("all", *(["order"] * ordered))
    return Script("\n".join(lines), inputs, (*parts, "broken", "outside"))


def broken(matrix: str) -> str:
    """The statement that counts what is no finite number."""
    return f"broken = as.matrix(sum(is.nan({matrix})) + sum(is.infinite({matrix})))"


def cast(matrix: str, value: Value) -> list[str]:
    """The statements that cast a matrix to the type of an input, and count what is out of range."""
    outside = f"outside = as.matrix({input_types.outside(matrix, value)})"
    return [*input_types.statements(matrix, value), outside]


def rows(begin: int, end: int) -> Script:
    """The script that leaves the rows from `begin`, of which the first is 0, up to `end` of the
    matrix `all` as `part`.
    """
    return Script(f"part = all[{begin + 1}:{end},]", ("all",), ("part",))


def apart(matrix: str, widths: Mapping[str, int]) -> list[str]:
    """The statements that take matrices of these widths from one that has them side by side."""
    lines, begin = [], 1
    for name, width in widths.items():
        lines.append(f"{name} = {matrix}[,{begin}:{begin + width - 1}]")
        begin += width
    return lines
