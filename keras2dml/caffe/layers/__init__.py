"""How each layer of Caffe is read, and the Keras layers that it takes where Keras has none."""

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
