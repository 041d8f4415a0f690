"""ONNX Runtime."""

from __future__ import annotations

from contract.model import telemetry
from streaming.engines.in_workers import Predict
from streaming.steps.frame import Features, Probabilities

_FATAL = 4
"""Of ONNX Runtime's levels the highest. What goes wrong comes as an exception all the same."""


def loaded(model: bytes) -> Predict:
    """The bytes of an ONNX file as a session of one thread."""
    telemetry.disable()
    from onnxruntime import InferenceSession, SessionOptions  # noqa: PLC0415  (workers only)

    options = SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = (
        _FATAL  # what it says of a bundle has names from there, as they are
    )
    session = InferenceSession(model, options, providers=["CPUExecutionProvider"])

    def predict(features: Features) -> Probabilities:
        probabilities: Probabilities = session.run(["probabilities"], {"X": features})[0]
        return probabilities

    return predict
