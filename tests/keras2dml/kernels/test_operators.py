"""Kernels compute what SystemDS' own operators do: each of these runs both ways."""

from __future__ import annotations

import re
from dataclasses import replace

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


def script(expression: str) -> Script:
    """A script whose function `score` has this value for matrices A and B of one shape."""
    return Script(
        f"""score = function(matrix[double] A, matrix[double] B) return (matrix[double] R) {{
  while (FALSE) {{}}
  row = B[1, ]
  column = B[, 1]
  R = as.matrix(0) + 0
  R = {expression}
}}
R = score(A, B)
""",
        ("A", "B"),
        ("R",),
    )


@pytest.fixture
def both(spark):
    """What SystemDS' operators compute, and what kernels do, in float64 and float32."""

    def compute(text: str, **arrays: np.ndarray) -> list[np.ndarray]:
        results = []
        for kernels, precision in ((False, None), (True, "float64"), (True, "float32")):
            systemds = SystemDS(spark)
            systemds.options = replace(systemds.options, kernels=kernels, precision=precision)
            with systemds.holding(arrays) as matrices:
                results.append(systemds.compute(script(text), matrices)["R"])
            assert not kernels or runs_in_kernels(systemds, arrays, script(text))
        return results

    return compute


def test_operators_on_spark_read_what_kernels_computed(spark):
    systemds = SystemDS(spark)
    arrays = {"A": numbers(8, 5, 4), "B": numbers(9, 5, 4)}
    with systemds.holding(arrays) as matrices:
        computed = systemds.run(script("A + B"), matrices)["R"]
        assert runs_in_kernels(systemds, arrays, script("A + B"))
        systemds.options = replace(systemds.options, place="SPARK")
        total = systemds.compute(script("A * 2"), {"A": computed, "B": computed})["R"]
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
    wanted, double, single = both(expression, A=numbers(1, 2, 2), B=numbers(2, 2, 2))
    np.testing.assert_array_equal(double, wanted)
    np.testing.assert_array_equal(single, wanted)


@pytest.mark.parametrize(
    "expression",
    [
        "as.matrix(as.scalar(A[2, 1]) > 0)",
        "as.matrix(max(as.scalar(A[2, 1]), 0.25) * 2 + abs(as.scalar(A[1, 2])))",
        "as.matrix(round(as.scalar(A[1, 1]) * 5))",
        "as.matrix(as.integer(as.scalar(A[1, 1]) * -7.5) %/% 2)",
        "as.matrix(as.scalar(A[2, 2]) * as.scalar(B[1, 1]))",
        "as.matrix(ifelse(as.scalar(A[1, 1]) != 0, as.scalar(A[1, 1]), 2))",
        "A * as.scalar(A[2, 1]) + as.scalar(B[1, 2])",
    ],
)
def test_a_cell_is_a_number(both, expression):
    compare(both(expression, A=numbers(1, 2, 2) + 0.125, B=numbers(2, 2, 2)))


@pytest.mark.parametrize(
    "expression",
    [
        "as.matrix(var(A[1, 1]))",
        "colVars(A[1, ])",
        "rowVars(A[, 1])",
        "rowIndexMax(A * 0 - 1 / 0)",
        "rowIndexMin(A * 0 + 1 / 0)",
        "round(A * 0 - 2.5)",
        "round(A * 0 + 1 / 0) > 1e18",
        'rand(rows=3, cols=2, min=1, max=1, pdf="normal", seed=3)',
    ],
)
def test_edges_are_those_of_systemds(both, expression):
    compare(both(expression, A=numbers(1, 4, 3) + 0.125, B=numbers(2, 4, 3)))


def test_a_half_is_rounded_up_and_nothing_below_it(both):
    below = np.array([[np.nextafter(0.5, 0), 0.5, -0.5, -1.5, 1.5]])
    wanted, double, _ = both("round(A)", A=below, B=below)
    np.testing.assert_array_equal(double, wanted)


def test_what_shows_as_it_runs_that_it_has_no_kernel_is_left_to_systemds(both):
    compare(
        both("order(target=A, by=matrix(seq(1, 2), 1, 2))", A=numbers(1, 5, 3), B=numbers(2, 5, 3))
    )


def runs_in_kernels(systemds: SystemDS, arrays: dict[str, np.ndarray], text: Script) -> bool:
    plan = systemds.plan(text, {name: array.shape for name, array in arrays.items()})
    return re.findall(r"^KERNELS (.* score) ", plan, re.MULTILINE) == ["run the function score"]


def numbers(seed: int, *shape: int) -> np.ndarray:
    """Numbers of float32, of which some are zero and some are equal."""
    rng = np.random.default_rng(seed)
    cells = rng.uniform(-1, 1, shape).astype(np.float32).astype(float)
    cells[rng.random(shape) < 0.2] = 0
    return np.where(rng.random(shape) < 0.2, 0.5, cells)


def compare(results: list[np.ndarray]) -> None:
    """The same in float64, and nearly in float32; windows without pixels have its least number."""
    wanted, double, single = (np.clip(cells, -1e9, 1e9) for cells in results)
    np.testing.assert_allclose(double, wanted, rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(single, wanted, rtol=2e-4, atol=2e-4)


@pytest.mark.parametrize("expression", [*CELLS, *SHAPES, *SUMS, *PRODUCTS])
def test_an_operator_computes_what_systemds_does(both, expression):
    compare(both(expression, A=numbers(1, 13, 6), B=numbers(2, 13, 6)))


@pytest.mark.parametrize("size", [(37, 61), (21, 300)])
@pytest.mark.parametrize("expression", [*PRODUCTS, "t(A)"])
def test_products_and_transposes_of_many_tiles_are_those_of_systemds(both, expression, size):
    compare(both(expression, A=numbers(1, *size), B=numbers(2, *size)))


@pytest.mark.long
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("expression", [*CELLS, *SUMS, *PRODUCTS])
def test_an_operator_computes_the_same_for_any_shape(both, expression, size):
    compare(both(expression, A=numbers(1, *size), B=numbers(2, *size)))


@pytest.mark.parametrize("rows", [1, 5])
@pytest.mark.parametrize("window", WINDOWS)
def test_windows_of_images_are_those_of_systemds(both, window, rows):
    images, filters = numbers(3, rows, 3 * 7 * 5), numbers(4, 4, 3 * 3 * 2)
    shape = f"{window}, input_shape=[{rows}, 3, 7, 5]"
    conv = f"{shape}, filter_shape=[4, 3, 3, 2]"
    out = both(f"conv2d(A, B, {conv})", A=images, B=filters)
    compare(out)
    gradient = numbers(5, *out[0].shape)
    compare(both(f"conv2d_backward_filter(A, B, {conv})", A=images, B=gradient))
    compare(both(f"conv2d_backward_data(A, B, {conv})", A=filters, B=gradient))
    compare(
        both(
            f"bias_add(conv2d(A, B, {conv}), matrix(seq(1, 4), rows=4, cols=1))",
            A=images,
            B=filters,
        )
    )
    for pool in ("max_pool", "avg_pool"):
        pooling = f"{shape}, pool_size=[3, 2]"
        compare(both(f"{pool}(A, {pooling})", A=images, B=images))


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
