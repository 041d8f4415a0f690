"""The verbs of these tests: Keras is the oracle."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import keras
import numpy as np
import onnxruntime
from joining import names_of
from pyspark.sql import SparkSession

from keras2dml import Keras2DML, UnsupportedModel
from keras2dml.check import check
from keras2dml.compilation import Compilation
from keras2dml.estimators.scorer import CompiledModel, Scorer
from keras2dml.export import onnx, stored
from keras2dml.graph import Graph
from keras2dml.reader import read
from keras2dml.rendering.forward import Script
from keras2dml.scripts import score

# How near, relative and absolute: the scores and the weights of a float64 model, and of a float32
# one.
FORWARD, WEIGHTS = {"float64": 1e-9, "float32": 1e-5}, {"float64": 1e-8, "float32": 1e-4}

ROWS = 5
Weights = np.ndarray | None


def model(shape: tuple[int, ...], *layers: keras.Layer, seed: int = 7) -> keras.Model:
    """A Sequential model with weights that depend on the seed alone, biases included."""
    return seeded(keras.Sequential([keras.Input(shape), *layers]), seed)


def fresh(layer: keras.Layer) -> keras.Layer:
    """The same layer again, of the dtype that these tests compute in."""
    return type(layer).from_config({**layer.get_config(), "dtype": keras.config.floatx()})


def seeded(built: keras.Model, seed: int = 7) -> keras.Model:
    """The model with weights that depend on the seed alone; variances are positive."""
    generator = np.random.default_rng(seed)
    drawn = [generator.normal(0, 0.3, weight.shape) for weight in built.weights]
    built.set_weights(
        [
            abs(value) + 0.5 if "variance" in weight.path else value
            for weight, value in zip(built.weights, drawn, strict=True)
        ]
    )
    return built


def stable(built: keras.Model) -> keras.Model:
    """The model with random weights under which its values neither vanish nor grow: kernels by the
    number of what they add up, scales near 1.
    """
    generator = np.random.default_rng(5)
    weights = []
    for one in built.weights:
        name, shape = one.path.rsplit("/", 1)[-1], tuple(one.shape)
        drawn = generator.normal(size=shape)
        if "kernel" in name:
            depthwise = "depthwise" in one.path
            fan = np.prod(shape[:2]) if depthwise and len(shape) == 4 else np.prod(shape[:-1])
            weights.append(drawn / np.sqrt(fan))
        elif "variance" in name or name in ("gamma",):
            weights.append(np.exp(0.2 * drawn))
        else:
            weights.append(0.1 * drawn)
    built.set_weights(weights)
    return built


def examples(built: keras.Model, rows: int, seed: int = 11) -> np.ndarray | list[np.ndarray]:
    """Rows with values of both signs, many of them equal so that there are ties; a list for several
    inputs.
    """
    generator = np.random.default_rng(seed)
    values = [generator.normal(size=(rows, *tensor.shape[1:])) for tensor in built.inputs]
    return alone([np.round(value * 4) / 4 for value in values])


def thinned(values: np.ndarray, seed: int = 5) -> np.ndarray:
    """Most of the values 0, so that SystemDS keeps them, and reckons with them, as sparse."""
    return values * (np.random.default_rng(seed).random(values.shape) < 0.2)


def agrees_and_learns(spark: SparkSession, built: keras.Model, **arguments: Any) -> None:
    """What `agrees` and `learns` show, with one compilation for both."""
    learns(spark, built, scores=True, **arguments)


def agrees(
    spark: SparkSession,
    built: keras.Model,
    rows: int = ROWS,
    *,
    sparse: bool = True,
    single: bool = True,
) -> None:
    """The compiled model scores as Keras does, by DML and by ONNX: dense rows and `sparse` ones,
    with sparse weights, too, and as a model of `single` precision; the weights stay.
    """
    _agrees(spark, built, _compiled(built), rows, sparse=sparse)
    if single and built.compute_dtype == "float64":
        rounded = in_float32(built)
        _agrees(spark, rounded, _compiled(rounded), rows, sparse=False)


def _compiled(built: keras.Model) -> CompiledModel:
    graph = check(read(built))
    return CompiledModel.of(graph, _in_dml(graph, built.get_weights()))


def _agrees(
    spark: SparkSession, built: keras.Model, compiled: CompiledModel, rows: int, *, sparse: bool
) -> None:
    dtype = np.dtype(built.outputs[0].dtype)
    features = [value.astype(dtype) for value in listed(examples(built, rows))]
    thin = [thinned(value) for value in features]
    graph, dense = compiled.graph, built.get_weights()
    assert rendered_again(graph) == compiled.script
    if sparse:
        weights = [
            value if "variance" in weight.path else thinned(value)
            for weight, value in zip(built.weights, dense, strict=True)
        ]
        built.set_weights(weights)
        thin_weights = replace(compiled, weights={**compiled.weights, **_in_dml(graph, weights)})
        scored = Scorer(spark, thin_weights).outputs(alone(thin))
        _all_near(built, scored, _as_keras(built, thin), FORWARD[dtype.name])
        built.set_weights(dense)
    scorer = Scorer(spark, compiled)
    exported = onnx.exported(graph, compiled.weights).SerializeToString()
    session = onnxruntime.InferenceSession(exported, providers=["CPUExecutionProvider"])
    for batch in (thin, features) if sparse else (features,):
        by_keras = _as_keras(built, batch)
        _all_near(built, scorer.outputs(alone(batch)), by_keras, FORWARD[dtype.name])
        fed = {
            slot.name: value.astype(np.float32)
            for slot, value in zip(session.get_inputs(), batch, strict=True)
        }
        _all_near(built, session.run(None, fed), by_keras, FORWARD["float32"])


def _as_keras(built: keras.Model, features: list[np.ndarray]) -> list[np.ndarray]:
    return listed(built(alone(features), training=False))


def _all_near(
    built: keras.Model, scored: list[np.ndarray], by_keras: list[np.ndarray], distance: float
) -> None:
    for found, output, name in zip(scored, by_keras, names_of(built)[0], strict=True):
        near(found, output, distance, name)


def _in_dml(graph: Graph, weights: list[np.ndarray]) -> dict[str, np.ndarray]:
    """A model's weights as DML has them, by name."""
    return {one.name: one.weight.to_dml(weights[one.position]) for one in graph.parameters}


