"""All rules of this package, loaded, and how a layer is lowered by one of them."""

from __future__ import annotations

from keras2dml.rules import (
    Refusal,
    activations,
    attention,
    augmentation,
    convolution,
    core,
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
    volumes,
)

__all__ = [
    "Refusal",
    "activations",
    "attention",
    "augmentation",
    "convolution",
    "core",
    "layer_norms",
    "lowered",
    "merging",
    "models",
    "noise",
    "normalization",
    "pooling",
    "preprocessing",
    "products",
    "recurrent",
    "sequences",
    "shapes",
    "transposed",
    "volumes",
]
