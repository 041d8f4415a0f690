"""Small ONNX models made by hand, and bundles of them."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np
import onnxruntime
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from contract.model import bundle
from contract.model.bundle import Bundle, Golden
from contract.settings.programs import Scoring
from streaming.engines.in_workers import Predict
from streaming.steps.frame import Features, Probabilities
from tests.streaming.records import SHAPE

UPSETTING = 7


def linear(seed: int = 1, classes: int = 10, shape: tuple[int, ...] = SHAPE) -> bytes:
    """The softmax of one matrix product, by chance; another seed is another opinion."""
    return _model(_layers("probabilities"), _weights(seed, classes, shape), classes, shape)


def moody(pixel: int = UPSETTING, seed: int = 1) -> bytes:
    """`linear`, but no number at all for an image whose first pixel has this value."""
    nodes = [
        *_layers("calm"),
        helper.make_node("Slice", ["row", "begin", "end", "axis"], ["first"]),
        helper.make_node("Sub", ["first", "trigger"], ["distance"]),
        helper.make_node("Abs", ["distance"], ["away"]),
        helper.make_node("Log", ["away"], ["deep"]),  # of 0: minus infinity
        helper.make_node("Mul", ["deep", "nothing"], ["none"]),  # and then no number
        helper.make_node("Add", ["calm", "none"], ["probabilities"]),
    ]
    constants = {
        "begin": np.array([0]),
        "end": np.array([1]),
        "axis": np.array([1]),
        "trigger": np.array([pixel * np.float32(1 / 255)], np.float32),
        "nothing": np.zeros(1, np.float32),
    }
    return _model(nodes, _weights(seed, 10, SHAPE) | constants, 10, SHAPE)


def by_fours(seed: int = 1) -> bytes:
    """`linear`, but that it takes images by fours only, as if it had been exported so."""
    nodes = [
        helper.make_node("Reshape", ["X", "fours"], ["by four"]),
        helper.make_node("Reshape", ["by four", "ones"], ["row"]),
        *_layers("probabilities")[1:],
    ]
    pixels = int(np.prod(SHAPE))
    constants = {"fours": np.array([-1, 4, pixels]), "ones": np.array([-1, pixels])}
    return _model(nodes, _weights(seed, 10, SHAPE) | constants, 10, SHAPE)


def endless(model: bytes) -> Predict:
    """Load a model that never answers."""

    def predict(features: Features) -> Probabilities:
        while True:
            time.sleep(1)

    return predict


def upsetting() -> np.ndarray:
    """An image of which a moody model makes no number. So is, by chance, image number 91."""
    return np.full(SHAPE, UPSETTING, np.uint8)


def registered_as(
    settings: Scoring, like: Bundle, model: bytes, golden: Golden | None = None
) -> str:
    """Register a bundle like another one with this model; returns its version.

    Its golden set is what the model makes of the other's images, unless one is given.
    """
    known, golden = like.manifest, golden or golden_of(model, like, like.golden.inputs)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / bundle.DML).mkdir()
        (folder / bundle.DML / "model.json").write_text("{}")
        (folder / bundle.ONNX).write_bytes(model)
        made = bundle.write(
            folder,
            name=known.name,
            input_shape=golden.inputs.shape[1:],
            classes=known.classes,
            scaling=known.scaling,
            versions={},
            data_sha256=known.data_sha256,
            metrics={},
            golden=golden,
        )
        return settings.registry.register(made, parameters={})


def golden_of(model: bytes, like: Bundle, inputs: np.ndarray) -> Golden:
    """What a model makes of images that are scaled as the other's."""
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    features = like.manifest.scaling.apply(inputs)
    [probabilities] = session.run(["probabilities"], {"X": features})
    return Golden(inputs, probabilities, probabilities.argmax(axis=1))


def _layers(out: str) -> list[NodeProto]:
    return [
        helper.make_node("Flatten", ["X"], ["row"]),
        helper.make_node("MatMul", ["row", "W"], ["logits"]),
        helper.make_node("Softmax", ["logits"], [out]),
    ]


def _weights(seed: int, classes: int, shape: tuple[int, ...]) -> dict[str, np.ndarray]:
    weights = np.random.default_rng(seed).normal(0, 0.3, (int(np.prod(shape)), classes))
    return {"W": weights.astype(np.float32)}


def _model(
    nodes: list[NodeProto],
    constants: dict[str, np.ndarray],
    classes: int,
    shape: tuple[int, ...],
) -> bytes:
    graph = helper.make_graph(
        nodes,
        "by-hand",
        [helper.make_tensor_value_info("X", TensorProto.FLOAT, ["N", *shape])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["N", classes])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    made: ModelProto = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8
    )
    return bytes(made.SerializeToString())
