"""OpenVINO, which uses more of a processor's instructions than other runtimes."""

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
    # Otherwise every worker pins itself to the first core.
    "ENABLE_CPU_PINNING": False,
    # Keep 32-bit floats; the default may use 16 bits.
    "INFERENCE_PRECISION_HINT": "f32",
}


def load(model: bytes) -> Predict:
    """Load the bytes of an ONNX file, fp32 or int8, into a request with one thread."""
    # Without this package OpenVINO cannot report each import to its vendor.
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
    from openvino import Core  # noqa: PLC0415  (workers only)

    core: Any = Core()
    compiled = core.compile_model(core.read_model(io.BytesIO(model)), "CPU", _OPTIONS)
    request = compiled.create_infer_request()

    def predict(features: Features) -> Probabilities:
        # Input and output are shared with the request; the next call overwrites the output.
        outputs = request.infer([features], share_inputs=True, share_outputs=True)
        return np.array(outputs["probabilities"])

    return predict
