"""ONNX Runtime."""

from __future__ import annotations

from contract.model import telemetry
from streaming.engines.in_workers import Predict
from streaming.steps.frame import Features, Probabilities

_FATAL = 4
"""ONNX Runtime's highest log level. Errors still raise exceptions."""


def load(model: bytes) -> Predict:
    """Load the bytes of an ONNX file into a session with one thread."""
    telemetry.disable()
    from onnxruntime import InferenceSession, SessionOptions  # noqa: PLC0415  (workers only)

    options = SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = _FATAL  # its log lines contain unescaped names from the bundle
    session = InferenceSession(model, options, providers=["CPUExecutionProvider"])

    def predict(features: Features) -> Probabilities:
        probabilities: Probabilities = session.run(["probabilities"], {"X": features})[0]
        return probabilities

    return predict
