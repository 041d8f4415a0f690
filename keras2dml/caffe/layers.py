"""What Caffe computes otherwise than any Keras layer: small Keras layers, and their rules."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from keras2dml.graph import Constant, Node, Value, Weight
from keras2dml.rules import call, lowers, nodes
from keras2dml.rules.layer_norms import learned
from keras2dml.rules.layouts import arranged
from keras2dml.rules.pooling import averaged, largest
from keras2dml.rules.windows import Window, image, lined

registered = keras.saving.register_keras_serializable("keras2dml.caffe")


class _Configured(keras.Layer):  # type: ignore[misc]
    """A layer of images with their channels first, made of the arguments named in `taken`."""

    data_format = "channels_first"
    taken: tuple[str, ...] = ()

    def get_config(self) -> dict[str, Any]:
        """The layer's arguments."""
        return {**super().get_config(), **{name: getattr(self, name) for name in self.taken}}


@registered
class CaffeFlatten(_Configured):
    """(N, C, H, W) as (N, C * H * W) in that order; Keras' Flatten takes another one."""

    def call(self, x: Any) -> Any:
        """The same numbers."""
        return ops.reshape(x, (-1, int(np.prod(x.shape[1:]))))


@lowers(CaffeFlatten)
def flatten(layer: CaffeFlatten, x: Value) -> Value:
    """A new name for the same row."""
    return x.seen_as((x.size,), (x.size,))


