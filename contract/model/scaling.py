"""The one place that scales pixels to features."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from contract.choices import AUTO, Invert

Pixels = NDArray[np.uint8]

Ink = Literal["light", "dark"]


_ALIKE = 0.95
"""Share of the training images from which on all are said to have one ink."""


@dataclass(frozen=True)
class Scaling:
    """`feature = pixel * scale + minimum`: scikit-learn's MinMaxScaler over all pixels as one.

    One range for all of a sensor's pixels: a border pixel that never lit up in training has no
    range of its own and must not blow up when it does.

    `ink` is what the training images had, light on dark or dark on light; None is not known, or
    both. With `invert` "auto" each image of the other ink is inverted before it is scaled.
    """

    scale: float
    minimum: float
    ink: Ink | None = None
    invert: Invert = "never"

    @classmethod
    def fit(cls, pixels: Pixels, invert: Invert = "never") -> Scaling:
        """The constants that map the pixels (N, H, W, C) onto [0, 1]; to invert, the ink is that of
        most images.
        """
        from sklearn.preprocessing import MinMaxScaler  # noqa: PLC0415  (streaming scales too, without scikit-learn)

        extremes = np.array([[pixels.min()], [pixels.max()]], np.float64)
        scaler = MinMaxScaler().fit(extremes)
        dark = float(is_dark_on_light(pixels).mean())
        ink: Ink = "dark" if dark > 0.5 else "light"
        is_one = invert == AUTO or max(dark, 1 - dark) >= _ALIKE
        scaling = cls(scale=float(scaler.scale_[0]), minimum=float(scaler.min_[0]), invert=invert)
        return replace(scaling, ink=ink) if is_one else scaling

    def apply(self, pixels: Pixels) -> NDArray[np.float32]:
        """Pixels (N, H, W, C) as float32 features of the same shape and order."""
        features = self._of_one_ink(pixels).astype(np.float32)
        features *= np.float32(self.scale)
        features += np.float32(self.minimum)
        return features

    def _of_one_ink(self, pixels: Pixels) -> Pixels:
        if self.invert != AUTO or not pixels.size:
            return pixels
        others = is_dark_on_light(pixels) == (self.ink == "light")
        if not others.any():
            return pixels
        turned = pixels.copy()
        turned[others] = 255 - turned[others]
        return turned


def is_dark_on_light(pixels: Pixels) -> NDArray[np.bool_]:
    """Of each image (N, H, W, C) whether its border is nearer to its lightest value than to its
    darkest.
    """
    rim = np.ones(pixels.shape[1:3], bool)
    rim[1:-1, 1:-1] = False
    border = pixels[:, rim].mean((1, 2))
    lightest, darkest = (pick(pixels, (1, 2, 3)).astype(float) for pick in (np.max, np.min))
    return np.asarray(border > (lightest + darkest) / 2)
