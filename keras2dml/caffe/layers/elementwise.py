"""Elementwise layers, and Eltwise, which combines the elements of several blobs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras2dml.caffe.fillers import filled
from keras2dml.caffe.layers.caffe_layer import CaffeLayer, registered
from keras2dml.caffe.network import Network, reads
from keras2dml.caffe.phases import named
from keras2dml.caffe.weights import Blob
from keras2dml.graph import Node, Value, Weight
from keras2dml.rules import Refusal, call, lowers, nodes
from keras2dml.rules.layouts import arranged
from keras2dml.rules.merging import rescaled

ELTWISE = (keras.layers.Multiply, keras.layers.Add, keras.layers.Maximum)
"""The Keras layers in the order of Caffe's enumeration."""
_, SUM, MAX = range(3)
ACTIVATIONS = {
    "BNLL": "softplus",
    "Sigmoid": "sigmoid",
    "TanH": "tanh",
}
"""Caffe's layers that are Keras activations."""


@registered
class CaffeThreshold(CaffeLayer):
    """1 where an element is larger than the threshold, else 0; has no gradient."""

    config_names = ("threshold",)

    def __init__(self, threshold: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.threshold = threshold

    def call(self, x: Any) -> Any:
        """Ones and zeros."""
        return ops.cast(x > self.threshold, x.dtype)


@lowers(CaffeThreshold, honours="threshold")
def threshold(layer: CaffeThreshold, x: Value) -> Value:
    """Element by element."""
    limit = float(layer.threshold)
    onnx = nodes(f"Greater X {limit!r} > above", "Cast above")
    return call(layer.name, "caffe_threshold", x, sizes={"threshold": limit}, onnx=onnx)


@registered
class CaffePower(CaffeLayer):
    """(shift + scale * x) ** power."""

    config_names = ("power", "scale", "shift")

    def __init__(
        self, power: float = 1.0, scale: float = 1.0, shift: float = 0.0, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.power, self.scale, self.shift = power, scale, shift

    def call(self, x: Any) -> Any:
        """The powers."""
        base = x * self.scale + self.shift
        if self.power == 0:
            return base * 0 + 1
        return base if self.power == 1 else base**self.power


@lowers(CaffePower, honours="power scale shift")
def power(layer: CaffePower, x: Value) -> Value:
    """A rescaling, then a power."""
    if layer.power == 0:
        return rescaled(layer.name, x, 0.0, 1.0)
    base = rescaled(layer.name, x, float(layer.scale), float(layer.shift))
    if layer.power == 1:
        return base
    exponent = float(layer.power)
    onnx = nodes(f"Pow X {exponent}")
    return call(layer.name, "caffe_power", base, sizes={"power": exponent}, onnx=onnx)


@registered
class CaffePReLU(CaffeLayer):
    """PReLU with a learned slope at and below zero, for each channel or `shared` by all; Keras'
    PReLU has no gradient at zero.
    """

    def __init__(self, shared: bool, filler: Any, decay: Any = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.shared = shared
        self.filler = keras.initializers.get(filler)
        self.decay = keras.regularizers.get(decay)

    def build(self, shape: tuple[int, ...]) -> None:
        """Create the slopes."""
        size = (1 if self.shared else shape[1],)
        self.alpha = self.add_weight(size, self.filler, regularizer=self.decay, name="alpha")

    def get_config(self) -> dict[str, Any]:
        """The layer's arguments."""
        return {
            **super().get_config(),
            "shared": self.shared,
            "filler": keras.initializers.serialize(self.filler),
            "decay": self.decay and keras.regularizers.serialize(self.decay),
        }

    def call(self, x: Any) -> Any:
        """Positive elements, and others times their slope."""
        slope = ops.reshape(self.alpha, (1, -1, *(1 for _ in x.shape[2:])))
        return ops.where(x > 0, x, x * slope)


@lowers(CaffePReLU, honours="shared filler decay")
def prelu(layer: CaffePReLU, x: Value) -> Value:
    """In the row layout of the value, channel after channel."""
    x = arranged(layer.name, x, Value.of(x.shape))
    size = int(layer.alpha.shape[0])
    shape = (size, *(1 for _ in x.stored[1:]))
    onnx = (
        Node("Reshape", ("alpha",), {}, (np.array(shape),), ("slope",)),
        Node("PRelu", ("X", "slope")),
    )
    weight = Weight("alpha", layer.alpha, (size, 1))
    return call(layer.name, "caffe_prelu", x, weights=(weight,), sizes={"C": size}, onnx=onnx)


@registered
class CaffeAbs(CaffeLayer):
    """The absolute value, with gradient 0 at 0."""

    def call(self, x: Any) -> Any:
        """The absolute values."""
        return ops.abs(x)


@lowers(CaffeAbs)
def absolute(layer: CaffeAbs, x: Value) -> Value:
    """Element by element."""
    return call(layer.name, "caffe_abs", x, onnx=nodes("Abs X"))


@registered
class CaffeLog(CaffeLayer):
    """The logarithm of shift + scale * x: natural, or to `base` if that is positive."""

    config_names = ("base", "scale", "shift")

    def __init__(
        self, base: float = -1.0, scale: float = 1.0, shift: float = 0.0, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.base, self.scale, self.shift = base, scale, shift

    @property
    def unit(self) -> float:
        """The divisor of the natural logarithm."""
        return math.log(self.base) if self.base > 0 else 1.0

    def call(self, x: Any) -> Any:
        """The logarithms."""
        return ops.log(x * self.scale + self.shift) / self.unit


@lowers(CaffeLog, honours="base scale shift")
def logarithm(layer: CaffeLog, x: Value) -> Value:
    """A logarithm, with a rescaling before and after."""
    before = rescaled(layer.name, x, float(layer.scale), float(layer.shift))
    out = call(layer.name, "caffe_log", before, onnx=nodes("Log X"))
    return out if layer.unit == 1.0 else rescaled(layer.name, out, 1 / layer.unit, 0.0)


@reads("Eltwise")
def eltwise(network: Network, layer: Any, inputs: Sequence[Any]) -> Any:
    """The sum of blobs times their coefficients, the product, or the maximum."""
    param = layer.eltwise_param
    if param.coeff and (param.operation != SUM or len(param.coeff) != len(inputs)):
        reason = (
            f"{named(layer)} has {len(param.coeff)} coeff for {len(inputs)} blobs: give one for"
            " each summand of a SUM, or none."
        )
        raise Refusal(reason)
    scaled = [*inputs]
    for place, coefficient in enumerate(param.coeff):
        if coefficient != 1:
            name = network.reserve_name(layer, f"_coeff_{place + 1}")
            scaled[place] = CaffePower(scale=coefficient, name=name)(scaled[place])
    if param.operation == MAX:
        # Where two elements are equal, Caffe's gradient goes to the second, Keras' to the first.
        scaled[:2] = scaled[1::-1]
    return ELTWISE[param.operation](name=network.reserve_name(layer))(scaled)


@reads("Dropout")
def dropout(network: Network, layer: Any, inputs: Sequence[Any]) -> Any:
    """Keras' Dropout."""
    ratio = layer.dropout_param.dropout_ratio
    return keras.layers.Dropout(ratio, name=network.reserve_name(layer))(inputs[0])


@reads("ReLU")
def relu(network: Network, layer: Any, inputs: Sequence[Any]) -> Any:
    """Keras' ReLU, with a slope below zero if there is one."""
    slope = layer.relu_param.negative_slope
    return keras.layers.ReLU(negative_slope=slope, name=network.reserve_name(layer))(inputs[0])


@reads("PReLU")
def read_prelu(network: Network, layer: Any, inputs: Sequence[Any]) -> Any:
    """A PReLU with a slope for each channel, or one for all."""
    param, x = layer.prelu_param, inputs[0]
    size = 1 if param.channel_shared else x.shape[1]
    slope = filled(layer, param.filler, (size,)) if param.HasField("filler") else None
    keras_layer = network.sharing.keras_layer(
        layer,
        1,
        lambda: CaffePReLU(
            param.channel_shared,
            slope or keras.initializers.Constant(0.25),
            network.regularizers(layer)[0],
            name=network.reserve_name(layer),
        ),
    )
    out = keras_layer(x)
    network.add_blobs(layer, [Blob(keras_layer.alpha, (size,), (0,))])
    return out


@reads("ELU")
def elu(network: Network, layer: Any, inputs: Sequence[Any]) -> Any:
    """Keras' ELU."""
    return keras.layers.ELU(layer.elu_param.alpha, name=network.reserve_name(layer))(inputs[0])


@reads(*ACTIVATIONS)
def activation(network: Network, layer: Any, inputs: Sequence[Any]) -> Any:
    """Keras' Activation."""
    name = ACTIVATIONS[layer.type]
    return keras.layers.Activation(name, name=network.reserve_name(layer))(inputs[0])


@reads("Threshold")
def read_threshold(network: Network, layer: Any, inputs: Sequence[Any]) -> Any:
    """Ones and zeros."""
    return CaffeThreshold(layer.threshold_param.threshold, name=network.reserve_name(layer))(
        inputs[0]
    )


@reads("Power")
def read_power(network: Network, layer: Any, inputs: Sequence[Any]) -> Any:
    """A power of rescaled elements."""
    param = layer.power_param
    arguments = (param.power, param.scale, param.shift)
    return CaffePower(*arguments, name=network.reserve_name(layer))(inputs[0])


@reads("AbsVal")
def absolute_value(network: Network, layer: Any, inputs: Sequence[Any]) -> Any:
    """The absolute values."""
    return CaffeAbs(name=network.reserve_name(layer))(inputs[0])


@reads("Exp")
def exponential(network: Network, layer: Any, inputs: Sequence[Any]) -> Any:
    """A power of e, or of another base, with rescaled elements as exponents."""
    param = layer.exp_param
    unit = math.log(param.base) if param.base > 0 else 1.0
    name = network.reserve_name(layer, "_scaled")
    scaled = CaffePower(scale=param.scale * unit, shift=param.shift * unit, name=name)(inputs[0])
    return keras.layers.Activation("exponential", name=network.reserve_name(layer))(scaled)


@reads("Log")
def read_logarithm(network: Network, layer: Any, inputs: Sequence[Any]) -> Any:
    """A logarithm of rescaled elements."""
    param = layer.log_param
    arguments = (param.base, param.scale, param.shift)
    return CaffeLog(*arguments, name=network.reserve_name(layer))(inputs[0])
