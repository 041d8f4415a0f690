"""Quantizes models to 8-bit integers, which processors multiply several times faster."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from contract.model import telemetry

telemetry.disable()
from onnxruntime.quantization import (  # noqa: E402
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process  # noqa: E402

CALIBRATION = 512
"""Number of images with which the ranges of activations are measured."""

_BLOCK = 64


class _Calibration(CalibrationDataReader):  # type: ignore[misc]
    """Features (N, H, W, C) in blocks, as input of the model."""

    def __init__(self, features: NDArray[np.float32]) -> None:
        self._blocks: Iterator[NDArray[np.float32]] = iter(
            [features[at : at + _BLOCK] for at in range(0, len(features), _BLOCK)]
        )

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        """The next block by the name of the model's input; None after the last."""
        block = next(self._blocks, None)
        return None if block is None else {"X": block}


def quantize(model: Path, target: Path, features: NDArray[np.float32]) -> None:
    """Write the ONNX model with 8-bit weights and activations to `target`.

    Uses QDQ nodes and one scale per channel of a kernel. The ranges of activations are those for
    `features` (N, H, W, C), scaled training images.
    """
    level = logging.getLogger().level
    # It would advise the root logger to do what is done here.
    logging.getLogger().setLevel(logging.ERROR)
    try:
        with tempfile.TemporaryDirectory(prefix="digitstream-int8-") as folder:
            prepared = Path(folder) / "prepared.onnx"
            quant_pre_process(model, prepared, skip_symbolic_shape=True)
            quantize_static(
                prepared,
                target,
                _Calibration(features),
                quant_format=QuantFormat.QDQ,
                per_channel=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                # Without VNNI, two products are added in 16 bits, which full weights overflow.
                reduce_range=True,
            )
    finally:
        logging.getLogger().setLevel(level)
