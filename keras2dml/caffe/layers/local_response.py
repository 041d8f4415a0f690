"""LRN: each element divided by a power of the mean of squares around it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras import ops

from keras2dml.caffe.layers.caffe_layer import CaffeLayer, registered
from keras2dml.caffe.network import Network, image_of, reads
from keras2dml.caffe.phases import named
from keras2dml.graph import Node, Value
from keras2dml.rules import Refusal, call, lowers, nodes
from keras2dml.rules.windows import image


@registered
class CaffeLRN(CaffeLayer):
    """x / (k + alpha * m) ** beta, where m is the mean of the squares around x, including zeros
    beyond the edges: over `size` channels, or `within` a channel over size x size places.
    """

    config_names = ("size", "alpha", "beta", "k", "within")

    def __init__(
        self, size: int, alpha: float, beta: float, k: float, within: bool, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.size, self.alpha, self.beta, self.k, self.within = size, alpha, beta, k, within

    def call(self, x: Any) -> Any:
        """The normalized image."""
        return x * (self.k + self.alpha * self._means(ops.square(x))) ** -self.beta

    def _means(self, squares: Any) -> Any:
        """The mean of the window around each element. On a CPU TensorFlow only pools with channels
        last: so either each channel is an image, or channels and places are the sides of an image.
        """
        channels, height, width = squares.shape[1:]
        sides, kernel = ((channels, height * width), (self.size, 1))
        if self.within:
            sides, kernel = (height, width), (self.size, self.size)
        edges = [(side // 2, side // 2) for side in kernel]
        lined = ops.pad(ops.reshape(squares, (-1, *sides, 1)), ((0, 0), *edges, (0, 0)))
        means = ops.average_pool(lined, kernel, 1, "valid", "channels_last")
        return ops.reshape(means, (-1, channels, height, width))


@lowers(CaffeLRN, honours="size alpha beta k within")
def local_response(layer: CaffeLRN, x: Value) -> Value:
    """Windows over the channels of each place, or over the places of each channel."""
    x = image(layer, x)
    channels, height, width = x.stored
    alpha, beta, k = float(layer.alpha), float(layer.beta), float(layer.k)
    if layer.within:
        sizes = {"images": channels, "Hin": height, "Win": width, "Wf": layer.size}
    else:
        sizes = {"images": 1, "Hin": channels, "Win": height * width, "Wf": 1}
    return call(
        layer.name,
        "caffe_lrn",
        x,
        sizes={
            **sizes,
            "Hf": layer.size,
            "padh": layer.size // 2,
            "padw": int(sizes["Wf"]) // 2,
            "alpha": alpha,
            "beta": beta,
            "k": k,
        },
        onnx=_within(layer.size, alpha, beta, k) if layer.within else _across(layer),
    )


def _across(layer: CaffeLRN) -> tuple[Node, ...]:
    names = {"size": layer.size, "alpha": layer.alpha, "beta": layer.beta, "bias": layer.k}
    return (Node("LRN", ("X",), names),)


def _within(size: int, alpha: float, beta: float, k: float) -> tuple[Node, ...]:
    window = {
        "kernel_shape": (size, size),
        "pads": (size // 2,) * 4,
        "strides": (1, 1),
        "count_include_pad": 1,
    }
    return (
        *nodes("Mul X X > squares"),
        Node("AveragePool", ("squares",), window, (), ("means",)),
        *nodes(f"Mul means {alpha} > part", f"Add part {k} > base", f"Pow base {-beta} > factor"),
        *nodes("Mul X factor"),
    )


@reads("LRN")
def read_local_response(network: Network, layer: Any, inputs: Sequence[Any]) -> Any:
    """Across channels, or within each; within a channel Caffe ignores k and uses 1."""
    param, x = layer.lrn_param, image_of(layer, inputs[0])
    if param.local_size % 2 == 0:
        reason = f"{named(layer)} has local_size: {param.local_size}. Give an odd number."
        raise Refusal(reason)
    within = bool(param.norm_region)
    k = 1.0 if within else param.k
    arguments = (param.local_size, param.alpha, param.beta, k, within)
    return CaffeLRN(*arguments, name=network.reserve_name(layer))(x)
