"""All rules of this package, loaded, and how a layer is lowered by one of them."""

from __future__ import annotations

from keras2dml.rules import (
    Refusal,
    activations,
    core,
    images,
    lowered,
    merging,
    models,
    normalization,
    shapes,
)

__all__ = [
    "Refusal",
    "activations",
    "core",
    "images",
    "lowered",
    "merging",
    "models",
    "normalization",
    "shapes",
]
