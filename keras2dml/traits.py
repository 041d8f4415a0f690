"""What is true of a step or of a loss beside what it computes: said where it is made, asked
elsewhere.
"""

from __future__ import annotations

from enum import Enum, auto


class Trait(Enum):
    """One such truth."""

    BATCH_STATISTICS = auto()
    """In training a step takes statistics of the whole batch."""
    AFTER_MAXIMA = auto()
    """A step on each element may as well come after a maximum of some, and so do the gradients."""
    TAKES_PROBABILITIES = auto()
    """A step takes its first input for probabilities, for which Keras looks for logits."""
    MARGIN = auto()
    """A loss has signed predictions, and makes -1 and 1 of targets if a batch has but 0 and 1."""
    IN_FLOAT32 = auto()
    """A loss computes in float32."""
    KINK_ON_JAX = auto()
    """Keras on JAX takes another derivative than on TensorFlow, at a point that has none."""
    KINK_ON_TORCH = auto()
    """So does Keras on PyTorch."""


KINK = frozenset((Trait.KINK_ON_JAX, Trait.KINK_ON_TORCH))
