"""The second step: fails images that the model does not take."""

from __future__ import annotations

import numpy as np
import pyarrow.compute as pc

from contract.wire import images
from contract.wire.reasons import BadReading
from streaming.steps.columns import true
from streaming.steps.frame import Frame


def validated(frame: Frame, shape: images.Shape) -> Frame:
    """Fail the images that are not of this shape (H, W, C)."""
    size = pc.binary_length(frame.pixels).fill_null(0)
    wrong = pc.and_(frame.good, pc.not_equal(size, images.raw_size(shape)))
    faults = {}
    for row in np.flatnonzero(true(wrong)).tolist():
        try:
            images.decode(frame.pixels[row].as_py(), images.RAW, shape)
        except BadReading as fault:
            faults[row] = fault
    return frame.failed(faults)
