"""Attention: each query gets a mean of values, weighed by how its key fits."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np

from keras2dml.graph import Constant, Node, Value, Weight
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
from keras2dml.rules.merging import pairwise, rescaled
from keras2dml.rules.products import product

# What is added to the score of a step that is not to be seen; its exponential is 0.
UNSEEN = -1e9


@lowers(keras.layers.Attention, honours="use_scale score_mode dropout seed")
def attention(
    layer: keras.layers.Attention,
    query: Value,
    value: Value,
    key: Value | None = None,
    *,
    use_causal_mask: bool = False,
    return_attention_scores: bool = False,
) -> tuple[Value, ...]:
    """Scores by the product of query and key, or by the sum of the tanh of their sum."""
    key = value if key is None else key
    leading = query.shape[:-2]
    query, value, key = (folded(layer, one, len(leading)) for one in (query, value, key))
    if layer.score_mode == "dot":
        scores = _scaled(layer, product(layer, query, key), layer.scale)
    else:
        sums = _scaled(layer, _sums(layer, query, key), layer.scale)
        scores = _scaled(layer, _summed(layer, _tanh(layer, sums)), layer.concat_score_weight)
    weights = _weights(layer, scores, causal=use_causal_mask)
    return _attended(layer, weights, value, leading, with_scores=return_attention_scores)


@lowers(keras.layers.AdditiveAttention, honours="use_scale dropout seed")
def additive_attention(
    layer: keras.layers.AdditiveAttention,
    query: Value,
    value: Value,
    key: Value | None = None,
    *,
    use_causal_mask: bool = False,
    return_attention_scores: bool = False,
) -> tuple[Value, ...]:
    """Scores by the sum, with learned factors, of the tanh of the sums of query and key."""
    key = value if key is None else key
    leading = query.shape[:-2]
    query, value, key = (folded(layer, one, len(leading)) for one in (query, value, key))
    tanh = _tanh(layer, _sums(layer, query, key))
    scores = _factored(layer, tanh) if layer.use_scale else _summed(layer, tanh)
    weights = _weights(layer, scores, causal=use_causal_mask)
    return _attended(layer, weights, value, leading, with_scores=return_attention_scores)


@lowers(
    keras.layers.MultiHeadAttention,
    honours="num_heads key_dim value_dim dropout use_bias output_shape attention_axes seed",
)
def multi_head_attention(
    layer: keras.layers.MultiHeadAttention,
    query: Value,
    value: Value,
    key: Value | None = None,
    *,
    use_causal_mask: bool = False,
    return_attention_scores: bool = False,
) -> tuple[Value, ...]:
    """Attention by several heads, each with its own part of what Dense makes of queries, keys and
    values; another Dense makes one of what they find.
    """
    key = value if key is None else key
    steps, seen = query.shape[:-1], value.shape[:-1]
    if tuple(layer.attention_axes) != tuple(range(1, len(query.shape))):
        message = (
            f"{named(layer)} has attention_axes={layer.attention_axes!r}. It is compiled with all"
            " axes but the last: leave the argument out."
        )
        raise Refusal(message)
    widths = {layer.key_dim, layer.value_dim}
    if layer.use_bias and 1 in widths and layer.num_heads in {query.shape[0], key.shape[0]} - {1}:
        message = (
            f"{named(layer)} has a key_dim or value_dim of 1 and as many heads as there are steps."
            " Keras on TensorFlow adds the heads' biases to the steps there: use a width of 2 or"
            " more, or use_bias=False."
        )
        raise Refusal(message)
    if use_causal_mask and return_attention_scores:
        message = (
            f"{named(layer)} is called with use_causal_mask and return_attention_scores. Keras"
            " masks the scores for the layers that take them: leave one of the two out."
        )
        raise Refusal(message)
    factor = float(np.float32(1 / math.sqrt(layer.key_dim)))  # Keras casts it by way of float32
    queries = rescaled(layer, _projected(layer, query, layer.query_dense, 1), factor, 0.0)
    scores = product(
        layer,
        _of_heads(layer, queries),
        _of_heads(layer, _projected(layer, key, layer.key_dense, 1)),
    )
    weights = along(layer, _masked(layer, scores, causal=use_causal_mask), SOFTMAX, -1)
    values = _of_heads(layer, _projected(layer, value, layer.value_dense, 1))
    found = product(layer, dropped(layer, weights, layer.dropout), permuted(values, (1, 0)))
    heads = permuted(unfolded(layer, found, (layer.num_heads,)), (1, 0, 2))
    flat = heads.seen_as((heads.shape[0], math.prod(heads.shape[1:])), heads.stored)
    made = _projected(layer, flat, layer.output_dense, 2)
    shape = (*steps, *layer.output_dense.kernel.shape[2:])
    made = made.seen_as(shape, shape)
    if not return_attention_scores:
        return (made,)
    shape = (layer.num_heads, *steps, *seen)
    return made, unfolded(layer, weights, (layer.num_heads,)).seen_as(shape, shape)


SOFTMAX = keras.activations.softmax


def _projected(layer: Any, x: Value, inner: Any, axes: int) -> Value:
    """Dense over the last axis: (T, D) to (T, M), whatever axes the kernel has; its first `axes`
    ones are those of x.
    """
    shape = tuple(inner.kernel.shape)
    inputs, outputs = math.prod(shape[:axes]), math.prod(shape[axes:])
    rows = vectors(layer, x.seen_as((x.size // inputs, inputs), x.stored))
    kernel = Weight("W", inner.kernel, (inputs, outputs))
    bias: tuple[Weight, ...] = ()
    onnx = [Node("Reshape", ("W",), {}, (np.array([inputs, outputs]),), ("kernel",))]
    if layer.use_bias:
        bias = (Weight("b", inner.bias, (1, outputs)),)
        onnx.append(Node("Reshape", ("b",), {}, (np.array([outputs]),), ("bias",)))
    operator = Node("Gemm", ("X", "kernel", "bias")) if bias else Node("MatMul", ("X", "kernel"))
    made = call(
        layer,
        "dense" if bias else "dense_unbiased",
        rows,
        to=Value.of((outputs,), rows=rows.rows),
        weights=(kernel, *bias),
        onnx=(*onnx, operator),
    )
    return unfolded(layer, made, (x.size // inputs,))


def _of_heads(layer: Any, x: Value) -> Value:
    """(T, H * D) as rows (T, D), one for each head."""
    steps, width = x.shape
    shape = (steps, layer.num_heads, width // layer.num_heads)
    return folded(layer, permuted(x.seen_as(shape, shape), (1, 0, 2)), 1)


def _weights(layer: Any, scores: Value, *, causal: bool) -> Value:
    made = along(layer, _masked(layer, scores, causal=causal), SOFTMAX, -1)
    return dropped(layer, made, layer.dropout)


def _masked(layer: Any, scores: Value, *, causal: bool) -> Value:
    """Scores (T, S), without those of the steps after a query's own if it is causal."""
    if not causal:
        return scores
    steps, seen = scores.shape
    offsets = UNSEEN * (1 - np.tri(steps, seen))
    onnx = Node("Add", ("X",), {}, (offsets.astype(np.float32),))
    row = Constant("offsets", offsets.reshape(1, -1))
    scores = in_keras_order(layer, scores)
    scores = scores.seen_as(scores.shape, scores.shape)
    return call(layer, "shifted", scores, constants=(row,), onnx=onnx)


