"""Scripts are compiled once for each size of what they read, and each run is as the first."""

from __future__ import annotations

import signal
from collections.abc import Callable
from time import monotonic, sleep

import numpy as np
import pytest

from keras2dml.dml import syntax
from keras2dml.rendering.forward import Script
from keras2dml.systemds import matrices
from keras2dml.systemds.context import SystemDS

pytestmark = [pytest.mark.spark, pytest.mark.systemds]

DOUBLED = Script("Y = 2 * X + n", ("X", "n"), ("Y",))
# Two calls of one function are not written out, and the rows of a batch are open: SystemDS plans
# both while it runs.
LINES = [
    "Y = matrix(0, rows=nrow(X), cols=ncol(W))",
    "for (begin in seq(1, nrow(X), 250)) {",
    "  end = min(begin + 249, nrow(X))",
    "  A = X[begin:end,]",
    *(
        f"  {out} = batch_norm_forward(X={x}, gamma=g, beta=g, moving_mean=g,"
        " moving_variance=v, epsilon=0.001)"
        for x, out in (("A", "B"), ("B", "C"))
    ),
    "  D = C %*% W + b",
    "  Y[begin:end,] = D",
    "}",
]
NORMALIZED = Script(
    syntax.script(["Normalizes, twice, and weighs."], LINES, LINES),
    ("X", "g", "v", "W", "b"),
    ("Y",),
)
SIZES = {"X": (3, 2), "g": (2, 1), "W": (2, 2), "b": (1, 2)}


@pytest.fixture
def systemds(spark) -> SystemDS:
    return SystemDS(spark)


@pytest.fixture
def compiled(monkeypatch) -> list[str]:
    """The scripts that are compiled from now on."""
    texts: list[str] = []
    own = SystemDS._compile

    def counted(self, script, shapes):
        texts.append(script.text)
        return own(self, script, shapes)

    monkeypatch.setattr(SystemDS, "_compile", counted)
    return texts


def run(systemds: SystemDS, script: Script, numbers: dict[str, float], **arrays) -> np.ndarray:
    """The result, with the arrays in the JVM before and in memory that it shares."""
    with systemds.holding(arrays) as held:
        result = systemds.compute(script, {**held, **numbers})["Y"]
    shared = systemds.compute(script, {**arrays, **numbers})["Y"]
    np.testing.assert_array_equal(shared, result)
    return result


def until(condition: Callable[[], bool], seconds: float) -> None:
    end = monotonic() + seconds
    while not condition():
        assert monotonic() < end
        sleep(0.05)


def test_a_script_is_compiled_once_for_each_size(systemds, compiled):
    for rows, number in ((2, 5), (2, 7), (3, 7), (2, 9)):
        X = np.arange(rows * 3.0).reshape(rows, 3)
        np.testing.assert_array_equal(run(systemds, DOUBLED, {"n": number}, X=X), 2 * X + number)
    assert compiled == [DOUBLED.text] * 2


def test_results_that_exceed_the_shared_memory_come_in_parts(systemds):
    script = Script("small = X + 1\nlarge = t(X) %*% X", ("X",), ("small", "large"))
    X = np.arange(1100.0).reshape(1, -1)
    assert X.size**2 > matrices._CARRIED
    results = systemds.compute(script, {"X": X})
    np.testing.assert_array_equal(results["small"], X + 1)
    np.testing.assert_array_equal(results["large"], X.T @ X)


def test_many_inputs_and_results_go_at_once(systemds):
    names = [f"A{number}" for number in range(40)]
    lines = [f"B{name} = {name} * 2" for name in names]
    script = Script("\n".join(lines), tuple(names), tuple(f"B{name}" for name in names))
    arrays = {name: np.full((2, 3), float(number)) for number, name in enumerate(names)}
    kept = {name: systemds.matrix(arrays[name]) for name in names[::2]}
    for number, result in enumerate(systemds.compute(script, {**arrays, **kept}).values()):
        np.testing.assert_array_equal(result, np.full((2, 3), 2.0 * number))
    systemds.free(*kept.values())


def test_what_an_interrupted_script_leaves_reaches_no_other(systemds):
    """It runs on in the JVM, and writes its results to memory that nobody reads any more."""
    script = Script("for (i in 1:n) { X = X / 2 + 1 }\nY = X", ("X", "n"), ("Y",))
    X = np.full((300, 300), 5.0)
    short = systemds.compute(script, {"X": X, "n": 3})["Y"]
    abandoned = systemds._shared.ours

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        with pytest.raises(KeyboardInterrupt):
            systemds.compute(script, {"X": X, "n": 5_000})
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    current = systemds._shared.ours
    current[:] = abandoned[: matrices._HEADER] = -1
    until(lambda: abandoned[0] == len(X), 120)
    assert (current == -1).all()
    np.testing.assert_array_equal(systemds.compute(script, {"X": X, "n": 3})["Y"], short)


def test_other_options_recompile_it(spark, systemds, compiled):
    X = np.ones((4, 3))
    other = SystemDS(spark)
    other.options = type(other.options)(place="SPARK")
    for one in (systemds, other, systemds):
        np.testing.assert_array_equal(run(one, DOUBLED, {"n": 1}, X=X), 2 * X + 1)
    assert len(compiled) >= 2


@pytest.mark.parametrize("empty", [{"X"}, {"g"}, {"W", "b"}, {"X", "W", "b"}])
def test_a_matrix_that_was_empty_once_is_not_empty_again(systemds, empty):
    generator = np.random.default_rng(1)
    full = {name: generator.normal(size=size) for name, size in SIZES.items()}
    v = np.array([[1.0], [2.0]])
    for arrays in ({n: a * (n not in empty) for n, a in full.items()}, full):
        X, g, W, b = arrays.values()
        for _ in range(2):
            X = (X - g.T) / np.sqrt(v.T + 0.001) * g.T + g.T
        found = run(systemds, NORMALIZED, {}, **arrays, v=v)
        np.testing.assert_allclose(found, X @ W + b, rtol=1e-12, atol=1e-14)


def test_a_script_that_reads_a_file_sees_its_current_content(systemds, tmp_path):
    file = tmp_path / "matrix"
    for rows in (2, 4):
        X = np.arange(rows * 3.0).reshape(rows, 3)
        with systemds.holding({"X": X}) as held:
            systemds.run(Script(syntax.write("X", file, "binary"), ("X",), ()), held)
        found = systemds.compute(Script(syntax.read("Y", file), (), ("Y",)), {})["Y"]
        np.testing.assert_array_equal(found, X)


@pytest.mark.parametrize("share", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint8])
def test_matrices_come_back_as_they_went(systemds, monkeypatch, share, dtype):
    """In several pieces, of which the last is a small one; empty, sparse and dense."""
    monkeypatch.setattr(matrices, "_CARRIED", 64)
    generator = np.random.default_rng(2)
    values = generator.integers(1, 200, (13, 17)) * (generator.random((13, 17)) < share)
    held = systemds.matrix(values.astype(dtype))
    np.testing.assert_array_equal(systemds.numpy(held), values)
    systemds.free(held)
