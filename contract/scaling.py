"""The one place that scales pixels to features."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Scaling:
    """`feature = pixel * scale + minimum`: scikit-learn's MinMaxScaler over all pixels as one.

    One range for all of a sensor's pixels: a border pixel that never lit up in training has no
    range of its own and must not blow up when it does.
    """

    scale: float
    minimum: float

    @classmethod
    def fit(cls, pixels: NDArray[np.uint8]) -> Scaling:
        """The constants that map the pixels (N, H, W, C) onto [0, 1]."""
        from sklearn.preprocessing import MinMaxScaler  # noqa: PLC0415  (streaming scales too, without scikit-learn)

        extremes = np.array([[pixels.min()], [pixels.max()]], np.float64)
        scaler = MinMaxScaler().fit(extremes)
        return cls(scale=float(scaler.scale_[0]), minimum=float(scaler.min_[0]))

    def apply(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Pixels as float32 features of the same shape and order."""
        features = pixels.astype(np.float32)
        features *= np.float32(self.scale)
        features += np.float32(self.minimum)
        return features