@registered
class CaffePooling(_Configured):
    """Windows of which the last may reach over the edge. A mean counts the cells of the window that
    lie in the padded image, be they padding or not.
    """

    taken = ("pool", "kernel", "strides", "pad")

    def __init__(
        self,
        pool: str,
        kernel: tuple[int, int],
        strides: tuple[int, int],
        pad: tuple[int, int],
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.pool, self.kernel = pool, lined(kernel)
        self.strides, self.pad = lined(strides), lined(pad)

    def window(self, channels: int, height: int, width: int) -> Window:
        """The window, with padding up to where the last one ends."""
        bottom = self._after(height, self.kernel[0], self.strides[0], self.pad[0])
        right = self._after(width, self.kernel[1], self.strides[1], self.pad[1])
        pads = (*self.pad, bottom, right)
        return Window(channels, height, width, self.kernel, self.strides, pads)

    @staticmethod
    def _after(size: int, kernel: int, stride: int, pad: int) -> int:
        count = -(-(size + 2 * pad - kernel) // stride) + 1
        if pad and (count - 1) * stride >= size + pad:
            count -= 1
        return max(0, (count - 1) * stride + kernel - size - pad)

    def inside(self, window: Window) -> np.ndarray:
        """Where the padded image reaches: 1, and 0 beyond."""
        full = np.zeros(window.padded)
        full[: window.height + 2 * self.pad[0], : window.width + 2 * self.pad[1]] = 1
        return full

    def call(self, x: Any) -> Any:
        """The largest element of each window, or the mean. TensorFlow pools with the channels last:
        a CPU can do no other.
        """
        window = self.window(*x.shape[1:])
        top, left, bottom, right = window.pads
        edges = ((0, 0), (top, bottom), (left, right), (0, 0))
        lowest = float(np.finfo(np.float32).min) if self.pool == "MAX" else 0.0
        around = ops.pad(ops.transpose(x, (0, 2, 3, 1)), edges, constant_values=lowest)
        pooled = ops.max_pool if self.pool == "MAX" else ops.average_pool
        out = pooled(around, self.kernel, self.strides, "valid", "channels_last")
        out = ops.transpose(out, (0, 3, 1, 2))
        if self.pool == "MAX":
            return out
        return out / ops.cast(window.shares(self.inside(window)), out.dtype)


@lowers(CaffePooling, honours="pool kernel strides pad")
def pooling(layer: CaffePooling, x: Value) -> Value:
    """Keras' own pooling, of an image that is padded for it."""
    x = image(layer, x)
    window = layer.window(*x.stored)
    if layer.pool == "MAX":
        return largest(layer, window, x)
    return averaged(layer, window, x, layer.inside(window))


@registered
class CaffeBatchNorm(_Configured):
    """By the mean and variance of each channel. Of moving statistics Caffe keeps sums, and the sum
    of their weights, and takes the unbiased variance.
    """

    taken = ("momentum", "epsilon")

    def __init__(self, momentum: float = 0.999, epsilon: float = 1e-5, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.momentum, self.epsilon = momentum, epsilon

    def build(self, shape: tuple[int, ...]) -> None:
        """The three blobs."""
        names = {"moving_mean": shape[1], "moving_variance": shape[1], "moving_count": 1}
        for name, size in names.items():
            made = self.add_weight((size,), "zeros", trainable=False, name=name)
            setattr(self, name, made)

    def call(self, x: Any, training: bool = False) -> Any:
        """Standardized by channel."""
        shape = (1, -1, *(1 for _ in x.shape[2:]))
        axes = (0, *range(2, len(x.shape)))
        if training:
            mean, variance = ops.mean(x, axes), ops.var(x, axes)
            count = ops.cast(ops.size(x) / x.shape[1], x.dtype)
            self.moving_mean.assign(self.moving_mean * self.momentum + mean)
            unbiased = variance * count / (count - 1)
            self.moving_variance.assign(self.moving_variance * self.momentum + unbiased)
            self.moving_count.assign(self.moving_count * self.momentum + 1)
        else:
            count = ops.maximum(self.moving_count, 1e-30)
            mean, variance = self.moving_mean / count, self.moving_variance / count
        root = ops.sqrt(ops.reshape(variance, shape) + self.epsilon)
        return (x - ops.reshape(mean, shape)) / root


@lowers(CaffeBatchNorm, honours="momentum epsilon")
def batch_norm(layer: CaffeBatchNorm, x: Value) -> Value:
    """One row of a channel after another."""
    x = arranged(layer, x, Value.of(x.shape))
    channels = x.stored[0]
    sizes = {"moving_mean": channels, "moving_variance": channels, "moving_count": 1}
    epsilon = float(layer.epsilon)
    return call(
        layer,
        "caffe_batch_norm",
        x,
        weights=tuple(Weight(name, getattr(layer, name), (n, 1)) for name, n in sizes.items()),
        constants=(
            Constant("gamma", np.ones((channels, 1))),
            Constant("beta", np.zeros((channels, 1))),
        ),
        sizes={"C": channels, "momentum": float(layer.momentum), "epsilon": epsilon},
        onnx=(
            *nodes("Max moving_count 1e-30 > count", "Div moving_mean count > mean"),
            *nodes("Div moving_variance count > variance"),
            Node(
                "BatchNormalization",
                ("X", "gamma", "beta", "mean", "variance"),
                {"epsilon": epsilon},
            ),
        ),
        training="caffe_batch_norm_training",
    )


@registered
class CaffeScale(_Configured):
    """Each channel times a learned number, plus another one."""

    taken = ("bias", "fillers", "decays")

    def __init__(self, bias: bool, fillers: Any, decays: Any, **kwargs: Any) -> None:
        """`fillers` and `decays` are the initializers and regularizers of both."""
        super().__init__(**kwargs)
        self.bias = bias
        self.fillers = [keras.initializers.get(one) for one in fillers]
        self.decays = [keras.regularizers.get(one) for one in decays]

    def build(self, shape: tuple[int, ...]) -> None:
        """The two blobs."""
        size = (shape[1],)
        self.gamma = self.add_weight(
            size, self.fillers[0], regularizer=self.decays[0], name="gamma"
        )
        self.beta = None
        if self.bias:
            self.beta = self.add_weight(
                size, self.fillers[1], regularizer=self.decays[1], name="beta"
            )

    def get_config(self) -> dict[str, Any]:
        """The layer's arguments."""
        return {
            **super().get_config(),
            "fillers": [keras.initializers.serialize(one) for one in self.fillers],
            "decays": [one and keras.regularizers.serialize(one) for one in self.decays],
        }

    def call(self, x: Any) -> Any:
        """Scaled and shifted by channel."""
        shape = (1, -1, *(1 for _ in x.shape[2:]))
        scaled = x * ops.reshape(self.gamma, shape)
        return scaled if self.beta is None else scaled + ops.reshape(self.beta, shape)


@lowers(CaffeScale, honours="bias fillers decays")
def scale(layer: CaffeScale, x: Value) -> Value:
    """One row of a channel after another."""
    return learned(layer, arranged(layer, x, Value.of(x.shape)), layer.gamma, layer.beta)


@registered
class CaffeThreshold(_Configured):
    """1 where an element is larger than the threshold, 0 elsewhere; no gradient goes through."""

    taken = ("threshold",)

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
    return call(layer, "caffe_threshold", x, sizes={"threshold": limit}, onnx=onnx)
