"""An optimizer step on one variable: the DML update, its state and its constants."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from keras2dml.graph import Scalar

Constants = Mapping[str, Scalar]


@dataclass(frozen=True)
class Step:
    """The library function `<function>_update` of one variable.

    `state` has the names of its state matrices, which are attributes of Keras' optimizer unless
    `attributes` names others, and their initial values: a number, or None for the variable itself.
    For those in `reduced`, Keras has a single number along that axis of the variable.
    """

    function: str
    state: Mapping[str, float | None] = field(default_factory=dict)
    constants: Constants = field(default_factory=dict)
    factors: Callable[[np.ndarray], np.ndarray] | None = None
    """Of Nadam: its momentum's schedule, of which the product over all steps so far is taken."""
    attributes: Mapping[str, str] = field(default_factory=dict)
    reduced: Mapping[str, int] = field(default_factory=dict)
