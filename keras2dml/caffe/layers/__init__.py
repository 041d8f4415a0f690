"""The readers of Caffe's layers, and Keras layers for what Keras itself lacks."""

from __future__ import annotations

from keras2dml.caffe.layers import (
    contrastive,
    convolution,
    elementwise,
    inner_product,
    local_response,
    losses,
    normalization,
    pooling,
    shapes,
)

__all__ = [
    "contrastive",
    "convolution",
    "elementwise",
    "inner_product",
    "local_response",
    "losses",
    "normalization",
    "pooling",
    "shapes",
]
