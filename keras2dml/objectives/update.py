"""A step of an optimizer on one variable: the DML update, what it keeps, and its constants."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from keras2dml.graph import Scalar

Constants = Mapping[str, Scalar]


@dataclass(frozen=True)
class Step:
    """The library function `<function>_update` of one variable.

    `state` names the matrices that it keeps, as the attributes of Keras' optimizer or those of
    `attributes`, and says what is in them at first: a number, or for None the variable itself. Of
    those of `reduced`, Keras has one number along that axis of the variable.
    """

    function: str
    state: Mapping[str, float | None] = field(default_factory=dict)
    constants: Constants = field(default_factory=dict)
    factors: Callable[[np.ndarray], np.ndarray] | None = None
    """Of Nadam: its momentum's schedule, of which the product over all steps so far is taken."""
    attributes: Mapping[str, str] = field(default_factory=dict)
    reduced: Mapping[str, int] = field(default_factory=dict)
