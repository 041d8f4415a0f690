"""A pair of recurrent layers, one of which reads forwards and one backwards."""

from __future__ import annotations

from typing import Any

import keras

from keras2dml.graph import ADD, Value
from keras2dml.rules import lowered, lowers
from keras2dml.rules.layouts import flipped
from keras2dml.rules.masks import without
from keras2dml.rules.merging import joined, pairwise, rescaled


@lowers(keras.layers.Bidirectional, honours="layer backward_layer merge_mode", masks=True)
def bidirectional(
    layer: keras.layers.Bidirectional, x: Value, initial_state: Any = None, mask: Any = None
) -> tuple[Value, ...]:
    """The merged outputs of both layers."""
    masks = (mask, mask) if mask is not None else (x.mask, x.recorded)
    x = x.with_masks(mask if initial_state else masks[0], None)
    begin = list(initial_state or ())
    half = len(begin) // 2
    ahead, *states = _one_way(layer.forward_layer, x, begin[:half])
    back, *others = _one_way(layer.backward_layer, x, begin[half:])
    ahead, back = without(ahead), without(back)
    if layer.return_sequences:
        back = flipped(back, 0)
    else:
        masks = (None, None)
    if layer.merge_mode is None:
        return (ahead.with_masks(*masks), back.with_masks(*masks), *states, *others)
    if layer.merge_mode == "concat":
        merged = joined(layer.name, ahead, back, len(ahead.shape) - 1)
    elif layer.merge_mode == "mul":
        merged = pairwise(layer, ahead, back, "multiply", "Mul")
    else:
        merged = pairwise(layer, ahead, back, ADD, "Add")
    if layer.merge_mode == "ave":
        merged = rescaled(layer.name, merged, 0.5, 0.0)
    return (merged.with_masks(*masks), *states, *others)


def _one_way(layer: Any, x: Value, states: list[Any]) -> tuple[Value, ...]:
    """The outputs of the layer of one direction, with the given mask."""
    if states:
        return lowered(layer, without(x), initial_state=states, mask=x.mask)
    return lowered(layer, x)