def in_float32(built: keras.Model) -> keras.Model:
    """The same model, with the same weights but for their rounding, in single precision."""
    text = json.dumps(built.get_config()).replace('"float64"', '"float32"')
    made = type(built).from_config(json.loads(text))
    made.set_weights(built.get_weights())
    return made


def rendered_again(graph: Graph) -> Script:
    """The scoring script of a graph that was written down and read."""
    return score.render(stored.of_json(json.loads(json.dumps(stored.to_json(graph)))))


def near(found: np.ndarray, wanted: np.ndarray, distance: float, name: str = "") -> None:
    """Equal but for this distance, relative to each number and to the largest of them; `name` is
    said where it is not so.
    """
    scale = max(1.0, float(np.abs(wanted).max(initial=0)))
    np.testing.assert_allclose(found, wanted, distance, distance * scale, err_msg=name)


def alone(arrays: list[np.ndarray]) -> np.ndarray | list[np.ndarray]:
    """What Keras takes for one input or output, or for several."""
    return arrays if len(arrays) > 1 else arrays[0]


def listed(tensors: object) -> list[np.ndarray]:
    """What Keras gives for one input or output, or for several, as arrays."""
    several = tensors if isinstance(tensors, (list, tuple)) else [tensors]
    return [np.asarray(tensor) for tensor in several]


