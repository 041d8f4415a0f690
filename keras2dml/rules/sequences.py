"""Layers for sequences: Embedding and TimeDistributed."""

from __future__ import annotations

import keras

from keras2dml.graph import Node, Value, Weight, calls_of
from keras2dml.keras_internals import takes_mask
from keras2dml.rules import Refusal, call, lowered, lowers, named
from keras2dml.rules.layouts import folded, unfolded
from keras2dml.rules.masks import nonzero, without


@lowers(keras.layers.Embedding, honours="input_dim output_dim mask_zero", masks=True)
def embedding(layer: keras.layers.Embedding, x: Value) -> Value:
    """The row of a table for each number, as in Keras: truncated to an integer, and counted from
    the end if negative. A number without a row stops the script.

    The gradient is in slices, as in Keras on TensorFlow (`keras2dml.rendering.slices`).
    """
    if bool(layer.mask_zero) != bool(layer.supports_masking):  # as it was built
        message = (
            f"{named(layer)} got mask_zero={layer.mask_zero!r} after it was built, when the layers"
            " after it were connected already. Give it to the constructor."
        )
        raise Refusal(message)
    x = without(x)
    mask = nonzero(layer.name, x) if layer.mask_zero else None
    size = (layer.input_dim, layer.output_dim)
    onnx = (Node("Cast", ("X",), {"to": 7}, (), ("number",)), Node("Gather", ("W", "number")))
    rows = call(
        layer.name,
        "embedding",
        folded(layer.name, x, len(x.shape)),
        to=Value.of((layer.output_dim,), rows=x.rows * x.size),
        weights=(Weight("W", layer.embeddings, size),),
        onnx=onnx,
    )
    return unfolded(layer.name, rows, x.shape).with_masks(mask, mask)


@lowers(keras.layers.TimeDistributed, honours="layer", partly="layer", masks=True)
def time_distributed(layer: keras.layers.TimeDistributed, x: Value) -> Value:
    """The inner layer, with the steps of all examples as its examples."""
    if x.mask is not None and takes_mask(layer.layer):
        message = (
            f"{named(layer)} gets a mask from an earlier layer, and passes it to its layer"
            f" {layer.layer.name!r}. It is only compiled without: leave Masking or mask_zero out."
        )
        raise Refusal(message)
    steps = folded(layer.name, without(x), 1)
    (result,) = lowered(layer.layer, steps)
    inner_calls = set(calls_of((result,))) - set(calls_of((steps,)) if steps.source else ())
    if any(step.training and step.weights for step in inner_calls):
        message = (
            f"{named(layer)} has a layer {layer.layer.name!r} that learns from each step"
            " separately. Put it after TimeDistributed, where it learns from all steps."
        )
        raise Refusal(message)
    return unfolded(layer.name, without(result), x.shape[:1]).with_masks(x.mask, x.recorded)
