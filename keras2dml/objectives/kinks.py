"""Functions for which Keras on JAX or PyTorch takes another derivative than on TensorFlow, at a
point where there is none: keras2dml has TensorFlow's, so it scores but does not train there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from keras2dml import backend
from keras2dml.graph import Graph
from keras2dml.objectives.losses import Loss
from keras2dml.objectives.regularizers import Regularizer
from keras2dml.traits import Trait

KINKS = {"jax": Trait.KINK_ON_JAX, "torch": Trait.KINK_ON_TORCH}


def complaints(
    graph: Graph, losses: Iterable[Loss], regularizers: Mapping[str, Regularizer]
) -> Iterator[str]:
    """A sentence for each layer, loss and regularizer that the current backend trains
    differently.
    """
    name = backend.backend()
    kink = KINKS.get(name)
    rule = (
        f"Keras on {name} takes another derivative than on TensorFlow where that does not exist, so"
        " it is compiled for scoring only: set KERAS_BACKEND=tensorflow to train it."
    )
    for call in graph.calls:
        if kink in call.traits:
            yield f"Layer {call.layer!r} computes {call.training or call.function}. {rule}"
    for loss in losses:
        if kink in loss.traits:
            yield f"The loss is {loss.name!r}. {rule}"
    layers = {parameter.name: parameter.layer for parameter in graph.parameters}
    for weight, regularizer in regularizers.items():
        if kink in regularizer.traits:
            yield f"Layer {layers[weight]!r} has an L1 regularizer. {rule}"
