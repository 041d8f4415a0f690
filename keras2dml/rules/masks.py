"""Masks: which steps Keras uses, where masks come from, and where Keras removes them.

Keras attaches a mask to a tensor while the model runs, and records it in the call of a layer with a
`mask` argument when the model is built. MultiHeadAttention removes the masks from its input
tensors: layers that run later find none.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from keras2dml.graph import Constant, Node, Shape, Value
from keras2dml.keras_internals import layers_of, nodes_of, origin_of
from keras2dml.rules import Refusal, call, lowers, named, nodes
from keras2dml.rules.layouts import arranged, in_keras_order, spread, unfolded, vectors

TAKING = (keras.layers.MultiHeadAttention,)
"""The layers that remove the masks of their inputs."""

PASSING = (
    keras.layers.ActivityRegularization,
    keras.layers.AlphaDropout,
    keras.layers.Dropout,
    keras.layers.GaussianDropout,
    keras.layers.GaussianNoise,
    keras.layers.Identity,
    keras.layers.SpatialDropout1D,
    keras.layers.SpatialDropout2D,
    keras.layers.SpatialDropout3D,
    keras.layers.Activation,
)
"""Layers that may return their input tensor itself, and so share its mask."""

UNFITTING = Value.of((1,))
"""Stands for the mask that Keras attaches to attention scores, whose axes do not match theirs."""


@lowers(keras.layers.Masking, honours="mask_value", partly="mask_value", masks=True)
def masking(layer: keras.layers.Masking, x: Value) -> Value:
    """Steps whose elements all equal `mask_value` are masked and become 0."""
    if len(x.shape) < 2 or np.ndim(layer.mask_value) != 0:
        message = (
            f"{named(layer)} has mask_value={layer.mask_value!r}, and takes {x.shape}. It is only"
            " compiled for sequences, with a number as mask_value."
        )
        raise Refusal(message)
    rows = vectors(layer.name, x.with_masks(None, None))
    onnx = (
        *_unequal(float(layer.mask_value)),
        Node("ReduceMax", ("differs",), {"axes": (-1,), "keepdims": 1}),
    )
    sizes = {"value": float(layer.mask_value)}
    to = Value.of((1,), rows=rows.rows)
    steps = call(layer.name, "any_differs", rows, to=to, sizes=sizes, onnx=onnx, constant=True)
    mask = unfolded(layer.name, steps, x.shape[:-1]).seen_as(x.shape[:-1], x.shape[:-1])
    return selected(layer.name, x.with_masks(None, None), mask).with_masks(mask, mask)


def nonzero(name: str, x: Value) -> Value:
    """A mask of the elements that are not 0."""
    onnx = (*_unequal(0.0), Node("Identity", ("differs",)))
    return call(name, "differs", x, sizes={"value": 0.0}, onnx=onnx, constant=True)


def selected(name: str, x: Value, mask: Value, value: float = 0.0) -> Value:
    """`x` where a mask over its leading axes is 1, and `value` elsewhere."""
    shape = (*mask.shape, *(1 for _ in x.shape[len(mask.shape) :]))
    wide = mask.seen_as(shape, shape)
    along = arranged(name, wide, x) if shape == x.shape else spread(name, wide, x.shape, x)
    onnx = (
        Node("Cast", ("Y",), {"to": 9}, (), ("regarded",)),
        Node("Where", ("regarded", "X"), {}, (np.array(value, np.float32),)),
    )
    return call(name, "selected", x, along, sizes={"value": value}, onnx=onnx)


def either(name: str, masks: list[Value | None]) -> Value | None:
    """The union of masks; None if one of them is None."""
    together, *others = masks
    for mask in others:
        if together is None or mask is None:
            return None
        onnx = nodes("Max X Y")
        together = call(
            name, "either", together, arranged(name, mask, together), onnx=onnx, constant=True
        )
    return together


def together(name: str, shape: Shape, constant: np.ndarray, masks: list[Value]) -> Value:
    """The intersection of a constant mask and of masks that broadcast to a shape."""
    wide = [
        in_keras_order(name, mask) if mask.shape == shape else spread(name, mask, shape)
        for mask in masks
    ]
    product = wide[0].seen_as(shape, shape)
    for mask in wide[1:]:
        more = mask.seen_as(shape, shape)
        product = call(name, "both", product, more, onnx=nodes("Mul X Y"), constant=True)
    if constant.all():
        return product
    factors = np.broadcast_to(constant, shape).astype(np.float64)
    row = Constant("factors", factors.reshape(1, -1))
    onnx = Node("Mul", ("X",), {}, (factors.astype(np.float32),))
    return call(name, "column_scaled", product, constants=(row,), onnx=onnx)


def hands_on(node: Any) -> bool:
    """Whether a Keras operation returns its input tensor itself, and so its mask; tested with
    zeros.
    """

    def zeros(argument: Any) -> Any:
        if not isinstance(argument, keras.KerasTensor):
            return argument
        return keras.ops.zeros([size or 1 for size in argument.shape], argument.dtype)

    arguments, keywords = keras.tree.map_structure(
        zeros, (node.arguments.args, node.arguments.kwargs)
    )
    try:
        results = keras.tree.flatten(node.operation(*arguments, **keywords))
    except Exception:  # an operation that fails for zeros does not just return its input
        return False
    inputs = keras.tree.flatten((arguments, keywords))
    return any(result is argument for result in results for argument in inputs)


def without(value: Value) -> Value:
    """The value without its mask."""
    return value.with_masks(None, None)


class TakenOff:
    """Where the tensors of a model lose their masks, in the order in which Keras runs its layers.

    `lost` has nodes and tensors whose mask is certainly removed, `doubtful` those for which this
    depends on whether another layer returns its input tensor itself; `gone` and `unclear` are the
    tensors for which this is so at the end.
    """

    def __init__(self, model: keras.Model) -> None:
        self.lost: set[tuple[int, Any]] = set()
        self.doubtful: set[tuple[int, Any]] = set()
        self.gone: set[Any] = set()
        self.unclear: set[Any] = set()
        gone, unclear = self.gone, self.unclear
        alike: dict[Any, set[Any]] = {}
        nodes = [node for node in nodes_of(model) if not node.is_input]
        if not any(_takes_off(node.operation) for node in nodes):
            return
        for node in nodes:
            inputs = [origin_of(tensor) for tensor in node.input_tensors]
            self.lost |= {(id(node), tensor) for tensor in inputs if tensor in gone}
            self.doubtful |= {(id(node), tensor) for tensor in inputs if tensor in unclear - gone}
            if isinstance(node.operation, TAKING):
                gone.update(inputs)
                unclear.update(*(alike.get(tensor, ()) for tensor in inputs))
            elif _takes_off(node.operation):
                unclear.update(inputs)
            elif isinstance(node.operation, PASSING) or _is_handed_on(node):
                group = alike.setdefault(inputs[0], {inputs[0]})
                for output in node.output_tensors:
                    group.add(origin_of(output))
                    alike[origin_of(output)] = group


def _takes_off(operation: Any) -> bool:
    """Whether an operation, or a layer within a model, removes masks."""
    layers = layers_of(operation) if isinstance(operation, keras.Model) else (operation,)
    return any(isinstance(layer, TAKING) for layer in layers)


def _is_handed_on(node: Any) -> bool:
    return (
        bool(node.input_tensors) and not isinstance(node.operation, keras.Layer) and hands_on(node)
    )


def _unequal(value: float) -> tuple[Node, ...]:
    """ONNX: 1 where X differs from `value`."""
    return (
        Node("Equal", ("X",), {}, (np.array(value, np.float32),), ("equal",)),
        Node("Not", ("equal",), {}, (), ("unequal",)),
        Node("Cast", ("unequal",), {"to": 1}, (), ("differs",)),
    )
