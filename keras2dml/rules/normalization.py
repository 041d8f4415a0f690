"""BatchNormalization."""

from __future__ import annotations

import keras
import numpy as np

from keras2dml.graph import Constant, Node, Value, Weight
from keras2dml.rules import call, lowers, named
from keras2dml.rules.layouts import arranged, axes_of, last
from keras2dml.rules.masks import without
from keras2dml.traits import Trait


@lowers(
    keras.layers.BatchNormalization,
    honours="axis momentum epsilon center scale",
    partly="axis",
    masks=True,
)
def batch_normalization(
    layer: keras.layers.BatchNormalization, x: Value, mask: Value | None = None
) -> Value:
    """Normalizes by the moving mean and variance; in training by those of the batch, which update
    the moving ones. A layer that is not trainable also uses moving statistics in training.
    """
    masks = (x.mask, x.recorded) if mask is None else (mask, mask)
    untrained = ""
    if masks[0] is not None and layer.trainable:
        untrained = (
            f"{named(layer)} gets a mask from an earlier layer, and in training its statistics"
            " exclude masked steps. It is compiled for scoring only; to train it, leave Masking or"
            " mask_zero out."
        )
    x = without(x)
    axes = last(x, axes_of(layer, x, layer.axis))
    # One row per channel: the axis of channels comes first.
    x = arranged(layer.name, x, Value.of(x.shape, (axes[-1], *axes[:-1])))
    channels = x.stored[0]
    variables = {
        "gamma": layer.gamma if layer.scale else None,
        "beta": layer.beta if layer.center else None,
        "moving_mean": layer.moving_mean,
        "moving_variance": layer.moving_variance,
    }
    neutral = {"gamma": np.ones, "beta": np.zeros}
    epsilon = float(layer.epsilon)
    out = call(
        layer.name,
        "batch_norm",
        x,
        weights=tuple(
            Weight(name, variable, (channels, 1))
            for name, variable in variables.items()
            if variable is not None
        ),
        constants=tuple(
            Constant(name, neutral[name]((channels, 1)))
            for name, variable in variables.items()
            if variable is None
        ),
        sizes={"C": channels, "momentum": float(layer.momentum), "epsilon": epsilon},
        onnx=Node("BatchNormalization", ("X", *variables), {"epsilon": epsilon}),
        training="batch_norm_training" if layer.trainable else None,
        untrained=untrained,
        traits=[Trait.BATCH_STATISTICS] if layer.trainable else [],
    )
    return out.with_masks(*masks)
