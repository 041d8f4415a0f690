"""All rules of this package, loaded, and how a layer is lowered by one of them."""

from __future__ import annotations

from keras2dml.rules import (
    Refusal,
    activations,
    attention,
    convolution,
    core,
    functions,
    layer_norms,
    lowered,
    merging,
    models,
    noise,
    normalization,
    pooling,
    preprocessing,
    products,
    recurrent,
    sequences,
    shapes,
    transposed,
)
from keras2dml.rules.operations import (
    arithmetic,
    elementwise,
    entropies,
    moving,
    neural,
    reductions,
)
from keras2dml.rules.operations import products as tensors

__all__ = [
    "Refusal",
    "activations",
    "arithmetic",
    "attention",
    "convolution",
    "core",
    "elementwise",
    "entropies",
    "functions",
    "layer_norms",
    "lowered",
    "merging",
    "models",
    "moving",
    "neural",
    "noise",
    "normalization",
    "pooling",
    "preprocessing",
    "products",
    "recurrent",
    "reductions",
    "sequences",
    "shapes",
    "tensors",
    "transposed",
]
