"""Kernels compute what SystemDS' own operators do: each of these runs both ways."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from keras2dml.rendering.forward import Script
from keras2dml.systemds.context import SystemDS

pytestmark = [pytest.mark.spark, pytest.mark.systemds]

IMAGES = "input_shape=[{0}, 3, 7, 5], filter_shape=[4, 3, 3, 2]"
CELLS = (
    *("A + B", "A - B * 2", "A / (B + 3)", "A ^ 2", "abs(A) ^ 1.5", "max(A, B)", "min(A, 0.1)"),
    *("A > B", "A >= 0", "A < 0.2", "A <= B", "round(A) == round(B)", "A != 0", "1 - A * B"),
    *("(A > 0) & (B > 0)", "(A > 0) | (B > 0)", "!(A > 0)", "xor(A > 0, B > 0)"),
    *("exp(A)", "log(abs(A) + 1)", "sqrt(abs(A))", "abs(A)", "sign(A)", "floor(A * 9)"),
    *("ceil(A * 9)", "round(A * 9)", "tanh(A)", "sinh(A)", "cosh(A)", "sin(A)", "cos(A)"),
    *("tan(A)", "asin(A)", "acos(A)", "atan(A)", "1 / (1 + exp(-A))", "A * (1 - A)"),
    *("(A * 20) %% 3", "(A * 20) %/% 3", "ifelse(A > 0, A, B)", "ifelse(A > 0, 1, B)"),
    *("A + row", "A * column", "A - sum(B)", "A * 2 + B", "A - 3 * B"),
    *(
        "A + A[1, 1]",
        "is.nan(A / (A * 0))",
        "log(abs(A) + 1, 2)",
        "A * (B > 0) + row",
        "column * A[, ncol(A)] + column",
    ),
)
SHAPES = (
    *("t(A)", "rev(A)", "diag(column)", "diag(A %*% t(A))", "cbind(A, B)", "rbind(A, B, A)"),
    *("matrix(A, rows=ncol(A), cols=nrow(A))", "matrix(A, rows=1, cols=length(A))"),
    *("matrix(A, rows=ncol(A), cols=nrow(A), byrow=FALSE)", "A[2:3, ]", "A[, 2:4]", "A[2, 3]"),
    *("order(target=A, by=2)", "order(target=A, by=1, decreasing=TRUE, index.return=TRUE)"),
    *(
        "cumsum(A)",
        "cumprod(A)",
        "cummax(A)",
        "cummin(A)",
        "lower.tri(target=A %*% t(A), diag=FALSE, values=TRUE)",
    ),
    *(
        "upper.tri(target=A %*% t(A), diag=TRUE, values=TRUE)",
        "replace(target=A, pattern=0, replacement=7)",
    ),
    *("matrix(3, rows=4, cols=2)", 'matrix("1 2 3 4 5 6", rows=2, cols=3)', "seq(3, 11, 2)"),
    *("seq(nrow(A), 1)", "table(seq(1, nrow(A)), abs(round(column * 3)) + 1, nrow(A), 9)"),
    *(
        "table(abs(round(A * 3)) + 1, abs(round(B * 3)) + 1, 5, 9)",
        "table(seq(1, nrow(A)), abs(round(column * 3)) + 1)",
    ),
    *("table(abs(round(column)) + 1, abs(round(column * 3)) + 1, column, 3, 9)",),
    *("rand(rows=5, cols=3, min=-1, max=2, seed=7)", 'rand(rows=5, cols=3, pdf="normal", seed=9)'),
    *("rand(rows=40, cols=30, sparsity=0.3, seed=11)",),
)
SUMS = (
    *("sum(A) + A", "colSums(A)", "rowSums(A)", "mean(A) * B", "colMeans(A)", "rowMeans(A)"),
    *("min(A) + B", "max(A) + B", "colMins(A)", "colMaxs(A)", "rowMins(A)", "rowMaxs(A)"),
    *("rowIndexMax(A)", "rowIndexMin(A)", "rowIndexMax(round(A))", "colVars(A)", "rowVars(A)"),
    *("var(A) * B", "sum(A ^ 2) * B", "colSums(A ^ 2)", "rowSums(A ^ 2)", "prod(A / 9 + 1) * B"),
    *("trace(A %*% t(A)) * B", "rowSums(A * B)", "colSums(A * B)"),
)
PRODUCTS = (
    *("A %*% t(B)", "t(A) %*% B", "t(A) %*% t(t(B))", "A %*% t(row)", "t(A) %*% column"),
    *("column %*% row", "row %*% t(A)", "table(seq(1, nrow(A)), seq(nrow(A), 1)) %*% A"),
    *("t(table(seq(1, nrow(A)), seq(nrow(A), 1))) %*% A", "A %*% t(A)", "t(A) %*% A"),
)
WINDOWS = (
    *("stride=[1, 1], padding=[0, 0]", "stride=[1, 1], padding=[1, 1]"),
    *(
        "stride=[2, 2], padding=[1, 0]",
        "stride=[1, 2], padding=[0, 2]",
        "stride=[3, 1], padding=[2, 1]",
    ),
)
SIZES = ((1, 1), (3, 7), (5, 16), (13, 33), (70, 9), (2, 1100))


def script(*expressions: str) -> Script:
    """A script whose function `score` has these values for matrices A and B of one shape."""
    names = [f"R{n}" for n, _ in enumerate(expressions, 1)]
    results = ", ".join(f"matrix[double] {name}" for name in names)
    values = "".join(
        f"  {name} = as.matrix(0) + 0\n  {name} = {expression}\n"
        for name, expression in zip(names, expressions, strict=True)
    )
    left = names[0] if len(names) == 1 else f"[{', '.join(names)}]"
    return Script(
        f"""score = function(matrix[double] A, matrix[double] B) return ({results}) {{
  while (FALSE) {{}}
  row = B[1, ]
  column = B[, 1]
{values}}}
{left} = score(A, B)
""",
        ("A", "B"),
        tuple(names),
    )


@pytest.fixture
def all_ways(spark):
    """What SystemDS' operators compute of some expressions, and what kernels do, in float64 and
    float32: the results of each expression. They are compiled together; `left` are those of which
    a kernel cannot hold the numbers, so that SystemDS computes them after all.
    """
    kernels_of = spark._jvm.keras2dml.kernels.Kernels

    def compute(
        expressions: Sequence[str], *, left: bool = False, **arrays: np.ndarray
    ) -> list[list[np.ndarray]]:
        program, results, before = script(*expressions), [], kernels_of.repeated()
        for kernels, precision in ((False, None), (True, "float64"), (True, "float32")):
            systemds = SystemDS(spark)
            systemds.options = replace(systemds.options, kernels=kernels, precision=precision)
            assert not kernels or runs_in_kernels(systemds, arrays, program)
            with systemds.holding(arrays) as matrices:
                results.append(systemds.compute(program, matrices).values())
        assert (kernels_of.repeated() > before) == left
        return [list(ways) for ways in zip(*results, strict=True)]

    return compute


@pytest.fixture
def both(all_ways):
    """The same of a single expression."""
    return lambda text, **how: all_ways([text], **how)[0]


def test_operators_on_spark_read_what_kernels_computed(spark):
    systemds = SystemDS(spark)
    arrays = {"A": numbers(8, 5, 4), "B": numbers(9, 5, 4)}
    with systemds.holding(arrays) as matrices:
        computed = systemds.run(script("A + B"), matrices)["R1"]
        assert runs_in_kernels(systemds, arrays, script("A + B"))
        systemds.options = replace(systemds.options, place="SPARK")
        total = systemds.compute(script("A * 2"), {"A": computed, "B": computed})["R1"]
        systemds.free(computed)
    np.testing.assert_allclose(total, 2 * (arrays["A"] + arrays["B"]), rtol=1e-14)


@pytest.mark.parametrize(
    "expression",
    [
        "seq(16777215, 16777221, 2)",
        "rowIndexMax(table(seq(1, 2), matrix(16777217, rows=2, cols=1), 2, 16777218))",
        "matrix(16777217, rows=2, cols=2)",
        "A * 0 + 16777217",
        "as.matrix(nrow(A) * 8388609 - 1)",
        "ifelse(A > 0, 16777217, 16777219)",
        "replace(target=A * 0, pattern=0, replacement=16777217)",
    ],
)
def test_whole_numbers_that_float32_does_not_hold_are_left_to_systemds(both, expression):
    wanted, double, single = both(expression, left=True, A=numbers(1, 2, 2), B=numbers(2, 2, 2))
    np.testing.assert_array_equal(double, wanted)
    np.testing.assert_array_equal(single, wanted)


def test_a_cell_is_a_number(all_ways):
    expressions = [
        "as.matrix(as.scalar(A[2, 1]) > 0)",
        "as.matrix(max(as.scalar(A[2, 1]), 0.25) * 2 + abs(as.scalar(A[1, 2])))",
        "as.matrix(round(as.scalar(A[1, 1]) * 5))",
        "as.matrix(as.integer(as.scalar(A[1, 1]) * -7.5) %/% 2)",
        "as.matrix(as.scalar(A[2, 2]) * as.scalar(B[1, 1]))",
        "as.matrix(ifelse(as.scalar(A[1, 1]) != 0, as.scalar(A[1, 1]), 2))",
        "A * as.scalar(A[2, 1]) + as.scalar(B[1, 2])",
    ]
    for results in all_ways(expressions, A=numbers(1, 2, 2) + 0.125, B=numbers(2, 2, 2)):
        compare(results)


def test_edges_are_those_of_systemds(all_ways):
    expressions = [
        "as.matrix(var(A[1, 1]))",
        "colVars(A[1, ])",
        "rowVars(A[, 1])",
        "rowIndexMax(A * 0 - 1 / 0)",
        "rowIndexMin(A * 0 + 1 / 0)",
        "round(A * 0 - 2.5)",
        "round(A * 0 + 1 / 0) > 1e18",
        'rand(rows=3, cols=2, min=1, max=1, pdf="normal", seed=3)',
    ]
    for results in all_ways(expressions, A=numbers(1, 4, 3) + 0.125, B=numbers(2, 4, 3)):
        compare(results)


def test_a_half_is_rounded_up_and_nothing_below_it(both):
    below = np.array([[np.nextafter(0.5, 0), 0.5, -0.5, -1.5, 1.5]])
    wanted, double, _ = both("round(A)", A=below, B=below)
    np.testing.assert_array_equal(double, wanted)


def test_what_shows_as_it_runs_that_it_has_no_kernel_is_left_to_systemds(both):
    text, A = "order(target=A, by=matrix(seq(1, 2), 1, 2))", numbers(1, 5, 3)
    compare(both(text, left=True, A=A, B=A))


def runs_in_kernels(systemds: SystemDS, arrays: dict[str, np.ndarray], text: Script) -> bool:
    plan = systemds.plan(text, {name: array.shape for name, array in arrays.items()})
    return re.findall(r"^KERNELS (.* score) ", plan, re.MULTILINE) == ["run the function score"]


def numbers(seed: int, *shape: int) -> np.ndarray:
    """Numbers of float32, of which some are zero and some are equal."""
    rng = np.random.default_rng(seed)
    cells = rng.uniform(-1, 1, shape).astype(np.float32).astype(float)
    cells[rng.random(shape) < 0.2] = 0
    return np.where(rng.random(shape) < 0.2, 0.5, cells)


def compare(results: list[np.ndarray], expression: str = "") -> None:
    """The same in float64, and nearly in float32; windows without pixels have its least number."""
    wanted, double, single = (np.clip(cells, -1e9, 1e9) for cells in results)
    np.testing.assert_allclose(double, wanted, 1e-11, 1e-12, err_msg=expression)
    np.testing.assert_allclose(single, wanted, 2e-4, 2e-4, err_msg=expression)


def compare_all(all_ways: Callable[..., Any], expressions: Sequence[str], *size: int) -> None:
    ways = all_ways(expressions, A=numbers(1, *size), B=numbers(2, *size))
    for expression, results in zip(expressions, ways, strict=True):
        compare(results, expression)


@pytest.mark.parametrize("expressions", [CELLS, SHAPES, SUMS, PRODUCTS])
def test_operators_compute_what_systemds_does(all_ways, expressions):
    compare_all(all_ways, expressions, 13, 6)


@pytest.mark.parametrize("size", [(37, 61), (21, 300)])
def test_products_and_transposes_of_many_tiles_are_those_of_systemds(all_ways, size):
    compare_all(all_ways, [*PRODUCTS, "t(A)"], *size)


@pytest.mark.long
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("expression", [*CELLS, *SUMS, *PRODUCTS])
def test_an_operator_computes_the_same_for_any_shape(both, expression, size):
    compare(both(expression, A=numbers(1, *size), B=numbers(2, *size)))


@pytest.mark.parametrize("rows", [1, 5])
@pytest.mark.parametrize("window", WINDOWS)
def test_windows_of_images_are_those_of_systemds(all_ways, window, rows):
    images, filters = numbers(3, rows, 3 * 7 * 5), numbers(4, 4, 3 * 3 * 2)
    shape = f"{window}, input_shape=[{rows}, 3, 7, 5]"
    conv, pool = f"{shape}, filter_shape=[4, 3, 3, 2]", f"{shape}, pool_size=[3, 2]"
    forward = [
        f"conv2d(A, B, {conv})",
        f"bias_add(conv2d(A, B, {conv}), matrix(seq(1, 4), rows=4, cols=1))",
        *(f"{kind}_pool(A, {pool})" for kind in ("max", "avg")),
    ]
    ways = all_ways(forward, A=images, B=filters)
    gradient = numbers(5, *ways[0][0].shape)
    to_filter, to_data = (f"conv2d_backward_{kind}(A, B, {conv})" for kind in ("filter", "data"))
    ways += all_ways([to_filter], A=images, B=gradient)
    ways += all_ways([to_data], A=filters, B=gradient)
    for results in ways:
        compare(results)


@pytest.mark.parametrize("size", [(6, 8), (4, 20), (2, 2)])
def test_maxima_of_two_by_two_pixels_are_those_of_systemds(both, size):
    height, width = size
    images = numbers(6, 3, 2 * height * width)
    pooling = (
        f"stride=[2, 2], padding=[0, 0], input_shape=[3, 2, {height}, {width}], pool_size=[2, 2]"
    )
    out = both(f"max_pool(A, {pooling})", A=images, B=images)
    compare(out)
    gradient = numbers(7, *out[0].shape)
    compare(both(f"max_pool_backward(A, B, {pooling})", A=images, B=gradient))
