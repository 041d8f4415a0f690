"""Losses: which DML function is a Keras loss on an output of this model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras

from keras2dml.graph import Call, Value, source_of

LOGITS = "cross_entropy_of_logits"
NEUTRAL = {
    "reduction": "sum_over_batch_size",
    "label_smoothing": 0.0,
    "axis": -1,
    "ignore_class": None,
}


@dataclass(frozen=True, eq=False)
class Loss:
    """A DML loss function and the value that it takes; `sparse` is Keras' loss of class numbers.

    The function takes rows of predictions P and of targets Y, and returns the loss of each row and
    its gradient at P. `skips` are the calls that the loss looks through: their own backward is not
    run.
    """

    function: str
    takes: Value
    sparse: bool
    skips: tuple[Call, ...] = ()


def loss_of(configured: object, output: Value) -> tuple[Loss | None, list[str]]:
    """The Loss of what `model.compile(loss=...)` was given, or the complaints about it."""
    loss: Any = _from_function(keras.losses.get(configured))
    names = ", ".join(
        repr(name) for name in ("categorical_crossentropy", "sparse_categorical_crossentropy")
    )
    if type(loss) not in (
        keras.losses.CategoricalCrossentropy,
        keras.losses.SparseCategoricalCrossentropy,
    ):
        return None, [
            f"The loss is {configured!r}. Compiled are {names}: compile() the model with"
            " one of these."
        ]
    config = loss.get_config()
    complaints = [
        f"The loss {loss.name!r} has {key}={config[key]!r}. It is compiled with"
        f" {key}={value!r} only: leave it out."
        for key, value in NEUTRAL.items()
        if config.get(key, value) != value
    ]
    sparse = isinstance(loss, keras.losses.SparseCategoricalCrossentropy)
    return _cross_entropy(output, sparse, from_logits=config["from_logits"]), complaints


def _cross_entropy(output: Value, sparse: bool, *, from_logits: bool) -> Loss:
    """Keras looks through a final softmax or sigmoid at what went in, and takes that for logits;
    only where the output is neither are probabilities clipped.
    """
    last = source_of(output)
    skips: tuple[Call, ...] = ()
    if last.function == "unfold" and source_of(last.inputs[0]).function == "softmax":
        last, skips = source_of(last.inputs[0]), (last,)
    if last.function in ("softmax", "sigmoid"):
        return Loss(LOGITS, last.inputs[0], sparse, (last, *skips))
    if from_logits:
        return Loss(LOGITS, output, sparse)
    prefix = "sparse_" if sparse else ""
    return Loss(f"{prefix}cross_entropy_of_probabilities", output, sparse)


def _from_function(loss: object) -> object:
    """The loss object for one of Keras' loss functions."""
    functions: dict[object, Callable[[], keras.losses.Loss]] = {
        keras.losses.categorical_crossentropy: keras.losses.CategoricalCrossentropy,
        keras.losses.sparse_categorical_crossentropy: keras.losses.SparseCategoricalCrossentropy,
    }
    return functions[loss]() if loss in functions else loss
