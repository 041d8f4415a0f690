"""BatchNorm, which stores sums and a count, and Scale, which learns a factor for each channel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras2dml.caffe.fillers import filled
from keras2dml.caffe.layers.caffe_layer import CaffeLayer, registered
from keras2dml.caffe.network import Network, axis_of, reads
from keras2dml.caffe.phases import named
from keras2dml.caffe.weights import Blob
from keras2dml.graph import Constant, Node, Value, Weight
from keras2dml.rules import Refusal, call, lowers, nodes
from keras2dml.rules.layer_norms import learned
from keras2dml.rules.layouts import arranged
from keras2dml.traits import Trait


@registered
class CaffeBatchNorm(CaffeLayer):
    """Standardizes by the mean and variance of each channel. Caffe stores weighted sums of the
    moving statistics and the sum of the weights, and uses the unbiased variance. With
    `global_stats` training also uses the stored statistics, and does not update them.
    """

    config_names = ("momentum", "epsilon", "global_stats")

    def __init__(
        self,
        momentum: float = 0.999,
        epsilon: float = 1e-5,
        global_stats: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.momentum, self.epsilon, self.global_stats = momentum, epsilon, global_stats

    def build(self, shape: tuple[int, ...]) -> None:
        """Create the three blobs."""
        sizes = {"moving_mean": shape[1], "moving_variance": shape[1], "moving_count": 1}
        for name, size in sizes.items():
            variable = self.add_weight((size,), "zeros", trainable=False, name=name)
            setattr(self, name, variable)

    def call(self, x: Any, training: bool = False) -> Any:
        """Standardize by channel."""
        shape = (1, -1, *(1 for _ in x.shape[2:]))
        axes = (0, *range(2, len(x.shape)))
        if training and not self.global_stats:
            mean, variance = ops.mean(x, axes), ops.var(x, axes)
            count = ops.cast(ops.size(x) / x.shape[1], x.dtype)
            self.moving_mean.assign(self.moving_mean * self.momentum + mean)
            unbiased = variance * count / ops.maximum(count - 1, 1)
            self.moving_variance.assign(self.moving_variance * self.momentum + unbiased)
            self.moving_count.assign(self.moving_count * self.momentum + 1)
        else:
            count = ops.maximum(self.moving_count, 1e-30)
            mean, variance = self.moving_mean / count, self.moving_variance / count
        root = ops.sqrt(ops.reshape(variance, shape) + self.epsilon)
        return (x - ops.reshape(mean, shape)) / root


@lowers(CaffeBatchNorm, honours="momentum epsilon global_stats")
def batch_norm(layer: CaffeBatchNorm, x: Value) -> Value:
    """In the row layout of the value, channel after channel."""
    x = arranged(layer.name, x, Value.of(x.shape))
    channels = x.stored[0]
    sizes = {"moving_mean": channels, "moving_variance": channels, "moving_count": 1}
    epsilon = float(layer.epsilon)
    return call(
        layer.name,
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
        training=None if layer.global_stats else "caffe_batch_norm_training",
        traits=[] if layer.global_stats else [Trait.BATCH_STATISTICS],
    )


@reads("BatchNorm")
def read_batch_norm(network: Network, layer: Any, inputs: Sequence[Any]) -> Any:
    """A CaffeBatchNorm: scores by moving statistics, trains by the batch's unless global."""
    param, x = layer.batch_norm_param, inputs[0]
    if any(spec.name for spec in layer.param):
        reason = f"{named(layer)} has named blobs. Statistics cannot be shared: leave names out."
        raise Refusal(reason)
    keras_layer = CaffeBatchNorm(
        param.moving_average_fraction,
        param.eps,
        param.use_global_stats,
        name=network.reserve_name(layer),
    )
    out = keras_layer(x)
    size = (x.shape[1],)
    statistics = [
        Blob(keras_layer.moving_mean, size, (0,)),
        Blob(keras_layer.moving_variance, size, (0,)),
        Blob(keras_layer.moving_count, (1,), (0,)),
    ]
    network.add_blobs(layer, statistics)
    return out


@registered
class CaffeScale(CaffeLayer):
    """Multiplies each channel by a learned factor, and adds a learned bias."""

    def __init__(self, bias: bool, fillers: Any, decays: Any, **kwargs: Any) -> None:
        """`fillers` and `decays` are the initializers and regularizers of factor and bias."""
        super().__init__(**kwargs)
        self.bias = bias
        self.fillers = [keras.initializers.get(filler) for filler in fillers]
        self.decays = [keras.regularizers.get(decay) for decay in decays]

    def build(self, shape: tuple[int, ...]) -> None:
        """Create the two blobs."""
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
            "bias": self.bias,
            "fillers": [keras.initializers.serialize(filler) for filler in self.fillers],
            "decays": [decay and keras.regularizers.serialize(decay) for decay in self.decays],
        }

    def call(self, x: Any) -> Any:
        """Scale and shift by channel."""
        shape = (1, -1, *(1 for _ in x.shape[2:]))
        scaled = x * ops.reshape(self.gamma, shape)
        return scaled if self.beta is None else scaled + ops.reshape(self.beta, shape)


@lowers(CaffeScale, honours="bias fillers decays")
def scale(layer: CaffeScale, x: Value) -> Value:
    """In the row layout of the value, channel after channel."""
    return learned(layer.name, arranged(layer.name, x, Value.of(x.shape)), layer.gamma, layer.beta)


@reads("Scale")
def read_scale(network: Network, layer: Any, inputs: Sequence[Any]) -> Any:
    """A CaffeScale with a factor for each channel, and a bias."""
    param, x = layer.scale_param, inputs[0]
    spans = len(x.shape) - 1 if param.num_axes == -1 else param.num_axes
    if len(inputs) != 1 or axis_of(layer, param.axis, x) != 1 or spans != 1:
        reason = (
            f"{named(layer)} scales by another input or axis. It must have one input and axis: 1."
        )
        raise Refusal(reason)
    size = (x.shape[1],)
    factor = filled(layer, param.filler, size) if param.HasField("filler") else "ones"
    fillers = [factor, filled(layer, param.bias_filler, size)]
    keras_layer = network.sharing.keras_layer(
        layer,
        1 + param.bias_term,
        lambda: CaffeScale(
            param.bias_term, fillers, network.regularizers(layer), name=network.reserve_name(layer)
        ),
    )
    out = keras_layer(x)
    blobs = [Blob(keras_layer.gamma, size, (0,)), Blob(keras_layer.beta, size, (0,))]
    network.add_blobs(layer, blobs[: 1 + param.bias_term])
    return out
