"""Training, from the sample to a registered bundle that scores as it says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
import onnxruntime
import pytest

from contract.data import datasets
from contract.data.datasets import Dataset
from contract.errors import DataError, NoChampion
from contract.model import bundle
from contract.model.registry import Registry
from contract.settings.programs import Training
from keras2dml import Scorer
from training.evaluation import Evaluation
from training.program import GOLDEN, fit


def part(split: datasets.Split, count: int) -> Dataset:
    whole = datasets.sample(split)
    return Dataset(whole.images[:count], whole.labels[:count], whole.name)


@pytest.fixture(scope="module")
def settings(tmp_path_factory) -> Training:
    return Training(home=tmp_path_factory.mktemp("home"), epochs=2, batch_size=50, seed=7)


@pytest.fixture(scope="module")
def registry(settings) -> Registry:
    return settings.registry


@pytest.fixture(scope="module")
def trained(spark, settings):
    seen = []
    result = fit(
        settings,
        spark,
        part("train", 1000),
        part("test", 300),
        report=lambda planned, iterations: seen.append((planned, len(iterations))),
    )
    return result, seen


@pytest.fixture(scope="module")
def made(registry, trained) -> bundle.Bundle:
    return bundle.load(registry.fetch(trained[0].version).folder)


@pytest.mark.spark
@pytest.mark.systemds
@pytest.mark.slow
@pytest.mark.compute_bound
def test_training_ends_with_a_registered_bundle(registry, trained, made):
    result, seen = trained
    with pytest.raises(NoChampion):
        registry.resolve()
    assert made.manifest.metrics["accuracy"] == result.evaluation.accuracy > 0.6
    assert {path.name for path in made.plots} == {"learning-curve.png", "confusion-matrix.png"}
    assert made.manifest.data_sha256 == part("train", 1000).sha256
    assert {planned for planned, _ in seen} == {40}
    assert sum(done for _, done in seen) == 40
    assert result.history.keys() == {"loss", "accuracy", "val_loss", "val_accuracy"}
    assert result.images_per_s == pytest.approx(2000 / result.seconds)
    assert registry.versions()[0].metrics["test_accuracy"] == result.evaluation.accuracy


@pytest.mark.spark
@pytest.mark.systemds
@pytest.mark.slow
@pytest.mark.compute_bound
def test_both_engines_give_the_golden_probabilities(spark, made):
    inputs, probabilities, _ = made.golden
    features = made.manifest.scaling.apply(inputs)
    assert len(inputs) == min(GOLDEN, 300)
    compiled = Scorer(spark, made.folder / bundle.DML).predict_proba(features)
    np.testing.assert_allclose(compiled, probabilities, atol=1e-6)
    session = onnxruntime.InferenceSession(
        made.read(bundle.ONNX), providers=["CPUExecutionProvider"]
    )
    np.testing.assert_allclose(session.run(None, {"X": features})[0], probabilities, atol=1e-5)


@pytest.mark.spark
@pytest.mark.systemds
@pytest.mark.slow
@pytest.mark.compute_bound
def test_eight_bits_give_nearly_the_same(made):
    inputs, probabilities, labels = made.golden
    np.testing.assert_array_equal(labels, part("test", GOLDEN).labels[: len(inputs)])
    assert len(made.read(bundle.INT8)) < len(made.read(bundle.ONNX)) / 3
    model = onnx.load_from_string(made.read(bundle.INT8))
    assert "QuantizeLinear" in {node.op_type for node in model.graph.node}
    scales = [each for each in model.graph.initializer if each.name.endswith("_scale")]
    assert max(scale.dims[0] if scale.dims else 1 for scale in scales) > 1  # one a channel
    session = onnxruntime.InferenceSession(
        made.read(bundle.INT8), providers=["CPUExecutionProvider"]
    )
    found = session.run(None, {"X": made.manifest.scaling.apply(inputs)})[0]
    np.testing.assert_allclose(found, probabilities, atol=0.1)
    assert np.abs(found - probabilities).mean() < 0.01
    same = found.argmax(axis=1) == probabilities.argmax(axis=1)
    assert np.mean(same) >= 0.98
    second, first = np.sort(probabilities, axis=1)[:, -2:].T
    decided = first - second > 0.1  # forty steps leave some digits between two classes
    assert np.mean(decided) > 0.9 and same[decided].all()


def test_evaluation_counts_rows_of_true_classes():
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])
    evaluation = Evaluation.of(probabilities, np.array([0, 1, 1]))
    assert evaluation.accuracy == pytest.approx(2 / 3)
    assert evaluation.loss == pytest.approx(-np.log([0.9, 0.8, 0.4]).mean())
    assert evaluation.confusion.tolist() == [[1, 0], [1, 1]]


def test_data_sets_that_do_not_belong_together_are_refused():
    history, held_out = part("train", 50), part("test", 50)
    narrow = replace(held_out, images=held_out.images[:, :, :20])
    with pytest.raises(DataError, match=r"training images are \(28, 28, 1\), the test images"):
        fit(Training(), None, history, narrow, report=None)
    strange = replace(held_out, labels=held_out.labels + 40)
    with pytest.raises(DataError, match="the training images none above 9"):
        fit(Training(), None, history, strange, report=None)
    with pytest.raises(DataError, match="are the same as the training images"):
        fit(Training(), None, history, history, report=None)
