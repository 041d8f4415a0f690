"""The verbs of these tests: Keras is the oracle."""

from __future__ import annotations

import keras
import numpy as np
import onnxruntime
from pyspark.sql import SparkSession

from keras2dml import Keras2DML, onnx
from keras2dml.check import check
from keras2dml.compilation import Compilation
from keras2dml.reader import read
from keras2dml.scorer import CompiledModel, Scorer

# How near, relative and absolute: the scores and the weights of a float64 model, and of a float32
# one.
FORWARD, WEIGHTS = {"float64": 1e-9, "float32": 1e-5}, {"float64": 1e-8, "float32": 1e-4}


def model(shape: tuple[int, ...], *layers: keras.Layer, seed: int = 7) -> keras.Model:
    """A Sequential model with weights that depend on the seed alone, biases included."""
    built = keras.Sequential([keras.Input(shape), *layers])
    generator = np.random.default_rng(seed)
    built.set_weights([generator.normal(0, 0.3, weight.shape) for weight in built.get_weights()])
    return built


def examples(built: keras.Model, rows: int, seed: int = 11) -> np.ndarray:
    """Rows with values of both signs, many of them equal so that there are ties."""
    values = np.random.default_rng(seed).normal(size=(rows, *built.input_shape[1:]))
    return np.round(values * 4) / 4


def agrees(spark: SparkSession, built: keras.Model, rows: int = 5) -> None:
    """The compiled model scores as Keras does: by DML, and by ONNX."""
    features = examples(built, rows)
    wanted = built.predict(features, verbose=0)
    graph = check(read(built))
    variables = built.get_weights()
    weights = {weight.name: weight.to_dml(variables[weight.position]) for weight in graph.weights()}
    scored = Scorer(spark, CompiledModel.of(graph, weights)).predict_proba(features)
    near = FORWARD[built.compute_dtype]
    np.testing.assert_allclose(scored, wanted, rtol=near, atol=near)
    exported = onnx.exported(graph, weights).SerializeToString()
    session = onnxruntime.InferenceSession(exported, providers=["CPUExecutionProvider"])
    inferred = session.run(None, {"X": features.astype(np.float32)})[0]
    near = FORWARD["float32"]
    np.testing.assert_allclose(inferred, wanted, rtol=near, atol=near)


def learns(
    spark: SparkSession,
    built: keras.Model,
    *,
    loss: str | keras.losses.Loss = "sparse_categorical_crossentropy",
    optimizer: keras.optimizers.Optimizer | None = None,
    steps: int = 4,
) -> None:
    """After some steps on the same batches the weights are Keras' own; the last batch is a partial
    one.
    """
    built.compile(optimizer=optimizer or keras.optimizers.SGD(0.1), loss=loss)
    classes, batch = built.output_shape[-1], 6
    features = examples(built, batch * (steps - 1) + 2)
    labels = np.random.default_rng(3).integers(0, classes, len(features))
    sparse = "sparse" in (loss if isinstance(loss, str) else loss.name)
    targets = labels if sparse else np.eye(classes)[labels]
    ours = Keras2DML(spark, built, batch_size=batch, max_iter=steps, display=0)
    ours.fit(features, targets)
    theirs = [
        built.train_on_batch(features[begin : begin + batch], targets[begin : begin + batch])
        for begin in range(0, len(features), batch)
    ]
    near = WEIGHTS[built.compute_dtype]
    for found, wanted in zip(ours.to_keras().get_weights(), built.get_weights(), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=near, atol=near)
    losses = [step.loss for step in ours.iterations]
    np.testing.assert_allclose(losses, np.ravel(theirs), rtol=near, atol=near)


def complaints(built: keras.Model) -> tuple[str, ...]:
    """What the compiler says of a model that it refuses."""
    from keras2dml import UnsupportedModel

    try:
        Compilation.of(built)
    except UnsupportedModel as refused:
        return refused.complaints
    return ()
