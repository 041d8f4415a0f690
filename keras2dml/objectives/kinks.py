"""Functions for which Keras on JAX or PyTorch takes another derivative than on TensorFlow, at a
point where there is none: keras2dml has TensorFlow's, so it scores but does not train there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from keras2dml import backend
from keras2dml.graph import Graph
from keras2dml.objectives.losses import Loss
from keras2dml.objectives.regularizers import Regularizer

_ON_BOTH = (
    *("bounded_relu", "celu", "selu", "clip", "logaddexp", "unit_length"),
    *("maximum", "maximum_of_number", "minimum", "minimum_of_number"),
    *("hinge", "categorical_hinge", "kl_divergence", "cosine_similarity"),
)
KINKS: Mapping[str, frozenset[str]] = {
    "tensorflow": frozenset(),
    "jax": frozenset(
        (
            *(*_ON_BOTH, "absolute", "leaky_relu", "sparse_sigmoid", "sparsemax"),
            *("mean_absolute_error", "mean_absolute_percentage_error"),
            *("activity_penalty", "l1_l2_penalty"),
        )
    ),
    "torch": frozenset((*_ON_BOTH, "hard_tanh")),
}
"""The DML functions, by the backend. Penalties count with an l1 above 0."""


def complaints(
    graph: Graph, losses: Iterable[Loss], regularizers: Mapping[str, Regularizer]
) -> Iterator[str]:
    """A sentence for each layer, loss and regularizer that the current backend trains
    differently.
    """
    name = backend.backend()
    kinks = KINKS[name]
    rule = (
        f"Keras on {name} takes another derivative than on TensorFlow where that does not exist, so"
        " it is compiled for scoring only: set KERAS_BACKEND=tensorflow to train it."
    )
    for call in graph.calls:
        function = call.training or call.function
        if function in kinks and call.sizes.get("l1", True):
            yield f"Layer {call.layer!r} computes {function}. {rule}"
    for loss in losses:
        if loss.function in kinks:
            yield f"The loss is {loss.name!r}. {rule}"
    layers = {parameter.name: parameter.layer for parameter in graph.parameters}
    for weight, regularizer in regularizers.items():
        if regularizer.function in kinks and regularizer.constants.get("l1"):
            yield f"Layer {layers[weight]!r} has an L1 regularizer. {rule}"