def _attended(
    layer: Any, weights: Value, value: Value, leading: tuple[int, ...], *, with_scores: bool
) -> tuple[Value, ...]:
    """The means of the values (S, D) by weights (T, S), and these themselves."""
    made = unfolded(layer, product(layer, weights, permuted(value, (1, 0))), leading)
    return (made, unfolded(layer, weights, leading)) if with_scores else (made,)


def _sums(layer: Any, query: Value, key: Value) -> Value:
    """Every query (T, D) plus every key (S, D): (T, S, D)."""
    (steps, width), seen = query.shape, key.shape[0]
    shape = (steps, seen, width)
    one = query.seen_as((steps, 1, width), query.stored)
    other = key.seen_as((1, seen, width), key.stored)
    return pairwise(layer, spread(layer, one, shape), spread(layer, other, shape), "add", "Add")


def _tanh(layer: Any, x: Value) -> Value:
    return activated(layer, x, keras.activations.tanh)


def _scaled(layer: Any, x: Value, factor: Any) -> Value:
    """Every element times one learned factor, if there is one."""
    if factor is None:
        return x
    one = learned(layer, x.seen_as(x.shape, (1, x.size)), factor, None)
    return one.seen_as(x.shape, x.stored)


def _summed(layer: Any, x: Value) -> Value:
    """The sums along the last axis."""
    rows = vectors(layer, x)
    cells = np.column_stack([np.arange(rows.size), np.zeros(rows.size), np.ones(rows.size)])
    onnx = Node("ReduceSum", ("X",), {"keepdims": 1}, (np.array([-1]),))
    made = mapped(layer, rows, cells, Value.of((1,), rows=rows.rows), (onnx,))
    return _without_last(of_vectors(layer, made, x))


def _factored(layer: Any, x: Value) -> Value:
    """The sums along the last axis, of elements times learned factors."""
    rows = vectors(layer, x)
    onnx = (
        Node("Unsqueeze", ("W",), {}, (np.array([1]),), ("kernel",)),
        Node("MatMul", ("X", "kernel")),
    )
    made = call(
        layer,
        "dense_unbiased",
        rows,
        to=Value.of((1,), rows=rows.rows),
        weights=(Weight("W", layer.scale, (rows.size, 1)),),
        onnx=onnx,
    )
    return _without_last(of_vectors(layer, made, x))


def _without_last(x: Value) -> Value:
    return x.seen_as(x.shape[:-1], x.shape[:-1])
