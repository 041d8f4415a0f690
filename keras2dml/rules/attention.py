"""Attention: each query gets a mean of values, weighted by the scores of their keys."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from keras2dml.graph import ADD, Constant, Node, Value, Weight
from keras2dml.rules import Refusal, call, lowers, named
from keras2dml.rules.activations import activated, along
from keras2dml.rules.core import dropped
from keras2dml.rules.layer_norms import learned
from keras2dml.rules.layouts import (
    folded,
    in_keras_order,
    mapped,
    of_vectors,
    permuted,
    spread,
    unfolded,
    vectors,
)
from keras2dml.rules.masks import selected, together, without
from keras2dml.rules.merging import pairwise
from keras2dml.rules.products import product

# Added to the score of a masked step, so that its exponential is 0.
UNSEEN = -1e9


@lowers(keras.layers.Attention, honours="use_scale score_mode dropout seed", masks=True)
def attention(
    layer: keras.layers.Attention,
    query: Value,
    value: Value,
    key: Value | None = None,
    *,
    mask: list[Value | None] | None = None,
    use_causal_mask: bool = False,
    return_attention_scores: bool = False,
) -> tuple[Value, ...]:
    """Scores: the product of query and key, or the sum of the tanh of their sum."""
    masks = _masks(layer, query, value, mask)
    key = value if key is None else key
    leading = query.shape[:-2]
    query, value, key = (
        folded(layer.name, without(tensor), len(leading)) for tensor in (query, value, key)
    )
    if layer.score_mode == "dot":
        scores = _scaled(layer.name, product(layer.name, query, key), layer.scale)
    else:
        sums = _scaled(layer.name, _sums(layer, query, key), layer.scale)
        scores = _scaled(
            layer.name, _summed(layer.name, _tanh(layer, sums)), layer.concat_score_weight
        )
    weights = _weights(layer, scores, masks.values, causal=use_causal_mask)
    return _attended(
        layer.name, weights, value, leading, masks, with_scores=return_attention_scores
    )


@lowers(keras.layers.AdditiveAttention, honours="use_scale dropout seed", masks=True)
def additive_attention(
    layer: keras.layers.AdditiveAttention,
    query: Value,
    value: Value,
    key: Value | None = None,
    *,
    mask: list[Value | None] | None = None,
    use_causal_mask: bool = False,
    return_attention_scores: bool = False,
) -> tuple[Value, ...]:
    """Scores: the sum, with learned factors, of the tanh of the sum of query and key."""
    masks = _masks(layer, query, value, mask)
    key = value if key is None else key
    leading = query.shape[:-2]
    query, value, key = (
        folded(layer.name, without(tensor), len(leading)) for tensor in (query, value, key)
    )
    tanh = _tanh(layer, _sums(layer, query, key))
    scores = _factored(layer, tanh) if layer.use_scale else _summed(layer.name, tanh)
    weights = _weights(layer, scores, masks.values, causal=use_causal_mask)
    return _attended(
        layer.name, weights, value, leading, masks, with_scores=return_attention_scores
    )


SOFTMAX = keras.activations.softmax


def _weights(layer: Any, scores: Value, mask: Value | None, *, causal: bool) -> Value:
    """The weight of each value for each query: 0 for values that their mask (S) leaves out, and if
    `causal` for later values.
    """
    steps, seen = scores.shape
    if mask is None:
        lowered = (
            shifted(layer.name, scores, UNSEEN * (1 - np.tri(steps, seen))) if causal else scores
        )
    else:
        constant = np.tri(steps, seen) if causal else np.ones((steps, seen))
        regarded = together(
            layer.name, (steps, seen), constant, [mask.seen_as((1, seen), (1, seen))]
        )
        lowered = _lowered(layer.name, in_keras_order(layer.name, scores), regarded)
    return dropped(layer.name, along(layer.name, lowered, SOFTMAX, -1), layer.dropout)


def _lowered(name: str, scores: Value, regarded: Value) -> Value:
    """Scores, lowered where `regarded` is 0 so that their weight becomes 0."""
    onnx = (
        Node("Sub", ("Y",), {}, (np.array(1, np.float32),), ("unseen",)),
        Node("Mul", ("unseen",), {}, (np.array(-UNSEEN, np.float32),), ("offsets",)),
        Node("Add", ("X", "offsets")),
    )
    scores = scores.seen_as(scores.shape, scores.shape)
    return call(name, "lowered", scores, regarded, sizes={"offset": UNSEEN}, onnx=onnx)


def shifted(name: str, scores: Value, offsets: np.ndarray) -> Value:
    """Scores plus numbers that are the same for all examples."""
    onnx = Node("Add", ("X",), {}, (offsets.astype(np.float32),))
    row = Constant("offsets", offsets.reshape(1, -1))
    scores = in_keras_order(name, scores)
    scores = scores.seen_as(scores.shape, scores.shape)
    return call(name, "shifted", scores, constants=(row,), onnx=onnx)


def _attended(
    name: str,
    weights: Value,
    value: Value,
    leading: tuple[int, ...],
    masks: _Masks,
    *,
    with_scores: bool,
) -> tuple[Value, ...]:
    """The means of the values (S, D) by weights (T, S), 0 for queries that are masked; and the
    weights themselves.
    """
    attended = unfolded(name, product(name, weights, permuted(value, (1, 0))), leading)
    if masks.queries is not None:
        attended = selected(name, attended, masks.queries)
    attended = attended.with_masks(masks.queries, masks.recorded)
    return (attended, unfolded(name, weights, leading)) if with_scores else (attended,)


@dataclass(frozen=True)
class _Masks:
    """The masks of queries, attached and recorded by Keras, and of values."""

    queries: Value | None
    recorded: Value | None
    values: Value | None


def _masks(layer: Any, query: Value, value: Value, masks: list[Value | None] | None) -> _Masks:
    attached, values = (query.mask, value.mask) if masks is None else masks[:2]
    if len(query.shape) > 2 and (attached is not None or values is not None):
        message = f"{named(layer)} gets masks and {query.shape}. Masks need a single axis of steps."
        raise Refusal(message)
    return _Masks(attached, query.recorded if masks is None else attached, values)


def _sums(layer: Any, query: Value, key: Value) -> Value:
    """The sum of each query (T, D) and each key (S, D): (T, S, D)."""
    (steps, width), seen = query.shape, key.shape[0]
    shape = (steps, seen, width)
    queries = query.seen_as((steps, 1, width), query.stored)
    keys = key.seen_as((1, seen, width), key.stored)
    return pairwise(
        layer, spread(layer.name, queries, shape), spread(layer.name, keys, shape), ADD, "Add"
    )


def _tanh(layer: Any, x: Value) -> Value:
    return activated(layer, x, keras.activations.tanh)


def _scaled(name: str, x: Value, factor: Any) -> Value:
    """All elements times a learned factor, if there is one."""
    if factor is None:
        return x
    scaled = learned(name, x.seen_as(x.shape, (1, x.size)), factor, None)
    return scaled.seen_as(x.shape, x.stored)


def _summed(name: str, x: Value) -> Value:
    """The sums along the last axis."""
    rows = vectors(name, x)
    cells = np.column_stack([np.arange(rows.size), np.zeros(rows.size), np.ones(rows.size)])
    onnx = Node("ReduceSum", ("X",), {"keepdims": 1}, (np.array([-1]),))
    sums = mapped(name, rows, cells, Value.of((1,), rows=rows.rows), (onnx,))
    return _without_last(of_vectors(name, sums, x))


def _factored(layer: Any, x: Value) -> Value:
    """The sums along the last axis of elements times learned factors."""
    rows = vectors(layer.name, x)
    onnx = (
        Node("Unsqueeze", ("W",), {}, (np.array([1]),), ("kernel",)),
        Node("MatMul", ("X", "kernel")),
    )
    sums = call(
        layer.name,
        "dense_unbiased",
        rows,
        to=Value.of((1,), rows=rows.rows),
        weights=(Weight("W", layer.scale, (rows.size, 1)),),
        onnx=onnx,
    )
    return _without_last(of_vectors(layer.name, sums, x))


def _without_last(x: Value) -> Value:
    return x.seen_as(x.shape[:-1], x.shape[:-1])
