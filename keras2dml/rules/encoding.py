"""Layers that turn numbers into categories: indices, one-hot rows, and counts."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from keras2dml.graph import Constant, Node, Value
from keras2dml.keras_internals import first_token_place, first_unknown_place
from keras2dml.rules import Refusal, call, lowers, named
from keras2dml.rules.layouts import in_keras_order

# Maximum distance between the lowest and the highest number of a vocabulary: the table has a row
# for each number in between.
WIDEST = 1_000_000


@lowers(keras.layers.CategoryEncoding, honours="num_tokens output_mode", partly="output_mode")
def category_encoding(
    layer: keras.layers.CategoryEncoding, x: Value, count_weights: Value | None = None
) -> Value:
    """Whole numbers as rows of 0 and 1, or as counts."""
    if count_weights is not None:
        message = f"{named(layer)} is called with count_weights. It is only compiled without."
        raise Refusal(message)
    if layer.sparse:
        message = f"{named(layer)} has sparse=True. Its values are the same without: leave it out."
        raise Refusal(message)
    return _encoded(layer, x, layer.output_mode, layer.num_tokens)


@lowers(
    keras.layers.Discretization,
    honours="bin_boundaries num_bins epsilon output_mode",
    partly="output_mode",
)
def discretization(layer: keras.layers.Discretization, x: Value) -> Value:
    """The bin of each number, which TensorFlow compares with boundaries in float32."""
    if layer.bin_boundaries is None:
        message = f"{named(layer)} has no bins yet: give bin_boundaries, or call adapt()."
        raise Refusal(message)
    boundaries = np.asarray(layer.bin_boundaries, np.float32)
    row = Constant("boundaries", boundaries.astype(np.float64).reshape(1, -1))
    onnx = (
        Node("Unsqueeze", ("X",), {}, (np.array([-1]),), ("column",)),
        Node("GreaterOrEqual", ("column",), {}, (boundaries,), ("reached",)),
        Node("Cast", ("reached",), {"to": 1}, (), ("numbers",)),
        Node("ReduceSum", ("numbers",), {"keepdims": 0}, (np.array([-1]),)),
    )
    bins = call(layer.name, "digitized", x, constants=(row,), onnx=onnx, constant=True)
    return _encoded(layer, bins, layer.output_mode, boundaries.size + 1)


@lowers(
    keras.layers.IntegerLookup,
    honours="max_tokens num_oov_indices mask_token oov_token vocabulary idf_weights output_mode"
    " pad_to_max_tokens vocabulary_size",
    partly="vocabulary output_mode",
)
def integer_lookup(layer: keras.layers.IntegerLookup, x: Value) -> Value:
    """The index of each number in a vocabulary; unknown numbers have the indices before it."""
    tokens = np.asarray(layer.get_vocabulary(include_special_tokens=False), dtype=np.int64)
    if not tokens.size:
        message = f"{named(layer)} has no vocabulary yet: give it one, or call adapt()."
        raise Refusal(message)
    start = first_token_place(layer)
    places = dict(zip(tokens.tolist(), range(start, start + tokens.size), strict=True))
    plain = layer.output_mode == "int"
    depth = layer.max_tokens if layer.pad_to_max_tokens else start + tokens.size
    if layer.mask_token is not None:
        places[int(layer.mask_token)] = 0 if plain else depth
    lowest, highest = min(places), max(places)
    if highest - lowest >= WIDEST:
        message = (
            f"{named(layer)} has a vocabulary from {lowest} to {highest}. Numbers may be at most"
            f" {WIDEST:,} apart: renumber them."
        )
        raise Refusal(message)
    table = np.zeros((highest - lowest + 1, 1))
    numbers = np.array(list(places))
    table[numbers - lowest, 0] = np.array(list(places.values())) + 1
    others, first = layer.num_oov_indices, first_unknown_place(layer)
    indices = call(
        layer.name,
        "looked_up",
        x,
        constants=(Constant("places", table),),
        sizes={"lowest": lowest, "others": others, "start": first},
        onnx=_lookup_nodes(numbers, np.array(list(places.values())), others, first),
    )
    mode = "count" if layer.output_mode == "tf_idf" else layer.output_mode
    counts = _encoded(layer, indices, mode, depth)
    if layer.output_mode != "tf_idf":
        return counts
    weights = np.asarray(layer.idf_weights_const, dtype=np.float64)
    row = Constant("factors", weights.reshape(1, -1))
    onnx = Node("Mul", ("X",), {}, (weights.astype(np.float32),))
    return call(layer.name, "column_scaled", counts, constants=(row,), onnx=onnx)


def _encoded(layer: Any, x: Value, mode: str, depth: int) -> Value:
    """Indices from 0 unchanged, as one-hot rows, as multi-hot rows, or as counts in an example."""
    if mode == "int":
        return x
    x = in_keras_order(layer.name, x)
    x = x.seen_as(x.shape, x.shape)
    if mode == "one_hot":
        shape = (*(x.shape[:-1] if x.shape[-1] == 1 else x.shape), depth)
        onnx = (*_hits(depth), Node("Reshape", ("hits",), {}, (np.array([0, *shape]),)))
        to = Value.of(shape, rows=x.rows)
        return call(
            layer.name, "one_hot", x, to=to, sizes={"depth": depth}, onnx=onnx, constant=True
        )
    if len(x.shape) > 1:
        message = (
            f"{named(layer)} has output_mode={mode!r} and takes {x.shape}. Keras counts along"
            " another axis there than documented: give it a single axis."
        )
        raise Refusal(message)
    binary = mode == "multi_hot"
    counted = Node("ReduceMax", ("hits",), {"axes": (1,), "keepdims": 0})
    if not binary:
        counted = Node("ReduceSum", ("hits",), {"keepdims": 0}, (np.array([1]),))
    sizes = {"depth": depth, "binary": binary}
    to = Value.of((depth,), rows=x.rows)
    return call(
        layer.name,
        "category_counts",
        x,
        to=to,
        sizes=sizes,
        onnx=(*_hits(depth), counted),
        constant=True,
    )


def _hits(depth: int) -> tuple[Node, ...]:
    """ONNX: a one-hot row for each number."""
    return (
        Node("Cast", ("X",), {"to": 7}, (), ("whole",)),
        Node("Unsqueeze", ("whole",), {}, (np.array([-1]),), ("column",)),
        Node("Equal", ("column",), {}, (np.arange(depth),), ("equal",)),
        Node("Cast", ("equal",), {"to": 1}, (), ("hits",)),
    )


def _lookup_nodes(
    numbers: np.ndarray, places: np.ndarray, others: int, start: int
) -> tuple[Node, ...]:
    """ONNX: the indices of known numbers; for others their remainder modulo the number of indices
    for unknown numbers, plus `start`.
    """
    last = (np.array([-1]),)
    return (
        Node("Cast", ("X",), {"to": 7}, (), ("whole",)),
        Node("Unsqueeze", ("whole",), {}, last, ("column",)),
        Node("Equal", ("column",), {}, (numbers,), ("equal",)),
        Node("Cast", ("equal",), {"to": 7}, (), ("hits",)),
        Node("Mul", ("hits",), {}, (places,), ("products",)),
        Node("ReduceSum", ("products",), {"keepdims": 0}, last, ("place",)),
        Node("ReduceMax", ("hits",), {"axes": (-1,), "keepdims": 0}, (), ("known",)),
        Node("Mod", ("whole",), {}, (np.array(max(others, 1)),), ("rest",)),
        Node("Add", ("rest",), {}, (np.array(start),), ("other",)),
        Node("Cast", ("known",), {"to": 9}, (), ("is_known",)),
        Node("Where", ("is_known", "place", "other"), {}, (), ("index",)),
        Node("Cast", ("index",), {"to": 1}),
    )
