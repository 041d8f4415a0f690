"""Properties of calls and losses, declared where they are created, so that nobody matches names."""

from __future__ import annotations

from enum import Enum, auto


class Trait(Enum):
    """A property of a call or of a loss."""

    BATCH_STATISTICS = auto()
    """In training, the call uses statistics of the whole batch."""
    AFTER_MAXIMA = auto()
    """The call works on each element, and may follow a maximum instead of preceding it: values and
    gradients stay the same.
    """
    TAKES_PROBABILITIES = auto()
    """The call's first input are probabilities, in whose place Keras uses logits if it has them."""
    MARGIN = auto()
    """The loss has signed predictions, and converts targets 0 and 1 to -1 and 1."""
    IN_FLOAT32 = auto()
    """The loss computes in float32."""
    KINK_ON_JAX = auto()
    """Where the function has no derivative, Keras on JAX uses another value than on TensorFlow."""
    KINK_ON_TORCH = auto()
    """The same on PyTorch."""


KINK = frozenset((Trait.KINK_ON_JAX, Trait.KINK_ON_TORCH))
