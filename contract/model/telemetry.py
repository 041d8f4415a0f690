"""Turns off the telemetry of libraries."""

from __future__ import annotations

import os

_VARIABLES = {"MLFLOW_DISABLE_TELEMETRY": "true", "ORT_DISABLE_TELEMETRY": "1"}


def disable() -> None:
    """Turn off telemetry of MLflow and ONNX Runtime; call it before they are imported."""
    os.environ.update(_VARIABLES)
