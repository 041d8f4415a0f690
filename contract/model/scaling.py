"""Scaling of pixels to features, and inversion of images."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from contract.choices import AUTO, Invert

Pixels = NDArray[np.uint8]

Ink = Literal["light", "dark"]


_UNIFORM = 0.95
"""Minimum share of the training images with the same ink for all to count as having that ink."""


@dataclass(frozen=True)
class Scaling:
    """`feature = pixel * scale + minimum`: scikit-learn's MinMaxScaler with one range for all
    pixels.

    A range per pixel would fail for border pixels, which never light up in training but may later.

    `ink` is that of the training images, light on dark or dark on light; None if unknown or mixed.
    With `invert` "auto" each image of the other ink is inverted before it is scaled.
    """

    scale: float
    minimum: float
    ink: Ink | None = None
    invert: Invert = "never"

    @classmethod
    def fit(cls, pixels: Pixels, invert: Invert = "never") -> Scaling:
        """The scaling that maps the pixels (N, H, W, C) onto [0, 1]. With `invert` "auto", the ink
        is that of most images.
        """
        from sklearn.preprocessing import MinMaxScaler  # noqa: PLC0415  (streaming scales too, without scikit-learn)

        extremes = np.array([[pixels.min()], [pixels.max()]], np.float64)
        scaler = MinMaxScaler().fit(extremes)
        dark = float(is_dark_on_light(pixels).mean())
        ink: Ink = "dark" if dark > 0.5 else "light"
        is_known = invert == AUTO or max(dark, 1 - dark) >= _UNIFORM
        scaling = cls(scale=float(scaler.scale_[0]), minimum=float(scaler.min_[0]), invert=invert)
        return replace(scaling, ink=ink) if is_known else scaling

    def apply(self, pixels: Pixels) -> NDArray[np.float32]:
        """Pixels (N, H, W, C) as float32 features of the same shape and order."""
        features = self._inverted(pixels).astype(np.float32)
        features *= np.float32(self.scale)
        features += np.float32(self.minimum)
        return features

    def _inverted(self, pixels: Pixels) -> Pixels:
        if self.invert != AUTO or not pixels.size:
            return pixels
        is_other_ink = is_dark_on_light(pixels) == (self.ink == "light")
        if not is_other_ink.any():
            return pixels
        inverted = pixels.copy()
        inverted[is_other_ink] = 255 - inverted[is_other_ink]
        return inverted


def is_dark_on_light(pixels: Pixels) -> NDArray[np.bool_]:
    """Whether each image (N, H, W, C) has a border closer to its lightest value than to its
    darkest; (N,).
    """
    is_border = np.ones(pixels.shape[1:3], bool)
    is_border[1:-1, 1:-1] = False
    border = pixels[:, is_border].mean((1, 2))
    lightest, darkest = (extreme(pixels, (1, 2, 3)).astype(float) for extreme in (np.max, np.min))
    return np.asarray(border > (lightest + darkest) / 2)
