"""Multi-head attention: each head has its part of the projected queries, keys and values."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np

from keras2dml.graph import Constant, Node, Value, Weight
from keras2dml.keras_internals import attention_window_of, is_gated, projection_of
from keras2dml.rules import Refusal, call, lowers, named
from keras2dml.rules.activations import activated, along
from keras2dml.rules.attention import SOFTMAX, UNSEEN, shifted
from keras2dml.rules.biases import check_added
from keras2dml.rules.core import dropped
from keras2dml.rules.layouts import folded, in_keras_order, permuted, spread, unfolded, vectors
from keras2dml.rules.masks import UNFITTING, nonzero, selected, together, without
from keras2dml.rules.merging import pairwise, rescaled
from keras2dml.rules.products import product

SIGMOID = keras.activations.sigmoid


@lowers(
    keras.layers.MultiHeadAttention,
    honours="num_heads key_dim value_dim dropout use_bias output_shape attention_axes seed"
    " sliding_window use_gate",
    partly="attention_axes",
    masks=True,
)
def multi_head_attention(
    layer: keras.layers.MultiHeadAttention,
    query: Value,
    value: Value,
    key: Value | None = None,
    *,
    value_mask: Value | None = None,
    key_mask: Value | None = None,
    attention_mask: Any = None,
    use_causal_mask: bool = False,
    return_attention_scores: bool = False,
) -> tuple[Value, ...]:
    """Attention in which each head has its own queries, keys and values."""
    if tuple(layer.attention_axes) != tuple(range(1, len(query.shape))):
        message = (
            f"{named(layer)} has attention_axes={layer.attention_axes!r}. It is only compiled with"
            " all axes but the last: leave the argument out."
        )
        raise Refusal(message)
    keyed = value if key is None else key
    parts = [query.mask, value_mask or value.mask, key_mask or (key.mask if key else None)]
    heads = _Heads(layer, layer.num_heads, layer.key_dim, attention_window_of(layer))
    mask = heads.mask(query, keyed, parts, attention_mask, causal=use_causal_mask)
    x, y, z = without(query), without(keyed), without(value)
    attended = heads.attended(
        _projected(layer, x, layer.query_dense, 1),
        _projected(layer, y, layer.key_dense, 1),
        _projected(layer, z, layer.value_dense, 1),
        mask,
        with_scores=return_attention_scores,
    )
    return heads.results(
        attended,
        query,
        keyed,
        _projected(layer, x, projection_of(layer, "gate"), 1) if is_gated(layer) else None,
        layer.output_dense,
        with_scores=return_attention_scores,
    )


@lowers(
    keras.layers.GroupQueryAttention,
    honours="head_dim num_query_heads num_key_value_heads dropout use_bias sliding_window use_gate"
    " seed",
    masks=True,
)
def grouped_query_attention(
    layer: keras.layers.GroupQueryAttention,
    query: Value,
    value: Value,
    key: Value | None = None,
    *,
    query_mask: Value | None = None,
    value_mask: Value | None = None,
    key_mask: Value | None = None,
    attention_mask: Any = None,
    use_causal_mask: bool = False,
    return_attention_scores: bool = False,
) -> tuple[Value, ...]:
    """Attention in which several heads of queries share keys and values."""
    keyed = value if key is None else key
    parts = [query_mask or query.mask, value_mask or value.mask]
    parts.append(key_mask or (key.mask if key else None))
    heads = _Heads(layer, layer.num_query_heads, layer.head_dim, layer.sliding_window)
    mask = heads.mask(query, keyed, parts, attention_mask, causal=use_causal_mask)
    x, y, z = without(query), without(keyed), without(value)
    attended = heads.attended(
        _projected(layer, x, projection_of(layer, "query"), 1),
        heads.repeated(_projected(layer, y, projection_of(layer, "key"), 1), layer.num_repeats),
        heads.repeated(_projected(layer, z, projection_of(layer, "value"), 1), layer.num_repeats),
        mask,
        with_scores=return_attention_scores,
    )
    return heads.results(
        attended,
        query,
        keyed,
        _projected(layer, x, projection_of(layer, "gate"), 1) if layer.use_gate else None,
        projection_of(layer, "output"),
        with_scores=return_attention_scores,
    )


class _Heads:
    """The `count` heads of a layer, with keys of a `width`. Masks are values of shape (heads, T, S)
    or constants.
    """

    def __init__(self, layer: Any, count: int, width: int, window: int | None) -> None:
        self.layer, self.count, self.window = layer, count, window
        # Keras rounds it to float32.
        self._factor = float(np.float32(1 / math.sqrt(width)))

    def mask(
        self,
        query: Value,
        key: Value,
        parts: list[Value | None],
        limit: Any,
        *,
        causal: bool,
    ) -> Value | np.ndarray | None:
        """The values that each query attends to: by the masks of queries, values and keys, and by
        the arguments of the call.
        """
        steps, seen = query.shape[0], key.shape[0]
        regarded = [part for part in parts if part is not None]
        if len(query.shape) > 2 and (regarded or limit is not None or causal or self.window):
            if causal and not regarded and limit is None and not self.window:
                steps, seen = math.prod(query.shape[:-1]), math.prod(key.shape[:-1])
                return np.tri(steps, seen)[None]
            message = (
                f"{named(self.layer)} gets masks and {query.shape}. Masks need a single axis of"
                " steps."
            )
            raise Refusal(message)
        constant = np.ones((1, steps, seen))
        if causal:
            constant = constant * np.tri(steps, seen)
        if self.window:
            apart = np.abs(np.arange(steps)[:, None] - np.arange(seen))
            constant = constant * (apart < self.window)
        values = [
            part.seen_as(shape, shape)
            for part, shape in zip(parts, [(1, steps, 1), (1, 1, seen), (1, 1, seen)], strict=True)
            if part is not None
        ]
        if isinstance(limit, Value):
            shape = limit.shape if len(limit.shape) == 3 else (1, *limit.shape)
            bits = in_keras_order(self.layer.name, nonzero(self.layer.name, limit))
            values.append(bits.seen_as(shape, shape))
        elif limit is not None:
            array = np.asarray(limit) != 0
            if array.ndim > 2 and array.shape[0] != 1:
                message = (
                    f"{named(self.layer)} has an attention_mask of shape {array.shape}. An array is"
                    " the same mask for all examples: begin its shape with 1."
                )
                raise Refusal(message)
            limits = array.reshape(array.shape[array.ndim > 2 :])
            constant = constant * limits.reshape((1,) * (3 - limits.ndim) + limits.shape)
        if not values:
            return None if constant.all() else constant
        count = max(constant.shape[0], *(value.shape[0] for value in values))
        return together(self.layer.name, (count, steps, seen), constant, values)

    def repeated(self, x: Value, times: int) -> Value:
        """(T, H * D) with each head repeated several times in a row."""
        layer = self.layer
        pairs = self.count // times
        steps, width = x.shape
        apart = x.seen_as((steps, pairs, 1, width // pairs), x.stored)
        wide = spread(layer.name, apart, (steps, pairs, times, width // pairs))
        return wide.seen_as((steps, width * times), wide.stored)

    def attended(
        self, queries: Value, keys: Value, values: Value, mask: Any, *, with_scores: bool
    ) -> tuple[Value, Value]:
        """The results of the heads, and their weights, in rows of heads.

        A query that attends to nothing gets the mean of all values where Keras computes attention
        in one step, and 0 where it drops weights or returns them.
        """
        layer, dropout = self.layer, float(self.layer.dropout)
        scores = product(
            layer.name,
            self._folded(rescaled(layer.name, queries, self._factor, 0.0)),
            self._folded(keys),
        )
        weights = along(layer.name, self._masked(scores, mask, UNSEEN), SOFTMAX, -1)
        if dropout or with_scores:
            weights = self._masked(weights, mask, 0.0)
        used = dropped(layer.name, weights, dropout)
        attached = None if mask is None else UNFITTING
        heads = product(layer.name, used, permuted(self._folded(values), (1, 0)))
        return heads, weights.with_masks(attached, attached)

    def results(
        self,
        attended: tuple[Value, Value],
        query: Value,
        key: Value,
        gate: Value | None,
        output: Any,
        *,
        with_scores: bool,
    ) -> tuple[Value, ...]:
        """The projected results of the heads, and the weights if requested."""
        layer, (weighted, weights) = self.layer, attended
        steps, seen = query.shape[:-1], key.shape[:-1]
        heads = permuted(unfolded(layer.name, weighted, (self.count,)), (1, 0, 2))
        flat = heads.seen_as((heads.shape[0], math.prod(heads.shape[1:])), heads.stored)
        if gate is not None:
            flat = pairwise(layer, flat, activated(layer, gate, SIGMOID), "multiply", "Mul")
        projected = _projected(layer, flat, output, 2)
        shape = (*steps, *output.kernel.shape[2:])
        projected = projected.seen_as(shape, shape).with_masks(query.mask, query.recorded)
        if not with_scores:
            return (projected,)
        shape = (self.count, *steps, *seen)
        scores = unfolded(layer.name, weights, (self.count,)).seen_as(shape, shape)
        return projected, scores.with_masks(weights.mask, weights.recorded)

    def _masked(self, rows: Value, mask: Any, value: float) -> Value:
        """Rows of heads (T, S) where the mask is 1, and `value` elsewhere."""
        layer = self.layer
        if mask is None:
            return rows
        rows = in_keras_order(layer.name, rows)
        rows = rows.seen_as(rows.shape, rows.shape)
        if isinstance(mask, Value):
            wide = spread(layer.name, mask, (self.count, *mask.shape[1:]))
            return selected(layer.name, rows, folded(layer.name, wide, 1), value)
        if mask.shape[0] > 1:
            message = (
                f"{named(layer)} has an attention_mask that differs between heads. It is only"
                " compiled with the same mask for all heads, or with a mask that is an input of the"
                " model."
            )
            raise Refusal(message)
        bits = mask[0].astype(np.float64)
        if bits.any(axis=-1).all():  # such low scores get a weight of 0
            return shifted(layer.name, rows, value * (1 - bits)) if value else rows
        onnx = Node("Mul", ("X",), {}, (bits.astype(np.float32),))
        row = Constant("factors", bits.reshape(1, -1))
        regarded = call(layer.name, "column_scaled", rows, constants=(row,), onnx=onnx)
        return shifted(layer.name, regarded, value * (1 - bits)) if value else regarded

    def _folded(self, x: Value) -> Value:
        """(T, H * D) as rows (T, D), one per head."""
        steps, width = x.shape
        shape = (steps, self.count, width // self.count)
        return folded(self.layer.name, permuted(x.seen_as(shape, shape), (1, 0, 2)), 1)


def _projected(layer: Any, x: Value, inner: Any, axes: int) -> Value:
    """A Dense layer over the last axis, (T, D) to (T, M); the first `axes` axes of the kernel are
    those of x.
    """
    shape = tuple(inner.kernel.shape)
    inputs, outputs = math.prod(shape[:axes]), math.prod(shape[axes:])
    rows = vectors(layer.name, x.seen_as((x.size // inputs, inputs), x.stored))
    kernel = Weight("W", inner.kernel, (inputs, outputs))
    bias: tuple[Weight, ...] = ()
    onnx = [Node("Reshape", ("W",), {}, (np.array([inputs, outputs]),), ("kernel",))]
    if layer.use_bias:
        if axes == 1:
            split = (*x.shape[:-1], *shape[1:])
            remedy = "give heads a width of 2 or more, or use_bias=False"
            check_added(layer, split, tuple(inner.bias.shape), remedy)
        bias = (Weight("b", inner.bias, (1, outputs)),)
        onnx.append(Node("Reshape", ("b",), {}, (np.array([outputs]),), ("bias",)))
    operator = Node("Gemm", ("X", "kernel", "bias")) if bias else Node("MatMul", ("X", "kernel"))
    out = call(
        layer.name,
        "dense" if bias else "dense_unbiased",
        rows,
        to=Value.of((outputs,), rows=rows.rows),
        weights=(kernel, *bias),
        onnx=(*onnx, operator),
    )
    return unfolded(layer.name, out, (x.size // inputs,))
