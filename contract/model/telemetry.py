"""Libraries that would report to their makers what runs here."""

from __future__ import annotations

import os

_VARIABLES = {"MLFLOW_DISABLE_TELEMETRY": "true", "ORT_DISABLE_TELEMETRY": "1"}


def disable() -> None:
    """Keep MLflow and ONNX Runtime from it, before they are imported: they look then."""
    os.environ.update(_VARIABLES)
