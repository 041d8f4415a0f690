"""Random models as a list of steps, so that a failing one is printed as it can be kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
from hypothesis import strategies as st
from keras import layers as kl
from oracle import seeded

ACTIVATIONS = ["linear", "relu", "tanh", "sigmoid", "softplus", "leaky_relu", "silu", "elu", "gelu"]
small, few = st.integers(1, 3), st.integers(2, 4)
activation = st.sampled_from(ACTIVATIONS)
padding = st.sampled_from(["valid", "same"])
pair = st.tuples(small, small)

# Steps by the rank of what they take: the layer and its arguments.
ANY = {
    "Activation": {"activation": activation},
    "BatchNormalization": {"momentum": st.sampled_from([0.9, 0.5])},
    "LayerNormalization": {},
    "Dense": {"units": few, "activation": activation, "use_bias": st.booleans()},
    "residual": {"units": few, "merge": st.sampled_from(["Add", "Multiply", "Maximum", "Average"])},
    "concatenated": {"units": few},
}
IMAGES = {
    "Conv2D": {"filters": few, "kernel_size": pair, "strides": pair, "padding": padding},
    "DepthwiseConv2D": {"kernel_size": pair, "padding": padding, "depth_multiplier": small},
    "SeparableConv2D": {"filters": few, "kernel_size": pair, "padding": padding},
    "Conv2DTranspose": {"filters": few, "kernel_size": pair, "strides": pair, "padding": padding},
    "MaxPooling2D": {"pool_size": pair, "strides": pair, "padding": padding},
    "AveragePooling2D": {"pool_size": pair, "strides": pair, "padding": padding},
    "UpSampling2D": {"size": pair},
    "ZeroPadding2D": {"padding": pair},
    "GroupNormalization": {"groups": st.just(1)},
    "PReLU": {},
    "Permute": {"dims": st.permutations([1, 2, 3]).map(tuple)},
    "TimeDistributed": {},
    "GlobalAveragePooling2D": {},
    "GlobalMaxPooling2D": {},
}
SEQUENCES = {
    "Conv1D": {
        "filters": few,
        "kernel_size": small,
        "padding": st.sampled_from(["valid", "same", "causal"]),
        "dilation_rate": small,
    },
    "LSTM": {"units": few, "return_sequences": st.booleans()},
    "GRU": {"units": few, "return_sequences": st.booleans(), "reset_after": st.booleans()},
    "SimpleRNN": {"units": few, "return_sequences": st.booleans(), "go_backwards": st.booleans()},
    "attention": {"num_heads": small, "key_dim": few},
    "MaxPooling1D": {"pool_size": small, "padding": padding},
    "AveragePooling1D": {"pool_size": small, "padding": padding},
    "GlobalAveragePooling1D": {},
    "Permute": {"dims": st.permutations([1, 2]).map(tuple)},
    "Flatten": {},
}
VECTORS = {
    "RepeatVector": {"n": few},
    "UnitNormalization": {},
    "PReLU": {},
}
STEPS = {1: {**ANY, **VECTORS}, 2: {**ANY, **SEQUENCES}, 3: {**ANY, **IMAGES}}
LOSSES = {
    "sparse_categorical_crossentropy": "softmax",
    "mean_squared_error": "linear",
    "binary_crossentropy": "sigmoid",
    "kl_divergence": "softmax",
    "log_cosh": "tanh",
    "huber": "linear",
}
# Without Lion, which takes the signs of gradients: of one that is 0 but for rounding it is any.
OPTIMIZERS = {
    "SGD": {"learning_rate": 0.1, "momentum": 0.9, "nesterov": True},
    "Adam": {"learning_rate": 0.01, "weight_decay": 0.01},
    "RMSprop": {"learning_rate": 0.01, "momentum": 0.5, "centered": True},
    "Adagrad": {"learning_rate": 0.1, "clipnorm": 0.5},
    "Nadam": {"learning_rate": 0.01},
    "Adamax": {"learning_rate": 0.01, "global_clipnorm": 0.5},
}


@dataclass(frozen=True)
class Recipe:
    """A model as one writes it down."""

    shape: tuple[int, ...]
    steps: tuple[tuple[str, dict[str, Any]], ...]
    outputs: int
    loss: str
    optimizer: str

    def model(self) -> keras.Model:
        """The model; ValueError where Keras itself refuses a step."""
        x = start = keras.Input(self.shape)
        for name, arguments in self.steps:
            x = _taken(name, arguments, x)
        if len(x.shape) > 2:
            x = kl.Flatten()(x)
        end = kl.Dense(self.outputs, LOSSES[self.loss])(x)
        return seeded(keras.Model(start, end))

    def optimized(self) -> keras.optimizers.Optimizer:
        """A new optimizer."""
        return getattr(keras.optimizers, self.optimizer)(**OPTIMIZERS[self.optimizer])


def _taken(name: str, arguments: dict[str, Any], x: Any) -> Any:
    if name == "residual":
        side = kl.Dense(x.shape[-1], "tanh")(kl.Dense(arguments["units"], "relu")(x))
        return getattr(kl, arguments["merge"])()([x, side])
    if name == "concatenated":
        return kl.Concatenate()([kl.Dense(arguments["units"], "tanh")(x), x])
    if name == "attention":
        return kl.MultiHeadAttention(**arguments)(x, x)
    if name == "TimeDistributed":
        return kl.TimeDistributed(kl.Flatten())(x)
    return getattr(kl, name)(**arguments)(x)


@st.composite
def recipes(draw: st.DrawFn) -> Recipe:
    """Recipes of models that Keras builds, and that stay small."""
    rank = draw(st.integers(1, 3))
    shape = tuple(draw(st.integers(2, 7)) for _ in range(rank))
    steps: list[tuple[str, dict[str, Any]]] = []
    x: Any = keras.Input(shape)
    for _ in range(draw(st.integers(1, 5))):
        kinds = STEPS[len(x.shape) - 1]
        name = draw(st.sampled_from(sorted(kinds)))
        arguments = {key: draw(value) for key, value in kinds[name].items()}
        try:
            made = _taken(name, arguments, x)
        except ValueError:
            continue  # a window larger than what it slides over
        size = keras.ops.prod(made.shape[1:]) if 0 not in made.shape[1:] else 0
        if 0 < size <= 600:
            x = made
            steps.append((name, arguments))
    loss = draw(st.sampled_from(sorted(LOSSES)))
    optimizer = draw(st.sampled_from(sorted(OPTIMIZERS)))
    return Recipe(shape, tuple(steps), draw(st.integers(2, 4)), loss, optimizer)
