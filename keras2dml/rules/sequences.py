"""Layers of sequences: tables of vectors, and a layer for each step."""

from __future__ import annotations

import keras

from keras2dml.graph import Node, Value, Weight, calls_of
from keras2dml.rules import Refusal, call, lowered, lowers, named
from keras2dml.rules.layouts import folded, unfolded


@lowers(keras.layers.Embedding, honours="input_dim output_dim")
def embedding(layer: keras.layers.Embedding, x: Value) -> Value:
    """The row of a table for each number, as Keras takes it: cut to a whole one, and from the end
    where it is negative. A number that is in no row stops the script.

    Its gradient is in slices, as in Keras on TensorFlow (`keras2dml.slices`).
    """
    size = (layer.input_dim, layer.output_dim)
    onnx = (Node("Cast", ("X",), {"to": 7}, (), ("number",)), Node("Gather", ("W", "number")))
    rows = call(
        layer,
        "embedding",
        folded(layer, x, len(x.shape)),
        to=Value.of((layer.output_dim,), rows=x.rows * x.size),
        weights=(Weight("W", layer.embeddings, size),),
        onnx=onnx,
    )
    return unfolded(layer, rows, x.shape)


@lowers(keras.layers.TimeDistributed, honours="layer")
def time_distributed(layer: keras.layers.TimeDistributed, x: Value) -> Value:
    """The inner layer, with the steps of all examples as its examples."""
    steps = folded(layer, x, 1)
    (made,) = lowered(layer.layer, steps)
    own = set(calls_of((made,))) - set(calls_of((steps,)) if steps.source else ())
    if any(step.training and step.weights for step in own):
        message = (
            f"{named(layer)} has a layer {layer.layer.name!r} that learns from each step by"
            " itself. Put it after TimeDistributed, where it learns from all steps."
        )
        raise Refusal(message)
    return unfolded(layer, made, x.shape[:1])
