"""Kernels compute in the precision of the model, and a plan says what they run."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

from keras2dml.compilation import Compilation
from keras2dml.errors import InvalidData
from keras2dml.systemds.context import _Shared


def dense(*between: layers.Layer, **first: object) -> keras.Model:
    keras.utils.set_random_seed(4)
    head = [layers.Dense(16, activation="tanh"), layers.Dense(3, activation="softmax")]
    model = keras.Sequential([layers.Input((8,), **first), *between, *head])
    model.compile("sgd", "categorical_crossentropy")
    return model


@pytest.mark.spark
@pytest.mark.systemds
def test_programs_of_both_precisions_are_kept_side_by_side(run):
    rows = np.random.default_rng(2).random((20, 8))
    models = [run(dense(), precision=precision) for precision in ("float32", "float64")]
    _Shared.programs.clear()
    first = [model.predict_proba(rows) for model in models]
    kept = {id(program) for program in _Shared.programs.values()}
    for model, scores in zip(models, first, strict=True):
        np.testing.assert_array_equal(model.predict_proba(rows), scores)
    assert len(kept) >= 2 and {id(program) for program in _Shared.programs.values()} == kept
    assert 0 < np.abs(first[0] - first[1]).max() < 1e-5


@pytest.fixture
def _single():
    keras.config.set_floatx("float32")


def is_single(model: keras.Model) -> bool:
    return Compilation.of(model, {}).graph.single


def test_a_model_of_float64_is_computed_in_it():
    assert not is_single(dense())


@pytest.mark.usefixtures("_single")
def test_a_model_of_float32_is_computed_in_it_unless_float32_does_not_hold_its_numbers():
    assert is_single(dense())
    assert is_single(dense(layers.Embedding(9, 4), layers.Flatten(), dtype="int32"))
    assert not is_single(dense(layers.Embedding(2**24 + 1, 1), layers.Flatten(), dtype="int32"))
    assert not is_single(dense(layers.CategoryEncoding(9), dtype="int32"))


@pytest.mark.spark
@pytest.mark.systemds
@pytest.mark.usefixtures("_single")
def test_the_precision_is_the_models_or_the_one_asked_for(run):
    rng = np.random.default_rng(1)
    rows = rng.random((40, 8)).astype(np.float32)
    targets = np.eye(3)[rng.integers(0, 3, 40)]
    model = dense()
    results = {}
    for precision in (None, "float32", "float64"):
        ours = run(model, precision=precision, batch_size=10)
        plan = ours.explain(40, training=True)
        assert f"KERNELS run the function step in {precision or 'float32'} on" in plan
        results[precision] = ours.fit(rows, targets, epochs=2, shuffle=False).predict_proba(rows)
    np.testing.assert_array_equal(results[None], results["float32"])
    difference = np.abs(results["float32"] - results["float64"]).max()
    assert 0 < difference < 1e-5
    model.fit(rows, targets, batch_size=10, epochs=2, shuffle=False, verbose=0)
    np.testing.assert_allclose(results[None], model.predict(rows, verbose=0), atol=1e-5)
    with pytest.raises(InvalidData, match="float16': give one of float32, float64"):
        run(model, precision="float16")


@pytest.mark.spark
@pytest.mark.systemds
def test_without_kernels_systemds_computes_the_same(run):
    rows = np.random.default_rng(2).random((12, 8))
    model = dense()
    with_kernels, without = run(model), run(model)
    assert "KERNELS run the function score in float64" in without.explain(12)
    without._set_option(kernels=False)
    assert "KERNELS" not in without.explain(12)
    np.testing.assert_allclose(
        without.predict_proba(rows), with_kernels.predict_proba(rows), rtol=1e-12
    )
