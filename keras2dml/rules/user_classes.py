"""Users' subclasses of Keras models: which are compiled, and what they override."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import takewhile
from typing import Any

import keras

from keras2dml.keras_internals import direct_layers_of, operations_of, own_metrics_of, variables_of

CALLED = ("__call__", "call", "compute_mask", "stateless_call")
PREDICTED = ("predict", "predict_step", "make_predict_function")
MEASURED = (
    "compute_loss",
    "stateless_compute_loss",
    "compute_metrics",
    "get_metrics_result",
    "reset_metrics",
    "metrics",
    "losses",
)
EVALUATED = ("evaluate", "test_step", "make_test_function")
TRAINED = (
    *("fit", "train_step", "make_train_function"),
    *("trainable_weights", "trainable_variables"),
)
"""The methods that Keras' `predict`, `evaluate` and `fit` use; the last two also use MEASURED."""
MADE = (
    *("__init__", "get_config", "from_config", "__annotations__", "__annotate_func__"),
    *("__static_attributes__", "__firstlineno__"),
    *vars(type("Empty", (), {})),
    *vars(object),
)
"""What a class may override and still compute as the Keras class that it extends."""


def kind_of(layer: Any) -> type:
    """The class whose rule lowers a layer: for a user's model class that does not override the
    call, the Keras class that it extends.
    """
    kind = type(layer)
    if not is_users(layer) or replaced(layer, CALLED):
        return kind
    return next(base for base in kind.__mro__ if _is_of_keras(base))


def is_users(layer: Any) -> bool:
    """Whether a layer is a model of a user's class."""
    return isinstance(layer, keras.Model) and not _is_of_keras(type(layer))


def replaced(model: Any, names: Iterable[str]) -> list[str]:
    """The names of those methods and properties that the model, or its user's class, defines."""
    users = takewhile(lambda base: not _is_of_keras(base), type(model).__mro__)
    defined = {name for base in users for name in vars(base)} | vars(model).keys()
    return [name for name in names if name in defined]


def overridden(part: Any) -> list[str]:
    """The names of Keras' class that a user's subclass of a metric or another object, or the object
    itself, overrides.
    """
    kind = next(base for base in type(part).__mro__ if _is_of_keras(base))
    users = takewhile(lambda base: not _is_of_keras(base), type(part).__mro__)
    defined = {name for base in users for name in vars(base)} - {*MADE}
    defined |= {name for name, value in vars(part).items() if callable(value)}
    return sorted(name for name in defined if hasattr(kind, name))


def unpredicted(model: keras.Model) -> list[str]:
    """Complaints about a model whose class overrides how Keras predicts."""
    return [_complaint(model, name) for name in replaced(model, PREDICTED)]


def unmeasured(model: keras.Model) -> list[str]:
    """Complaints about a model whose class overrides losses, metrics or how Keras evaluates."""
    return [_complaint(model, name) for name in (*_losses(model), *replaced(model, EVALUATED))]


def untrained(model: keras.Model) -> list[str]:
    """Complaints about a model whose class overrides losses, metrics or how Keras trains."""
    return [_complaint(model, name) for name in (*replaced(model, TRAINED), *_losses(model))]


def additions(model: keras.Model) -> list[str]:
    """The layers and weights that a model of a user's class has besides those of its graph."""
    operations = operations_of(model)
    return [layer.name for layer in direct_layers_of(model) if layer not in operations] + [
        weight.name for weight in variables_of(model)
    ]


def _losses(model: Any) -> list[str]:
    names = replaced(model, MEASURED)
    return names or (["metrics"] if is_users(model) and own_metrics_of(model) else [])


def _complaint(model: keras.Model, name: str) -> str:
    return (
        f"Its class {type(model).__name__} overrides {name}, which is not compiled. Give"
        " keras.Model(model.inputs, model.outputs), compiled with a loss, if Keras' version will"
        " do."
    )


def _is_of_keras(kind: type) -> bool:
    return kind.__module__.partition(".")[0] in ("keras", "builtins")