def learns(
    spark: SparkSession,
    built: keras.Model,
    *,
    loss: str
    | keras.losses.Loss
    | list[str | keras.losses.Loss] = "sparse_categorical_crossentropy",
    optimizer: keras.optimizers.Optimizer | None = None,
    steps: int | None = None,
    rest: int = 1,
    sample_weight: Weights | list[Weights] = None,
    class_weight: dict[int, float] | None = None,
    single: bool = True,
    scores: bool = False,
    **compiled: object,
) -> None:
    """After some steps on the same batches, 3 or for an `optimizer` and weights 5, the weights are
    Keras' own, and so are losses and metrics; every other batch is sparse, the last one has `rest`
    examples. What takes plain steps
    for a loss of Keras' name does so as a model of `single` precision, too.
    """
    steps = steps or (3 if optimizer is None and sample_weight is None else 5)
    losses = loss if isinstance(loss, list) else [loss] * len(built.outputs)
    plain = optimizer is None and not (class_weight or compiled)
    plain = plain and all(isinstance(kind, str) for kind in losses)
    if single and built.compute_dtype == "float64":
        if plain and sample_weight is None:
            keras.config.set_floatx("float32")  # which losses compute in
            learns(spark, in_float32(built), loss=loss, steps=2, single=False, scores=scores)
            keras.config.set_floatx("float64")
        elif scores:
            rounded = in_float32(built)
            _agrees(spark, rounded, _compiled(rounded), ROWS, sparse=False)
    built.compile(
        optimizer=optimizer or keras.optimizers.SGD(0.1), loss=loss, run_eagerly=True, **compiled
    )
    batch = 6
    rows = batch * (steps - 1) + rest
    features = listed(examples(built, rows))
    for value in features:
        for begin in range(batch, rows, 2 * batch):
            value[begin : begin + batch] = thinned(value[begin : begin + batch])
    targets = [
        wanted(tensor.shape[1:], rows, one)
        for tensor, one in zip(built.outputs, losses, strict=True)
    ]
    ours = Keras2DML(spark, built, batch_size=batch, max_iter=steps, display=0)
    dtype = built.outputs[0].dtype
    if scores:
        _agrees(spark, built, ours.compiled(), ROWS, sparse=dtype == "float64")
    ours.fit(
        alone(features), alone(targets), sample_weight=sample_weight, class_weight=class_weight
    )
    distance = WEIGHTS[dtype]
    for step, begin in zip(ours.iterations, range(0, rows, batch), strict=True):
        part = slice(begin, begin + batch)
        x, y = [value[part] for value in features], [value[part] for value in targets]
        weights = _part(sample_weight, part)
        built.reset_metrics()
        measured = built.train_on_batch(alone(x), alone(y), weights, class_weight, return_dict=True)
        assert step.measures.keys() == measured.keys()
        for name, value in measured.items():
            near(np.array(step.measures[name]), np.asarray(value), max(distance, 1e-6), name)
        near(np.array(step.loss), np.asarray(measured["loss"]), distance)
    for found, trained, name in zip(
        ours.to_keras().get_weights(), built.get_weights(), names_of(built)[1], strict=True
    ):
        near(found, trained, distance, name)


def _part(weights: Weights | list[Weights], part: slice) -> Weights | list[Weights]:
    """The weights of a batch, for each output if they are a list."""
    if isinstance(weights, list):
        return [_part(own, part) for own in weights]
    return None if weights is None else weights[part]


def wanted(shape: tuple[int, ...], rows: int, loss: str | keras.losses.Loss) -> np.ndarray:
    """Targets for an output as a loss takes them: class numbers, labels, one-hot vectors, bits,
    numbers.
    """
    name = loss if isinstance(loss, str) else getattr(loss, "name", "function")
    generator = np.random.default_rng(3)
    labels = generator.integers(0, shape[-1], (rows, *shape[:-1]))
    if "circle" in name:
        return generator.integers(0, 5, rows)
    if "sparse" in name or "generalized" in name:
        return labels
    if "categorical" in name or "divergence" in name:
        return np.eye(shape[-1])[labels]
    if any(part in name for part in ("binary", "hinge", "dice", "tversky")):
        return generator.integers(0, 2, (rows, *shape)).astype(float)
    return generator.normal(size=(rows, *shape))


def complaints(built: keras.Model) -> tuple[str, ...]:
    """What the compiler says of a model that it refuses."""
    try:
        Compilation.of(built)
    except UnsupportedModel as refused:
        return refused.complaints
    return ()
