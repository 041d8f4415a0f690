"""ONNX Runtime."""

from __future__ import annotations

from streaming.engines.in_workers import Predict
from streaming.frame import Features, Probabilities


def loaded(model: bytes) -> Predict:
    """The bytes of an ONNX file as a session of one thread."""
    from onnxruntime import InferenceSession, SessionOptions  # noqa: PLC0415  (workers only)

    options = SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = InferenceSession(model, options, providers=["CPUExecutionProvider"])

    def predict(features: Features) -> Probabilities:
        found: Probabilities = session.run(["probabilities"], {"X": features})[0]
        return found

    return predict
