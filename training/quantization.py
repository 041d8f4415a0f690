"""The model in whole numbers of eight bits, which processors multiply several times as fast."""

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
"""Images that show how large each value of the network gets."""

_AT_ONCE = 64


class _Calibration(CalibrationDataReader):  # type: ignore[misc]
    """Features (N, H, W, C), some at a time, as the model takes them."""

    def __init__(self, features: NDArray[np.float32]) -> None:
        self._blocks: Iterator[NDArray[np.float32]] = iter(
            [features[at : at + _AT_ONCE] for at in range(0, len(features), _AT_ONCE)]
        )

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        """The next block by the name of the model's input, or None after the last."""
        block = next(self._blocks, None)
        return None if block is None else {"X": block}


def quantize(model: Path, target: Path, features: NDArray[np.float32]) -> None:
    """Write the ONNX model with weights and activations of eight bits to `target`.

    QDQ nodes, one scale for each channel of a kernel; the range of each activation is the one that
    `features` (N, H, W, C), scaled training images, give it.
    """
    said = logging.getLogger().level
    logging.getLogger().setLevel(logging.ERROR)  # it advises the root logger to do what is done
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
                # Processors without VNNI add two products in 16 bits, which full weights overflow.
                reduce_range=True,
            )
    finally:
        logging.getLogger().setLevel(said)
