"""A small bundle of a model for images that are neither square nor gray."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from contract.model import bundle
from contract.model.bundle import Bundle, Golden
from contract.model.scaling import Scaling

PARTS = ("model.onnx", "dml/predict.dml", "dml/weights/W1.npy", "plots/loss.png")


@pytest.fixture
def make() -> Callable[..., Bundle]:
    return write


@pytest.fixture
def made(tmp_path: Path) -> Bundle:
    return write(tmp_path / "bundle")


def write(folder: Path, parts: Sequence[str] = PARTS, accuracy: float = 0.5) -> Bundle:
    for name in parts:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return bundle.write(
        folder,
        name="digits",
        input_shape=(8, 6, 2),
        classes=["cat", "dog"],
        scaling=Scaling(1 / 255, 0.0),
        versions={"keras": "3.15.1"},
        data_sha256="0" * 64,
        metrics={"accuracy": accuracy},
        golden=Golden(
            np.arange(3 * 8 * 6 * 2, dtype=np.uint8).reshape(3, 8, 6, 2),
            np.full((3, 2), 0.5, np.float32),
            np.array([0, 1, 1]),
        ),
    )
