"""OpenVINO, which knows more of a processor's instructions than others do."""

from __future__ import annotations

import io
import sys
from typing import Any

import numpy as np

from streaming.engines.in_workers import Predict
from streaming.steps.frame import Features, Probabilities

_OPTIONS = {
    "INFERENCE_NUM_THREADS": 1,
    "NUM_STREAMS": 1,
    # Each worker would keep itself to the first core, all of them to the same one.
    "ENABLE_CPU_PINNING": False,
    # No 16-bit numbers where a model has 32-bit ones.
    "INFERENCE_PRECISION_HINT": "f32",
}


def loaded(model: bytes) -> Predict:
    """The bytes of an ONNX file, fp32 or with eight-bit weights, as a request of one thread."""
    # Without this package OpenVINO cannot tell its makers of each time that it is imported.
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
    from openvino import Core  # noqa: PLC0415  (workers only)

    core: Any = Core()
    compiled = core.compile_model(core.read_model(io.BytesIO(model)), "CPU", _OPTIONS)
    request = compiled.create_infer_request()

    def predict(features: Features) -> Probabilities:
        # Both ends are shared with the request, whose output the next call overwrites.
        outputs = request.infer([features], share_inputs=True, share_outputs=True)
        return np.array(outputs["probabilities"])

    return predict
