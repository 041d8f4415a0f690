"""Converts Caffe's fillers to Keras initializers."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from keras2dml.caffe.phases import named
from keras2dml.graph import Shape
from keras2dml.rules import Refusal


@keras.saving.register_keras_serializable("keras2dml.caffe")
class SparseNormal(keras.initializers.RandomNormal):  # type: ignore[misc]
    """Normally distributed numbers, of which all but a random share are set to 0."""

    def __init__(
        self, mean: float = 0.0, stddev: float = 1.0, share: float = 1.0, seed: Any = None
    ) -> None:
        super().__init__(mean, stddev, seed)
        self.share = share

    def __call__(self, shape: Any, dtype: Any = None) -> Any:
        """Initial values of this shape."""
        numbers = super().__call__(shape, dtype)
        seed = self.seed + 1 if isinstance(self.seed, int) else self.seed
        drawn = keras.random.uniform(shape, seed=seed, dtype=numbers.dtype)
        return numbers * ops.cast(drawn < self.share, numbers.dtype)

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {**super().get_config(), "share": self.share}


def filled(layer: Any, filler: Any, shape: Shape) -> Any:
    """The Keras initializer for a filler of a blob with this shape. Raises Refusal."""
    size = _averaged(filler, shape)
    limit, deviation = math.sqrt(3 / size), math.sqrt(2 / size)
    kinds: dict[str, Callable[[], Any]] = {
        "constant": lambda: keras.initializers.Constant(filler.value),
        "uniform": lambda: keras.initializers.RandomUniform(filler.min, filler.max),
        "gaussian": lambda: _gaussian(filler, shape[0]),
        "xavier": lambda: keras.initializers.RandomUniform(-limit, limit),
        "msra": lambda: keras.initializers.RandomNormal(0.0, deviation),
    }
    if filler.type not in kinds:
        reason = f"{named(layer)} has the filler {filler.type!r}: use one of {', '.join(kinds)}."
        raise Refusal(reason)
    return kinds[filler.type]()


def _averaged(filler: Any, shape: Shape) -> float:
    """The size by which the variance is divided: fan-in, fan-out, or their mean."""
    count = math.prod(shape)
    inputs, outputs = count / shape[0], count / (shape[1] if len(shape) > 1 else 1)
    return (inputs, outputs, (inputs + outputs) / 2)[filler.variance_norm]


def _gaussian(filler: Any, outputs: int) -> Any:
    """A normal initializer. Caffe's `sparse` is the average number of non-zero inputs of an output,
    which Caffe divides by the number of outputs.
    """
    if filler.sparse < 0:
        return keras.initializers.RandomNormal(filler.mean, filler.std)
    return SparseNormal(filler.mean, filler.std, min(1.0, filler.sparse / outputs))
