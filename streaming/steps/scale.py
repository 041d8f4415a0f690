"""The third step: scales pixels to the features that the model was trained on."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from contract.model.scaling import Scaling
from contract.wire.images import Shape, raw_size
from streaming.steps.frame import Frame


def scaled(frame: Frame, shape: Shape, scaling: Scaling) -> Frame:
    """The good images of this shape (H, W, C) as features, by the scaling fitted in training."""
    images = frame.pixels.filter(frame.good)
    return replace(frame, features=scaling.apply(viewed(images, raw_size(shape), shape)))


@dataclass(frozen=True)
class Scale:
    """Scales the good images of a shape (H, W, C), by the scaling fitted in training."""

    shape: Shape
    scaling: Scaling

    def __call__(self, frame: Frame) -> Frame:
        """The frame with features."""
        return scaled(frame, self.shape, self.scaling)


def viewed(images: pa.BinaryArray, size: int, shape: Shape) -> NDArray[np.uint8]:
    """Raw images of `size` bytes each as uint8 (M, H, W, C): a view of the column, not a copy."""
    begin, data = images.offset, images.buffers()[2]
    offset = int(np.frombuffer(images.buffers()[1], np.int32)[begin]) if len(images) else 0
    count = len(images) * size
    pixels = np.frombuffer(data, np.uint8, count, offset) if count else np.empty(0, np.uint8)
    return pixels.reshape(len(images), *shape)
