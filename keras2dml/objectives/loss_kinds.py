"""Keras' losses: their DML functions, their targets, and what else is true of them."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Mapping

import keras

from keras2dml.traits import KINK, Trait

# Keras' loss: the library's function of probabilities or numbers, of logits where there is one.
ENTROPIES = {
    keras.losses.CategoricalCrossentropy: "cross_entropy",
    keras.losses.SparseCategoricalCrossentropy: "cross_entropy",
    keras.losses.BinaryCrossentropy: "binary_cross_entropy",
    keras.losses.BinaryFocalCrossentropy: "binary_focal_cross_entropy",
    keras.losses.CategoricalFocalCrossentropy: "categorical_focal_cross_entropy",
}
PLAIN = {
    keras.losses.MeanSquaredError: "mean_squared_error",
    keras.losses.MeanAbsoluteError: "mean_absolute_error",
    keras.losses.MeanAbsolutePercentageError: "mean_absolute_percentage_error",
    keras.losses.MeanSquaredLogarithmicError: "mean_squared_logarithmic_error",
    keras.losses.CosineSimilarity: "cosine_similarity",
    keras.losses.Huber: "huber",
    keras.losses.LogCosh: "log_cosh",
    keras.losses.KLDivergence: "kl_divergence",
    keras.losses.Poisson: "poisson",
    keras.losses.Hinge: "hinge",
    keras.losses.SquaredHinge: "squared_hinge",
    keras.losses.CategoricalHinge: "categorical_hinge",
    keras.losses.CategoricalGeneralizedCrossEntropy: "categorical_generalized_cross_entropy",
    keras.losses.Dice: "dice",
    keras.losses.Tversky: "tversky",
    keras.losses.Circle: "circle",
}
SPARSE = (
    keras.losses.SparseCategoricalCrossentropy,
    keras.losses.CategoricalGeneralizedCrossEntropy,
)
"""The losses whose targets are class numbers; those of `CLASSES` take them too."""
CLASSES = (
    *SPARSE,
    keras.losses.CategoricalCrossentropy,
    keras.losses.CategoricalFocalCrossentropy,
    keras.losses.CategoricalHinge,
    keras.losses.KLDivergence,
)
BINARY = (
    keras.losses.BinaryCrossentropy,
    keras.losses.BinaryFocalCrossentropy,
    keras.losses.Hinge,
    keras.losses.SquaredHinge,
)
WHOLE = (keras.losses.Dice, keras.losses.Tversky, keras.losses.Circle)
"""The losses that are one number for a whole batch."""
TRAITS: Mapping[type, frozenset[Trait]] = {
    keras.losses.Hinge: KINK | {Trait.MARGIN},
    keras.losses.SquaredHinge: frozenset((Trait.MARGIN,)),
    keras.losses.CategoricalHinge: KINK | {Trait.MARGIN},
    keras.losses.KLDivergence: KINK,
    keras.losses.CosineSimilarity: KINK,
    keras.losses.MeanAbsoluteError: frozenset((Trait.KINK_ON_JAX,)),
    keras.losses.MeanAbsolutePercentageError: frozenset((Trait.KINK_ON_JAX,)),
}
REDUCTIONS = ("sum_over_batch_size", "mean", "sum", "mean_with_sample_weight")
COMPILED = ChainMap(PLAIN, ENTROPIES)  # others add to them
FUNCTIONS = {kind().fn: kind for kind in COMPILED}
"""Keras' loss functions, and the losses that they are."""
TREATED = frozenset(("name", "reduction", "dtype", "from_logits", "label_smoothing"))
