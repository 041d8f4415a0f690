"""Dense, and the layers that change a shape or nothing at all."""

from __future__ import annotations

from dataclasses import replace

import keras

from keras2dml.graph import Call, Node, Value, Weight
from keras2dml.rules import Refusal, lowers, named
from keras2dml.rules.activations import activated


@lowers(keras.layers.Dense, honours="units activation use_bias")
def dense(layer: keras.layers.Dense, x: Value) -> tuple[Call, ...]:
    """X %*% W + b; the kernel's rows follow the order of X's columns, so that nothing is permuted
    at run time.
    """
    if len(x.shape) != 1:
        message = (
            f"{named(layer)} gets {x.shape}. It is compiled for vectors: add a Flatten layer"
            " before it."
        )
        raise Refusal(message)
    inputs, units = layer.kernel.shape
    kernel = Weight("W", "kernel", (inputs, units), (0, 1), (inputs, units), rows=x.order)
    bias = Weight("b", "bias", (units,), (0,), (1, units))
    out = Value.vector("out", units)
    call = Call(
        "dense" if layer.use_bias else "dense_unbiased",
        (x,),
        out,
        layer.name,
        weights=(kernel, bias) if layer.use_bias else (kernel,),
        onnx=Node("Gemm" if layer.use_bias else "MatMul"),
    )
    return activated(layer, out, call)


@lowers(keras.layers.Flatten, honours="data_format")
def flatten(layer: keras.layers.Flatten, x: Value) -> tuple[Call, ...]:
    """A new name for the same row: the order of its elements goes along. Keras flattens
    channels_first images as last.
    """
    order = x.order
    if layer.data_format == "channels_first" and len(x.shape) > 1:
        # Keras moves the channels to the end before it flattens.
        axes = (*range(1, len(x.shape)), 0)
        moved = Value.transposed("", x.shape, axes).order
        order = moved.argsort()[order]
    out = Value("flat", (x.size,), (x.size,), order)
    return (Call("identity", (x,), out, layer.name, onnx=Node("Flatten")),)


@lowers(keras.layers.Dropout, honours="rate noise_shape seed")
def dropout(layer: keras.layers.Dropout, x: Value) -> tuple[Call, ...]:
    """Inverted dropout: nothing at prediction. Its mask is SystemDS', by seed, and not Keras'
    random sequence.
    """
    if layer.noise_shape is not None:
        message = (
            f"{named(layer)} has noise_shape={layer.noise_shape!r}. Masks are drawn per"
            " element: leave it out."
        )
        raise Refusal(message)
    if layer.rate == 0:
        return ()
    return (
        Call(
            "dropout",
            (x,),
            replace(x, name="out"),
            layer.name,
            sizes={"rate": float(layer.rate)},
            training_only=True,
        ),
    )
